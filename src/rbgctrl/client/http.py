"""The transport that talks HTTP to an API server.

Flow of a request: wait for the rate limiter and, for a write, for one of the write slots; take the present credential
and TLS context; send; on 401 renew the credential once and send once more; raise anything of 400 and above.

Guarantees: two connection pools, so watches never starve requests; no environment is consulted; redirects are not
followed; a write is sent at most once per call, also by aiohttp, which on its own would repeat a DELETE or PUT on a
connection that turned out to be dead. A write whose body may have left is never reported as ``ConnectError``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from rbgctrl.client.errors import ApiError, ConnectError, ResponseError, UnauthorizedError
from rbgctrl.client.failures import Place, failure
from rbgctrl.client.limiter import RateLimit, RateLimiter
from rbgctrl.client.observe import ClientObserver, Exchange, Silent
from rbgctrl.client.payload import Payload, send_once
from rbgctrl.client.status import error_for
from rbgctrl.client.stream import LineStream
from rbgctrl.client.target import Cluster, host_of
from rbgctrl.client.tls import TlsContext
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb
from rbgctrl.version import __version__

__all__ = ["HttpOptions", "HttpTransport"]

_READ_BUFFER = 2**21
_ONCE = (send_once,)
_REPEATED_BY_AIOHTTP = frozenset(("PUT", "DELETE"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How to use the connections.

    Attributes:
        timeout: seconds for a whole request, and for a watch to open.
        connect_timeout: seconds for TCP and TLS.
        silence: seconds without a byte after which a watch counts as dead; bookmarks come every 60.
        connections: pool size for requests; watches are not limited.
        writes: writes in flight; more only make the server slower.
        line_limit: longest watch line, bytes.
        rate: client-side limit; None for none.
        user_agent: how we introduce ourselves.
    """

    timeout: float = 30.0
    connect_timeout: float = 5.0
    silence: float = 150.0
    connections: int = 32
    writes: int = 16
    line_limit: int = 16 * 2**20
    rate: RateLimit | None = None
    user_agent: str = f"rbgctrl/{__version__}"


class HttpTransport:
    """Sends requests to one server. Make it inside a running event loop, close it in the same.

    Args:
        cluster: the server and who we are.
        options: how to use connections.
        observer: told of every exchange.
    """

    def __init__(
        self, cluster: Cluster, options: HttpOptions | None = None, *, observer: ClientObserver | None = None
    ) -> None:
        self.cluster = cluster
        self.server = cluster.server
        self.host = host_of(cluster.server)
        self.options = options or HttpOptions()
        self.observer = observer or Silent()
        self._tls = TlsContext(cluster.tls) if cluster.server.startswith("https") else None
        self._limiter = RateLimiter(self.options.rate) if self.options.rate else None
        self._write_slots = asyncio.Semaphore(self.options.writes)
        self._rest = _session(cluster, self.options, self.options.connections)
        self._watch = _session(cluster, self.options, 0)
        self._closed = False
        self._place = Place(self.host, cluster.source, cluster.proxy.url if cluster.proxy else "")
        connecting = self.options.connect_timeout
        self._timeout = aiohttp.ClientTimeout(total=self.options.timeout, sock_connect=connecting)
        self._watch_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connecting, sock_read=self.options.silence)

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request and read the whole answer."""
        await self._wait_for_turn(request)
        async with self._write_slots if request.verb.writes else nullcontext():
            return await self._authenticated(request, self._send)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch; leaving the context closes the connection."""
        await self._wait_for_turn(request)
        response = await self._authenticated(request, self._open)
        try:
            yield LineStream(
                response.content,
                limit=self.options.line_limit,
                what=str(request),
                broken=lambda error: self._failure(error, request, sent=True),
            )
        finally:
            _hang_up(response)

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        self._closed = True
        await self._rest.close()
        await self._watch.close()

    def dedicated(self, limit: int) -> HttpTransport:
        """Another transport to the same server, with the same credentials and its own ``limit`` connections."""
        return HttpTransport(self.cluster, replace(self.options, connections=limit, rate=None), observer=self.observer)

    def api_client(self) -> Any:
        """A kubernetes_asyncio ApiClient for the same server; see :meth:`Client.api_client`."""
        from rbgctrl.client.generated import api_client  # noqa: PLC0415 - imports kubernetes_asyncio: 0.5 s and 38 MB

        return api_client(self.cluster, self._tls, self.options.user_agent)

    async def _wait_for_turn(self, request: ApiRequest) -> None:
        if self._limiter is not None:
            self.observer.limited(request, self.host, await self._limiter.wait())

    async def _authenticated(self, request: ApiRequest, send: Callable[[ApiRequest, str | None], Awaitable[T]]) -> T:
        """Send with the present credential, and once more with a new one if the server does not accept it."""
        if self._closed:
            raise ConnectError(f"{request}: the client is closed", reason="closed")
        credentials = self.cluster.credentials
        header = await credentials.header()
        try:
            return await send(request, header)
        except UnauthorizedError:
            # Both are asked: a rotated client certificate counts as much as a new token.
            if not await credentials.renew(header) and not self._changed_files():
                raise
        return await send(request, await credentials.header())

    def _changed_files(self) -> bool:
        """Whether the certificate files behind the TLS context are others than those it was made of."""
        if self._tls is None:
            return False
        issued = self.cluster.credentials.certificate
        before = self._tls.get(issued)
        self._tls.look_again()
        return self._tls.get(issued) is not before

    async def _send(self, request: ApiRequest, header: str | None) -> ApiResponse:
        payload = Payload(request.body, request.content_type, request.guard) if request.body is not None else None
        arguments = self._arguments(request, header)
        if payload is not None:
            arguments["data"] = payload
        if request.method in _REPEATED_BY_AIOHTTP and request.verb.writes:
            arguments["middlewares"] = _ONCE
        meter = _Meter(self, request)
        try:
            async with self._rest.request(request.method, timeout=self._timeout, **arguments) as response:
                meter.status = response.status
                body = await _read(response)
                meter.size = len(body)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            if payload is not None and payload.refusal is not None:
                raise payload.refusal from error
            raise self._failure(error, request, sent=payload is None or payload.begun) from error
        finally:
            meter.report()
        _check(request, response, body)
        return ApiResponse(status=response.status, body=body, headers=response.headers)

    async def _open(self, request: ApiRequest, header: str | None) -> aiohttp.ClientResponse:
        arguments = self._arguments(request, header)
        response: aiohttp.ClientResponse | None = None
        meter = _Meter(self, request)
        try:
            async with asyncio.timeout(self.options.timeout):
                response = await self._watch.request(request.method, timeout=self._watch_timeout, **arguments)
                meter.status = response.status
                refusal = b"" if response.status == 200 else await _read(response)
            _check(request, response, refusal, streamed=True)
        except BaseException as error:
            if response is not None:
                response.close()
            if isinstance(error, (aiohttp.ClientError, OSError, RuntimeError)):
                raise self._failure(error, request, sent=True) from error
            raise
        finally:
            meter.report()
        return response

    def _arguments(self, request: ApiRequest, header: str | None) -> dict[str, Any]:
        url = self.server + quote(request.path, safe="/:@")
        if request.query:
            url += "?" + urlencode(request.query, quote_via=quote)
        headers = {"Accept": "application/json"}
        if header is not None:
            headers["Authorization"] = header
        if request.verb is Verb.WATCH:
            headers["Accept-Encoding"] = "identity"  # servers may close the gzip member at every flush
        arguments: dict[str, Any] = {"url": URL(url, encoded=True), "headers": headers, "allow_redirects": False}
        if self._tls is not None:
            arguments["ssl"] = self._tls.get(self.cluster.credentials.certificate)
            arguments["server_hostname"] = self.cluster.tls.server_name
        if self.cluster.proxy is not None:
            arguments["proxy"] = self.cluster.proxy.url
            arguments["proxy_headers"] = self.cluster.proxy.headers
        return arguments

    def _failure(self, error: Exception, request: ApiRequest, *, sent: bool) -> ApiError:
        found = failure(error, request, self._place, sent=sent)
        if self._closed and isinstance(found, ConnectError):
            return ConnectError(f"{request}: the client was closed meanwhile", reason="closed")
        return found


class _Meter:
    """Measures one exchange."""

    def __init__(self, transport: HttpTransport, request: ApiRequest) -> None:
        self.status = 0
        self.size = 0
        self._transport = transport
        self._request = request
        self._started = asyncio.get_running_loop().time()

    def report(self) -> None:
        """Tell the observer."""
        exchange = Exchange(
            request=self._request,
            host=self._transport.host,
            code=str(self.status or "<error>"),
            seconds=asyncio.get_running_loop().time() - self._started,
            request_bytes=len(self._request.body or b""),
            response_bytes=self.size,
        )
        self._transport.observer.exchanged(exchange)


def _session(cluster: Cluster, options: HttpOptions, limit: int) -> aiohttp.ClientSession:
    headers = CIMultiDict([("User-Agent", options.user_agent), *cluster.headers])
    if cluster.proxy is not None and not cluster.server.startswith("https"):
        headers.update(cluster.proxy.headers)  # without a tunnel the proxy reads the request itself
    connector = aiohttp.TCPConnector(limit=limit, ttl_dns_cache=30, socket_factory=_socket)
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),  # a load balancer's cookie must not tie us to one server
        trust_env=False,
        read_bufsize=_READ_BUFFER,
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices a dead peer after a minute, below all other timeouts."""
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body; that of an error may be cut short, its status says enough."""
    try:
        return await response.read()
    except (aiohttp.ClientError, OSError):
        if response.status < 400:
            raise
        return b""


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """End a stream at once: a TLS connection closed politely lives on until the other side agrees."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


def _check(request: ApiRequest, response: aiohttp.ClientResponse, body: bytes, *, streamed: bool = False) -> None:
    """Raise unless the answer is a success."""
    if response.status >= 400:
        raise error_for(response.status, body, response.headers, what=str(request))
    if response.status >= 300:
        raise ResponseError(f"{request}: the server redirects (HTTP {response.status}); name its real address")
    if streamed and not response.content_type.endswith("json"):
        raise ResponseError(f"{request}: the answer is {response.content_type}, not a stream of JSON")
