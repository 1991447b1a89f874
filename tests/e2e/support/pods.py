"""Bare pods, and what a real kubelet would write into their status when things go wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hack.controlplane.api import Api, Manifest
from rbgctrl.clock import rfc3339, utcnow

__all__ = ["container", "crash", "fail", "is_ready", "pod", "restart_container", "set_node_down"]


def pod(
    name: str,
    namespace: str,
    *,
    image: str = "example/server:v1",
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """A pod with one container ``main``; ``spec`` gives further fields of its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def is_ready(found: Manifest | None) -> bool:
    """Whether a pod (or a node) has the condition Ready."""
    conditions = (found or {}).get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container(found: Manifest, name: str = "main") -> dict[str, Any]:
    """The status of one container of a pod."""
    return next(c for c in found["status"]["containerStatuses"] if c["name"] == name)


async def fail(api: Api, name: str, namespace: str) -> None:
    """Ends a running pod as Failed, its containers with exit code 1."""
    status = await _status(api, name, namespace)
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": rfc3339(utcnow())}}
    statuses = [{**c, "ready": False, "started": False, "state": ended} for c in status["containerStatuses"]]
    await _write(
        api, name, namespace, _not_ready(status, "PodFailed") | {"phase": "Failed", "containerStatuses": statuses}
    )


async def restart_container(api: Api, name: str, namespace: str, *, which: str = "main") -> None:
    """One container of a running pod ended and runs again: its restart count goes up, the pod is Ready as before."""
    status = await _status(api, name, namespace)
    now = rfc3339(utcnow())
    for found in (c for c in status["containerStatuses"] if c["name"] == which):
        found["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": now}}
        found["restartCount"] += 1
        found["state"] = {"running": {"startedAt": now}}
    await _write(api, name, namespace, {"containerStatuses": status["containerStatuses"]})


async def crash(api: Api, name: str, namespace: str, *, which: str = "main") -> None:
    """One container of a running pod ended and waits to be started again; the pod is not Ready."""
    status = await _status(api, name, namespace)
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
    for found in (c for c in status["containerStatuses"] if c["name"] == which):
        found |= {"ready": False, "started": False, "restartCount": found["restartCount"] + 1, "state": waiting}
    changed = _not_ready(status, "ContainersNotReady") | {"containerStatuses": status["containerStatuses"]}
    await _write(api, name, namespace, changed)


async def set_node_down(api: Api, name: str, *, down: bool = True) -> None:
    """Makes a node lose its Ready condition, or regain it; the node lifecycle controller taints it accordingly."""
    patch = {"metadata": {"annotations": {"fake-kubelet/down": "yes" if down else None}}}
    await api.merge("v1", "Node", name, patch)


def _not_ready(status: dict[str, Any], reason: str) -> dict[str, Any]:
    # A merge patch replaces lists as a whole, so the conditions left alone are sent along.
    conditions = copy.deepcopy(status["conditions"])
    for condition in conditions:
        if condition["type"] in {"Ready", "ContainersReady"}:
            condition |= {"status": "False", "reason": reason, "lastTransitionTime": rfc3339(utcnow())}
    return {"conditions": conditions}


async def _status(api: Api, name: str, namespace: str) -> dict[str, Any]:
    status: dict[str, Any] = (await api.get("v1", "Pod", name, namespace))["status"]
    return status


async def _write(api: Api, name: str, namespace: str, status: dict[str, Any]) -> None:
    await api.merge("v1", "Pod", name, {"status": status}, namespace=namespace, subresource="status")
