"""A case's hand on a server: the client under test does the asking, and answers are seen as the JSON that came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from rbgctrl.api.meta import Key, Resource
from rbgctrl.client import ApiRequest, ApiResponse, ApiStream, Client, NotFoundError, PatchType, Transport, Verb

__all__ = ["Api", "Obj", "Watching"]

Obj: TypeAlias = dict[str, Any]
Kind: TypeAlias = type[Resource]
Query: TypeAlias = Mapping[str, str]

_VERBS = {"GET": Verb.GET, "POST": Verb.CREATE, "PUT": Verb.UPDATE, "PATCH": Verb.PATCH, "DELETE": Verb.DELETE}
_SECONDS = 60.0
_LOOK_AGAIN = 0.1


class _Seen:
    """Adds query parameters to what passes, and keeps the answer."""

    def __init__(self, inner: Transport, query: Query) -> None:
        self._inner = inner
        self._query = tuple(query.items())
        self.answer: ApiResponse | None = None

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send it with the parameters added."""
        self.answer = await self._inner.send(self._more(request))
        return self.answer

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch with the parameters added."""
        return self._inner.stream(self._more(request))

    async def close(self) -> None:
        """Nothing: the transport is the case's."""

    def _more(self, request: ApiRequest) -> ApiRequest:
        return replace(request, query=(*request.query, *self._query))


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch."""

    type: str
    object: Obj

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.object["metadata"].get("name", ""))

    @property
    def rv(self) -> str:
        """resourceVersion of the object."""
        return str(self.object["metadata"].get("resourceVersion", ""))


class Watching:
    """An open watch."""

    def __init__(self, stream: ApiStream) -> None:
        self._lines = aiter(stream)

    async def event(self) -> Event:
        """The next event; StopAsyncIteration when the stream ended."""
        async with asyncio.timeout(_SECONDS):
            return Event(**msgspec.json.decode(await anext(self._lines)))

    async def change(self) -> Event:
        """The next event that is not a bookmark."""
        while (event := await self.event()).type == "BOOKMARK":
            pass
        return event

    async def changes(self, count: int) -> list[tuple[str, str]]:
        """Type and name of that many changes."""
        return [(event.type, event.name) for event in [await self.change() for _ in range(count)]]

    async def initial(self) -> tuple[list[Event], Event]:
        """The events of a streamed list, and the bookmark that ends it."""
        found = []
        while (event := await self.event()).type != "BOOKMARK":
            found.append(event)
        return found, event

    async def rest(self) -> list[Event]:
        """Everything until the server ends the stream."""
        found = []
        while True:
            try:
                found.append(await self.event())
            except StopAsyncIteration:
                return found


class Api:
    """One case's namespace on one server.

    Args:
        client: the client under test.
        namespace: of the case.
        expire: makes every resourceVersion so far too old; see :meth:`expire`.
    """

    def __init__(self, client: Client, namespace: str, expire: Callable[[], Awaitable[None]]) -> None:
        self.client = client
        self.namespace = namespace
        self._expire = expire

    async def expire(self) -> None:
        """Make the server forget the past: every resourceVersion handed out so far is too old afterwards."""
        await self._expire()

    def manager(self, name: str) -> Api:
        """The same, with another field manager."""
        client = Client(self.client.transport, field_manager=name)
        return Api(client, self.namespace, self._expire)

    def within(self, namespace: str) -> Api:
        """The same, in another namespace."""
        return Api(self.client, namespace, self._expire)

    def key(self, kind: Kind, name: str) -> Key:
        """Key of an object of the case."""
        return Key(self.namespace if kind.KIND.namespaced else "", name)

    # -- verbs -------------------------------------------------------------------------------------------------------

    async def create(self, kind: Kind, body: Obj, query: Query | None = None) -> Obj:
        """POST."""
        namespace = self.namespace if kind.KIND.namespaced else ""
        return await self._seen(query, lambda client: client.create(kind, body, namespace))

    async def get(self, kind: Kind, name: str, query: Query | None = None) -> Obj:
        """GET."""
        return await self._seen(query, lambda client: client.get(kind, self.key(kind, name)))

    async def apply(
        self,
        kind: Kind,
        name: str,
        body: Obj,
        *,
        force: bool = False,
        subresource: str = "",
        query: Query | None = None,
    ) -> Obj:
        """Server-side apply; without force unless said."""
        key = self.key(kind, name)
        return await self._seen(
            query, lambda client: client.apply(kind, key, body, force=force, subresource=subresource)
        )

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Obj | Sequence[Obj],
        *,
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the API's own word
        subresource: str = "",
        query: Query | None = None,
    ) -> Obj:
        """PATCH, a JSON merge patch unless said."""
        key = self.key(kind, name)
        return await self._seen(query, lambda client: client.patch(kind, key, body, type=type, subresource=subresource))

    async def replace(
        self, kind: Kind, name: str, body: Obj, *, subresource: str = "", query: Query | None = None
    ) -> Obj:
        """PUT."""
        key = self.key(kind, name)
        return await self._seen(query, lambda client: client.replace(kind, key, body, subresource=subresource))

    async def delete(self, kind: Kind, name: str, query: Query | None = None, **options: Any) -> Obj:
        """DELETE; the answer is an object or a Status."""
        return await self._seen(query, lambda client: client.delete(kind, self.key(kind, name), **options))

    async def list(self, kind: Kind, **query: str) -> Obj:
        """GET of the collection in the case's namespace; parameters as given, ``continue_`` for ``continue``."""
        path = kind.KIND.path(self.namespace if kind.KIND.namespaced else "")
        found: Obj = await self.send("GET", path, query={name.rstrip("_"): value for name, value in query.items()})
        return found

    async def names(self, kind: Kind, **query: str) -> Sequence[str]:
        """Names of what :meth:`list` finds, in its order."""
        return [item["metadata"]["name"] for item in (await self.list(kind, **query))["items"]]

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        """A request the client has no method for; bytes go out as they are. JSON comes back decoded."""
        return msgspec.json.decode((await self.answer(method, path, query, body, content_type)).body)

    async def answer(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> ApiResponse:
        """As :meth:`send`, with status and headers."""
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        request = ApiRequest(
            verb=_VERBS[method],
            method=method,
            path=path,
            query=tuple((query or {}).items()),
            body=data,
            content_type=content_type,
        )
        return await self.client.transport.send(request)

    @asynccontextmanager
    async def watch(self, kind: Kind, **options: Any) -> AsyncIterator[Watching]:
        """A watch of the case's namespace by the client's own method."""
        namespace = self.namespace if kind.KIND.namespaced else ""
        options.setdefault("timeout_seconds", 50)
        async with self.client.watch(kind, namespace, **options) as stream:
            yield Watching(stream)

    @asynccontextmanager
    async def stream(self, path: str, **query: str) -> AsyncIterator[Watching]:
        """A watch with exactly these parameters."""
        pairs = (("watch", "true"), *query.items())
        async with self.client.transport.stream(
            ApiRequest(verb=Verb.WATCH, method="GET", path=path, query=pairs)
        ) as stream:
            yield Watching(stream)

    # -- waiting for what others do ----------------------------------------------------------------------------------

    async def gone(self, kind: Kind, name: str) -> None:
        """Wait until there is no such object."""
        async with asyncio.timeout(_SECONDS):
            while await self.find(kind, name) is not None:  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(_LOOK_AGAIN)

    async def becomes(self, kind: Kind, name: str, wanted: Callable[[Obj], bool]) -> Obj:
        """Wait until an object is as wanted."""
        async with asyncio.timeout(_SECONDS):
            while not wanted(found := await self.get(kind, name)):  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(_LOOK_AGAIN)
        return found

    async def find(self, kind: Kind, name: str) -> Obj | None:
        """An object, None when there is none."""
        try:
            return await self.get(kind, name)
        except NotFoundError:
            return None

    async def _seen(self, query: Query | None, call: Callable[[Client], Awaitable[Any]]) -> Obj:
        seen = _Seen(self.client.transport, query or {})
        await call(self.client.with_transport(seen))
        assert seen.answer is not None
        found: Obj = msgspec.json.decode(seen.answer.body)
        return found
