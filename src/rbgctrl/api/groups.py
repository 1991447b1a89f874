"""RoleBasedGroup: one inference service as a set of roles that are deployed, updated and recovered together."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta
from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api import labels
from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.patterns import (
    CustomComponentsPattern,
    GroupComponent,
    InPlaceUpdateStrategy,
    LeaderWorkerPattern,
    PodManagementPolicy,
    RestartPolicyConfig,
    RestartPolicyType,
    RollingUpdate,
    RolloutStrategy,
    RolloutType,
    SharedServiceSelection,
    StandalonePattern,
    TemplateRef,
)
from rbgctrl.api.placement import TopologyConstraint
from rbgctrl.api.spec import (
    Bool,
    Container,
    Count,
    Int32,
    IntOrString,
    Label,
    Name,
    PodTemplate,
    Spec,
    StringMap,
    Text,
    by_name,
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
        default_factory=tuple,
        description="Names of the profile's containers to inject, all of them when empty; its init containers and "
        "volumes always come.",
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

    name: Name = Field(description="Identity of the role; part of names and labels.")
    labels: StringMap = Field(default_factory=dict, description="Laid under the labels of the workload, not of pods.")
    annotations: StringMap = Field(
        default_factory=dict, description="Laid under the annotations of the workload; also carries directives."
    )
    replicas: Count = Field(default=1, description="Number of instances.", json_schema_extra={"x-required": True})
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
    instance_topology_constraint: TopologyConstraint | None = Field(
        default=None, description="Keeps each instance of the role within one topology domain."
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

    name: Label = Field(description="What a templateRef names.")
    template: PodTemplate = Field(description="The pod template.")


class RoleBasedGroupSpec(Spec):
    """What a RoleBasedGroup should be."""

    roles: tuple[RoleSpec, ...] = Field(
        description="The roles, unique by name.",
        json_schema_extra={"minItems": 1, **by_name},
    )
    role_templates: tuple[RoleTemplate, ...] = Field(
        default_factory=tuple,
        description="Pod templates that several roles can share, unique by name.",
        json_schema_extra=by_name,
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
