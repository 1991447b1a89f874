"""Scaling adapters: which ones a group has, and what one adapter needs next.

Two halves, two reconcilers. The group's decides that an adapter exists, its labels, owner and target; the adapter's
own one decides about everything that moves: binding, status, and the replicas of the role in the group's spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from rbgctrl.api import events, labels, names, roles
from rbgctrl.api.adapters import (
    BOUND,
    NOT_BOUND,
    RoleBasedGroupScalingAdapter,
    RoleBasedGroupScalingAdapterStatus,
)
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.roles import Pattern
from rbgctrl.api.workloads import Workload
from rbgctrl.graph.adapters import AdapterNode
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan.conditions import changes, stamp
from rbgctrl.plan.model import Action, Apply, Body, Delete, Note, Patch, PatchType, Plan, Severity, Subject
from rbgctrl.plan.observed import observe, selector_text
from rbgctrl.plan.replicas import owned, scalable
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.staleness import stamped
from rbgctrl.plan.statuspatch import status_patch

__all__ = ["adapter", "existence", "foreign", "refused", "selector", "unbound"]


# The group's half: which adapters there are ---------------------------------------------------------------------------


def existence(node: GroupNode) -> list[Action]:
    """What to write so that every role that asks for an adapter has one, as soon as it has a workload, and no other."""
    found = [_existence(node.group, role) for role in node.roles]
    found += [
        _delete(item, "the group has no such role any more") for item in node.adapters if not item.metadata.deleting
    ]
    return [action for action in found if action is not None]


def foreign(group: RoleBasedGroup, role: RoleNode) -> str:
    """Who holds the name of the role's adapter and what to do, or ``""`` when it is the group's or free to take."""
    live = role.adapter
    if live is None or not scalable(role.spec) or owned(live, group.uid) or _left_behind(live, group):
        return ""
    if live.metadata.owner_references:
        owner = live.metadata.owner_references[0]
        holder = f"{owner.kind} {owner.name}"
    elif not _targets(live, group, role.name):
        holder = "somebody who scales another role with it"
    else:
        return ""
    kind = live.KIND.kind
    return f"{kind} {live.metadata.name} belongs to {holder}; remove it so that the role gets its own"


def _existence(group: RoleBasedGroup, role: RoleNode) -> Action | None:
    live = role.adapter
    if live is None:
        return _create(group, role) if scalable(role.spec) and role.workload is not None else None
    if live.metadata.deleting:
        return None
    if not scalable(role.spec):
        return _delete(live, "the role is not to be scaled any more") if owned(live, group.uid) else None
    if foreign(group, role) or _left_behind(live, group):
        return None
    return _mend(group, role, live)


def _delete(live: RoleBasedGroupScalingAdapter, why: str) -> Delete:
    return Delete(kind=RoleBasedGroupScalingAdapter, key=live.key, uid=live.uid, why=why)


def _left_behind(live: RoleBasedGroupScalingAdapter, group: RoleBasedGroup) -> bool:
    """Whether it belongs to an earlier group of the same name; garbage collection takes it away."""
    return not owned(live, group.uid) and any(
        owner.kind == group.KIND.kind and owner.name == group.key.name for owner in live.metadata.owner_references
    )


def _targets(live: RoleBasedGroupScalingAdapter, group: RoleBasedGroup, role: str) -> bool:
    target = live.spec.scale_target_ref if live.spec is not None else None
    return target is not None and (target.name, target.role) == (group.key.name, role)


def _labels(group: RoleBasedGroup, role: RoleSpec) -> dict[str, str]:
    further = role.scaling_adapter.labels if role.scaling_adapter is not None else {}
    return {**further, labels.GROUP_NAME: group.key.name, labels.ROLE_NAME: role.name}


def _owner(group: RoleBasedGroup) -> dict[str, Any]:
    return owner_reference(group, controller=False)


def _create(group: RoleBasedGroup, role: RoleNode) -> Apply:
    key = Key(group.key.namespace, names.adapter(group.key.name, role.name))
    kind = RoleBasedGroupScalingAdapter.KIND
    body: dict[str, Any] = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": _labels(group, role.spec),
            "ownerReferences": [_owner(group)],
        },
        "spec": {"scaleTargetRef": {"name": group.key.name, "role": role.name}},
    }
    why = "the role has no scaling adapter yet"
    return Apply(kind=RoleBasedGroupScalingAdapter, key=key, body=stamped(body, group.metadata), why=why)


def _mend(group: RoleBasedGroup, role: RoleNode, live: RoleBasedGroupScalingAdapter) -> Patch | None:
    """Labels to exactly the wanted ones, the target, and the owner of one that was made by hand for this role.

    A merge patch, because an apply cannot take away a label that somebody else put there.
    """
    wanted = _labels(group, role.spec)
    metadata: dict[str, Any] = {}
    if live.metadata.labels != wanted:
        metadata["labels"] = {**dict.fromkeys(live.metadata.labels, None), **wanted}
    if not owned(live, group.uid):
        metadata["ownerReferences"] = [_owner(group)]
    body: dict[str, Any] = {}
    if not _targets(live, group, role.name):
        body["spec"] = {"scaleTargetRef": {"name": group.key.name, "role": role.name}}
    if not metadata and not body:
        return None
    body = stamped({**body, "metadata": metadata}, group.metadata)
    why = "the scaling adapter differs from the role"
    return Patch(kind=RoleBasedGroupScalingAdapter, key=live.key, uid=live.uid, body=body, why=why)


# The adapter's half: bind, mirror, scale ------------------------------------------------------------------------------


def adapter(node: AdapterNode, now: datetime, told: str = "") -> Plan:
    """Decide what to write for one adapter.

    Args:
        node: the adapter with what it scales.
        now: the present, for the time of a scaling.
        told: why it is not bound, as it was told last; the same is not told again.
    """
    found, group, role = node.adapter, node.group, node.role
    if found.metadata.deleting:
        return Plan(because="the adapter is being deleted")
    if why := unbound(node):
        return _not_bound(node, why, told)
    assert group is not None and role is not None and found.spec is not None  # noqa: S101, PT018 - unbound without
    if group.metadata.deleting:
        return Plan(because="the group is being deleted; its adapters go with it")
    if not owned(found, group.uid):
        return Plan(because="waits until its group has taken it over")
    stored = found.status or RoleBasedGroupScalingAdapterStatus()
    asked = found.spec.replicas
    if stored.phase != BOUND or asked is None:
        return _bind(node, group, role)
    if asked != role.replicas:
        return _scale(node, group, role, asked, now)
    status = _status(node, msgspec.structs.replace(stored, **_mirrored(node, role, role.replicas)))
    if not status:
        return Plan(because="everything is as wanted")
    return Plan(steps=(status,), because="the status changed")


def refused(node: AdapterNode, why: str) -> Plan:
    """What to say when the API server refused to have the role scaled: one Event."""
    asked = node.adapter.spec.replicas if node.adapter.spec is not None else None
    name = node.role.name if node.role is not None else ""
    message = f"role {name} cannot be scaled to {asked}: {why}"
    return Plan(notes=(_note(node.adapter, Severity.WARNING, events.FAILED_SCALE, message),), because=message)


def unbound(node: AdapterNode) -> str:
    """Why the adapter has nothing to scale and what to do, or ``""``."""
    return _missing(node) or _refused_role(node)


def _missing(node: AdapterNode) -> str:
    spec, namespace = node.adapter.spec, node.adapter.key.namespace
    if spec is None:
        return "the adapter names no role; set spec.scaleTargetRef"
    target = spec.scale_target_ref
    if node.group is None:
        return f"there is no RoleBasedGroup {target.name} in namespace {namespace}; create it or correct scaleTargetRef"
    if node.role is None:
        return f"RoleBasedGroup {target.name} has no role {target.role}; add it or correct scaleTargetRef"
    return ""


def _refused_role(node: AdapterNode) -> str:
    found, group, role = node.adapter, node.group, node.role
    assert group is not None and role is not None  # noqa: S101, PT018 - nothing is missing
    expected = names.adapter(group.key.name, role.name)
    if found.metadata.name != expected:
        return f"role {role.name} of {group.key.name} is scaled by the adapter {expected}; scale that one, remove this"
    if not scalable(role):
        return f"role {role.name} of {group.key.name} is not to be scaled; set scalingAdapter.enable on it"
    return foreign(group, RoleNode(name=role.name, spec=role, adapter=found))


def _not_bound(node: AdapterNode, why: str, told: str) -> Plan:
    found = node.adapter
    stored = found.status or RoleBasedGroupScalingAdapterStatus()
    ready = None if stored.ready_replicas is None else 0
    fresh = msgspec.structs.replace(stored, phase=NOT_BOUND, ready_replicas=ready, selector="")
    status = _status(node, fresh, fenced=True)
    new = stored.phase != NOT_BOUND if not told else why != told
    reason = events.FAILED_GET_ROLE if _missing(node) else events.NOT_BOUND
    note = _note(found, Severity.WARNING, reason, why)
    return Plan(steps=(status,) if status else (), notes=(note,) if new else (), because=why)


def _bind(node: AdapterNode, group: RoleBasedGroup, role: RoleSpec) -> Plan:
    """Take over the role's replicas, once there is a workload with a selector that autoscalers can use."""
    found = node.adapter
    assert found.spec is not None  # noqa: S101 - checked by the caller
    if node.workload is None or not selector(role, node.workload):
        return Plan(because="the role's workload says nothing about its pods yet")
    # What an autoscaler wrote since this was decided must not be overwritten, hence the version.
    operations = ({"op": "add", "path": "/spec/replicas", "value": role.replicas},)
    why = "the adapter is not bound to its role yet"
    replicas: tuple[Action, ...] = ()
    if found.spec.replicas != role.replicas:
        body = (*_fence(found), *operations)
        replicas = (
            Patch(
                kind=RoleBasedGroupScalingAdapter, key=found.key, uid=found.uid, type=PatchType.JSON, body=body, why=why
            ),
        )
    stored = found.status or RoleBasedGroupScalingAdapterStatus()
    # After a fenced write of the replicas nobody else can have bound it; without one, an old view could wipe a status.
    fresh = msgspec.structs.replace(stored, **_mirrored(node, role, role.replicas))
    status = _status(node, fresh, fenced=not replicas)
    message = f"scales role {role.name} of RoleBasedGroup {group.key.name}, now at {role.replicas} replicas"
    notes = (_note(found, Severity.NORMAL, events.SUCCESSFUL_BOUND, message),) if stored.phase != BOUND else ()
    return Plan(steps=tuple(step for step in (replicas, status) if step), notes=notes, because=why)


def _scale(node: AdapterNode, group: RoleBasedGroup, role: RoleSpec, asked: int, now: datetime) -> Plan:
    """The adapter's status first, behind a test of its version; then the role's replicas.

    A status that cannot be written means that the adapter was seen as it is no more, and the role stays as it is. So
    it is asked for even when nothing in it changes, which writes nothing.
    """
    found = node.adapter
    stored = found.status or RoleBasedGroupScalingAdapterStatus()
    scaled = stored.replicas != asked
    fresh = msgspec.structs.replace(
        stored, **_mirrored(node, role, asked), last_scale_time=stamp(now) if scaled else stored.last_scale_time
    )
    changed = changes(found.status, fresh)
    why = f"role {role.name} has {role.replicas} replicas and its adapter wants {asked}"
    status = Patch(
        kind=RoleBasedGroupScalingAdapter,
        key=found.key,
        uid=found.uid,
        type=PatchType.JSON,
        body=(*_fence(found), *_additions(changed)),
        subresource="status",
        why=why,
    )
    path = f"/spec/roles/{node.index}"
    replicas = Patch(
        kind=RoleBasedGroup,
        key=group.key,
        uid=group.uid,
        type=PatchType.JSON,
        # Only this one number, and only if the role still is where it was: other writers of the spec lose nothing.
        body=(
            {"op": "test", "path": "/metadata/uid", "value": group.uid},
            {"op": "test", "path": f"{path}/name", "value": role.name},
            {"op": "add", "path": f"{path}/replicas", "value": asked},
        ),
        why=why,
    )
    if not scaled:  # nobody asked the adapter for anything new, so somebody changed the role
        message = f"role {role.name} was set to {role.replicas} replicas; adapter {found.key.name} keeps it at {asked}"
        note = _note(group, Severity.WARNING, events.REPLICAS_OVERRIDDEN, message)
    else:
        message = f"scaled role {role.name} of RoleBasedGroup {group.key.name} from {role.replicas} to {asked} replicas"
        note = _note(found, Severity.NORMAL, events.SUCCESSFUL_SCALE, message)
    return Plan(steps=((status,), (replicas,)), notes=(note,), because=why)


def _fence(found: RoleBasedGroupScalingAdapter) -> tuple[Body, Body]:
    return (
        {"op": "test", "path": "/metadata/uid", "value": found.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": found.metadata.resource_version},
    )


def _mirrored(node: AdapterNode, role: RoleSpec, asked: int) -> Mapping[str, Any]:
    """What a bound adapter's status says; the last selector stays while there is no workload to ask."""
    stored = node.adapter.status or RoleBasedGroupScalingAdapterStatus()
    live = node.workload
    return {
        "phase": BOUND,
        "replicas": asked,
        "ready_replicas": observe(live).ready_replicas if live is not None else 0,
        "selector": (selector(role, live) if live is not None else "") or stored.selector,
    }


def selector(role: RoleSpec, workload: Workload) -> str:
    """Which pods stand for the role's instances, one for each, so that an autoscaler counts instances and not pods."""
    if not isinstance(workload, RoleInstanceSet):
        return observe(workload).selector
    # What its status will say; an autoscaler need not wait for that.
    wanted = workload.spec.selector if workload.spec is not None else None
    whole = selector_text(wanted) if wanted is not None else ""
    if not whole:
        return ""
    match roles.pattern(role):
        case Pattern.LEADER_WORKER:
            return f"{whole},{labels.COMPONENT_INDEX}=0"
        case Pattern.CUSTOM if role.custom_components_pattern is not None:
            for component in role.custom_components_pattern.components:
                if component.size is None or component.size > 0:
                    return f"{whole},{labels.COMPONENT_NAME}={component.name},{labels.COMPONENT_ID}=0"
    return whole


def _status(
    node: AdapterNode, fresh: RoleBasedGroupScalingAdapterStatus, *, fenced: bool = False
) -> tuple[Action, ...]:
    """The status patch, if any; ``fenced``: only if the adapter still is as it was seen, whole or not at all."""
    found = node.adapter
    changed = changes(found.status, fresh)
    if not changed:
        return ()
    first = found.status is None
    if not fenced:
        return (status_patch(RoleBasedGroupScalingAdapter, found.metadata, changed, whole=first),)
    whole = {"op": "add", "path": "/status", "value": changed}
    return (
        Patch(
            kind=RoleBasedGroupScalingAdapter,
            key=found.key,
            uid=found.uid,
            type=PatchType.JSON,
            body=(*_fence(found), *([whole] if first else _additions(changed))),
            subresource="status",
            whole=first,
            why="the status changed",
        ),
    )


def _additions(changed: Mapping[str, Any]) -> list[Body]:
    return [{"op": "add", "path": f"/status/{name}", "value": value} for name, value in changed.items()]


def _note(about: RoleBasedGroup | RoleBasedGroupScalingAdapter, severity: Severity, reason: str, message: str) -> Note:
    return Note(subject=Subject.of(about), severity=severity, reason=reason, message=message)
