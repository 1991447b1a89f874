"""InstanceSet and Instance of v1alpha1, which RoleInstanceSet and RoleInstance replaced.

Nobody reconciles them. Their CRDs exist for clusters that still hold such objects; kustomize leaves them out.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from rbgctrl.api.instances import (
    InstanceReadinessGate,
    Int32,
    Int64,
    IntOrString,
    Lifecycle,
    RoleInstanceSetStatus,
    UpdateStrategy,
)
from rbgctrl.api.meta import Condition, Kind, LabelSelector, Resource, Value

__all__ = ["Instance", "InstanceSet", "InstanceSetSpec", "InstanceSetStatus", "InstanceSpec", "InstanceStatus"]

_GROUP = "workloads.x-k8s.io"
_VERSION = "v1alpha1"


class Component(Value, frozen=True):
    """One kind of pod of an instance."""

    name: Annotated[str, Meta(description="Name of the component.")]
    template: Annotated[msgspec.Raw, Meta(description="Pod template.")]
    size: Annotated[Int32, Meta(description="Number of pods.")] | None = None
    service_name: Annotated[str, Meta(description="Subdomain of the pods.")] = ""


class KubeScheduling(Value, frozen=True):
    """Gang scheduling by the scheduler-plugins."""

    schedule_timeout_seconds: Annotated[Int32, Meta(description="Seconds the instance may wait for nodes.")] = 60


class VolcanoScheduling(Value, frozen=True):
    """Gang scheduling by Volcano."""

    priority_class_name: Annotated[str, Meta(description="PriorityClass of the pod group.")] = ""
    queue: Annotated[str, Meta(description="Volcano queue.")] = ""


class PodGroupPolicy(Value, frozen=True):
    """Which scheduler takes all pods of the instance or none."""

    kube_scheduling: Annotated[KubeScheduling, Meta(description="The scheduler-plugins do.")] | None = None
    volcano_scheduling: Annotated[VolcanoScheduling, Meta(description="Volcano does.")] | None = None


class InstanceSpec(Value, frozen=True):
    """What an Instance should be."""

    components: Annotated[tuple[Component, ...], Meta(description="Kinds of pods.")]
    pod_group_policy: Annotated[PodGroupPolicy, Meta(description="Gang scheduling.")] | None = None
    ready_policy: Annotated[str, Meta(description="AllPodReady or None.")] = "AllPodReady"
    restart_policy: Annotated[str, Meta(description="None or RecreateInstanceOnPodRestart.")] = ""
    readiness_gates: Annotated[
        tuple[InstanceReadinessGate, ...], Meta(description="Conditions that must be True as well.")
    ] = ()


class ComponentStatus(Value, frozen=True):
    """Pods of one component."""

    name: Annotated[str, Meta(description="Name of the component.")]
    replicas: Annotated[Int32, Meta(description="Pods that exist.")] = 0
    ready_replicas: Annotated[Int32, Meta(description="Pods that are ready.")] = 0
    available_replicas: Annotated[Int32, Meta(description="Pods that are available.")] = 0
    scheduled_replicas: Annotated[Int32, Meta(description="Pods bound to a node.")] = 0
    updated_replicas: Annotated[Int32, Meta(description="Pods at the update revision.")] = 0
    updated_ready_replicas: Annotated[Int32, Meta(description="Ready pods at the update revision.")] = 0


class InstanceStatus(Value, frozen=True):
    """What an Instance is."""

    observed_generation: Annotated[Int64, Meta(description="Generation this status was computed from.")] = 0
    label_selector: Annotated[str, Meta(description="Selector of the pods.")] = ""
    current_revision: Annotated[str, Meta(description="Revision all pods were at last.")] = ""
    update_revision: Annotated[str, Meta(description="Revision of the spec.")] = ""
    collision_count: Annotated[Int32, Meta(description="Hash collisions met while naming revisions.")] | None = None
    conditions: Annotated[tuple[Condition, ...], Meta(description="Conditions.")] = ()
    component_statuses: Annotated[tuple[ComponentStatus, ...], Meta(description="One entry per component.")] = ()


class Instance(Resource, frozen=True):
    """One replica of a role, as v1alpha1 had it; no longer reconciled."""

    KIND: ClassVar[Kind[Instance]] = Kind(_GROUP, _VERSION, "Instance", "instances")


class ScaleStrategy(Value, frozen=True):
    """How the set scales."""

    instance_to_delete: Annotated[tuple[str, ...], Meta(description="Names of instances to delete first.")] = ()
    max_unavailable: (
        Annotated[IntOrString, Meta(description="Instances not ready at which creation pauses.")] | None
    ) = None


class InstanceSetSpec(Value, frozen=True):
    """What an InstanceSet should be."""

    instance_template: Annotated[msgspec.Raw, Meta(description="The Instance spec of every instance.")]
    replicas: Annotated[Int32, Meta(description="Number of instances; 1 when absent.")] | None = None
    selector: Annotated[LabelSelector, Meta(description="Labels of the instances.")] | None = None
    scale_strategy: Annotated[ScaleStrategy, Meta(description="How the set scales.")] | None = None
    update_strategy: Annotated[UpdateStrategy, Meta(description="How the set is updated.")] | None = None
    revision_history_limit: Annotated[Int32, Meta(description="Revisions kept that nothing refers to.")] | None = None
    min_ready_seconds: Annotated[Int32, Meta(description="Seconds an instance must be ready to be available.")] = 0
    lifecycle: Annotated[Lifecycle, Meta(description="Hooks of the set.")] | None = None


class InstanceSetStatus(RoleInstanceSetStatus, frozen=True):
    """What an InstanceSet is; all counters are instances."""


class InstanceSet(Resource, frozen=True):
    """The replicas of one role, as v1alpha1 had them; no longer reconciled."""

    KIND: ClassVar[Kind[InstanceSet]] = Kind(_GROUP, _VERSION, "InstanceSet", "instancesets")
