"""By what objects are found besides their name and their controller; every reader of a kind has the kind's indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.api import labels, names
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ControllerRevision, Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Resource
from rbgctrl.api.portkeys import ports_in
from rbgctrl.api.warmups import RoleBasedGroupWarmup

__all__ = [
    "ANY_SELECTOR",
    "GROUP",
    "HOST",
    "INDEXES",
    "LABEL",
    "ORPHANS",
    "PORT",
    "ROLE",
    "TARGET",
    "group_value",
    "indexes",
    "label_value",
    "node_value",
    "role_value",
    "set_value",
]

Values: TypeAlias = Callable[[Any], tuple[str, ...]]

GROUP: Final = "group"
"""Index by the group an object is labelled with; values as :func:`group_value` makes them."""

PROFILE: Final = "profile"
"""Index of groups by the engine runtime profiles that their roles name."""
ROLE: Final = "role"
"""Index of pods by the role they are labelled with; values as :func:`role_value` makes them."""
LABEL: Final = "label"
"""Index of nodes by each of their labels; values as :func:`label_value` makes them."""
ORPHANS: Final = "orphans"
"""Index of RoleInstances and revisions without a controller by the set their name says they belong to (of instances, a
set of ordinals); values as :func:`set_value` makes them."""
PORT: Final = "port"
"""Index of RoleInstances and RoleInstanceSets by each port that they hold, as decimal text."""
HOST: Final = "host"
"""Index of pods by the node whose fate matters to them: that of a pod that is going away, those of which a pod that
waits must have one."""
TARGET: Final = "target"
"""Index of warmups that have not ended by what they are about: a group as in :data:`GROUP`, nodes as
:func:`node_value` names them, or :data:`ANY_SELECTOR`; of scaling adapters by the group they scale a role of."""
ANY_SELECTOR: Final = "selector"
"""The value in the index :data:`TARGET` of every warmup that chooses nodes by their labels."""


def group_value(namespace: str, group: str) -> str:
    """The value in the index :data:`GROUP`."""
    return f"{namespace}/{group}"


def _group(obj: Resource) -> tuple[str, ...]:
    name = obj.metadata.labels.get(labels.GROUP_NAME)
    return (group_value(obj.metadata.namespace, name),) if name else ()


def role_value(namespace: str, group: str, role: str) -> str:
    """The value in the index :data:`ROLE`."""
    return f"{namespace}/{group}/{role}"


def _role(obj: Resource) -> tuple[str, ...]:
    found = obj.metadata.labels
    group, role = found.get(labels.GROUP_NAME), found.get(labels.ROLE_NAME)
    return (role_value(obj.metadata.namespace, group, role),) if group and role else ()


def label_value(key: str, value: str) -> str:
    """The value in the index :data:`LABEL`."""
    return f"{key}={value}"


def _labels(obj: Resource) -> tuple[str, ...]:
    return tuple(label_value(key, value) for key, value in obj.metadata.labels.items())


def node_value(name: str) -> str:
    """The value in the index :data:`TARGET` for a node; no group has one like it."""
    return f"node={name}"


def _targets(obj: RoleBasedGroupWarmup) -> tuple[str, ...]:
    nodes, group = obj.spec.target_nodes, obj.spec.target_role_based_group
    if obj.ended:
        return ()
    if group is not None:
        return (group_value(obj.key.namespace, group.name),)
    if nodes is None or nodes.node_names is None:
        return (ANY_SELECTOR,)
    return tuple(node_value(name) for name in nodes.node_names)


def _scaled(obj: RoleBasedGroupScalingAdapter) -> tuple[str, ...]:
    return () if obj.spec is None else (group_value(obj.key.namespace, obj.spec.scale_target_ref.name),)


def set_value(namespace: str, instance_set: str) -> str:
    """The value in the index :data:`ORPHANS`."""
    return f"{namespace}/{instance_set}"


def _orphans(obj: RoleInstance) -> tuple[str, ...]:
    if obj.metadata.controller() is not None:
        return ()
    stem = names.instance_set(obj.metadata.name)
    return (set_value(obj.metadata.namespace, stem),) if stem else ()


def _profiles(obj: RoleBasedGroup) -> tuple[str, ...]:
    declared = obj.spec.roles if obj.spec is not None else ()
    return tuple({runtime.profile_name: None for role in declared for runtime in role.engine_runtimes})


def _ports(obj: Resource) -> tuple[str, ...]:
    return tuple(str(port) for port in ports_in(obj.metadata.annotations))


def _hosts(obj: Pod) -> tuple[str, ...]:
    pinned = obj.metadata.annotations.get(labels.PINNED_NODES, "") if not obj.spec.node_name else ""
    leaving = (obj.spec.node_name,) if obj.metadata.deleting else ()
    return tuple(name for name in (*pinned.split(","), *leaving) if name)


def _orphan_revisions(obj: ControllerRevision) -> tuple[str, ...]:
    stem, _, digest = obj.metadata.name.rpartition("-")
    if obj.metadata.controller() is not None or not digest or obj.metadata.labels.get(labels.REVISION_HASH) != digest:
        return ()
    return (set_value(obj.metadata.namespace, stem),)


INDEXES: Final[dict[type[Resource], Mapping[str, Values]]] = {
    RoleBasedGroup: {PROFILE: _profiles},
    RoleBasedGroupScalingAdapter: {GROUP: _group, TARGET: _scaled},
    RoleInstance: {ORPHANS: _orphans, PORT: _ports},
    ControllerRevision: {ORPHANS: _orphan_revisions},
    RoleInstanceSet: {PORT: _ports},
    Pod: {ROLE: _role, HOST: _hosts},
    Node: {LABEL: _labels},
    RoleBasedGroupWarmup: {TARGET: _targets},
}
"""For each kind the functions behind its indexes."""


def indexes(kind: type[Resource]) -> Mapping[str, Values]:
    """The indexes of a kind by name."""
    return INDEXES.get(kind, {})
