"""The instance reconciler: a RoleInstance into its pods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rbgctrl.api import events, labels
from rbgctrl.api.core import Node
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Key, Resource
from rbgctrl.clock import Now, utcnow
from rbgctrl.graph import view
from rbgctrl.graph.indexes import HOST
from rbgctrl.informers.change import Change
from rbgctrl.plan import instance as plan
from rbgctrl.plan.model import Plan
from rbgctrl.plan.podstate import lost, standing
from rbgctrl.plan.ports import shared
from rbgctrl.reconcilers import wiring
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.portledger import ledger_of
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.handlers import Handler
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
        self._ports = informers.options.ports
        self._ledger = ledger_of(informers)
        self._executor = executor
        self._now = now

    async def reconcile(self, request: Request) -> Result:
        """Bring one instance to its wanted state. Raises what :meth:`Executor.apply` raises."""
        node = view.instance(self._sources, request)
        if node is None:
            self._ledger.close(NAME, request)
            return DONE
        decided = plan.instance(node, self._now(), self._ports, self._ledger.open(NAME, request))
        self._ledger.enter(NAME, request, decided)
        result = await wiring.carried_out(self._executor, decided, request, lambda why: self._refused(request, why))
        self._ledger.close(NAME, request)
        return result

    def _refused(self, request: Request, why: str) -> Plan | None:
        node = view.instance(self._sources, request)
        return plan.refused(node, self._now(), why) if node is not None else None


# Triggers -------------------------------------------------------------------------------------------------------------


_READ = (
    labels.INSTANCE_GANG_SCHEDULING,
    labels.INPLACE_SCHEDULING,
    labels.INPLACE_SCHEDULING_GRANULARITY,
    labels.INPLACE_SCHEDULING_AVOID,
    labels.INSTANCE_HELD_BACK,
)


def _read(obj: Resource) -> object:
    """The annotations of an instance that matter to its pods, its ports among them."""
    own = obj.metadata.annotations
    return [own.get(key) for key in _READ], shared(own)


def _shared(obj: Resource) -> object:
    """The ports that a set has for its instances."""
    return shared(obj.metadata.annotations)


def _health(obj: Resource) -> object:
    """What a node's fate means to pods that are going away or wait for it."""
    return (lost(obj), standing(obj)) if isinstance(obj, Node) else None


def _instances_of(informers: Informers) -> Handler:
    store = informers.instances.store

    def instances(change: Change[Any]) -> Iterable[Request]:
        return [item.key for item in store.owned(change.obj.metadata.uid)]

    return instances


def _concerned(informers: Informers) -> Handler:
    """The instances with pods to which the fate of a node matters."""
    store = informers.pods.store

    def concerned(change: Change[Any]) -> Iterable[Request]:
        for pod in store.by(HOST, change.key.name):
            controller = pod.metadata.controller()
            if controller is not None and controller.kind == RoleInstance.KIND.kind:
                yield Key(pod.metadata.namespace, controller.name)

    return concerned


def _namesakes(informers: Informers) -> Handler:
    """The instances that may have waited for the name of a pod that is gone: those whose name it begins with."""
    store = informers.instances.store

    def namesakes(change: Change[Any]) -> Iterable[Request]:
        parts = change.key.name.split("-")
        for length in range(1, len(parts) + 1):
            key = Key(change.key.namespace, "-".join(parts[:length]))
            if key in store:
                yield key

    return namesakes


def add(manager: Manager, *, options: ReconcilerOptions | None = None) -> Controller:
    """Add the instance reconciler to a manager; returns its controller."""
    controller, informers = wiring.controller(manager, NAME, events.COMPONENT_INSTANCE, InstanceReconciler, options)
    own = predicates.generation | predicates.deleting | predicates.differs(_read, "annotations that pods are made by")
    controller.watch(informers.instances, handlers.itself, own)
    controller.watch(informers.pods, handlers.owner(RoleInstance))
    controller.watch(informers.pods, _namesakes(informers), predicates.deleted)
    controller.watch(informers.revisions, handlers.owner(RoleInstance), predicates.deleted)
    controller.watch(
        informers.sets, _instances_of(informers), ~predicates.deleted & predicates.differs(_shared, "ports")
    )
    controller.watch(
        informers.nodes, _concerned(informers), ~predicates.created & predicates.differs(_health, "health")
    )
    return controller
