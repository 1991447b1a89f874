"""The database of the embedded cluster: objects, one counter of revisions, and every change in order.

One event loop, no locks. Objects are JSON dicts that nobody changes once they are stored; a change stores a new dict
that shares what stayed the same. The JSON bytes of a change are made once, when first asked for, and shared by its
answer and every watch; those of older changes are dropped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import orjson

from rbgctrl.api.meta import Key

__all__ = ["ADDED", "DELETED", "MODIFIED", "CompactedError", "Obj", "Storage", "StoredEvent"]

Obj: TypeAlias = dict[str, Any]
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
_KEPT_RAW = 1000  # changes whose bytes are kept: enough for answers and watches, little beside the objects


class CompactedError(Exception):
    """The revision asked for is older than what is kept; read the present instead."""


class StoredEvent:
    """One change of one object.

    Attributes:
        type: ``ADDED``, ``MODIFIED`` or ``DELETED``.
        resource: ``plural.group``, as :attr:`rbgctrl.api.meta.Kind.resource`.
        key: namespace and name.
        old: the object before; None when it was created.
        new: the object after; None when it was deleted.
        revision: of the change; also the resourceVersion of :attr:`obj`.
        obj: what a watch shows: the new object, or a deleted one's last state with the deletion's resourceVersion.
    """

    __slots__ = ("_raw", "key", "new", "obj", "old", "resource", "revision", "type")

    def __init__(
        self, kind: str, resource: str, key: Key, revision: int, *, old: Obj | None, new: Obj | None, obj: Obj
    ) -> None:
        self.type = kind
        self.resource = resource
        self.key = key
        self.revision = revision
        self.old = old
        self.new = new
        self.obj = obj
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """:attr:`obj` as JSON."""
        if self._raw is None:
            self._raw = orjson.dumps(self.obj)
        return self._raw

    def forget_raw(self) -> None:
        """Drop the bytes; they are made again when asked for."""
        self._raw = None

    def __repr__(self) -> str:
        return f"StoredEvent({self.revision} {self.type} {self.resource} {self.key})"


Events: TypeAlias = list[StoredEvent]


class _Table:
    """Objects of one resource: the last event of each living one, and the recent changes."""

    __slots__ = ("log", "order", "records")

    def __init__(self) -> None:
        self.records: dict[str, StoredEvent] = {}
        self.order: list[str] = []
        self.log: Events = []

    def range(self, namespace: str) -> list[str]:
        if not namespace:
            return self.order
        # "0" is the sign after "/", so this is the range of everything below the namespace.
        low, high = bisect_left(self.order, f"{namespace}/"), bisect_left(self.order, f"{namespace}0")
        return self.order[low:high]


def path_of(key: Key) -> str:
    """The order of lists: by this text, as in etcd."""
    return f"{key.namespace}/{key.name}" if key.namespace else key.name


class Storage:
    """All objects of a cluster.

    Args:
        history: how many changes :attr:`history` keeps; None for all.
        first: revision before the first change; real clusters never start at 0.

    Attributes:
        revision: of the last change.
        compacted: changes up to this revision can no longer be replayed by :meth:`since`.
        history: the changes, oldest first, for checks after a run; independent of :attr:`compacted`.
    """

    def __init__(self, *, history: int | None = None, first: int = 1) -> None:
        self.revision = first
        self.compacted = 0
        self.history: deque[StoredEvent] = deque(maxlen=history)
        self._tables: dict[str, _Table] = {}
        self._subscribers: list[Callable[[StoredEvent], None]] = []
        self._undelivered: deque[StoredEvent] = deque()
        self._fresh: deque[StoredEvent] = deque()  # those that may have bytes
        self._delivering = False

    def get(self, resource: str, key: Key) -> Obj | None:
        """The object, or None. Never change it."""
        record = self.record(resource, key)
        return record.obj if record is not None else None

    def record(self, resource: str, key: Key) -> StoredEvent | None:
        """The change that made the object what it is, or None when there is none; carries its JSON bytes."""
        table = self._tables.get(resource)
        return table.records.get(path_of(key)) if table is not None else None

    def list(self, resource: str, namespace: str = "") -> list[Obj]:
        """The objects in order of namespace and name."""
        return [record.obj for record in self.records(resource, namespace)]

    def records(self, resource: str, namespace: str = "") -> Events:
        """As :meth:`list`, the changes that made the objects what they are."""
        table = self._tables.get(resource)
        if table is None:
            return []
        records = table.records
        return [records[path] for path in table.range(namespace)]

    def count(self, resource: str) -> int:
        """How many objects of a resource there are."""
        table = self._tables.get(resource)
        return len(table.records) if table is not None else 0

    def resources(self) -> tuple[str, ...]:
        """Resources that hold or held objects."""
        return tuple(self._tables)

    def snapshot(self, resource: str, namespace: str, revision: int) -> Events:
        """What :meth:`records` answered at ``revision``.

        Raises:
            CompactedError: ``revision`` is too old.
        """
        if revision >= self.revision:
            return self.records(resource, namespace)
        if revision < self.compacted:
            raise CompactedError
        table = self._table(resource)
        prefix = f"{namespace}/" if namespace else ""
        found = {path: table.records[path] for path in table.range(namespace)}
        for event in reversed(self._since(table, revision)):
            path = path_of(event.key)
            if not path.startswith(prefix):
                continue
            if event.old is None:
                found.pop(path, None)
            else:
                before = int(event.old["metadata"]["resourceVersion"])
                found[path] = StoredEvent(MODIFIED, resource, event.key, before, old=None, new=event.old, obj=event.old)
        return [found[path] for path in sorted(found)]

    def since(self, resource: str, revision: int) -> Events:
        """The changes of a resource after ``revision``, oldest first.

        Raises:
            CompactedError: some of them are no longer kept.
        """
        if revision < self.compacted:
            raise CompactedError
        return self._since(self._table(resource), revision)

    def put(self, resource: str, key: Key, obj: Obj) -> Obj:
        """Store an object; returns it with its resourceVersion. ``obj`` is shared from now on: never change it."""
        return self.commit(resource, key, obj).obj

    def commit(self, resource: str, key: Key, obj: Obj) -> StoredEvent:
        """As :meth:`put`, returns the change."""
        table = self._table(resource)
        path = path_of(key)
        before = table.records.get(path)
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        old = before.obj if before is not None else None
        event = StoredEvent(
            ADDED if before is None else MODIFIED, resource, key, self.revision, old=old, new=obj, obj=obj
        )
        if before is None:
            insort(table.order, path)
        else:
            before.forget_raw()
        table.records[path] = event
        self._record(table, event)
        return event

    def delete(self, resource: str, key: Key) -> Obj:
        """Remove an object; returns its last state with the resourceVersion of the deletion.

        Raises:
            KeyError: there is none.
        """
        return self.remove(resource, key).obj

    def remove(self, resource: str, key: Key) -> StoredEvent:
        """As :meth:`delete`, returns the change."""
        table = self._table(resource)
        path = path_of(key)
        before = table.records.pop(path)
        del table.order[bisect_left(table.order, path)]
        before.forget_raw()
        self.revision += 1
        final = {**before.obj, "metadata": {**before.obj["metadata"], "resourceVersion": str(self.revision)}}
        event = StoredEvent(DELETED, resource, key, self.revision, old=before.obj, new=None, obj=final)
        self._record(table, event)
        return event

    def subscribe(self, callback: Callable[[StoredEvent], None]) -> Callable[[], None]:
        """Call ``callback`` after every change, in order; returns how to stop it.

        A callback may change objects itself: those changes are delivered after the present one, to all.
        """
        self._subscribers.append(callback)

        def stop() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return stop

    def compact(self, revision: int) -> None:
        """Forget how to replay changes up to ``revision``: older watches and snapshots are refused from now on."""
        revision = min(revision, self.revision)
        if revision <= self.compacted:
            return
        self.compacted = revision
        for table in self._tables.values():
            del table.log[: bisect_right(table.log, revision, key=_revision)]

    def _table(self, resource: str) -> _Table:
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = _Table()
        return table

    def _since(self, table: _Table, revision: int) -> Events:
        return table.log[bisect_right(table.log, revision, key=_revision) :]

    def _record(self, table: _Table, event: StoredEvent) -> None:
        table.log.append(event)
        self.history.append(event)
        self._fresh.append(event)
        if len(self._fresh) > _KEPT_RAW:
            self._fresh.popleft().forget_raw()
        self._undelivered.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            for ready in self._ready():
                for callback in tuple(self._subscribers):
                    callback(ready)
        finally:
            self._delivering = False

    def _ready(self) -> Iterator[StoredEvent]:
        while self._undelivered:
            yield self._undelivered.popleft()


def _revision(event: StoredEvent) -> int:
    return event.revision
