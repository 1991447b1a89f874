"""Which pods of an instance are not what its spec says today, and what that takes.

Recreation is the only way so far; an update in place is one more verdict between the two that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from rbgctrl.api import labels, names
from rbgctrl.api.components import ComponentDiscovery, parse
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.graph.nodes import InstanceNode, PodNode
from rbgctrl.plan.model import Patch
from rbgctrl.plan.podstate import active
from rbgctrl.plan.revision import Revision, instance_data
from rbgctrl.plan.staleness import stamped

__all__ = ["Verdict", "at", "relabel", "verdicts"]


class Verdict(Enum):
    """What becomes of an outdated pod."""

    RELABEL = "relabel"
    """Nothing of its component changed: it gets the label of the new revision."""
    RECREATE = "recreate"
    """It is replaced."""
    LOST = "lost"
    """It is replaced because the revision it was made from is gone, so that nobody can tell what differs."""


def at(pod: Pod, revision: Revision) -> bool:
    """Whether a pod is at a revision."""
    return pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH) == revision.hash


def verdicts(node: InstanceNode, revision: Revision) -> tuple[tuple[PodNode, Verdict], ...]:
    """Every pod that runs or may yet run and is not at ``revision``, with what it takes."""
    spec = node.instance.spec
    if spec is None:
        return ()
    found = []
    recorded: dict[str, Mapping[str, Any] | None] = {}
    wanted: Mapping[str, Any] | None = None
    for component in node.components:
        for pod in component.pods:
            if at(pod.pod, revision) or not active(pod.pod):
                continue
            if wanted is None:
                wanted = _components(instance_data(spec.components))
            hash_ = pod.pod.metadata.labels.get(labels.CONTROLLER_REVISION_HASH, "")
            if hash_ not in recorded:
                recorded[hash_] = _recorded(node, hash_)
            before = recorded[hash_]
            if before is None:
                found.append((pod, Verdict.LOST))
            elif component.name in before and before[component.name] == wanted.get(component.name):
                found.append((pod, Verdict.RELABEL))
            else:
                found.append((pod, Verdict.RECREATE))
    return tuple(found)


def _recorded(node: InstanceNode, hash_: str) -> Mapping[str, Any] | None:
    for item in node.revisions:
        if names.short_hash(item.metadata.name) == hash_:
            return _components(bytes(item.data))
    return None


def _components(data: bytes) -> Mapping[str, Any]:
    """What a pod is made from, by component: of what is said beside the template only what ends up in the pod."""
    spec = (msgspec.json.decode(data) or {}).get("spec") or {}
    declared = {
        item["name"]: item for item in spec.get("components") or () if isinstance(item, dict) and "name" in item
    }
    services = {name: item.get("serviceName") or "" for name, item in declared.items()}
    return {name: (item.get("template"), services[name], _told(item, services)) for name, item in declared.items()}


def _told(item: Mapping[str, Any], services: Mapping[str, str]) -> tuple[object, ...]:
    """What makes the variables about ports and siblings; an address has the Service of the sibling in it."""
    metadata = (item.get("template") or {}).get("metadata") or {}
    own = {**(metadata.get("annotations") or {}), **(item.get("annotations") or {})}
    text = own.get(labels.COMPONENT_DISCOVERY, "")
    wanted = parse(text, ComponentDiscovery) if text else ComponentDiscovery()
    references = () if isinstance(wanted, str) else wanted.address_refs or ()
    return text, own.get(labels.PORT_ALLOCATOR, ""), tuple(services.get(item.component) for item in references)


def relabel(pod: Pod, revision: Revision, found: RoleInstance) -> Patch:
    """Tell a pod that it is at a revision of its instance that changes nothing about it."""
    body = {"metadata": {"labels": {labels.CONTROLLER_REVISION_HASH: revision.hash}}}
    return Patch(
        kind=Pod,
        key=pod.key,
        uid=pod.uid,
        body=stamped(body, found.metadata),
        why="the new revision changes nothing about the pod",
    )
