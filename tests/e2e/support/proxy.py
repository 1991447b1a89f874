"""A proxy between a daemon and the API server that counts writes and can strike at one of them.

Plain HTTP on loopback towards the daemon, TLS towards the server; watches are streamed through.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from hack.controlplane import Cluster

__all__ = ["Proxy", "proxy"]

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_READS = frozenset({"GET", "HEAD"})

Strike = Callable[[], Awaitable[None]]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        kubeconfig: for whoever should go through it.
        writes: method and path of each write that arrived, Leases and Events left out.
        strike_at: number of the write (from 1) at which ``strike`` is awaited; 0 for never.
        before: whether it strikes before the server has seen the write, or after it was committed but not answered.
    """

    kubeconfig: Path
    writes: list[str] = field(default_factory=list)
    strike_at: int = 0
    before: bool = True
    strike: Strike | None = None
    struck: bool = False


@asynccontextmanager
async def proxy(cluster: Cluster, folder: Path) -> AsyncIterator[Proxy]:
    """A proxy in front of ``cluster`` that passes on whatever credentials it is given."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    state = Proxy(kubeconfig=folder / "kubeconfig.proxy")
    tls = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    connector = aiohttp.TCPConnector(limit=0, ssl=tls)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=2**20) as upstream:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await _forward(state, upstream, cluster.url, request)

        app = web.Application(client_max_size=2**25)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        try:
            await site.start()
            port = runner.addresses[0][1]
            config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
            state.kubeconfig.write_text(yaml.safe_dump(config))
            yield state
        finally:
            await runner.cleanup()


async def _forward(
    state: Proxy, upstream: aiohttp.ClientSession, server: str, request: web.Request
) -> web.StreamResponse:
    body = await request.read()
    counted = request.method not in _READS and "/leases" not in request.path and "/events" not in request.path
    now = False
    if counted:
        state.writes.append(f"{request.method} {request.path}")
        now = len(state.writes) == state.strike_at and state.strike is not None
    if now and state.before:
        await _strike(state)
        raise web.HTTPServiceUnavailable
    headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with upstream.request(
        request.method, f"{server}{request.path_qs}", data=body or None, headers=headers, timeout=timeout
    ) as answer:
        if now:
            await answer.read()  # committed, never answered
            await _strike(state)
            raise web.HTTPServiceUnavailable
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def _strike(state: Proxy) -> None:
    state.struck = True
    if state.strike is not None:
        await state.strike()
