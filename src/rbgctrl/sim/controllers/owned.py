"""Workloads and what they own: an index by owner, and what all workload controllers do alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from rbgctrl.api.meta import Key, Kind
from rbgctrl.sim.controllers import podstatus
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = [
    "Owned",
    "available_in",
    "controller_of",
    "is_alive",
    "is_ready",
    "key_of",
    "owner_reference",
    "pod_of",
    "with_status",
]

PODS: Final = "pods"


def key_of(obj: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference of the controller, or None."""
    return next((found for found in obj["metadata"].get("ownerReferences") or () if found.get("controller")), None)


class Owned:
    """Objects of one resource by the uid of their controller.

    Args:
        desk: access to the cluster.
        resource: of the owned objects.
        changed: called with the owner reference and the namespace of every owned object that changes.
    """

    def __init__(self, desk: Desk, resource: str, changed: Callable[[Mapping[str, Any], str], None]) -> None:
        self._desk = desk
        self._resource = resource
        self._changed = changed
        self._keys: dict[str, dict[Key, None]] = {}
        desk.watch(resource, self._on)

    def of(self, owner: Mapping[str, Any]) -> list[Obj]:
        """What ``owner`` controls, in order of creation."""
        found = (self._desk.get(self._resource, key) for key in self._keys.get(owner["metadata"]["uid"], ()))
        return [obj for obj in found if obj is not None]

    def _on(self, event: StoredEvent) -> None:
        owner = controller_of(event.obj)
        before = controller_of(event.old) if event.old is not None else None
        if before is not None and (event.new is None or owner is None or owner["uid"] != before["uid"]):
            keys = self._keys.get(before["uid"], {})
            keys.pop(event.key, None)
            if not keys:
                self._keys.pop(before["uid"], None)
            self._changed(before, event.key.namespace)
        if event.new is not None and owner is not None:
            self._keys.setdefault(owner["uid"], {})[event.key] = None
            self._changed(owner, event.key.namespace)


# Pods of a workload ---------------------------------------------------------------------------------------------------


def owner_reference(kind: Kind[Any], owner: Mapping[str, Any]) -> dict[str, Any]:
    """The reference that makes ``owner`` the controller of another object."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_of(template: Mapping[str, Any], reference: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """A pod made from a template, without a name."""
    metadata = template.get("metadata") or {}
    made: dict[str, Any] = {
        "labels": {**(metadata.get("labels") or {}), **labels},
        "ownerReferences": [dict(reference)],
    }
    if metadata.get("annotations"):
        made["annotations"] = dict(metadata["annotations"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": dict(template["spec"])}


def is_alive(pod: Mapping[str, Any]) -> bool:
    """Whether a pod counts: it neither ended nor is being deleted."""
    return "deletionTimestamp" not in pod["metadata"] and not podstatus.is_terminal(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready."""
    found = podstatus.condition(pod.get("status") or {}, "Ready")
    return found is not None and found["status"] == "True"


def available_in(pod: Mapping[str, Any], least: float, now: datetime) -> float | None:
    """Seconds until a pod has been ready for ``least`` seconds; 0 when it has, None when it is not ready."""
    found = podstatus.condition(pod.get("status") or {}, "Ready")
    if found is None or found["status"] != "True":
        return None
    if not least:
        return 0.0
    since = datetime.fromisoformat(found["lastTransitionTime"])
    return max(least - (now - since).total_seconds(), 0.0)


def with_status(obj: Obj, status: Mapping[str, Any]) -> Obj | None:
    """The object with these fields of its status; None when they are there already."""
    before = obj.get("status") or {}
    after = {**before, **status}
    return {**obj, "status": after} if after != before else None
