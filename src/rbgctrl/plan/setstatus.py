"""What a RoleInstanceSet says about itself: counters, revisions, and what keeps it from what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from rbgctrl.api import conditions, events
from rbgctrl.api.instances import RoleInstanceSet, RoleInstanceSetStatus
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import InstanceNode, SetNode
from rbgctrl.plan.conditions import changes, differs, find, merge, parse_time
from rbgctrl.plan.members import instance_ready, revision_of, wanted_replicas
from rbgctrl.plan.model import Action, Note
from rbgctrl.plan.observed import selector_text
from rbgctrl.plan.patience import moments, rest, youth
from rbgctrl.plan.revision import Revision, short
from rbgctrl.plan.setfaults import Trouble
from rbgctrl.plan.setpass import Pass
from rbgctrl.plan.statuspatch import new_warnings, status_patch

__all__ = ["STUCK_AFTER", "new_troubles", "status", "stuck"]

STUCK_AFTER: Final = 60.0
"""Seconds an instance may take to go away before somebody is told what holds it."""
_FOREGROUND: Final = "foregroundDeletion"


def stuck(instances: Iterable[InstanceNode], now: datetime) -> tuple[tuple[Trouble, ...], float | None]:
    """Instances that have been going away for too long, and seconds until the next one has."""
    troubles, later = [], []
    for item in (node.instance.metadata for node in instances):
        if item.deletion_timestamp is None:
            continue
        left = (parse_time(item.deletion_timestamp) + timedelta(seconds=STUCK_AFTER) - now).total_seconds()
        if left > 0:
            later.append(min(left, STUCK_AFTER))
            continue
        holders = [name for name in item.finalizers if name != _FOREGROUND]
        held = (
            f"finalizer {', '.join(holders)}; whoever set it has to remove it"
            if holders
            else "its pods, which go first"
        )
        message = f"RoleInstance {item.name} was deleted at {item.deletion_timestamp} and is held by {held}"
        troubles.append(Trouble(reason=events.FAILED_DELETE, message=message))
    return tuple(troubles), min(later, default=None)


def status(
    node: SetNode, done: Pass, revision: Revision | None, now: datetime, refusal: str = ""
) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and seconds until it is time for one that may wait.

    Args:
        node: the set with all its instances.
        done: what the pass decided.
        revision: that of the spec; None when it has none because of a fault.
        now: the present.
        refusal: why the API server took no instance, or ``""``; an earlier one stays until none is missing.
    """
    found = node.set
    stored = found.status or RoleInstanceSetStatus()
    items = [item.instance for item in done.counted]
    ready = [item for item in items if instance_ready(item)]
    newest = revision.name if revision is not None else stored.update_revision
    updated = [item for item in items if revision_of(item) == short(newest)]
    there = sum(revision_of(item) == short(done.current) for item in items) if done.count_current else 0
    wanted = wanted_replicas(found)
    fresh = RoleInstanceSetStatus(
        observed_generation=found.metadata.generation,
        replicas=len(items),
        ready_replicas=len(ready),
        available_replicas=done.available,
        current_replicas=there,
        updated_replicas=len(updated),
        updated_ready_replicas=sum(map(instance_ready, updated)),
        expected_updated_replicas=done.expected,
        current_revision=done.current,
        update_revision=newest,
        collision_count=revision.collisions if revision is not None else stored.collision_count,
        label_selector=_selector(found),
        conditions=_conditions(stored, done, now, refusal),
    )
    if not differs(found.status, fresh):
        return (), None
    born = found.metadata.creation_timestamp
    quiet = found.status is None and not fresh.conditions and not _complete(fresh, wanted)
    if quiet and (pause := youth(born, now)) is not None:
        return (), pause
    waits = _may_wait(found.status, fresh, wanted)
    if waits and (pause := rest(_movements(node), now, born)) is not None:
        return (), pause
    changed = changes(found.status, fresh)
    return (status_patch(RoleInstanceSet, found.metadata, changed, whole=found.status is None),), None


def _conditions(stored: RoleInstanceSetStatus, done: Pass, now: datetime, refusal: str) -> tuple[Condition, ...]:
    """Conditions are about the present: what does not hold any more is removed."""
    wanted, dropped = [], {conditions.STALLED, conditions.FAILED_UPDATE}
    if done.troubles:
        message = "; ".join(trouble.message for trouble in done.troubles)
        wanted.append(
            Condition(type=conditions.STALLED, status="True", reason=done.troubles[0].reason, message=message)
        )
    if refusal:
        wanted.append(
            Condition(type=conditions.FAILED_SCALE, status="True", reason=events.FAILED_CREATE, message=refusal)
        )
    elif done.complete:
        dropped.add(conditions.FAILED_SCALE)
    return merge(stored.conditions, wanted, now, drop=dropped)


def new_troubles(found: RoleInstanceSet, troubles: Iterable[Trouble]) -> tuple[Note, ...]:
    """One Event for each trouble that the set does not tell of yet."""
    stored = find(found.status.conditions if found.status is not None else (), conditions.STALLED)
    return new_warnings(found, stored, ((trouble.reason, trouble.message) for trouble in troubles))


def _selector(found: RoleInstanceSet) -> str:
    """The selector of the pods, which the scale subresource shows: that of the set, whatever its pattern."""
    selector = found.spec.selector if found.spec is not None else None
    return selector_text(selector) if selector is not None else ""


def _may_wait(stored: RoleInstanceSetStatus | None, fresh: RoleInstanceSetStatus, wanted: int) -> bool:
    """Whether only counters moved: not what others act on, which is being complete or not."""
    if stored is None:
        return not _complete(fresh, wanted) and not fresh.conditions
    return (
        _complete(stored, wanted) == _complete(fresh, wanted)
        and stored.observed_generation == fresh.observed_generation
        and stored.update_revision == fresh.update_revision
        and stored.conditions == fresh.conditions
    )


def _complete(told: RoleInstanceSetStatus, wanted: int) -> bool:
    return told.ready_replicas == told.replicas == wanted


def _movements(node: SetNode) -> Iterator[str | None]:
    """When the set or one of its instances last changed visibly."""
    yield node.set.metadata.creation_timestamp
    for item in node.instances:
        status = item.instance.status
        yield from moments(item.instance.metadata, status.conditions if status is not None else ())
