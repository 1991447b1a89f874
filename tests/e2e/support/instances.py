"""Manifests of RoleInstances and RoleInstanceSets made by a user, and questions tests ask about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hack.controlplane import Api
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels

from .groups import V1ALPHA2

__all__ = ["component", "instance", "instance_condition", "instance_ready", "instance_says", "instance_set"]


def component(
    name: str = "main",
    size: int = 1,
    *,
    after: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A component of one small container.

    Args:
        name: of the component.
        size: pods.
        after: components it starts after.
        metadata: of the pod template.
        spec: further fields of the pod's spec.
    """
    container = {"name": "main", "image": "registry.example/engine:1"}
    template = {"metadata": dict(metadata or {}), "spec": {"containers": [container], **spec}}
    made: dict[str, Any] = {"name": name, "size": size, "template": template}
    if after:
        made["annotations"] = {labels.COMPONENT_DEPENDS_ON: json.dumps({"startAfter": after})}
    return made


def instance(name: str, namespace: str, *components: dict[str, Any], **annotations: str) -> dict[str, Any]:
    """A RoleInstance; annotations by the name of their constant."""
    told = {getattr(labels, key): value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": namespace, "annotations": told}
    spec = {"components": list(components) or [component()]}
    return {"apiVersion": V1ALPHA2, "kind": "RoleInstance", "metadata": metadata, "spec": spec}


def instance_set(name: str, namespace: str, *components: dict[str, Any], **annotations: str) -> dict[str, Any]:
    """A RoleInstanceSet of one instance."""
    made = instance(name, namespace, *components, **annotations)
    own = {"engine": name}
    made["metadata"]["labels"] = own
    spec = {"replicas": 1, "selector": {"matchLabels": own}, "roleInstanceTemplate": made["spec"]}
    return {**made, "kind": "RoleInstanceSet", "spec": spec}


async def instance_condition(api: Api, name: str, namespace: str, kind: str) -> dict[str, Any] | None:
    """A condition of a RoleInstance, or None."""
    found = await api.find(V1ALPHA2, "RoleInstance", name, namespace)
    for item in (found or {}).get("status", {}).get("conditions", ()):
        if item["type"] == kind:
            return dict(item)
    return None


async def instance_ready(api: Api, name: str, namespace: str, within: float = 60.0) -> None:
    """Wait until a RoleInstance is ready for the spec it has now."""

    async def ready() -> bool:
        found = await api.find(V1ALPHA2, "RoleInstance", name, namespace) or {}
        told = await instance_condition(api, name, namespace, "RoleInstanceReady")
        current = found.get("status", {}).get("observedGeneration") == found.get("metadata", {}).get("generation")
        return told is not None and told["status"] == "True" and current

    await eventually(ready, within, what=f"{namespace}/{name} is ready")


async def instance_says(
    api: Api, name: str, namespace: str, text: str, kind: str = "RoleInstanceReady", within: float = 30.0
) -> str:
    """Wait until a condition says so; returns all it says."""

    async def said() -> str:
        found = await instance_condition(api, name, namespace, kind)
        return str(found["message"]) if found is not None and text in found["message"] else ""

    return str(await eventually(said, within, what=f"{kind} of {namespace}/{name} says {text!r}"))
