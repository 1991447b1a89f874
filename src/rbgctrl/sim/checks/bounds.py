"""Promises about the whole history of a cluster: how many children there ever were, and who wrote while not leading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api import canonical, intstr, labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.workloads import WORKLOAD_KINDS
from rbgctrl.client.transport import Verb
from rbgctrl.sim.checks.timeline import LEASES, Asked, Moment, Timeline, deleting
from rbgctrl.sim.storage import ADDED, DELETED, Obj, StoredEvent

__all__ = ["RULES", "ChildRule", "child_counts", "leadership", "wanted_children"]


@dataclass(frozen=True, slots=True)
class ChildRule:
    """How many living children of one kind an object may have.

    Attributes:
        parent: resource of the owner.
        child: resource of the children.
        most: from the owner's JSON to the number.
    """

    parent: str
    child: str
    most: Callable[[Obj], int]


def _instances(found: Obj) -> int:
    spec = found.get("spec") or {}
    replicas = int(spec.get("replicas", 1))
    surge = ((spec.get("updateStrategy") or {}).get("maxSurge")) or 0
    try:
        return replicas + max(intstr.ceil(surge, replicas), 0)
    except intstr.IntOrStringError:
        return replicas


def _pods(found: Obj) -> int:
    components = (found.get("spec") or {}).get("components") or ()
    return sum(int(component.get("size", 1)) for component in components)


_GROUPS, _SETS, _INSTANCES = (kind.KIND.resource for kind in (RoleBasedGroup, RoleInstanceSet, RoleInstance))
_WORKLOADS = {name: kind.KIND.resource for name, kind in WORKLOAD_KINDS.items()}

RULES = (ChildRule(_SETS, _INSTANCES, _instances), ChildRule(_INSTANCES, "pods", _pods))
"""A group's sets are not counted: that of a new role may be there before that of a removed one is gone."""


@dataclass(slots=True)
class _Family:
    """One owner over time: how many children it wanted since when, and which live."""

    wanted: list[tuple[float, int]] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)

    def most(self, at: float, slack: float) -> int:
        """The largest number wanted during the last ``slack`` seconds; nobody can know the latest at once."""
        recent = [number for moment, number in self.wanted if moment >= at - slack]
        before = [number for moment, number in self.wanted if moment < at - slack]
        return max([*recent, *before[-1:]], default=0)


def child_counts(timeline: Timeline, *, slack: float = 5.0, rules: tuple[ChildRule, ...] = RULES) -> list[str]:
    """Violations of: never more living children than wanted, at any point of the history.

    Args:
        timeline: the history.
        slack: seconds a controller may take to learn that fewer are wanted.
        rules: who has how many.
    """
    found: list[str] = []
    for rule in rules:
        families: dict[str, _Family] = {}
        for moment in timeline.moments:
            event = moment.event
            if event.resource == rule.parent and event.new is not None:
                family = families.setdefault(event.new["metadata"]["uid"], _Family())
                number = rule.most(event.new)
                if not family.wanted or family.wanted[-1][1] != number:
                    family.wanted.append((moment.at, number))
            elif event.resource == rule.child:
                found += _child(moment, families, slack, rule)
    return found


def _child(moment: Moment, families: Mapping[str, _Family], slack: float, rule: ChildRule) -> list[str]:
    event = moment.event
    owner = _controller(event.obj)
    family = families.get(owner.get("uid", ""))
    if family is None:
        return []
    uid = event.obj["metadata"]["uid"]
    if deleting(event) or _ended(event):
        family.alive.discard(uid)
        return []
    family.alive.add(uid)
    most = family.most(moment.at, slack)
    if event.type == ADDED and len(family.alive) > most:
        kind = f"{owner.get('kind')} {event.key.namespace}/{owner.get('name')}"
        return [f"{kind} had {len(family.alive)} living {rule.child} at {moment.at:.3f} s, {most} were wanted"]
    return []


def _ended(event: StoredEvent) -> bool:
    phase = (event.obj.get("status") or {}).get("phase")
    return event.resource == "pods" and phase in ("Failed", "Succeeded")


def _controller(obj: Obj) -> dict[str, Any]:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return {}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one group wanted from one moment on: replicas by kind of workload and role; None when there was no group."""

    since: float
    uid: str
    roles: Mapping[tuple[str, str], int] | None


def wanted_children(timeline: Timeline, users: Collection[str], *, slack: float = 0.5) -> list[str]:
    """Violations of: a controller deletes no workload and no instance that the group wants.

    Judged by the group itself, not by the workload, which may have been scaled down by mistake. An instance with
    another template than its set has, or had a moment ago, is not wanted as it is; nor can it be said of those with ids
    which of them is wanted.

    Args:
        timeline: the history.
        users: whose deletes are judged.
        slack: seconds a controller may take to learn that something is wanted again.
    """
    plans: dict[Key, list[_Plan]] = {}
    last: dict[tuple[str, Key], Obj] = {}
    owners: dict[str, str] = {}
    templates: dict[str, list[tuple[float, str]]] = {}
    moments = iter(timeline.moments)
    pending = next(moments, None)
    found = []
    for asked in timeline.asked:
        while pending is not None and pending.event.revision <= asked.revision:
            _learn(pending, plans, last, owners)
            _learn_template(pending, templates)
            pending = next(moments, None)
        if asked.user not in users or asked.request.verb is not Verb.DELETE or asked.code >= 300:
            continue
        child = last.get((asked.resource, asked.request.key))
        replaced = asked.resource == _INSTANCES and child is not None and _outdated(child, templates, asked.at - slack)
        ours = asked.resource == _INSTANCES or asked.resource in _WORKLOADS.values()
        if child is not None and ours and not replaced and _always(child, plans, owners, asked, slack):
            found.append(f"deleted although the group wants it: {asked}")
    return found


def _learn(
    moment: Moment, plans: dict[Key, list[_Plan]], last: dict[tuple[str, Key], Obj], owners: dict[str, str]
) -> None:
    event = moment.event
    meta = event.obj["metadata"]
    last[event.resource, event.key] = event.obj
    owners[meta["uid"]] = _controller(event.obj).get("uid", "")
    if event.resource == _GROUPS:
        spec = event.obj.get("spec") or {}
        roles = {(_workload(role), role["name"]): int(role.get("replicas", 1)) for role in spec.get("roles") or ()}
        plan = _Plan(moment.at, meta["uid"], None if deleting(event) else roles)
        plans.setdefault(event.key, []).append(plan)


def _learn_template(moment: Moment, templates: dict[str, list[tuple[float, str]]]) -> None:
    event = moment.event
    template = (event.obj.get("spec") or {}).get("roleInstanceTemplate")
    if event.resource == _SETS and isinstance(template, Mapping):
        digest = canonical.revision_hash(canonical.set_revision_data(template))
        history = templates.setdefault(event.obj["metadata"]["uid"], [])
        if not history or history[-1][1] != digest:
            history.append((moment.at, digest))


def _outdated(child: Obj, templates: Mapping[str, list[tuple[float, str]]], since: float) -> bool:
    """Whether its set has had another template, or none that is known, at some moment from ``since`` on."""
    meta, owner = child["metadata"], _controller(child)
    if names.instance_ordinal(owner.get("name", ""), meta["name"]) is None:
        return True
    mine = names.short_hash(str((meta.get("labels") or {}).get(labels.CONTROLLER_REVISION_HASH, "")))
    history = templates.get(owner.get("uid", ""), [])
    recent = [digest for moment, digest in history if moment < since][-1:]
    recent += [digest for moment, digest in history if moment >= since]
    return any(digest != mine for digest in recent)


def _workload(role: Obj) -> str:
    """The resource that a role asks for; ``""`` for a kind that nobody knows."""
    annotations = role.get("annotations") or {}
    return _WORKLOADS.get(annotations.get(labels.ROLE_WORKLOAD_TYPE) or labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET, "")


def _always(
    child: Obj, plans: Mapping[Key, list[_Plan]], owners: Mapping[str, str], asked: Asked, slack: float
) -> bool:
    """Whether the group has wanted the child throughout the last ``slack`` seconds."""
    meta = child["metadata"]
    name, role = meta["labels"].get(labels.GROUP_NAME, ""), meta["labels"].get(labels.ROLE_NAME, "")
    history = plans.get(Key(meta["namespace"], name), [])
    before = [plan for plan in history if plan.since < asked.at - slack][-1:]
    recent = before + [plan for plan in history if plan.since >= asked.at - slack]
    group = owners.get(meta["uid"], "")
    group = owners.get(group, "") if asked.resource == _INSTANCES else group
    ordinal = int(meta["name"].rpartition("-")[2]) if asked.resource == _INSTANCES else -1
    wanted = (_SETS if asked.resource == _INSTANCES else asked.resource, role)
    return bool(recent) and all(
        plan.roles is not None and plan.uid == group and plan.roles.get(wanted, -1) > ordinal for plan in recent
    )


def leadership(timeline: Timeline, identities: Mapping[str, str], lease: str) -> list[str]:
    """Violations of: nobody writes anything but Leases and Events while another holds the lease, or nobody does.

    Args:
        timeline: the history.
        identities: the elector's identity of each user that takes part.
        lease: ``namespace/name``.
    """
    changes = [
        (moment.event.revision, _holder(moment.event))
        for moment in timeline.moments
        if moment.event.resource == LEASES and str(moment.event.key) == lease
    ]
    found = []
    for asked in timeline.asked:
        if asked.user in identities and asked.counts and asked.code < 400:
            holder = next((name for revision, name in reversed(changes) if revision <= asked.revision), "")
            if holder != identities[asked.user]:
                found.append(_outsider(asked, holder))
    return found


def _holder(event: StoredEvent) -> str:
    if event.type == DELETED:
        return ""
    return str((event.obj.get("spec") or {}).get("holderIdentity") or "")


def _outsider(asked: Asked, holder: str) -> str:
    return f"a write by who does not lead ({holder or 'nobody'} does): {asked}"
