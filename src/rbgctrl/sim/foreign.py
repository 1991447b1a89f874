"""Definitions of kinds of other projects that our kinds write: the pod groups of gang schedulers."""

from __future__ import annotations

from typing import Any

__all__ = ["definitions"]

_INT32 = {"type": "integer", "format": "int32"}
_AMOUNTS = {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": True}}
_OPEN: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definitions() -> tuple[dict[str, Any], ...]:
    """CustomResourceDefinitions of scheduler-plugins' and Volcano's PodGroup, cut down to what a gang needs."""
    common = {"minMember": _INT32, "minResources": _AMOUNTS}
    plugins = {**common, "scheduleTimeoutSeconds": _INT32}
    volcano = {
        **common,
        "minTaskMember": {"type": "object", "additionalProperties": _INT32},
        "queue": {"type": "string", "default": "default"},
        "priorityClassName": {"type": "string"},
    }
    return (
        _definition("scheduling.x-k8s.io", "v1alpha1", ("pg", "pgs"), plugins),
        _definition("scheduling.volcano.sh", "v1beta1", ("pg", "podgroup-v1beta1"), volcano),
    )


def _definition(group: str, version: str, short: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any]:
    root = {"type": "object", "properties": {"spec": {**_OPEN, "properties": fields}, "status": _OPEN}}
    names = {
        "kind": "PodGroup",
        "listKind": "PodGroupList",
        "plural": "podgroups",
        "singular": "podgroup",
        "shortNames": list(short),
    }
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": root},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"podgroups.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }
