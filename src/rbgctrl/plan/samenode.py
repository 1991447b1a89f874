"""In-place scheduling: a pod that is made anew goes back to the node where it, or its component, ran before.

What is known of nodes is in annotations of the RoleInstanceSet (:mod:`rbgctrl.api.bindings`), so it outlives the pods,
the instances and this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import labels, names
from rbgctrl.api.bindings import Binding, binding_key, slot_of
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan.members import wanted_replicas
from rbgctrl.plan.model import Action, Patch
from rbgctrl.plan.podstate import lost, pod_ready
from rbgctrl.plan.slots import Slot

__all__ = ["Return", "record", "returning", "unpinned", "with_affinity"]

PREFERRED: Final = "Preferred"
REQUIRED: Final = "Required"
_WEIGHT: Final = 100
_ROOM: Final = 200_000
"""Bytes of annotations beyond which nothing is recorded any more; the API server refuses 256 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """How a new pod gets back.

    Attributes:
        required: whether it must.
        nodes: names of the nodes, sorted.
        hosts: their host names, as label :data:`rbgctrl.api.labels.NODE_HOSTNAME` has them.
        avoid: labels that its node must not have.
    """

    required: bool
    nodes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()


def mode(found: RoleInstance) -> str:
    """``Preferred``, ``Required``, or ``""`` for neither."""
    said = found.metadata.annotations.get(labels.INPLACE_SCHEDULING, "")
    return said if said in (PREFERRED, REQUIRED) else ""


def _by_pod(found: RoleInstance) -> bool:
    """Whether a pod returns to its own node, rather than to one of its component's."""
    said = found.metadata.annotations.get(labels.INPLACE_SCHEDULING_GRANULARITY, "")
    return said == "Pod" or (said != "Component" and labels.ROLE_INSTANCE_INDEX in found.metadata.labels)


def returning(node: InstanceNode, slot: Slot) -> Return | None:
    """Where a new pod of a slot is to go; None when nothing was asked for."""
    found = node.instance
    asked = mode(found)
    if not asked:
        return None
    key = binding_key(slot.name)
    kept = {
        item.node: _host(node.hosts, item.node)
        for item in node.bindings
        if item.component == slot.component.name and (item.key == key or not _by_pod(found))
    }
    nodes = sorted(name for name, host in kept.items() if host)
    said = found.metadata.annotations.get(labels.INPLACE_SCHEDULING_AVOID, "")
    avoid = dict.fromkeys(key for part in said.split(",") if names.is_qualified_name(key := part.strip()))
    return Return(
        required=asked == REQUIRED,
        nodes=tuple(nodes),
        hosts=tuple(sorted({kept[name] for name in nodes})),
        avoid=tuple(avoid),
    )


def _host(hosts: Mapping[str, Node | None] | None, name: str) -> str:
    """Host name of a node; ``""`` for one that is gone, so that nobody is sent there."""
    if hosts is None:
        return name
    found = hosts.get(name)
    return "" if found is None or lost(found) else found.metadata.labels.get(labels.NODE_HOSTNAME, name)


def with_affinity(spec: Mapping[str, Any], to: Return) -> dict[str, Any]:
    """A pod spec that goes there: weight 100 or a must, and never where a label to avoid is."""
    musts: list[dict[str, Any]] = [{"key": key, "operator": "DoesNotExist"} for key in to.avoid]
    home = {"key": labels.NODE_HOSTNAME, "operator": "In", "values": list(to.hosts)}
    if to.required and to.hosts:
        musts.insert(0, home)
    affinity = dict(spec.get("affinity") or {})
    own = dict(affinity.get("nodeAffinity") or {})
    if musts:
        required = dict(own.get("requiredDuringSchedulingIgnoredDuringExecution") or {})
        terms = required.get("nodeSelectorTerms") or [{}]
        required["nodeSelectorTerms"] = [
            {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), *musts]} for term in terms
        ]
        own["requiredDuringSchedulingIgnoredDuringExecution"] = required
    if not to.required and to.hosts:
        preferred = {"weight": _WEIGHT, "preference": {"matchExpressions": [home]}}
        others = own.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        own["preferredDuringSchedulingIgnoredDuringExecution"] = [*others, preferred]
    if not own:
        return dict(spec)
    return {**spec, "affinity": {**affinity, "nodeAffinity": own}}


def unpinned(pod: Pod, hosts: Mapping[str, Node | None] | None) -> bool:
    """Whether a pod waits for a node and every node it may have is gone."""
    pinned = pod.metadata.annotations.get(labels.PINNED_NODES, "")
    if not pinned or pod.spec.node_name or hosts is None:
        return False
    return not any(_host(hosts, name) for name in pinned.split(","))


# Remembering ----------------------------------------------------------------------------------------------------------


def record(node: InstanceNode) -> tuple[Action, ...]:
    """Write down where its ready pods run, where that is news, and drop what is about pods that will not come back."""
    found = node.instance
    if not mode(found):
        return ()
    home: RoleInstanceSet | RoleInstance = node.owner or found
    written = home.metadata.annotations
    fresh: dict[str, str | None] = {}
    for item in node.pods:
        pod = item.pod
        if pod_ready(pod) and pod.spec.node_name and item.component:
            key = binding_key(pod.metadata.name)
            told = Binding(key=key, slot=slot_of(found), component=item.component, node=pod.spec.node_name)
            if written.get(key) != told.value:
                fresh[key] = told.value
    if not fresh or home.metadata.deleting:
        return ()
    stale = dict.fromkeys(key for key in _stale(node, fresh) if key not in fresh)
    room = sum(len(key) + len(value) for key, value in written.items() if key not in stale)
    if room + sum(len(key) + len(value or "") for key, value in fresh.items()) > _ROOM:
        return ()
    patch = Patch(
        kind=type(home),
        key=home.key,
        uid=home.uid,
        body={"metadata": {"annotations": {**fresh, **stale}}},
        why="pods run on other nodes than recorded",
    )
    return (patch,)


def _stale(node: InstanceNode, fresh: Mapping[str, str | None]) -> Sequence[str]:
    """Bindings that nobody returns to: of components that are gone, and of ordinals beyond the replicas.

    An instance with an id never comes back under it. What it leaves behind is where its component ran, so that is kept
    until its successors run, and once for each node that is not gone. What belongs to an instance that exists is left
    to that one, or two would undo each other's work.
    """
    found = node.instance
    components = {item.name for item in node.components}
    stale = []
    seen = {value for value in (_place(text) for text in fresh.values()) if value}
    gone = []
    ordinals = labels.ROLE_INSTANCE_INDEX in found.metadata.labels
    for item in node.bindings:
        if item.key in fresh:
            continue
        if item.component not in components:
            stale.append(item.key)
        elif item.slot in node.slots:
            seen.add((item.component, item.node))
        elif ordinals and node.owner is not None:
            if not item.slot.isdecimal() or int(item.slot) >= wanted_replicas(node.owner):
                stale.append(item.key)
        else:
            gone.append(item)
    for item in gone:
        known = (item.component, item.node) in seen or not _host(node.hosts, item.node)
        if known or _by_pod(found):
            stale.append(item.key)
        seen.add((item.component, item.node))
    return stale


def _place(text: str | None) -> tuple[str, str] | None:
    parts = (text or "").split("/")
    return (parts[1], parts[2]) if len(parts) == 3 else None
