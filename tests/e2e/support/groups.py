"""Manifests of groups, and questions tests ask about them."""

from __future__ import annotations

from typing import Any

from hack.controlplane import Api

__all__ = ["V1ALPHA2", "become_ready", "condition", "group", "is_group_ready", "pods", "role"]

from hack.controlplane.waiting import eventually

V1ALPHA2 = "workloads.x-k8s.io/v1alpha2"


def role(name: str, replicas: int = 1, *dependencies: str, **more: Any) -> dict[str, Any]:
    """A standalone role of one small container."""
    container = {"name": "main", "image": "registry.example/engine:1"}
    body: dict[str, Any] = {
        "name": name,
        "replicas": replicas,
        "standalonePattern": {"template": {"spec": {"containers": [container]}}},
        **more,
    }
    if dependencies:
        body["dependencies"] = list(dependencies)
    return body


def group(name: str, namespace: str, *roles: dict[str, Any]) -> dict[str, Any]:
    """A RoleBasedGroup."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": V1ALPHA2, "kind": "RoleBasedGroup", "metadata": metadata, "spec": {"roles": list(roles)}}


async def condition(api: Api, name: str, namespace: str, kind: str = "Ready") -> dict[str, Any] | None:
    """A condition of a group, or None."""
    found = await api.get(V1ALPHA2, "RoleBasedGroup", name, namespace)
    for item in found.get("status", {}).get("conditions", ()):
        if item["type"] == kind:
            return dict(item)
    return None


async def is_group_ready(api: Api, name: str, namespace: str) -> bool:
    """Whether the group is Ready for the spec it has now."""
    found = await api.get(V1ALPHA2, "RoleBasedGroup", name, namespace)
    ready = await condition(api, name, namespace)
    if ready is None or ready["status"] != "True":
        return False
    return bool(ready["observedGeneration"] == found["metadata"]["generation"])


async def become_ready(api: Api, name: str, namespace: str, within: float = 60.0) -> None:
    """Wait until the group is Ready for its current spec."""
    await eventually(lambda: is_group_ready(api, name, namespace), within, what=f"{namespace}/{name} is Ready")


async def pods(api: Api, namespace: str) -> dict[str, dict[str, Any]]:
    """Pods that are not being deleted, by name."""
    found = await api.items("v1", "Pod", namespace)
    return {item["metadata"]["name"]: item for item in found if "deletionTimestamp" not in item["metadata"]}
