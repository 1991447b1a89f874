"""Columns of ``kubectl get`` for built-in kinds; without them it would show only names and ages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rbgctrl.sim.kinds import Column
from rbgctrl.sim.storage import Obj

__all__ = ["COLUMNS"]


def _status(obj: Obj) -> Obj:
    found = obj.get("status")
    return found if isinstance(found, dict) else {}


def _spec(obj: Obj) -> Obj:
    found = obj.get("spec")
    return found if isinstance(found, dict) else {}


def _pod_ready(obj: Obj) -> str:
    ready = sum(bool(item.get("ready")) for item in _status(obj).get("containerStatuses") or ())
    return f"{ready}/{len(_spec(obj).get('containers') or ())}"


def _pod_status(obj: Obj) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for item in _status(obj).get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            reason = ((item.get("state") or {}).get(state) or {}).get("reason")
            if reason:
                return str(reason)
    if not _spec(obj).get("nodeName") and _spec(obj).get("schedulingGates"):
        return "SchedulingGated"
    return str(_status(obj).get("reason") or _status(obj).get("phase") or "Unknown")


def _restarts(obj: Obj) -> str:
    return str(sum(item.get("restartCount", 0) for item in _status(obj).get("containerStatuses") or ()))


def _node_status(obj: Obj) -> str:
    ready = next((item["status"] for item in _status(obj).get("conditions") or () if item["type"] == "Ready"), "")
    parts = [{"True": "Ready", "": "Unknown"}.get(ready, "NotReady")]
    if _spec(obj).get("unschedulable"):
        parts.append("SchedulingDisabled")
    return ",".join(parts)


def _roles(obj: Obj) -> str:
    start = "node-role.kubernetes.io/"
    names = [key.removeprefix(start) for key in obj["metadata"].get("labels") or () if key.startswith(start)]
    return ",".join(sorted(names)) or "<none>"


def _ports(obj: Obj) -> str:
    ports = _spec(obj).get("ports") or ()
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or "<none>"


def _replicas(obj: Obj) -> str:
    return f"{_status(obj).get('readyReplicas', 0)}/{_spec(obj).get('replicas', 0)}"


def _count(field: str) -> Any:
    return lambda obj: len(obj.get(field) or ())


def _at(part: str, field: str, default: Any = "") -> Any:
    return lambda obj: (obj.get(part) or {}).get(field, default)


def _about(obj: Obj) -> str:
    about = obj.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


_AGE: Final = Column(name="Age", path=".metadata.creationTimestamp", type="date")
_READY: Final = Column(name="Ready", value=_replicas)

COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "Pod": (
        Column(name="Ready", value=_pod_ready),
        Column(name="Status", value=_pod_status),
        Column(name="Restarts", value=_restarts),
        _AGE,
        Column(name="IP", value=_at("status", "podIP", "<none>"), priority=1),
        Column(name="Node", value=_at("spec", "nodeName", "<none>"), priority=1),
    ),
    "Node": (Column(name="Status", value=_node_status), Column(name="Roles", value=_roles), _AGE),
    "Namespace": (Column(name="Status", value=_at("status", "phase")), _AGE),
    "Service": (
        Column(name="Type", value=_at("spec", "type")),
        Column(name="Cluster-IP", value=_at("spec", "clusterIP")),
        Column(name="External-IP", value=lambda obj: "<none>"),  # noqa: ARG005 - nothing here gives one
        Column(name="Port(s)", value=_ports),
        _AGE,
    ),
    "ConfigMap": (Column(name="Data", type="integer", value=_count("data")), _AGE),
    "Secret": (Column(name="Type", path=".type"), Column(name="Data", type="integer", value=_count("data")), _AGE),
    "Event": (
        Column(name="Last Seen", path=".lastTimestamp", type="date"),
        Column(name="Type", path=".type"),
        Column(name="Reason", path=".reason"),
        Column(name="Object", value=_about),
        Column(name="Message", path=".message"),
    ),
    "Deployment": (
        _READY,
        Column(name="Up-to-date", type="integer", value=_at("status", "updatedReplicas", 0)),
        Column(name="Available", type="integer", value=_at("status", "availableReplicas", 0)),
        _AGE,
    ),
    "StatefulSet": (_READY, _AGE),
    "ReplicaSet": (
        Column(name="Desired", type="integer", value=_at("spec", "replicas", 0)),
        Column(name="Current", type="integer", value=_at("status", "replicas", 0)),
        Column(name="Ready", type="integer", value=_at("status", "readyReplicas", 0)),
        _AGE,
    ),
    "ControllerRevision": (Column(name="Revision", path=".revision", type="integer"), _AGE),
    "Lease": (Column(name="Holder", value=_at("spec", "holderIdentity")), _AGE),
    "CustomResourceDefinition": (Column(name="Created At", path=".metadata.creationTimestamp"),),
}
"""Columns after the name, by kind."""
