"""The instance reconciler: a RoleInstance into its pods."""

from __future__ import annotations

from rbgctrl.api import events
from rbgctrl.api.instances import RoleInstance
from rbgctrl.client import ForbiddenError, InvalidError
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.plan import instance as plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor, ForeignObjectError
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "InstanceReconciler", "add"]

NAME = "roleinstance"
"""Controller name in metrics and logs."""


class InstanceReconciler:
    """Carries out what :func:`rbgctrl.plan.instance.instance` decides.

    A refusal by the API server (validation, quota, admission) is shown in the instance's status and retried with
    backoff; the next success clears it.

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
        """Bring one instance to its wanted state. Raises what :meth:`Executor.apply` raises."""
        node = view.instance(self._sources, request)
        if node is None:
            return DONE
        try:
            return await self._executor.apply(plan.instance(node, self._now()), request)
        except (InvalidError, ForbiddenError, ForeignObjectError) as error:
            node = view.instance(self._sources, request)
            if node is not None:
                await self._executor.apply(plan.refused(node, self._now(), str(error)), request)
            raise


def add(manager: Manager, *, workers: int = 10) -> Controller:
    """Add the instance reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(
        manager, NAME, events.COMPONENT_INSTANCE, InstanceReconciler, workers=workers
    )
    controller.watch(informers.instances, handlers.itself, predicates.generation | predicates.deleting)
    controller.watch(informers.pods, handlers.owner(RoleInstance))
    controller.watch(informers.revisions, handlers.owner(RoleInstance), predicates.deleted)
    return controller
