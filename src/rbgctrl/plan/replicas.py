"""How many instances each role is to have now: a bound scaling adapter decides, otherwise the group's spec does."""

from __future__ import annotations

from rbgctrl.api.adapters import BOUND, RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleSpec
from rbgctrl.graph.nodes import GroupNode, RoleNode

__all__ = ["decided", "owned", "scalable", "wanted"]


def wanted(node: GroupNode) -> dict[str, int]:
    """Replicas of every role of the group by role name.

    The adapter's value counts as soon as it is set, so a role that somebody resets in the group's spec keeps its
    instances; the adapter's own reconciler writes the value back into the spec.
    """
    asked = {role.name: decided(node.group.uid, role) for role in node.roles}
    return {role.name: role.spec.replicas if (own := asked[role.name]) is None else own for role in node.roles}


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
