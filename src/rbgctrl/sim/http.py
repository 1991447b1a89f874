"""The embedded API server over real HTTP on loopback, for clients in other processes: kubectl, or our own daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from rbgctrl.client.transport import ApiRequest, ApiResponse, Verb
from rbgctrl.sim.call import APPLY_TYPES
from rbgctrl.sim.server import BODY_MAX, ApiServer
from rbgctrl.sim.status import Refusal
from rbgctrl.sim.table import Shape, reshaped, reshaped_line, shape_of
from rbgctrl.sim.watch import BrokenWatchError, Watch

__all__ = ["serve"]

_COMPRESSED_FROM: Final = 128 * 1024
_VERBS: Final = {
    "POST": Verb.CREATE,
    "PUT": Verb.UPDATE,
    "PATCH": Verb.PATCH,
    "DELETE": Verb.DELETE,
}
_TRUE: Final = ("true", "1")
_OPEN: Final = ("/healthz", "/livez", "/readyz")


@asynccontextmanager
async def serve(
    server: ApiServer,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    tokens: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """Serve ``server`` over HTTP; yields its URL.

    Args:
        server: what to serve; its loop must be the running one.
        port: 0 for any free one.
        host: address to listen on.
        tokens: users by bearer token; requests without a known token are refused. None lets everybody in as ``admin``
            (kubectl sends no token over plain HTTP).
    """
    front = _Front(server, tokens)
    application = web.Application(client_max_size=4 * BODY_MAX)
    application.router.add_route("*", "/{path:.*}", front.handle)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        server.disconnect()
        await runner.cleanup()


class _Front:
    def __init__(self, server: ApiServer, tokens: Mapping[str, str] | None) -> None:
        self._server = server
        self._tokens = tokens

    async def handle(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if user is None:
            return _plain(Refusal(401, "Unauthorized", "Unauthorized").response())
        agent = request.headers.get("User-Agent", "")
        try:
            body = await request.read() if request.can_read_body else None
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {BODY_MAX}"
            return _plain(Refusal(413, "RequestEntityTooLarge", message, details={}).response())
        asked = _asked(request, body)
        shape = shape_of(request.headers.get("Accept", ""))
        if shape is None:
            message = "only the following media types are accepted: application/json, application/yaml"
            return _plain(Refusal(406, "NotAcceptable", message).response())
        if asked.verb is Verb.WATCH:
            opened = await self._server.open_watch(asked, user=user, agent=agent)
            if isinstance(opened, ApiResponse):
                return _plain(opened)
            return await self._stream(request, opened, shape)
        response = await self._server.handle(asked, user=user, agent=agent)
        if shape is not Shape.OBJECT:
            response = reshaped(self._server, asked, response, shape)
        return _plain(response, compressed="gzip" in request.headers.get("Accept-Encoding", ""))

    def _user(self, request: web.Request) -> str | None:
        if self._tokens is None or request.path.startswith(_OPEN):
            return "admin"
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None

    async def _stream(self, request: web.Request, watch: Watch, shape: Shape) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        first = True
        try:
            await response.prepare(request)
            async for line in watch:
                if shape is not Shape.OBJECT:
                    line = reshaped_line(self._server, watch.row, line, shape, headings=first)  # noqa: PLW2901
                    first = False
                await response.write(line)
            await response.write_eof()
        except BrokenWatchError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:  # the client went away; nobody is left to tell
            return response
        finally:
            watch.end()
        return response


def _asked(request: web.Request, body: bytes | None) -> ApiRequest:
    query = tuple(request.query.items())
    content_type = request.headers.get("Content-Type", "application/json")
    verb = _VERBS.get(request.method, Verb.GET)
    if verb is Verb.PATCH and content_type.partition(";")[0].strip() in APPLY_TYPES:
        verb = Verb.APPLY
    if request.method == "GET" and request.query.get("watch") in _TRUE:
        verb = Verb.WATCH
    return ApiRequest(
        verb=verb, method=request.method, path=request.path, query=query, body=body, content_type=content_type
    )


def _plain(response: ApiResponse, *, compressed: bool = False) -> web.Response:
    found = web.Response(status=response.status, body=response.body, headers=dict(response.headers))
    if compressed and len(response.body) > _COMPRESSED_FROM:
        found.enable_compression(web.ContentCoding.gzip)
    return found
