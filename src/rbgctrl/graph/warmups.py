"""The piece of the object graph that a warmup looks at: its target nodes, and the pods it made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.api.warmups import RoleBasedGroupWarmup, TargetNodes, TargetRoleBasedGroup
from rbgctrl.graph.indexes import LABEL, ROLE, label_value, role_value
from rbgctrl.graph.view import Sources

__all__ = ["Target", "WarmupNode", "warmup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node to warm up.

    Attributes:
        node: its name.
        roles: the target roles that have pods there, sorted; none when nodes are targeted by name or label.
    """

    node: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupNode:
    """A RoleBasedGroupWarmup with what it is about.

    Attributes:
        warmup: the cached object.
        targets: the nodes it should warm up, by name.
        pods: the pods it controls.
        group: the target group, None when there is none of that name, or it targets none.
        nodes: those of the targets, and of the nodes its pods are bound to, that exist.
    """

    warmup: RoleBasedGroupWarmup
    targets: tuple[Target, ...] = ()
    pods: tuple[Pod, ...] = ()
    group: RoleBasedGroup | None = None
    nodes: Mapping[str, Node] = field(default_factory=dict)


def warmup(sources: Sources, key: Key) -> WarmupNode | None:
    """The warmup of that key with its targets and pods, or None when there is none."""
    found = sources.warmups.get(key)
    if found is None:
        return None
    pods = tuple(sources.warmup_pods.owned(found.uid))
    if found.ended:
        return WarmupNode(warmup=found, pods=pods)
    wanted, group = found.spec.target_role_based_group, None
    if wanted is not None:
        group = sources.groups.get(Key(key.namespace, wanted.name))
        targets = _of_group(sources, key.namespace, wanted)
    else:
        chosen = found.spec.target_nodes
        targets = tuple(Target(node=name) for name in (_chosen(sources, chosen) if chosen is not None else ()))
    named = {target.node for target in targets} | {pod.spec.node_name for pod in pods}
    return WarmupNode(warmup=found, targets=targets, pods=pods, group=group, nodes=_existing(sources, named))


def _of_group(sources: Sources, namespace: str, wanted: TargetRoleBasedGroup) -> tuple[Target, ...]:
    """The nodes that pods of the roles have, whatever state the pods are in, unless they are about to go."""
    roles: dict[str, set[str]] = {}
    for role in wanted.roles:
        value = role_value(namespace, wanted.name, role)
        for pod in chain(sources.pods.by(ROLE, value), sources.workload_pods.by(ROLE, value)):
            if pod.spec.node_name and not pod.metadata.deleting:
                roles.setdefault(pod.spec.node_name, set()).add(role)
    return tuple(Target(node=name, roles=tuple(sorted(roles[name]))) for name in sorted(roles))


def _chosen(sources: Sources, wanted: TargetNodes) -> list[str]:
    if wanted.node_names is not None:
        return sorted(set(wanted.node_names))
    return sorted(_selected(sources, wanted.node_selector or {}))


def _selected(sources: Sources, selector: Mapping[str, str]) -> Iterator[str]:
    """Nodes with all of the labels; one of the labels finds them, the others are compared."""
    if sources.nodes is None or not selector:
        return
    found = sources.nodes.by(LABEL, label_value(*next(iter(selector.items()))))
    for node in found:
        if selector.items() <= node.metadata.labels.items():
            yield node.metadata.name


def _existing(sources: Sources, named: Iterable[str]) -> dict[str, Node]:
    if sources.nodes is None:
        return {}
    return {name: node for name in named if name and (node := sources.nodes.get(Key("", name))) is not None}
