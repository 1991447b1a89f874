"""Which replicas of a stateful set a rollout replaces next.

:func:`window` reads what a spec allows; whoever coordinates several roles may hand :func:`targets` a narrower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rbgctrl.api import intstr
from rbgctrl.api.instances import UpdateStrategy

__all__ = ["Choice", "Replica", "Window", "targets", "window"]

_MAX_UNAVAILABLE: Final = "10%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How far a rollout may go now.

    Attributes:
        partition: ordinals below it stay where they are.
        max_unavailable: replicas that may be unavailable at once; at least 1.
        max_surge: replicas that may exist beyond the wanted number. Not used yet: each is replaced in its place.
        paused: nothing is replaced.
    """

    partition: int
    max_unavailable: int
    max_surge: int = 0
    paused: bool = False


def window(strategy: UpdateStrategy | None, replicas: int) -> Window:
    """What a set's ``updateStrategy`` allows for that many replicas.

    Raises:
        IntOrStringError: a limit is neither a number nor a percentage.
    """
    found = strategy or UpdateStrategy()
    partition = 0 if found.partition is None else intstr.legacy_floor(found.partition, replicas)
    surge = 0 if found.max_surge is None else intstr.ceil(found.max_surge, replicas)
    limit = _MAX_UNAVAILABLE if found.max_unavailable is None else found.max_unavailable
    return Window(
        partition=min(max(partition, 0), replicas),
        # As without surge, rounded up and never 0: a limit that counts on extra replicas would leave all of them stale.
        max_unavailable=max(intstr.ceil(limit, replicas), 1),
        max_surge=max(surge, 0),
        paused=found.paused,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One place of a set as a rollout sees it.

    Attributes:
        ordinal: which place.
        present: whether an instance is there that is not going away.
        updated: whether it is at the revision to roll out.
        ready: whether it is ready.
        available: whether it has been ready for long enough.
        broken_in: seconds until an unready one has been so for long enough to be called broken; 0 or less when it has.
    """

    ordinal: int
    present: bool = True
    updated: bool = False
    ready: bool = True
    available: bool = True
    broken_in: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to replace now.

    Attributes:
        ordinals: highest first.
        look_again: seconds until one more may be, although nothing changes; None when nothing will.
    """

    ordinals: tuple[int, ...] = ()
    look_again: float | None = None


def targets(replicas: Sequence[Replica], allowed: Window) -> Choice:
    """The outdated replicas to replace now, highest ordinal first.

    A broken one costs nothing, so it is replaced whatever the limit says: that is how a bad revision is left behind.
    One that serves is replaced while the unavailable ones, itself included, stay within the limit; one that must wait
    holds back no other.

    Args:
        replicas: every place of the set, empty ones too: those are unavailable.
        allowed: how far to go.
    """
    if allowed.paused:
        return Choice()
    down = {item.ordinal for item in replicas if not (item.present and item.ready and item.available)}
    chosen, pauses = [], []
    for item in sorted(replicas, key=lambda found: -found.ordinal):
        if item.ordinal < allowed.partition or item.updated or not item.present:
            continue
        broken = not item.ready and item.broken_in <= 0
        if broken or len(down | {item.ordinal}) <= allowed.max_unavailable:
            down.add(item.ordinal)
            chosen.append(item.ordinal)
        elif not item.ready:
            pauses.append(item.broken_in)
    return Choice(ordinals=tuple(chosen), look_again=min(pauses, default=None))
