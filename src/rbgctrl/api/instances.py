"""RoleInstanceSet and RoleInstance: a role's replicas, and one replica with its pods.

These come by the thousand, so they are Structs; pod templates stay the JSON bytes the server sent.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Meta

from rbgctrl.api.meta import Condition, Kind, LabelSelector, Resource, Value

__all__ = [
    "ComponentStatus",
    "ContainerBaseline",
    "InPlaceUpdateStrategy",
    "InstanceComponent",
    "InstanceReadinessGate",
    "InstanceRestartPolicy",
    "Lifecycle",
    "LifecycleHook",
    "RoleInstance",
    "RoleInstanceSet",
    "RoleInstanceSetSpec",
    "RoleInstanceSetStatus",
    "RoleInstanceSpec",
    "RoleInstanceStatus",
    "ScaleStrategy",
    "UpdateStrategy",
]

Int32: TypeAlias = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
Int64: TypeAlias = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
Count: TypeAlias = Annotated[int, Meta(ge=0, extra_json_schema={"format": "int32"})]
IntOrString: TypeAlias = int | str
RestartType: TypeAlias = Literal["None", "RecreateRoleInstanceOnPodRestart"]

_GROUP = "workloads.x-k8s.io"
_VERSION = "v1alpha2"


# RoleInstance ---------------------------------------------------------------------------------------------------------


class InstanceComponent(Value, frozen=True, gc=False):
    """One kind of pod of an instance."""

    name: Annotated[str, Meta(description="Name of the component, unique in the instance.")]
    template: Annotated[msgspec.Raw, Meta(description="Pod template.")]
    size: Annotated[Int32, Meta(description="Number of pods.")] | None = None
    service_name: Annotated[str, Meta(description="Subdomain of the pods; none when absent.")] = ""
    labels: Annotated[dict[str, str], Meta(description="Labels the component was declared with.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="Annotations the component was declared with.")] = {}


class InstanceRestartPolicy(Value, frozen=True, gc=False):
    """What happens when a pod of the instance fails, and how fast it may happen again."""

    type: Annotated[RestartType, Meta(description="What to recreate; nothing when absent.")] | None = None
    base_delay_seconds: Annotated[Count, Meta(description="Seconds before the second recreation in a row.")] = 30
    max_delay_seconds: Annotated[Count, Meta(description="Longest wait in seconds.")] = 600


class InstanceReadinessGate(Value, frozen=True, gc=False):
    """A condition of the RoleInstance that must be True before it counts as ready."""

    condition_type: Annotated[str, Meta(description="Type of the condition.")]


class RoleInstanceSpec(Value, frozen=True, gc=False):
    """What a RoleInstance should be."""

    components: Annotated[tuple[InstanceComponent, ...], Meta(description="Kinds of pods, in start order.")]
    ready_policy: Annotated[
        str, Meta(description="AllPodReady holds pods back until all of them are ready; None does not.")
    ] = "AllPodReady"
    restart_policy: Annotated[RestartType, Meta(description="Deprecated: use restartPolicyConfig.type.")] | None = None
    restart_policy_config: (
        Annotated[InstanceRestartPolicy, Meta(description="What happens when a pod fails.")] | None
    ) = None
    readiness_gates: Annotated[
        tuple[InstanceReadinessGate, ...], Meta(description="Conditions that must be True as well.")
    ] = ()


class ComponentStatus(Value, frozen=True, gc=False):
    """Pods of one component."""

    name: Annotated[str, Meta(description="Name of the component.")]
    size: Annotated[Int32, Meta(description="Pods that exist.")] = 0
    ready_replicas: Annotated[Int32, Meta(description="Pods that are ready.")] = 0
    available_replicas: Annotated[Int32, Meta(description="Pods that are available.")] = 0
    scheduled_replicas: Annotated[Int32, Meta(description="Pods bound to a node.")] = 0
    updated_replicas: Annotated[Int32, Meta(description="Pods at the update revision.")] = 0
    updated_ready_replicas: Annotated[Int32, Meta(description="Ready pods at the update revision.")] = 0


class ContainerBaseline(Value, frozen=True, gc=False):
    """What a container looked like when its pod was last updated in place."""

    restart_count: Annotated[Int32, Meta(description="Restarts until then; later ones are failures.")] = 0
    image_id: Annotated[str, Meta(description="Image digest until then.")] = msgspec.field(default="", name="imageID")


class RoleInstanceStatus(Value, frozen=True, gc=False):
    """What a RoleInstance is."""

    observed_generation: Annotated[Int64, Meta(description="Generation this status was computed from.")] = 0
    label_selector: Annotated[str, Meta(description="Selector of the pods.")] = ""
    current_revision: Annotated[str, Meta(description="Revision all pods were at last.")] = ""
    update_revision: Annotated[str, Meta(description="Revision of the spec.")] = ""
    collision_count: Annotated[Int32, Meta(description="Hash collisions met while naming revisions.")] | None = None
    conditions: Annotated[tuple[Condition, ...], Meta(description="Conditions, unique by type.")] = ()
    component_statuses: Annotated[
        tuple[ComponentStatus, ...], Meta(description="One entry per component, in order of the spec.")
    ] = ()
    in_place_update_container_baselines: Annotated[
        dict[str, dict[str, ContainerBaseline]], Meta(description="By pod and container.")
    ] = {}
    restart_count: Annotated[Int32, Meta(description="Recreations by the restart policy in a row.")] = 0
    last_restart_time: (
        Annotated[
            str, Meta(description="When the restart policy last acted.", extra_json_schema={"format": "date-time"})
        ]
        | None
    ) = None


class RoleInstance(Resource, frozen=True, gc=False):
    """One replica of a role: pods that live and die together."""

    KIND: ClassVar[Kind[RoleInstance]] = Kind(_GROUP, _VERSION, "RoleInstance", "roleinstances")

    spec: RoleInstanceSpec | None = None
    status: RoleInstanceStatus | None = None

    def condition(self, kind: str) -> Condition | None:
        """The status condition of that type, if present."""
        if self.status is None:
            return None
        return next((condition for condition in self.status.conditions if condition.type == kind), None)


# RoleInstanceSet ------------------------------------------------------------------------------------------------------


class InPlaceUpdateStrategy(Value, frozen=True, gc=False):
    """How an update that only changes images is applied to running pods."""

    grace_period_seconds: (
        Annotated[Int32, Meta(description="Seconds between marking a pod not ready and patching it.")] | None
    ) = None


class UpdateStrategy(Value, frozen=True, gc=False):
    """How many instances may differ from the wanted state during an update."""

    type: Annotated[str, Meta(description="RecreatePod, or in place if possible.")] = ""
    partition: (
        Annotated[IntOrString, Meta(description="Ordinals below it stay at the old revision; 0 when absent.")] | None
    ) = None
    max_unavailable: Annotated[IntOrString, Meta(description="May be unavailable; 10% when absent.")] | None = None
    max_surge: Annotated[IntOrString, Meta(description="May exist beyond replicas; 0 when absent.")] | None = None
    paused: Annotated[bool, Meta(description="Stops the update where it is.")] = False
    in_place_update_strategy: (
        Annotated[InPlaceUpdateStrategy, Meta(description="Options of in-place updates.")] | None
    ) = None


class ScaleStrategy(Value, frozen=True, gc=False):
    """How a stateless set scales."""

    role_instance_to_delete: Annotated[tuple[str, ...], Meta(description="Names of instances to delete first.")] = ()
    max_unavailable: (
        Annotated[IntOrString, Meta(description="Instances not ready at which creation pauses; unlimited when absent.")]
        | None
    ) = None


class LifecycleHook(Value, frozen=True, gc=False):
    """What must be true of an instance before the controller goes on."""

    labels_handler: Annotated[dict[str, str], Meta(description="Labels that hold the instance back.")] = {}
    finalizers_handler: Annotated[tuple[str, ...], Meta(description="Finalizers that hold the instance back.")] = ()
    mark_not_ready: Annotated[bool, Meta(description="Mark the pods not ready while held back.")] = msgspec.field(
        default=False, name="markPodNotReady"
    )


class Lifecycle(Value, frozen=True, gc=False):
    """Hooks of a stateless set."""

    pre_delete: Annotated[LifecycleHook, Meta(description="Before an instance is deleted.")] | None = None
    in_place_update: Annotated[LifecycleHook, Meta(description="Before an instance is updated in place.")] | None = None


class RoleInstanceSetSpec(Value, frozen=True, gc=False):
    """What a RoleInstanceSet should be."""

    role_instance_template: Annotated[msgspec.Raw, Meta(description="The RoleInstance spec of every instance.")]
    replicas: Annotated[Count, Meta(description="Number of instances; 1 when absent.")] | None = None
    selector: Annotated[LabelSelector, Meta(description="Labels of the instances.")] | None = None
    pod_management_policy: Annotated[
        Literal["OrderedReady", "Parallel"], Meta(description="Order in which a stateful set creates its instances.")
    ] = "Parallel"
    scale_strategy: Annotated[ScaleStrategy, Meta(description="How a stateless set scales.")] | None = None
    update_strategy: Annotated[UpdateStrategy, Meta(description="How the set is updated.")] | None = None
    revision_history_limit: Annotated[Count, Meta(description="Revisions kept that nothing refers to.")] = 10
    min_ready_seconds: Annotated[Int32, Meta(description="Seconds an instance must be ready to be available.")] = 0
    lifecycle: Annotated[Lifecycle, Meta(description="Hooks of a stateless set.")] | None = None

    def instance_spec(self) -> RoleInstanceSpec:
        """The template as the spec of an instance.

        Raises:
            msgspec.ValidationError: the template is not a RoleInstance spec; the server does not check it.
        """
        return msgspec.json.decode(self.role_instance_template, type=RoleInstanceSpec)


class RoleInstanceSetStatus(Value, frozen=True, gc=False):
    """What a RoleInstanceSet is; all counters are instances."""

    replicas: Annotated[Int32, Meta(description="Exist.")] = 0
    ready_replicas: Annotated[Int32, Meta(description="Are ready.")] = 0
    available_replicas: Annotated[Int32, Meta(description="Have been ready for minReadySeconds.")] = 0
    current_replicas: Annotated[Int32, Meta(description="Are at the current revision.")] = 0
    updated_replicas: Annotated[Int32, Meta(description="Are at the update revision.")] = 0
    updated_ready_replicas: Annotated[Int32, Meta(description="Are ready and at the update revision.")] = 0
    expected_updated_replicas: Annotated[Int32, Meta(description="Should reach the update revision.")] = 0
    observed_generation: Annotated[Int64, Meta(description="Generation this status was computed from.")] = 0
    current_revision: Annotated[str, Meta(description="Revision before the running update.")] = ""
    update_revision: Annotated[str, Meta(description="Revision of the template.")] = ""
    collision_count: Annotated[Int32, Meta(description="Hash collisions met while naming revisions.")] | None = None
    label_selector: Annotated[str, Meta(description="Selector of the pods, for the scale subresource.")] = ""
    conditions: Annotated[tuple[Condition, ...], Meta(description="Conditions, unique by type.")] = ()


class RoleInstanceSet(Resource, frozen=True, gc=False):
    """The replicas of one role."""

    KIND: ClassVar[Kind[RoleInstanceSet]] = Kind(_GROUP, _VERSION, "RoleInstanceSet", "roleinstancesets")

    spec: RoleInstanceSetSpec | None = None
    status: RoleInstanceSetStatus | None = None
