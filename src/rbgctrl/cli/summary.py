"""What ``rbgctrl tree`` shows, as values: the object graph reduced to what a person or a script asks about.

These types are the JSON of ``-o json``. Every key is always present; ``null`` means not known. Keys may be added,
never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from rbgctrl.api import conditions, labels, roles
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec, RoleStatus
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import ComponentNode, GroupNode, InstanceNode, PodNode, RoleNode
from rbgctrl.plan.group import ready as may_start_dependants

__all__ = [
    "NVLINK_DOMAIN",
    "ZONE",
    "GroupList",
    "GroupView",
    "InstanceView",
    "MissingView",
    "NodeView",
    "PodView",
    "RoleView",
    "node_names",
    "summarize",
    "unreadable",
]

NVLINK_DOMAIN: Final = "nvidia.com/gpu.clique"
"""Node label: the NVLink domain, as NVIDIA's GPU feature discovery reports it."""
ZONE: Final = "topology.kubernetes.io/zone"
"""Node label: the zone."""

_UNREADABLE = "Unreadable"
_PATTERNS = {
    roles.Pattern.STANDALONE: "Standalone",
    roles.Pattern.LEADER_WORKER: "LeaderWorker",
    roles.Pattern.CUSTOM: "CustomComponents",
}


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base: immutable, camelCase in JSON, nothing left out."""


class NodeView(_View, frozen=True):
    """The node a pod is bound to.

    Attributes:
        name: of the node.
        ready: None when the node could not be read.
        nvlink_domain: value of the node's ``nvidia.com/gpu.clique`` label.
        zone: value of its zone label.
    """

    name: str
    ready: bool | None = None
    nvlink_domain: str | None = None
    zone: str | None = None


class PodView(_View, frozen=True):
    """One pod.

    Attributes:
        name: of the pod.
        role_id: its stable identity; None for pods that carry none.
        component: name of its component, ``""`` when it belongs to none.
        index: place inside the component, from 0; -1 when unknown.
        phase: as Kubernetes reports it.
        ready: whether its Ready condition is True.
        reason: why it is not ready, one word; ``""`` when it is or nobody says.
        message: the same, in words.
        containers_ready: containers that pass their probes.
        containers: containers that have a status.
        restarts: container restarts, all containers together.
        ip: None until it has one.
        deleting: whether it is going.
        node: where it runs; None until it is bound.
    """

    name: str
    role_id: str | None
    component: str
    index: int
    phase: str
    ready: bool
    reason: str
    message: str
    containers_ready: int
    containers: int
    restarts: int
    ip: str | None
    deleting: bool
    node: NodeView | None


class MissingView(_View, frozen=True):
    """Pods of a component that should exist and do not.

    Attributes:
        component: its name.
        pods: how many are missing.
    """

    component: str
    pods: int


class InstanceView(_View, frozen=True):
    """One replica of a role.

    Attributes:
        name: of the RoleInstance.
        role_id: its stable identity; None when it carries none.
        ready: whether it is ready to serve.
        reason: why it is not, one word; ``""`` when it is.
        message: the same, in words.
        restarts: recreations by the restart policy in a row.
        deleting: whether it is going.
        missing: pods still to come, by component.
        pods: those that exist, component by component.
    """

    name: str
    role_id: str | None
    ready: bool
    reason: str
    message: str
    restarts: int
    deleting: bool
    missing: tuple[MissingView, ...]
    pods: tuple[PodView, ...]


class RoleView(_View, frozen=True):
    """One role.

    Attributes:
        name: of the role.
        pattern: ``Standalone``, ``LeaderWorker`` or ``CustomComponents``; None when the spec names none.
        dependencies: roles that must be ready before it starts.
        waits_for: those of them that hold it back now.
        problem: what keeps it from being carried out, in words; ``""`` for nothing.
        replicas: instances wanted.
        current_replicas: instances that exist.
        ready_replicas: instances that are ready.
        updated_replicas: instances at the latest revision.
        pods: pods that all wanted instances have together.
        ready: whether all are there and ready.
        instances: None when they were not asked for.
    """

    name: str
    pattern: str | None
    dependencies: tuple[str, ...]
    waits_for: tuple[str, ...]
    problem: str
    replicas: int
    current_replicas: int
    ready_replicas: int
    updated_replicas: int
    pods: int
    ready: bool
    instances: tuple[InstanceView, ...] | None


class GroupView(_View, frozen=True):
    """One RoleBasedGroup.

    Attributes:
        name: of the group.
        namespace: of the group.
        uid: of the group.
        generation: of its spec.
        ready: whether its Ready condition is True for this generation.
        reason: of that condition; ``""`` while there is none.
        message: of that condition.
        deleting: whether it is going.
        roles: in the order of the spec.
        leaving: workloads of roles that the spec no longer names.
        notes: what could not be found out, in words.
    """

    name: str
    namespace: str
    uid: str
    generation: int
    ready: bool
    reason: str
    message: str
    deleting: bool
    roles: tuple[RoleView, ...] = ()
    leaving: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class GroupList(_View, frozen=True):
    """Several groups, without their instances."""

    groups: tuple[GroupView, ...]


def summarize(
    node: GroupNode, nodes: Mapping[str, Node] | None = None, *, deep: bool = True, notes: Iterable[str] = ()
) -> GroupView:
    """A group as it is shown.

    Args:
        node: the group with what it owns.
        nodes: cluster nodes by name, as far as they could be read.
        deep: include instances and pods, which the graph must then hold.
        notes: what could not be found out.
    """
    found = node.group
    condition = _condition(found.status.conditions if found.status else (), conditions.READY)
    stale = found.status is None or found.status.observed_generation < found.metadata.generation
    where: Callable[[str], NodeView] = lambda name: _node(name, (nodes or {}).get(name))  # noqa: E731 - a closure in one line
    return GroupView(
        name=found.key.name,
        namespace=found.key.namespace,
        uid=found.uid,
        generation=found.metadata.generation,
        ready=condition is not None and condition.true and not stale,
        reason=condition.reason if condition else "",
        message=condition.message if condition else "",
        deleting=found.metadata.deleting,
        roles=tuple(_role(node, role, where if deep else None) for role in node.roles),
        leaving=tuple(orphan.metadata.name for orphan in node.orphans),
        notes=tuple(notes),
    )


def unreadable(name: str, namespace: str, uid: str, error: str) -> GroupView:
    """A stored group that does not decode: shown, so that nobody overlooks it."""
    return GroupView(
        name=name,
        namespace=namespace,
        uid=uid,
        generation=0,
        ready=False,
        reason=_UNREADABLE,
        message=f"the stored object cannot be read: {error}",
        deleting=False,
    )


def node_names(groups: Iterable[GroupNode]) -> frozenset[str]:
    """Names of the nodes that pods of the groups are bound to."""
    return frozenset(
        pod.pod.spec.node_name
        for group in groups
        for role in group.roles
        if role.workload is not None
        for instance in role.workload.instances
        for pod in instance.pods
        if pod.pod.spec.node_name
    )


def _role(group: GroupNode, role: RoleNode, where: Callable[[str], NodeView] | None) -> RoleView:
    live = role.workload.set if role.workload is not None else None
    counts = _counts(group.group, role)
    pattern = roles.pattern(role.spec)
    instances = role.workload.instances if role.workload is not None else ()
    return RoleView(
        name=role.name,
        pattern=_PATTERNS[pattern] if pattern is not None else None,
        dependencies=role.spec.dependencies,
        waits_for=_waits_for(group, role) if live is None else (),
        problem="its name is taken by a RoleInstanceSet of somebody else" if role.squatter else "",
        replicas=role.spec.replicas,
        current_replicas=counts.replicas,
        ready_replicas=counts.ready_replicas,
        updated_replicas=counts.updated_replicas,
        pods=role.spec.replicas * _size(role.spec),
        ready=role.spec.replicas == counts.replicas == counts.ready_replicas,
        instances=None if where is None else tuple(_instance(item, where) for item in instances),
    )


def _size(role: RoleSpec) -> int:
    """Pods of one instance."""
    if role.leader_worker_pattern is not None:
        return role.leader_worker_pattern.size
    if role.custom_components_pattern is not None and role.standalone_pattern is None:
        components = role.custom_components_pattern.components
        return sum(1 if component.size is None else component.size for component in components)
    return 1


def _counts(group: RoleBasedGroup, role: RoleNode) -> RoleStatus:
    """The workload's own counters; for workloads of other kinds those that the group's status repeats."""
    if role.workload is not None:
        status = role.workload.set.status
        if status is None:
            return RoleStatus(name=role.name)
        return RoleStatus(
            name=role.name,
            replicas=status.replicas,
            ready_replicas=status.ready_replicas,
            updated_replicas=status.updated_replicas,
        )
    stored = group.status.role_statuses if group.status is not None else ()
    return next((entry for entry in stored or () if entry.name == role.name), RoleStatus(name=role.name))


def _waits_for(group: GroupNode, role: RoleNode) -> tuple[str, ...]:
    waiting = []
    for name in role.spec.dependencies:
        needed = group.role(name)
        live = needed.workload.set if needed is not None and needed.workload is not None else None
        if not may_start_dependants(live):
            waiting.append(name)
    return tuple(waiting)


def _instance(node: InstanceNode, where: Callable[[str], NodeView]) -> InstanceView:
    found = node.instance
    condition = found.condition(conditions.INSTANCE_READY)
    restarting = found.condition(conditions.RESTARTING)
    ready = condition is not None and condition.true
    shown = restarting if restarting is not None and restarting.true else condition
    return InstanceView(
        name=found.metadata.name,
        role_id=found.metadata.labels.get(labels.ROLE_ID),
        ready=ready,
        reason="" if ready or shown is None else shown.reason,
        message="" if ready or shown is None else shown.message,
        restarts=found.status.restart_count if found.status else 0,
        deleting=found.metadata.deleting,
        missing=tuple(_missing(node.components)),
        pods=tuple(_pod(pod, where) for pod in node.pods),
    )


def _missing(components: Iterable[ComponentNode]) -> Iterable[MissingView]:
    for component in components:
        if component.size > len(component.pods):
            yield MissingView(component=component.name, pods=component.size - len(component.pods))


def _pod(node: PodNode, where: Callable[[str], NodeView]) -> PodView:
    pod = node.pod
    ready = pod.is_true(conditions.POD_READY)
    reason, message = ("", "") if ready else _why_not_ready(pod)
    statuses = pod.status.container_statuses
    return PodView(
        name=pod.metadata.name,
        role_id=pod.metadata.labels.get(labels.ROLE_ID),
        component=node.component,
        index=node.index,
        phase=pod.status.phase,
        ready=ready,
        reason=reason,
        message=message,
        containers_ready=sum(status.ready for status in statuses),
        containers=len(statuses),
        restarts=sum(status.restart_count for status in statuses),
        ip=pod.status.pod_ip or None,
        deleting=pod.metadata.deleting,
        node=where(pod.spec.node_name) if pod.spec.node_name else None,
    )


def _why_not_ready(pod: Pod) -> tuple[str, str]:
    """The earliest thing that stands in the way: a verdict on the whole pod, then scheduling, then readiness."""
    if pod.status.reason:
        return pod.status.reason, pod.status.message
    for kind in (conditions.POD_SCHEDULED, conditions.POD_READY):
        condition = pod.condition(kind)
        if condition is not None and not condition.true:
            return condition.reason, condition.message
    return "", ""


def _node(name: str, node: Node | None) -> NodeView:
    if node is None:
        return NodeView(name=name)
    ready = _condition(node.status.conditions, conditions.READY)
    return NodeView(
        name=name,
        ready=ready is not None and ready.true,
        nvlink_domain=node.metadata.labels.get(NVLINK_DOMAIN),
        zone=node.metadata.labels.get(ZONE),
    )


def _condition(found: Iterable[Condition] | None, kind: str) -> Condition | None:
    return next((condition for condition in found or () if condition.type == kind), None)
