"""Has a pod template the shape that whoever reads it counts on? Schemas look at some templates only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["malformed"]

_AFFINITIES: Final = ("podAffinity", "podAntiAffinity")


def malformed(template: Any) -> str:
    """What is wrong with the shape of a pod template and what would be right; ``""`` when it can be worked with.

    Null is as good as absent.
    """
    if not isinstance(template, Mapping):
        return "the template is no object; write one with metadata and spec"
    for field in ("metadata", "spec"):
        if not isinstance(template.get(field) or {}, Mapping):
            return f"{field} is no object; write one"
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    return _odd_metadata(metadata) or _odd_containers(spec) or _odd_affinity(spec.get("affinity") or {})


def _odd_metadata(metadata: Mapping[str, Any]) -> str:
    for field in ("labels", "annotations"):
        found = metadata.get(field) or {}
        if not isinstance(found, Mapping) or not all(isinstance(value, str) for value in found.values()):
            return f"metadata.{field} does not map text to text; quote its values"
    return ""


def _odd_containers(spec: Mapping[str, Any]) -> str:
    for field in ("containers", "initContainers", "volumes"):
        if problem := _unnamed(spec.get(field), f"spec.{field}"):
            return problem
    if not spec.get("containers"):
        return "spec.containers is empty; a pod needs at least one container"
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        place = f"container {container['name']}"
        if problem := _unnamed(container.get("env"), f"env of {place}"):
            return problem
        if not _objects(container.get("volumeMounts")):
            return f"volumeMounts of {place} is no list of objects; write one"
        if not isinstance(container.get("args") or [], list):
            return f"args of {place} is no list; write one"
    return ""


def _objects(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, Mapping) for item in value))


def _unnamed(value: Any, what: str) -> str:
    if not _objects(value):
        return f"{what} is no list of objects; write one"
    if not all(isinstance(item.get("name"), str) and item["name"] for item in value or ()):
        return f"{what} has an item without a name; name it"
    return ""


def _odd_affinity(affinity: Any) -> str:
    if not isinstance(affinity, Mapping):
        return "spec.affinity is no object; write one"
    for kind in _AFFINITIES:
        found = affinity.get(kind) or {}
        if not isinstance(found, Mapping):
            return f"spec.affinity.{kind} is no object; write one"
        if not _objects(found.get("requiredDuringSchedulingIgnoredDuringExecution")):
            return f"the required terms of spec.affinity.{kind} are no list of objects; write one"
    return ""
