"""The warmup reconciler: a RoleBasedGroupWarmup into pods that make nodes ready."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rbgctrl.api import events, labels
from rbgctrl.api.meta import Key
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.client import Invalid, fence_held
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import warmups as view
from rbgctrl.graph.indexes import ANY_SELECTOR, TARGET, group_value, node_value
from rbgctrl.informers.change import Change
from rbgctrl.informers.store import Store
from rbgctrl.plan import warmup as plan
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

__all__ = ["NAME", "WarmupReconciler", "add"]

NAME = "rolebasedgroupwarmup"
"""Controller name in metrics and logs."""


class WarmupReconciler:
    """Carries out what :func:`rbgctrl.plan.warmup.warmup` decides.

    A refusal by the API server (validation, quota, admission) is shown in the warmup's status; the plan says when it is
    tried again, so that limits of time are kept meanwhile.

    Args:
        informers: where to read.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informers: Informers, executor: Executor, now: Now = utcnow) -> None:
        self._sources = informers.sources
        self._executor = executor
        self._now = now
        self._unreadable = Unreadable(informers.warmups, plan.unreadable, executor, now)

    async def reconcile(self, request: Request) -> Result:
        """Bring one warmup forward. Raises what :meth:`Executor.apply` raises, but for refusals."""
        if (result := await self._unreadable.handle(request)) is not None:
            return result
        node = view.warmup(self._sources, request)
        if node is None:
            return DONE
        try:
            return await self._executor.apply(plan.warmup(node, self._now()), request)
        except wiring.REFUSALS as error:
            if fence_held(error):
                raise
            node = view.warmup(self._sources, request)
            if node is None:
                return DONE
            return await self._executor.apply(plan.refused(node, self._now(), str(error)), request)


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the warmup reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_WARMUP, WarmupReconciler, options)
    warmups = informers.warmups.store
    controller.watch(informers.warmups, handlers.itself, predicates.generation | predicates.deleting)
    controller.watch(informers.warmup_pods, handlers.owner(RoleBasedGroupWarmup))
    controller.watch(informers.nodes, _of_node(warmups), predicates.labels)
    for pods in (informers.pods, informers.workload_pods):
        if pods is not None:
            controller.watch(pods, _of_group_pod(warmups), PLACED)
    controller.watch(informers.groups, _of_group(warmups), predicates.generation)
    return controller


def _place(obj: Any) -> object:
    return None if isinstance(obj, Invalid) else (obj.spec.node_name, obj.metadata.deleting)


PLACED = predicates.differs(_place, "placed")
"""A pod appeared, got its node, is about to go, or is gone."""


def _keys(found: Iterable[RoleBasedGroupWarmup]) -> tuple[Request, ...]:
    return tuple(item.key for item in found)


def _of_node(warmups: Store[RoleBasedGroupWarmup]) -> Handler:
    """Warmups that name the node, and those whose selector it fits, or did."""

    def named(change: Change[Any]) -> Iterable[Request]:
        yield from _keys(warmups.by(TARGET, node_value(change.key.name)))
        sides = [side.metadata.labels.items() for side in (change.old, change.new) if side is not None]
        for item in warmups.by(TARGET, ANY_SELECTOR):
            chosen = item.spec.target_nodes
            selector = (chosen.node_selector if chosen is not None else None) or {}
            if any(selector.items() <= carried for carried in sides):
                yield item.key

    return named


def _of_group_pod(warmups: Store[RoleBasedGroupWarmup]) -> Handler:
    """Warmups that target the group a pod belongs to."""

    def named(change: Change[Any]) -> tuple[Request, ...]:
        group = change.obj.metadata.labels.get(labels.GROUP_NAME, "")
        return _keys(warmups.by(TARGET, group_value(change.key.namespace, group))) if group else ()

    return named


def _of_group(warmups: Store[RoleBasedGroupWarmup]) -> Handler:
    """Warmups that target a group."""

    def named(change: Change[Any]) -> tuple[Request, ...]:
        key: Key = change.key
        return _keys(warmups.by(TARGET, group_value(key.namespace, key.name)))

    return named
