"""The piece of the object graph that a scaling adapter looks at: the role that it scales."""

from __future__ import annotations

from dataclasses import dataclass

from rbgctrl.api import names, roles
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.workloads import FOREIGN_KINDS, Workload
from rbgctrl.graph.view import Sources

__all__ = ["AdapterNode", "adapter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterNode:
    """A RoleBasedGroupScalingAdapter with what it scales.

    Attributes:
        adapter: the cached object.
        group: the group it names, or None when there is none.
        role: the role it names, or None when the group has none of that name.
        index: place of that role in the group's spec.
        workload: what stands behind the role, or None.
    """

    adapter: RoleBasedGroupScalingAdapter
    group: RoleBasedGroup | None = None
    role: RoleSpec | None = None
    index: int = -1
    workload: Workload | None = None


def adapter(sources: Sources, key: Key) -> AdapterNode | None:
    """The adapter of that key with what it scales, or None when there is none."""
    found = sources.adapters.get(key)
    if found is None:
        return None
    target = found.spec.scale_target_ref if found.spec is not None else None
    group = sources.groups.get(Key(key.namespace, target.name)) if target is not None else None
    if target is None or group is None:
        return AdapterNode(adapter=found)
    for index, role in enumerate(group.spec.roles if group.spec is not None else ()):
        if role.name == target.role:
            live = _workload(sources, group, role)
            return AdapterNode(adapter=found, group=group, role=role, index=index, workload=live)
    return AdapterNode(adapter=found, group=group)


def _workload(sources: Sources, group: RoleBasedGroup, role: RoleSpec) -> Workload | None:
    key = Key(group.key.namespace, names.workload(group.key.name, role.name))
    kind = FOREIGN_KINDS.get(roles.workload_type(role), RoleInstanceSet)
    live: Workload | None = None
    if kind is RoleInstanceSet:
        live = sources.sets.get(key)
    else:
        live = next((item for found, reader in sources.foreign() if found is kind and (item := reader.get(key))), None)
    owner = live.metadata.controller() if live is not None else None
    return live if owner is not None and owner.uid == group.uid else None
