"""The older version, v1alpha1, of the kinds that have one: what people wrote before v1alpha2.

Nothing is stored in it; :mod:`rbgctrl.api.convert` takes objects from one version to the other.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api import adapters, profiles
from rbgctrl.api.groups import EngineRuntime, RoleBasedGroupStatus, RoleTemplate, ServicePort
from rbgctrl.api.groupsets import RoleBasedGroupSetStatus
from rbgctrl.api.meta import Kind, Resource
from rbgctrl.api.patterns import RestartPolicyType, RolloutStrategy
from rbgctrl.api.policies import Progression
from rbgctrl.api.spec import (
    Bool,
    Count,
    Int32,
    Label,
    Name,
    Opaque,
    OpaqueTemplate,
    PodTemplate,
    Spec,
    StringMap,
    Text,
    by_name,
    not_empty,
    rules,
    unique,
)

__all__ = [
    "ClusterEngineRuntimeProfile",
    "Coordination",
    "CoordinationRollingUpdate",
    "CoordinationScaling",
    "CoordinationStrategy",
    "KubeScheduling",
    "LeaderWorkerSet",
    "PodGroupPolicy",
    "RoleBasedGroup",
    "RoleBasedGroupScalingAdapter",
    "RoleBasedGroupSet",
    "RoleBasedGroupSetSpec",
    "RoleBasedGroupSpec",
    "RoleComponent",
    "RoleSpec",
    "ScalingAdapter",
    "TemplateRef",
    "VolcanoScheduling",
    "Workload",
]

_GROUP = "workloads.x-k8s.io"
_VERSION = "v1alpha1"
_INSTANCE_SET = "InstanceSet"
_LEADER_WORKER_SET = "LeaderWorkerSet"
_API_VERSION = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/v[0-9]+((alpha|beta)[0-9]+)?$"
_Percent = Annotated[Text, Field(pattern=r"^([0-9]|[1-9][0-9]|100)%$")]
_NO_REF = "templateRef is not supported for {} workloads"
_SOME_SOURCE = "template or templateRef must be set for non-InstanceSet workloads"
_ONE_SOURCE = "template and templateRef are mutually exclusive"


class KubeScheduling(Spec):
    """Gang scheduling by the scheduler-plugins."""

    schedule_timeout_seconds: Int32 = Field(default=60, description="Seconds the whole group may wait for nodes.")


class VolcanoScheduling(Spec):
    """Gang scheduling by Volcano."""

    priority_class_name: Text | None = Field(default=None, description="PriorityClass of the pod group.")
    queue: Text | None = Field(default=None, description="Volcano queue; its default when absent.")


class PodGroupPolicy(Spec):
    """Which scheduler takes all pods of the group or none."""

    kube_scheduling: KubeScheduling | None = Field(default=None, description="The scheduler-plugins do.")
    volcano_scheduling: VolcanoScheduling | None = Field(default=None, description="Volcano does.")


class CoordinationRollingUpdate(Spec):
    """Limits of a rolling update over several roles."""

    max_skew: _Percent | None = Field(default=None, description="How far the progress of two roles may differ.")
    partition: _Percent | None = Field(default=None, description="Takes the place of the roles' own partition.")
    max_unavailable: _Percent | None = Field(
        default=None, description="Takes the place of the roles' own maxUnavailable."
    )


class CoordinationScaling(Spec):
    """How several roles are scaled together."""

    max_skew: _Percent | None = Field(default=None, description="How far the progress of two roles may differ.")
    progression: Progression = Field(
        default=Progression.ORDER_SCHEDULED, description="What of a batch must be true before the next one."
    )


class CoordinationStrategy(Spec):
    """What several roles do together."""

    rolling_update: CoordinationRollingUpdate | None = Field(default=None, description="Limits of a rolling update.")
    scaling: CoordinationScaling | None = Field(default=None, description="How they are scaled together.")


class Coordination(Spec):
    """Roles that move together."""

    name: Text = Field(description="Identity of the rule.")
    roles: tuple[Text, ...] = Field(description="Names of the roles.")
    strategy: CoordinationStrategy | None = Field(default=None, description="What they do together.")


class Workload(Spec):
    """Kind of the object that runs the role."""

    api_version: Annotated[Text, Field(pattern=_API_VERSION)] = Field(
        default="apps/v1", description="Group and version of the kind."
    )
    kind: Text = Field(default="StatefulSet", description="The kind.")


class TemplateRef(Spec):
    """A pod template shared by several roles; this role's changes are in templatePatch beside it."""

    name: Label = Field(description="Name of an entry of spec.roleTemplates.")


class LeaderWorkerSet(Spec):
    """Every instance is one leader pod and size - 1 worker pods."""

    size: Int32 = Field(default=1, description="Pods of an instance, the leader included.")
    patch_leader_template: Opaque = Field(default=None, description="Strategic-merge patch for the leader.")
    patch_worker_template: Opaque = Field(default=None, description="Strategic-merge patch for the workers.")


class RoleComponent(Spec):
    """One kind of pod in an instance of custom components."""

    name: Text = Field(description="Name of the component.")
    size: Int32 | None = Field(default=None, description="Pods of this component per instance; 1 when absent.")
    service_name: Text | None = Field(
        default=None, description="Subdomain of its pods; the role's headless Service when absent."
    )
    template: OpaqueTemplate = Field(description="Pod template.")


class ScalingAdapter(Spec):
    """Lets autoscalers scale this role alone."""

    enable: Bool = Field(default=False, description="Create a RoleBasedGroupScalingAdapter for the role.")


class RoleSpec(Spec):
    """One role of a group; keys it does not know are kept."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "x-kubernetes-preserve-unknown-fields": True,
            **rules(
                *(
                    (f"!has(self.templateRef) || self.workload.kind != '{kind}'", _NO_REF.format(kind))
                    for kind in (_INSTANCE_SET, _LEADER_WORKER_SET)
                ),
                (
                    f"self.workload.kind == '{_INSTANCE_SET}' || has(self.template) || has(self.templateRef)",
                    _SOME_SOURCE,
                ),
                ("!(has(self.template) && has(self.templateRef))", _ONE_SOURCE),
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
    restart_policy: RestartPolicyType | None = Field(
        default=None, description="What the failure of one pod means for its instance."
    )
    dependencies: tuple[Text, ...] = Field(
        default_factory=tuple, description="Roles that must be ready before this one starts."
    )
    workload: Workload = Field(
        default=Workload(),
        description="Kind of the object that runs the role.",
        json_schema_extra={"default": {"apiVersion": "apps/v1", "kind": "StatefulSet"}},
    )
    template: PodTemplate | None = Field(default=None, description="Pod template, inline.")
    template_ref: TemplateRef | None = Field(default=None, description="Pod template from spec.roleTemplates.")
    template_patch: Opaque = Field(default=None, description="Strategic-merge patch over the shared template.")
    leader_worker_set: LeaderWorkerSet | None = Field(
        default=None, description="Every instance is a leader and its workers."
    )
    components: tuple[RoleComponent, ...] = Field(
        default_factory=tuple, description="Every instance is a set of differing pods."
    )
    service_ports: tuple[ServicePort, ...] = Field(
        default_factory=tuple, description="Ports to list in the discovery file."
    )
    engine_runtimes: tuple[EngineRuntime, ...] = Field(default_factory=tuple, description="Sidecar profiles to inject.")
    scaling_adapter: ScalingAdapter | None = Field(default=None, description="Lets autoscalers scale this role alone.")
    min_ready_seconds: Int32 = Field(
        default=0, description="Seconds an instance must be ready before it counts as available."
    )

    @model_validator(mode="after")
    def _check(self) -> RoleSpec:
        kind = self.workload.kind
        if self.template_ref is not None and kind in (_INSTANCE_SET, _LEADER_WORKER_SET):
            raise ValueError(_NO_REF.format(kind))
        if self.template is None and self.template_ref is None and kind != _INSTANCE_SET:
            raise ValueError(_SOME_SOURCE)
        if self.template is not None and self.template_ref is not None:
            raise ValueError(_ONE_SOURCE)
        return self


class RoleBasedGroupSpec(Spec):
    """What a RoleBasedGroup should be."""

    roles: tuple[RoleSpec, ...] = Field(
        description="The roles, unique by name.", json_schema_extra={"minItems": 1, **by_name}
    )
    role_templates: tuple[RoleTemplate, ...] = Field(
        default_factory=tuple,
        description="Pod templates that several roles can share, unique by name.",
        json_schema_extra=by_name,
    )
    pod_group_policy: PodGroupPolicy | None = Field(
        default=None, description="Which scheduler takes all pods of the group or none."
    )
    coordination: tuple[Coordination, ...] = Field(
        default_factory=tuple, description="Roles that move together, unique by name.", json_schema_extra=by_name
    )

    @model_validator(mode="after")
    def _check(self) -> RoleBasedGroupSpec:
        not_empty(self.roles, "roles")
        unique(self.roles, "roles")
        unique(self.role_templates, "roleTemplates")
        unique(self.coordination, "coordination")
        return self


class RoleBasedGroup(Resource, frozen=True):
    """One inference service as a set of roles."""

    KIND: ClassVar[Kind[RoleBasedGroup]] = Kind(_GROUP, _VERSION, "RoleBasedGroup", "rolebasedgroups")

    spec: RoleBasedGroupSpec | None = None
    status: RoleBasedGroupStatus | None = None


class RoleBasedGroupSetSpec(Spec):
    """What a RoleBasedGroupSet should be."""

    replicas: Count = Field(default=1, description="Number of groups.")
    template: RoleBasedGroupSpec = Field(description="Spec of the groups.")


class RoleBasedGroupSet(Resource, frozen=True):
    """Several RoleBasedGroups made from one template."""

    KIND: ClassVar[Kind[RoleBasedGroupSet]] = Kind(_GROUP, _VERSION, "RoleBasedGroupSet", "rolebasedgroupsets")

    spec: RoleBasedGroupSetSpec | None = None
    status: RoleBasedGroupSetStatus | None = None


class RoleBasedGroupScalingAdapter(Resource, frozen=True):
    """The replicas of one role, for autoscalers; the same fields as in v1alpha2."""

    KIND: ClassVar[Kind[RoleBasedGroupScalingAdapter]] = Kind(
        _GROUP, _VERSION, "RoleBasedGroupScalingAdapter", "rolebasedgroupscalingadapters"
    )

    spec: adapters.RoleBasedGroupScalingAdapterSpec | None = None
    status: adapters.RoleBasedGroupScalingAdapterStatus | None = None


class ClusterEngineRuntimeProfile(Resource, frozen=True):
    """Containers and volumes for the pods of roles that name the profile; the same fields as in v1alpha2."""

    KIND: ClassVar[Kind[ClusterEngineRuntimeProfile]] = Kind(
        _GROUP, _VERSION, "ClusterEngineRuntimeProfile", "clusterengineruntimeprofiles", namespaced=False
    )

    spec: profiles.ClusterEngineRuntimeProfileSpec | None = None
    status: profiles.ClusterEngineRuntimeProfileStatus | None = None
