"""Ports are picked free, distinct and out of the way of outgoing connections."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.controlplane.errors import ControlPlaneError
from hack.controlplane.ports import LOOPBACK, candidates, ephemeral_start, free_ports, is_free

HIGH = 32_768


@given(count=st.integers(1, 20), start=st.integers(0, 2**20), taken=st.sets(st.integers(20_000, 20_050)))
def test_picked_ports_are_distinct_free_and_below_the_ephemeral_range(count: int, start: int, taken: set[int]) -> None:
    picked = free_ports(count, draw=lambda n: start % n, free=lambda port: port not in taken, high=HIGH)
    assert len(set(picked)) == count
    assert not taken.intersection(picked)
    assert all(20_000 <= port < HIGH for port in picked)


@given(st.integers(10, 19))
def test_the_search_wraps_around_and_sees_every_port_once(start: int) -> None:
    assert sorted(candidates(start, 10, 20)) == list(range(10, 20))


def test_running_out_of_ports_is_said() -> None:
    with pytest.raises(ControlPlaneError, match="only 2 of 3 ports are free"):
        free_ports(3, draw=lambda _: 0, free=lambda port: port in {20_001, 20_002}, high=20_010)


def test_a_port_with_a_listener_is_not_free_and_is_free_again_after_it() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_port_with_leftovers_of_closed_connections_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first keeps the port in TIME_WAIT
    assert is_free(port)


@pytest.mark.parametrize(("text", "expected"), [("32768\t60999\n", 32_768), ("10000 65535", 10_000), ("", 32_768)])
def test_the_ephemeral_range_is_the_kernels(text: str, expected: int) -> None:
    assert ephemeral_start(text) == expected


def test_a_low_ephemeral_range_still_leaves_ports() -> None:
    picked = free_ports(4, draw=lambda _: 0, free=lambda _: True, high=ephemeral_start("10000 65535"))
    assert all(port < 10_000 for port in picked)
