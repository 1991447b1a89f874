"""Objects held in memory behind the same read interface as the informers' stores: for views made from plain lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from rbgctrl.api.meta import Key, Resource
from rbgctrl.graph.indexes import indexes

__all__ = ["Memory"]

R = TypeVar("R", bound=Resource)


class Memory(Generic[R]):
    """A fixed set of objects of one kind; satisfies :class:`rbgctrl.graph.view.Reader`.

    Args:
        objects: in any order; of two with the same key the last one counts.
    """

    def __init__(self, objects: Iterable[R] = ()) -> None:
        self._objects = {item.key: item for item in objects}
        self._owned: dict[str, list[R]] = {}
        for key in sorted(self._objects):
            item = self._objects[key]
            owner = item.metadata.controller()
            if owner is not None and owner.uid:
                self._owned.setdefault(owner.uid, []).append(item)

    def get(self, key: Key) -> R | None:
        """The object of that key, or None."""
        return self._objects.get(key)

    def list(self) -> list[R]:
        """Every object, sorted by key."""
        return [self._objects[key] for key in sorted(self._objects)]

    def owned(self, uid: str) -> Sequence[R]:
        """Objects whose controller has that UID, sorted by key; none for an empty UID."""
        return self._owned.get(uid, ()) if uid else ()

    def by(self, name: str, value: str) -> Sequence[R]:
        """Objects that have ``value`` in the index ``name`` of their kind, sorted by key."""
        return [item for item in self.list() if value in indexes(type(item))[name](item)]
