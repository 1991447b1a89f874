"""The HTTP servers, on real sockets of 127.0.0.1."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from rbgctrl.runtime.probes import Address, Check, ListenError, ProbeServer, ProbeServers

FREE = Address.parse("127.0.0.1:0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8082", Address("", 8082)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:8080", Address("::1", 8080)),
        ("[::]:1", Address("::", 1)),
        ("0", Address("", None)),
        ("", Address("", None)),
    ],
)
def test_addresses_are_read_as_go_reads_them(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected
    assert Address.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["8080", ":", "host", "::1:80", "host:http", ":70000", ":-1", "1", "http://x/", ":²"])
def test_what_is_not_an_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        Address.parse(text)


@asynccontextmanager
async def serving(
    health: dict[str, Check] | None = None, ready: dict[str, Check] | None = None
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    server = ProbeServer(
        FREE,
        health={"ping": lambda: ""} if health is None else health,
        ready={} if ready is None else ready,
        metrics=lambda accept: (f"accept={accept}\n".encode(), "text/plain; version=0.0.4"),
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield session, f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as response:
        return response.status, await response.text()


async def test_healthz_and_livez_answer_ok() -> None:
    async with serving() as (session, _):
        assert await get(session, "/healthz") == (200, "ok")
        assert await get(session, "/livez") == (200, "ok")


async def test_readyz_follows_its_checks_and_says_which_one_fails_and_why() -> None:
    problem = ["caches of Pod"]
    checks: dict[str, Check] = {"informers": lambda: problem[0], "webhook": lambda: ""}
    async with serving(ready=checks) as (session, _):
        status, text = await get(session, "/readyz")
        assert status == 500
        assert text == "[-]informers failed: caches of Pod\n[+]webhook ok\nreadyz check failed\n"
        problem[0] = ""
        assert await get(session, "/readyz") == (200, "ok")
        assert await get(session, "/readyz/") == (200, "ok")


async def test_verbose_lists_checks_that_pass() -> None:
    async with serving(ready={"b": lambda: "", "a": lambda: ""}) as (session, _):
        assert await get(session, "/readyz?verbose") == (200, "[+]a ok\n[+]b ok\nreadyz check passed\n")


async def test_a_check_can_be_asked_alone_or_left_out() -> None:
    async with serving(ready={"good": lambda: "", "bad": lambda: "broken"}) as (session, _):
        assert (await get(session, "/readyz/good"))[0] == 200
        assert (await get(session, "/readyz/bad"))[0] == 500
        assert (await get(session, "/readyz/unknown"))[0] == 404
        assert (await get(session, "/readyz?exclude=bad"))[0] == 200
        assert "excluded" in (await get(session, "/readyz?exclude=bad&verbose"))[1]


async def test_a_check_that_raises_fails_and_hurts_nobody_else() -> None:
    def broken() -> str:
        raise ZeroDivisionError("secret details")

    async with serving(ready={"broken": broken, "good": lambda: ""}) as (session, _):
        status, text = await get(session, "/readyz")
        assert status == 500
        assert "[-]broken failed: the check itself failed: ZeroDivisionError" in text
        assert "secret" not in text


async def test_checks_added_while_serving_count() -> None:
    checks: dict[str, Check] = {}
    async with serving(ready=checks) as (session, _):
        assert (await get(session, "/readyz"))[0] == 200
        checks["late"] = lambda: "not yet"
        assert (await get(session, "/readyz"))[0] == 500


async def test_metrics_get_the_accept_header_and_keep_their_content_type() -> None:
    async with serving() as (session, _), session.get("/metrics", headers={"Accept": "text/plain"}) as response:
        assert await response.text() == "accept=text/plain\n"
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4"


def both(metrics: str, health: str) -> ProbeServers:
    return ProbeServers(
        metrics_address=Address.parse(metrics),
        health_address=Address.parse(health),
        health={},
        ready={},
        metrics=lambda _: (b"m", "text/plain"),
    )


async def test_two_addresses_are_two_servers_that_serve_only_their_own() -> None:
    async with both("127.0.0.1:0", "127.0.0.1:0") as servers, aiohttp.ClientSession() as session:
        metrics, health = servers.ports["metrics"], servers.ports["health"]
        assert metrics != health
        assert (await get(session, f"http://127.0.0.1:{metrics}/metrics"))[0] == 200
        assert (await get(session, f"http://127.0.0.1:{metrics}/healthz"))[0] == 404
        assert (await get(session, f"http://127.0.0.1:{health}/metrics"))[0] == 404
        assert (await get(session, f"http://127.0.0.1:{health}/healthz"))[0] == 200


async def test_the_same_address_for_both_is_one_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    async with both(address, address) as servers, aiohttp.ClientSession() as session:
        assert servers.ports == {"metrics": port, "health": port}
        assert (await get(session, f"http://{address}/metrics"))[0] == 200
        assert (await get(session, f"http://{address}/readyz"))[0] == 200


async def test_off_means_off() -> None:
    async with both("0", "") as servers:
        assert servers.ports == {"metrics": None, "health": None}


async def test_every_interface_means_both_families_on_one_port() -> None:
    async with both("0", ":0") as servers, aiohttp.ClientSession() as session:
        port = servers.ports["health"]
        assert (await get(session, f"http://127.0.0.1:{port}/healthz"))[0] == 200
        if socket.has_dualstack_ipv6():
            assert (await get(session, f"http://[::1]:{port}/healthz"))[0] == 200


async def test_a_taken_address_is_one_sentence_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        servers = both(f"127.0.0.1:{port}", "127.0.0.1:0")
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            async with servers:
                pass
    assert all(server._runner is None for server in servers._unique())


async def test_stopping_twice_is_fine() -> None:
    server = ProbeServer(FREE, health={})
    await server.start()
    await server.stop()
    await server.stop()
