"""What handlers are told."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

import msgspec

from rbgctrl.api.meta import Key, Resource
from rbgctrl.client.decode import Invalid

__all__ = ["Change", "ChangeType", "Handler"]

R = TypeVar("R", bound=Resource)


class ChangeType(Enum):
    """What became of an object."""

    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


class Change(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """One step of one object, as the store has just taken it.

    An object that does not decode appears as :class:`~rbgctrl.client.decode.Invalid`: its metadata and what is wrong.

    Attributes:
        type: what became of the object.
        old: its state before; for a deletion the last state known. None when it was added.
        new: its state now. None when it was deleted.
        stale: a deletion learnt from a list: when it happened and what the object last looked like is not known.
        initial: part of what was there when the informer, or the handler, began.
        resync: nothing changed; the content of the store is being replayed.
    """

    type: ChangeType
    old: R | Invalid | None
    new: R | Invalid | None
    stale: bool = False
    initial: bool = False
    resync: bool = False

    @property
    def obj(self) -> R | Invalid:
        """The present state, or the last one known."""
        obj = self.new if self.new is not None else self.old
        if obj is None:
            raise ValueError("a change has an old state, a new one, or both")
        return obj

    @property
    def key(self) -> Key:
        """Namespace and name."""
        meta = (self.obj if self.new is None else self.new).metadata
        return Key(meta.namespace, meta.name)


Handler: TypeAlias = Callable[[Change[R]], None]
"""Called for each change, in order, on the loop's thread. It must return at once: it usually adds a key to a queue."""
