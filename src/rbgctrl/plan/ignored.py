"""What a group asks for and this build does nothing with, although its pods run."""

from __future__ import annotations

from collections.abc import Mapping

from rbgctrl.api import labels, roles
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.patterns import RestartPolicyType

__all__ = ["ignored"]


def ignored(group: RoleBasedGroup) -> tuple[str, ...]:
    """One entry for each place in the group."""
    found = _annotations(group.metadata.annotations)
    for role in group.spec.roles if group.spec is not None else ():
        asked = ["instanceTopologyConstraint"] if role.instance_topology_constraint is not None else []
        if roles.restart_policy(role).type is RestartPolicyType.RECREATE_GROUP:
            asked.append(f"restart policy {RestartPolicyType.RECREATE_GROUP.value}")
        asked += _annotations(role.annotations)
        found += [f"{what} of role {role.name}" for what in asked]
    return tuple(found)


def _annotations(annotations: Mapping[str, str]) -> list[str]:
    keys = [labels.RESTARTED_AT] if annotations.get(labels.RESTARTED_AT) else []
    keys += sorted(key for key in annotations if key.startswith(labels.PREFIX_PLACEMENT))
    return [f"annotation {key}" for key in keys]
