"""The kinds of our CRDs: versions, columns, and what of their schemas the types cannot say themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hack import dead_kinds
from hack.schema import Schema
from rbgctrl.api import adapters, placement, policies, profiles, v1alpha1, warmups
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec, RoleBasedGroupStatus
from rbgctrl.api.groupsets import RoleBasedGroupSet, RoleBasedGroupSetSpec, RoleBasedGroupSetStatus
from rbgctrl.api.instances import (
    RoleInstance,
    RoleInstanceSet,
    RoleInstanceSetSpec,
    RoleInstanceSetStatus,
    RoleInstanceSpec,
    RoleInstanceStatus,
)
from rbgctrl.api.meta import Resource
from rbgctrl.api.spec import TYPED, rules

__all__ = ["CRDS", "Column", "Crd", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``kubectl get``."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""

    def render(self) -> Schema:
        """As ``additionalPrinterColumns[]``."""
        found = {"name": self.name, "type": self.type, "jsonPath": self.path}
        more = {"priority": self.priority, "description": self.description}
        return {**found, **{key: value for key, value in more.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a kind.

    Attributes:
        kind: the cached type; its docstring describes the kind.
        spec: model of ``spec``.
        status: Struct of ``status``.
        columns: of ``kubectl get``.
        overrides: type name to schema entries that the types cannot say themselves.
        scale: whether there is a scale subresource.
        selector_path: label selector of the scale subresource, ``""`` for none.
        storage: whether objects are stored in this version.
        deprecation: warning for clients, ``""`` for none.
    """

    kind: type[Resource]
    spec: type[Any]
    status: type[Any]
    columns: tuple[Column, ...]
    overrides: dict[str, Schema]
    scale: bool = False
    selector_path: str = ""
    storage: bool = True
    deprecation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crd:
    """A kind with its versions, newest first.

    Attributes:
        versions: of the kind.
        short_name: for kubectl, ``""`` for none.
        webhook: objects are converted by our webhook, where there is one.
        dead: nobody reconciles the kind, so neither kustomize nor the package has it.
        needs_spec: an object without a spec is refused.
    """

    versions: tuple[Version, ...]
    short_name: str = ""
    webhook: bool = False
    dead: bool = False
    needs_spec: bool = False


_AGE = Column(name="AGE", type="date", path=".metadata.creationTimestamp")
_TIME: Schema = {"type": "string", "format": "date-time"}
_CONDITION: Schema = {
    "description": "One aspect of the object's state.",
    "required": ["lastTransitionTime", "message", "reason", "status", "type"],
    "properties": {
        "type": {
            "type": "string",
            "maxLength": 316,
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "message": {"type": "string", "maxLength": 32768},
        "lastTransitionTime": _TIME,
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
    },
}
_LOOSE_CONDITION: Schema = {
    "description": "One aspect of the object's state.",
    "required": ["status", "type"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "status", "reason", "message")},
        "lastTransitionTime": _TIME,
    },
}
_SELECTOR: Schema = {"description": "A label query over objects.", TYPED: "LabelSelector"}
_DELAYS = rules(
    (
        "self.maxDelaySeconds >= self.baseDelaySeconds",
        "maxDelaySeconds must be greater than or equal to baseDelaySeconds",
    )
)
_COUNTERS = ["readyReplicas", "replicas", "updatedReplicas"]
_SET_COUNTERS = ["availableReplicas", "currentReplicas", "updatedReadyReplicas", *_COUNTERS]
_COMPONENT_COUNTERS = [
    "availableReplicas",
    "name",
    "readyReplicas",
    "scheduledReplicas",
    "updatedReadyReplicas",
    "updatedReplicas",
]


def _ready(condition: str) -> Column:
    return Column(name="READY", type="string", path=f".status.conditions[?(@.type=='{condition}')].status")


def _deprecated(kind: str, successor: str = "") -> str:
    group = "workloads.x-k8s.io"
    return f"{group}/v1alpha1 {kind} is deprecated; use {group}/v1alpha2 {successor or kind}"


def _wide(name: str, path: str) -> Column:
    """A column for ``kubectl get -o wide`` alone."""
    return Column(name=name, type="string", path=path, priority=1)


def _why(condition: str) -> tuple[Column, Column]:
    found = f".status.conditions[?(@.type=='{condition}')]"
    return _wide("REASON", f"{found}.reason"), _wide("MESSAGE", f"{found}.message")


_GROUP_COLUMNS = (_ready("Ready"), _AGE, *_why("Ready"))
_GROUP_OVERRIDES: dict[str, Schema] = {
    "Condition": _CONDITION,
    "RoleStatus": {"required": ["name", *_COUNTERS]},
    "RoleBasedGroupStatus": {"required": ["roleStatuses"]},
}
_SET_OF_GROUPS_COLUMNS = (
    Column(name="DESIRED", type="string", path=".status.replicas", description="desired replicas"),
    Column(name="READY", type="string", path=".status.readyReplicas"),
    _AGE,
)
_ADAPTER_COLUMNS = (
    Column(name="PHASE", type="string", path=".status.phase"),
    Column(name="REPLICAS", type="integer", path=".status.replicas"),
)
_ADAPTER_READY = Column(name="READY_REPLICAS", type="integer", path=".status.readyReplicas")
_ADAPTER_TARGET = (_wide("GROUP", ".spec.scaleTargetRef.name"), _wide("ROLE", ".spec.scaleTargetRef.role"))
_WARMUP_COLUMNS = (
    Column(name="PHASE", type="string", path=".status.phase"),
    Column(name="DESIRED", type="integer", path=".status.desired"),
    Column(name="SUCCEEDED", type="integer", path=".status.succeeded"),
    Column(name="FAILED", type="integer", path=".status.failed"),
    _AGE,
)
_SET_COLUMNS = (
    Column(name="DESIRED", type="integer", path=".spec.replicas"),
    Column(name="UPDATED", type="integer", path=".status.updatedReplicas"),
    Column(name="UPDATED_READY", type="integer", path=".status.updatedReadyReplicas"),
    Column(name="READY", type="integer", path=".status.readyReplicas"),
    Column(name="TOTAL", type="integer", path=".status.replicas"),
    _AGE,
    Column(name="SELECTOR", type="string", path=".status.labelSelector", priority=1),
)

_WORKLOADS = (
    Crd(
        short_name="rbg",
        webhook=True,
        versions=(
            Version(
                kind=RoleBasedGroup,
                spec=RoleBasedGroupSpec,
                status=RoleBasedGroupStatus,
                columns=_GROUP_COLUMNS,
                overrides=_GROUP_OVERRIDES,
            ),
            Version(
                kind=v1alpha1.RoleBasedGroup,
                spec=v1alpha1.RoleBasedGroupSpec,
                status=RoleBasedGroupStatus,
                columns=_GROUP_COLUMNS,
                overrides=_GROUP_OVERRIDES,
                storage=False,
                deprecation=_deprecated("RoleBasedGroup"),
            ),
        ),
    ),
    Crd(
        short_name="rbgs",
        webhook=True,
        versions=(
            Version(
                kind=RoleBasedGroupSet,
                spec=RoleBasedGroupSetSpec,
                status=RoleBasedGroupSetStatus,
                columns=_SET_OF_GROUPS_COLUMNS,
                overrides={"Condition": _CONDITION},
                scale=True,
            ),
            Version(
                kind=v1alpha1.RoleBasedGroupSet,
                spec=v1alpha1.RoleBasedGroupSetSpec,
                status=RoleBasedGroupSetStatus,
                columns=_SET_OF_GROUPS_COLUMNS,
                overrides={"Condition": _CONDITION},
                scale=True,
                storage=False,
                deprecation=_deprecated("RoleBasedGroupSet"),
            ),
        ),
    ),
    Crd(
        short_name="rbgsa",
        versions=(
            Version(
                kind=adapters.RoleBasedGroupScalingAdapter,
                spec=adapters.RoleBasedGroupScalingAdapterSpec,
                status=adapters.RoleBasedGroupScalingAdapterStatus,
                columns=(*_ADAPTER_COLUMNS, _ADAPTER_READY, _AGE, *_ADAPTER_TARGET),
                overrides={},
                scale=True,
                selector_path=".status.selector",
            ),
            Version(
                kind=v1alpha1.RoleBasedGroupScalingAdapter,
                spec=adapters.RoleBasedGroupScalingAdapterSpec,
                status=adapters.RoleBasedGroupScalingAdapterStatus,
                columns=(*_ADAPTER_COLUMNS, _AGE),
                overrides={},
                scale=True,
                selector_path=".status.selector",
                storage=False,
                deprecation=_deprecated("RoleBasedGroupScalingAdapter"),
            ),
        ),
    ),
    Crd(
        versions=(
            Version(
                kind=profiles.ClusterEngineRuntimeProfile,
                spec=profiles.ClusterEngineRuntimeProfileSpec,
                status=profiles.ClusterEngineRuntimeProfileStatus,
                columns=(),
                overrides={},
            ),
            Version(
                kind=v1alpha1.ClusterEngineRuntimeProfile,
                spec=profiles.ClusterEngineRuntimeProfileSpec,
                status=profiles.ClusterEngineRuntimeProfileStatus,
                columns=(),
                overrides={},
                storage=False,
                deprecation=_deprecated("ClusterEngineRuntimeProfile"),
            ),
        ),
    ),
    Crd(
        short_name="cpolicy",
        versions=(
            Version(
                kind=policies.CoordinatedPolicy,
                spec=policies.CoordinatedPolicySpec,
                status=policies.CoordinatedPolicyStatus,
                columns=(_AGE,),
                overrides={"Condition": _CONDITION},
            ),
        ),
    ),
    Crd(
        short_name="rbgwarmup",
        needs_spec=True,
        versions=(
            Version(
                kind=warmups.RoleBasedGroupWarmup,
                spec=warmups.RoleBasedGroupWarmupSpec,
                status=warmups.RoleBasedGroupWarmupStatus,
                columns=_WARMUP_COLUMNS,
                overrides={
                    "Condition": _CONDITION,
                    "RoleBasedGroupWarmupStatus": {"required": ["active", "desired", "failed", "phase", "succeeded"]},
                },
            ),
        ),
    ),
    Crd(
        short_name="ris",
        versions=(
            Version(
                kind=RoleInstanceSet,
                spec=RoleInstanceSetSpec,
                status=RoleInstanceSetStatus,
                columns=_SET_COLUMNS,
                overrides={
                    "Condition": _LOOSE_CONDITION,
                    "LabelSelector": _SELECTOR,
                    "RoleInstanceSetStatus": {"required": _SET_COUNTERS},
                },
                scale=True,
                selector_path=".status.labelSelector",
            ),
        ),
    ),
    Crd(
        short_name="rins",
        versions=(
            Version(
                kind=RoleInstance,
                spec=RoleInstanceSpec,
                status=RoleInstanceStatus,
                columns=(_ready("RoleInstanceReady"), _AGE, *_why("RoleInstanceReady")),
                overrides={
                    "Condition": _LOOSE_CONDITION,
                    "InstanceRestartPolicy": _DELAYS,
                    "ComponentStatus": {"required": [*_COMPONENT_COUNTERS, "size"]},
                    "ContainerBaseline": {"required": ["restartCount"]},
                },
            ),
        ),
    ),
)
_DEAD = (
    Crd(
        short_name="is",
        dead=True,
        versions=(
            Version(
                kind=dead_kinds.InstanceSet,
                spec=dead_kinds.InstanceSetSpec,
                status=dead_kinds.InstanceSetStatus,
                columns=_SET_COLUMNS,
                overrides={
                    "Condition": _LOOSE_CONDITION,
                    "LabelSelector": _SELECTOR,
                    "InstanceSetStatus": {"required": _SET_COUNTERS},
                },
                scale=True,
                selector_path=".status.labelSelector",
                deprecation=_deprecated("InstanceSet", "RoleInstanceSet"),
            ),
        ),
    ),
    Crd(
        short_name="ins",
        dead=True,
        versions=(
            Version(
                kind=dead_kinds.Instance,
                spec=dead_kinds.InstanceSpec,
                status=dead_kinds.InstanceStatus,
                columns=(_ready("InstanceReady"), _AGE),
                overrides={
                    "Condition": _LOOSE_CONDITION,
                    "ComponentStatus": {"required": [*_COMPONENT_COUNTERS, "replicas"]},
                },
                deprecation=_deprecated("Instance", "RoleInstance"),
            ),
        ),
    ),
)
_PLACEMENT = (
    Crd(
        needs_spec=True,
        versions=(
            Version(
                kind=placement.ClusterTopology,
                spec=placement.ClusterTopologySpec,
                status=placement.ClusterTopologyStatus,
                columns=(_ready("Ready"), _AGE),
                overrides={"Condition": _CONDITION},
            ),
        ),
    ),
    Crd(
        needs_spec=True,
        versions=(
            Version(
                kind=placement.PlacementPolicy,
                spec=placement.PlacementPolicySpec,
                status=placement.PlacementPolicyStatus,
                columns=(_AGE,),
                overrides={"Condition": _CONDITION},
            ),
        ),
    ),
)
CRDS = (*_WORKLOADS, *_DEAD, *_PLACEMENT)
