"""Where pods that belong together run: what topology a cluster has, and what units of groups stay within a domain.

ClusterTopology and PlacementPolicy are kinds of our own; :class:`TopologyConstraint` is a part of upstream's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta
from pydantic import ConfigDict, Field, model_validator

from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.spec import (
    WITHOUT_NULLS,
    Count,
    Name,
    Positive,
    Selector,
    Share,
    Spec,
    StringMap,
    Text,
    by_name,
    not_empty,
    rules,
    unique,
)

__all__ = [
    "Cell",
    "ClusterTopology",
    "ClusterTopologySpec",
    "ClusterTopologyStatus",
    "DomainHealth",
    "LevelRequirement",
    "LevelStatus",
    "MissingKey",
    "Pack",
    "PlacementPolicy",
    "PlacementPolicySpec",
    "PlacementPolicyStatus",
    "Remainder",
    "RolePlacement",
    "Spread",
    "SpreadScope",
    "Stickiness",
    "StickinessMode",
    "Tenant",
    "TenantLimit",
    "TenantReserve",
    "Tier",
    "TopologyConstraint",
    "TopologyLevel",
    "Unsatisfied",
    "UnsatisfiedMode",
]

_GROUP = "placement.rbgctrl.io"
_VERSION = "v1alpha1"
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_Duration = Annotated[Text, Field(pattern=_DURATION)]
_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_Int64 = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
_Conditions = Annotated[
    tuple[Condition, ...],
    Meta(
        description="Conditions, unique by type.",
        extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class Pack(Spec):
    """Levels of a topology, each named as in the ClusterTopology or by a node label key."""

    required: Text | None = Field(default=None, description="Level that must hold; none when absent.")
    preferred: Text | None = Field(default=None, description="Level that is tried first; none when absent.")


class TopologyConstraint(Spec):
    """What must or should run within one topology domain."""

    topology_name: Text | None = Field(
        default=None, description="Name of a ClusterTopology; the cluster's default when absent."
    )
    pack: Pack | None = Field(default=None, description="Levels that must or should hold.")


# ClusterTopology ------------------------------------------------------------------------------------------------------


class Tier(StrEnum):
    """What two pods in one domain of a level share."""

    NVLINK = "nvlink"
    PCIE = "pcie"
    RDMA = "rdma"
    VPC = "vpc"
    AUTO = "auto"


class MissingKey(StrEnum):
    """What is to be thought of a node that has none of a level's keys."""

    NARROWER = "narrower"
    UNKNOWN = "unknown"


_ONE_REQUIREMENT = "exactly one of resourcePrefix and label must be set"


class LevelRequirement(Spec):
    """Something nodes must have for a level to count."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.resourcePrefix) != has(self.label)", _ONE_REQUIREMENT)),
    )

    resource_prefix: Name | None = Field(default=None, description="Start of the name of an allocatable resource.")
    label: Name | None = Field(default=None, description="Key of a node label.")

    @model_validator(mode="after")
    def _check(self) -> LevelRequirement:
        if (self.resource_prefix is None) == (self.label is None):
            raise ValueError(_ONE_REQUIREMENT)
        return self


class TopologyLevel(Spec):
    """One level of the topology: nodes with the same value are one domain."""

    name: Name = Field(description="What constraints call the level.")
    tier: Tier = Field(
        default_factory=lambda: Tier.AUTO,
        description="What pods of one domain share; auto (assumed when absent) goes by the product of the nodes.",
    )
    keys: tuple[Text, ...] = Field(
        description="Node label keys; the first one a node has names its domain.", json_schema_extra={"minItems": 1}
    )
    when_missing: MissingKey = Field(
        default_factory=lambda: MissingKey.UNKNOWN,
        description="A node without any key: narrower takes its domain of the level below, "
        "unknown (assumed when absent) makes it no candidate at this level.",
    )
    requires: tuple[LevelRequirement, ...] = Field(
        default_factory=tuple, description="What nodes must have for the level to count: any one of these."
    )
    weight: Count | None = Field(default=None, description="How much it is worth, 0 to 100; by tier when absent.")

    @model_validator(mode="after")
    def _check(self) -> TopologyLevel:
        not_empty(self.keys, "keys")
        return self


class DomainHealth(Spec):
    """Which nodes and domains are not placed on."""

    exclude_taints: tuple[Text, ...] = Field(
        default_factory=tuple, description="Keys of taints that make a node no candidate."
    )
    max_unknown_share: Share | None = Field(
        default=None,
        description="Share of nodes, 0 to 1, that may lack a level's keys before a condition says so.",
    )


class ClusterTopologySpec(Spec):
    """Levels of a cluster, or of those of its nodes that a selector picks."""

    node_selector: StringMap = Field(
        default_factory=dict, description="Labels of the nodes this is about; all nodes when absent."
    )
    levels: tuple[TopologyLevel, ...] = Field(
        description="The levels from narrow to broad, unique by name.", json_schema_extra={"minItems": 1, **by_name}
    )
    domain_health: DomainHealth | None = Field(default=None, description="Which nodes are not placed on.")

    @model_validator(mode="after")
    def _check(self) -> ClusterTopologySpec:
        not_empty(self.levels, "levels")
        unique(self.levels, "levels")
        return self


class LevelStatus(Value, frozen=True, gc=False):
    """What a level looks like on the nodes there are."""

    name: Annotated[str, Meta(description="Name of the level.")]
    key: Annotated[str, Meta(description="Node label key that serves most nodes.")] = ""
    coverage: Annotated[str, Meta(description="Share of nodes with a key, as decimal text from 0 to 1.")] = ""
    domains: Annotated[_Int32, Meta(description="Domains there are.")] = 0
    nested: Annotated[bool, Meta(description="Each domain lies within one domain of the level above.")] = False


class ClusterTopologyStatus(Value, frozen=True, gc=False):
    """What a ClusterTopology comes to on the nodes there are."""

    observed_generation: Annotated[_Int64, Meta(description="Generation this status was computed from.")] = 0
    levels: Annotated[tuple[LevelStatus, ...], Meta(description="One entry per level, in order of the spec.")] = ()
    conditions: _Conditions = ()


class ClusterTopology(Resource, frozen=True):
    """Which node labels say how close two nodes are."""

    KIND: ClassVar[Kind[ClusterTopology]] = Kind(
        _GROUP, _VERSION, "ClusterTopology", "clustertopologies", namespaced=False
    )

    spec: ClusterTopologySpec
    status: ClusterTopologyStatus | None = None


# PlacementPolicy ------------------------------------------------------------------------------------------------------


class Remainder(StrEnum):
    """Where instances go that make up no whole cell."""

    ANCHOR = "anchor"
    FREE = "free"


class SpreadScope(StrEnum):
    """What a spread counts the cells of."""

    GROUP = "group"
    ROLE = "role"


class UnsatisfiedMode(StrEnum):
    """What happens when no domain has room."""

    DEGRADE = "degrade"
    PENDING = "pending"


class StickinessMode(StrEnum):
    """What a replacement prefers."""

    NODE = "node"
    DOMAIN = "domain"
    NONE = "none"


class Cell(Spec):
    """Instances of several roles that are placed together."""

    name: Name = Field(description="What anchorTo names.")
    roles: Annotated[dict[Text, Positive], WITHOUT_NULLS] = Field(
        description="Instances per cell, by role.", json_schema_extra={"minProperties": 1}
    )
    pack: Pack | None = Field(default=None, description="Levels one cell must or should fit in.")
    remainder: Remainder = Field(
        default_factory=lambda: Remainder.ANCHOR,
        description="Left-over instances: anchor (assumed when absent) keeps them near their roles, free does not.",
    )

    @model_validator(mode="after")
    def _check(self) -> Cell:
        not_empty(self.roles, "roles")
        return self


class RolePlacement(Spec):
    """Placement of one role."""

    pack: Pack | None = Field(default=None, description="Levels one instance must or should fit in.")
    anchor_to: Text | None = Field(default=None, description="Name of a cell to be near; none when absent.")


class Spread(Spec):
    """How evenly units are spread over the domains of a level."""

    level: Name = Field(description="The level.")
    scope: SpreadScope = Field(
        default_factory=lambda: SpreadScope.GROUP, description="What is counted together; group when absent."
    )
    max_skew: Positive | None = Field(default=None, description="Most units more than in the emptiest domain.")
    max_cells: Positive | None = Field(default=None, description="Most units in one domain.")


class TenantReserve(Spec):
    """Domains that only the tenant may use."""

    level: Name = Field(description="The level.")
    min: Count = Field(description="Number of domains kept for the tenant.")


class TenantLimit(Spec):
    """Domains the tenant may use at most."""

    level: Name = Field(description="The level.")
    max: Count = Field(description="Number of domains.")


class Tenant(Spec):
    """Shares of domains among tenants."""

    key: Name = Field(description="What tells tenants apart: namespace, or the key of a label of groups.")
    reserve: TenantReserve | None = Field(default=None, description="Domains kept for the tenant.")
    limit: TenantLimit | None = Field(default=None, description="Domains the tenant may use at most.")


class Unsatisfied(Spec):
    """What happens when no domain has room."""

    mode: UnsatisfiedMode = Field(
        default_factory=lambda: UnsatisfiedMode.DEGRADE,
        description="degrade (assumed when absent) goes to the next broader level, pending waits.",
    )
    after: _Duration | None = Field(
        default=None, description="Time to wait at a level before going broader, e.g. 120s; none when absent."
    )


class Stickiness(Spec):
    """Where replacements go."""

    mode: StickinessMode = Field(
        default_factory=lambda: StickinessMode.DOMAIN,
        description="What a replacement prefers: node, domain (assumed when absent) or none.",
    )
    hold: _Duration | None = Field(
        default=None, description="How long freed room is kept for the same RoleID, e.g. 5m; not at all when absent."
    )


class PlacementPolicySpec(Spec):
    """How the groups that it selects are placed."""

    selector: Selector | None = Field(
        default=None, description="Labels of the groups; with neither it nor groupNames, none is selected."
    )
    group_names: tuple[Text, ...] = Field(default_factory=tuple, description="Names of groups, in addition.")
    topology_name: Text | None = Field(
        default=None, description="Name of a ClusterTopology; the cluster's default when absent."
    )
    cells: tuple[Cell, ...] = Field(
        default_factory=tuple, description="Instances that are placed together.", json_schema_extra=by_name
    )
    roles: Annotated[dict[Text, RolePlacement], WITHOUT_NULLS] = Field(
        default_factory=dict, description="Placement of roles, by role."
    )
    spread: tuple[Spread, ...] = Field(default_factory=tuple, description="How units are spread.")
    tenant: Tenant | None = Field(default=None, description="Shares of domains among tenants.")
    unsatisfied: Unsatisfied | None = Field(default=None, description="What happens when no domain has room.")
    stickiness: Stickiness | None = Field(default=None, description="Where replacements go.")

    @model_validator(mode="after")
    def _check(self) -> PlacementPolicySpec:
        unique(self.cells, "cells")
        return self


class PlacementPolicyStatus(Value, frozen=True, gc=False):
    """What became of a PlacementPolicy."""

    observed_generation: Annotated[_Int64, Meta(description="Generation this status was computed from.")] = 0
    conditions: _Conditions = ()


class PlacementPolicy(Resource, frozen=True):
    """What of the groups it selects is placed together, and what apart."""

    KIND: ClassVar[Kind[PlacementPolicy]] = Kind(_GROUP, _VERSION, "PlacementPolicy", "placementpolicies")

    spec: PlacementPolicySpec
    status: PlacementPolicyStatus | None = None
