"""The fence with real HTTP: what waits for a slot or a connection is asked again before its body leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client.client import Client
from rbgctrl.client.credentials import Anonymous
from rbgctrl.client.http import HttpOptions, HttpTransport
from rbgctrl.client.retry import Retrying
from rbgctrl.client.target import Cluster
from rbgctrl.runtime.fence import Fenced, NotLeaderError


class Switch:
    """A fence one can shut."""

    key = Key("ns", "lease")

    def __init__(self) -> None:
        self.open = True
        self.asked = asyncio.Event()

    def fence(self) -> None:
        self.asked.set()
        if not self.open:
            raise NotLeaderError("shut")


class Server:
    """Answers a write with its own body, once ``go`` is set; ``bodies`` is what arrived whole."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.arrived = asyncio.Event()
        self.go = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.arrived.set()
        await self.go.wait()
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def fenced(server: Server, fence: Switch, **options: Any) -> AsyncIterator[Client]:
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    cluster = Cluster(server=f"http://{host}:{port}", credentials=Anonymous())
    transport = HttpTransport(cluster, HttpOptions(**options))
    try:
        yield Client(Fenced(Retrying(transport), fence))
    finally:
        await transport.close()
        await runner.cleanup()


def body(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "ns"}}


@pytest.mark.parametrize("options", [{"writes": 1}, {"connections": 1}], ids=["write slots", "connections"])
async def test_a_write_that_waited_while_the_lease_was_lost_does_not_leave(options: dict[str, Any]) -> None:
    server, fence = Server(), Switch()
    async with fenced(server, fence, **options) as client:
        first = asyncio.create_task(client.patch(ConfigMap, Key("ns", "first"), body("first")))
        await server.arrived.wait()
        fence.asked.clear()
        second = asyncio.create_task(client.patch(ConfigMap, Key("ns", "second"), body("second")))
        await fence.asked.wait()  # it passes the fence once, and then waits
        fence.open = False
        server.go.set()
        assert (await first).metadata.name == "first"
        with pytest.raises(NotLeaderError):
            await second
    assert len(server.bodies) == 1


async def test_a_refused_write_does_not_harm_the_connection_of_others() -> None:
    server, fence = Server(), Switch()
    server.go.set()
    async with fenced(server, fence) as client:
        await client.patch(ConfigMap, Key("ns", "one"), body("one"))
        fence.open = False
        with pytest.raises(NotLeaderError):
            await client.delete(ConfigMap, Key("ns", "two"))
        fence.open = True
        assert (await client.create(ConfigMap, body("three"))).metadata.name == "three"
    assert len(server.bodies) == 2


async def test_reads_are_not_asked_about() -> None:
    server, fence = Server(), Switch()
    server.go.set()
    fence.open = False
    async with fenced(server, fence) as client:
        assert await client.get_raw("/version") == b""
    assert not fence.asked.is_set()
