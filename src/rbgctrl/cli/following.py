"""Follows groups through watches and yields what they look like after each change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.cli.loading import FURTHER, Further, NodeBook, Scope, build, needed, sources
from rbgctrl.cli.views import GroupView
from rbgctrl.client.client import Client
from rbgctrl.graph.indexes import indexes
from rbgctrl.graph.view import Sources
from rbgctrl.informers import Cache, Informer

__all__ = ["follow"]

R = TypeVar("R", bound=Resource)

_BURST = 0.1
_LOOK_AGAIN = 5.0
_PATIENCE = 10.0


@dataclass(slots=True)
class _Followed:
    """The informers of one scope."""

    cache: Cache
    groups: Informer[RoleBasedGroup]
    sets: Informer[RoleInstanceSet]
    instances: Informer[RoleInstance] | None = None
    pods: Informer[Pod] | None = None
    nodes: Informer[Node] | None = None
    _further: dict[type[Resource], Informer[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, client: Client, scope: Scope, *, nodes: bool) -> _Followed:
        cache = Cache(client, namespaces=(scope.namespace,) if scope.namespace else ())
        groups = _indexed(cache.informer(RoleBasedGroup, field_selector=scope.field_selector))
        sets = _indexed(cache.informer(RoleInstanceSet, selector=scope.label_selector))
        if not scope.deep:
            return cls(cache, groups, sets)
        instances = _indexed(cache.informer(RoleInstance, selector=scope.label_selector))
        pods = _indexed(cache.informer(Pod, selector=scope.label_selector))
        return cls(cache, groups, sets, instances, pods, cache.informer(Node) if nodes else None)

    def want(self, scope: Scope, changed: asyncio.Event) -> None:
        """Follow the further kinds that roles ask for by now, too."""
        for kind in needed(self.groups.store.list()):
            if kind in self._further:
                continue
            informer = _indexed(self.cache.informer(kind, selector=scope.label_selector, optional=True))
            informer.on_progress(changed.set)
            self._further[kind] = informer

    def _sources(self) -> Sources:
        stores: dict[str, Any] = {FURTHER[kind]: informer.store for kind, informer in self._further.items()}
        absent = tuple(kind for kind, informer in self._further.items() if not informer.served)
        return sources(
            self.groups.store,
            self.sets.store,
            self.instances.store if self.instances is not None else None,
            self.pods.store if self.pods is not None else None,
            Further(**stores, absent=absent),
        )

    def views(self, scope: Scope, notes: tuple[str, ...]) -> tuple[GroupView, ...]:
        nodes = {node.key.name: node for node in self.nodes.store.list()} if self.nodes is not None else {}
        store = self.groups.store
        keys: list[Key] = [group.key for group in store.list()]
        return build(
            self._sources(), keys, store.invalids(), nodes, deep=scope.deep, notes=(*notes, *_troubles(self.cache))
        )


def _indexed(informer: Informer[R]) -> Informer[R]:
    for name, values in indexes(informer.kind).items():
        informer.store.add_index(name, values)
    return informer


async def follow(client: Client, scope: Scope, book: NodeBook) -> AsyncGenerator[tuple[GroupView, ...], None]:
    """The groups now, and again after each change; it ends only when it is closed.

    A server that goes away shows as a note; the view goes on when it is back.

    Args:
        client: where to watch.
        scope: which groups.
        book: what a first look learnt, in particular whether nodes may be read.
    """
    followed = _Followed.of(client, scope, nodes=not book.forbidden)
    changed = asyncio.Event()
    for informer in followed.cache.informers():
        informer.on_progress(changed.set)
    async with _running(followed.cache):
        with suppress(TimeoutError):  # what is missing is told in the notes
            async with asyncio.timeout(_PATIENCE):
                await followed.groups.wait_synced()
            followed.want(scope, changed)
            await followed.cache.wait_synced(_PATIENCE)
        while True:
            changed.clear()
            followed.want(scope, changed)
            yield followed.views(scope, book.notes)
            await _next(changed)


async def _next(changed: asyncio.Event) -> None:
    """Return after a change, once its burst is over, or when it is time to look whether the server still answers."""
    try:
        async with asyncio.timeout(_LOOK_AGAIN):
            await changed.wait()
    except TimeoutError:
        return
    await asyncio.sleep(_BURST)


@asynccontextmanager
async def _running(cache: Cache) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run(), name="informers of the view")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _troubles(cache: Cache) -> tuple[str, ...]:
    errors = dict.fromkeys(informer.statistics().error for informer in cache.informers())
    return tuple(f"not current: {error}" for error in errors if error)
