"""The group set reconciler: a RoleBasedGroupSet into RoleBasedGroups."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import events
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Key
from rbgctrl.client import Invalid
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import groupsets as view
from rbgctrl.informers.change import Change
from rbgctrl.plan import groupset as plan
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.reconcilers.unreadable import Unreadable
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.handlers import Handler
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "GroupSetReconciler", "add"]

NAME = "rolebasedgroupset"
"""Controller name in metrics and logs."""


class GroupSetReconciler:
    """Carries out what :func:`rbgctrl.plan.groupset.group_set` decides.

    A refusal by the API server is shown in the set's status and retried with backoff; the next success clears it.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        self._unreadable = Unreadable(informers.group_sets, plan.unreadable, executor, now)

    async def reconcile(self, request: Request) -> Result:
        """Bring one set to its wanted state. Raises what :meth:`Executor.apply` raises."""
        if (result := await self._unreadable.handle(request)) is not None:
            return result
        node = view.group_set(self._sources, request)
        if node is None:
            return DONE
        decided = plan.group_set(node, self._now())
        return await wiring.carried_out(self._executor, decided, request, lambda why: self._refused(request, why))

    def _refused(self, request: Request, why: str) -> Plan | None:
        node = view.group_set(self._sources, request)
        return plan.refused(node, self._now(), why) if node is not None else None


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the group set reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_GROUP_SET, GroupSetReconciler, options)
    touched = predicates.generation | predicates.deleting | predicates.annotations
    controller.watch(informers.group_sets, handlers.itself, touched)
    controller.watch(informers.groups, handlers.owner(RoleBasedGroupSet), touched | predicates.labels | VERDICT)
    controller.watch(informers.groups, _by_name(informers), predicates.created | predicates.deleted)
    return controller


def _by_name(informers: Informers) -> Handler:
    """The set that a group has its name from, whoever owns the group: a name that somebody else held may be free."""
    sets = informers.group_sets.store

    def named(change: Change[Any]) -> tuple[Request, ...]:
        key: Key = change.key
        owner = key._replace(name=key.name.rpartition("-")[0])
        return (owner,) if owner in sets else ()

    return named


def _verdict(obj: Any) -> object:
    if isinstance(obj, Invalid) or obj.status is None:
        return None
    return obj.status.observed_generation, obj.status.conditions


VERDICT = predicates.differs(_verdict, "verdict")
"""What a group says of itself changed, other than its counters."""
