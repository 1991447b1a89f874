"""Finding objects by something other than their name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeAlias, TypeVar

from rbgctrl.api.meta import Resource

__all__ = ["CONTROLLER", "Index", "RawKey", "controller_uid"]

R = TypeVar("R", bound=Resource)

RawKey: TypeAlias = tuple[str, str]
"""Namespace and name as a plain tuple: equal to a ``Key``, but invisible to the garbage collector."""

CONTROLLER = "controller"
"""Name of the built-in index by the UID of the controlling owner."""

_SMALL = 8


def controller_uid(obj: Resource) -> tuple[str, ...]:
    """UID of the owner that has ``controller=true``; not its name, which another owner may bear later."""
    for reference in obj.metadata.owner_references:
        if reference.controller:
            return (reference.uid,)
    return ()


class Index(Generic[R]):
    """From a value to the keys of the objects that have it.

    Args:
        name: for :meth:`Store.by <rbgctrl.informers.store.Store.by>`.
        fn: the values of an object, at best as a tuple.
    """

    __slots__ = ("_buckets", "fn", "name")

    def __init__(self, name: str, fn: Callable[[R], Iterable[str]]) -> None:
        self.name = name
        self.fn = fn
        # Most values have few keys. A small bucket is a tuple, which costs the garbage collector nothing.
        self._buckets: dict[str, tuple[RawKey, ...] | set[RawKey]] = {}

    def values(self, found: Iterable[str]) -> tuple[str, ...]:
        """What the function returned, as a tuple of each value once.

        Raises:
            TypeError: it returned one string, which would be taken apart into letters.
        """
        if isinstance(found, str):
            message = f"index {self.name!r} returned a string; return a tuple of strings"
            raise TypeError(message)
        return tuple(dict.fromkeys(found))

    def keys(self, value: str) -> list[RawKey]:
        """Keys of the objects with ``value``, sorted."""
        return sorted(self._buckets.get(value, ()))

    def all_values(self) -> list[str]:
        """The values at least one object has, sorted."""
        return sorted(self._buckets)

    def move(self, key: RawKey, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        """``key`` had the values ``old`` and now has ``new``."""
        for value in old:
            if value not in new:
                self._discard(value, key)
        for value in new:
            if value not in old:
                self.add(value, key)

    def add(self, value: str, key: RawKey) -> None:
        """``key`` now has ``value``."""
        buckets = self._buckets
        bucket = buckets.get(value)
        if bucket is None:
            buckets[value] = (key,)
        elif isinstance(bucket, set):
            bucket.add(key)
        else:
            buckets[value] = (*bucket, key) if len(bucket) < _SMALL else {*bucket, key}

    def _discard(self, value: str, key: RawKey) -> None:
        bucket = self._buckets[value]
        if isinstance(bucket, set):
            bucket.discard(key)
            if len(bucket) < _SMALL // 2:
                self._buckets[value] = tuple(bucket)
            return
        left = tuple(other for other in bucket if other != key)
        if left:
            self._buckets[value] = left
        else:
            del self._buckets[value]
