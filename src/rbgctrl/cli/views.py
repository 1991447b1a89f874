"""What ``rbgctrl tree`` shows, as values.

These types are the JSON of ``-o json``. Every key is always present; ``null`` means not known. Keys may be added,
never renamed or removed.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "AdapterView",
    "GroupList",
    "GroupView",
    "InstanceView",
    "MissingView",
    "NodeView",
    "PodView",
    "RoleView",
]


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


class AdapterView(_View, frozen=True):
    """The scaling adapter of a role.

    Attributes:
        name: of the RoleBasedGroupScalingAdapter.
        phase: ``Bound``, ``NotBound``, or ``""`` before it was looked at.
        replicas: what it asks for; None when it says nothing.
        decides: whether that number counts instead of the role's own.
    """

    name: str
    phase: str
    replicas: int | None
    decides: bool


class RoleView(_View, frozen=True):
    """One role.

    Attributes:
        name: of the role.
        pattern: ``Standalone``, ``LeaderWorker`` or ``CustomComponents``; None when the spec names none.
        workload: kind of what stands behind it; None when the spec names one that nobody knows.
        dependencies: roles that must be ready before it starts.
        waits_for: those of them that hold it back now.
        replaces: what stood behind it before and must be gone first, each as ``<kind> <name>``.
        problem: what keeps it from being carried out, in words; ``""`` for nothing.
        adapter: its scaling adapter; None while there is none.
        replicas: instances wanted, by its adapter where that decides.
        current_replicas: instances that exist.
        ready_replicas: instances that are ready.
        updated_replicas: instances at the latest revision.
        pods: pods that all wanted instances have together.
        ready: whether all are there and ready.
        instances: RoleInstances, None when they were not asked for.
        workload_pods: pods of a workload that has no RoleInstances; None when they were not asked for.
    """

    name: str
    pattern: str | None
    workload: str | None
    dependencies: tuple[str, ...]
    waits_for: tuple[str, ...]
    replaces: tuple[str, ...]
    problem: str
    adapter: AdapterView | None
    replicas: int
    current_replicas: int
    ready_replicas: int
    updated_replicas: int
    pods: int
    ready: bool
    instances: tuple[InstanceView, ...] | None
    workload_pods: tuple[PodView, ...] | None


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
