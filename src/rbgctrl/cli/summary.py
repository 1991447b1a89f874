"""The object graph reduced to what a person or a script asks about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from rbgctrl.api import conditions, labels, roles
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec, RoleStatus
from rbgctrl.api.meta import Condition
from rbgctrl.api.workloads import WORKLOAD_KINDS
from rbgctrl.cli.views import (
    AdapterView,
    GroupView,
    InstanceView,
    MissingView,
    NodeView,
    PodView,
    RoleView,
)
from rbgctrl.graph.nodes import ComponentNode, GroupNode, InstanceNode, PodNode, RoleNode
from rbgctrl.graph.view import pod_node, size_of
from rbgctrl.plan import replicas
from rbgctrl.plan.observed import observe

__all__ = ["node_names", "summarize", "unreadable"]

_UNREADABLE = "Unreadable"


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
    found = (pod for group in groups for role in group.roles for pod in _pods(role))
    return frozenset(pod.spec.node_name for pod in found if pod.spec.node_name)


def _pods(role: RoleNode) -> Iterator[Pod]:
    for instance in role.set.instances if role.set is not None else ():
        yield from (pod.pod for pod in instance.pods)
    yield from role.pods


def _role(group: GroupNode, role: RoleNode, where: Callable[[str], NodeView] | None) -> RoleView:
    decided = replicas.decided(group.group.uid, role)
    wanted = role.spec.replicas if decided is None else decided
    counts = _counts(group.group, role)
    pattern = roles.pattern(role.spec)
    kind = WORKLOAD_KINDS.get(roles.workload_type(role.spec))
    instances = role.set.instances if role.set is not None else ()
    return RoleView(
        name=role.name,
        pattern=pattern.short if pattern is not None else None,
        workload=kind.KIND.kind if kind is not None else None,
        dependencies=role.spec.dependencies,
        waits_for=_waits_for(group, role) if role.workload is None else (),
        replaces=tuple(f"{type(item).KIND.kind} {item.metadata.name}" for item in role.former),
        problem=_problem(role),
        adapter=_adapter(role, decided=decided is not None),
        replicas=wanted,
        current_replicas=counts.replicas,
        ready_replicas=counts.ready_replicas,
        updated_replicas=counts.updated_replicas,
        pods=wanted * _size(role.spec),
        ready=wanted == counts.replicas == counts.ready_replicas,
        instances=None if where is None else tuple(_instance(item, where) for item in instances),
        workload_pods=None if where is None else tuple(_pod(pod_node(pod), where) for pod in role.pods),
    )


def _problem(role: RoleNode) -> str:
    kind = WORKLOAD_KINDS.get(roles.workload_type(role.spec))
    if kind is None:
        return f"nobody knows its workload type {roles.workload_type(role.spec)}"
    if role.squatter:
        return f"its name is taken by a {kind.KIND.kind} of somebody else"
    if not role.served:
        return f"this cluster does not know its kind of workload, {kind.KIND.kind}"
    return ""


def _adapter(role: RoleNode, *, decided: bool) -> AdapterView | None:
    found = role.adapter
    if found is None:
        return None
    return AdapterView(
        name=found.metadata.name,
        phase=found.status.phase if found.status is not None else "",
        replicas=found.spec.replicas if found.spec is not None else None,
        decides=decided,
    )


def _size(role: RoleSpec) -> int:
    """Pods of one instance."""
    if role.leader_worker_pattern is not None:
        return role.leader_worker_pattern.size
    if role.custom_components_pattern is not None and role.standalone_pattern is None:
        components = role.custom_components_pattern.components
        return sum(size_of(component) for component in components)
    return 1


def _counts(group: RoleBasedGroup, role: RoleNode) -> RoleStatus:
    """The workload's own counters; where it could not be read those that the group's status repeats."""
    if role.workload is not None:
        seen = observe(role.workload)
        return RoleStatus(
            name=role.name,
            replicas=seen.replicas,
            ready_replicas=seen.ready_replicas,
            updated_replicas=seen.updated_replicas,
        )
    stored = group.status.role_statuses if group.status is not None else ()
    return next((entry for entry in stored or () if entry.name == role.name), RoleStatus(name=role.name))


def _waits_for(group: GroupNode, role: RoleNode) -> tuple[str, ...]:
    waiting = []
    for name in role.spec.dependencies:
        needed = group.role(name)
        if needed is None or needed.workload is None or not observe(needed.workload).ready:
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
        nvlink_domain=node.metadata.labels.get(labels.NODE_NVLINK_DOMAIN),
        zone=node.metadata.labels.get(labels.NODE_ZONE),
    )


def _condition(found: Iterable[Condition] | None, kind: str) -> Condition | None:
    return next((condition for condition in found or () if condition.type == kind), None)
