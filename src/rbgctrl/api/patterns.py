"""How the instances of a role are built, updated and recovered: the patterns of a RoleBasedGroup."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api.spec import (
    Bool,
    Count,
    Int32,
    IntOrString,
    Label,
    Opaque,
    OpaqueTemplate,
    PodTemplate,
    Spec,
    StringMap,
    Text,
    rules,
)

__all__ = [
    "CustomComponentsPattern",
    "GroupComponent",
    "InPlaceUpdateStrategy",
    "LeaderWorkerPattern",
    "PodManagementPolicy",
    "RestartPolicyConfig",
    "RestartPolicyType",
    "RollingUpdate",
    "RolloutStrategy",
    "RolloutType",
    "SharedServiceSelection",
    "StandalonePattern",
    "TemplateRef",
]

_DELAYS = "maxDelaySeconds must be greater than or equal to baseDelaySeconds"
_ONE_SOURCE = "template and templateRef are mutually exclusive"


class RestartPolicyType(StrEnum):
    """What the failure of one pod means for its instance, or for the whole group."""

    NONE = "None"
    RECREATE_INSTANCE = "RecreateRoleInstanceOnPodRestart"
    RECREATE_GROUP = "RecreateRBGOnPodRestart"


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
    base_delay_seconds: Count = Field(
        default=30,
        description="Seconds before the second recreation in a row; each further one waits twice as long. "
        "0 together with maxDelaySeconds 0 means no wait.",
    )
    max_delay_seconds: Count = Field(default=600, description="Longest wait in seconds.")

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

    name: Label = Field(description="Name of an entry of spec.roleTemplates.")
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
