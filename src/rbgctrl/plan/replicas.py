"""How many instances each role is to have now: a bound scaling adapter decides, otherwise the group's spec does."""

from __future__ import annotations

from rbgctrl.api.adapters import BOUND, RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleSpec
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan.observed import observe

__all__ = ["decided", "owned", "scalable", "wanted"]


def wanted(node: GroupNode) -> dict[str, int]:
    """Replicas of every role of the group by role name, for one pass.

    Where the adapter and the spec disagree, the workload keeps what it has until the adapter's own reconciler has
    written the spec. So a role that somebody resets in the spec keeps its instances; and every number that a workload
    is given came with a generation of the group, by which an old view of either is known for what it is.
    """
    return {role.name: _settled(node.group.uid, role) for role in node.roles}


def _settled(group_uid: str, role: RoleNode) -> int:
    asked = decided(group_uid, role)
    if asked is None or asked == role.spec.replicas:
        return role.spec.replicas
    return observe(role.workload).needed if role.workload is not None else asked


def decided(group_uid: str, role: RoleNode) -> int | None:
    """What the role's adapter wants, or None where there is none that decides."""
    adapter = role.adapter
    if adapter is None or not scalable(role.spec) or not owned(adapter, group_uid):
        return None
    bound = adapter.status is not None and adapter.status.phase == BOUND
    return adapter.spec.replicas if bound and adapter.spec is not None else None


def scalable(role: RoleSpec) -> bool:
    """Whether the role asks for a scaling adapter."""
    return role.scaling_adapter is not None and role.scaling_adapter.enable


def owned(adapter: RoleBasedGroupScalingAdapter, group_uid: str) -> bool:
    """Whether the adapter belongs to the group of that UID."""
    return any(owner.uid == group_uid for owner in adapter.metadata.owner_references)
