"""What a RoleInstanceSet needs next: its instances, in number and order, and a status that is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from rbgctrl.api import canonical, conditions, events, labels, names
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet, RoleInstanceSetStatus
from rbgctrl.api.meta import Key
from rbgctrl.graph.nodes import InstanceNode, SetNode
from rbgctrl.plan.conditions import changes, find, parse_time
from rbgctrl.plan.identity import instance_role_id
from rbgctrl.plan.model import Action, Apply, Delete, Note, Patch, Plan, Severity, Subject
from rbgctrl.plan.patience import rest
from rbgctrl.plan.revision import Revision, expired, owner_reference, record, set_data, short
from rbgctrl.plan.staleness import behind, stamped

__all__ = ["instance_ready", "role"]

_COPIED_ANNOTATIONS = (
    labels.INSTANCE_GANG_SCHEDULING,
    labels.INPLACE_SCHEDULING,
    labels.INPLACE_SCHEDULING_GRANULARITY,
    labels.INPLACE_SCHEDULING_AVOID,
    labels.INPLACE_GRACE_SECONDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What changes in the number of instances.

    Attributes:
        create: ordinals to create, ascending.
        delete: instances to delete, highest ordinal first.
        blocked: ordinals whose name is held by somebody else's instance.
    """

    create: tuple[int, ...] = ()
    delete: tuple[InstanceNode, ...] = ()
    blocked: tuple[int, ...] = ()


def role(node: SetNode, now: datetime) -> Plan:
    """Decide what to write for one RoleInstanceSet in stateful mode.

    Args:
        node: the set with its instances.
        now: the present, for availability and transition times.
    """
    found = node.set
    if found.metadata.deleting:
        return Plan(because="the set is being deleted; its instances go with it")
    if late := behind(found.metadata, (item.instance.metadata for item in node.instances)):
        return Plan(because=late)
    if found.spec is None:
        return Plan(because="the set has no spec")
    pattern = found.metadata.annotations.get(labels.INSTANCE_PATTERN, "")
    if pattern not in ("", labels.PATTERN_STATEFUL):
        return _unknown_pattern(found, pattern)
    revision = _revision(node)
    scale = _scale(node)
    applies = tuple(_apply_instance(found, ordinal, revision) for ordinal in scale.create)
    deletes = tuple(
        Delete(kind=RoleInstance, key=item.instance.key, uid=item.instance.uid, why="more instances than wanted")
        for item in scale.delete
    )
    live = {revision.name, *(_revision_of(item) for item in node.instances)}
    if found.status is not None:
        live |= {found.status.current_revision, found.status.update_revision}
    trimmed = expired(node.revisions, live, found.spec.revision_history_limit)
    status, requeue = _status(node, revision, now)
    actions: tuple[Action, ...] = (*applies, *deletes, *trimmed, *status)
    steps = tuple(step for step in (revision.actions, actions) if step)
    because = "; ".join(dict.fromkeys(action.why for step in steps for action in step)) or "everything is as wanted"
    return Plan(steps=steps, notes=_notes(found, scale), requeue_after=requeue, because=because)


def _unknown_pattern(found: RoleInstanceSet, pattern: str) -> Plan:
    message = f"instance pattern {pattern!r} is not acted on; use {labels.PATTERN_STATEFUL} or remove the annotation"
    note = Note(
        subject=Subject.of(found),
        severity=Severity.WARNING,
        reason=events.UNKNOWN_INSTANCE_PATTERN,
        message=message,
    )
    return Plan(notes=(note,), because=message)


def _wanted(found: RoleInstanceSet) -> int:
    assert found.spec is not None  # noqa: S101 - role() returned before
    return max(found.spec.replicas if found.spec.replicas is not None else 1, 0)


def _revision(node: SetNode) -> Revision:
    found = node.set
    assert found.spec is not None  # noqa: S101 - role() returned before
    data = set_data(found.spec.role_instance_template)

    def name_of(collisions: int) -> tuple[str, str]:
        digest = canonical.revision_hash(data, collisions)
        return names.revision(found.metadata.name, digest), digest

    def labels_of(digest: str) -> dict[str, str]:
        selector = found.spec.selector if found.spec is not None else None
        return {**(selector.match_labels if selector is not None else {}), labels.REVISION_HASH: digest}

    return record(
        namespace=found.key.namespace,
        owner=_owner(found),
        data=data,
        revisions=node.revisions,
        name_of=name_of,
        labels_of=labels_of,
        collisions=(found.status.collision_count or 0) if found.status is not None else 0,
    )


def _owner(found: RoleInstanceSet) -> dict[str, Any]:
    return owner_reference(found.KIND.api_version, found.KIND.kind, found.metadata.name, found.uid)


def instance_ready(item: RoleInstance) -> bool:
    """Whether an instance counts as ready: its condition says so and it is not going away."""
    if item.metadata.deleting or item.status is None:
        return False
    condition = find(item.status.conditions, conditions.INSTANCE_READY)
    return condition is not None and condition.status == "True"


def _scale(node: SetNode) -> _Scale:
    """Ordinals 0..replicas-1 must exist; the rest is condemned. Terminating instances keep their slot."""
    found = node.set
    assert found.spec is not None  # noqa: S101 - role() returned before
    wanted = _wanted(found)
    held = {item.ordinal: item for item in node.instances if item.ordinal >= 0}
    missing = [ordinal for ordinal in range(wanted) if ordinal not in held]
    blocked = tuple(ordinal for ordinal in missing if ordinal in node.squatters)
    missing = [ordinal for ordinal in missing if ordinal not in node.squatters]
    condemned = sorted(
        (item for item in node.instances if item.ordinal < 0 or item.ordinal >= wanted),
        key=lambda item: -item.ordinal,
    )
    condemned = [item for item in condemned if not item.instance.metadata.deleting]
    if found.spec.pod_management_policy in ("", "OrderedReady"):
        missing = _next_in_order(held, missing)
        condemned = _condemned_in_order(condemned)
    return _Scale(create=tuple(missing), delete=tuple(condemned), blocked=blocked)


def _next_in_order(held: dict[int, InstanceNode], missing: Sequence[int]) -> list[int]:
    """OrderedReady: the lowest missing ordinal, once every instance below it is ready."""
    if not missing:
        return []
    first = missing[0]
    below = (item for ordinal, item in held.items() if ordinal < first)
    return [first] if all(instance_ready(item.instance) for item in below) else []


def _condemned_in_order(condemned: Sequence[InstanceNode]) -> list[InstanceNode]:
    """OrderedReady: highest first, stopping at one that is not ready unless it is the lowest such."""
    unready = [item for item in condemned if not instance_ready(item.instance)]
    lowest = min((item.ordinal for item in unready), default=None)
    chosen = []
    for item in condemned:
        if not instance_ready(item.instance) and item.ordinal != lowest:
            break
        chosen.append(item)
    return chosen


def _apply_instance(found: RoleInstanceSet, ordinal: int, revision: Revision) -> Apply:
    assert found.spec is not None  # noqa: S101 - role() returned before
    name = names.instance(found.metadata.name, ordinal)
    selector = found.spec.selector.match_labels if found.spec.selector is not None else {}
    identity = {labels.ROLE_INSTANCE_INDEX: str(ordinal), labels.STATEFUL_POD_NAME: name}
    spec = msgspec.json.decode(found.spec.role_instance_template)
    spec["components"] = [_identified(component, identity) for component in spec.get("components") or ()]
    own = found.metadata.annotations
    body = {
        "apiVersion": RoleInstance.KIND.api_version,
        "kind": RoleInstance.KIND.kind,
        "metadata": {
            "name": name,
            "namespace": found.key.namespace,
            "labels": {
                **found.metadata.labels,
                **selector,
                **identity,
                labels.CONTROLLER_REVISION_HASH: revision.name,
                labels.ROLE_ID: instance_role_id(found, ordinal),
            },
            "annotations": {key: own[key] for key in _COPIED_ANNOTATIONS if key in own},
            "ownerReferences": [_owner(found)],
        },
        "spec": spec,
    }
    body = stamped(body, found.metadata)
    return Apply(kind=RoleInstance, key=Key(found.key.namespace, name), body=body, why="instances are missing")


def _identified(component: dict[str, Any], identity: dict[str, str]) -> dict[str, Any]:
    """A component whose pods carry the instance's ordinal; every instance gets a copy of its own."""
    template = dict(component.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **identity}
    return {**component, "template": {**template, "metadata": metadata}}


def _revision_of(item: InstanceNode) -> str:
    return item.instance.metadata.labels.get(labels.CONTROLLER_REVISION_HASH, "")


def _notes(found: RoleInstanceSet, scale: _Scale) -> tuple[Note, ...]:
    notes = []
    if scale.create:
        listed = _listed([names.instance(found.metadata.name, ordinal) for ordinal in scale.create])
        notes.append((Severity.NORMAL, events.SUCCESSFUL_CREATE, f"created {listed}"))
    if scale.delete:
        listed = _listed([item.instance.metadata.name for item in scale.delete])
        notes.append((Severity.NORMAL, events.SUCCESSFUL_DELETE, f"deleted {listed}"))
    for ordinal in scale.blocked:
        name = names.instance(found.metadata.name, ordinal)
        message = f"RoleInstance {name} exists and belongs to somebody else; remove it so that it can be created"
        notes.append((Severity.WARNING, events.FAILED_CREATE, message))
    return tuple(
        Note(subject=Subject.of(found), severity=severity, reason=reason, message=message)
        for severity, reason, message in notes
    )


def _listed(items: Sequence[str]) -> str:
    """``RoleInstance a, b, c`` with at most three names."""
    shown = ", ".join(items[:3])
    return f"RoleInstance {shown}" + (f" and {len(items) - 3} more" if len(items) > 3 else "")


def _status(node: SetNode, revision: Revision, now: datetime) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and seconds until the next instance becomes available."""
    found = node.set
    assert found.spec is not None  # noqa: S101 - role() returned before
    stored = found.status or RoleInstanceSetStatus()
    wanted = _wanted(found)
    at_update = [item for item in node.instances if short(_revision_of(item)) == revision.hash]
    ready = [item for item in node.instances if instance_ready(item.instance)]
    waits = [_until_available(item.instance, found.spec.min_ready_seconds, now) for item in ready]
    current = stored.current_revision or revision.name
    in_range = [item for item in at_update if 0 <= item.ordinal < wanted]
    if len(in_range) >= wanted and all(instance_ready(item.instance) for item in in_range):
        current = revision.name
    at_current = [item for item in node.instances if short(_revision_of(item)) == short(current)]
    fresh = RoleInstanceSetStatus(
        observed_generation=found.metadata.generation,
        replicas=len(node.instances),
        ready_replicas=len(ready),
        available_replicas=sum(1 for wait in waits if wait <= 0),
        current_replicas=len(at_current),
        updated_replicas=len(at_update),
        updated_ready_replicas=sum(1 for item in at_update if instance_ready(item.instance)),
        expected_updated_replicas=wanted,
        current_revision=current,
        update_revision=revision.name,
        collision_count=revision.collisions,
        label_selector=_selector(found),
        conditions=stored.conditions,
    )
    changed = changes(found.status, fresh)
    later = [wait for wait in waits if wait > 0]
    requeue = min(later) if later else None
    if not changed:
        return (), requeue
    if _may_wait(found.status, fresh, wanted) and (pause := rest(_movements(node), now)) is not None:
        return (), pause if requeue is None else min(pause, requeue)
    patch = Patch(
        kind=RoleInstanceSet,
        key=found.key,
        uid=found.uid,
        body={"status": changed},
        subresource="status",
        whole=found.status is None,
        why="the status changed",
    )
    return (patch,), requeue


def _may_wait(stored: RoleInstanceSetStatus | None, fresh: RoleInstanceSetStatus, wanted: int) -> bool:
    """Whether only counters moved: not what others act on, which is being complete or not."""
    if stored is None:
        return not _complete(fresh, wanted)
    return (
        _complete(stored, wanted) == _complete(fresh, wanted)
        and stored.observed_generation == fresh.observed_generation
        and stored.update_revision == fresh.update_revision
    )


def _complete(status: RoleInstanceSetStatus, wanted: int) -> bool:
    return status.ready_replicas == status.replicas == wanted


def _movements(node: SetNode) -> Iterator[str | None]:
    """When the set or one of its instances last changed visibly."""
    yield node.set.metadata.creation_timestamp
    for item in node.instances:
        yield item.instance.metadata.creation_timestamp
        for condition in item.instance.status.conditions if item.instance.status is not None else ():
            yield condition.last_transition_time


def _until_available(item: RoleInstance, min_ready_seconds: int, now: datetime) -> float:
    """Seconds until a ready instance counts as available; 0 or less when it does."""
    condition = find(item.status.conditions if item.status is not None else (), conditions.INSTANCE_READY)
    if min_ready_seconds <= 0 or condition is None or not condition.last_transition_time:
        return 0.0
    due = parse_time(condition.last_transition_time) + timedelta(seconds=min_ready_seconds)
    return (due - now).total_seconds()


def _selector(found: RoleInstanceSet) -> str:
    """The set's selector as a string, keys sorted, as the scale subresource shows it."""
    selector = found.spec.selector if found.spec is not None else None
    if selector is None:
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.match_labels.items()))
