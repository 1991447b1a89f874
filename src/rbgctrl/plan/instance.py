"""What a RoleInstance needs next: its pods, their readiness handshake, and a status that is true."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime

from rbgctrl.api import canonical, conditions, events, labels, names
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan.handshake import handshake
from rbgctrl.plan.instancestatus import Outlook, news, status
from rbgctrl.plan.instancework import ENDED, FAILED, OUTDATED, TOGETHER, UNKNOWN, Work, work
from rbgctrl.plan.model import Action, Delete, Note, Plan, Severity, Subject
from rbgctrl.plan.ports import NO_PORTS, PortRange
from rbgctrl.plan.revision import Revision, expired, instance_data, owner_reference, record
from rbgctrl.plan.samenode import record as record_nodes
from rbgctrl.plan.slots import slots_of
from rbgctrl.plan.staleness import behind
from rbgctrl.plan.words import because, listed

__all__ = ["instance", "refused"]

HISTORY_LIMIT = 5
"""Revisions kept beyond those in use."""


def instance(
    node: InstanceNode, now: datetime, ports: PortRange | None = None, used: Container[int] = NO_PORTS
) -> Plan:
    """Decide what to write for one RoleInstance.

    One pass deletes pods, or creates pods, never both, so that a replacement is decided on what is left.

    Args:
        node: the instance with its pods.
        now: the present, for transition times.
        ports: from which ports are allocated; None when the allocator is off.
        used: ports that somebody has.
    """
    found = node.instance
    if found.metadata.deleting:
        return Plan(because="the instance is being deleted; its pods go with it")
    if found.spec is None:
        return Plan(because="the instance has no spec")
    if late := behind(found.metadata, (pod.pod.metadata for pod in node.pods)):
        return Plan(because=late)
    revision, slots = _revision(node), slots_of(node)
    doing = work(node, slots, revision, ports, used)
    gates = handshake(node, now)
    others = (*gates, *record_nodes(node), *_trimmed(node, revision))
    outlook = Outlook(
        conditions=doing.faults, over=doing.over(busy=bool(others)), waits=doing.waits, turning=bool(gates)
    )
    told, requeue = status(node, slots, revision, now, outlook)
    actions: tuple[Action, ...] = (
        *doing.deletes,
        *doing.creates,
        *doing.relabels,
        *others,
        *told,
    )
    steps = tuple(step for step in (revision.actions, doing.before, actions) if step)
    faults = news(found, outlook) if told else ()
    pauses = [pause for pause in (requeue, doing.requeue_after) if pause is not None]
    return Plan(
        steps=steps, notes=_notes(found, doing, faults), requeue_after=min(pauses, default=None), because=because(steps)
    )


def refused(node: InstanceNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused to change pods: the status only, and one Event per new reason."""
    found = node.instance
    if found.spec is None or found.metadata.deleting or behind(found.metadata, (pod.pod.metadata for pod in node.pods)):
        return Plan(because="nothing to report on")
    revision, slots = _revision(node), slots_of(node)
    doing = work(node, slots, revision, None, NO_PORTS)
    kind, reason = _refusal(doing)
    failure = Condition(type=kind, status="True", reason=reason, message=why)
    others = tuple(item for item in doing.faults if item.type != kind)
    outlook = Outlook(conditions=(*others, failure), waits=doing.waits)
    told, _ = status(node, slots, revision, now, outlook)
    fresh = [item for item in news(found, outlook) if item.type == kind]
    notes = [_note(found, Severity.WARNING, item.reason, item.message) for item in fresh]
    return Plan(steps=(told,) if told else (), notes=tuple(notes), because=why)


def _refusal(doing: Work) -> tuple[str, str]:
    """Which condition and reason a refusal becomes."""
    if any(item.why in (OUTDATED, UNKNOWN, TOGETHER) for item in doing.deletes):
        return conditions.FAILED_UPDATE, events.FAILED_UPDATE_POD_RECREATE
    if doing.deletes:
        return conditions.FAILED_SCALE, events.FAILED_DELETE
    if doing.creates:
        return conditions.FAILED_SCALE, events.FAILED_CREATE
    return conditions.FAILED_UPDATE, events.FAILED_UPDATE


def _revision(node: InstanceNode) -> Revision:
    found = node.instance
    assert found.spec is not None  # noqa: S101 - checked by the callers
    data = instance_data(found.spec.components)

    def name_of(collisions: int) -> tuple[str, str]:
        digest = canonical.revision_hash(data, collisions)
        return names.revision(found.metadata.name, digest), digest

    return record(
        namespace=found.key.namespace,
        owner=owner_reference(found),
        data=data,
        revisions=node.revisions,
        name_of=name_of,
        labels_of=lambda digest: {
            labels.ROLE_INSTANCE_NAME: found.metadata.name,
            labels.REVISION_HASH: digest,
        },
        collisions=(found.status.collision_count or 0) if found.status is not None else 0,
    )


def _trimmed(node: InstanceNode, revision: Revision) -> tuple[Delete, ...]:
    """Revisions that nothing refers to, beyond the limit."""
    found = node.instance
    used = {revision.hash, *(pod.pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH, "") for pod in node.pods)}
    live = {item.metadata.name for item in node.revisions if names.short_hash(item.metadata.name) in used}
    if found.status is not None:
        live |= {found.status.current_revision, found.status.update_revision}
    return expired(node.revisions, live, HISTORY_LIMIT)


_MOST = 3

# Events ---------------------------------------------------------------------------------------------------------------

_REPLACED = (
    (FAILED, Severity.NORMAL, events.SUCCESSFUL_DELETE, "replacing failed pod {}"),
    (ENDED, Severity.NORMAL, events.SUCCESSFUL_DELETE, "replacing pod {}, which ended"),
    (OUTDATED, Severity.NORMAL, events.SUCCESSFUL_DELETE, "replacing outdated pod {}"),
    (UNKNOWN, Severity.WARNING, events.REVISION_NOT_FOUND, "replacing pod {}: the revision it was made from is gone"),
    (TOGETHER, Severity.NORMAL, events.RECREATE_INSTANCE, "replacing all pods together, as the annotation asks: {}"),
)


def _notes(found: RoleInstance, doing: Work, faults: Sequence[Condition]) -> tuple[Note, ...]:
    notes = []
    for why, severity, reason, text in _REPLACED:
        gone = [item.key.name for item in doing.deletes if item.why == why]
        if gone:
            notes.append(_note(found, severity, reason, text.format(listed(gone, _MOST))))
    for fault in faults:
        invalid = fault.type == conditions.INVALID_COMPONENTS
        notes.append(_note(found, Severity.WARNING, fault.type if invalid else fault.reason, fault.message))
    return tuple(notes)


def _note(found: RoleInstance, severity: Severity, reason: str, message: str) -> Note:
    return Note(subject=Subject.of(found), severity=severity, reason=reason, message=message)
