"""The scaler: a RoleBasedGroupScalingAdapter is bound to its role, mirrors it, and scales it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rbgctrl.api import events, labels, names
from rbgctrl.api.meta import Key
from rbgctrl.client import ForbiddenError, InvalidError, fence_held
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import adapters
from rbgctrl.graph.indexes import TARGET, group_value
from rbgctrl.informers.change import Change
from rbgctrl.plan import adapter as plan
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.handlers import Handler
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["NAME", "ScalerReconciler", "add"]

NAME = "workloads-rolebasedgroup-scalingadapter"
"""Controller name in metrics and logs."""


class ScalerReconciler:
    """Carries out what :func:`rbgctrl.plan.adapter.adapter` decides.

    A refusal by the API server (validation, admission) is told once and retried with backoff.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        # What was told last about an adapter that cannot do its work; losing it tells it once more.
        self._told: dict[Request, str] = {}

    async def reconcile(self, request: Request) -> Result:
        """Bring one adapter and its role together. Raises what :meth:`Executor.apply` raises."""
        node = adapters.adapter(self._sources, request)
        if node is None:
            self._told.pop(request, None)
            return DONE
        why = plan.unbound(node)
        try:
            result = await self._executor.apply(plan.adapter(node, self._now(), self._told.get(request, "")), request)
        except (InvalidError, ForbiddenError) as error:
            why = str(error)
            if not fence_held(error) and self._told.get(request) != why:
                await self._executor.apply(plan.refused(node, why), request)
                self._told[request] = why
            raise
        if why:
            self._told[request] = why
        else:
            self._told.pop(request, None)
        return result


def of_group(informers: Informers) -> Handler:
    """The adapters that scale a role of the group that changed."""
    store = informers.adapters.store

    def targeting(change: Change[Any]) -> Iterable[Request]:
        return [item.key for item in store.by(TARGET, group_value(*change.key))]

    return targeting


def of_workload(informers: Informers) -> Handler:
    """The adapter of the role that a workload stands behind, where there is one."""
    store = informers.adapters.store

    def scaling(change: Change[Any]) -> Iterator[Request]:
        meta = change.obj.metadata
        group, role = meta.labels.get(labels.GROUP_NAME), meta.labels.get(labels.ROLE_NAME)
        if group and role and (key := Key(meta.namespace, names.adapter(group, role))) in store:
            yield key

    return scaling


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the scaler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_ADAPTER, ScalerReconciler, options)
    touched = predicates.generation | predicates.deleting
    controller.watch(informers.adapters, handlers.itself, touched | predicates.labels | wiring.owners)
    controller.watch(informers.groups, of_group(informers), touched)
    behind = of_workload(informers)
    controller.watch(informers.sets, behind)
    for kind in (informers.deployments, informers.stateful_sets, informers.leader_worker_sets):
        if kind is not None:
            controller.watch(kind, behind)
    return controller
