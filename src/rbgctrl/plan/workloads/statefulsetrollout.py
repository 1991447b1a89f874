"""A StatefulSet has a partition but no surge: rolling updates with both, by moving its partition and replicas.

Pods of ordinals from the partition up follow the template, those below stay. Example: 4 replicas, maxUnavailable 1,
maxSurge 1. A new template comes with partition 4 and 5 replicas: only the extra pod 4 is new. Once it is ready the
partition goes down one by one, never leaving more than maxUnavailable of the 4 without a ready pod, and the last step
takes the extra pod away again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rbgctrl.api import intstr
from rbgctrl.api.roles import Rollout

__all__ = ["MISSING", "Live", "Ordinal", "Step", "step"]


@dataclass(frozen=True, slots=True)
class Ordinal:
    """What is at one ordinal: whether its pod is ready, and made of the newest template."""

    ready: bool
    updated: bool

    @property
    def done(self) -> bool:
        """Nothing is left to do."""
        return self.ready and self.updated


MISSING = Ordinal(ready=False, updated=False)
"""No pod is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The StatefulSet as it is.

    Attributes:
        replicas: its ``spec.replicas``.
        partition: its partition.
        size: what the role asked for when it was last written; None when nobody knows.
        changed: whether what is about to be written replaces its pods' template.
        observed: whether its controller has seen its spec, so that its newest revision is the template's.
        ordinals: its pods from ordinal 0, at least as many as it has replicas.
    """

    replicas: int
    partition: int
    size: int | None
    changed: bool
    observed: bool
    ordinals: Sequence[Ordinal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to set."""

    partition: int
    replicas: int


def step(wanted: int, rollout: Rollout, live: Live | None, coordinated: int | str | None = None) -> Step:
    """The next partition and replicas.

    Args:
        wanted: replicas of the role.
        rollout: how the role may be updated.
        live: what there is; None when it has to be created.
        coordinated: partition that a coordination of several roles gives; it is taken as it is, without extra pods.

    Raises:
        IntOrStringError: a limit is neither a number nor a percentage.
    """
    if coordinated is not None:
        return Step(partition=intstr.ceil(coordinated, wanted), replicas=wanted)
    held = intstr.ceil(rollout.partition, wanted)
    if live is None:
        return Step(partition=held, replicas=wanted)
    surge = min(intstr.ceil(rollout.max_surge, wanted), wanted)
    # A percentage too small for a single pod must not bring the update to a standstill.
    unavailable = intstr.floor(rollout.max_unavailable, wanted) or (0 if surge else 1)
    found = _step(wanted, unavailable, surge, live)
    return Step(partition=max(found.partition, held), replicas=found.replicas)


def _step(wanted: int, unavailable: int, surge: int, live: Live) -> Step:
    most = wanted + surge

    def replicas(undone: int) -> int:
        """All extra pods while more are undone than that; then they go with what is done.

        One may go early, unless not a single pod may be missing.
        """
        return most if undone > surge else wanted + max(undone - (1 if unavailable else 0), 0)

    if live.changed:
        return Step(partition=min(wanted, live.replicas), replicas=replicas(wanted))
    if not live.partition and live.replicas == wanted:
        return Step(partition=0, replicas=wanted)
    undone = sum(not _at(live, ordinal).done for ordinal in range(wanted))
    if live.size != wanted:
        return Step(partition=min(live.partition, most), replicas=replicas(undone))
    if not live.observed:
        return Step(partition=live.partition, replicas=live.replicas)
    pace = unavailable + surge - (most - live.replicas)
    return Step(partition=_partition(live, pace), replicas=replicas(undone))


def _partition(live: Live, pace: int) -> int:
    """The partition from which at most ``pace`` pods are in the works, from the top down; it never goes up."""
    tail = 0
    while tail < live.replicas and _at(live, live.replicas - 1 - tail).done:
        tail += 1
    lowest = max(live.replicas - tail - pace, 0)
    # Pods further down that are not ready use up room, too.
    partition = lowest + sum(not _at(live, ordinal).ready for ordinal in range(lowest))
    # Pods that are not ready, or updated already, cost nobody anything: else an update would wait for what it replaces.
    for ordinal in range(min(partition, live.replicas - 1), lowest - 1, -1):
        found = _at(live, ordinal)
        if found.ready and not found.updated:
            break
        partition = ordinal
    return min(partition, live.partition)


def _at(live: Live, ordinal: int) -> Ordinal:
    return live.ordinals[ordinal] if ordinal < len(live.ordinals) else MISSING
