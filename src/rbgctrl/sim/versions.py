"""Kinds that are served in several versions: stored in one of them, converted on the way in and out.

A request in another version sees the server through a view whose storage speaks that version, so no verb knows of it.
The real one asks the webhook that the definition names; here our own functions take its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from rbgctrl.api.admission import KINDS, AdmissionOptions, review
from rbgctrl.api.conversion import RULES, V1ALPHA2, ConversionError, convert
from rbgctrl.api.meta import Key
from rbgctrl.sim.schema import Found, admit
from rbgctrl.sim.status import Cause, Refusal
from rbgctrl.sim.storage import Obj, Storage, StoredEvent

if TYPE_CHECKING:
    from rbgctrl.sim.kinds import Row
    from rbgctrl.sim.server import ApiServer

__all__ = ["CONVERSION", "Version", "version_of", "viewed", "webhook_admission"]

_SERVICE: Final = {"name": "rbgs-webhook-service", "namespace": "rbgs-system", "path": "/convert"}
CONVERSION: Final = {
    "strategy": "Webhook",
    "webhook": {"clientConfig": {"service": _SERVICE}, "conversionReviewVersions": ["v1"]},
}
"""``spec.conversion`` of our definitions whose versions differ."""

_ADAPTERS: Final = "rolebasedgroupscalingadapters.workloads.x-k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One of the versions that a kind is not stored in.

    Attributes:
        api_version: it.
        stored: the row of the version that is stored.
        webhook: converted by our functions; otherwise nothing but ``apiVersion`` differs.
    """

    api_version: str
    stored: Row
    webhook: bool

    def shown(self, event: StoredEvent) -> StoredEvent:
        """A stored change, as this version has it.

        Raises:
            Refusal: 500, it cannot be converted.
        """
        old, new = (None if obj is None else self._to(obj, self.api_version) for obj in (event.old, event.new))
        obj = new if event.obj is event.new and new is not None else self._to(event.obj, self.api_version)
        return StoredEvent(event.type, event.resource, event.key, event.revision, old=old, new=new, obj=obj)

    def kept(self, obj: Obj) -> Obj:
        """An object of this version as it is stored; with its defaults, which readers would see anyway.

        Raises:
            Refusal: 500, it cannot be converted.
        """
        row = self.stored
        made = self._to(obj, row.kind.api_version)
        return cast("Obj", admit(row.schema, made, Found())) if row.schema.type else made

    def _to(self, obj: Obj, version: str) -> Obj:
        if not self.webhook:
            return {**obj, "apiVersion": version}
        try:
            made = convert(obj, version)
        except ConversionError as error:
            kind = f"{version}, Kind={obj['kind']}"
            raise Refusal(500, "", f"conversion webhook for {kind} failed: {error}") from None
        return {"kind": made["kind"], "apiVersion": version, **made}


def version_of(row: Row, stored: Row, *, webhook: bool) -> Version:
    """How a row of another version is converted.

    Raises:
        Refusal: 501, by a webhook that nobody can call here.
    """
    if webhook and row.kind.kind not in RULES:
        message = f"the conversion webhook of {row.resource}"
        raise Refusal(501, "NotImplemented", f"the embedded cluster has no {message}", details={})
    return Version(api_version=row.kind.api_version, stored=stored, webhook=webhook)


class _StorageView:
    """The storage, with the objects of one resource in one of its other versions."""

    def __init__(self, storage: Storage, resource: str, version: Version) -> None:
        self._storage = storage
        self._resource = resource
        self._version = version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def _all(self, resource: str, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        return [self._version.shown(event) for event in events] if resource == self._resource else list(events)

    def get(self, resource: str, key: Key) -> Obj | None:
        record = self.record(resource, key)
        return None if record is None else record.obj

    def record(self, resource: str, key: Key) -> StoredEvent | None:
        found = self._storage.record(resource, key)
        return self._version.shown(found) if found is not None and resource == self._resource else found

    def records(self, resource: str, namespace: str = "") -> list[StoredEvent]:
        return self._all(resource, self._storage.records(resource, namespace))

    def snapshot(self, resource: str, namespace: str, revision: int) -> list[StoredEvent]:
        return self._all(resource, self._storage.snapshot(resource, namespace, revision))

    def commit(self, resource: str, key: Key, obj: Obj) -> StoredEvent:
        if resource != self._resource:
            return self._storage.commit(resource, key, obj)
        return self._version.shown(self._storage.commit(resource, key, self._version.kept(obj)))

    def remove(self, resource: str, key: Key) -> StoredEvent:
        found = self._storage.remove(resource, key)
        return self._version.shown(found) if resource == self._resource else found


class _ServerView:
    def __init__(self, server: ApiServer, storage: _StorageView) -> None:
        self._server = server
        self.storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


def viewed(server: ApiServer, row: Row) -> ApiServer:
    """The server as requests to ``row`` shall see it."""
    if row.version is None:
        return server
    return cast("ApiServer", _ServerView(server, _StorageView(server.storage, row.resource, row.version)))


# Admission ------------------------------------------------------------------------------------------------------------


def webhook_admission(
    server: ApiServer, options: AdmissionOptions | None = None
) -> Callable[[Row, Obj, Obj | None], list[Cause]]:
    """Our validation as an entry of :attr:`ApiServer.admission`: refuses with 403, as a webhook's denial is worded.

    Args:
        server: whose scaling adapters are asked.
        options: what the installation allows.
    """
    chosen = options or AdmissionOptions()

    def check(row: Row, obj: Obj, before: Obj | None) -> list[Cause]:
        kind = row.kind.kind
        if kind not in KINDS or row.kind.group != V1ALPHA2.partition("/")[0]:
            return []
        new, old = (item and convert(item, V1ALPHA2) for item in (obj, before))
        namespace = obj["metadata"].get("namespace", "")

        def adapter(name: str) -> int | None:
            found = server.storage.get(_ADAPTERS, Key(namespace, name)) or {}
            replicas = (found.get("spec") or {}).get("replicas")
            return replicas if isinstance(replicas, int) else None

        verdict = review(kind, new or {}, old, chosen, adapter)
        if verdict.errors:
            text = f'admission webhook "v{kind.lower()}.kb.io" denied the request: {verdict.message}'
            raise Refusal(403, "Forbidden", text, details={})
        return []

    return check
