"""The group reconciler: a RoleBasedGroup into workloads, Services, discovery file, revisions and status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rbgctrl.api import conditions, events, labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.workloads import StatefulSet
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.graph.indexes import PROFILE
from rbgctrl.informers.change import Change
from rbgctrl.plan import group as plan
from rbgctrl.plan.groupstatus import FAILURES
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.portledger import ledger_of
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.reconcilers.unreadable import Unreadable
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.handlers import Handler
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "GroupReconciler", "add"]

NAME = "workloads-rolebasedgroup"
"""Controller name in metrics and logs."""


class GroupReconciler:
    """Carries out what :func:`rbgctrl.plan.group.group` decides.

    A refusal by the API server (validation, quota, admission) is shown in the group's status and retried with backoff;
    the next success clears it.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        options = informers.options
        self._abilities = plan.Abilities(
            scheduler=options.scheduler,
            deprecated_workload_types=options.deprecated_workload_types,
            ports=options.ports,
        )
        self._ledger = ledger_of(informers)
        self._unreadable = Unreadable(informers.groups, plan.unreadable, executor, now)

    async def reconcile(self, request: Request) -> Result:
        """Bring one group to its wanted state. Raises what :meth:`Executor.apply` raises."""
        if (result := await self._unreadable.handle(request)) is not None:
            return result
        node = view.group(self._sources, request, deep=True)
        if node is None:
            self._ledger.close(NAME, request)
            return DONE
        decided = plan.group(node, self._now(), self._abilities, self._ledger.open(NAME, request))
        self._ledger.enter(NAME, request, decided)
        result = await wiring.carried_out(self._executor, decided, request, lambda why: self._refused(request, why))
        self._ledger.close(NAME, request)
        return result

    def _refused(self, request: Request, why: str) -> Plan | None:
        node = view.group(self._sources, request, deep=True)
        return plan.refused(node, self._now(), why) if node is not None else None


def _failures(change: Change[Any]) -> bool:
    """Whether an instance has something else to say about pods it cannot have, or one came or went that has no ordinal.

    Of those that have one, the discovery file knows beforehand; what else is to be told of them, their set tells.
    """
    old, new = change.old, change.new
    if not isinstance(old, RoleInstance) or not isinstance(new, RoleInstance):
        return labels.ROLE_INSTANCE_ID in change.obj.metadata.labels
    return any(old.condition(kind) != new.condition(kind) for kind in FAILURES)


def _rolls(change: Change[Any]) -> bool:
    """Whether a pod of a StatefulSet comes, goes, or becomes ready or not, which its rolling update waits for."""
    old, new = change.old, change.new
    owner = change.obj.metadata.controller()
    if owner is None or owner.kind != StatefulSet.KIND.kind:
        return False
    if not isinstance(old, Pod) or not isinstance(new, Pod):
        return True
    ready = conditions.POD_READY
    return old.metadata.deleting != new.metadata.deleting or old.is_true(ready) != new.is_true(ready)


_touched = predicates.Predicate(lambda change: change.old is not None, name="touched")


def _using(informers: Informers) -> Handler:
    """The groups with a role that names the profile that changed."""
    store = informers.groups.store

    def using(change: Change[Any]) -> Iterable[Request]:
        return [group.key for group in store.by(PROFILE, change.key.name)]

    return using


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the group reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_GROUP, GroupReconciler, options)
    annotated = predicates.generation | predicates.deleting | predicates.annotations
    controller.watch(informers.groups, handlers.itself, annotated)
    controller.watch(informers.sets, handlers.owner(RoleBasedGroup))
    controller.watch(
        informers.instances, handlers.label(labels.GROUP_NAME), predicates.Predicate(_failures, name="failures")
    )
    for kind in (informers.deployments, informers.stateful_sets, informers.leader_worker_sets):
        if kind is not None:
            controller.watch(kind, handlers.owner(RoleBasedGroup))
    if informers.workload_pods is not None:
        controller.watch(
            informers.workload_pods, handlers.label(labels.GROUP_NAME), predicates.Predicate(_rolls, name="rolls")
        )
    # That they appear is no news to who makes them: only that somebody changes them, or takes them away.
    controller.watch(informers.services, handlers.label(labels.GROUP_NAME), _touched)
    controller.watch(informers.config_maps, handlers.owner(RoleBasedGroup), _touched)
    controller.watch(informers.pod_groups, handlers.owner(RoleBasedGroup), _touched)
    controller.watch(
        informers.adapters,
        handlers.owner(RoleBasedGroup, controller=False),
        predicates.generation | predicates.labels | predicates.spec_or_status | wiring.owners,
    )
    controller.watch(informers.profiles, _using(informers), predicates.generation)
    controller.watch(informers.revisions, handlers.owner(RoleBasedGroup), predicates.deleted)
    return controller
