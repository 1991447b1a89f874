"""The verbs of the Kubernetes API, typed: requests out, frozen objects back.

Guarantees: any HTTP status of 400 or more is raised as the class of that condition, on every path, streams included;
a write is never repeated unless it surely was not committed; a lost answer to a write is ``UnknownOutcomeError``.
Assumptions: bodies are JSON-like mappings; they may hold ``msgspec.Raw`` (sent as it is), Structs and pydantic models.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from rbgctrl.api.meta import Key, Resource
from rbgctrl.client.decode import Page, decoder
from rbgctrl.client.errors import ConfigError, GoneError
from rbgctrl.client.requests import Body, Query, check, collection, complete, delete_options, encode, named, query_of
from rbgctrl.client.transport import ApiRequest, ApiStream, Transport, Verb

__all__ = ["Backend", "Client", "Page", "PatchType"]

R = TypeVar("R", bound=Resource)
APPLY = "application/apply-patch+yaml"  # takes JSON as well, and servers of every version know it
_LIST_RESTARTS = 3
_PAGE = 500


class PatchType(Enum):
    """How a patch body is read by the server; the value is its content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class Backend(Protocol):
    """What a client connected to a real server can do beyond sending requests."""

    server: str

    def dedicated(self, limit: int) -> Transport:
        """A transport to the same server with connections of its own, at most ``limit``."""
        ...

    def api_client(self) -> Any:
        """A ``kubernetes_asyncio.client.ApiClient`` for the same server."""
        ...


class Client:
    """One door to one API server. Make it with :func:`rbgctrl.client.connect`, or over any :class:`Transport`.

    Args:
        transport: where requests go; closed with the client.
        field_manager: name under which the server records what we wrote.
        namespace: namespace of the kubeconfig context or service account, for callers that need a default.
        backend: set by ``connect``; without it :meth:`dedicated` shares the transport.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str = "rbg",
        namespace: str = "default",
        backend: Backend | None = None,
    ) -> None:
        self.transport = transport
        self.field_manager = field_manager
        self.namespace = namespace
        self._backend = backend
        self._borrowed = False  # whether the transport is somebody else's to close
        self._wrapped = False  # whether requests must go through this transport and no other

    @property
    def server(self) -> str:
        """URL of the server; ``""`` when the transport is not a connection."""
        return self._backend.server if self._backend else ""

    async def get(self, kind: type[R], key: Key, *, resource_version: str | None = None) -> R:
        """Read one object.

        Args:
            kind: its type.
            key: its namespace and name.
            resource_version: None reads the latest; ``"0"`` whatever the server has cached; a number that or newer.

        Raises:
            NotFoundError: there is none.
            UndecodableError: it does not fit ``kind``.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        query = (("resourceVersion", resource_version),) if resource_version is not None else ()
        return await self._object(kind, named(kind, key, Verb.GET, "GET", query=query))

    async def pages(
        self,
        kind: type[R],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = _PAGE,
        resource_version: str = "",
        resource_version_match: str = "",
    ) -> AsyncIterator[Page[R]]:
        """Read a collection page by page; all pages are of one snapshot.

        Args:
            kind: type of the items.
            namespace: ``""`` for all namespaces.
            label_selector: in the API's syntax.
            field_selector: in the API's syntax.
            limit: items per page; the server may send more, or all, when it answers from its cache.
            resource_version: ``""`` for the latest.
            resource_version_match: ``Exact`` or ``NotOlderThan``; needs ``resource_version``.

        Raises:
            GoneError: ``resource_version`` or, between pages, the snapshot is too old: start again from the first page.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        selectors = query_of(labelSelector=label_selector, fieldSelector=field_selector, limit=str(limit))
        start = query_of(resourceVersion=resource_version, resourceVersionMatch=resource_version_match)
        request = collection(kind, namespace, Verb.LIST, query=selectors + start)
        while True:
            page = decoder(kind).list((await self.transport.send(request)).body)
            yield page
            if not page.continue_token:
                return
            # A continue token carries the snapshot's version; naming one beside it is refused.
            request = collection(kind, namespace, Verb.LIST, query=(*selectors, ("continue", page.continue_token)))

    async def list(
        self, kind: type[R], namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Page[R]:
        """Read a whole collection in one snapshot, as one page.

        When the snapshot expires between pages, starts again from the first, at most three times.

        Raises:
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        for attempt in range(_LIST_RESTARTS + 1):
            found: list[Page[R]] = []
            try:
                async for page in self.pages(
                    kind, namespace, label_selector=label_selector, field_selector=field_selector
                ):
                    found.append(page)  # noqa: PERF401 - the pages read so far are needed when the next one fails
            except GoneError:
                if not found or attempt == _LIST_RESTARTS:
                    raise
                continue
            return Page(
                tuple(item for page in found for item in page.items),
                tuple(item for page in found for item in page.invalid),
                found[-1].resource_version,
                "",
            )
        raise AssertionError("unreachable")

    def watch(
        self,
        kind: type[R],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_seconds: int,
        send_initial_events: bool = False,
    ) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch; entering the context sends the request, leaving it closes the connection.

        The stream yields raw lines for :func:`rbgctrl.client.decode.decode_event`. Bookmarks are always asked for.

        Args:
            kind: type of the objects.
            namespace: ``""`` for all namespaces.
            label_selector: in the API's syntax.
            field_selector: in the API's syntax.
            resource_version: where to start; ``""`` with ``send_initial_events`` means a consistent read.
            timeout_seconds: after how long the server ends the watch.
            send_initial_events: stream the initial list first (``WatchList``).

        Raises:
            GoneError: ``resource_version`` is too old (it may also come as an ERROR event).
            ApiError: as described in :mod:`rbgctrl.client.errors`; a refused watch is raised, never streamed.
        """
        query: Query = (("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(timeout_seconds)))
        query += query_of(labelSelector=label_selector, fieldSelector=field_selector, resourceVersion=resource_version)
        if send_initial_events:
            query += (("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"))
        return self.transport.stream(collection(kind, namespace, Verb.WATCH, query=query))

    async def create(self, kind: type[R], body: Body, namespace: str = "") -> R:
        """Create an object (POST). ``apiVersion`` and ``kind`` are filled in.

        Args:
            kind: its type.
            body: with ``metadata.name`` or ``metadata.generateName``.
            namespace: where; ``""`` means ``metadata.namespace``.

        Raises:
            AlreadyExistsError: the name is taken.
            UnknownOutcomeError: it may or may not exist now.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        metadata = body.get("metadata") or {}
        key = Key(namespace or metadata.get("namespace", ""), metadata.get("name", ""))
        check(kind.KIND, key, needs_name=False)
        request = ApiRequest(
            verb=Verb.CREATE,
            method="POST",
            path=kind.KIND.path(key.namespace),
            query=(("fieldManager", self.field_manager),),
            body=encode(complete(kind.KIND, Key(key.namespace, ""), body)),
            kind=kind.KIND,
            key=key,
        )
        return await self._object(kind, request)

    async def apply(
        self,
        kind: type[R],
        key: Key,
        body: Body,
        *,
        force: bool = True,
        field_manager: str | None = None,
        subresource: str = "",
    ) -> R:
        """Create or update by server-side apply. ``apiVersion``, ``kind``, name and namespace are filled in.

        With ``metadata.uid`` in the body a deleted object is never brought back (``ConflictError``), with
        ``metadata.resourceVersion`` a stale apply is refused, even when forced.

        Args:
            kind: its type.
            key: its namespace and name.
            body: the fields we own, all of them.
            force: take over fields of other managers instead of failing.
            field_manager: other than the client's.
            subresource: e.g. ``status``.

        Raises:
            ConflictError: a precondition failed, or without ``force`` somebody else owns a field.
            UnknownOutcomeError: it may or may not have been applied.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        query = (("fieldManager", field_manager or self.field_manager), ("force", "true" if force else "false"))
        payload = encode(complete(kind.KIND, key, body))
        request = named(kind, key, Verb.APPLY, "PATCH", query, payload, APPLY, subresource)
        return await self._object(kind, request)

    async def patch(
        self,
        kind: type[R],
        key: Key,
        body: Body | Sequence[Body],
        *,
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the API's own word
        subresource: str = "",
    ) -> R:
        """Change parts of an existing object.

        Args:
            kind: its type.
            key: its namespace and name.
            body: a mapping, or the operations of a JSON patch.
            type: how the server reads it; strategic merge is for built-in kinds only.
            subresource: e.g. ``status``; the answer must be the object itself.

        Raises:
            NotFoundError: there is no such object.
            ConflictError: a uid or resourceVersion in the body does not match.
            UnknownOutcomeError: it may or may not have been patched.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        query = (("fieldManager", self.field_manager),)
        request = named(kind, key, Verb.PATCH, "PATCH", query, encode(body), type.value, subresource)
        return await self._object(kind, request)

    async def replace(self, kind: type[R], key: Key, body: Body, *, subresource: str = "") -> R:
        """Replace a whole object (PUT). Never give it a cached projection: fields we do not know would be lost.

        Raises:
            ConflictError: ``metadata.resourceVersion`` in the body is not the latest.
            UnknownOutcomeError: it may or may not have been replaced.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        query = (("fieldManager", self.field_manager),)
        payload = encode(complete(kind.KIND, key, body))
        request = named(kind, key, Verb.UPDATE, "PUT", query, payload, subresource=subresource)
        return await self._object(kind, request)

    async def delete(
        self,
        kind: type[R],
        key: Key,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
        grace_period_seconds: int | None = None,
    ) -> R | None:
        """Delete an object.

        Args:
            kind: its type.
            key: its namespace and name.
            uid: delete only this very object; always give it when it is known.
            resource_version: delete only this version of it.
            propagation: ``Background``, ``Foreground`` or ``Orphan``; None for the kind's default.
            grace_period_seconds: for pods; None for the pod's own.

        Returns:
            The object when the server sent it (still terminating, or its final state), None when it sent a ``Status``.

        Raises:
            NotFoundError: it was gone already.
            ConflictError: a precondition does not match.
            UnknownOutcomeError: it may or may not have been deleted.
            ApiError: as described in :mod:`rbgctrl.client.errors`.
        """
        body = encode(delete_options(uid, resource_version, propagation, grace_period_seconds))
        request = named(kind, key, Verb.DELETE, "DELETE", body=body)
        return decoder(kind).object_or_status((await self.transport.send(request)).body, request)

    async def get_raw(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> bytes:
        """The body at a path outside the typed API, e.g. ``/version`` or ``/readyz``."""
        request = ApiRequest(verb=Verb.GET, method="GET", path=path, query=query)
        return (await self.transport.send(request)).body

    def with_transport(self, transport: Transport) -> Client:
        """The same client over another transport, usually a wrapper around this one's (see ``client.wrappers``)."""
        return self._over(transport, borrowed=False)

    def dedicated(self, limit: int = 2) -> Client:
        """A client to the same server with its own connections, so that it never queues behind this one's.

        For lease renewal: it repeats nothing by itself, so the caller's deadlines hold. It has its own :meth:`aclose`.
        Over a wrapper or a simulated server it shares the transport, and closing it does nothing.
        """
        own = None if self._wrapped or self._backend is None else self._backend.dedicated(limit)
        return self._over(own or self.transport, borrowed=own is None)

    def api_client(self) -> Any:
        """A ``kubernetes_asyncio.client.ApiClient`` with the same server, TLS settings and credentials.

        For embedders who want that library's generated APIs. The first call imports it (about 0.5 s and 38 MB). Close
        it yourself. Its known defects stay: with ``_preload_content=False`` an HTTP error is not raised.

        Raises:
            ConfigError: this client was not made by ``connect``.
        """
        if self._backend is None:
            raise ConfigError("Only a client made by connect() can make an ApiClient; this one has no server.")
        return self._backend.api_client()

    async def aclose(self) -> None:
        """Close connections; safe to call twice. Requests under way fail."""
        if not self._borrowed:
            await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _over(self, transport: Transport, *, borrowed: bool) -> Client:
        client = Client(transport, field_manager=self.field_manager, namespace=self.namespace, backend=self._backend)
        client._wrapped = True
        client._borrowed = borrowed
        return client

    async def _object(self, kind: type[R], request: ApiRequest) -> R:
        return decoder(kind).valid((await self.transport.send(request)).body, request)
