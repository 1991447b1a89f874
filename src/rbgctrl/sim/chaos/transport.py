"""Chaos around a client's transport: what it is told to suffer, in the errors the real transport would raise.

Put it where the connection would be, below whatever repeats requests::

    chaos = Chaos(server.transport(), [Drop(Match("create", "pods", nth=3), side=Side.AFTER)])
    client = Client(Retrying(chaos))

Guarantees: the same faults and seed strike the same requests and events of a repeatable run. A lost answer to a write
is ``UnknownOutcomeError`` on either side of the commit, since no client could tell. After a :class:`Crash` nothing
passes any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from rbgctrl.client.errors import ConnectError, ResponseError, UnknownOutcomeError
from rbgctrl.client.status import error_for
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Transport, Verb
from rbgctrl.sim.chaos.faults import (
    Answer,
    AnyFault,
    Crash,
    Delay,
    Drop,
    End,
    Ending,
    Lag,
    Retype,
    Rewind,
    Say,
    Side,
    Silence,
    SimulatedCrash,
)
from rbgctrl.sim.chaos.frames import Cut, Frames, Hang
from rbgctrl.sim.chaos.match import Call, call_of
from rbgctrl.sim.chaos.past import Past
from rbgctrl.sim.chaos.rules import Rules
from rbgctrl.sim.chaos.trace import Trace

__all__ = ["Chaos"]


class Chaos:
    """A transport that suffers the faults it is given.

    Args:
        inner: the transport to wrap.
        faults: what to suffer; see :mod:`rbgctrl.sim.chaos.faults`.
        seed: decides every chance.
        trace: where decisions are written.
        silence: seconds without a line after which a watch counts as broken; as of the real transport.
        on_crash: called when a :class:`Crash` strikes, before it is raised.

    Attributes:
        rules: the faults; arm further ones with ``rules.add``.
        dead: whether the process behind this transport has crashed.

    Raises:
        ValueError: a fault needs bytes; only the proxy can do it.
    """

    def __init__(
        self,
        inner: Transport,
        faults: Iterable[AnyFault] = (),
        *,
        seed: int = 0,
        trace: Trace | None = None,
        silence: float = 150.0,
        on_crash: Callable[[], None] | None = None,
    ) -> None:
        faults = tuple(faults)
        for fault in faults:
            if fault.bytes_only:
                msg = f"{type(fault).__name__} is about bytes; this transport knows whole lines only. Use the proxy"
                raise ValueError(msg)
        self.inner = inner
        self.rules = Rules(faults, seed=seed, trace=trace, clock=_now)
        self.dead = False
        self._silence = silence
        self._on_crash = on_crash
        self._past = Past()

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request, as far as the faults let it."""
        self._check_alive()
        call = call_of(request)
        struck = self.rules.on_call(call)
        if not struck and request.verb is not Verb.LIST:
            response = await self.inner.send(request)
            self._check_alive()
            return response
        await self._suffer(struck, Side.BEFORE, request)
        rewind = next((fault for fault in struck if isinstance(fault, Rewind)), None)
        if rewind is not None:
            request = replace(request, query=self._past.query(request.query, self._past.moment(rewind)))
        response = await self.inner.send(request)
        self._check_alive()
        self._past.learn(call, response.body)
        await self._suffer(struck, Side.AFTER, request)
        return _retyped(struck, response)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch, as far as the faults let it."""
        self._check_alive()
        call = call_of(request)
        struck = self.rules.on_call(call)
        await self._suffer(struck, Side.BEFORE, request)
        async with self._source(request, call, struck) as lines:
            self._check_alive()
            await self._suffer(struck, Side.AFTER, request)
            if any(isinstance(fault, Retype) for fault in struck):
                raise ResponseError(f"{request}: the answer is not a stream of JSON")
            async with (
                Frames(aiter(lines), call, self.rules, _streaming(struck)) as frames,
                aclosing(self._lines(frames, request)) as suffered,
            ):
                yield suffered

    async def close(self) -> None:
        """Close the transport inside."""
        await self.inner.close()

    # Streams

    @asynccontextmanager
    async def _source(
        self, request: ApiRequest, call: Call, struck: tuple[AnyFault, ...]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The server's lines, or those of an earlier moment."""
        rewind = next((fault for fault in struck if isinstance(fault, Rewind)), None)
        if rewind is None or "initial" not in call.forms:
            async with self.inner.stream(request) as stream, aclosing(self._past.listen(aiter(stream))) as lines:
                yield lines
            return
        moment = self._past.moment(rewind)
        listing = replace(request, verb=Verb.LIST, query=self._past.query(request.query, moment))
        listed = (await self.inner.send(listing)).body
        following = replace(request, query=self._past.following(request.query, moment))
        async with self.inner.stream(following) as stream:
            lines = self._past.listen(self._past.as_stream(listed, aiter(stream), rewind.lag))
            async with aclosing(lines):
                yield lines

    async def _lines(self, frames: Frames, request: ApiRequest) -> AsyncGenerator[bytes]:
        async for item in frames:
            self._check_alive()
            match item:
                case bytes():
                    yield item
                case Cut(how=Ending.CLEAN):
                    return
                case Cut():
                    raise ConnectError(f"{request}: the connection broke", reason="reset")
                case Hang():
                    await asyncio.sleep(self._silence)
                    raise ConnectError(f"{request}: the server was silent for too long", reason="timeout")

    # Requests

    async def _suffer(self, struck: tuple[AnyFault, ...], side: Side, request: ApiRequest) -> None:
        for fault in struck:
            match fault:
                case Delay(seconds=seconds) if fault.side is side:
                    await asyncio.sleep(seconds)
                    self._check_alive()
                case Drop() if fault.side is side:
                    raise _lost(request)
                case Answer() if fault.side is side:
                    self._refuse(fault, request)
                case Crash() if fault.side is side:
                    self._crash()

    def _refuse(self, fault: Answer, request: ApiRequest) -> None:
        if fault.status >= 400:
            raise error_for(fault.status, fault.content(), fault.headers(), what=str(request))
        raise ResponseError(f"{request}: the server redirects (HTTP {fault.status})")

    def _crash(self) -> None:
        self.dead = True
        if self._on_crash is not None:
            self._on_crash()
        raise SimulatedCrash

    def _check_alive(self) -> None:
        if self.dead:
            raise SimulatedCrash


def _streaming(struck: tuple[AnyFault, ...]) -> tuple[AnyFault, ...]:
    return tuple(fault for fault in struck if isinstance(fault, Lag | Silence | End | Say))


def _lost(request: ApiRequest) -> ConnectError | UnknownOutcomeError:
    if request.verb.writes:
        return UnknownOutcomeError(f"{request}: sent, but the answer was lost; it may have been committed")
    return ConnectError(f"{request}: the connection broke", reason="reset")


def _retyped(struck: tuple[AnyFault, ...], response: ApiResponse) -> ApiResponse:
    for fault in struck:
        if isinstance(fault, Retype):
            headers = {**response.headers, "Content-Type": fault.content_type}
            return ApiResponse(status=200, body=fault.body.encode() or response.body, headers=headers)
    return response


def _now() -> float:
    return asyncio.get_running_loop().time()
