"""What a group set says of itself: counters, conditions and Events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rbgctrl.api import conditions, events, names
from rbgctrl.api.groupsets import RoleBasedGroupSet, RoleBasedGroupSetStatus
from rbgctrl.api.meta import Condition, ObjectMeta
from rbgctrl.graph.groupsets import GroupSetNode
from rbgctrl.plan.conditions import acted_on, changes, find, merge
from rbgctrl.plan.model import Plan
from rbgctrl.plan.patience import moments, rest
from rbgctrl.plan.statuspatch import Report, cannot_be_read, cannot_be_read_plan, new_warnings, status_patch
from rbgctrl.plan.words import listed

__all__ = ["Fault", "Standing", "report", "unreadable"]

_LISTED_MAX = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the set, or one of its groups, cannot be what is asked for.

    Attributes:
        reason: for machines.
        message: what, why, and what now.
        stops: whether nothing is created or updated because of it.
    """

    reason: str
    message: str
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What there is against what is wanted; groups are named by their index.

    Attributes:
        wanted: number of groups asked for.
        replicas: number of groups that exist.
        ready_replicas: number of those that are ready.
        unready: are wanted and not ready.
        missing: are wanted and do not exist.
        leaving: names of groups that go, or are to go.
        outdated: are to reach the newest template.
        held: keep a former template, because the partition says so.
        moving: have not arrived where their spec wants them.
        faults: what is wrong.
    """

    wanted: int
    replicas: int
    ready_replicas: int
    unready: tuple[int, ...]
    missing: tuple[int, ...]
    leaving: tuple[str, ...]
    outdated: tuple[int, ...]
    held: tuple[int, ...]
    moving: tuple[int, ...]
    faults: tuple[Fault, ...]


def report(node: GroupSetNode, standing: Standing, now: datetime) -> Report:
    """The report on a set."""
    found = node.set
    stored = found.status
    fresh = RoleBasedGroupSetStatus(
        observed_generation=found.metadata.generation,
        replicas=standing.replicas,
        ready_replicas=standing.ready_replicas,
        conditions=merge(stored.conditions if stored is not None else (), _conditions(found, standing), now),
    )
    ready = find(stored.conditions if stored is not None else (), conditions.READY)
    notes = new_warnings(found, ready, ((fault.reason, fault.message) for fault in standing.faults))
    changed = changes(stored, fresh)
    if not changed:
        return Report(notes=notes)
    if _may_wait(stored, fresh, standing) and (pause := rest(_movements(node), now)) is not None:
        return Report(pause=pause)
    patch = status_patch(RoleBasedGroupSet, found.metadata, changed, whole=stored is None)
    return Report(status=(patch,), notes=notes)


def _may_wait(stored: RoleBasedGroupSetStatus | None, fresh: RoleBasedGroupSetStatus, standing: Standing) -> bool:
    """Whether only counters moved, or a set that was just born has nothing to tell yet."""
    if stored is None:
        return not standing.faults and bool(standing.unready)
    same = acted_on(stored.conditions) == acted_on(fresh.conditions)
    return same and stored.observed_generation == fresh.observed_generation


def _movements(node: GroupSetNode) -> Iterator[str | None]:
    """When the set or one of its groups last changed visibly."""
    yield node.set.metadata.creation_timestamp
    for child in node.children:
        status = child.group.status
        yield from moments(child.group.metadata, status.conditions if status is not None else ())


# Conditions -----------------------------------------------------------------------------------------------------------


def _conditions(found: RoleBasedGroupSet, standing: Standing) -> tuple[Condition, ...]:
    return (
        _condition(found.metadata, conditions.READY, *_ready(found, standing)),
        _condition(found.metadata, conditions.PROGRESSING, *_progressing(found, standing)),
    )


def _condition(metadata: ObjectMeta, kind: str, status: str, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, observed_generation=metadata.generation)


def _ready(found: RoleBasedGroupSet, standing: Standing) -> tuple[str, str, str]:
    if standing.faults:
        return "False", standing.faults[0].reason, "; ".join(fault.message for fault in standing.faults)
    if standing.unready:
        ready = standing.wanted - len(standing.unready)
        message = f"{ready} of {standing.wanted} groups are ready; not ready: {_listed(found, standing.unready)}"
        return "False", conditions.REPLICAS_NOT_READY, message
    return "True", conditions.ALL_REPLICAS_READY, "All groups are ready"


def _progressing(found: RoleBasedGroupSet, standing: Standing) -> tuple[str, str, str]:
    """True while groups are created, deleted, or brought to the template, and nothing stands in the way."""
    if standing.missing or standing.leaving:
        parts = [f"missing: {_listed(found, standing.missing)}"] if standing.missing else []
        parts += [f"leaving: {listed(standing.leaving, _LISTED_MAX)}"] if standing.leaving else []
        reason, message = conditions.GROUPS_SCALING, "; ".join(parts)
    elif standing.outdated:
        done = standing.wanted - len(standing.outdated) - len(standing.held)
        parts = [f"{done} of {standing.wanted} groups have the newest template"]
        parts += [f"not settled yet: {_listed(found, standing.moving)}"] if standing.moving else []
        reason, message = conditions.ROLLING_UPDATE_IN_PROGRESS, "; ".join(parts)
    elif standing.held:
        message = f"held at a former template by the partition: {_listed(found, standing.held)}"
        return "False", conditions.GROUPS_HELD, message
    else:
        return "False", conditions.GROUPS_AS_WANTED, "Every group has the newest template"
    if standing.faults:
        return "False", standing.faults[0].reason, standing.faults[0].message
    return "True", reason, message


def _listed(found: RoleBasedGroupSet, indexes: Sequence[int]) -> str:
    return listed([names.group_in_set(found.key.name, index) for index in indexes], _LISTED_MAX)


def unreadable(metadata: ObjectMeta, error: str, now: datetime) -> Plan:
    """What to say about a stored set that does not decode: a condition and an Event, nothing else is touched.

    Args:
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        now: the present, for the transition time.
    """
    message = cannot_be_read(error)
    condition = _condition(metadata, conditions.READY, "False", events.INVALID_SPEC, message)
    fresh = RoleBasedGroupSetStatus(observed_generation=metadata.generation, conditions=merge((), (condition,), now))
    return cannot_be_read_plan(RoleBasedGroupSet, metadata, error, changes(None, fresh))
