"""Clusters and questions about them for tests of their controllers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbgctrl.api.meta import Key
from rbgctrl.sim import EmbeddedCluster

__all__ = ["condition", "create", "create_pod", "get", "names", "pod_of", "ready", "write_status"]

Obj = dict[str, Any]


def create(cluster: EmbeddedCluster, resource: str, name: str, **rest: Any) -> Obj:
    """Create an object in namespace default, as an admin."""
    metadata = {"name": name, "namespace": "default", **rest.pop("metadata", {})}
    return cluster.server.create(resource, {"metadata": metadata, **rest}, user="admin")


def create_pod(cluster: EmbeddedCluster, name: str, *, image: str = "registry.example/engine:1", **rest: Any) -> Obj:
    """Create a pod with one container ``main``."""
    metadata = rest.pop("metadata", {})
    container = {"name": "main", "image": image, **rest.pop("container", {})}
    return create(cluster, "pods", name, metadata=metadata, spec={"containers": [container], **rest})


def get(cluster: EmbeddedCluster, resource: str, name: str, namespace: str = "default") -> Obj:
    """An object that exists."""
    found = cluster.server.get(resource, Key(namespace, name))
    assert found is not None, f"no {resource} {name}"
    return found


def pod_of(cluster: EmbeddedCluster, name: str) -> Obj:
    """A pod that exists."""
    return get(cluster, "pods", name)


def names(cluster: EmbeddedCluster, resource: str) -> list[str]:
    """Names of all objects of a resource in namespace default that are not being deleted."""
    found = cluster.server.storage.list(resource, "default")
    return [obj["metadata"]["name"] for obj in found if "deletionTimestamp" not in obj["metadata"]]


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition; empty when there is none."""
    return next((item for item in obj["status"].get("conditions") or () if item["type"] == kind), {})


def ready(obj: Mapping[str, Any]) -> bool:
    """Whether a pod or node is Ready."""
    return condition(obj, "Ready").get("status") == "True"


def write_status(cluster: EmbeddedCluster, name: str, kind: str, status: str) -> None:
    """Set a condition of a pod, as a controller would."""

    def change(pod: Obj) -> Obj:
        others = [item for item in pod["status"].get("conditions") or () if item["type"] != kind]
        return {**pod, "status": {**pod["status"], "conditions": [*others, {"type": kind, "status": status}]}}

    cluster.server.update("pods", Key("default", name), change, user="admin", subresource="status")
