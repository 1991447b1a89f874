"""What a group says about itself: counters of its roles, and conditions that name role, reason and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from rbgctrl.api import conditions, events, roles
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupStatus, RoleStatus
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.intstr import IntOrStringError, ceil
from rbgctrl.api.meta import Condition, ObjectMeta, Resource
from rbgctrl.api.workloads import Deployment
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan.conditions import acted_on, changes, differs, find, merge
from rbgctrl.plan.model import Action, Note, Plan
from rbgctrl.plan.observed import Observed, observe
from rbgctrl.plan.patience import rest, youth
from rbgctrl.plan.statuspatch import cannot_be_read, cannot_be_read_plan, new_warnings, status_patch
from rbgctrl.plan.topology import movements
from rbgctrl.plan.words import told

__all__ = ["FAILURES", "Fault", "Outlook", "held", "notes", "refusal", "status", "unreadable"]

FAILURES: Final = (
    conditions.FAILED_SCALE,
    conditions.FAILED_UPDATE,
    conditions.INVALID_COMPONENTS,
    conditions.STALLED,
)
"""Conditions of sets and instances that make their group degraded while they are True."""
_MOST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a role, or the whole group, cannot be carried out. ``role`` is ``""`` for the group."""

    role: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"role {self.role}: {self.message}" if self.role else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a pass found out about a group beyond what its objects say.

    Attributes:
        replicas: role name to instances wanted.
        faults: what cannot be carried out, in order.
        waiting: role name to how it waits, in words: ``for prefill``, ``while … is being deleted``.
        ignored: what the group asks for and nothing is done about.
    """

    replicas: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    """One role against what is wanted of it."""

    name: str
    wanted: int
    seen: Observed | None
    counts: RoleStatus
    updating: bool

    @property
    def complete(self) -> bool:
        return self.wanted == self.counts.replicas == self.counts.ready_replicas

    @property
    def moving(self) -> bool:
        """Whether its controller is still at work on what was asked of it."""
        return self.seen is None or not self.seen.current or self.updating or self.counts.replicas != self.wanted


def status(node: GroupNode, now: datetime, outlook: Outlook) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and when to look again if it may wait."""
    found = node.group
    seen = [_role(found, role, outlook.replicas.get(role.name, role.spec.replicas)) for role in node.roles]
    stored = found.status.conditions if found.status is not None else ()
    fresh = RoleBasedGroupStatus(
        observed_generation=found.metadata.generation,
        conditions=merge(stored, _conditions(node, seen, outlook), now),
        role_statuses=tuple(role.counts for role in seen),
    )
    if not differs(found.status, fresh):
        return (), None
    if (pause := _pause(node, fresh, outlook, now)) is not None:
        return (), pause
    whole, changed = found.status is None, changes(found.status, fresh)
    return (status_patch(RoleBasedGroup, found.metadata, _first(changed) if whole else changed, whole=whole),), None


def _pause(node: GroupNode, fresh: RoleBasedGroupStatus, outlook: Outlook, now: datetime) -> float | None:
    """Seconds for which the status may wait: when only counters of something in motion changed."""
    found = node.group
    if found.status is None:
        # A group that was just created says nothing until it is ready, faulty, or slow.
        born = found.metadata.creation_timestamp
        if outlook.faults or _true(fresh, conditions.READY) or _true(fresh, conditions.DEGRADED):
            return None
        return rest((born, *movements(node)), now, born) if outlook.waiting else youth(born, now)
    same = acted_on(fresh.conditions) == acted_on(found.status.conditions)
    if not same or found.status.observed_generation != fresh.observed_generation:
        return None
    return rest(movements(node), now, found.metadata.creation_timestamp)


def _true(found: RoleBasedGroupStatus, kind: str) -> bool:
    condition = find(found.conditions, kind)
    return condition is not None and condition.true


def _first(status: Mapping[str, Any]) -> dict[str, Any]:
    """A first status: the schema wants the list of roles in it, even when it is empty."""
    return {"roleStatuses": [], **status}


# Counters -------------------------------------------------------------------------------------------------------------


def _role(found: RoleBasedGroup, role: RoleNode, wanted: int) -> _Role:
    live = role.workload
    seen = observe(live) if live is not None else None
    counts = RoleStatus(name=role.name)
    if seen is not None:
        counts = RoleStatus(
            name=role.name,
            replicas=seen.replicas,
            ready_replicas=seen.ready_replicas,
            updated_replicas=seen.updated_replicas,
        )
        if not seen.current:
            counts = _stored(found, role.name) or counts
    return _Role(name=role.name, wanted=wanted, seen=seen, counts=counts, updating=_updating(role, seen))


def _stored(found: RoleBasedGroup, name: str) -> RoleStatus | None:
    """What was said before: it stays while the workload has not seen its latest spec, or it would flicker."""
    entries = found.status.role_statuses if found.status is not None else ()
    return next((entry for entry in entries or () if entry.name == name), None)


def _updating(role: RoleNode, seen: Observed | None) -> bool:
    """Whether instances that exist are still to reach the newest template; what is held at an old one is not."""
    if seen is None:
        return False
    if role.set is None:
        return seen.updated_replicas < min(seen.needed - _held_back(role, seen.needed), seen.replicas)
    found = role.set.set
    strategy = found.spec.update_strategy if found.spec is not None else None
    if found.status is None or (strategy is not None and strategy.paused):
        return False
    return found.status.updated_replicas < min(seen.replicas, seen.needed, found.status.expected_updated_replicas)


def _held_back(role: RoleNode, needed: int) -> int:
    """How many replicas of another project's workload stay at the old template."""
    if isinstance(role.other, Deployment):
        return 0
    try:
        return ceil(roles.rolling_update(role.spec).partition, needed)
    except IntOrStringError:  # told as a fault of the role
        return 0


# Conditions -----------------------------------------------------------------------------------------------------------


def _conditions(node: GroupNode, seen: Sequence[_Role], outlook: Outlook) -> list[Condition]:
    found = node.group
    stored = find(found.status.conditions if found.status is not None else (), conditions.PROGRESSING)
    settled = (
        stored is not None and stored.status == "False" and stored.observed_generation == found.metadata.generation
    )
    told = (
        _ready(seen, outlook),
        _progressing(node, seen, outlook, settled=settled),
        _degraded(node, seen, outlook, settled=settled),
    )
    return [msgspec.structs.replace(item, observed_generation=found.metadata.generation) for item in told]


def _condition(kind: str, *, true: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=str(true), reason=reason, message=message)


def _ready(seen: Sequence[_Role], outlook: Outlook) -> Condition:
    if outlook.faults:
        message = "; ".join(str(fault) for fault in outlook.faults)
        return _condition(conditions.READY, true=False, reason=outlook.faults[0].reason, message=message)
    parts = list(_behind(seen, outlook))
    if parts:
        message = "Not all roles are ready: " + "; ".join(parts)
        return _condition(conditions.READY, true=False, reason=conditions.ROLE_NOT_READY, message=message)
    return _condition(conditions.READY, true=True, reason=conditions.ALL_ROLES_READY, message="All roles are ready")


def _behind(seen: Sequence[_Role], outlook: Outlook) -> Iterator[str]:
    for role in seen:
        if role.name in outlook.waiting:
            yield f"{role.name} waits {outlook.waiting[role.name]}"
        elif not role.complete:
            yield f"{role.name} has {role.counts.ready_replicas} of {role.wanted} ready"


def _progressing(node: GroupNode, seen: Sequence[_Role], outlook: Outlook, *, settled: bool) -> Condition:
    """True while the controllers are at work, or something is awaited; what was settled and fell ill is degraded."""
    faulty = {fault.role for fault in outlook.faults}
    parts = []
    for role in seen:
        if role.name in outlook.waiting:
            parts.append(f"{role.name} waits {outlook.waiting[role.name]}")
        elif role.updating:
            parts.append(f"{role.name} has {role.counts.updated_replicas} of {role.wanted} updated")
        elif role.name not in faulty and (role.moving or not (role.complete or settled)):
            parts.append(f"{role.name} has {role.counts.ready_replicas} of {role.wanted} ready")
    parts += [held(item) for item in (*node.orphans, *node.adapters) if item.metadata.deleting]
    if not parts:
        return _condition(
            conditions.PROGRESSING, true=False, reason=conditions.SETTLED, message="Nothing is left to do"
        )
    reason = conditions.WAITING_FOR_DEPENDENCIES if outlook.waiting else conditions.ROLES_IN_MOTION
    return _condition(conditions.PROGRESSING, true=True, reason=reason, message="; ".join(parts))


def held(item: Resource) -> str:
    """That an object is on its way out, and who keeps it."""
    keepers = ", ".join(item.metadata.finalizers)
    by = f", held by finalizer {keepers}, which its owner must remove" if keepers else ""
    return f"{type(item).KIND.kind} {item.metadata.name} is being deleted{by}"


def _degraded(node: GroupNode, seen: Sequence[_Role], outlook: Outlook, *, settled: bool) -> Condition:
    if outlook.faults:
        message = "; ".join(str(fault) for fault in outlook.faults)
        return _condition(conditions.DEGRADED, true=True, reason=outlook.faults[0].reason, message=message)
    failing = list(_failing(node))
    if failing:
        message = told(failing, _MOST)
        return _condition(conditions.DEGRADED, true=True, reason=conditions.INSTANCES_FAILING, message=message)
    ill = [role for role in seen if settled and not role.complete and not role.moving]
    if ill:
        message = "; ".join(_illness(node, role) for role in ill)
        return _condition(conditions.DEGRADED, true=True, reason=conditions.ROLE_NOT_READY, message=message)
    if outlook.ignored:
        message = f"accepted, but this version does nothing with it: {', '.join(outlook.ignored)}"
        return _condition(conditions.DEGRADED, true=True, reason=conditions.FEATURE_NOT_ACTED_ON, message=message)
    return _condition(conditions.DEGRADED, true=False, reason=conditions.AS_EXPECTED, message="")


def _failing(node: GroupNode) -> Iterator[str]:
    """Instances whose pods the cluster refuses, in the words of their own conditions."""
    for role in node.roles:
        if role.set is None:
            continue
        owner = role.set.set
        for condition in owner.status.conditions if owner.status is not None else ():
            if condition.true and condition.type in FAILURES:
                yield f"role {role.name}: {condition.message}"
        for item in role.set.instances:
            for kind in FAILURES:
                own = item.instance.condition(kind)
                if own is not None and own.true:
                    yield f"role {role.name}: RoleInstance {item.instance.metadata.name}: {own.message}"


def _illness(node: GroupNode, role: _Role) -> str:
    found = node.role(role.name)
    instances = [item.instance for item in found.set.instances] if found is not None and found.set is not None else []
    reasons = [reason for instance in instances if (reason := _why_not_ready(instance))]
    counted = f"role {role.name} has {role.counts.ready_replicas} of {role.wanted} ready"
    return f"{counted}: {told(reasons, _MOST)}" if reasons else counted


def _why_not_ready(instance: RoleInstance) -> str:
    condition = instance.condition(conditions.INSTANCE_READY)
    if condition is None or condition.true:
        return ""
    return f"RoleInstance {instance.metadata.name} {condition.message or condition.reason}"


# Telling --------------------------------------------------------------------------------------------------------------


def notes(node: GroupNode, faults: Sequence[Fault]) -> tuple[Note, ...]:
    """One Event per fault that the group does not tell of yet."""
    stored = find(node.group.status.conditions if node.group.status else (), conditions.READY)
    return new_warnings(node.group, stored, ((fault.reason, str(fault)) for fault in faults))


def refusal(node: GroupNode) -> str:
    """What the API server said when it last refused a write for this group, or ``""``."""
    stored = find(node.group.status.conditions if node.group.status else (), conditions.DEGRADED)
    return stored.message if stored is not None and stored.true and stored.reason == conditions.REFUSED else ""


def unreadable(metadata: ObjectMeta, error: str, now: datetime) -> Plan:
    """What to say about a stored group that does not decode: a condition and an Event, nothing else is touched.

    Args:
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        now: the present, for the transition time.
    """
    message = cannot_be_read(error)
    told = [
        _condition(conditions.READY, true=False, reason=events.INVALID_SPEC, message=message),
        _condition(conditions.DEGRADED, true=True, reason=events.INVALID_SPEC, message=message),
    ]
    told = [msgspec.structs.replace(item, observed_generation=metadata.generation) for item in told]
    fresh = RoleBasedGroupStatus(
        observed_generation=metadata.generation, conditions=merge((), told, now), role_statuses=()
    )
    return cannot_be_read_plan(RoleBasedGroup, metadata, error, _first(changes(None, fresh)))
