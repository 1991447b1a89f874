"""The read half of an informer's memory: objects by key, by UID, by owner and by any other index.

Guarantees: one writer, the informer; a reader never sees half a change, because changes are applied without yielding
to the event loop; lists are sorted by namespace and name.

Caveat: what is cached is a projection. Change an object by applying or patching fields, never by writing it back.
"""

from __future__ import annotations

import builtins  # the method `list` hides the type inside the class
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar

import structlog

from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Invalid
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.informers.index import CONTROLLER, Index, RawKey, controller_uid

__all__ = ["Change", "ChangeType", "Entry", "Store"]

R = TypeVar("R", bound=Resource)

Values: TypeAlias = tuple[tuple[str, ...], ...]
Entry: TypeAlias = tuple[R | Invalid, int, Values]
"""An object, its resourceVersion, and its values in each index. A plain tuple: the collector forgets about it."""

_log = structlog.get_logger(__name__)


class Store(Generic[R]):
    """What is known about one kind.

    Args:
        scopes: the namespaces it is fed from, each by its own watch; ``("",)`` for one watch over everything.
    """

    def __init__(self, scopes: tuple[str, ...] = ("",)) -> None:
        self._entries: dict[RawKey, Entry[R]] = {}
        self._invalid: dict[RawKey, None] = {}
        self._uids: dict[str, RawKey] = {}
        self._order: builtins.list[RawKey] | None = None
        self._owners: Index[R] = Index(CONTROLLER, controller_uid)
        self._indexes: dict[str, Index[R]] = {CONTROLLER: self._owners}
        self._all: tuple[Index[R], ...] = (self._owners,)
        self._broken: set[str] = set()
        self._progress: dict[str, int] = dict.fromkeys(scopes, 0)
        self._rv = 0
        self._epoch = 0

    # Reading

    def get(self, key: RawKey) -> R | None:
        """The object of that key; None when there is none or it does not decode."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        obj = entry[0]
        return None if isinstance(obj, Invalid) else obj

    def invalid(self, key: RawKey) -> Invalid | None:
        """What is known of the object of that key when it exists but does not decode."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        obj = entry[0]
        return obj if isinstance(obj, Invalid) else None

    def invalids(self) -> builtins.list[Invalid]:
        """Every object that does not decode, sorted by key."""
        return [obj for key in sorted(self._invalid) if (obj := self.invalid(key)) is not None]

    @property
    def invalid_count(self) -> int:
        """How many objects do not decode."""
        return len(self._invalid)

    def list(self, namespace: str | None = None) -> builtins.list[R]:
        """The objects that decode, of one namespace or of all, sorted by key."""
        if self._order is None:
            self._order = sorted(self._entries)
        order = self._order
        if namespace:
            first = bisect_left(order, (namespace, ""))
            order = order[first : bisect_left(order, (namespace + "\0", ""))]
        return self._objects(order)

    def by(self, name: str, value: str) -> builtins.list[R]:
        """The objects that have ``value`` in the index ``name``, sorted by key.

        Raises:
            KeyError: there is no such index.
        """
        return self._objects(self._indexes[name].keys(value))

    def values(self, name: str) -> builtins.list[str]:
        """Every value of the index ``name`` that some object has, sorted.

        Raises:
            KeyError: there is no such index.
        """
        return self._indexes[name].all_values()

    def by_uid(self, uid: str) -> R | None:
        """The object of that UID, if it decodes."""
        key = self._uids.get(uid)
        return None if key is None else self.get(key)

    def has_uid(self, uid: str) -> bool:
        """Whether an object of that UID is known to exist, decoding or not."""
        return uid in self._uids

    def owned(self, uid: str) -> builtins.list[R]:
        """The objects whose controller has that UID, sorted by key. None for an empty UID."""
        return self._objects(self._owners.keys(uid)) if uid else []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    @property
    def rv(self) -> int:
        """The resourceVersion everything here is complete up to; 0 before the first list.

        With several watches, that of the slowest; see :meth:`progress`.
        """
        return self._rv

    @property
    def epoch(self) -> int:
        """How often the cluster was found to have gone back in time. Waiting for an older ``rv`` is then pointless."""
        return self._epoch

    def progress(self, namespace: str = "") -> int:
        """The resourceVersion the objects of ``namespace`` are complete up to."""
        found = self._progress.get(namespace)
        return self._rv if found is None else found

    # Indexes

    def add_index(self, name: str, fn: Callable[[R], Iterable[str]]) -> None:
        """Add an index, before there are objects or after. Adding the same one again does nothing.

        Args:
            name: for :meth:`by`.
            fn: the values of an object. Should it raise, the object is missing from this index only.

        Raises:
            ValueError: another index has that name.
        """
        known = self._indexes.get(name)
        if known is not None:
            if known.fn is fn or known.fn == fn:
                return
            message = f"there is already another index {name!r}"
            raise ValueError(message)
        index = Index(name, fn)
        self._indexes[name] = index
        self._all = (*self._all, index)
        for key, (obj, rv, _) in self._entries.items():
            values = self._values(obj)
            index.move(key, (), values[-1])
            self._entries[key] = (obj, rv, values)

    # For the writer

    def _objects(self, keys: Iterable[RawKey]) -> builtins.list[R]:
        entries = self._entries
        found = (entries[key][0] for key in keys)
        return [obj for obj in found if not isinstance(obj, Invalid)]

    def _values(self, obj: R | Invalid) -> Values:
        if isinstance(obj, Invalid):
            return ((),) * len(self._all)
        found = []
        for index in self._all:
            try:
                values = index.fn(obj)
                if type(values) is not tuple or len(values) > 1:
                    values = index.values(values)
            except Exception as error:  # noqa: BLE001 - an index is the embedder's code; one odd object must not stop the rest
                values = self._index_failed(index, obj, error)
            found.append(values)
        return tuple(found)

    def _index_failed(self, index: Index[R], obj: R, error: Exception) -> tuple[str, ...]:
        """The object is missing from this index; say so, once for each index."""
        if index.name not in self._broken:
            self._broken.add(index.name)
            _log.error("index failed", index=index.name, object=str(obj.metadata.key), error=repr(error))
        return ()
