"""The piece of the object graph that a group set looks at: its groups, and what stands behind their roles."""

from __future__ import annotations

from dataclasses import dataclass

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Key
from rbgctrl.api.workloads import Workload
from rbgctrl.graph.view import Sources

__all__ = ["ChildNode", "GroupSetNode", "group_set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildNode:
    """A group that a set controls.

    Attributes:
        group: the cached object.
        index: its index in the set; -1 when it has none.
        workloads: what it controls, of every kind of workload.
    """

    group: RoleBasedGroup
    index: int
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSetNode:
    """A RoleBasedGroupSet with its groups.

    Attributes:
        set: the cached object.
        children: the groups it controls, by index, then name.
        squatters: indexes whose name is held by a group of somebody else.
    """

    set: RoleBasedGroupSet
    children: tuple[ChildNode, ...] = ()
    squatters: frozenset[int] = frozenset()


def group_set(sources: Sources, key: Key) -> GroupSetNode | None:
    """The set of that key with its groups, or None when there is none."""
    found = sources.group_sets.get(key)
    if found is None:
        return None
    children = [
        ChildNode(group=item, index=_index(found, item), workloads=_workloads(sources, item))
        for item in sources.groups.owned(found.uid)
    ]
    children.sort(key=lambda child: (child.index, child.group.key))
    held = {child.index for child in children}
    squatters = frozenset(
        index
        for index in range(found.spec.replicas if found.spec is not None else 0)
        if index not in held and sources.groups.get(Key(key.namespace, names.group_in_set(key.name, index))) is not None
    )
    return GroupSetNode(set=found, children=tuple(children), squatters=squatters)


def _index(found: RoleBasedGroupSet, child: RoleBasedGroup) -> int:
    """The index in its name, as long as it is labelled with one at all; -1 otherwise."""
    text = child.metadata.labels.get(labels.GROUPSET_INDEX, "")
    prefix, _, digits = child.metadata.name.rpartition("-")
    if not _is_index(text) or prefix != found.metadata.name or not _is_index(digits):
        return -1
    return int(digits)


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def _workloads(sources: Sources, child: RoleBasedGroup) -> tuple[Workload, ...]:
    own: list[Workload] = list(sources.sets.owned(child.uid))
    for _, reader in sources.foreign():
        own += reader.owned(child.uid)
    return tuple(own)
