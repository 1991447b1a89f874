"""What a pod's status means to its instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rbgctrl.api import conditions
from rbgctrl.api.core import Node, Pod

__all__ = [
    "GATES",
    "OUT_OF_SERVICE",
    "STARTING",
    "active",
    "containers_ready",
    "lost",
    "pod_ready",
    "serviceable",
    "standing",
    "trouble",
]

GATES: Final = (conditions.POD_INPLACE_UPDATE_READY, conditions.POD_INSTANCE_READY)
"""Readiness gates every pod of an instance carries: not being updated in place, and every sibling ready too."""
_STARTS, _UNSCHEDULED, _WAITS = "starting", "not scheduled yet", "waits for the other pods"
STARTING: Final = frozenset((_STARTS, _UNSCHEDULED, _WAITS))
"""What :func:`trouble` says of a pod with which nothing is wrong."""
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
"""Taint by which a person says that a node is really down, so that its pods may be removed by force."""


def active(pod: Pod) -> bool:
    """Whether it runs or may yet run."""
    return pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deleting


def containers_ready(pod: Pod) -> bool:
    """Whether the pod could serve if the gates of its instance were open."""
    if pod.status.phase != "Running" or not pod.is_true(conditions.CONTAINERS_READY):
        return False
    updating = pod.condition(conditions.POD_INPLACE_UPDATE_READY)
    return updating is None or updating.true


def serviceable(pod: Pod) -> bool:
    """Whether siblings may start after it: it is ready but for the gate that waits for those siblings.

    Going by Ready would deadlock: Ready needs all pods of the instance, and some are made only after this one.
    """
    others = (gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type not in GATES)
    return not pod.metadata.deleting and containers_ready(pod) and all(pod.is_true(gate) for gate in others)


def pod_ready(pod: Pod) -> bool:
    """Whether it counts as ready."""
    updating = pod.condition(conditions.POD_INPLACE_UPDATE_READY)
    return (
        pod.status.phase == "Running"
        and not pod.metadata.deleting
        and pod.is_true(conditions.POD_READY)
        and (updating is None or updating.status != "False")
    )


def lost(node: Node | None) -> bool:
    """Whether a node is gone for good: it does not exist, is being deleted, or is marked as out of service."""
    return node is None or node.metadata.deleting or _out_of_service(node)


def standing(node: Node) -> bool:
    """Whether a node's kubelet says that it is ready."""
    return any(item.type == conditions.READY and item.true for item in node.status.conditions)


def _out_of_service(node: Node) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def trouble(pod: Pod, hosts: Mapping[str, Node | None] | None) -> str:
    """Why a pod is not ready, in words that stay the same as long as nothing happens.

    Args:
        pod: one that is not ready.
        hosts: cluster nodes by name, None for one that is gone; None when nothing is known of nodes.
    """
    if pod.metadata.deleting:
        return _terminating(pod, hosts)
    if pod.status.phase in ("Failed", "Succeeded"):
        return f"{pod.status.phase.lower()}{f': {pod.status.reason}' if pod.status.reason else ''}"
    scheduled = pod.condition(conditions.POD_SCHEDULED)
    if scheduled is not None and not scheduled.true:
        return f"not scheduled: {scheduled.message or scheduled.reason or 'no word from the scheduler'}"
    if pod.status.phase != "Running":
        return _STARTS if pod.spec.node_name else _UNSCHEDULED
    started = pod.condition(conditions.CONTAINERS_READY)
    if started is None or not started.true:
        return (started.message if started is not None else "") or "its containers are not ready"
    closed = [gate.condition_type for gate in pod.spec.readiness_gates if not pod.is_true(gate.condition_type)]
    foreign = [gate for gate in closed if gate not in GATES]
    if foreign:
        return f"readiness gate {', '.join(foreign)} is not True"
    return _WAITS if closed else "not ready"


def _terminating(pod: Pod, hosts: Mapping[str, Node | None] | None) -> str:
    where = pod.spec.node_name
    if where and hosts is not None:
        found = hosts.get(where)
        if found is None:
            return f"terminating on node {where}, which does not exist any more; pod garbage collection removes it"
        if lost(found):
            return f"terminating on node {where}, which is out of service; pod garbage collection removes it"
        if not standing(found):
            return (
                f"terminating on node {where}, which is not ready; if it is down for good, delete the Node or taint it "
                f"with {OUT_OF_SERVICE}, and the pod is replaced"
            )
    if pod.metadata.finalizers:
        return f"terminating, held by finalizer {', '.join(pod.metadata.finalizers)}; it is replaced once that is gone"
    return "terminating"
