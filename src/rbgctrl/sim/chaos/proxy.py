"""Chaos in front of any API server, real or embedded: an HTTP proxy that obeys the same rules.

Plain HTTP on loopback towards the client, whatever the server speaks behind; credentials pass through. Here faults
of bytes are possible, too: what the client's own transport makes of cut, split, lumped or compressed streams.

Example::

    async with chaos_proxy(url, [Bytewise(Match("watch", "pods"))], token=token) as proxy:
        async with connect(kubeconfig=str(proxy.write_kubeconfig(folder))) as client: ...
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from rbgctrl.client.errors import ApiError, ConnectError
from rbgctrl.client.stream import LineStream
from rbgctrl.sim.chaos.faults import (
    Answer,
    AnyFault,
    Bytewise,
    Crash,
    Delay,
    Drop,
    End,
    Ending,
    Gzip,
    Lag,
    Lump,
    Retype,
    Rewind,
    Say,
    Side,
    Silence,
)
from rbgctrl.sim.chaos.frames import Cut, Frames, Hang
from rbgctrl.sim.chaos.match import Call, http_call
from rbgctrl.sim.chaos.past import Past, Query
from rbgctrl.sim.chaos.rules import Rules
from rbgctrl.sim.chaos.trace import Trace

__all__ = ["ChaosProxy", "chaos_proxy"]

_HOP_BY_HOP = frozenset(
    ("connection", "transfer-encoding", "content-length", "content-encoding", "host", "keep-alive", "accept-encoding")
)
_STREAMING = (Lag, Silence, End, Say)
_LONGEST_LINE = 2**26

OnCrash = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class ChaosProxy:
    """A running proxy.

    Attributes:
        url: where it listens.
        rules: the faults; arm further ones with ``rules.add``.
        writes: method and path of each write that arrived, Leases and Events left out.
        at: time of the loop at which each of the requests arrived, with the request.
        on_crash: awaited when a :class:`~rbgctrl.sim.chaos.faults.Crash` strikes; kill the client's process there.
        token: for :meth:`write_kubeconfig`.
    """

    url: str
    rules: Rules
    writes: list[str] = field(default_factory=list)
    at: list[tuple[float, Call]] = field(default_factory=list)
    on_crash: OnCrash | None = None
    token: str = ""

    def write_kubeconfig(self, folder: Path, *, token_file: Path | None = None) -> Path:
        """Write a kubeconfig for whoever should go through the proxy; returns its path.

        Args:
            folder: where.
            token_file: name a file with the token instead of the token.
        """
        user = {"tokenFile": str(token_file)} if token_file is not None else {"token": self.token}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "chaos",
            "clusters": [{"name": "chaos", "cluster": {"server": self.url}}],
            "users": [{"name": "chaos", "user": user}],
            "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
        }
        path = folder / "kubeconfig.chaos"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path


@asynccontextmanager
async def chaos_proxy(
    server: str,
    faults: Iterable[AnyFault] = (),
    *,
    tls: ssl.SSLContext | None = None,
    token: str = "",
    seed: int = 0,
    trace: Trace | None = None,
    on_crash: OnCrash | None = None,
) -> AsyncIterator[ChaosProxy]:
    """A proxy for the length of the context, on a port of its own.

    Args:
        server: URL of the API server.
        faults: what to suffer.
        tls: how to trust the server; None for its public certificate, or for plain HTTP.
        token: written into kubeconfigs.
        seed: decides every chance.
        trace: where decisions are written.
        on_crash: see :class:`ChaosProxy`.
    """
    loop = asyncio.get_running_loop()
    rules = Rules(faults, seed=seed, trace=trace, clock=loop.time)
    connector = aiohttp.TCPConnector(limit=0, ssl=tls if tls is not None else True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=2**21) as upstream:
        app = web.Application(client_max_size=2**25)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        proxy = ChaosProxy(url="", rules=rules, on_crash=on_crash, token=token)
        handler = _Handler(proxy, upstream, server.rstrip("/"))
        app.router.add_route("*", "/{path:.*}", handler.handle)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()


class _LostError(Exception):
    """The connection to the client is to break."""


class _Handler:
    def __init__(self, proxy: ChaosProxy, upstream: aiohttp.ClientSession, server: str) -> None:
        self._proxy = proxy
        self._rules = proxy.rules
        self._upstream = upstream
        self._server = server
        self._past = Past()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = http_call(request.method, request.path, request.query_string, request.headers, body)
        self._proxy.at.append((asyncio.get_running_loop().time(), call))
        if call.writes and call.resource != "leases.coordination.k8s.io" and not call.resource.startswith("events"):
            self._proxy.writes.append(f"{request.method} {request.path}")
        struck = self._rules.on_call(call)
        try:
            refused = await self._suffer(struck, Side.BEFORE)
            if refused is not None:
                return refused
            if call.verb == "watch":
                return await self._watch(request, call, struck)
            return await self._forward(request, call, body, struck)
        except _LostError:
            _abort(request)
            raise asyncio.CancelledError from None  # nobody is there to be answered

    async def _suffer(self, struck: tuple[AnyFault, ...], side: Side) -> web.Response | None:
        """Do what comes on this side of the commit; returns the answer to give instead of the server's."""
        for fault in struck:
            match fault:
                case Delay(seconds=seconds) if fault.side is side:
                    await asyncio.sleep(seconds)
                case Drop() if fault.side is side:
                    raise _LostError
                case Answer() if fault.side is side:
                    return web.Response(status=fault.status, body=fault.content(), headers=fault.headers())
                case Crash() if fault.side is side:
                    if self._proxy.on_crash is not None:
                        await self._proxy.on_crash()
                    raise _LostError
        return None

    # Requests with one answer

    async def _forward(
        self, request: web.Request, call: Call, body: bytes, struck: tuple[AnyFault, ...]
    ) -> web.StreamResponse:
        query: Query = call.query
        for fault in struck:
            if isinstance(fault, Rewind):
                query = self._past.query(query, self._past.moment(fault))
        async with self._ask(request, query, body) as answer:
            content = await answer.read()
        if answer.status < 400:
            self._past.learn(call, content)
        refused = await self._suffer(struck, Side.AFTER)
        if refused is not None:
            return refused
        headers = _kept(answer.headers)
        for fault in struck:
            if isinstance(fault, Retype):
                headers["Content-Type"] = fault.content_type
                content = fault.body.encode() or content
        return web.Response(status=answer.status, body=content, headers=headers)

    @asynccontextmanager
    async def _ask(self, request: web.Request, query: Query, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._server + request.rel_url.raw_path + (f"?{urlencode(query)}" if query else "")
        headers = {**_kept(request.headers), "Accept-Encoding": "identity"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with self._upstream.request(
                request.method, url, data=body or None, headers=headers, timeout=timeout
            ) as answer:
                yield answer
        except aiohttp.ClientConnectorError as error:
            raise _LostError from error

    # Watches

    async def _watch(self, request: web.Request, call: Call, struck: tuple[AnyFault, ...]) -> web.StreamResponse:
        rewind = next((fault for fault in struck if isinstance(fault, Rewind)), None)
        query, listed, lag = call.query, b"", 0.0
        if rewind is not None and "initial" in call.forms:
            moment, lag = self._past.moment(rewind), rewind.lag
            async with self._ask(request, self._past.query(call.query, moment), b"") as answer:
                listed = await answer.read()
            query = self._past.following(call.query, moment)
        async with self._ask(request, query, b"") as answer:
            refused = await self._suffer(struck, Side.AFTER)
            if refused is not None:
                return refused
            if answer.status != 200:
                return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer.headers))
            lines: AsyncIterator[bytes] = aiter(
                LineStream(answer.content, limit=_LONGEST_LINE, what=str(call), broken=_broken)
            )
            if listed:
                lines = self._past.as_stream(listed, lines, lag)
            return await self._stream(request, call, struck, answer, lines)

    async def _stream(
        self,
        request: web.Request,
        call: Call,
        struck: tuple[AnyFault, ...],
        answer: aiohttp.ClientResponse,
        lines: AsyncIterator[bytes],
    ) -> web.StreamResponse:
        headers = _kept(answer.headers)
        for fault in struck:
            if isinstance(fault, Retype):
                headers["Content-Type"] = fault.content_type
            elif isinstance(fault, Gzip):
                headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        opening = tuple(fault for fault in struck if isinstance(fault, _STREAMING))
        try:
            async with (
                aclosing(self._past.listen(lines)) as heard,
                Frames(heard, call, self._rules, opening) as frames,
                aclosing(_chunks(frames, struck)) as chunks,
            ):
                async for chunk in chunks:
                    await response.write(chunk)
        except (ConnectError, ConnectionError) as error:
            raise _LostError from error
        await response.write_eof()
        return response


async def _chunks(frames: Frames, struck: tuple[AnyFault, ...]) -> AsyncGenerator[bytes, None]:
    """What is written, write by write. Raises ConnectError where the connection is to break."""
    lump = next((fault for fault in struck if isinstance(fault, Lump)), None)
    pieces = _pieces(frames) if lump is None else _lumps(frames, lump)
    bytewise = any(isinstance(fault, Bytewise) for fault in struck)
    zipped = any(isinstance(fault, Gzip) for fault in struck)
    async with aclosing(pieces):
        async for piece in pieces:
            data = gzip.compress(piece, compresslevel=1, mtime=0) if zipped else piece
            if not bytewise:
                yield data
                continue
            for place in range(len(data)):
                yield data[place : place + 1]


async def _pieces(frames: Frames) -> AsyncGenerator[bytes, None]:
    async for item in frames:
        match item:
            case bytes():
                yield item
            case Cut(data=data, how=how):
                if data:
                    yield data
                if how is Ending.RESET:
                    raise ConnectError("ordered by a test", reason="reset")
                return
            case Hang():
                await asyncio.Event().wait()  # until the client goes


async def _lumps(frames: Frames, lump: Lump) -> AsyncGenerator[bytes, None]:
    """Several lines at a time."""
    reading: asyncio.Task[bytes | None] | None = None
    pieces = _pieces(frames)
    waiting: list[bytes] = []
    try:
        while True:
            reading = reading or asyncio.create_task(_next(pieces))
            done, _ = await asyncio.wait({reading}, timeout=lump.patience if waiting else None)
            piece = None
            if done:
                piece, reading = reading.result(), None
                waiting += [piece] if piece is not None else []
            if waiting and (not done or piece is None or len(waiting) >= lump.lines):
                yield b"".join(waiting)
                waiting = []
            if done and piece is None:
                return
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError, ApiError):
                await reading
        await pieces.aclose()


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in _HOP_BY_HOP}


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _broken(error: Exception) -> ApiError:
    return ConnectError(str(error), reason="reset")
