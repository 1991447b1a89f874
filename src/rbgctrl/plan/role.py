"""What a RoleInstanceSet needs next: its instances, in number and at the right revision, and a status that is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from rbgctrl.api import canonical, conditions, events, labels, names
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet, RoleInstanceSetStatus
from rbgctrl.api.meta import Condition, ObjectMeta
from rbgctrl.graph.nodes import InstanceNode, SetNode
from rbgctrl.plan import stateful, stateless
from rbgctrl.plan.claims import adopt_revision
from rbgctrl.plan.conditions import changes, find, merge
from rbgctrl.plan.members import instance_ready, listed, names_of, revision_of
from rbgctrl.plan.model import Action, Delete, Note, Plan, Severity, Subject
from rbgctrl.plan.revision import Revision, expired, owner_reference, record, set_data, short
from rbgctrl.plan.setfaults import Trouble, fault, pattern
from rbgctrl.plan.setpass import Pass, Told, soonest
from rbgctrl.plan.setstatus import new_troubles, status, stuck
from rbgctrl.plan.staleness import behind
from rbgctrl.plan.statuspatch import cannot_be_read, cannot_be_read_plan
from rbgctrl.plan.words import because

__all__ = ["instance_ready", "refused", "role", "unreadable"]

_Decide: TypeAlias = Callable[[SetNode, Sequence[InstanceNode], Revision, datetime], Pass]


class _Pattern(NamedTuple):
    """How sets of one pattern are carried out: which instances are theirs, and what to do about them."""

    belongs: Callable[[RoleInstanceSet, InstanceNode], bool]
    decide: _Decide


_PATTERNS: Final = {
    labels.PATTERN_STATEFUL: _Pattern(stateful.belongs, stateful.stateful),
    labels.PATTERN_STATELESS: _Pattern(stateless.belongs, stateless.stateless),
}


def role(node: SetNode, now: datetime) -> Plan:
    """Decide what to write for one RoleInstanceSet.

    Args:
        node: the set with its instances.
        now: the present, for availability and transition times.
    """
    found = node.set
    if found.metadata.deleting:
        return Plan(because="the set is being deleted; its instances go with it")
    if late := behind(found.metadata, (item.instance.metadata for item in node.instances)):
        return Plan(because=late)
    if wrong := fault(found):
        return _faulty(node, wrong, now)
    revision = _revision(node)
    done = _decide(node, revision, now)
    held, later = stuck(node.instances, now)
    troubles = (*done.troubles, *held)
    doing: tuple[Action, ...] = (*done.actions, *_expired(node, revision, done))
    # An earlier refusal is over when nothing is left that could be refused, or it would come and go with each attempt.
    done = replace(done, troubles=troubles, complete=done.complete and not doing)
    told, pause = status(node, done, revision, now) if not done.silent else ((), None)
    actions = (*doing, *told)
    adopted = tuple(adopt_revision(found, item) for item in node.orphan_revisions)
    steps = tuple(step for step in (adopted, revision.actions, actions) if step)
    return Plan(
        steps=steps,
        notes=(*_notes(found, done.notes), *new_troubles(found, troubles)),
        requeue_after=soonest(done.look_again, later, pause),
        because=because(steps),
    )


def _decide(node: SetNode, revision: Revision, now: datetime) -> Pass:
    """Instances of the other pattern go first."""
    rules = _PATTERNS[pattern(node.set)]
    members = [item for item in node.instances if rules.belongs(node.set, item)]
    strangers = [
        item for item in node.instances if not rules.belongs(node.set, item) and not item.instance.metadata.deleting
    ]
    if not strangers:
        return rules.decide(node, members, revision, now)
    stored = node.set.status or RoleInstanceSetStatus()
    why = f"the instance is not one of the pattern {pattern(node.set)}"
    message = f"deleted {listed(names_of(strangers))}, made for the other instance pattern"
    return Pass(
        counted=tuple(members),
        actions=tuple(
            Delete(kind=RoleInstance, key=item.instance.key, uid=item.instance.uid, why=why) for item in strangers
        ),
        complete=False,
        notes=(Told(reason=events.SUCCESSFUL_DELETE, message=message),),
        available=stored.available_replicas if members else 0,
        current=stored.current_revision or revision.name,
        expected=stored.expected_updated_replicas,
    )


def refused(node: SetNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused an instance: the status only, and one Event per new reason."""
    found = node.set
    if found.metadata.deleting or fault(found):
        return Plan(because="nothing to report on")
    revision = _revision(node)
    told, _ = status(node, _decide(node, revision, now), revision, now, why)
    stored = find(found.status.conditions if found.status is not None else (), conditions.FAILED_SCALE)
    note = Note(subject=Subject.of(found), severity=Severity.WARNING, reason=events.FAILED_CREATE, message=why)
    known = stored is not None and stored.message == why
    return Plan(steps=(told,) if told else (), notes=() if known else (note,), because=why)


def unreadable(metadata: ObjectMeta, error: str, now: datetime) -> Plan:
    """What to say about a stored set that does not decode: a condition and an Event, nothing else is touched.

    Args:
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        now: the present, for the transition time.
    """
    message = cannot_be_read(error)
    condition = Condition(type=conditions.STALLED, status="True", reason=events.INVALID_SPEC, message=message)
    fresh = RoleInstanceSetStatus(observed_generation=metadata.generation, conditions=merge((), (condition,), now))
    return cannot_be_read_plan(RoleInstanceSet, metadata, error, changes(None, fresh))


def _faulty(node: SetNode, wrong: Trouble, now: datetime) -> Plan:
    """Nothing is created, deleted or replaced; what runs is still counted."""
    found = node.set
    stored = found.status or RoleInstanceSetStatus()
    held, later = stuck(node.instances, now)
    troubles = (wrong, *held)
    done = Pass(
        counted=node.instances,
        complete=False,
        troubles=troubles,
        available=stored.available_replicas,
        current=stored.current_revision,
        expected=stored.expected_updated_replicas,
    )
    told, pause = status(node, done, None, now)
    return Plan(
        steps=(told,) if told else (),
        notes=new_troubles(found, troubles),
        requeue_after=soonest(later, pause),
        because=f"nothing can be done: {wrong.message}",
    )


def _revision(node: SetNode) -> Revision:
    found = node.set
    assert found.spec is not None  # noqa: S101 - a set without one is faulty
    data = set_data(found.spec.role_instance_template)

    def name_of(collisions: int) -> tuple[str, str]:
        digest = canonical.revision_hash(data, collisions)
        return names.revision(found.metadata.name, digest), digest

    def labels_of(digest: str) -> dict[str, str]:
        selector = found.spec.selector if found.spec is not None else None
        selected = selector.match_labels if selector is not None else {}
        if pattern(found) == labels.PATTERN_STATELESS:
            selected = {labels.ROLE_INSTANCE_OWNER: found.uid}
        return {**selected, labels.REVISION_HASH: digest}

    return record(
        namespace=found.key.namespace,
        owner=owner_reference(found),
        data=data,
        revisions=(*node.revisions, *node.orphan_revisions),
        name_of=name_of,
        labels_of=labels_of,
        collisions=(found.status.collision_count or 0) if found.status is not None else 0,
    )


def _expired(node: SetNode, revision: Revision, done: Pass) -> tuple[Delete, ...]:
    """Revisions that nothing refers to, beyond the history that the spec asks for."""
    assert node.set.spec is not None  # noqa: S101 - a set without one is faulty
    stored = node.set.status or RoleInstanceSetStatus()
    used = {short(name) for name in (revision.name, done.current, stored.current_revision, stored.update_revision)}
    used |= {revision_of(item.instance) for item in node.instances}
    live = {item.metadata.name for item in node.revisions if short(item.metadata.name) in used}
    return expired(node.revisions, live, node.set.spec.revision_history_limit)


def _notes(found: RoleInstanceSet, told: Sequence[Told]) -> tuple[Note, ...]:
    return tuple(
        Note(subject=Subject.of(found), severity=item.severity, reason=item.reason, message=item.message)
        for item in told
    )
