"""RoleBasedGroupScalingAdapter: the replicas of one role as an object of their own, for autoscalers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta
from pydantic import Field

from rbgctrl.api.meta import Kind, Resource, Value
from rbgctrl.api.spec import Count, Spec, Text

__all__ = [
    "BOUND",
    "NOT_BOUND",
    "RoleBasedGroupScalingAdapter",
    "RoleBasedGroupScalingAdapterSpec",
    "RoleBasedGroupScalingAdapterStatus",
    "ScaleTargetRef",
]

_Int32 = Annotated[int, Meta(extra_json_schema={"format": "int32"})]
_TIME = {"format": "date-time"}


BOUND: Final = "Bound"
"""Phase: the adapter decides about its role's replicas."""
NOT_BOUND: Final = "NotBound"
"""Phase: there is no role that the adapter could scale."""


class ScaleTargetRef(Spec):
    """The role that is scaled."""

    name: Text = Field(description="Name of the RoleBasedGroup, in the same namespace.")
    role: Text = Field(description="Name of the role.")


class RoleBasedGroupScalingAdapterSpec(Spec):
    """What a RoleBasedGroupScalingAdapter should be."""

    replicas: Count | None = Field(
        default=None, description="Wanted instances of the role; taken from the role when absent."
    )
    scale_target_ref: ScaleTargetRef = Field(description="The role that is scaled.")


class RoleBasedGroupScalingAdapterStatus(Value, frozen=True, gc=False):
    """What a RoleBasedGroupScalingAdapter is; counters are instances."""

    phase: Annotated[str, Meta(description="Bound or NotBound; empty before the first look.")] = ""
    replicas: Annotated[_Int32, Meta(description="Were asked of the role last.")] | None = None
    ready_replicas: Annotated[_Int32, Meta(description="Of the role are ready.")] | None = None
    selector: Annotated[str, Meta(description="Selector of the role's pods, for the scale subresource.")] = ""
    last_scale_time: (
        Annotated[str, Meta(description="When the role was last scaled.", extra_json_schema=_TIME)] | None
    ) = None


class RoleBasedGroupScalingAdapter(Resource, frozen=True):
    """The replicas of one role, for autoscalers."""

    KIND: ClassVar[Kind[RoleBasedGroupScalingAdapter]] = Kind(
        "workloads.x-k8s.io", "v1alpha2", "RoleBasedGroupScalingAdapter", "rolebasedgroupscalingadapters"
    )

    spec: RoleBasedGroupScalingAdapterSpec | None = None
    status: RoleBasedGroupScalingAdapterStatus | None = None
