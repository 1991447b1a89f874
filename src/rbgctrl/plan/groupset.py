"""What a RoleBasedGroupSet needs next: its groups, at its template, a few at a time, and a status that is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rbgctrl.api import conditions, events, intstr, labels, names
from rbgctrl.api.finding import Finding
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSetStatus
from rbgctrl.api.meta import ObjectMeta
from rbgctrl.api.validate import group_findings
from rbgctrl.api.workloads import Workload
from rbgctrl.graph.groupsets import ChildNode, GroupSetNode
from rbgctrl.plan.conditions import find
from rbgctrl.plan.groupsetstatus import Fault, Standing, report, unreadable
from rbgctrl.plan.grouptemplate import apply_group
from rbgctrl.plan.model import Action, Apply, Delete, Plan
from rbgctrl.plan.observed import observe
from rbgctrl.plan.rendering import rendering
from rbgctrl.plan.staleness import behind
from rbgctrl.plan.words import because

__all__ = ["group_set", "refused", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rollout:
    """How a new template reaches the groups.

    Attributes:
        max_unavailable: groups that may be unready meanwhile.
        partition: groups with a lower index keep what they have.
    """

    max_unavailable: int
    partition: int


def group_set(node: GroupSetNode, now: datetime) -> Plan:
    """Decide what to write for one set.

    A fault in the template stops creations and updates; what runs stays, and what is too much goes.

    Args:
        node: the set with its groups.
        now: the present, for transition times.
    """
    found = node.set
    if found.metadata.deleting:
        return Plan(because="the set is being deleted; its groups go with it")
    if late := behind(found.metadata, (child.group.metadata for child in node.children)):
        return Plan(because=late)
    return _plan(_look(node), now)


def refused(node: GroupSetNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused a write: the status only, and one Event per new reason."""
    if node.set.metadata.deleting:
        return Plan(because="nothing to report on")
    look = _look(node)
    said = report(node, _standing(look, (*_faults(look), Fault(conditions.REFUSED, why))), now)
    return Plan(steps=(said.status,) if said.status else (), notes=said.notes, because=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a pass looks at, each of it found out once.

    Attributes:
        node: the set with its groups.
        wanted: groups asked for.
        rollout: how the template reaches them, or why it does not.
        updates: by index what would bring each group to the template.
        ready: groups that are ready as their spec is now.
        available: indexes of those of them that have arrived where it wants them.
    """

    node: GroupSetNode
    wanted: int
    rollout: _Rollout | Fault
    updates: dict[int, Apply]
    ready: tuple[ChildNode, ...]
    available: frozenset[int]


def _look(node: GroupSetNode) -> _Look:
    ready = tuple(child for child in node.children if _ready(child))
    return _Look(
        node=node,
        wanted=_wanted(node),
        rollout=_rollout(node),
        updates=_updates(node),
        ready=ready,
        available=frozenset(child.index for child in ready if _arrived(child)),
    )


def _plan(look: _Look, now: datetime) -> Plan:
    node, faults = look.node, tuple(_faults(look))
    actions: list[Action] = list(_deletes(node, look.wanted))
    if not any(fault.stops for fault in faults):
        actions += _creates(node, look.wanted)
        if isinstance(look.rollout, _Rollout):
            actions += _chosen(look, look.rollout)
    said = report(node, _standing(look, faults), now)
    steps = tuple(step for step in (tuple(actions), said.status) if step)
    return Plan(steps=steps, notes=said.notes, requeue_after=said.pause, because=because(steps))


def _wanted(node: GroupSetNode) -> int:
    return node.set.spec.replicas if node.set.spec is not None else 0


# Faults ---------------------------------------------------------------------------------------------------------------


def _faults(look: _Look) -> Iterator[Fault]:
    node, found = look.node, look.node.set
    finding = next((finding for finding in _findings(node) if finding.is_error), None)
    if finding is not None:
        yield Fault(finding.reason, str(finding), stops=True)
    if isinstance(look.rollout, Fault):
        yield look.rollout
    for index in sorted(node.squatters):
        name = names.group_in_set(found.key.name, index)
        message = f"RoleBasedGroup {name} exists and belongs to somebody else; remove it or rename the set"
        yield Fault(events.FAILED_CREATE, message)


def _findings(node: GroupSetNode) -> Iterator[Finding]:
    """What is wrong with the template, judged as the group with the longest name."""
    found, path = node.set, "spec.groupTemplate"
    if found.spec is None or found.spec.group_template.spec is None:
        message = "is missing; a group needs at least one role"
        yield Finding(path=f"{path}.spec", value=None, message=message, rule="no-spec")
        return
    template = found.spec.group_template
    child = names.group_in_set(found.key.name, max(found.spec.replicas - 1, 0))
    metadata = ObjectMeta(name=child, labels=template.labels, annotations=template.annotations)
    for finding in group_findings(RoleBasedGroup(metadata=metadata, spec=template.spec)):
        if finding.path == "metadata.name":
            message = f"names groups like {child}, which must be a DNS label: at most 63 of a-z, 0-9 and '-'"
            yield dataclasses.replace(finding, message=message)
        else:
            yield dataclasses.replace(finding, path=f"{path}.{finding.path.removeprefix('metadata.')}")


def _rollout(node: GroupSetNode) -> _Rollout | Fault:
    """What the set's annotations say; nothing is updated while one of them makes no sense."""
    own, total = node.set.metadata.annotations, _wanted(node)
    read: dict[str, int] = {}
    for key, default, least in ((labels.GROUPSET_MAX_UNAVAILABLE, total, 1), (labels.GROUPSET_PARTITION, 0, 0)):
        text = own.get(key)
        if text is None:
            read[key] = max(default, least)
            continue
        try:
            read[key] = intstr.ceil(int(text) if text.isascii() and text.isdigit() else text, total)
        except intstr.IntOrStringError:
            read[key] = -1
        if read[key] < least and (total or read[key] < 0):
            message = f"metadata.annotations[{key}]: {text!r} is neither a number from {least} on nor a percentage"
            return Fault(events.INVALID_SPEC, f"{message}; no group is updated until it is corrected")
    return _Rollout(max_unavailable=read[labels.GROUPSET_MAX_UNAVAILABLE], partition=read[labels.GROUPSET_PARTITION])


# Groups ---------------------------------------------------------------------------------------------------------------


def _deletes(node: GroupSetNode, wanted: int) -> Iterator[Delete]:
    for child in node.children:
        if not child.group.metadata.deleting and not 0 <= child.index < wanted:
            why = "the set has more groups than it wants" if child.index >= 0 else "a group has no index in its set"
            yield Delete(kind=RoleBasedGroup, key=child.group.key, uid=child.group.uid, why=why)


def _creates(node: GroupSetNode, wanted: int) -> Iterator[Apply]:
    """Groups that are missing; one that is being deleted still has its name."""
    held = {child.index for child in node.children} | node.squatters
    for index in range(wanted):
        if index not in held and (made := apply_group(node.set, index, None)) is not None:
            yield made


def _updates(node: GroupSetNode) -> dict[int, Apply]:
    """By index what would bring each group to the template, for those that are not there yet."""
    if node.set.spec is None or node.set.spec.group_template.spec is None:
        return {}
    found = {}
    for child in node.children:
        if 0 <= child.index < _wanted(node) and not child.group.metadata.deleting:
            apply = apply_group(node.set, child.index, child.group)
            if apply is not None:
                found[child.index] = apply
    return found


def _chosen(look: _Look, rollout: _Rollout) -> Iterator[Apply]:
    """The updates that may be sent now, highest index first. One that is not available costs nothing."""
    room = rollout.max_unavailable - sum(index not in look.available for index in range(look.wanted))
    for index in sorted(look.updates, reverse=True):
        if index < rollout.partition:
            return
        if index in look.available:
            if room <= 0:
                continue
            room -= 1
        yield look.updates[index]


def _ready(child: ChildNode) -> bool:
    """Whether a group is ready as its spec is now."""
    found = child.group
    if found.metadata.deleting or found.status is None:
        return False
    if found.status.observed_generation < found.metadata.generation:
        return False
    ready = find(found.status.conditions, conditions.READY)
    return ready is not None and ready.true


def _arrived(child: ChildNode) -> bool:
    """Whether the roles of a group that is ready have arrived where its spec wants them.

    What a group says follows what its workloads say, and for a moment after a change of its spec it is ready as it was
    before; so the workloads are asked, too.
    """
    found = child.group
    progressing = find(found.status.conditions if found.status is not None else (), conditions.PROGRESSING)
    return not (progressing is not None and progressing.true) and not _under_way(child)


def _under_way(child: ChildNode) -> bool:
    """Whether a workload of the group has not been told its role yet, has not looked at it, or is still at it."""
    hashes = rendering(child.group).hashes if child.group.spec is not None else {}
    for workload in child.workloads:
        role = workload.metadata.labels.get(labels.ROLE_NAME, "")
        told = workload.metadata.labels.get(labels.role_revision(role))
        if role in hashes and (told not in (None, hashes[role]) or _at_work(workload)):
            return True
    return False


def _at_work(workload: Workload) -> bool:
    seen = observe(workload)
    if not seen.ready:
        return True
    status = workload.status
    return isinstance(status, RoleInstanceSetStatus) and seen.updated_replicas < status.expected_updated_replicas


def _standing(look: _Look, faults: Sequence[Fault]) -> Standing:
    node, wanted, updates = look.node, look.wanted, look.updates
    partition = look.rollout.partition if isinstance(look.rollout, _Rollout) else wanted
    present = [child for child in node.children if not child.group.metadata.deleting]
    ready = {child.index for child in look.ready}
    indexes = {child.index for child in present}
    return Standing(
        wanted=wanted,
        replicas=len(present),
        ready_replicas=len(look.ready),
        unready=tuple(index for index in range(wanted) if index not in ready),
        missing=tuple(index for index in range(wanted) if index not in indexes),
        leaving=tuple(
            child.group.metadata.name
            for child in node.children
            if child.group.metadata.deleting or not 0 <= child.index < wanted
        ),
        outdated=tuple(index for index in sorted(updates) if index >= partition),
        held=tuple(index for index in sorted(updates) if index < partition),
        moving=tuple(index for index in range(wanted) if index in indexes and index not in look.available),
        faults=tuple(faults),
    )
