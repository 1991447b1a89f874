"""The writes of a controller that its cache may not show yet: what each one waits for. Pure apart from cache reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from msgspec.structs import replace

from rbgctrl.api.meta import Key, ObjectMeta, Resource
from rbgctrl.runtime.result import Request

__all__ = [
    "CacheView",
    "Entry",
    "InformerView",
    "PendingDelete",
    "PendingWrite",
    "StoreView",
    "UnknownWrite",
    "held_meta",
]


_HIGHEST = str(2**63 - 1)


class StoreView(Protocol):
    """What the barrier reads of an informer's store."""

    def get(self, key: Key, /) -> Any:
        """The object of that key, or None."""
        ...

    def invalid(self, key: Key, /) -> Any:
        """The object of that key if it does not decode as its type, else None."""
        ...

    def progress(self, namespace: str, /) -> int:
        """The resourceVersion the objects of a namespace are complete up to."""
        ...


class InformerView(Protocol):
    """What the barrier needs of an informer."""

    @property
    def store(self) -> Any:
        """A :class:`StoreView`."""
        ...

    def matches(self, obj: Any, /) -> bool:
        """Whether the object is in the informer's scope."""
        ...

    def on_progress(self, callback: Any, /) -> None:
        """Call back after each change of the store and each bookmark."""
        ...


class CacheView(Protocol):
    """What the barrier needs of a cache."""

    def find(self, kind: type[Any], /) -> Sequence[Any]:
        """The informers of a kind, each an :class:`InformerView`."""
        ...

    def observe(self, obj: Any, /) -> None:
        """Put a live object into every store whose scope it is in."""
        ...

    def observe_deleted(self, obj: Any, /) -> None:
        """Take an object that is known to be gone out of every store."""
        ...


@dataclass(slots=True, eq=False)
class PendingDelete:
    """A delete: until no store holds the uid, or each shows it as being deleted."""

    request: Request
    kind: type[Resource]
    key: Key
    uid: str

    def shown(self, cache: CacheView) -> bool:
        """Whether the cache shows the delete. A kind that nobody watches has nothing to show."""
        for informer in cache.find(self.kind):
            held = held_meta(informer, self.key)
            if held is not None and held.uid == self.uid and not held.deleting:
                return False
        return True


@dataclass(slots=True, eq=False)
class PendingWrite:
    """A write whose answer is ``obj``: until each store in scope shows it or something newer."""

    request: Request
    kind: type[Resource]
    obj: Resource

    @property
    def key(self) -> Key:
        """Of the written object."""
        return self.obj.key

    def shown(self, cache: CacheView) -> bool:
        """Whether the cache shows the write. A kind that nobody watches has nothing to show."""
        return all(self._shown_by(informer) for informer in cache.find(self.kind))

    def _shown_by(self, informer: InformerView) -> bool:
        rv = self.obj.metadata.rv
        if informer.store.progress(self.key.namespace) >= rv:
            return True
        held = held_meta(informer, self.key)
        if held is not None:  # in scope now or, with the labels from before the write, not yet out of it
            return held.rv >= rv
        return not informer.matches(self.obj)


@dataclass(slots=True, eq=False)
class UnknownWrite:
    """A write whose answer was lost: until the object has been read from the API server."""

    request: Request
    kind: type[Resource]
    key: Key

    def shown(self, cache: CacheView) -> bool:  # noqa: ARG002 - one protocol for all entries
        """Never: a cache cannot tell "not committed" from "not seen yet"."""
        return False


Entry: TypeAlias = PendingDelete | PendingWrite | UnknownWrite


def held_meta(informer: InformerView, key: Key) -> ObjectMeta | None:
    """Metadata of what an informer holds under ``key``, decodable or not."""
    held = informer.store.get(key) or informer.store.invalid(key)
    return None if held is None else held.metadata


def still_held(cache: CacheView, kind: type[Resource], key: Key) -> Iterator[Any]:
    """What informers hold under ``key``, decodable or not."""
    for informer in cache.find(kind):
        held = informer.store.get(key) or informer.store.invalid(key)
        if held is not None:
            yield held


def in_last_version(obj: Any) -> Any:
    """The object as if in the highest version there can be: nothing the watch has yet to tell of it is newer."""
    return replace(obj, metadata=replace(obj.metadata, resource_version=_HIGHEST))
