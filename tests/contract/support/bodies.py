"""Small objects to send. Pods are of no scheduler, so that nothing acts on them but the case."""

from __future__ import annotations

from typing import Any

__all__ = [
    "config_map",
    "group",
    "instance",
    "instance_set",
    "metadata",
    "owner",
    "pod",
    "role",
    "service",
]

Obj = dict[str, Any]

TEMPLATE: Obj = {"spec": {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}}


def metadata(name: str, **more: Any) -> Obj:
    """Metadata of a name, with further fields."""
    return {"name": name, **more}


def config_map(name: str, data: dict[str, str] | None = None, **more: Any) -> Obj:
    """A ConfigMap; ``more`` goes into its metadata."""
    return {"metadata": metadata(name, **more), "data": data or {}}


def pod(name: str, spec: Obj | None = None, **more: Any) -> Obj:
    """A pod that no scheduler looks at; ``more`` goes into its metadata."""
    base = {"schedulerName": "nobody", "containers": [{"name": "main", "image": "registry.example/engine:1"}]}
    return {"metadata": metadata(name, **more), "spec": base | (spec or {})}


def service(name: str, spec: Obj | None = None, **more: Any) -> Obj:
    """A Service with one port; ``more`` goes into its metadata."""
    return {"metadata": metadata(name, **more), "spec": {"ports": [{"port": 80}]} | (spec or {})}


def role(name: str, replicas: int = 1, **more: Any) -> Obj:
    """A standalone role."""
    return {"name": name, "replicas": replicas, "standalonePattern": {"template": TEMPLATE}, **more}


def group(name: str, *roles: Obj, **more: Any) -> Obj:
    """A RoleBasedGroup; ``more`` goes into its metadata."""
    return {"metadata": metadata(name, **more), "spec": {"roles": list(roles) or [role("main")]}}


def instance_set(name: str, replicas: int = 1, spec: Obj | None = None, **more: Any) -> Obj:
    """A RoleInstanceSet; ``more`` goes into its metadata."""
    template = {"components": [{"name": "main", "size": 1, "template": TEMPLATE}]}
    base = {"replicas": replicas, "selector": {"matchLabels": {"set": name}}, "roleInstanceTemplate": template}
    return {"metadata": metadata(name, **more), "spec": base | (spec or {})}


def instance(name: str, spec: Obj | None = None, **more: Any) -> Obj:
    """A RoleInstance; ``more`` goes into its metadata."""
    base = {"components": [{"name": "main", "size": 1, "template": TEMPLATE}]}
    return {"metadata": metadata(name, **more), "spec": base | (spec or {})}


def owner(obj: Obj, *, controller: bool = False, block: bool = True) -> Obj:
    """A reference to a stored object as an owner."""
    reference = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
    }
    return reference | ({"controller": True} if controller else {}) | ({"blockOwnerDeletion": True} if block else {})
