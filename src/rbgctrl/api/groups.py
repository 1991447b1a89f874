"""RoleBasedGroup: one inference service as a set of roles that are deployed, updated and recovered together."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from msgspec import Meta
from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api import labels
from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.spec import (
    Bool,
    Container,
    Int32,
    IntOrString,
    Opaque,
    OpaqueTemplate,
    PodTemplate,
    Spec,
    StringMap,
    Text,
    rules,
    unique,
)

__all__ = [
    "CustomComponentsPattern",
    "EngineRuntime",
    "GroupComponent",
    "InPlaceUpdateStrategy",
    "LeaderWorkerPattern",
    "PodManagementPolicy",
    "RestartPolicyConfig",
    "RestartPolicyType",
    "RoleBasedGroup",
    "RoleBasedGroupSpec",
    "RoleBasedGroupStatus",
    "RoleSpec",
    "RoleStatus",
    "RoleTemplate",
    "RollingUpdate",
    "RolloutStrategy",
    "RolloutType",
    "ScalingAdapter",
    "ServicePort",
    "SharedServiceSelection",
    "StandalonePattern",
    "TemplateRef",
]

_DELAYS = "maxDelaySeconds must be greater than or equal to baseDelaySeconds"
_ONE_SOURCE = "template and templateRef are mutually exclusive"
_ONE_PATTERN = "standalonePattern and leaderWorkerPattern are mutually exclusive"
_LEADER_ONLY = (
    "leaderWorkerPattern.sharedServiceSelection=LeaderOnly is only supported for RoleInstanceSet + leaderWorkerPattern"
)
_LEADER_ONLY_RULE = (
    "!has(self.leaderWorkerPattern) || !has(self.leaderWorkerPattern.sharedServiceSelection)"
    " || self.leaderWorkerPattern.sharedServiceSelection != 'LeaderOnly'"
    f" || !has(self.annotations) || !('{labels.ROLE_WORKLOAD_TYPE}' in self.annotations)"
    f" || self.annotations['{labels.ROLE_WORKLOAD_TYPE}'] == '{labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET}'"
)
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_TemplateName = Annotated[Text, Field(min_length=1, max_length=63, pattern=_DNS_LABEL)]
_Count = Annotated[Int32, Field(ge=0, json_schema_extra={"minimum": 0})]


class RestartPolicyType(StrEnum):
    """What the failure of one pod means for its instance."""

    NONE = "None"
    RECREATE_INSTANCE = "RecreateRoleInstanceOnPodRestart"


class SharedServiceSelection(StrEnum):
    """Which pods of a leader-worker instance the role's headless Service selects."""

    ALL = "All"
    LEADER_ONLY = "LeaderOnly"


class PodManagementPolicy(StrEnum):
    """In which order a stateful set creates its instances."""

    ORDERED_READY = "OrderedReady"
    PARALLEL = "Parallel"


class RolloutType(StrEnum):
    """How a role is updated."""

    ROLLING_UPDATE = "RollingUpdate"


class RestartPolicyConfig(Spec):
    """What happens to an instance when one of its pods fails, and how fast it may happen again."""

    model_config = ConfigDict(json_schema_extra=rules(("self.maxDelaySeconds >= self.baseDelaySeconds", _DELAYS)))

    type: RestartPolicyType | None = Field(
        default=None, description="What to recreate; RecreateRoleInstanceOnPodRestart when absent."
    )
    base_delay_seconds: _Count = Field(
        default=30,
        description="Seconds before the second recreation in a row; each further one waits twice as long. "
        "0 together with maxDelaySeconds 0 means no wait.",
    )
    max_delay_seconds: _Count = Field(default=600, description="Longest wait in seconds.")

    @model_validator(mode="after")
    def _check(self) -> RestartPolicyConfig:
        if self.max_delay_seconds < self.base_delay_seconds:
            raise ValueError(_DELAYS)
        return self


class InPlaceUpdateStrategy(Spec):
    """How an update that only changes images is applied to running pods."""

    grace_period_seconds: Int32 | None = Field(
        default=None, description="Seconds between marking a pod not ready and patching it; none when absent."
    )


class RollingUpdate(Spec):
    """How many instances of a role may differ from the wanted state while it is updated."""

    type: Text | None = Field(
        default=None,
        description="RecreatePod, InPlaceIfPossible (assumed when absent) or InPlaceOnly.",
    )
    partition: IntOrString = Field(
        default=0, description="Ordinals below this number, or percentage of replicas, stay at the old revision."
    )
    max_unavailable: IntOrString = Field(
        default=1, description="Instances, or percentage of replicas, that may be unavailable."
    )
    max_surge: IntOrString = Field(
        default=0, description="Instances, or percentage of replicas, that may exist beyond replicas."
    )
    paused: Bool = Field(default_factory=bool, description="Stops the update where it is; scaling and repair go on.")
    in_place_update_strategy: InPlaceUpdateStrategy | None = Field(
        default=None, description="Options of in-place updates."
    )


class RolloutStrategy(Spec):
    """How a role moves to a new template."""

    type: RolloutType = Field(
        default=RolloutType.ROLLING_UPDATE,
        description="Only RollingUpdate exists.",
        json_schema_extra={"x-required": True},
    )
    rolling_update: RollingUpdate | None = Field(default=None, description="Limits of the rolling update.")


class TemplateRef(Spec):
    """A pod template shared by several roles, with this role's changes."""

    name: _TemplateName = Field(description="Name of an entry of spec.roleTemplates.")
    patch: Opaque = Field(
        default=None, description="Strategic-merge patch over the template; required, {} for no change."
    )


class _TemplateSource(Spec):
    model_config = ConfigDict(json_schema_extra=rules(("!(has(self.template) && has(self.templateRef))", _ONE_SOURCE)))

    template: PodTemplate | None = Field(default=None, description="Pod template, inline.")
    template_ref: TemplateRef | None = Field(default=None, description="Pod template from spec.roleTemplates.")

    @model_validator(mode="after")
    def _check_source(self) -> _TemplateSource:
        if self.template is not None and self.template_ref is not None:
            raise ValueError(_ONE_SOURCE)
        return self


class StandalonePattern(_TemplateSource):
    """Every instance is one pod."""


class LeaderWorkerPattern(_TemplateSource):
    """Every instance is one leader pod and size - 1 worker pods."""

    size: Int32 = Field(default=1, description="Pods of an instance, the leader included.")
    leader_template_patch: Opaque = Field(default=None, description="Strategic-merge patch for the leader.")
    worker_template_patch: Opaque = Field(default=None, description="Strategic-merge patch for the workers.")
    shared_service_selection: SharedServiceSelection | None = Field(
        default=None, description="Pods that the role's headless Service selects; LeaderOnly when absent."
    )
    restart_policy: RestartPolicyType | None = Field(
        default=None, description="Deprecated: use restartPolicyConfig.type."
    )
    restart_policy_config: RestartPolicyConfig | None = Field(
        default=None, description="What the failure of one pod means for its instance."
    )


class GroupComponent(Spec):
    """One kind of pod in an instance of custom components."""

    name: Text = Field(description="Name of the component, unique in the role.")
    size: Int32 | None = Field(default=None, description="Pods of this component per instance; 1 when absent.")
    service_name: Text | None = Field(
        default=None, description="Subdomain of its pods; the role's headless Service when absent."
    )
    labels: StringMap = Field(default_factory=dict, description="Laid over the labels of the template.")
    annotations: StringMap = Field(default_factory=dict, description="Laid over the annotations of the template.")
    template: OpaqueTemplate = Field(description="Pod template.")


class CustomComponentsPattern(Spec):
    """Every instance is a set of differing pods."""

    components: tuple[GroupComponent, ...] = Field(default_factory=tuple, description="Kinds of pods, in start order.")
    restart_policy: RestartPolicyType | None = Field(
        default=None, description="Deprecated: use restartPolicyConfig.type."
    )
    restart_policy_config: RestartPolicyConfig | None = Field(
        default=None, description="What the failure of one pod means for its instance."
    )


class ServicePort(Spec):
    """A port of the role for the discovery file; the headless Service itself has no ports."""

    name: Text | None = Field(default=None, description="Key in the discovery file; port<number> when absent.")
    port: Int32 = Field(description="Port number.")
    protocol: Text = Field(default="TCP", description="TCP, UDP or SCTP.")
    app_protocol: Text | None = Field(default=None, description="Application protocol.")
    target_port: IntOrString | None = Field(default=None, description="Number or name of the container port.")
    node_port: Int32 | None = Field(default=None, description="Accepted for compatibility; not used.")


class EngineRuntime(Spec):
    """A sidecar profile to inject into the role's pods."""

    profile_name: Text = Field(description="Name of a ClusterEngineRuntimeProfile.")
    inject_containers: tuple[Text, ...] = Field(
        default_factory=tuple, description="Accepted for compatibility; not used."
    )
    containers: tuple[Container, ...] = Field(
        default_factory=tuple,
        description="Overrides by container name: env and args are appended to what the profile declares.",
    )


class ScalingAdapter(Spec):
    """Lets autoscalers scale this role alone."""

    enable: Bool = Field(default=False, description="Create a RoleBasedGroupScalingAdapter for the role.")
    labels: StringMap = Field(default_factory=dict, description="Further labels of the adapter.")


class RoleSpec(Spec):
    """One role of a group; keys it does not know are kept."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "x-kubernetes-preserve-unknown-fields": True,
            **rules(
                ("!(has(self.standalonePattern) && has(self.leaderWorkerPattern))", _ONE_PATTERN),
                (_LEADER_ONLY_RULE, _LEADER_ONLY),
            ),
        },
    )

    name: Annotated[Text, Field(min_length=1)] = Field(description="Identity of the role; part of names and labels.")
    labels: StringMap = Field(default_factory=dict, description="Laid under the labels of the workload, not of pods.")
    annotations: StringMap = Field(
        default_factory=dict, description="Laid under the annotations of the workload; also carries directives."
    )
    replicas: _Count = Field(default=1, description="Number of instances.", json_schema_extra={"x-required": True})
    rollout_strategy: RolloutStrategy | None = Field(default=None, description="How the role moves to a new template.")
    dependencies: tuple[Text, ...] = Field(
        default_factory=tuple, description="Roles that must be ready before this one starts."
    )
    standalone_pattern: StandalonePattern | None = Field(default=None, description="Every instance is one pod.")
    leader_worker_pattern: LeaderWorkerPattern | None = Field(
        default=None, description="Every instance is a leader and its workers."
    )
    custom_components_pattern: CustomComponentsPattern | None = Field(
        default=None, description="Every instance is a set of differing pods."
    )
    service_ports: tuple[ServicePort, ...] = Field(
        default_factory=tuple, description="Ports to list in the discovery file."
    )
    engine_runtimes: tuple[EngineRuntime, ...] = Field(default_factory=tuple, description="Sidecar profiles to inject.")
    scaling_adapter: ScalingAdapter | None = Field(default=None, description="Lets autoscalers scale this role alone.")
    min_ready_seconds: Int32 = Field(
        default=0, description="Seconds an instance must be ready before it counts as available."
    )
    pod_management_policy: PodManagementPolicy = Field(
        default=PodManagementPolicy.PARALLEL, description="Order in which a stateful role creates its instances."
    )

    @model_validator(mode="after")
    def _check(self) -> RoleSpec:
        pattern = self.leader_worker_pattern
        if pattern is None:
            return self
        if self.standalone_pattern is not None:
            raise ValueError(_ONE_PATTERN)
        workload = self.annotations.get(labels.ROLE_WORKLOAD_TYPE, labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET)
        if (
            pattern.shared_service_selection is SharedServiceSelection.LEADER_ONLY
            and workload != labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET
        ):
            raise ValueError(_LEADER_ONLY)
        return self


class RoleTemplate(Spec):
    """A pod template that roles refer to by name."""

    name: _TemplateName = Field(description="What a templateRef names.")
    template: PodTemplate = Field(description="The pod template.")


class RoleBasedGroupSpec(Spec):
    """What a RoleBasedGroup should be."""

    roles: tuple[RoleSpec, ...] = Field(
        description="The roles, unique by name.",
        json_schema_extra={"minItems": 1, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    role_templates: tuple[RoleTemplate, ...] = Field(
        default_factory=tuple,
        description="Pod templates that several roles can share, unique by name.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )

    @model_validator(mode="after")
    def _check(self) -> RoleBasedGroupSpec:
        if not self.roles:
            raise ValueError("roles: must hold at least one role")
        unique(self.roles, "roles")
        unique(self.role_templates, "roleTemplates")
        return self

    def role(self, name: str) -> RoleSpec | None:
        """The role of that name, or None."""
        return next((role for role in self.roles if role.name == name), None)

    def template(self, name: str) -> dict[str, Any] | None:
        """The role template of that name, or None. Shared: never change it."""
        return next((item.template for item in self.role_templates if item.name == name), None)


_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_Int64 = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
_BY_TYPE = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class RoleStatus(Value, frozen=True, gc=False):
    """Instances of one role as its workload counts them: what exists, not what is wanted."""

    name: Annotated[str, Meta(description="Name of the role.")]
    replicas: Annotated[_Int32, Meta(description="Exist.")] = 0
    ready_replicas: Annotated[_Int32, Meta(description="Are ready.")] = 0
    updated_replicas: Annotated[_Int32, Meta(description="Are at the newest revision.")] = 0


class RoleBasedGroupStatus(Value, frozen=True):
    """What a RoleBasedGroup is."""

    # Lists may be null: conversion from v1alpha1 has always written them so.
    observed_generation: Annotated[_Int64, Meta(description="Generation this status was computed from.")] = 0
    conditions: (
        Annotated[tuple[Condition, ...], Meta(description="Conditions, unique by type.", extra_json_schema=_BY_TYPE)]
        | None
    ) = ()
    role_statuses: Annotated[tuple[RoleStatus, ...], Meta(description="One entry per role.")] | None = ()


class RoleBasedGroup(Resource, frozen=True):
    """One inference service as a set of roles."""

    KIND: ClassVar[Kind[RoleBasedGroup]] = Kind("workloads.x-k8s.io", "v1alpha2", "RoleBasedGroup", "rolebasedgroups")

    spec: RoleBasedGroupSpec | None = None
    status: RoleBasedGroupStatus | None = None
