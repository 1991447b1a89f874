"""What a RoleInstance needs next: its pods, their readiness handshake, and a status that is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from rbgctrl.api import canonical, conditions, events, labels, names
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import ComponentStatus, RoleInstance, RoleInstanceStatus
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import ComponentNode, InstanceNode, PodNode
from rbgctrl.graph.view import role_type
from rbgctrl.plan.conditions import changes, find, merge, stamp
from rbgctrl.plan.model import Action, Delete, Note, Patch, PatchType, Plan, Severity, Subject
from rbgctrl.plan.patience import rest
from rbgctrl.plan.pods import create_pod
from rbgctrl.plan.revision import Revision, expired, instance_data, owner_reference, record

__all__ = ["instance", "refused"]

HISTORY_LIMIT = 5
"""Revisions kept beyond those in use."""

_WAITING = '[{"userAgent":"Lifecycle","key":"InstanceReady"}]'
"""Message of a closed instance gate; node agents of the upstream project read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """Everything one pass decides about pods."""

    deletes: tuple[Delete, ...] = ()
    creates: tuple[Action, ...] = ()
    patches: tuple[Action, ...] = ()
    blocked: tuple[str, ...] = ()


def instance(node: InstanceNode, now: datetime) -> Plan:
    """Decide what to write for one RoleInstance.

    One pass deletes pods, or creates pods, never both, so that a replacement is decided on what is left.

    Args:
        node: the instance with its pods.
        now: the present, for transition times.
    """
    found = node.instance
    if found.metadata.deleting:
        return Plan(because="the instance is being deleted; its pods go with it")
    if found.spec is None:
        return Plan(because="the instance has no spec")
    revision = _revision(node)
    work = _pods(node, revision, now)
    status, requeue = _status(node, revision, now, "", complete=not (work.creates or work.blocked))
    used = {revision.hash, *(pod.pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH, "") for pod in node.pods)}
    live = {item.metadata.name for item in node.revisions if names.short_hash(item.metadata.name) in used}
    if found.status is not None:
        live |= {found.status.current_revision, found.status.update_revision}
    trimmed = expired(node.revisions, live, HISTORY_LIMIT)
    actions: tuple[Action, ...] = (*work.deletes, *work.creates, *work.patches, *status, *trimmed)
    steps = tuple(step for step in (revision.actions, actions) if step)
    because = "; ".join(dict.fromkeys(action.why for step in steps for action in step)) or "everything is as wanted"
    return Plan(steps=steps, notes=_notes(found, work), requeue_after=requeue, because=because)


def refused(node: InstanceNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused to change pods: the status only, and one Event per new reason."""
    found = node.instance
    if found.spec is None or found.metadata.deleting:
        return Plan(because="nothing to report on")
    status, _ = _status(node, _revision(node), now, why, complete=False)
    stored = found.status.conditions if found.status is not None else ()
    told = any(item.type == conditions.FAILED_SCALE and item.message == why for item in stored)
    note = Note(subject=Subject.of(found), severity=Severity.WARNING, reason=events.FAILED_CREATE, message=why)
    return Plan(steps=(status,) if status else (), notes=() if told else (note,), because=why)


def _revision(node: InstanceNode) -> Revision:
    found = node.instance
    assert found.spec is not None  # noqa: S101 - checked by the callers
    data = instance_data(found.spec.components)

    def name_of(collisions: int) -> tuple[str, str]:
        digest = canonical.revision_hash(data, collisions)
        return names.revision(found.metadata.name, digest), digest

    return record(
        namespace=found.key.namespace,
        owner=owner_reference(found.KIND.api_version, found.KIND.kind, found.metadata.name, found.uid),
        data=data,
        revisions=node.revisions,
        name_of=name_of,
        labels_of=lambda digest: {
            labels.ROLE_INSTANCE_NAME: found.metadata.name,
            labels.REVISION_HASH: digest,
        },
        collisions=(found.status.collision_count or 0) if found.status is not None else 0,
    )


def _active(pod: Pod) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed") and not pod.metadata.deleting


def _pods(node: InstanceNode, revision: Revision, now: datetime) -> _Pass:
    deletes = tuple(_deletes(node))
    patches = tuple(_handshake(node, now))
    if deletes:
        return _Pass(deletes=deletes, patches=patches)
    found = node.instance
    assert found.spec is not None  # noqa: S101 - checked by the caller
    kind = role_type(found)
    creates = []
    blocked = []
    for declared, component in zip(found.spec.components, node.components, strict=True):
        # A pod that is terminating or finished still holds its name; its replacement waits until it is gone.
        held = {pod.index for pod in component.pods}
        for index in range(component.size):
            if index in held:
                continue
            name = names.pod(found.metadata.name, component.name, index, kind)
            if name in node.squatters:
                blocked.append(name)
            else:
                creates.append(create_pod(found, declared, index, kind, revision))
    return _Pass(creates=tuple(creates), patches=patches, blocked=tuple(blocked))


def _deletes(node: InstanceNode) -> list[Delete]:
    """Failed pods, pods beyond the size, and pods that belong to no component."""
    doomed: list[tuple[PodNode, str]] = [(pod, "the pod belongs to no component") for pod in node.strays]
    for component in node.components:
        for pod in component.pods:
            if not 0 <= pod.index < component.size:
                doomed.append((pod, "more pods than the component's size"))
            elif pod.pod.status.phase == "Failed":
                doomed.append((pod, "the pod failed"))
    return [
        Delete(kind=Pod, key=pod.pod.key, uid=pod.pod.uid, why=why)
        for pod, why in doomed
        if not pod.pod.metadata.deleting
    ]


# Readiness ------------------------------------------------------------------------------------------------------------


def _containers_ready(pod: Pod) -> bool:
    """Whether the pod could serve if the gates of its instance were open."""
    if pod.status.phase != "Running" or not pod.is_true(conditions.CONTAINERS_READY):
        return False
    updating = pod.condition(conditions.POD_INPLACE_UPDATE_READY)
    return updating is None or updating.true


def _handshake(node: InstanceNode, now: datetime) -> list[Action]:
    """Open or close the gates of all pods together, in one status patch per pod and only where something changes.

    A gate that was never written is closed to the kubelet, so a starting pod needs no write until all are up.
    """
    found = node.instance
    assert found.spec is not None  # noqa: S101 - checked by the caller
    active = [pod.pod for pod in node.pods if _active(pod.pod)]
    alone = found.spec.ready_policy == "None"
    together = all(_containers_ready(pod) for pod in active)
    actions: list[Action] = []
    for pod in active:
        opened = _containers_ready(pod) if alone else together
        if opened and not _gates_open(pod):
            actions.append(_open_gates(pod, now))
        elif not opened and not alone and pod.is_true(conditions.POD_INSTANCE_READY):
            actions.append(_close_gate(pod, now))
    return actions


def _gates_open(pod: Pod) -> bool:
    return pod.is_true(conditions.POD_INPLACE_UPDATE_READY) and pod.is_true(conditions.POD_INSTANCE_READY)


def _open_gates(pod: Pod, now: datetime) -> Patch:
    opened = [
        _pod_condition(pod, conditions.POD_INPLACE_UPDATE_READY, "True", "", "", now),
        _pod_condition(pod, conditions.POD_INSTANCE_READY, "True", "", "[]", now),
    ]
    others = [gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type not in _OURS]
    if all(pod.is_true(gate) for gate in others):
        opened.append(_pod_condition(pod, conditions.POD_READY, "True", "", "", now))
    return _pod_patch(pod, opened, "every pod of the instance is up")


_OURS = (conditions.POD_INPLACE_UPDATE_READY, conditions.POD_INSTANCE_READY)


def _close_gate(pod: Pod, now: datetime) -> Patch:
    closed = [
        _pod_condition(pod, conditions.POD_INSTANCE_READY, "False", "", _WAITING, now),
        _pod_condition(
            pod,
            conditions.POD_READY,
            "False",
            conditions.READINESS_GATES_NOT_READY,
            f"{conditions.POD_INSTANCE_READY} is False: another pod of the instance is not ready",
            now,
        ),
    ]
    return _pod_patch(pod, closed, "a pod of the instance is down")


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


# Status ---------------------------------------------------------------------------------------------------------------


def _pod_ready(pod: Pod) -> bool:
    updating = pod.condition(conditions.POD_INPLACE_UPDATE_READY)
    return (
        pod.status.phase == "Running"
        and not pod.metadata.deleting
        and pod.is_true(conditions.POD_READY)
        and (updating is None or updating.status != "False")
    )


def _component_status(component: ComponentNode, revision: Revision) -> ComponentStatus:
    active = [pod.pod for pod in component.pods if _active(pod.pod)]
    ready = [pod for pod in active if _pod_ready(pod)]
    updated = [pod for pod in active if _at(pod, revision)]
    return ComponentStatus(
        name=component.name,
        size=len(active),
        ready_replicas=len(ready),
        available_replicas=len(ready),
        scheduled_replicas=sum(1 for pod in active if pod.spec.node_name),
        updated_replicas=len(updated),
        updated_ready_replicas=sum(1 for pod in updated if _pod_ready(pod)),
    )


def _at(pod: Pod, revision: Revision) -> bool:
    return pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH) == revision.hash


def _status(
    node: InstanceNode, revision: Revision, now: datetime, refusal: str, *, complete: bool
) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and when to look again if it may wait.

    An earlier refusal stays until the pods are ``complete``.
    """
    found = node.instance
    stored = found.status or RoleInstanceStatus()
    components = tuple(_component_status(component, revision) for component in node.components)
    size = sum(component.size for component in node.components)
    active = [pod.pod for pod in node.pods if _active(pod.pod)]
    settled = len(active) == size and all(_at(pod, revision) for pod in active)
    wanted = _conditions(node, refusal)
    dropped = (conditions.FAILED_SCALE,) if complete else ()
    fresh = msgspec.structs.replace(
        stored,
        observed_generation=found.metadata.generation,
        component_statuses=components,
        conditions=merge(stored.conditions, wanted, now, drop=dropped),
        current_revision=revision.name if settled or not stored.current_revision else stored.current_revision,
        update_revision=revision.name,
        collision_count=revision.collisions,
    )
    changed = changes(found.status, fresh)
    if not changed:
        return (), None
    if _may_wait(found.status, fresh) and (pause := rest(_movements(node), now)) is not None:
        return (), pause
    patch = Patch(
        kind=RoleInstance,
        key=found.key,
        uid=found.uid,
        body={"status": changed},
        subresource="status",
        whole=found.status is None,
        why="the status changed",
    )
    return (patch,), None


def _may_wait(stored: RoleInstanceStatus | None, fresh: RoleInstanceStatus) -> bool:
    """Whether only counters moved: not what others act on."""
    if stored is None:
        return not any(item.true for item in fresh.conditions)
    acted_on = [(item.type, item.status, item.reason) for item in fresh.conditions]
    return (
        acted_on == [(item.type, item.status, item.reason) for item in stored.conditions]
        and stored.observed_generation == fresh.observed_generation
    )


def _movements(node: InstanceNode) -> Iterator[str | None]:
    """When the instance or one of its pods last changed visibly."""
    yield node.instance.metadata.creation_timestamp
    for pod in node.pods:
        yield pod.pod.metadata.creation_timestamp
        for condition in pod.pod.status.conditions:
            yield condition.last_transition_time


def _conditions(node: InstanceNode, refusal: str) -> list[Condition]:
    found = node.instance
    missing = [
        names.pod(found.metadata.name, component.name, index, role_type(found))
        for component in node.components
        for index in range(component.size)
        if not any(pod.index == index and _pod_ready(pod.pod) for pod in component.pods)
    ]
    wanted = []
    if missing:
        message = "not ready: " + ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        wanted.append(_condition(conditions.INSTANCE_READY, "False", conditions.PODS_NOT_READY, message))
        wanted.append(
            _condition(conditions.INSTANCE_ALL_PODS_READY, "False", conditions.AT_LEAST_ONE_POD_NOT_READY, message)
        )
    else:
        wanted.append(_instance_ready(found))
        wanted.append(_condition(conditions.INSTANCE_ALL_PODS_READY, "True", conditions.PODS_READY, "Ready"))
    if refusal:
        wanted.append(_condition(conditions.FAILED_SCALE, "True", events.FAILED_CREATE, refusal))
    return wanted


def _instance_ready(found: RoleInstance) -> Condition:
    """Ready once all pods are, unless a gate of the instance itself is closed."""
    stored = found.status.conditions if found.status is not None else ()
    for gate in found.spec.readiness_gates if found.spec is not None else ():
        opened = find(stored, gate.condition_type)
        if opened is None or not opened.true:
            updating = gate.condition_type == conditions.INSTANCE_INPLACE_UPDATE_READY
            reason = conditions.INPLACE_UPDATE_NOT_READY if updating else conditions.READINESS_GATES_NOT_READY
            return _condition(conditions.INSTANCE_READY, "False", reason, f"gate {gate.condition_type} is not True")
    return _condition(conditions.INSTANCE_READY, "True", "Ready", "")


def _condition(kind: str, status: str, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)


def _notes(found: RoleInstance, work: _Pass) -> tuple[Note, ...]:
    failed = [action.key.name for action in work.deletes if action.why == "the pod failed"]
    notes = []
    if failed:
        notes.append((Severity.NORMAL, events.SUCCESSFUL_DELETE, f"replacing failed pod {', '.join(failed)}"))
    for name in work.blocked:
        message = f"Pod {name} exists and belongs to somebody else; remove it so that the instance can start"
        notes.append((Severity.WARNING, events.FAILED_CREATE, message))
    return tuple(
        Note(subject=Subject.of(found), severity=severity, reason=reason, message=message)
        for severity, reason, message in notes
    )
