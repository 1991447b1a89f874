"""What a RoleBasedGroup needs next: its revision, discovery file, workloads, Services and status."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from rbgctrl.api import conditions, events, labels, roles
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import ObjectMeta
from rbgctrl.api.templates import TemplateError
from rbgctrl.api.workloads import FOREIGN_KINDS
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan import adapter, discovery, replicas
from rbgctrl.plan.gang import gang
from rbgctrl.plan.groupfaults import ALL_OF_IT, Abilities, group_fault, ordering, role_faults, workload_requests
from rbgctrl.plan.groupstatus import Fault, Outlook, held, notes, refusal, status, unreadable
from rbgctrl.plan.ignored import ignored
from rbgctrl.plan.model import Action, Delete, Patch, Plan
from rbgctrl.plan.observed import observe
from rbgctrl.plan.ports import NO_PORTS, granted
from rbgctrl.plan.rendering import Rendering, rendering
from rbgctrl.plan.revision import Revision, expired, owner_reference, record_group
from rbgctrl.plan.staleness import behind
from rbgctrl.plan.words import because
from rbgctrl.plan.workloads import WorkloadRequest, apply_service, apply_set, foreign

__all__ = ["Abilities", "group", "refused", "unreadable"]

HISTORY_LIMIT = 5
"""Group revisions kept, the current one included."""

_LOOK_AGAIN = 10.0
"""Seconds after which a kind that the cluster does not know is looked for in the cache again; no request is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What one pass looks at and found out so far."""

    node: GroupNode
    abilities: Abilities
    rendered: Rendering
    replicas: Mapping[str, int]
    requests: Mapping[str, WorkloadRequest]
    faults: tuple[Fault, ...]
    waiting: Mapping[str, str]

    @property
    def services(self) -> dict[str, str]:
        """Role name to the name of its headless Service."""
        return {name: request.service for name, request in self.requests.items()}

    @property
    def started(self) -> tuple[str, ...]:
        """Names of the roles that run, or may start now."""
        stopped = {fault.role for fault in self.faults} | self.waiting.keys()
        return tuple(role.name for role in self.node.roles if role.workload is not None or role.name not in stopped)


def group(
    node: GroupNode, now: datetime, abilities: Abilities = ALL_OF_IT, used_ports: Container[int] = NO_PORTS
) -> Plan:
    """Decide what to write for one group.

    A fault in one role leaves the others running; a fault in the dependencies stops new roles from being created and
    touches nothing that runs.

    Args:
        node: the group with what it owns, pods included.
        now: the present, for transition times.
        abilities: what this installation can do.
        used_ports: those that somebody has.
    """
    found = node.group
    if found.metadata.deleting:
        return Plan(because="the group is being deleted; its children go with it")
    if late := behind(found.metadata, _children(node)):
        return Plan(because=late)
    if (whole := group_fault(found)) is not None:
        return _status_only(node, now, whole)
    wanted = replicas.wanted(node)
    requests = workload_requests(node, wanted, abilities, used_ports)
    wrong = role_faults(node, abilities, requests)
    found_out = _Pass(
        node=node,
        abilities=abilities,
        rendered=rendering(found),
        replicas=wanted,
        requests=requests,
        faults=wrong,
        waiting=_waiting(node, {fault.role for fault in wrong}),
    )
    return _plan(found_out, now)


def refused(node: GroupNode, now: datetime, why: str) -> Plan:
    """What to say when the API server refused a write: the status only, and one Event per new reason.

    It stays in the status until a pass has nothing left to write.
    """
    if node.group.metadata.deleting:
        return Plan(because="nothing to report on")
    return _status_only(node, now, _refusal(why))


def _refusal(why: str) -> Fault:
    return Fault(role="", reason=conditions.REFUSED, message=why)


def _children(node: GroupNode) -> Iterator[ObjectMeta]:
    for role in node.roles:
        yield from (item.metadata for item in role.former)
        if role.workload is not None:
            yield role.workload.metadata
        if role.adapter is not None and replicas.owned(role.adapter, node.group.uid):
            yield role.adapter.metadata
    yield from (item.metadata for item in (*node.orphans, *node.adapters))


def _plan(found: _Pass, now: datetime) -> Plan:
    node = found.node
    revision = _revision(found)
    mode = discovery.mode(node)
    together = gang(node, found.replicas, found.started, found.abilities.scheduler)
    faults = list(found.faults)
    actions: list[Action] = list(revision.actions)
    apply, soon = _file(found, mode, now)
    actions += [apply] if apply is not None else []
    if together.blocked:
        faults.append(Fault(role="", reason=events.FAILED_RECONCILE_POD_GROUP, message=together.blocked))
    for name in chain.from_iterable(ordering(node.group).waves):
        role = node.role(name)
        if role is None or name in found.waiting or any(fault.role == name for fault in found.faults):
            continue
        if together.blocked and role.workload is None:
            continue
        try:
            actions += _role_actions(found, role, granted(actions))
        except TemplateError as error:
            faults.append(Fault(role=name, reason=error.reason, message=str(error)))
    actions += _leftovers(node)
    actions += adapter.existence(node)
    faults += _adapter_faults(node)
    actions += expired(node.revisions, {revision.name}, HISTORY_LIMIT - 1)
    if actions and (why := refusal(node)):
        faults.append(_refusal(why))
    outlook = Outlook(
        replicas=found.replicas,
        faults=tuple(faults),
        waiting=found.waiting,
        ignored=ignored(node.group),
    )
    said, later = status(node, now, outlook)
    first = (*_remember_mode(node, mode), *together.actions)
    steps = tuple(step for step in (first, (*actions, *said)) if step)
    unknown = _LOOK_AGAIN if any(not role.served for role in node.roles) or not node.gangs else None
    return Plan(
        steps=steps,
        notes=notes(node, faults),
        requeue_after=min((pause for pause in (soon, later, unknown) if pause is not None), default=None),
        because=because(steps),
    )


def _remember_mode(node: GroupNode, mode: str) -> tuple[Action, ...]:
    """Written before anything else: without it, a status on its own would read as an older release's group."""
    found = node.group
    if found.metadata.annotations.get(labels.DISCOVERY_MODE) == mode:
        return ()
    return (
        Patch(
            kind=RoleBasedGroup,
            key=found.key,
            uid=found.uid,
            body={"metadata": {"annotations": {labels.DISCOVERY_MODE: mode}}},
            why="the discovery mode is not written down yet",
        ),
    )


def _status_only(node: GroupNode, now: datetime, fault: Fault) -> Plan:
    said, later = status(node, now, Outlook(replicas=replicas.wanted(node), faults=(fault,)))
    steps = tuple(step for step in (_remember_mode(node, discovery.mode(node)), said) if step)
    why = f"nothing can start: {fault.message}"
    return Plan(steps=steps, notes=notes(node, (fault,)), requeue_after=later, because=why)


def _revision(found: _Pass) -> Revision:
    group = found.node.group
    return record_group(
        namespace=group.key.namespace,
        group=group.key.name,
        owner=owner_reference(group),
        data=found.rendered.data,
        digest=found.rendered.digest,
        revisions=found.node.revisions,
    )


def _file(found: _Pass, mode: str, now: datetime) -> tuple[Action | None, float | None]:
    """What to do about the discovery file; it is for pods of roles with ordinals, which mount it."""
    node = found.node
    if mode != labels.DISCOVERY_REFINE or not any(roles.is_stateful(role.spec) for role in node.roles):
        return None, None
    head = found.rendered.once(
        ("config",),
        lambda: discovery.config(node, found.replicas, found.services),
        of=(found.replicas, found.services),
    )
    return discovery.file(node, head, found.replicas, found.services, now)


def _role_actions(found: _Pass, role: RoleNode, given: frozenset[int]) -> list[Action]:
    """What one role needs. What stood behind it before goes first, with its pods, so that their names are free.

    Args:
        found: the pass.
        role: the role.
        given: ports that roles before it were given in this pass.

    Raises:
        TemplateError: its workload cannot be made.
    """
    if role.former:
        return list(foreign.retire(role.former))
    request, live = found.requests[role.name], role.workload
    if given:
        request = replace(request, used_ports=_Either(request.used_ports, given))
    if live is not None and live.metadata.deleting:
        return []
    if roles.workload_type(role.spec) in FOREIGN_KINDS:
        wanted: list[Action | None] = [foreign.apply(request, role.other, role.pods)]
    else:
        wanted = [apply_set(request, role.set.set if role.set is not None else None)]
    # The Service is owned by the workload, so it follows as soon as that has a UID.
    if live is not None and foreign.has_service(type(live)):
        wanted.append(apply_service(request, live, role.service))
    return [action for action in wanted if action is not None]


class _Either(Container[int]):
    """What is in one or the other."""

    def __init__(self, *parts: Container[int]) -> None:
        self._parts = parts

    def __contains__(self, port: object) -> bool:
        return any(port in part for part in self._parts)


def _leftovers(node: GroupNode) -> list[Action]:
    why = "the group has no such role any more"
    return [
        Delete(kind=type(orphan), key=orphan.key, uid=orphan.uid, why=why)
        for orphan in node.orphans
        if not orphan.metadata.deleting
    ]


def _waiting(node: GroupNode, faulty: set[str]) -> dict[str, str]:
    """Roles that may not be created yet, each with what it waits for. What runs is never held back."""
    waiting = {}
    for role in node.roles:
        leaving = [held(item) for item in role.former if item.metadata.deleting]
        if leaving:
            waiting[role.name] = f"while {', '.join(leaving)}"
        elif role.workload is None and not role.former and role.name not in faulty:
            missing = [name for name in role.spec.dependencies if not _ready(node.role(name))]
            if missing:
                waiting[role.name] = f"for {', '.join(missing)}"
    return waiting


def _ready(role: RoleNode | None) -> bool:
    return role is not None and role.workload is not None and observe(role.workload).ready


# Faults ---------------------------------------------------------------------------------------------------------------


def _adapter_faults(node: GroupNode) -> Iterator[Fault]:
    for role in node.roles:
        if why := adapter.foreign(node.group, role):
            yield Fault(role=role.name, reason=events.FAILED_CREATE_ADAPTER, message=why)
