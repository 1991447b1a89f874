"""Projections of the built-in kinds the controller reads: only the fields something of ours looks at.

A projection hides fields, so a cached object is never sent back whole; writes are creates, applies and patches.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from rbgctrl.api.meta import Condition, Kind, Resource, Value

__all__ = [
    "ConfigMap",
    "ContainerStatus",
    "ControllerRevision",
    "CustomResourceDefinition",
    "Event",
    "Lease",
    "LeaseSpec",
    "Namespace",
    "Node",
    "Pod",
    "PodSpec",
    "PodStatus",
    "Service",
]


class PodContainer(Value, frozen=True, gc=False):
    """``spec.containers[]``: what in-place updates and the tree look at."""

    name: str
    image: str = ""


class ReadinessGate(Value, frozen=True, gc=False):
    """``spec.readinessGates[]``."""

    condition_type: str


class PodSpec(Value, frozen=True, gc=False):
    """``spec`` of a Pod."""

    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    containers: tuple[PodContainer, ...] | None = ()  # a bookmark carries null
    readiness_gates: tuple[ReadinessGate, ...] = ()


class ContainerStatus(Value, frozen=True, gc=False):
    """``status.containerStatuses[]``."""

    name: str
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")


class PodStatus(Value, frozen=True, gc=False):
    """``status`` of a Pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Resource, frozen=True, gc=False):
    """A core/v1 Pod."""

    KIND: ClassVar[Kind[Pod]] = Kind("", "v1", "Pod", "pods")

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, kind: str) -> Condition | None:
        """The status condition of that type, if present."""
        for condition in self.status.conditions:
            if condition.type == kind:
                return condition
        return None

    def is_true(self, kind: str) -> bool:
        """Whether the status condition of that type is True."""
        condition = self.condition(kind)
        return condition is not None and condition.true


class NodeTaint(Value, frozen=True, gc=False):
    """``spec.taints[]``."""

    key: str = ""
    value: str = ""
    effect: str = ""


class NodeSpec(Value, frozen=True, gc=False):
    """``spec`` of a Node."""

    unschedulable: bool = False
    taints: tuple[NodeTaint, ...] = ()


class NodeStatus(Value, frozen=True, gc=False):
    """``status`` of a Node."""

    allocatable: dict[str, str] = {}
    conditions: tuple[Condition, ...] = ()


class Node(Resource, frozen=True, gc=False):
    """A core/v1 Node."""

    KIND: ClassVar[Kind[Node]] = Kind("", "v1", "Node", "nodes", namespaced=False)

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ServiceSpec(Value, frozen=True, gc=False):
    """``spec`` of a Service."""

    selector: dict[str, str] = {}
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    publish_not_ready_addresses: bool = False


class Service(Resource, frozen=True, gc=False):
    """A core/v1 Service."""

    KIND: ClassVar[Kind[Service]] = Kind("", "v1", "Service", "services")

    spec: ServiceSpec = ServiceSpec()


class ConfigMap(Resource, frozen=True, gc=False):
    """A core/v1 ConfigMap."""

    KIND: ClassVar[Kind[ConfigMap]] = Kind("", "v1", "ConfigMap", "configmaps")

    data: dict[str, str] = {}


class ControllerRevision(Resource, frozen=True, gc=False):
    """An apps/v1 ControllerRevision; ``data`` is kept as the JSON bytes the server sent."""

    KIND: ClassVar[Kind[ControllerRevision]] = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")

    revision: int = 0
    data: msgspec.Raw = msgspec.Raw(b"null")


class EventSource(Value, frozen=True, gc=False):
    """``source`` of a core/v1 Event."""

    component: str = ""


class ObjectReference(Value, frozen=True, gc=False):
    """``involvedObject`` of a core/v1 Event."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class Event(Resource, frozen=True, gc=False):
    """A core/v1 Event."""

    KIND: ClassVar[Kind[Event]] = Kind("", "v1", "Event", "events")

    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int = 0
    source: EventSource = EventSource()


class LeaseSpec(Value, frozen=True, gc=False):
    """``spec`` of a Lease; times are RFC 3339 with microseconds, durations whole seconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Resource, frozen=True, gc=False):
    """A coordination.k8s.io/v1 Lease."""

    KIND: ClassVar[Kind[Lease]] = Kind("coordination.k8s.io", "v1", "Lease", "leases")

    spec: LeaseSpec = LeaseSpec()


class Namespace(Resource, frozen=True, gc=False):
    """A core/v1 Namespace."""

    KIND: ClassVar[Kind[Namespace]] = Kind("", "v1", "Namespace", "namespaces", namespaced=False)


class CustomResourceDefinitionStatus(Value, frozen=True, gc=False):
    """``status`` of a CRD."""

    conditions: tuple[Condition, ...] | None = ()  # the answer to the request that creates it carries null


class CustomResourceDefinition(Resource, frozen=True, gc=False):
    """An apiextensions.k8s.io/v1 CustomResourceDefinition; only whether it is Established."""

    KIND: ClassVar[Kind[CustomResourceDefinition]] = Kind(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
    )

    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()
