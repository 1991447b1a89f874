"""RoleBasedGroupWarmup: nodes made ready before pods need them, by pulling images or running containers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta
from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.spec import (
    WITHOUT_NULLS,
    Bool,
    Container,
    Count,
    Name,
    Positive,
    PositiveLong,
    Spec,
    StringMap,
    Text,
    Toleration,
    Volume,
    not_empty,
    rules,
)

__all__ = [
    "COMPLETED",
    "FAILED",
    "PAUSED",
    "RUNNING",
    "CustomizedAction",
    "ImagePreload",
    "PullSecret",
    "RoleBasedGroupWarmup",
    "RoleBasedGroupWarmupSpec",
    "RoleBasedGroupWarmupStatus",
    "TargetNodes",
    "TargetRoleBasedGroup",
    "WarmupActions",
    "WarmupPolicies",
]

RUNNING: Final = "Running"
"""Phase: pods were made."""
PAUSED: Final = "Paused"
"""Phase: no new pods for the time being."""
COMPLETED: Final = "Completed"
"""Phase: every node was warmed up or given up."""
FAILED: Final = "Failed"
"""Phase: given up as a whole."""

_LIMIT = "backoffLimitPerNode must be set when maxFailedNodes is specified"
_SOME_TARGET = "either targetNodes or targetRoleBasedGroup must be specified"
_ONE_TARGET = "targetNodes and targetRoleBasedGroup are mutually exclusive"
_SOME_NODES = "either nodeNames or nodeSelector must be specified"
_ONE_NODES = "nodeNames and nodeSelector are mutually exclusive"
_SOME_ACTION = "at least one of imagePreload or customizedAction must be specified"
_ACTION_RULE = ("has(self.imagePreload) || has(self.customizedAction)", _SOME_ACTION)


class PullSecret(Spec):
    """A Secret in the same namespace."""

    name: Text = Field(default="", description="Name of the Secret.")


class ImagePreload(Spec):
    """Images to pull."""

    images: tuple[Text, ...] = Field(description="The images.", json_schema_extra={"minItems": 1})
    pull_secrets: tuple[PullSecret, ...] = Field(
        default_factory=tuple, description="Secrets of the registries they come from."
    )

    @model_validator(mode="after")
    def _check(self) -> ImagePreload:
        not_empty(self.images, "images")
        return self


class CustomizedAction(Spec):
    """Containers to run to their end."""

    containers: tuple[Container, ...] = Field(description="The containers.", json_schema_extra={"minItems": 1})
    volumes: tuple[Volume, ...] = Field(default_factory=tuple, description="Volumes they mount.")

    @model_validator(mode="after")
    def _check(self) -> CustomizedAction:
        not_empty(self.containers, "containers")
        return self


class WarmupActions(Spec):
    """What is done on a node."""

    model_config = ConfigDict(json_schema_extra=rules(_ACTION_RULE))

    image_preload: ImagePreload | None = Field(default=None, description="Images to pull.")
    customized_action: CustomizedAction | None = Field(default=None, description="Containers to run to their end.")

    @model_validator(mode="after")
    def _check_action(self) -> WarmupActions:
        if self.image_preload is None and self.customized_action is None:
            raise ValueError(_SOME_ACTION)
        return self


class TargetNodes(WarmupActions):
    """Nodes by name or label, and what is done there."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.nodeNames) || has(self.nodeSelector)", _SOME_NODES),
            ("!(has(self.nodeNames) && has(self.nodeSelector))", _ONE_NODES),
            _ACTION_RULE,
        )
    )

    node_names: tuple[Text, ...] | None = Field(
        default=None, description="Names of the nodes.", json_schema_extra={"minItems": 1}
    )
    node_selector: StringMap | None = Field(
        default=None, description="Labels of the nodes.", json_schema_extra={"minProperties": 1}
    )

    @model_validator(mode="after")
    def _check_nodes(self) -> TargetNodes:
        if self.node_names is None and self.node_selector is None:
            raise ValueError(_SOME_NODES)
        if self.node_names is not None and self.node_selector is not None:
            raise ValueError(_ONE_NODES)
        if self.node_names is not None:
            not_empty(self.node_names, "nodeNames")
        if self.node_selector is not None:
            not_empty(self.node_selector, "nodeSelector")
        return self


class TargetRoleBasedGroup(Spec):
    """The nodes that pods of a group run on, and what is done there."""

    name: Name = Field(description="Name of the RoleBasedGroup, in the same namespace.")
    roles: Annotated[dict[Text, WarmupActions], WITHOUT_NULLS] = Field(
        description="What is done on the nodes of each role, by role.", json_schema_extra={"minProperties": 1}
    )

    @model_validator(mode="after")
    def _check(self) -> TargetRoleBasedGroup:
        not_empty(self.roles, "roles")
        return self


class WarmupPolicies(Spec):
    """How many nodes at a time, how often, how long."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!has(self.maxFailedNodes) || has(self.backoffLimitPerNode)", _LIMIT))
    )

    parallelism: Positive | None = Field(default=None, description="Nodes at a time; all when absent.")
    backoff_limit_per_node: Count | None = Field(
        default=None, description="Retries on a node before it counts as failed; no limit when absent."
    )
    max_failed_nodes: Count | None = Field(
        default=None, description="Failed nodes that are tolerated; any number when absent."
    )
    global_timeout_seconds: PositiveLong | None = Field(
        default=None, description="Seconds from the start until it has failed; no limit when absent."
    )
    ttl_seconds_after_finished: Count | None = Field(
        default=None, description="Seconds from the end until the object is deleted; never when absent."
    )

    @model_validator(mode="after")
    def _check(self) -> WarmupPolicies:
        if self.max_failed_nodes is not None and self.backoff_limit_per_node is None:
            raise ValueError(_LIMIT)
        return self


class RoleBasedGroupWarmupSpec(Spec):
    """What a RoleBasedGroupWarmup should do."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.targetNodes) || has(self.targetRoleBasedGroup)", _SOME_TARGET),
            ("!(has(self.targetNodes) && has(self.targetRoleBasedGroup))", _ONE_TARGET),
        )
    )

    paused: Bool = Field(default_factory=bool, description="Start nothing new; what runs goes on.")
    policies: WarmupPolicies | None = Field(default=None, description="How many nodes at a time, how often, how long.")
    target_nodes: TargetNodes | None = Field(default=None, description="Nodes by name or label.")
    target_role_based_group: TargetRoleBasedGroup | None = Field(
        default=None, description="The nodes that pods of a group run on."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default_factory=tuple, description="Taints that the warmup pods tolerate."
    )

    @model_validator(mode="after")
    def _check(self) -> RoleBasedGroupWarmupSpec:
        if self.target_nodes is None and self.target_role_based_group is None:
            raise ValueError(_SOME_TARGET)
        if self.target_nodes is not None and self.target_role_based_group is not None:
            raise ValueError(_ONE_TARGET)
        return self


_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_TIME = {"format": "date-time"}
_BY_TYPE = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class RoleBasedGroupWarmupStatus(Value, frozen=True, gc=False):
    """How far a RoleBasedGroupWarmup is; counters are nodes."""

    phase: Annotated[str, Meta(description="Running, Paused, Completed or Failed; empty before the start.")] = ""
    desired: Annotated[_Int32, Meta(description="Are targets.")] = 0
    active: Annotated[_Int32, Meta(description="Are being warmed up.")] = 0
    succeeded: Annotated[_Int32, Meta(description="Are ready.")] = 0
    failed: Annotated[_Int32, Meta(description="Were given up.")] = 0
    start_time: Annotated[str, Meta(description="When it began.", extra_json_schema=_TIME)] | None = None
    completion_time: Annotated[str, Meta(description="When it ended.", extra_json_schema=_TIME)] | None = None
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="Conditions, unique by type.", extra_json_schema=_BY_TYPE)
    ] = ()


class RoleBasedGroupWarmup(Resource, frozen=True):
    """Nodes made ready before pods need them."""

    KIND: ClassVar[Kind[RoleBasedGroupWarmup]] = Kind(
        "workloads.x-k8s.io", "v1alpha2", "RoleBasedGroupWarmup", "rolebasedgroupwarmups"
    )

    spec: RoleBasedGroupWarmupSpec
    status: RoleBasedGroupWarmupStatus | None = None

    @property
    def ended(self) -> bool:
        """Whether it is completed or has failed."""
        return self.status is not None and self.status.phase in (COMPLETED, FAILED)
