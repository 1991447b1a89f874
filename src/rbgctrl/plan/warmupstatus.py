"""What a warmup says of itself: status, conditions and Events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from rbgctrl.api import conditions, events
from rbgctrl.api.meta import Condition, ObjectMeta
from rbgctrl.api.warmups import (
    FAILED,
    PAUSED,
    RUNNING,
    RoleBasedGroupWarmup,
    RoleBasedGroupWarmupStatus,
)
from rbgctrl.graph.warmups import WarmupNode
from rbgctrl.plan.conditions import changes, find, merge, parse_time, stamp
from rbgctrl.plan.model import Note, Plan, Severity, Subject
from rbgctrl.plan.patience import moments, rest
from rbgctrl.plan.statuspatch import Report, cannot_be_read, cannot_be_read_plan, status_patch
from rbgctrl.plan.words import listed

__all__ = ["Blocked", "End", "Progress", "blocked_for", "named", "report", "unreadable"]

MESSAGE_MAX: Final = 2048
"""Longest message of a condition; the words of an API server may be longer than anybody reads."""
_SHARE: Final = 10
"""Counters of a warmup in motion are written at the latest when they have moved by one part in this many."""
_LISTED_MAX: Final = 5
_TRANSIENT: Final = (conditions.BLOCKED, conditions.VOLUME_CONFLICT)


class Blocked(NamedTuple):
    """What keeps pods from being made or placed."""

    reason: str
    message: str


class End(NamedTuple):
    """How it ends."""

    phase: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is to be told; counters are nodes.

    Attributes:
        desired: are targets.
        active: have a pod at work.
        succeeded: are warm.
        failed: were given up.
        start_time: when the first pod was made.
        conflicts: volumes that were declared twice, differently.
        blocked: what it waits for that it cannot bring about.
        end: how it ends, None while it goes on.
    """

    desired: int
    active: int
    succeeded: int
    failed: int
    start_time: str | None
    conflicts: tuple[str, ...]
    blocked: Blocked | None
    end: End | None


def report(node: WarmupNode, progress: Progress, now: datetime) -> Report:
    """The report on a warmup that has not ended before."""
    found = node.warmup
    stored = found.status
    fresh = _status(found, progress, now)
    changed = changes(stored, fresh)
    if not changed:
        return Report()
    moved = [moment for pod in node.pods for moment in moments(pod.metadata, pod.status.conditions)]
    if stored is not None and _may_wait(stored, fresh) and (pause := rest(moved, now)) is not None:
        return Report(pause=pause)
    # A first status needs its phase, even the empty one.
    told = {"phase": fresh.phase, **changed} if stored is None else changed
    patch = status_patch(RoleBasedGroupWarmup, found.metadata, told, whole=stored is None)
    return Report(status=(patch,), notes=tuple(_notes(found, fresh, progress)))


def _status(found: RoleBasedGroupWarmup, progress: Progress, now: datetime) -> RoleBasedGroupWarmupStatus:
    stored = found.status or RoleBasedGroupWarmupStatus()
    phase = stored.phase
    if progress.end is not None:
        phase = progress.end.phase
    elif found.spec.paused:
        phase = PAUSED
    elif progress.start_time is not None or stored.phase == PAUSED:
        phase = RUNNING
    return RoleBasedGroupWarmupStatus(
        phase=phase,
        desired=progress.desired,
        active=progress.active,
        succeeded=progress.succeeded,
        failed=progress.failed,
        start_time=progress.start_time,
        completion_time=stamp(now) if progress.end is not None else None,
        conditions=merge(stored.conditions, _conditions(found, progress), now, drop=_TRANSIENT),
    )


def _conditions(found: RoleBasedGroupWarmup, progress: Progress) -> Iterator[Condition]:
    told = []
    if progress.conflicts:
        message = f"declared more than once, differently; the first counts: {named(progress.conflicts)}"
        told.append((conditions.VOLUME_CONFLICT, conditions.CONFLICTING_VOLUMES, message))
    if progress.blocked is not None:
        told.append((conditions.BLOCKED, *progress.blocked))
    if (end := progress.end) is not None:
        kind = conditions.FAILED if end.phase == FAILED else conditions.COMPLETE
        told.append((kind, end.reason, end.message))
    for kind, reason, message in told:
        yield Condition(
            type=kind,
            status="True",
            reason=reason,
            message=message[:MESSAGE_MAX],
            observed_generation=found.metadata.generation,
        )


def _may_wait(stored: RoleBasedGroupWarmupStatus, fresh: RoleBasedGroupWarmupStatus) -> bool:
    """Whether only counters moved, and not far."""
    counted: dict[str, Any] = {"desired": 0, "active": 0, "succeeded": 0, "failed": 0}
    if msgspec.structs.replace(stored, **counted) != msgspec.structs.replace(fresh, **counted):
        return False
    moved = abs(fresh.succeeded + fresh.failed - stored.succeeded - stored.failed)
    return moved * _SHARE < fresh.desired


def blocked_for(found: RoleBasedGroupWarmup, now: datetime) -> float:
    """Seconds since something has kept pods from being made."""
    stored = find(found.status.conditions if found.status is not None else (), conditions.BLOCKED)
    since = stored.last_transition_time if stored is not None else None
    return (now - parse_time(since)).total_seconds() if since else 0.0


# Events ---------------------------------------------------------------------------------------------------------------


def _notes(found: RoleBasedGroupWarmup, fresh: RoleBasedGroupWarmupStatus, progress: Progress) -> Iterator[Note]:
    """What begins with the fresh status."""
    stored = found.status or RoleBasedGroupWarmupStatus()
    if fresh.start_time is not None and stored.start_time is None:
        yield _note(found, events.WARMUP_STARTED, f"warming up {progress.desired} nodes")
    if fresh.phase == PAUSED != stored.phase:
        yield _note(found, events.WARMUP_PAUSED, "no new pods until spec.paused is false")
    if stored.phase == PAUSED and fresh.phase == RUNNING:
        yield _note(found, events.WARMUP_RESUMED, "goes on after the pause")
    conflict = find(fresh.conditions, conditions.VOLUME_CONFLICT)
    if conflict is not None and _new(conflict, stored):
        yield _note(found, events.WARMUP_VOLUME_CONFLICT, f"volumes {conflict.message}", Severity.WARNING)
    blocked = find(fresh.conditions, conditions.BLOCKED)
    if blocked is not None and blocked.reason != conditions.NO_PODS_PLACED and _new(blocked, stored):
        yield _note(found, blocked.reason, blocked.message, Severity.WARNING)
    if progress.end is not None:
        yield from _ending(found, progress.end)


def _new(condition: Condition, stored: RoleBasedGroupWarmupStatus) -> bool:
    before = find(stored.conditions, condition.type)
    return before is None or before.message != condition.message


def _ending(found: RoleBasedGroupWarmup, end: End) -> Iterator[Note]:
    if end.phase == FAILED:
        yield _note(found, end.reason, end.message, Severity.WARNING)
        yield _note(found, events.WARMUP_FAILED, "gave up; pods that were still at work are deleted", Severity.WARNING)
    else:
        yield _note(found, events.WARMUP_COMPLETED, end.message)


def _note(found: RoleBasedGroupWarmup, reason: str, message: str, severity: Severity = Severity.NORMAL) -> Note:
    return Note(subject=Subject.of(found), severity=severity, reason=reason, message=message[:MESSAGE_MAX])


def named(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    return listed(names, _LISTED_MAX)


def unreadable(metadata: ObjectMeta, error: str, now: datetime) -> Plan:
    """What to say about a stored warmup that does not decode: a condition and an Event, nothing else is touched.

    Args:
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        now: the present, for the transition time.
    """
    message = cannot_be_read(error)[:MESSAGE_MAX]
    condition = Condition(
        type=conditions.BLOCKED,
        status="True",
        reason=events.INVALID_SPEC,
        message=message,
        observed_generation=metadata.generation,
    )
    fresh = RoleBasedGroupWarmupStatus(conditions=merge((), (condition,), now))
    return cannot_be_read_plan(RoleBasedGroupWarmup, metadata, error, {"phase": "", **changes(None, fresh)})
