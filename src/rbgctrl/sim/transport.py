"""The server as a client's transport, without sockets: same bytes, same errors as over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from rbgctrl.client.errors import ConnectError
from rbgctrl.client.observe import ClientObserver, Exchange
from rbgctrl.client.status import error_for
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream
from rbgctrl.sim.watch import BrokenWatchError, Watch

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["InProcessTransport"]


class InProcessTransport:
    """Sends requests to an embedded server in the same loop.

    A request is handled in one step, some time after it was sent: others may come first. Cancelling the sender before
    that means nothing happened; after it, the write is committed and nobody learns its answer.

    Args:
        server: the server.
        user: on whose behalf.
        agent: user agent; the field manager of requests that name none.
        observer: told of every exchange.
    """

    def __init__(
        self, server: ApiServer, *, user: str = "admin", agent: str = "", observer: ClientObserver | None = None
    ) -> None:
        self.server = server
        self.user = user
        self.agent = agent
        self._observer = observer
        self._streams: set[_Stream] = set()
        self._closed = False

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request and read the whole answer."""
        self._check_open(request)
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(0)
        self._check_open(request)
        if request.guard is not None:
            request.guard()
        response = await self.server.handle(request, user=self.user, agent=self.agent)
        await asyncio.sleep(0)
        self._report(request, response.status, len(response.body), started)
        if response.status >= 400:
            raise error_for(response.status, response.body, response.headers, what=str(request))
        return response

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch; leaving the context closes it."""
        self._check_open(request)
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(0)
        opened = await self.server.open_watch(request, user=self.user, agent=self.agent)
        if isinstance(opened, ApiResponse):
            self._report(request, opened.status, 0, started)
            raise error_for(opened.status, opened.body, opened.headers, what=str(request))
        self._report(request, 200, 0, started)
        stream = _Stream(opened, request)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            opened.end()

    async def close(self) -> None:
        """End all streams; safe to call twice."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.watch.end(ConnectError(f"{stream.request}: the client was closed meanwhile", reason="closed"))

    def _check_open(self, request: ApiRequest) -> None:
        if self._closed:
            raise ConnectError(f"{request}: the client is closed", reason="closed")

    def _report(self, request: ApiRequest, status: int, size: int, started: float) -> None:
        if self._observer is None:
            return
        self._observer.exchanged(
            Exchange(
                request=request,
                host="embedded",
                code=str(status),
                seconds=asyncio.get_running_loop().time() - started,
                request_bytes=len(request.body or b""),
                response_bytes=size,
            )
        )


class _Stream:
    """A watch as the client sees it: a broken one raises what a broken connection raises."""

    def __init__(self, watch: Watch, request: ApiRequest) -> None:
        self.watch = watch
        self.request = request

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self.watch)
        except BrokenWatchError as error:
            raise ConnectError(f"{self.request}: the connection to embedded broke ({error})", reason="reset") from error
