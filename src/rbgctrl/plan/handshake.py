"""The readiness handshake: pods of an instance become ready together, in one status patch for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rbgctrl.api import conditions, labels
from rbgctrl.api.core import Pod
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Action, Patch, PatchType
from rbgctrl.plan.podstate import GATES, active, containers_ready

__all__ = ["handshake"]

_WAITING: Final = '[{"userAgent":"Lifecycle","key":"InstanceReady"}]'
"""Message of a closed instance gate; node agents of the upstream project read it."""


def handshake(node: InstanceNode, now: datetime) -> list[Action]:
    """Open or close the gates of all pods together, in one status patch per pod and only where something changes.

    A gate that was never written is closed to the kubelet, so a starting pod needs no write until all are up. An
    instance that its set holds back has all of them closed.
    """
    spec = node.instance.spec
    pods = [pod.pod for pod in node.pods if active(pod.pod)]
    alone = spec is not None and spec.ready_policy == "None"
    held = node.instance.metadata.annotations.get(labels.INSTANCE_HELD_BACK) == "true"
    together = not held and all(containers_ready(pod) for pod in pods)
    reason = "its set holds the instance back" if held else "another pod of the instance is not ready"
    actions: list[Action] = []
    for pod in pods:
        opened = containers_ready(pod) if alone and not held else together
        if opened and not all(pod.is_true(gate) for gate in GATES):
            actions.append(_open_gates(pod, now))
        elif not opened and (held or not alone) and pod.is_true(conditions.POD_INSTANCE_READY):
            actions.append(_close_gate(pod, reason, now))
    return actions


def _open_gates(pod: Pod, now: datetime) -> Patch:
    opened = [
        _pod_condition(pod, conditions.POD_INPLACE_UPDATE_READY, "True", "", "", now),
        _pod_condition(pod, conditions.POD_INSTANCE_READY, "True", "", "[]", now),
    ]
    others = [gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type not in GATES]
    if all(pod.is_true(gate) for gate in others):
        opened.append(_pod_condition(pod, conditions.POD_READY, "True", "", "", now))
    return _pod_patch(pod, opened, "every pod of the instance is up")


def _close_gate(pod: Pod, reason: str, now: datetime) -> Patch:
    closed = [
        _pod_condition(pod, conditions.POD_INSTANCE_READY, "False", "", _WAITING, now),
        _pod_condition(
            pod,
            conditions.POD_READY,
            "False",
            conditions.READINESS_GATES_NOT_READY,
            f"{conditions.POD_INSTANCE_READY} is False: {reason}",
            now,
        ),
    ]
    return _pod_patch(pod, closed, reason)


def _pod_condition(pod: Pod, kind: str, status: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    stored = pod.condition(kind)
    since = stored.last_transition_time if stored is not None and stored.status == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or stamp(now),
    }


def _pod_patch(pod: Pod, changed: Sequence[Mapping[str, Any]], why: str) -> Patch:
    """Strategic, so that conditions of the kubelet and of others stay."""
    return Patch(
        kind=Pod,
        key=pod.key,
        uid=pod.uid,
        type=PatchType.STRATEGIC,
        subresource="status",
        body={"status": {"conditions": list(changed)}},
        why=why,
    )
