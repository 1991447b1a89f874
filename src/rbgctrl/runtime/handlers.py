"""Which requests a change leads to. A handler is any callable from a change to requests; these are the usual ones.

When an update moves an object from one owner or label value to another, both sides are woken: each has to look at
what it lost or got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from rbgctrl.api.meta import Key, ObjectMeta, Resource
from rbgctrl.informers.change import Change
from rbgctrl.runtime.result import Request

__all__ = ["Handler", "const", "itself", "label", "owner"]

Handler: TypeAlias = Callable[[Change[Any]], Iterable[Request]]
"""Names the requests to enqueue for a change. Synchronous, quick, and without side effects."""


def itself(change: Change[Any]) -> tuple[Request, ...]:
    """The object that changed."""
    return (change.key,)


def owner(kind: type[Resource], *, controller: bool = True) -> Handler:
    """The objects of ``kind`` that own the object, in its namespace.

    Args:
        kind: of the owner; matched by group and kind, in any version.
        controller: only the owner that controls it; False names every owner of that kind.
    """
    wanted = kind.KIND

    def owners(meta: ObjectMeta) -> Iterable[Request]:
        for reference in meta.owner_references:
            group = reference.api_version.rpartition("/")[0]
            if reference.kind == wanted.kind and group == wanted.group and (reference.controller or not controller):
                yield Key(meta.namespace if wanted.namespaced else "", reference.name)

    return _both_sides(owners)


def label(key: str) -> Handler:
    """The object named by the value of label ``key``, in the namespace of the object that carries it."""

    def named(meta: ObjectMeta) -> Iterable[Request]:
        value = meta.labels.get(key)
        if value:
            yield Key(meta.namespace, value)

    return _both_sides(named)


def const(*requests: Request) -> Handler:
    """Always these requests: for a change that concerns a fixed few."""

    def fixed(_: Change[Any]) -> tuple[Request, ...]:
        return requests

    return fixed


def _both_sides(find: Callable[[ObjectMeta], Iterable[Request]]) -> Handler:
    """Requests of the old and the new object, each once."""

    def handler(change: Change[Any]) -> Iterable[Request]:
        found: dict[Request, None] = {}
        for side in (change.old, change.new):
            if side is not None:
                found.update(dict.fromkeys(find(side.metadata)))
        return found

    return handler
