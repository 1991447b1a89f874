"""What a RoleBasedGroup needs next: its revision, discovery file, workloads, Services and status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from rbgctrl.api import conditions, events, labels, names, roles
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupStatus, RoleSpec, RoleStatus
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Condition, ObjectMeta
from rbgctrl.api.ordering import Order, order
from rbgctrl.api.validate import Finding, group_findings
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan import discovery, workload
from rbgctrl.plan.conditions import changes, find, merge
from rbgctrl.plan.model import Action, Delete, Note, Patch, Plan, Severity, Subject
from rbgctrl.plan.patience import rest
from rbgctrl.plan.rendering import Rendering, rendering
from rbgctrl.plan.revision import expired, owner_reference, record_group
from rbgctrl.plan.staleness import behind

__all__ = ["group", "ready", "unreadable"]

HISTORY_LIMIT = 5
"""Group revisions kept, the current one included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """Why a role, or the whole group, cannot be carried out. ``role`` is ``""`` for the group."""

    role: str
    reason: str
    message: str


def ready(live: RoleInstanceSet | None) -> bool:
    """Whether a role's dependants may start: the workload has seen its spec and enough instances are ready."""
    if live is None or live.metadata.deleting or live.status is None:
        return False
    wanted = live.spec.replicas if live.spec is not None and live.spec.replicas is not None else 1
    return live.status.observed_generation >= live.metadata.generation and live.status.ready_replicas >= wanted


def group(node: GroupNode, now: datetime) -> Plan:
    """Decide what to write for one group.

    A fault in one role leaves the others running; a fault in the dependencies stops new roles from being created and
    touches nothing that runs.

    Args:
        node: the group with what it owns.
        now: the present, for transition times.
    """
    found = node.group
    if found.metadata.deleting:
        return Plan(because="the group is being deleted; its children go with it")
    sets = [role.workload.set for role in node.roles if role.workload is not None]
    if late := behind(found.metadata, (child.metadata for child in (*sets, *node.orphans))):
        return Plan(because=late)
    if found.spec is None or not found.spec.roles:
        fault = _Fault(
            role="", reason=events.INVALID_SPEC, message="the group has no roles; add at least one under spec.roles"
        )
        return _status_only(node, now, fault)
    findings = [finding for finding in group_findings(found) if finding.is_error]
    ordering = order({role.name: role.spec.dependencies for role in node.roles})
    if ordering.fault:
        fault = _Fault(role="", reason=events.INVALID_ROLE_DEPENDENCY, message=ordering.fault)
        return _status_only(node, now, fault)
    for finding in findings:
        if not finding.role:
            return _status_only(node, now, _Fault(role="", reason=finding.reason, message=str(finding)))
    return _plan(node, ordering, findings, now)


def _plan(node: GroupNode, ordering: Order, findings: Sequence[Finding], now: datetime) -> Plan:
    found = node.group
    rendered = rendering(found)
    revision = record_group(
        namespace=found.key.namespace,
        group=found.key.name,
        owner=owner_reference(found.KIND.api_version, found.KIND.kind, found.key.name, found.uid),
        data=rendered.data,
        digest=rendered.digest,
        revisions=node.revisions,
    )
    faults = _role_faults(node, findings)
    broken = {fault.role for fault in faults}
    waiting = _waiting(node)
    actions: list[Action] = list(revision.actions)
    mode = discovery.mode(node)
    services = {role.name: _service_name(node, role) for role in node.roles}
    replicas = {role.name: role.spec.replicas for role in node.roles}
    if mode == labels.DISCOVERY_REFINE and any(roles.is_stateful(role.spec) for role in node.roles):
        text = rendered.once(
            ("config", repr(replicas), repr(services)), lambda: discovery.config(node, replicas, services)
        )
        apply = discovery.apply_config_map(node, text)
        actions += [apply] if apply else []
    for name in (name for wave in ordering.waves for name in wave):
        role = node.role(name)
        if role is not None and name not in broken and name not in waiting:
            actions += _role_actions(node, rendered, role, services[name])
    actions += [
        Delete(kind=RoleInstanceSet, key=orphan.key, uid=orphan.uid, why="the group has no such role any more")
        for orphan in node.orphans
        if not orphan.metadata.deleting
    ]
    actions += expired(node.revisions, {revision.name}, HISTORY_LIMIT - 1)
    notes = _notes(node, faults)
    status, requeue = _status(node, now, faults, waiting)
    first = _remember_mode(node, mode)
    steps = tuple(step for step in (first, tuple(actions) + status) if step)
    return Plan(steps=steps, notes=notes, requeue_after=requeue, because=_because(first, actions, status))


def _because(first: Sequence[Action], actions: Sequence[Action], status: Sequence[Action]) -> str:
    reasons = dict.fromkeys(action.why for action in (*first, *actions, *status) if action.why)
    return "; ".join(reasons) or "everything is as wanted"


def _service_name(node: GroupNode, role: RoleNode) -> str:
    return role.service.metadata.name if role.service is not None else names.service(node.group.key.name, role.name)


def _remember_mode(node: GroupNode, mode: str) -> tuple[Action, ...]:
    """Written before anything else: without it, a status on its own would read as an older release's group."""
    found = node.group
    if found.metadata.annotations.get(labels.DISCOVERY_MODE) == mode:
        return ()
    return (
        Patch(
            kind=RoleBasedGroup,
            key=found.key,
            uid=found.uid,
            body={"metadata": {"annotations": {labels.DISCOVERY_MODE: mode}}},
            why="the discovery mode is not written down yet",
        ),
    )


def _role_actions(node: GroupNode, rendered: Rendering, role: RoleNode, service: str) -> list[Action]:
    request = workload.WorkloadRequest(
        group=node.group,
        role=role.spec,
        replicas=role.spec.replicas,
        rendered=rendered,
        service=service,
    )
    live = role.workload.set if role.workload is not None else None
    if live is not None and live.metadata.deleting:
        return []
    wanted: list[Action | None] = [workload.apply_set(request, live)]
    if live is not None:  # the Service is owned by the workload, so it follows as soon as that has a UID
        wanted.append(workload.apply_service(request, live, role.service))
    return [action for action in wanted if action is not None]


def _waiting(node: GroupNode) -> dict[str, tuple[str, ...]]:
    """Roles that may not be created yet, each with the dependencies it waits for. What runs is never held back."""
    waiting = {}
    for role in node.roles:
        if role.workload is not None:
            continue
        missing = tuple(name for name in role.spec.dependencies if not _ready(node.role(name)))
        if missing:
            waiting[role.name] = missing
    return waiting


def _ready(role: RoleNode | None) -> bool:
    return role is not None and role.workload is not None and ready(role.workload.set)


def _role_faults(node: GroupNode, findings: Sequence[Finding]) -> tuple[_Fault, ...]:
    """The first fault of each role."""
    faults = {
        finding.role: _Fault(role=finding.role, reason=finding.reason, message=str(finding))
        for finding in reversed(findings)
    }
    for role in node.roles:
        if role.squatter:
            name = names.workload(node.group.key.name, role.name)
            message = f"RoleInstanceSet {name} belongs to somebody else; remove it or rename the role"
            faults[role.name] = _Fault(role=role.name, reason=events.FAILED_RECONCILE_WORKLOAD, message=message)
        elif role.name not in faults and (why := workload.unsupported(role.spec)):
            faults[role.name] = _Fault(role=role.name, reason=events.FAILED_RECONCILE_WORKLOAD, message=why)
    return tuple(faults[name] for name in sorted(faults))


def _notes(node: GroupNode, faults: Sequence[_Fault]) -> tuple[Note, ...]:
    """One Event per fault, when it appears or changes; the condition that stands says which ones were told already."""
    stored = find(node.group.status.conditions if node.group.status else (), conditions.READY)
    told = stored.message if stored is not None else ""
    return tuple(
        Note(
            subject=Subject.of(node.group),
            severity=Severity.WARNING,
            reason=fault.reason,
            message=_sentence(fault),
        )
        for fault in faults
        if _sentence(fault) not in told
    )


def _sentence(fault: _Fault) -> str:
    return f"role {fault.role}: {fault.message}" if fault.role else fault.message


def _status_only(node: GroupNode, now: datetime, fault: _Fault) -> Plan:
    faults = (fault,)
    actions, _ = _status(node, now, faults, {})
    steps = tuple(step for step in (_remember_mode(node, discovery.mode(node)), actions) if step)
    return Plan(steps=steps, notes=_notes(node, faults), because=f"nothing can start: {fault.message}")


def _status(
    node: GroupNode, now: datetime, faults: Sequence[_Fault], waiting: dict[str, tuple[str, ...]]
) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and when to look again if it may wait."""
    found = node.group
    role_statuses = tuple(_role_status(found, role) for role in node.roles)
    stored = found.status.conditions if found.status is not None else ()
    fresh = RoleBasedGroupStatus(
        observed_generation=found.metadata.generation,
        conditions=merge(stored, _conditions(node, role_statuses, faults, waiting), now, drop=(conditions.DEGRADED,)),
        role_statuses=role_statuses,
    )
    changed = changes(found.status, fresh)
    if not changed:
        return (), None
    # A group that was just created says nothing until it is ready, faulty, or slow.
    newborn = found.status is None and not faults and not any(item.true for item in fresh.conditions or ())
    if newborn and (pause := rest((found.metadata.creation_timestamp,), now)) is not None:
        return (), pause
    patch = Patch(
        kind=RoleBasedGroup,
        key=found.key,
        uid=found.uid,
        body={"status": _with_roles(changed) if found.status is None else changed},
        subresource="status",
        whole=found.status is None,
        why="the status changed",
    )
    return (patch,), None


def _with_roles(status: dict[str, Any]) -> dict[str, Any]:
    """A first status: the schema wants the list of roles in it, even when it is empty."""
    return {"roleStatuses": [], **status}


def _role_status(found: RoleBasedGroup, role: RoleNode) -> RoleStatus:
    """Counters copied from the workload; the stored ones stay while the workload has not seen its latest spec."""
    live = role.workload.set if role.workload is not None else None
    if live is None or live.status is None:
        return RoleStatus(name=role.name)
    if live.status.observed_generation < live.metadata.generation and found.status is not None:
        for entry in found.status.role_statuses or ():
            if entry.name == role.name:
                return entry
    return RoleStatus(
        name=role.name,
        replicas=live.status.replicas,
        ready_replicas=live.status.ready_replicas,
        updated_replicas=live.status.updated_replicas,
    )


def _conditions(
    node: GroupNode,
    role_statuses: Sequence[RoleStatus],
    faults: Sequence[_Fault],
    waiting: dict[str, tuple[str, ...]],
) -> list[Condition]:
    generation = node.group.metadata.generation
    behind = [
        (role.spec, counts)
        for role, counts in zip(node.roles, role_statuses, strict=True)
        if not role.spec.replicas == counts.replicas == counts.ready_replicas
    ]
    if faults:
        verdict = ("False", faults[0].reason, "; ".join(_sentence(fault) for fault in faults))
    elif behind:
        verdict = ("False", conditions.ROLE_NOT_READY, _not_ready(behind, waiting))
    else:
        verdict = ("True", conditions.ALL_ROLES_READY, "All roles are ready")
    status, reason, message = verdict
    told = [Condition(type=conditions.READY, status=status, reason=reason, message=message)]
    if ignored := workload.ignored(node.group):
        message = f"accepted, but this version does nothing with it: {', '.join(ignored)}"
        reason = conditions.FEATURE_NOT_ACTED_ON
        told.append(Condition(type=conditions.DEGRADED, status="True", reason=reason, message=message))
    return [msgspec.structs.replace(item, observed_generation=generation) for item in told]


def _not_ready(behind: Sequence[tuple[RoleSpec, RoleStatus]], waiting: dict[str, tuple[str, ...]]) -> str:
    parts = []
    for role, counts in behind:
        if role.name in waiting:
            parts.append(f"{role.name} waits for {', '.join(waiting[role.name])}")
        else:
            parts.append(f"{role.name} has {counts.ready_replicas} of {role.replicas} ready")
    return "Not all roles are ready: " + "; ".join(parts)


def unreadable(metadata: ObjectMeta, error: str, now: datetime) -> Plan:
    """What to say about a stored group that does not decode: a condition and an Event, nothing else is touched.

    Args:
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        now: the present, for the transition time.
    """
    kind = RoleBasedGroup.KIND
    message = f"the stored object cannot be read: {error}; correct the field"
    condition = Condition(
        type=conditions.READY,
        status="False",
        reason=events.INVALID_SPEC,
        message=message,
        observed_generation=metadata.generation,
    )
    fresh = RoleBasedGroupStatus(
        observed_generation=metadata.generation, conditions=merge((), (condition,), now), role_statuses=()
    )
    patch = Patch(
        kind=RoleBasedGroup,
        key=metadata.key,
        uid=metadata.uid,
        body={"status": _with_roles(changes(None, fresh))},
        subresource="status",
        whole=True,
        why="the object cannot be read",
    )
    subject = Subject(api_version=kind.api_version, kind=kind.kind, key=metadata.key, uid=metadata.uid)
    note = Note(subject=subject, severity=Severity.WARNING, reason=events.INVALID_SPEC, message=message)
    return Plan(steps=((patch,),), notes=(note,), because=message)
