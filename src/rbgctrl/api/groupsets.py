"""RoleBasedGroupSet: several RoleBasedGroups made from one template."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta
from pydantic import Field

from rbgctrl.api.groups import RoleBasedGroupSpec
from rbgctrl.api.meta import Condition, Kind, Resource, Value
from rbgctrl.api.spec import Count, Spec, StringMap

__all__ = ["GroupTemplate", "RoleBasedGroupSet", "RoleBasedGroupSetSpec", "RoleBasedGroupSetStatus"]

_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_Int64 = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
_BY_TYPE = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class GroupTemplate(Spec):
    """What each group is made from; there is no metadata in it."""

    labels: StringMap = Field(default_factory=dict, description="Labels of the groups.")
    annotations: StringMap = Field(default_factory=dict, description="Annotations of the groups.")
    spec: RoleBasedGroupSpec | None = Field(default=None, description="Spec of the groups.")


class RoleBasedGroupSetSpec(Spec):
    """What a RoleBasedGroupSet should be."""

    replicas: Count = Field(default=1, description="Number of groups.")
    group_template: GroupTemplate = Field(description="What each group is made from.")


class RoleBasedGroupSetStatus(Value, frozen=True, gc=False):
    """What a RoleBasedGroupSet is; counters are groups."""

    observed_generation: Annotated[_Int64, Meta(description="Generation this status was computed from.")] = 0
    replicas: Annotated[_Int32, Meta(description="Exist.")] = 0
    ready_replicas: Annotated[_Int32, Meta(description="Are ready.")] = 0
    conditions: (
        Annotated[tuple[Condition, ...], Meta(description="Conditions, unique by type.", extra_json_schema=_BY_TYPE)]
        | None
    ) = ()


class RoleBasedGroupSet(Resource, frozen=True):
    """Several RoleBasedGroups made from one template."""

    KIND: ClassVar[Kind[RoleBasedGroupSet]] = Kind(
        "workloads.x-k8s.io", "v1alpha2", "RoleBasedGroupSet", "rolebasedgroupsets"
    )

    spec: RoleBasedGroupSetSpec | None = None
    status: RoleBasedGroupSetStatus | None = None
