"""How many instances a stateless set creates, deletes and updates now. Integers in, integers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rbgctrl.api import intstr
from rbgctrl.api.instances import RoleInstanceSetSpec, ScaleStrategy, UpdateStrategy

__all__ = ["Limits", "Numbers", "Tally", "count", "limits"]

_MAX_UNAVAILABLE: Final = "10%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the spec asks for and allows.

    Attributes:
        replicas: instances wanted.
        partition: of those, how many stay at the current revision.
        max_unavailable: instances that may be unavailable during an update; may be 0.
        max_surge: instances that may exist beyond ``replicas``.
        scale_max_unavailable: unavailable instances at which creation pauses; None for no limit.
        paused: updates are.
    """

    replicas: int
    partition: int = 0
    max_unavailable: int = 0
    max_surge: int = 0
    scale_max_unavailable: int | None = None
    paused: bool = False


def limits(spec: RoleInstanceSetSpec, replicas: int) -> Limits:
    """The limits of a spec in numbers.

    Raises:
        IntOrStringError: one is neither a number nor a percentage.
    """
    update, scale = spec.update_strategy or UpdateStrategy(), spec.scale_strategy or ScaleStrategy()
    surge = 0 if update.max_surge is None else max(intstr.ceil(update.max_surge, replicas), 0)
    limit = _MAX_UNAVAILABLE if update.max_unavailable is None else update.max_unavailable
    round_limit = intstr.floor if surge else intstr.ceil
    return Limits(
        replicas=replicas,
        partition=_partition(update.partition, replicas),
        max_unavailable=max(round_limit(limit, replicas), 0),
        max_surge=surge,
        scale_max_unavailable=None if scale.max_unavailable is None else intstr.ceil(scale.max_unavailable, replicas),
        paused=update.paused,
    )


def _partition(value: int | str | None, replicas: int) -> int:
    """Rounded up, but only ``100%`` keeps everything: a smaller percentage always leaves one to update."""
    if value is None:
        return 0
    found = min(max(intstr.ceil(value, replicas), 0), replicas)
    if isinstance(value, str) and value != "100%" and found == replicas > 0:
        return replicas - 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What there is. New ones are at the update revision, all others are old.

    Attributes:
        new: every new instance that is not going away.
        old: every old one.
        new_leaving: new ones that a hook still keeps from being deleted.
        old_leaving: old ones of those.
        new_doomed: new ones that somebody wants deleted, but that are not leaving yet.
        old_doomed: old ones of those.
        unavailable: of the rest, those not available.
        settled: whether the current revision is the update revision.
    """

    new: int = 0
    old: int = 0
    new_leaving: int = 0
    old_leaving: int = 0
    new_doomed: int = 0
    old_doomed: int = 0
    unavailable: int = 0
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What to do.

    Attributes:
        scale: instances to create; to delete when negative.
        scale_old: of those, how many at the current revision (or to take from the old ones).
        create: how many of ``scale`` may be created now.
        delete_ready: doomed instances that may be deleted although they are ready.
        update: instances to move to the update revision; back to the current one when negative.
        update_unavailable: unavailable instances at which updating stops.
        surge: instances that are wanted beyond ``replicas`` meanwhile.
    """

    scale: int = 0
    scale_old: int = 0
    create: int = 0
    delete_ready: int = 0
    update: int = 0
    update_unavailable: int = 0
    surge: int = 0


def count(allowed: Limits, there: Tally) -> Numbers:
    """What to do about what there is."""
    # Once everything is meant to be at one revision, there is no old share to keep.
    partition = 0 if there.settled else allowed.partition
    old_diff = there.old - there.old_leaving - partition
    new_diff = there.new - there.new_leaving - (allowed.replicas - partition)
    if there.settled:
        old_diff, new_diff = max(old_diff, 0), min(new_diff, 0)
    surge, surge_old = _surge(allowed, there, old_diff, new_diff)
    total = there.new + there.old
    scale = allowed.replicas + surge - total
    old_share = partition + surge_old - there.old
    down = there.unavailable + there.new_leaving + there.old_leaving
    room = scale if allowed.scale_max_unavailable is None else max(allowed.scale_max_unavailable - down, 0)
    slack = allowed.max_unavailable + total - allowed.replicas
    return Numbers(
        scale=scale,
        scale_old=max(old_share, 0) if scale > 0 else min(old_share, 0) if scale < 0 else 0,
        create=max(min(scale, room), 0),
        delete_ready=max(slack - down, 0),
        update=old_diff if abs(old_diff) <= abs(new_diff) else -new_diff,
        update_unavailable=slack,
        surge=surge,
    )


def _surge(allowed: Limits, there: Tally, old_diff: int, new_diff: int) -> tuple[int, int]:
    """Instances beyond the wanted number, and how many of them at the current revision."""
    if allowed.max_surge <= 0 or allowed.paused:
        return 0, 0
    doomed = there.new_doomed + there.old_doomed
    down = there.unavailable + there.new_leaving + there.old_leaving
    deleting = min(max(down + doomed - allowed.max_unavailable, 0), doomed)
    updating = min(abs(old_diff), abs(new_diff)) if old_diff * new_diff < 0 else 0
    if deleting >= updating:
        surge = min(allowed.max_surge, deleting)
        return surge, min(surge, max(deleting - there.new_doomed, 0))
    surge = min(allowed.max_surge, updating)
    backwards = old_diff < 0 if abs(old_diff) <= abs(new_diff) else new_diff > 0
    return surge, surge if backwards else 0
