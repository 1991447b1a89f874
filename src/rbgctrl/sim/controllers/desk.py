"""How controllers of the embedded cluster read and write: straight at the server, under its rules, each as a user."""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the same seed gives the same choices
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.clock import rfc3339
from rbgctrl.sim.call import Call
from rbgctrl.sim.controllers.clockwork import Clockwork
from rbgctrl.sim.server import ApiServer, Audited
from rbgctrl.sim.status import Refusal
from rbgctrl.sim.storage import ADDED, Obj, StoredEvent
from rbgctrl.sim.subresources import bind
from rbgctrl.sim.verbs.delete import DeleteOptions

__all__ = ["Change", "Desk", "React", "Watches"]

Change: TypeAlias = Callable[[Obj], "Obj | None"]
"""From the stored object to the wanted one; None to leave it. Never changes its argument."""
React: TypeAlias = Callable[[StoredEvent], None]

_EXPECTED = (404, 409)  # somebody was faster: what they did wakes us again


class Watches:
    """Tells controllers what changes, by resource."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._reactions: dict[str, list[React]] = {}
        self.stop = server.storage.subscribe(self._on_event)

    def add(self, resource: str, react: React) -> None:
        """Call ``react`` for every object there is, and for every change from now on. It must not write."""
        self._reactions.setdefault(resource, []).append(react)
        for record in self._server.storage.records(resource):
            react(StoredEvent(ADDED, resource, record.key, record.revision, old=None, new=record.obj, obj=record.obj))

    def _on_event(self, event: StoredEvent) -> None:
        for react in self._reactions.get(event.resource, ()):
            react(event)


class Desk:
    """One controller's access to the cluster.

    A write that lost a race (the object is gone, or is there already) does nothing: controllers look again whenever
    something changes. Any other refusal is a defect of the controller and is raised.

    Args:
        server: the API server.
        watches: shared by all controllers of the cluster.
        clockwork: when things run.
        user: who writes.
        seed: of the cluster.
    """

    def __init__(self, server: ApiServer, watches: Watches, clockwork: Clockwork, *, user: str, seed: int) -> None:
        self.server = server
        self.clockwork = clockwork
        self.user = user
        self.random = random.Random(f"{seed}/{user}")  # noqa: S311 - decides ties, not secrets
        self.watch = watches.add

    def now(self) -> datetime:
        """The present."""
        return self.server.now()

    def stamp(self) -> str:
        """The present as API objects write it."""
        return rfc3339(self.server.now())

    def get(self, resource: str, key: Key) -> Obj | None:
        """The stored object, or None."""
        return self.server.storage.get(resource, key)

    def list(self, resource: str, namespace: str = "") -> list[Obj]:
        """The stored objects."""
        return self.server.storage.list(resource, namespace)

    def create(self, resource: str, namespace: str, obj: Mapping[str, Any]) -> Obj | None:
        """Create an object; None when it exists already, or its namespace is going away."""
        made = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        try:
            return self.server.create(resource, made, user=self.user)
        except Refusal as refusal:
            if refusal.code in (*_EXPECTED, 403):
                return None
            raise

    def update(self, resource: str, key: Key, change: Change, *, subresource: str = "") -> Obj | None:
        """Change an object; None when there is none, or ``change`` leaves it."""
        live = self.server.storage.get(resource, key)
        wanted = change(live) if live is not None else None
        if wanted is None:
            return None
        try:
            return self.server.update(resource, key, lambda _live: wanted, user=self.user, subresource=subresource)
        except Refusal as refusal:
            if refusal.code in _EXPECTED:
                return None
            raise

    def update_status(self, resource: str, key: Key, change: Change) -> Obj | None:
        """Change the status of an object; None when there is none, or ``change`` leaves it."""
        return self.update(resource, key, change, subresource="status")

    def bind(self, key: Key, uid: str, node: str) -> bool:
        """Put this very pod on a node; whether that was still possible."""
        row = self.server.kinds.resource("pods")
        record = self.server.storage.record("pods", key)
        if record is None or record.obj["metadata"]["uid"] != uid:
            return False
        path = row.kind.path(key.namespace, key.name, "binding")
        request = ApiRequest(verb=Verb.CREATE, method="POST", path=path, kind=row.kind, key=key, subresource="binding")
        call = Call(row=row, key=key, subresource="binding", query={}, request=request, user=self.user, agent=self.user)
        code = 201
        try:
            bind(self.server, call, record, node)
        except Refusal as refusal:
            code = refusal.code
        self.server.audit.append(Audited(self.user, request, code))
        return code == 201

    def delete(self, resource: str, key: Key, *, uid: str, grace: int | None = None) -> None:
        """Delete this very object, unless it is gone."""
        try:
            self.server.delete(resource, key, user=self.user, options=DeleteOptions(uid=uid, grace=grace))
        except Refusal as refusal:
            if refusal.code not in _EXPECTED:
                raise

    def event(self, subject: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Record an Event about an object; of equal ones only the first is written."""
        metadata = subject["metadata"]
        digest = random.Random(orjson.dumps([metadata["uid"], reason, message]))  # noqa: S311 - a name, not a secret
        now = self.stamp()
        body = {
            "metadata": {"name": f"{metadata['name'][:200]}.{digest.getrandbits(64):016x}"},
            "involvedObject": {
                "apiVersion": subject["apiVersion"],
                "kind": subject["kind"],
                "namespace": metadata.get("namespace", ""),
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self.user.removeprefix("system:")},
        }
        self.create("events", metadata.get("namespace") or "default", body)
