"""Defaults the API server writes into built-in objects, and what a plain write may not touch.

Every function takes the object as sent and the one before (None when created) and returns what is stored; shared parts
are never changed.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from rbgctrl.sim.storage import Obj

__all__ = [
    "admitted_namespace",
    "admitted_pod",
    "admitted_service",
    "controller_revision",
    "definition",
    "deployment",
    "namespace",
    "node",
    "pod",
    "pod_template",
    "readmitted_pod",
    "replica_set",
    "secret",
    "service",
    "stateful_set",
]

_POD_SPEC: Final[dict[str, Any]] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_ADMITTED: Final[dict[str, Any]] = {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
_GATED: Final[dict[str, Any]] = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "lastTransitionTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}
_CONTAINER: Final[dict[str, Any]] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Final[dict[str, Any]] = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_LOST_NODE: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATION_SECONDS: Final = 300
_REVISION_HISTORY: Final = 10


def _with(obj: Obj, defaults: dict[str, Any]) -> Obj:
    """``obj`` with what is missing; ``obj`` itself when nothing is."""
    missing = {name: value for name, value in defaults.items() if obj.get(name) is None}
    return {**obj, **missing} if missing else obj


def _spec(obj: Obj) -> Obj:
    spec = obj.get("spec")
    return spec if isinstance(spec, dict) else {}


# Pods -----------------------------------------------------------------------------------------------------------------


def pod(obj: Obj, old: Obj | None) -> Obj:
    """A pod: container and scheduling defaults."""
    if obj.get("status") and (old is None or obj["status"] is not old.get("status")):
        obj = {**obj, "status": _pod_status(obj["status"], (old or {}).get("status") or {})}
    if old is not None and obj.get("spec") is old.get("spec"):
        return obj
    spec = dict(_pod_spec(_with(_spec(obj), {"enableServiceLinks": True})))
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_requesting(container) for container in spec[field]]
    if old is not None:
        spec = _with(spec, {name: old["spec"][name] for name in _ADMITTED if name in old["spec"]})
    return {**obj, "spec": spec}


def _pod_status(status: Obj, before: Obj) -> Obj:
    """The first address is there twice, and the quality of service stays what it is."""
    addresses = status.get("podIPs")
    if addresses and addresses[0].get("ip") != status.get("podIP"):
        status = {**status, "podIP": addresses[0].get("ip", "")}
    elif status.get("podIP") and not addresses:
        status = {**status, "podIPs": [{"ip": status["podIP"]}]}
    return _with(status, {"qosClass": before["qosClass"]}) if "qosClass" in before else status


def admitted_pod(obj: Obj, now: str) -> Obj:
    """A new pod as admission leaves it: a priority, tolerations of lost nodes, Pending."""
    spec = dict(_with(obj["spec"], _ADMITTED))
    spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
    status: Obj = {"phase": "Pending", "qosClass": _quality(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [{**_GATED, "lastTransitionTime": now}]
    return {**obj, "spec": spec, "status": status}


def readmitted_pod(obj: Obj, old: Obj) -> Obj:
    """A changed pod as admission leaves it: tolerations of lost nodes come back."""
    spec = obj["spec"]
    if spec is old["spec"]:
        return obj
    given = spec.get("tolerations") or []
    tolerations = _tolerations(given)
    return obj if len(tolerations) == len(given) else {**obj, "spec": {**spec, "tolerations": tolerations}}


def _pod_spec(spec: Obj) -> Obj:
    spec = {**_with(spec, _POD_SPEC)}
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_container(container) for container in spec[field]]
    if spec.get("volumes"):
        spec["volumes"] = [_volume(volume) for volume in spec["volumes"]]
    return spec


def _container(container: Obj) -> Obj:
    if not isinstance(container, dict):
        return container
    changed = dict(_with(container, _CONTAINER))
    if "imagePullPolicy" not in changed:
        changed["imagePullPolicy"] = _pull_policy(str(changed.get("image", "")))
    if changed.get("ports"):
        changed["ports"] = [_with(port, {"protocol": "TCP"}) for port in changed["ports"]]
    for name in _PROBES:
        if changed.get(name):
            changed[name] = _probe(changed[name])
    if changed.get("env"):
        changed["env"] = [_variable(variable) for variable in changed["env"]]
    return changed


def _requesting(container: Obj) -> Obj:
    """What is limited and not requested is requested to the limit."""
    resources = container["resources"]
    limits = resources.get("limits")
    if not limits:
        return container
    requests = {**limits, **(resources.get("requests") or {})}
    return {**container, "resources": {**resources, "requests": requests}}


def _pull_policy(image: str) -> str:
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    tag = name.partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _probe(probe: Obj) -> Obj:
    probe = _with(probe, _PROBE)
    if probe.get("httpGet"):
        probe = {**probe, "httpGet": _with(probe["httpGet"], {"path": "/", "scheme": "HTTP"})}
    if probe.get("grpc"):
        probe = {**probe, "grpc": _with(probe["grpc"], {"service": ""})}
    return probe


def _variable(variable: Obj) -> Obj:
    reference = (variable.get("valueFrom") or {}).get("fieldRef")
    if not reference or reference.get("apiVersion"):
        return variable
    return {**variable, "valueFrom": {**variable["valueFrom"], "fieldRef": {"apiVersion": "v1", **reference}}}


def _volume(volume: Obj) -> Obj:
    for field in ("configMap", "secret", "downwardAPI", "projected"):
        if isinstance(volume.get(field), dict):
            return {**volume, field: _with(volume[field], {"defaultMode": 420})}
    if isinstance(volume.get("hostPath"), dict):
        return {**volume, "hostPath": _with(volume["hostPath"], {"type": ""})}
    return volume


def _tolerations(given: list[Obj]) -> list[Obj]:
    return given + [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
        for key in _LOST_NODE
        if not any(_tolerates(toleration, key) for toleration in given)
    ]


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def _quality(spec: Obj) -> str:
    """The pod's QoS class."""
    kinds = ("cpu", "memory")
    containers = [
        item.get("resources") or {} for item in (*spec.get("containers", ()), *spec.get("initContainers", ()))
    ]
    used = [(part.get("requests") or {}, part.get("limits") or {}) for part in containers]
    if not any(name in requests or name in limits for requests, limits in used for name in kinds):
        return "BestEffort"
    same = all(name in limits and requests.get(name) == limits[name] for requests, limits in used for name in kinds)
    return "Guaranteed" if same else "Burstable"


def pod_template(template: Obj) -> Obj:
    """A pod template inside a workload."""
    if not isinstance(template, dict):
        return template
    metadata = template.get("metadata") or {}
    return {**template, "metadata": metadata, "spec": _pod_spec(template.get("spec") or {})}


# Workloads ------------------------------------------------------------------------------------------------------------


def _workload(obj: Obj, old: Obj | None, defaults: dict[str, Any]) -> Obj:
    if old is not None and obj.get("spec") is old.get("spec"):
        return obj
    spec = dict(_with(_spec(obj), defaults))
    if "template" in spec:
        spec["template"] = pod_template(spec["template"])
    return {**obj, "spec": spec}


def deployment(obj: Obj, old: Obj | None) -> Obj:
    """A Deployment."""
    rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
    found = _workload(
        obj,
        old,
        {
            "replicas": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "revisionHistoryLimit": _REVISION_HISTORY,
            "progressDeadlineSeconds": 600,
        },
    )
    strategy = _with(found["spec"]["strategy"], {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy = {**strategy, "rollingUpdate": _with(strategy.get("rollingUpdate") or {}, rolling)}
    return {**found, "spec": {**found["spec"], "strategy": strategy}}


def replica_set(obj: Obj, old: Obj | None) -> Obj:
    """A ReplicaSet."""
    return _workload(obj, old, {"replicas": 1})


def stateful_set(obj: Obj, old: Obj | None) -> Obj:
    """A StatefulSet."""
    found = _workload(
        obj,
        old,
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": _REVISION_HISTORY,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        },
    )
    strategy = _with(found["spec"]["updateStrategy"], {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy = {**strategy, "rollingUpdate": _with(strategy.get("rollingUpdate") or {}, {"partition": 0})}
    return {**found, "spec": {**found["spec"], "updateStrategy": strategy}}


def controller_revision(obj: Obj, old: Obj | None) -> Obj:
    """A ControllerRevision; its number is always there."""
    del old
    return _with(obj, {"revision": 0})


def definition(obj: Obj, old: Obj | None) -> Obj:
    """A CustomResourceDefinition."""
    del old
    return {**obj, "spec": _with(_spec(obj), {"conversion": {"strategy": "None"}})}


# The rest -------------------------------------------------------------------------------------------------------------


def namespace(obj: Obj, old: Obj | None) -> Obj:
    """A Namespace; holds itself back until its content is gone."""
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
    if labels != metadata.get("labels"):
        obj = {**obj, "metadata": {**metadata, "labels": labels}}
    del old
    return obj


def admitted_namespace(obj: Obj, now: str) -> Obj:
    """A new Namespace."""
    del now
    return {**obj, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def node(obj: Obj, old: Obj | None) -> Obj:
    """A Node; what can be allocated is all there is unless its kubelet says otherwise."""
    del old
    status = obj.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        obj = {**obj, "status": {**status, "allocatable": status["capacity"]}}
    return obj


def service(obj: Obj, old: Obj | None) -> Obj:
    """A Service; an address of its own unless it is headless."""
    if old is not None and obj.get("spec") is old.get("spec"):
        return obj
    spec = dict(_with(_spec(obj), {"type": "ClusterIP", "sessionAffinity": "None"}))
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("ports"):
        spec["ports"] = [_service_port(port) for port in spec["ports"]]
    if old is not None:
        before = _spec(old)
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if field in before and not spec.get(field):
                spec[field] = before[field]
    return {**obj, "spec": spec}


def admitted_service(obj: Obj, now: str) -> Obj:
    """A new Service; its address comes from the server."""
    del now
    spec = obj["spec"]
    if spec.get("clusterIP") == "None" and not spec.get("selector"):  # whoever fills it in may use both families
        spec = _with(spec, {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"})
    elif spec["type"] != "ExternalName":
        spec = _with(spec, {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    return {**obj, "spec": spec, "status": {"loadBalancer": {}}}


def secret(obj: Obj, old: Obj | None) -> Obj:
    """A Secret; text is stored encoded."""
    del old
    texts = obj.get("stringData")
    if texts:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        obj = {**obj, "data": {**(obj.get("data") or {}), **encoded}}
        del obj["stringData"]
    return _with(obj, {"type": "Opaque"})


def _service_port(port: Obj) -> Obj:
    port = _with(port, {"protocol": "TCP"})
    return _with(port, {"targetPort": port["port"]}) if "port" in port else port
