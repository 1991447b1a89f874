"""The group reconciler: a RoleBasedGroup into workloads, Services, discovery file, revisions and status."""

from __future__ import annotations

from rbgctrl.api import events, labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.plan import group as plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "GroupReconciler", "add"]

NAME = "workloads-rolebasedgroup"
"""Controller name in metrics and logs."""


class GroupReconciler:
    """Carries out what :func:`rbgctrl.plan.group.group` decides.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._informers = informers
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        # Which broken object was reported last, so that one fault is told once; losing it tells it once more.
        self._reported: dict[Request, tuple[str, str]] = {}

    async def reconcile(self, request: Request) -> Result:
        """Bring one group to its wanted state. Raises what :meth:`Executor.apply` raises."""
        broken = self._informers.groups.store.invalid(request)
        if broken is not None:
            fault = (f"{broken.uid}/{broken.metadata.generation}", broken.error)
            if self._reported.get(request) == fault:
                return DONE
            result = await self._executor.apply(plan.unreadable(broken.metadata, broken.error, self._now()), request)
            self._reported[request] = fault
            return result
        self._reported.pop(request, None)
        node = view.group(self._sources, request)
        if node is None:
            return DONE
        return await self._executor.apply(plan.group(node, self._now()), request)


def add(manager: Manager, *, workers: int = 10) -> Controller:
    """Add the group reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_GROUP, GroupReconciler, workers=workers)
    annotated = predicates.generation | predicates.deleting | predicates.annotations
    controller.watch(informers.groups, handlers.itself, annotated)
    controller.watch(informers.sets, handlers.owner(RoleBasedGroup))
    controller.watch(informers.services, handlers.label(labels.GROUP_NAME))
    controller.watch(informers.config_maps, handlers.owner(RoleBasedGroup))
    controller.watch(informers.revisions, handlers.owner(RoleBasedGroup), predicates.deleted)
    return controller
