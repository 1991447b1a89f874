"""The API server of the embedded cluster: one code path for HTTP and for calls in the same process.

**Flow.** :meth:`ApiServer.handle` takes a request apart, looks up the kind's row, lets the verb's module do its work on
the storage, and turns refusals into ``Status`` answers. Watches are opened by :meth:`ApiServer.open_watch`.

**Guarantees.** Everything between taking a request and its answer is one step of the event loop: no write sees half of
another. Names, uids and versions depend only on the seed and the order of requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from rbgctrl import crds
from rbgctrl.api.conversion import RULES
from rbgctrl.api.meta import Key
from rbgctrl.client.observe import ClientObserver
from rbgctrl.client.transport import ApiRequest, ApiResponse, Verb
from rbgctrl.clock import Now, rfc3339, utcnow
from rbgctrl.sim import foreign
from rbgctrl.sim.builtin import rows
from rbgctrl.sim.call import APPLY_TYPES, Call, Write, locate
from rbgctrl.sim.compaction import Compactor
from rbgctrl.sim.crds import CRDS, established, rows_of
from rbgctrl.sim.discovery import discover
from rbgctrl.sim.draws import Draws
from rbgctrl.sim.kinds import KindTable, Row
from rbgctrl.sim.managed import UPDATE, Manager
from rbgctrl.sim.pipeline import Outcome, change, create, record_or_404
from rbgctrl.sim.status import Cause, PageNotFound, Refusal, no_such_path, not_allowed, not_found, not_implemented
from rbgctrl.sim.storage import DELETED, Obj, Storage, StoredEvent
from rbgctrl.sim.subresources import SUBRESOURCES, UNUSED
from rbgctrl.sim.transport import InProcessTransport
from rbgctrl.sim.verbs.delete import DeleteOptions, delete_collection, delete_object, remove
from rbgctrl.sim.verbs.read import get_object, list_objects
from rbgctrl.sim.verbs.write import apply_object, create_object, patch_object, replace_object
from rbgctrl.sim.versions import CONVERSION, viewed
from rbgctrl.sim.watch import BrokenWatchError, Hub, Watch

__all__ = ["BODY_MAX", "Admission", "ApiServer", "Audited", "ServerOptions"]

Admission = Callable[[Row, Obj, Obj | None], list[Cause]]
"""A rule beside those of the kinds, as a validating webhook would be: ``(kind, object, object before)``."""

BODY_MAX: Final = 3 * 2**20
"""Largest body of a request, bytes."""

_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How the server behaves.

    Attributes:
        history: changes kept in ``storage.history`` for checks; None for all.
        audit: requests kept in ``audit``.
        window_seconds: how far back watches can resume and old snapshots be read.
        bookmark_seconds: between bookmarks of a watch.
        watch_backlog: lines a watch may fall behind before it is ended.
        install_crds: whether our own kinds, and pod groups of gang schedulers, are there from the start.
    """

    history: int | None = 200_000
    audit: int | None = 200_000
    window_seconds: float = 300.0
    bookmark_seconds: float = 60.0
    watch_backlog: int = 100_000
    install_crds: bool = True


class Audited(NamedTuple):
    """One request and its answer's code."""

    user: str
    request: ApiRequest
    code: int


class ApiServer:
    """An API server in this process.

    Args:
        now: the clock of timestamps.
        seed: decides uids and generated names.
        options: see :class:`ServerOptions`.
        storage: an existing database; a new one by default.

    Attributes:
        storage: all objects and their changes.
        kinds: what is served.
        audit: requests, oldest first, reads and watches included.
        draws: uids, name suffixes and addresses.
        admission: further rules for writes; add your own.
        hub: open watches.
    """

    def __init__(
        self,
        *,
        now: Now = utcnow,
        seed: int = 0,
        options: ServerOptions | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.options = options or ServerOptions()
        self.now = now
        self.storage = storage if storage is not None else Storage(history=self.options.history)
        self.kinds = KindTable(rows())
        self.audit: deque[Audited] = deque(maxlen=self.options.audit)
        self.admission: list[Admission] = []
        self.draws = Draws(seed)
        self._second = (-1, "")  # the last timestamp and its text
        self.storage.subscribe(self._serve)
        Compactor(self.storage, now, self.options.window_seconds)
        self.hub = Hub(self.storage, backlog=self.options.watch_backlog, bookmark_seconds=self.options.bookmark_seconds)
        self._install()

    # Requests ---------------------------------------------------------------------------------------------------------

    async def handle(self, request: ApiRequest, *, user: str = "admin", agent: str = "") -> ApiResponse:
        """Answer a request. Refusals are answers with a status of 400 or more; what is raised is a defect in here."""
        try:
            response = await self._dispatch(request, user, agent)
        except Refusal as refusal:
            response = refusal.response()
        self.audit.append(Audited(user, request, response.status))
        return response

    async def open_watch(self, request: ApiRequest, *, user: str = "admin", agent: str = "") -> Watch | ApiResponse:
        """Open a watch; an answer of 400 or more when it is refused. End it with :meth:`Watch.end`."""
        try:
            call = self._call(request, user, agent)
            opened = self.hub.open(call)
        except Refusal as refusal:
            self.audit.append(Audited(user, request, refusal.code))
            return refusal.response()
        self.audit.append(Audited(user, request, 200))
        return opened

    def transport(
        self, *, user: str = "admin", agent: str = "", observer: ClientObserver | None = None
    ) -> InProcessTransport:
        """A transport for :class:`rbgctrl.client.Client` that needs no socket."""
        return InProcessTransport(self, user=user, agent=agent, observer=observer)

    def disconnect(self, *, clean: bool = True) -> None:
        """End all watches: cleanly as a server that shuts down, or broken as one that was killed."""
        for watch in self.hub.watches():
            watch.end(None if clean else BrokenWatchError("connection reset by peer"))

    async def _dispatch(self, request: ApiRequest, user: str, agent: str) -> ApiResponse:
        document = discover(self, request)
        if document is not None:
            return document
        if request.body is not None and len(request.body) > BODY_MAX:
            raise Refusal(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_MAX}", details={})
        call = self._call(request, user, agent)
        if not call.row.deprecation:
            return await ApiServer._answer(viewed(self, call.row), call, request.method)
        try:
            response = await ApiServer._answer(viewed(self, call.row), call, request.method)
        except Refusal as refusal:
            response = refusal.response()
        return _warned(response, call.row.deprecation)

    async def _answer(self, call: Call, method: str) -> ApiResponse:
        if call.subresource not in ("", "status"):
            return ApiServer._subresource(self, call)
        if call.subresource and method == "GET":
            return await get_object(self, call)
        if method == "GET":
            return await (get_object(self, call) if call.key.name else list_objects(self, call))
        return ApiServer._write(self, call, method)

    def _write(self, call: Call, method: str) -> ApiResponse:
        if not call.key.name and call.row.kind.namespaced and not call.key.namespace:
            raise PageNotFound() if call.row.custom else not_allowed()
        if method == "POST" and not call.key.name:
            return create_object(self, call)
        if method == "DELETE" and not call.subresource:
            return delete_object(self, call) if call.key.name else delete_collection(self, call)
        if call.key.name and method == "PATCH":
            base = call.request.content_type.partition(";")[0].strip()
            return apply_object(self, call) if base in APPLY_TYPES else patch_object(self, call)
        if call.key.name and method == "PUT":
            return replace_object(self, call)
        raise not_allowed()

    def _subresource(self, call: Call) -> ApiResponse:
        handler = SUBRESOURCES.get((call.row.resource, call.subresource)) or SUBRESOURCES.get(("", call.subresource))
        if handler is None or (call.subresource == "scale" and call.row.scale is None):
            raise _no_subresource(call.row, call.key, call.subresource)
        return handler(self, call)

    def _call(self, request: ApiRequest, user: str, agent: str) -> Call:
        row, key, subresource = locate(self.kinds, request.path)
        if subresource == "status" and not row.status:
            raise _no_subresource(row, key, subresource)
        return Call(
            row=row,
            key=key,
            subresource=subresource,
            query=dict(request.query),
            request=request,
            user=user,
            agent=agent,
        )

    # Writes from inside -----------------------------------------------------------------------------------------------

    def get(self, resource: str, key: Key) -> Obj | None:
        """The stored object, or None. Never change it."""
        return self.storage.get(resource, key)

    def create(self, resource: str, obj: Obj, *, user: str) -> Obj:
        """Create an object as a component of the cluster would.

        Raises:
            Refusal: as a real create would be refused.
        """
        row = self.kinds.resource(resource)
        obj = {"kind": row.kind.kind, "apiVersion": row.kind.api_version, **obj}
        namespace = obj["metadata"].get("namespace", "")
        return self._audited(
            user,
            Verb.CREATE,
            "POST",
            row,
            Key(namespace, obj["metadata"].get("name", "")),
            "",
            lambda: create(self, row, namespace, obj, self._own(row, user, "")),
        )

    def update(
        self, resource: str, key: Key, change_it: Callable[[Obj], Obj], *, user: str, subresource: str = ""
    ) -> Obj:
        """Change an object as a component of the cluster would: same rules, versions and history as over the API.

        Args:
            resource: ``plural.group``.
            key: which.
            change_it: from the stored object to the wanted one; must not change its argument.
            user: recorded in ``audit`` and as field manager.
            subresource: ``status`` to change the status.

        Raises:
            Refusal: 404 when there is none, or as a real update would be refused.
        """
        row = self.kinds.resource(resource)
        old = record_or_404(self, row, key)
        return self._audited(
            user,
            Verb.UPDATE,
            "PUT",
            row,
            key,
            subresource,
            lambda: change(self, row, key, old, change_it(old.obj), self._own(row, user, subresource)),
        )

    def delete(self, resource: str, key: Key, *, user: str, options: DeleteOptions | None = None) -> bool:
        """Delete an object as a component of the cluster would; whether it is gone.

        Raises:
            Refusal: 404 when there is none, 409 when a precondition fails.
        """
        row = self.kinds.resource(resource)
        old = record_or_404(self, row, key)
        gone = False

        def act() -> Outcome:
            nonlocal gone
            gone, outcome = remove(self, row, key, old, options or DeleteOptions())
            return outcome

        self._audited(user, Verb.DELETE, "DELETE", row, key, "", act)
        return gone

    def _audited(
        self, user: str, verb: Verb, method: str, row: Row, key: Key, subresource: str, act: Callable[[], Outcome]
    ) -> Obj:
        request = ApiRequest(
            verb=verb,
            method=method,
            path=row.kind.path(key.namespace, "" if verb is Verb.CREATE else key.name, subresource),
            kind=row.kind,
            key=key,
            subresource=subresource,
        )
        try:
            obj = act().obj
        except Refusal as refusal:
            self.audit.append(Audited(user, request, refusal.code))
            raise
        self.audit.append(Audited(user, request, 201 if verb is Verb.CREATE else 200))
        return obj

    def _own(self, row: Row, user: str, subresource: str) -> Write:
        name = user.removeprefix("system:")
        return Write(manager=Manager(name, UPDATE, row.kind.api_version, subresource))

    # What the parts ask for -------------------------------------------------------------------------------------------

    def now_text(self) -> str:
        """The present as API objects write it."""
        now = self.now()
        second = int(now.timestamp())
        if self._second[0] != second:
            self._second = second, rfc3339(now)
        return self._second[1]

    def creating(self, row: Row, obj: Obj, *, dry_run: bool) -> None:
        """Last touches to a new object that depend on the whole server. Changes ``obj``."""
        if row.resource == "services" and obj["spec"].get("type") != "ExternalName":
            address = obj["spec"].get("clusterIP") or ("10.96.0.0" if dry_run else self.draws.address())
            obj["spec"] = {**obj["spec"], "clusterIP": address, "clusterIPs": [address]}
        elif row.resource == CRDS:
            rows_of(obj)
            obj["status"] = established(obj, self.now_text())

    def _serve(self, event: StoredEvent) -> None:
        if event.resource != CRDS:
            return
        spec: Mapping[str, Any] = event.obj["spec"]
        self.kinds.remove(spec["group"], spec["names"]["plural"])
        if event.type != DELETED:
            for row in rows_of(event.obj):
                self.kinds.add(row)

    def _install(self) -> None:
        for name in _NAMESPACES:
            if self.storage.get("namespaces", Key("", name)) is None:
                self.create("namespaces", {"metadata": {"name": name}}, user="system:apiserver")
        for document in (*crds.shared(), *foreign.definitions()) if self.options.install_crds else ():
            if self.storage.get(CRDS, Key("", document["metadata"]["name"])) is None:
                self.create(CRDS, _converted(document), user="system:apiserver")
        for record in self.storage.records(CRDS):
            self._serve(record)


def _converted(document: Obj) -> Obj:
    """A definition as installed beside a webhook, where its versions differ."""
    spec = document["spec"]
    if len(spec["versions"]) == 1 or RULES.get(spec["names"]["kind"]) is None:
        return document
    return {**document, "spec": {**spec, "conversion": CONVERSION}}


def _warned(response: ApiResponse, text: str) -> ApiResponse:
    warnings = [f'299 - "{text}"', *(value for name, value in response.headers.items() if name == "Warning")]
    return replace(response, headers={**response.headers, "Warning": ", ".join(warnings)})


def _no_subresource(row: Row, key: Key, name: str) -> Refusal:
    if row.custom:
        return not_found(row.resource, key.name)
    if (row.resource, name) in UNUSED:
        return not_implemented(f"{row.resource}/{name}")
    return no_such_path()
