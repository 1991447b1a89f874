"""The role reconciler: a RoleInstanceSet into its instances."""

from __future__ import annotations

from rbgctrl.api import events
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.plan import role as plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "RoleReconciler", "add"]

NAME = "roleinstanceset"
"""Controller name in metrics and logs."""


class RoleReconciler:
    """Carries out what :func:`rbgctrl.plan.role.role` decides.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now

    async def reconcile(self, request: Request) -> Result:
        """Bring one set to its wanted state. Raises what :meth:`Executor.apply` raises."""
        node = view.role(self._sources, request)
        if node is None:
            return DONE
        return await self._executor.apply(plan.role(node, self._now()), request)


def add(manager: Manager, *, workers: int = 10) -> Controller:
    """Add the role reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(
        manager, NAME, events.COMPONENT_STATEFUL_SET, RoleReconciler, workers=workers
    )
    changed = predicates.generation | predicates.deleting | predicates.labels | predicates.annotations
    controller.watch(informers.sets, handlers.itself, changed)
    controller.watch(informers.instances, handlers.owner(RoleInstanceSet))
    controller.watch(informers.revisions, handlers.owner(RoleInstanceSet), predicates.deleted)
    return controller
