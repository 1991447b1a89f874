"""The write half of the store: every rule about which version of an object wins.

Rules: a newer resourceVersion wins; another UID under the same name is another object; what is deleted stays deleted;
a list replaces everything but what was written after it was taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Invalid
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.informers.index import RawKey
from rbgctrl.informers.store import Entry, Store

__all__ = ["WritableStore"]

R = TypeVar("R", bound=Resource)

_MOST_REMEMBERED = 20_000

# Used for every event; Python 3.11 looks members of an Enum up with code in Python.
_ADDED, _UPDATED, _DELETED = ChangeType.ADDED, ChangeType.UPDATED, ChangeType.DELETED


class _Staging(Generic[R]):
    """The temporary store of one scope."""

    __slots__ = ("gone", "objects")

    def __init__(self) -> None:
        self.objects: dict[RawKey, Entry[R]] = {}
        self.gone: dict[RawKey, int] = {}


class WritableStore(Store[R]):
    """A store together with the means to change it. Every method returns what handlers are to be told.

    Args:
        scopes: as of :class:`~rbgctrl.informers.store.Store`.
        clock: seconds that never go back.
        remember_deleted: seconds for which deletions are remembered.
    """

    def __init__(
        self, scopes: tuple[str, ...] = ("",), *, clock: Callable[[], float], remember_deleted: float = 600.0
    ) -> None:
        super().__init__(scopes)
        self._clock = clock
        self._remember = remember_deleted
        # By name and not by UID: a version that is older than a deletion is outdated whichever of the namesakes it was.
        self._tombstones: OrderedDict[RawKey, tuple[int, float]] = OrderedDict()
        self._staging: dict[str, _Staging[R]] = {}
        self._listed: dict[str, int] = {}  # by scope: resourceVersion of its last list

    # One object

    def put(self, obj: R | Invalid, rv: int) -> tuple[Change[R], ...]:
        """``obj`` exists in version ``rv``, unless something newer is known."""
        meta = obj.metadata
        key = (meta.namespace, meta.name)
        entry = self._entries.get(key)
        if entry is None:
            if self._outdated(key, rv):
                return ()
            self._insert(key, (obj, rv, self._values(obj)))
            return (Change(_ADDED, None, obj),)
        old, old_rv, _ = entry
        if rv <= old_rv:
            return ()
        if old.metadata.uid != meta.uid:
            if self._outdated(key, rv):
                return ()
            dropped = self._drop(key, entry, rv)
            self._insert(key, (obj, rv, self._values(obj)))
            return (dropped, Change(_ADDED, None, obj))
        self._replace(key, entry, (obj, rv, self._values(obj)))
        return (Change(_UPDATED, old, obj),)

    def remove(self, obj: R | Invalid, rv: int) -> tuple[Change[R], ...]:
        """``obj`` was deleted, or left the selector, in version ``rv``; it is also its last state."""
        meta = obj.metadata
        key = (meta.namespace, meta.name)
        entry = self._entries.get(key)
        if entry is None or rv < entry[1]:
            self._bury(key, rv)
            return ()
        if entry[0].metadata.uid != meta.uid:  # what we have bore the name before, so it is gone too
            return (self._drop(key, entry, rv, stale=True),)
        return (self._drop(key, entry, rv, last=entry[0] if isinstance(obj, Invalid) else obj),)

    def remove_surely(self, obj: R | Invalid, rv: int) -> tuple[Change[R], ...]:
        """``obj`` is known to be gone, whatever versions of it have been seen."""
        entry = self._entries.get((obj.metadata.namespace, obj.metadata.name))
        if entry is not None and entry[0].metadata.uid == obj.metadata.uid:
            rv = max(rv, entry[1])
        return self.remove(obj, rv)

    def observe(self, obj: R, rv: int) -> tuple[Change[R], ...]:
        """As :meth:`put`, for what a write returned.

        Up to its own progress the watch knows better: what it does not have by then is deleted again.
        """
        return () if rv <= self.progress(obj.metadata.namespace) else self.put(obj, rv)

    # A whole list

    def begin(self, scope: str) -> None:
        """Start an empty temporary store."""
        self._staging[scope] = _Staging()

    def stage(self, scope: str, objects: Iterable[tuple[R | Invalid, int]]) -> None:
        """Add objects to the temporary store; the newest version of each wins."""
        staging = self._staging[scope]
        staged, gone = staging.objects, staging.gone
        for obj, rv in objects:
            meta = obj.metadata
            key = (meta.namespace, meta.name)
            present = staged.get(key)
            if (present is None or present[1] < rv) and gone.get(key, -1) < rv:
                staged[key] = (obj, rv, self._values(obj))  # here and not in the swap, which cannot be interrupted

    def unstage(self, scope: str, obj: R | Invalid, rv: int) -> None:
        """Take an object that was deleted meanwhile out of the temporary store."""
        staging = self._staging[scope]
        key = (obj.metadata.namespace, obj.metadata.name)
        staging.gone[key] = max(rv, staging.gone.get(key, 0))
        present = staging.objects.get(key)
        if present is not None and present[1] <= rv:
            del staging.objects[key]

    def swap(self, scope: str, rv: int, *, rewind: bool, initial: bool) -> list[Change[R]]:
        """Make the temporary store, complete up to ``rv``, the store of its scope; returns the difference.

        Args:
            scope: namespace, or ``""`` for all.
            rv: resourceVersion of the list.
            rewind: the cluster went back in time: nothing known from before counts, however new it looks.
            initial: this is the first list of the scope.
        """
        staging = self._staging.pop(scope)
        staged = staging.objects
        self._listed[scope] = rv
        if rewind:
            self._epoch += 1
            self._tombstones.clear()
        for key, gone_rv in staging.gone.items():
            self._bury(key, gone_rv)
        changes: list[Change[R]] = []
        for key in [key for key in self._entries if key not in staged and scope in ("", key[0])]:
            entry = self._entries[key]
            if rewind or entry[1] <= rv:  # a newer one was written after the list was taken
                changes.append(self._drop(key, entry, rv, stale=True))
        for key, found in staged.items():
            changes.extend(self._settle(key, found, rv, rewind=rewind, initial=initial))
        return changes

    def _settle(self, key: RawKey, found: Entry[R], rv: int, *, rewind: bool, initial: bool) -> Iterable[Change[R]]:
        """Take over one object of a list. Of versions not newer than the list, that of the list is the true one."""
        obj, obj_rv, values = found
        if len(values) != len(self._all):  # an index was added meanwhile
            found = (obj, obj_rv, self._values(obj))
        entry = self._entries.get(key)
        dropped: tuple[Change[R], ...] = ()
        if entry is not None:
            old, old_rv, _ = entry
            if old_rv > rv and not rewind:
                return ()
            if old.metadata.uid == obj.metadata.uid:
                if old_rv == obj_rv and (not rewind or old == obj):
                    return ()
                self._replace(key, entry, found)
                return (Change(_UPDATED, old, obj),)
            dropped = (self._drop(key, entry, rv, stale=True),)
        tombstone = self._tombstones.get(key)
        if tombstone is not None and tombstone[0] > rv:  # deleted after the list was taken
            return dropped
        self._insert(key, found)
        return (*dropped, Change(_ADDED, None, obj, False, initial))

    def advance(self, scope: str, rv: int) -> None:
        """The scope is complete up to ``rv``. Called after the change itself is stored."""
        progress = self._progress
        progress[scope] = rv
        self._rv = rv if len(progress) == 1 else min(progress.values())

    def everything(self) -> list[R | Invalid]:
        """All objects, decoding or not, in no order."""
        return [entry[0] for entry in self._entries.values()]

    # Entries, indexes and tombstones move together

    def _insert(self, key: RawKey, entry: Entry[R]) -> None:
        obj, _, values = entry
        self._entries[key] = entry
        self._uids[obj.metadata.uid] = key
        self._order = None
        if isinstance(obj, Invalid):
            self._invalid[key] = None
        for index, found in zip(self._all, values, strict=True):
            for value in found:
                index.add(value, key)

    def _replace(self, key: RawKey, old: Entry[R], new: Entry[R]) -> None:
        obj, rv, values = new
        if values == old[2]:
            new = (obj, rv, old[2])  # one copy of what rarely changes
        else:
            for index, before, after in zip(self._all, old[2], values, strict=True):
                if before != after:
                    index.move(key, before, after)
        self._entries[key] = new
        if isinstance(obj, Invalid):
            self._invalid[key] = None
        elif self._invalid:
            self._invalid.pop(key, None)

    def _drop(
        self, key: RawKey, entry: Entry[R], rv: int, *, last: R | Invalid | None = None, stale: bool = False
    ) -> Change[R]:
        old, _, values = entry
        del self._entries[key]
        self._uids.pop(old.metadata.uid, None)
        self._order = None
        self._invalid.pop(key, None)
        for index, found in zip(self._all, values, strict=True):
            if found:
                index.move(key, found, ())
        self._bury(key, rv)
        return Change(_DELETED, old if last is None else last, None, stale)

    def _bury(self, key: RawKey, rv: int) -> None:
        """Remember that nothing had this name in version ``rv``."""
        now = self._clock()
        tombstones = self._tombstones
        known = tombstones.pop(key, None)
        tombstones[key] = (rv if known is None else max(rv, known[0]), now + self._remember)
        while len(tombstones) > _MOST_REMEMBERED or next(iter(tombstones.values()))[1] <= now:
            tombstones.popitem(last=False)

    def _outdated(self, key: RawKey, rv: int) -> bool:
        """Whether an object we do not have is known to have been gone after version ``rv``."""
        listed = self._listed
        if rv <= (listed[""] if "" in listed else listed.get(key[0], 0)):
            return True  # a list taken later does not have it
        tombstone = self._tombstones.get(key)
        return tombstone is not None and rv <= tombstone[0]
