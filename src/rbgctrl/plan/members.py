"""What an instance means to its set: which revision it is at, and whether it may be counted on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rbgctrl.api import conditions, labels
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan import words
from rbgctrl.plan.conditions import find, parse_time
from rbgctrl.plan.revision import Revision, short

__all__ = [
    "at",
    "current",
    "instance_ready",
    "listed",
    "names_of",
    "revision_of",
    "until_available",
    "until_broken",
    "wanted_replicas",
]

UNREADY_FOR = 5.0
"""Seconds an instance must have been unready before a rollout may count it as broken; a failed probe is no reason."""


def wanted_replicas(found: RoleInstanceSet) -> int:
    """Instances the set's spec asks for."""
    replicas = found.spec.replicas if found.spec is not None else None
    return 1 if replicas is None else max(replicas, 0)


def revision_of(item: RoleInstance) -> str:
    """Short hash of the revision it was made from; its label holds the hash, or a name that ends in it."""
    return short(item.metadata.labels.get(labels.CONTROLLER_REVISION_HASH, ""))


def at(item: RoleInstance, revision: Revision) -> bool:
    """Whether it was made from that revision."""
    return revision_of(item) == revision.hash


def _readiness(item: RoleInstance) -> Condition | None:
    return find(item.status.conditions if item.status is not None else (), conditions.INSTANCE_READY)


def instance_ready(item: RoleInstance) -> bool:
    """Whether an instance counts as ready: its condition says so and it is not going away."""
    condition = _readiness(item)
    return condition is not None and condition.true and not item.metadata.deleting


def current(item: RoleInstance) -> bool:
    """Whether its status is about the spec it has now."""
    return item.status is not None and item.status.observed_generation >= item.metadata.generation


def until_available(item: RoleInstance, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until a ready instance counts as available, 0 or less when it does; None when it is not ready."""
    if not instance_ready(item):
        return None
    return _left(_readiness(item), max(min_ready_seconds, 0), now)


def until_broken(item: RoleInstance, now: datetime) -> float:
    """Seconds until an unready instance has been so for long enough; 0 or less when it has, or was never ready."""
    return _left(_readiness(item), UNREADY_FOR, now)


def _left(since: Condition | None, seconds: float, now: datetime) -> float:
    if since is None or not since.last_transition_time:
        return 0.0
    due = parse_time(since.last_transition_time) + timedelta(seconds=seconds)
    # A moment that lies ahead is a clock that is off: it makes nobody wait for longer than it takes.
    return min((due - now).total_seconds(), seconds)


def listed(items: Sequence[str]) -> str:
    """``RoleInstance a, b, c`` with at most three names."""
    return f"RoleInstance {words.listed(items, 3)}"


def names_of(nodes: Sequence[InstanceNode]) -> list[str]:
    """Their names, in that order."""
    return [node.instance.metadata.name for node in nodes]
