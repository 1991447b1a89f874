"""Pods as an API server sends them, managedFields and all: 4.3 KB ones as anybody's, 6.9 KB ones as our controller's.

Every string that differs between the pods of a cluster differs here, too: names, UIDs, owners, addresses, times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import orjson

from rbgctrl.api import conditions, labels

__all__ = ["SHAPES", "Shape", "initial_events_end", "line", "own", "plain"]

Shape: TypeAlias = Callable[[int, int], dict[str, Any]]
"""From a number and a resourceVersion to the pod of that number."""

_STANDARD = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_GATES = (conditions.POD_INPLACE_UPDATE_READY, conditions.POD_INSTANCE_READY)
_NODES = 500
_FROM_LABELS = {
    "RBG_COMPONENT_INDEX": labels.COMPONENT_ID,
    "RBG_COMPONENT_NAME": labels.COMPONENT_NAME,
    "RBG_ROLE_INDEX": labels.ROLE_INSTANCE_INDEX,
    "RBG_ROLE_INSTANCE_NAME": labels.ROLE_INSTANCE_NAME,
}


def plain(number: int, resource_version: int) -> dict[str, Any]:
    """A pod of 4.3 KB, as a workload controller of any kind makes them."""
    app = f"server-{number // 8}"
    name = f"{app}-{number:05x}"
    own_labels = {"app.kubernetes.io/name": app, "team": f"team-{number % 10}", "pod-template-hash": f"{number:08x}"}
    image = "registry.example.com/inference/server:v0.5.2"
    environment: list[dict[str, Any]] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        {"name": "LOG_LEVEL", "value": "info"},
    ]
    metadata = _metadata(name, number, resource_version, own_labels, ("apps/v1", "ReplicaSet", app))
    return _pod(metadata, _spec(number, image, environment), _status(number, image, _STANDARD))


def own(number: int, resource_version: int) -> dict[str, Any]:
    """A pod of 6.9 KB, as our controller makes them: labels, environment, gates and conditions of a role's pod."""
    group, role, ordinal = f"inference-{number // 32}", f"worker-{number // 8 % 4}", number % 8
    instance = f"{group}-{role}-{ordinal}"
    role_id = f"{group}.{role}.{ordinal}.{role}.0"
    own_labels = {
        labels.CONTROLLER_REVISION_HASH: f"{number // 8:010x}",
        labels.COMPONENT_ID: "0",
        labels.COMPONENT_NAME: role,
        labels.COMPONENT_SIZE: "1",
        labels.GROUP_NAME: group,
        labels.GROUP_UID: f"{number // 32:040x}",
        labels.ROLE_ID: role_id,
        labels.ROLE_INSTANCE_INDEX: str(ordinal),
        labels.ROLE_INSTANCE_NAME: instance,
        labels.ROLE_NAME: role,
        labels.STATEFUL_POD_NAME: instance,
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": "zone-a",
    }
    image = "registry.example.com/inference/engine:v1"
    environment: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{label}']"}}}
        for name, label in _FROM_LABELS.items()
    ]
    fixed = {"RBG_GROUP_NAME": group, "RBG_ROLE_NAME": role, "RBG_ROLE_ID": role_id}
    environment += [{"name": name, "value": value} for name, value in fixed.items()]
    spec = _spec(number, image, environment)
    spec |= {"hostname": instance, "subdomain": f"s-{group}-{role}"}
    spec["readinessGates"] = [{"conditionType": gate} for gate in _GATES]
    metadata = _metadata(
        instance, number, resource_version, own_labels, ("workloads.x-k8s.io/v1alpha2", "RoleInstance", instance)
    )
    return _pod(metadata, spec, _status(number, image, (*_GATES, *_STANDARD)))


SHAPES: dict[str, Shape] = {"plain": plain, "own": own}


def line(kind: str, shape: str, number: int, resource_version: int) -> bytes:
    """A line of a watch: pod ``number`` has become this."""
    return orjson.dumps({"type": kind, "object": SHAPES[shape](number, resource_version)}) + b"\n"


def initial_events_end(resource_version: int) -> bytes:
    """The line with which a streamed list ends."""
    metadata = {"resourceVersion": str(resource_version), "annotations": {"k8s.io/initial-events-end": "true"}}
    mark = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": None}, "status": {}}
    return orjson.dumps({"type": "BOOKMARK", "object": mark}) + b"\n"


def _pod(metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    metadata["managedFields"] = _managed_fields(metadata, spec, status)
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status}


def _metadata(
    name: str, number: int, resource_version: int, own_labels: dict[str, str], owner: tuple[str, str, str]
) -> dict[str, Any]:
    api_version, kind, owner_name = owner
    reference = {"apiVersion": api_version, "kind": kind, "name": owner_name, "controller": True}
    uid = f"9a1c2f30-77aa-4b1e-8d21-{number:012x}"
    return {
        "name": name,
        "namespace": f"team-{number // 32 % 10}",
        "uid": f"4b8f7f9c-1d4e-4c0a-9c55-{number:012x}",
        "resourceVersion": str(resource_version),
        "generation": 1,
        "creationTimestamp": _time(number),
        "labels": own_labels,
        "ownerReferences": [reference | {"uid": uid, "blockOwnerDeletion": True}],
    }


def _spec(number: int, image: str, environment: list[dict[str, Any]]) -> dict[str, Any]:
    token = f"kube-api-access-{number % 99999:05d}"
    mount = "/var/run/secrets/kubernetes.io/serviceaccount"
    tolerated = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    return {
        "volumes": [{"name": token, "projected": {"sources": [], "defaultMode": 420}}],
        "containers": [
            {
                "name": "engine",
                "image": image,
                "command": ["python3", "-m", "engine.server", "--model-path", "/models/r1", "--tp", "8"],
                "env": environment,
                "resources": {"limits": {"nvidia.com/gpu": "8"}, "requests": {"nvidia.com/gpu": "8"}},
                "volumeMounts": [{"name": token, "readOnly": True, "mountPath": mount}],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "nodeName": f"gpu-node-{number % _NODES:04d}",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **tolerated},
            {"key": "node.kubernetes.io/unreachable", **tolerated},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _status(number: int, image: str, kinds: Sequence[str]) -> dict[str, Any]:
    address = f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
    condition = {"status": "True", "lastProbeTime": None, "lastTransitionTime": _time(number)}
    container = {
        "name": "engine",
        "state": {"running": {"startedAt": _time(number)}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image.partition(':')[0]}@sha256:{'5f2c8d1e' * 8}",
        "containerID": f"containerd://{number:064x}",
        "started": True,
    }
    return {
        "phase": "Running",
        "conditions": [{"type": kind, **condition} for kind in kinds],
        "hostIP": f"172.16.0.{number % 250}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": _time(number),
        "containerStatuses": [container],
        "qosClass": "BestEffort",
    }


def _managed_fields(metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]) -> list[dict[str, Any]]:
    container = spec["containers"][0]
    environment: dict[str, Any] = {
        _key("name", item["name"]): {".": {}, **{f"f:{field}": {} for field in item}} for item in container["env"]
    }
    fields = {".": {}, "f:env": {".": {}, **environment}, **_fields(container, leave=("env",))}
    by_us = {
        "f:metadata": {"f:labels": {".": {}, **_fields(metadata["labels"])}, "f:ownerReferences": {".": {}}},
        "f:spec": {"f:containers": {_key("name", "engine"): fields}, **_fields(spec, leave=("containers",))},
    }
    probed: dict[str, Any] = {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
    probes = {_key("type", kind): probed for kind in ("Ready", "ContainersReady")}
    by_kubelet = {"f:status": {"f:conditions": probes, **_fields(status, leave=("conditions",))}}
    entry = {"operation": "Update", "apiVersion": "v1", "time": metadata["creationTimestamp"], "fieldsType": "FieldsV1"}
    return [
        {"manager": "controller", **entry, "fieldsV1": by_us},
        {"manager": "kubelet", **entry, "fieldsV1": by_kubelet, "subresource": "status"},
    ]


def _fields(of: dict[str, Any], *, leave: Sequence[str] = ()) -> dict[str, Any]:
    return {f"f:{name}": {} for name in of if name not in leave}


def _key(name: str, value: str) -> str:
    return f'k:{{"{name}":"{value}"}}'


def _time(number: int) -> str:
    return f"2026-03-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
