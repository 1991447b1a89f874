"""Sets whose instances have ordinals: which exist, in which order they come and go, and which are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rbgctrl.api import events, names
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet, RoleInstanceSetStatus
from rbgctrl.graph.nodes import InstanceNode, SetNode
from rbgctrl.plan.births import newest, recorded, stateful_birth
from rbgctrl.plan.claims import adopt, release, strayed
from rbgctrl.plan.members import (
    at,
    current,
    instance_ready,
    listed,
    names_of,
    until_available,
    until_broken,
    wanted_replicas,
)
from rbgctrl.plan.model import Action, Apply, Delete
from rbgctrl.plan.revision import Revision
from rbgctrl.plan.rollout import Replica, Window, targets, window
from rbgctrl.plan.setfaults import Trouble
from rbgctrl.plan.setpass import Pass, Told, soonest

__all__ = ["belongs", "stateful"]


def belongs(_: RoleInstanceSet, node: InstanceNode) -> bool:
    """Whether an instance that the set controls is one of this pattern."""
    return node.ordinal >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What changes in the number of instances.

    Attributes:
        create: ordinals to create, ascending.
        delete: instances to delete, highest ordinal first.
        blocked: ordinals whose name is held by somebody else's instance.
        missing: how many ordinals have no instance.
    """

    create: tuple[int, ...] = ()
    delete: tuple[InstanceNode, ...] = ()
    blocked: tuple[int, ...] = ()
    missing: int = 0


def stateful(node: SetNode, members: Sequence[InstanceNode], revision: Revision, now: datetime) -> Pass:
    """Decide about the instances of a set with ordinals.

    Args:
        node: the set.
        members: its instances of this pattern, by ordinal.
        revision: that of its spec.
        now: the present.
    """
    found = node.set
    assert found.spec is not None  # noqa: S101 - checked by the caller
    wanted = wanted_replicas(found)
    allowed = window(found.spec.update_strategy, wanted)
    released = [item for item in members if strayed(found, item.instance)]
    kept = tuple(item for item in members if not strayed(found, item.instance))
    scale = _scale(node, kept, wanted)
    stored = (found.status or RoleInstanceSetStatus()).current_revision or revision.name
    births = _births(node, scale.create, allowed, revision, stored)
    places = _places(kept, wanted, revision, found.spec.min_ready_seconds, now)
    choice = targets(places, allowed)
    held = {item.ordinal: item for item in kept}
    outdated = [held[ordinal] for ordinal in choice.ordinals]
    actions: tuple[Action, ...] = (
        *(release(found, item.instance) for item in released),
        *(adopt(found, item.instance) for item in node.orphans),
        *births,
        *(_delete(item, "more instances than wanted") for item in scale.delete),
        *(_delete(item, "the instance is at an earlier revision") for item in outdated),
    )
    waits = [until_available(item.instance, found.spec.min_ready_seconds, now) for item in kept]
    return Pass(
        counted=kept,
        actions=actions,
        complete=not scale.missing,
        notes=_notes(found, scale, outdated, revision),
        troubles=tuple(_taken(found, ordinal) for ordinal in scale.blocked),
        available=sum(wait is not None and wait <= 0 for wait in waits),
        current=revision.name if _completed(held, wanted, allowed, revision) else stored,
        expected=wanted - allowed.partition,
        look_again=soonest(choice.look_again, *(wait for wait in waits if wait is not None and wait > 0)),
    )


# Number ---------------------------------------------------------------------------------------------------------------


def _scale(node: SetNode, kept: Sequence[InstanceNode], wanted: int) -> _Scale:
    """Ordinals 0..replicas-1 must exist; the rest is condemned. Terminating instances keep their slot."""
    spec = node.set.spec
    assert spec is not None  # noqa: S101 - checked by the caller
    held = {item.ordinal: item for item in (*kept, *node.orphans)}
    # One that is being released is nobody's from now on, and still there.
    taken = node.squatters | {item.ordinal for item in node.instances if item.ordinal not in held}
    missing = [ordinal for ordinal in range(wanted) if ordinal not in held]
    blocked = tuple(ordinal for ordinal in missing if ordinal in taken)
    create = [ordinal for ordinal in missing if ordinal not in taken and ordinal not in node.leaving]
    condemned = sorted((item for item in kept if item.ordinal >= wanted), key=lambda item: -item.ordinal)
    condemned = [item for item in condemned if not item.instance.metadata.deleting]
    if spec.pod_management_policy in ("", "OrderedReady"):
        create = _next_in_order(held, create)
        condemned = _condemned_in_order(condemned)
    return _Scale(create=tuple(create), delete=tuple(condemned), blocked=blocked, missing=len(missing))


def _next_in_order(held: Mapping[int, InstanceNode], missing: Sequence[int]) -> list[int]:
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


def _births(
    node: SetNode, ordinals: Sequence[int], allowed: Window, revision: Revision, stored: str
) -> tuple[Apply, ...]:
    """Slots below the partition come back at the revision that the rollout leaves alone; all others at the newest."""
    latest = newest(node.set, revision)
    before = (recorded(node, stored) if any(item < allowed.partition for item in ordinals) else None) or latest
    return tuple(stateful_birth(node.set, item, before if item < allowed.partition else latest) for item in ordinals)


def _delete(item: InstanceNode, why: str) -> Delete:
    return Delete(kind=RoleInstance, key=item.instance.key, uid=item.instance.uid, why=why)


# Rollout --------------------------------------------------------------------------------------------------------------


def _places(
    kept: Sequence[InstanceNode], wanted: int, revision: Revision, min_ready_seconds: int, now: datetime
) -> list[Replica]:
    held = {item.ordinal: item.instance for item in kept}
    found = []
    for ordinal in range(wanted):
        item = held.get(ordinal)
        if item is None:
            found.append(Replica(ordinal=ordinal, present=False))
            continue
        wait = until_available(item, min_ready_seconds, now)
        found.append(
            Replica(
                ordinal=ordinal,
                present=not item.metadata.deleting,
                updated=at(item, revision),
                ready=wait is not None,
                available=wait is not None and wait <= 0,
                broken_in=until_broken(item, now),
            )
        )
    return found


def _completed(held: Mapping[int, InstanceNode], wanted: int, allowed: Window, revision: Revision) -> bool:
    """Whether every place has an instance at the revision that is ready as it is now."""
    items = [held[ordinal].instance for ordinal in range(wanted) if ordinal in held]
    return (
        not allowed.partition
        and not allowed.paused
        and len(items) == wanted
        and all(at(item, revision) and instance_ready(item) and current(item) for item in items)
    )


# Words ----------------------------------------------------------------------------------------------------------------


def _notes(
    found: RoleInstanceSet, scale: _Scale, outdated: Sequence[InstanceNode], revision: Revision
) -> tuple[Told, ...]:
    notes = []
    if scale.create:
        made = listed([names.instance(found.metadata.name, ordinal) for ordinal in scale.create])
        notes.append(Told(reason=events.SUCCESSFUL_CREATE, message=f"created {made}"))
    if scale.delete:
        notes.append(Told(reason=events.SUCCESSFUL_DELETE, message=f"deleted {listed(names_of(scale.delete))}"))
    if outdated:
        message = f"deleted {listed(names_of(outdated))} to make it anew at revision {revision.name}"
        notes.append(Told(reason=events.SUCCESSFUL_DELETE, message=message))
    return tuple(notes)


def _taken(found: RoleInstanceSet, ordinal: int) -> Trouble:
    name = names.instance(found.metadata.name, ordinal)
    message = f"RoleInstance {name} exists and belongs to somebody else; remove it so that it can be created"
    return Trouble(reason=events.FAILED_CREATE, message=message)
