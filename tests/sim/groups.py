"""Manifests of groups."""

from __future__ import annotations

from typing import Any

__all__ = ["group", "role"]


def role(name: str, replicas: int = 1, *dependencies: str, image: str = "registry.example/engine:1") -> dict[str, Any]:
    """A standalone role of one small container."""
    body: dict[str, Any] = {
        "name": name,
        "replicas": replicas,
        "standalonePattern": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}},
    }
    return {**body, "dependencies": list(dependencies)} if dependencies else body


def group(name: str, *roles: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
    """A RoleBasedGroup."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"roles": list(roles)}}
