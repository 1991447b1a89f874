"""The role reconciler: a RoleInstanceSet into its instances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Protocol

from rbgctrl.api import events, labels, names
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.client import NotFoundError
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.graph.nodes import SetNode
from rbgctrl.informers.change import Change
from rbgctrl.plan import role as plan
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.reconcilers.unreadable import Unreadable
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "Live", "RoleReconciler", "add"]

NAME = "roleinstanceset"
"""Controller name in metrics and logs."""

_REMEMBERED: Final = 256


class Live(Protocol):
    """Reads a set from the API server; a :class:`~rbgctrl.client.client.Client` does."""

    async def get(self, kind: type[RoleInstanceSet], key: Key) -> RoleInstanceSet:
        """The object as it is now. Raises NotFoundError."""
        ...


class RoleReconciler:
    """Carries out what :func:`rbgctrl.plan.role.role` decides.

    A refusal by the API server (validation, quota, admission) is shown in the set's status and retried with backoff;
    the next success clears it.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
        live: where to look whether a set still exists before it adopts anything.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow, *, live: Live) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        self._live = live
        self._unreadable = Unreadable(informers.sets, plan.unreadable, executor, now)
        # Ids of instances by the uid of their set, so that no new one is taken for one that is gone. Losing them is no
        # harm: an id then may come back, on another object.
        self._seen: dict[str, dict[str, None]] = {}

    async def reconcile(self, request: Request) -> Result:
        """Bring one set to its wanted state. Raises what :meth:`Executor.apply` raises."""
        if (result := await self._unreadable.handle(request)) is not None:
            return result
        node = self._look(request)
        if node is None or ((node.orphans or node.orphan_revisions) and not await self._exists(node.set)):
            return DONE
        decided = plan.role(node, self._now())
        return await wiring.carried_out(self._executor, decided, request, lambda why: self._refused(request, why))

    def _refused(self, request: Request, why: str) -> Plan | None:
        node = self._look(request)
        return plan.refused(node, self._now(), why) if node is not None else None

    def _look(self, request: Request) -> SetNode | None:
        node = view.role(self._sources, request)
        return None if node is None else replace(node, spent=self._remember(node))

    def _remember(self, node: SetNode) -> frozenset[str]:
        ids = [
            found
            for item in node.instances
            if (found := item.instance.metadata.labels.get(labels.ROLE_INSTANCE_ID)) is not None
        ]
        if node.set.metadata.deleting or not (ids or node.set.uid in self._seen):
            self._seen.pop(node.set.uid, None)
            return frozenset()
        seen = self._seen.setdefault(node.set.uid, {})
        for found in ids:
            seen[found] = seen.pop(found, None)  # those that live stay the youngest
        for old in list(seen)[: max(len(seen) - len(ids) - _REMEMBERED, 0)]:
            del seen[old]
        return frozenset(seen)

    async def _exists(self, found: RoleInstanceSet) -> bool:
        """Whether the set is there and stays, by the server's word.

        The cache may still show one that was deleted with its instances left behind. One that it adopted would be taken
        away by the garbage collector.
        """
        try:
            live = await self._live.get(RoleInstanceSet, found.key)
        except NotFoundError:
            return False
        return live.uid == found.uid and not live.metadata.deleting


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the role reconciler to a manager; returns its controller."""

    def build(informers: Informers, executor: Executor, now: Now) -> RoleReconciler:
        return RoleReconciler(informers, executor, now, live=manager.client)

    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_STATEFUL_SET, build, options)
    changed = predicates.generation | predicates.deleting | predicates.labels | predicates.annotations
    controller.watch(informers.sets, handlers.itself, changed)
    controller.watch(informers.instances, handlers.owner(RoleInstanceSet))
    controller.watch(informers.instances, _namesake)
    controller.watch(informers.revisions, handlers.owner(RoleInstanceSet), predicates.deleted)
    return controller


def _namesake(change: Change[Any]) -> Iterable[Request]:
    """The set whose slot an instance holds that it does not control: it may adopt it, or take its place one day."""
    stem = names.instance_set(change.key.name)
    if stem is None:
        return ()
    sides = [side for side in (change.old, change.new) if side is not None]
    controlled = all((owner := side.metadata.controller()) is not None and owner.name == stem for side in sides)
    return () if controlled else (Key(change.key.namespace, stem),)
