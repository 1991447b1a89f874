"""Picks free TCP ports on loopback.

Ports are taken from below the kernel's ephemeral range. An ephemeral one could be handed to any outgoing connection
while its server is down for a restart; a client that connects to such a port may even be connected to itself.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from hack.controlplane.errors import ControlPlaneError

__all__ = ["LOOPBACK", "candidates", "ephemeral_start", "free_ports", "is_free"]

LOOPBACK = "127.0.0.1"
_LOWEST = 20_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def ephemeral_start(text: str | None = None) -> int:
    """The first port that outgoing connections use; ``text`` stands in for the kernel's file in tests."""
    if text is None:
        text = _RANGE_FILE.read_text() if _RANGE_FILE.exists() else ""
    fields = text.split()
    return int(fields[0]) if fields else 32_768


def candidates(start: int, low: int, high: int) -> Iterable[int]:
    """Every port of ``[low, high)`` once, beginning at ``start`` and wrapping around."""
    yield from range(start, high)
    yield from range(low, start)


def is_free(port: int) -> bool:
    """Whether a server could bind ``port`` on loopback now; leftovers of closed connections do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports(
    count: int,
    *,
    draw: Callable[[int], int] = secrets.randbelow,
    free: Callable[[int], bool] = is_free,
    high: int | None = None,
) -> tuple[int, ...]:
    """``count`` distinct ports that were free a moment ago.

    Two processes may still pick the same one; starting from a random place makes that rare, and a component that
    finds its port taken makes the cluster pick again.

    Args:
        count: How many.
        draw: Returns a number in ``[0, n)``, where the search begins.
        free: Tells whether a port can be bound.
        high: End (exclusive) of the ports considered; the start of the ephemeral range by default.

    Raises:
        ControlPlaneError: fewer than ``count`` ports are free.
    """
    high = ephemeral_start() if high is None else high
    low = min(_LOWEST, high * 3 // 4)
    found: list[int] = []
    for port in candidates(low + draw(high - low), low, high):
        if free(port):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise ControlPlaneError(f"only {len(found)} of {count} ports are free in {low}-{high - 1}")
