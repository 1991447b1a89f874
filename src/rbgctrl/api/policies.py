"""CoordinatedPolicy: how the roles of the group of the same name and namespace move together."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta
from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.placement import TopologyConstraint
from rbgctrl.api.spec import (
    WITHOUT_NULLS,
    Count,
    IntOrString,
    Name,
    Positive,
    Spec,
    Text,
    by_name,
    not_empty,
    rules,
    unique,
)

__all__ = [
    "CoordinatedPolicy",
    "CoordinatedPolicySpec",
    "CoordinatedPolicyStatus",
    "CoordinatedRollingUpdate",
    "CoordinatedScaling",
    "CoordinatedScheduling",
    "Gang",
    "PolicyRule",
    "PolicyStrategy",
    "Progression",
    "Recovery",
    "RecoveryAction",
    "RecoveryBackoff",
    "RecoveryOrder",
    "RecoveryScope",
    "RecoveryTrigger",
    "Rounding",
    "RuleRoleStatus",
    "RuleStatus",
]

_RATIO_ROLES = 2
_BASE_SECONDS = 30
_MAX_SECONDS = 600
_BACKOFF = "maxSeconds must be greater than or equal to baseSeconds"
_BACKOFF_RULE = (
    f"(has(self.maxSeconds) ? self.maxSeconds : {_MAX_SECONDS})"
    f" >= (has(self.baseSeconds) ? self.baseSeconds : {_BASE_SECONDS})"
)


class Progression(StrEnum):
    """What of a batch must be true before the next one is scaled."""

    ORDER_SCHEDULED = "OrderScheduled"
    ORDER_READY = "OrderReady"


class Rounding(StrEnum):
    """What becomes of targets that the ratio does not divide."""

    UP = "Up"
    DOWN = "Down"


class RecoveryScope(StrEnum):
    """What is recovered together with what failed."""

    INSTANCE = "Instance"
    PAIR = "Pair"
    ROLE = "Role"
    GROUP = "Group"


class RecoveryTrigger(StrEnum):
    """What counts as a failure."""

    POD_FAILED = "PodFailed"
    POD_LOST = "PodLost"
    NODE_LOST = "NodeLost"
    CONTAINER_RESTART = "ContainerRestart"


class RecoveryAction(StrEnum):
    """What is done to what is recovered."""

    RECREATE = "Recreate"
    RESTART_CONTAINERS = "RestartContainers"
    MARK_UNREADY = "MarkUnready"


class RecoveryOrder(StrEnum):
    """In which order roles are recovered."""

    DEPENDENCIES_FIRST = "DependenciesFirst"
    PARALLEL = "Parallel"


class CoordinatedRollingUpdate(Spec):
    """Limits of a rolling update over all roles of a rule."""

    max_skew: IntOrString | None = Field(
        default=None, description="How far the progress of two roles may differ, in percent; no limit when absent."
    )
    partition: IntOrString | None = Field(default=None, description="Takes the place of the roles' own partition.")
    max_unavailable: IntOrString | None = Field(
        default=None, description="Takes the place of the roles' own maxUnavailable."
    )


class CoordinatedScaling(Spec):
    """How the roles of a rule are scaled together."""

    max_skew: IntOrString | None = Field(
        default=None, description="How far the progress of two roles may differ, 0% to 100%; 100% when absent."
    )
    progression: Progression | None = Field(
        default=None, description="What of a batch must be true before the next one; nothing when absent."
    )
    ratio: Annotated[dict[Text, Positive], WITHOUT_NULLS] | None = Field(
        default=None,
        description="Instances of each role in one deployment unit, by role; replicas are kept at this ratio.",
        json_schema_extra={"minProperties": _RATIO_ROLES},
    )
    rounding: Rounding = Field(
        default_factory=lambda: Rounding.UP, description="Direction of odd targets; Up when absent."
    )
    driver: Text | None = Field(
        default=None,
        description="Role that decides when two were changed at once; the one changed last when absent.",
    )

    @model_validator(mode="after")
    def _check(self) -> CoordinatedScaling:
        if self.ratio is not None and len(self.ratio) < _RATIO_ROLES:
            raise ValueError("ratio: must name at least two roles")
        return self


class Gang(Spec):
    """Pods that are scheduled all or not at all."""

    min_replicas: Positive | None = Field(
        default=None, description="Instances of each role that must fit at once; all when absent."
    )


class CoordinatedScheduling(Spec):
    """How the instances of all roles of a rule are scheduled together."""

    gang: Gang | None = Field(default=None, description="Schedule them all or not at all.")
    topology_constraint: TopologyConstraint | None = Field(
        default=None, description="Keeps them within one topology domain."
    )


class RecoveryBackoff(Spec):
    """How fast recoveries may follow each other."""

    model_config = ConfigDict(json_schema_extra=rules((_BACKOFF_RULE, _BACKOFF)))

    base_seconds: Count = Field(
        default_factory=lambda: _BASE_SECONDS,
        description="Seconds before the second recovery in a row; each further one waits twice as long. "
        "30 when absent.",
    )
    max_seconds: Count = Field(
        default_factory=lambda: _MAX_SECONDS, description="Longest wait in seconds; 600 when absent."
    )

    @model_validator(mode="after")
    def _check(self) -> RecoveryBackoff:
        if self.max_seconds < self.base_seconds:
            raise ValueError(_BACKOFF)
        return self


class Recovery(Spec):
    """What happens to instances linked to one that failed."""

    scope: RecoveryScope = Field(
        default_factory=lambda: RecoveryScope.INSTANCE,
        description="What is recovered together with what failed; Instance when absent.",
    )
    trigger: tuple[RecoveryTrigger, ...] = Field(
        default_factory=lambda: tuple(RecoveryTrigger), description="What counts as a failure; all four when absent."
    )
    action: RecoveryAction = Field(
        default_factory=lambda: RecoveryAction.RECREATE, description="What is done; Recreate when absent."
    )
    order: RecoveryOrder = Field(
        default_factory=lambda: RecoveryOrder.DEPENDENCIES_FIRST,
        description="In which order roles are recovered; DependenciesFirst when absent.",
    )
    max_restarts: Count = Field(
        default_factory=lambda: 10,
        description="Recoveries per window and RoleID; 0 for none, 10 when absent.",
    )
    window_seconds: Positive = Field(
        default_factory=lambda: 3600, description="Length of the window in seconds; 3600 when absent."
    )
    backoff: RecoveryBackoff = Field(
        default_factory=RecoveryBackoff, description="How fast recoveries may follow each other."
    )


class PolicyStrategy(Spec):
    """What the roles of a rule do together; nothing when empty."""

    rolling_update: CoordinatedRollingUpdate | None = Field(default=None, description="Limits of a rolling update.")
    scaling: CoordinatedScaling | None = Field(default=None, description="How they are scaled together.")
    scheduling: CoordinatedScheduling | None = Field(default=None, description="How they are scheduled together.")
    recovery: Recovery | None = Field(default=None, description="What happens when one of their instances fails.")


class PolicyRule(Spec):
    """Roles that move together."""

    name: Name = Field(description="Identity of the rule.")
    roles: tuple[Text, ...] = Field(description="Names of the roles.", json_schema_extra={"minItems": 1})
    strategy: PolicyStrategy = Field(description="What they do together.")

    @model_validator(mode="after")
    def _check(self) -> PolicyRule:
        not_empty(self.roles, "roles")
        return self

    def strangers(self) -> tuple[str, ...]:
        """Roles that the scaling names and the rule does not, sorted: what no schema can say of a rule."""
        scaling = self.strategy.scaling
        if scaling is None:
            return ()
        named = {*(scaling.ratio or ()), *([scaling.driver] if scaling.driver is not None else [])}
        return tuple(sorted(named - set(self.roles)))


class CoordinatedPolicySpec(Spec):
    """What a CoordinatedPolicy says."""

    policies: tuple[PolicyRule, ...] = Field(
        description="The rules, unique by name.", json_schema_extra={"minItems": 1, **by_name}
    )

    @model_validator(mode="after")
    def _check(self) -> CoordinatedPolicySpec:
        not_empty(self.policies, "policies")
        unique(self.policies, "policies")
        return self


_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_Int64 = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
_BY_TYPE = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class RuleRoleStatus(Value, frozen=True, gc=False):
    """Instances of one role as a rule sees them."""

    name: Annotated[str, Meta(description="Name of the role.")]
    desired: Annotated[_Int32, Meta(description="Its spec asks for.")] = 0
    paired: Annotated[_Int32, Meta(description="The ratio makes of that.")] = 0
    staged: Annotated[_Int32, Meta(description="May exist now.")] = 0
    ready: Annotated[_Int32, Meta(description="Are ready.")] = 0
    updated: Annotated[_Int32, Meta(description="Are at the newest revision.")] = 0


class RuleStatus(Value, frozen=True, gc=False):
    """How far a rule is."""

    name: Annotated[str, Meta(description="Name of the rule.")]
    roles: Annotated[tuple[RuleRoleStatus, ...], Meta(description="One entry per role, in order of the rule.")] = ()
    waiting_for: Annotated[str, Meta(description="What holds the rule back; empty when nothing does.")] = ""


class CoordinatedPolicyStatus(Value, frozen=True, gc=False):
    """What a CoordinatedPolicy does."""

    observed_generation: Annotated[_Int64, Meta(description="Generation this status was computed from.")] = 0
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="Conditions, unique by type.", extra_json_schema=_BY_TYPE)
    ] = ()
    policies: Annotated[tuple[RuleStatus, ...], Meta(description="One entry per rule, in order of the spec.")] = ()


class CoordinatedPolicy(Resource, frozen=True):
    """How the roles of the RoleBasedGroup of the same name move together."""

    KIND: ClassVar[Kind[CoordinatedPolicy]] = Kind(
        "workloads.x-k8s.io", "v1alpha2", "CoordinatedPolicy", "coordinatedpolicies"
    )

    spec: CoordinatedPolicySpec | None = None
    status: CoordinatedPolicyStatus | None = None
