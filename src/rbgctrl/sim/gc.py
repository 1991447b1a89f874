"""What follows a deletion: dependents of a deleted owner, and the content of a deleted namespace.

Both controllers react to the storage's changes in small steps on timers, so other requests come in between as they do
in a real cluster. They need a running event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rbgctrl.api.meta import Key
from rbgctrl.sim.status import Refusal
from rbgctrl.sim.storage import ADDED, DELETED, Obj, StoredEvent
from rbgctrl.sim.verbs.delete import FOREGROUND, ORPHAN, DeleteOptions

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["GarbageCollector", "NamespaceController"]

_GC_USER: Final = "system:serviceaccount:kube-system:generic-garbage-collector"
_NS_USER: Final = "system:serviceaccount:kube-system:namespace-controller"


@dataclass(frozen=True, slots=True)
class _Node:
    """A living object: where it is."""

    resource: str
    key: Key


class _Steps:
    """A queue without duplicates that is worked off one item per timer."""

    def __init__(self, work: Callable[[str], None], delay: float) -> None:
        self._work = work
        self._delay = delay
        self._waiting: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: str) -> None:
        self._waiting[item] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._step)

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        self._timer = None
        item = next(iter(self._waiting), None)
        if item is None:
            return
        del self._waiting[item]
        try:
            self._work(item)
        finally:
            if self._waiting:
                self._timer = asyncio.get_running_loop().call_later(self._delay, self._step)


class GarbageCollector:
    """Deletes objects whose owners are gone, and holds or orphans dependents as the owner's deletion asks.

    Args:
        server: the server to look after.
        delay: seconds between two steps.
    """

    def __init__(self, server: ApiServer, *, delay: float = 0.0) -> None:
        self._server = server
        self._nodes: dict[str, _Node] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._steps = _Steps(self._attempt, delay)
        for resource in server.storage.resources():
            for record in server.storage.records(resource):
                self._observe(record)
        self._stop = server.storage.subscribe(self._on_event)

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do."""
        return not self._steps

    def close(self) -> None:
        """Stop."""
        self._stop()
        self._steps.close()

    # Graph ------------------------------------------------------------------------------------------------------------

    def _on_event(self, event: StoredEvent) -> None:
        if event.type == DELETED:
            self._forget(event)
        else:
            self._observe(event)

    def _observe(self, event: StoredEvent) -> None:
        metadata = event.obj["metadata"]
        uid = metadata["uid"]
        if event.type == ADDED or uid not in self._nodes:
            self._nodes[uid] = _Node(event.resource, event.key)
        references = metadata.get("ownerReferences")
        if references or uid in self._owners:
            self._relate(uid, tuple(reference["uid"] for reference in references or ()))
            if event.type == ADDED or references is not (event.old or event.obj)["metadata"].get("ownerReferences"):
                self._look_for_owners(uid, references or (), event.key.namespace)
        if metadata.get("deletionTimestamp") and _holding(metadata):
            self._steps.add(uid)

    def _look_for_owners(self, uid: str, references: Iterable[Obj], namespace: str) -> None:
        if any(self._known(item) and self._owner(item, namespace) is None for item in references):
            self._steps.add(uid)

    def _known(self, reference: Obj) -> bool:
        """Whether an owner's kind is served; of others nobody can say whether the owner exists."""
        return self._server.kinds.of_kind(reference["apiVersion"], reference["kind"]) is not None

    def _relate(self, uid: str, owners: tuple[str, ...]) -> None:
        before = self._owners.get(uid, ())
        if before == owners:
            return
        for owner in before:
            self._dependents.get(owner, {}).pop(uid, None)
            self._steps.add(owner)
        for owner in owners:
            self._dependents.setdefault(owner, {})[uid] = None
        self._owners[uid] = owners

    def _forget(self, event: StoredEvent) -> None:
        uid = event.obj["metadata"]["uid"]
        self._nodes.pop(uid, None)
        for owner in self._owners.pop(uid, ()):
            self._dependents.get(owner, {}).pop(uid, None)
            self._steps.add(owner)
        for dependent in self._dependents.get(uid, {}):
            self._steps.add(dependent)

    # Work -------------------------------------------------------------------------------------------------------------

    def _attempt(self, uid: str) -> None:
        node = self._nodes.get(uid)
        obj = self._server.get(node.resource, node.key) if node is not None else None
        if node is None or obj is None or obj["metadata"]["uid"] != uid:
            return
        try:
            if obj["metadata"].get("deletionTimestamp"):
                self._release(uid, node, obj)
            else:
                self._collect(uid, node, obj)
        except Refusal:  # somebody else was quicker, or a rule forbids it now: the next change brings it back
            return

    def _release(self, uid: str, node: _Node, obj: Obj) -> None:
        """Look after the dependents of an object that is being deleted, then let it go."""
        finalizers = obj["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            for dependent in tuple(self._dependents.get(uid, {})):
                self._disown(dependent, {uid})
            self._without_finalizer(node, ORPHAN)
        elif FOREGROUND in finalizers:
            blocking = [name for name in self._dependents.get(uid, {}) if self._blocks(name, uid)]
            for dependent in blocking:
                self._steps.add(dependent)
            if not blocking:
                self._without_finalizer(node, FOREGROUND)

    def _collect(self, uid: str, node: _Node, obj: Obj) -> None:
        """Delete an object none of whose owners wants it any more."""
        references = obj["metadata"].get("ownerReferences") or []
        if not references:
            return
        dangling, waiting, solid = set(), set(), set()
        for reference in references:
            owner = self._owner(reference, node.key.namespace)
            if not self._known(reference):
                return
            if owner is None:
                dangling.add(reference["uid"])
            elif _waits(owner["metadata"]) and reference.get("blockOwnerDeletion"):
                waiting.add(reference["uid"])
            else:
                solid.add(reference["uid"])
        if solid:
            if dangling or waiting:
                self._disown(uid, dangling | waiting)
        elif waiting and self._dependents.get(uid):
            self._delete(node, uid, "Foreground")
        elif waiting or dangling:
            finalizers = obj["metadata"].get("finalizers") or []
            policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
            self._delete(node, uid, policy)

    def _owner(self, reference: Obj, namespace: str) -> Obj | None:
        """The owner a reference names; None when there is none of that kind, name and uid within reach."""
        node = self._nodes.get(reference["uid"])
        if node is None or node.key.name != reference["name"] or node.key.namespace not in ("", namespace):
            return None
        obj = self._server.get(node.resource, node.key)
        if obj is None or obj["kind"] != reference["kind"] or _group(obj) != _group(reference):
            return None
        return obj if obj["metadata"]["uid"] == reference["uid"] else None

    def _blocks(self, dependent: str, owner: str) -> bool:
        node = self._nodes.get(dependent)
        obj = self._server.get(node.resource, node.key) if node is not None else None
        references = (obj["metadata"].get("ownerReferences") or ()) if obj is not None else ()
        return any(item["uid"] == owner and item.get("blockOwnerDeletion") for item in references)

    def _disown(self, uid: str, owners: set[str]) -> None:
        node = self._nodes.get(uid)
        if node is None:
            return

        def change(obj: Obj) -> Obj:
            metadata = obj["metadata"]
            kept = [item for item in metadata.get("ownerReferences") or () if item["uid"] not in owners]
            return {**obj, "metadata": {**metadata, "ownerReferences": kept}}

        self._server.update(node.resource, node.key, change, user=_GC_USER)

    def _without_finalizer(self, node: _Node, name: str) -> None:
        def change(obj: Obj) -> Obj:
            metadata = obj["metadata"]
            kept = [item for item in metadata.get("finalizers") or () if item != name]
            return {**obj, "metadata": {**metadata, "finalizers": kept}}

        self._server.update(node.resource, node.key, change, user=_GC_USER)

    def _delete(self, node: _Node, uid: str, policy: str) -> None:
        self._server.delete(node.resource, node.key, user=_GC_USER, options=DeleteOptions(uid=uid, propagation=policy))


def _holding(metadata: Obj) -> bool:
    finalizers = metadata.get("finalizers") or ()
    return ORPHAN in finalizers or FOREGROUND in finalizers


def _waits(metadata: Obj) -> bool:
    """Whether an owner is being deleted and waits for its dependents."""
    return bool(metadata.get("deletionTimestamp")) and FOREGROUND in (metadata.get("finalizers") or ())


def _group(named: Obj) -> str:
    group, slash, _ = str(named["apiVersion"]).partition("/")
    return group if slash else ""


class NamespaceController:
    """Empties namespaces that are being deleted, then lets them go.

    Args:
        server: the server to look after.
        delay: seconds between two steps.
    """

    def __init__(self, server: ApiServer, *, delay: float = 0.0) -> None:
        self._server = server
        self._steps = _Steps(self._empty, delay)
        self._stop = server.storage.subscribe(self._on_event)

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do."""
        return not self._steps

    def close(self) -> None:
        """Stop."""
        self._stop()
        self._steps.close()

    def _on_event(self, event: StoredEvent) -> None:
        if event.resource == "namespaces":
            if event.new is not None and event.new["metadata"].get("deletionTimestamp"):
                self._steps.add(event.key.name)
        elif event.type == DELETED and self._terminating(event.key.namespace):
            self._steps.add(event.key.namespace)

    def _terminating(self, name: str) -> bool:
        found = self._server.get("namespaces", Key("", name)) if name else None
        return found is not None and bool(found["metadata"].get("deletionTimestamp"))

    def _empty(self, name: str) -> None:
        if not self._terminating(name):
            return
        for event in tuple(self._content(name)):
            if event.obj["metadata"].get("deletionTimestamp"):
                continue
            try:
                self._server.delete(event.resource, event.key, user=_NS_USER)
            except Refusal:  # went away meanwhile
                continue
        if next(self._content(name), None) is None:
            self._server.update("namespaces", Key("", name), _finalized, user=_NS_USER)

    def _content(self, name: str) -> Iterator[StoredEvent]:
        for row in self._server.kinds:
            if row.kind.namespaced:
                yield from self._server.storage.records(row.resource, name)


def _finalized(obj: Obj) -> Obj:
    return {**obj, "spec": {}}
