"""What the API server refuses in built-in objects, as far as controllers of groups can run into it."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from rbgctrl.api.names import is_dns_label
from rbgctrl.sim.metadata import LABEL_MESSAGE
from rbgctrl.sim.selectors import matches_labels
from rbgctrl.sim.status import Cause
from rbgctrl.sim.storage import Obj

__all__ = [
    "controller_revision_rules",
    "data_rules",
    "event_rules",
    "pod_rules",
    "selector_text",
    "service_rules",
    "workload_rules",
]

_POD_FORBIDDEN: Final = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)
_SET_FORBIDDEN: Final = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
    "forbidden"
)
_SET_FREE: Final = frozenset(
    (
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    )
)
_DATA_KEY: Final = re.compile(r"^[-._a-zA-Z0-9]+$")
_DATA_MESSAGE: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_ENV_NAME: Final = re.compile(r"^[^=\x00-\x1f]+$")


def _required(field: str, message: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value{f': {message}' if message else ''}", field)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


# Pods -----------------------------------------------------------------------------------------------------------------


def pod_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A pod needs containers, and what runs does not change except for images."""
    spec = obj.get("spec") or {}
    if old is None:
        return _containers(spec, "spec.containers")
    before = old.get("spec") or {}
    if spec is before or _frozen(spec, before) == _frozen(before, before):
        return []
    changed = sorted(name for name in spec.keys() | before.keys() if spec.get(name) != before.get(name))
    return [Cause("FieldValueForbidden", f"{_POD_FORBIDDEN}changed: {', '.join(changed)}", "spec")]


def _frozen(spec: Obj, before: Obj) -> Obj:
    """``spec`` without what may change."""
    found = dict(spec)
    for field in ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "schedulingGates"):
        found.pop(field, None)
    for field in ("containers", "initContainers"):
        found[field] = [{**item, "image": ""} for item in spec.get(field) or ()]
    if before.get("schedulingGates"):  # while it waits, where it may go can still be narrowed
        found.pop("nodeSelector", None)
        found.pop("affinity", None)
    kept = before.get("tolerations") or []
    if all(item in (spec.get("tolerations") or []) for item in kept):
        found.pop("tolerations", None)
    return found


def _containers(spec: Obj, field: str) -> list[Cause]:
    containers = spec.get("containers")
    if not containers:
        return [_required(field)]
    found: list[Cause] = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        place = f"{field}[{index}]"
        name = container.get("name", "")
        if not name:
            found.append(_required(f"{place}.name"))
        elif not is_dns_label(name):
            message = f"Invalid value: {_json(name)}: {LABEL_MESSAGE}"
            found.append(Cause("FieldValueInvalid", message, f"{place}.name"))
        elif name in names:
            found.append(Cause("FieldValueDuplicate", f"Duplicate value: {_json(name)}", f"{place}.name"))
        names.add(name)
        if not container.get("image"):
            found.append(_required(f"{place}.image"))
        for number, variable in enumerate(container.get("env") or ()):
            if not _ENV_NAME.match(variable.get("name", "")):
                found.append(_required(f"{place}.env[{number}].name"))
    return found


# Workloads ------------------------------------------------------------------------------------------------------------


def workload_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Deployment, ReplicaSet or StatefulSet: its selector matches its pods and never changes."""
    spec = obj.get("spec") or {}
    before = None if old is None else old.get("spec") or {}
    if spec is before:
        return []
    found = _selector(spec)
    replicas = spec.get("replicas", 1)
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        found.append(Cause("FieldValueInvalid", message, "spec.replicas"))
    found += _containers((spec.get("template") or {}).get("spec") or {}, "spec.template.spec.containers")
    if before is None:
        return found
    if obj.get("kind") == "StatefulSet":
        fixed = (spec.keys() | before.keys()) - _SET_FREE
        if any(spec.get(name) != before.get(name) for name in fixed):
            found.append(Cause("FieldValueForbidden", _SET_FORBIDDEN, "spec"))
    elif spec.get("selector") != before.get("selector"):
        message = f"Invalid value: {_json(spec.get('selector'))}: field is immutable"
        found.append(Cause("FieldValueInvalid", message, "spec.selector"))
    return found


def _selector(spec: Obj) -> list[Cause]:
    selector = spec.get("selector")
    found = [] if selector is not None else [_required("spec.selector")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not selector or not matches_labels(selector_text(selector), labels or {}):
        message = f"Invalid value: {_json(labels)}: `selector` does not match template `labels`"
        found.append(Cause("FieldValueInvalid", message, "spec.template.metadata.labels"))
    return found


def selector_text(selector: Obj) -> str:
    """A ``metav1.LabelSelector`` as the text of a label selector."""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or ():
        values = ",".join(sorted(item.get("values") or ()))
        match item["operator"]:
            case "In":
                parts.append(f"{item['key']} in ({values})")
            case "NotIn":
                parts.append(f"{item['key']} notin ({values})")
            case "Exists":
                parts.append(item["key"])
            case "DoesNotExist":
                parts.append(f"!{item['key']}")
    return ",".join(parts)


def controller_revision_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A ControllerRevision's data is written once."""
    found = []
    if obj["revision"] < 0:
        message = f"Invalid value: {obj['revision']}: must be greater than or equal to 0"
        found.append(Cause("FieldValueInvalid", message, "revision"))
    if obj.get("data") is None:
        found.append(_required("data", "data is mandatory"))
    elif old is not None and obj["data"] != old.get("data"):
        found.append(Cause("FieldValueInvalid", f"Invalid value: {_json(obj['data'])}: field is immutable", "data"))
    return found


# The rest -------------------------------------------------------------------------------------------------------------


def service_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Service: several ports have names, and an address stays."""
    spec = obj.get("spec") or {}
    found: list[Cause] = []
    ports = spec.get("ports") or []
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            found.append(_required(f"spec.ports[{index}].name"))
        identity = (port.get("port"), port.get("protocol"))
        if identity in seen:
            found.append(Cause("FieldValueDuplicate", f"Duplicate value: {_json(port)}", f"spec.ports[{index}]"))
        seen.add(identity)
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    if before and spec.get("clusterIP") != before:
        message = f"Invalid value: {_json([spec.get('clusterIP', '')])}: may not change once set"
        found.append(Cause("FieldValueInvalid", message, "spec.clusterIPs[0]"))
    return found


def event_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """An Event lives beside the object it is about."""
    del old
    about = (obj.get("involvedObject") or {}).get("namespace", "")
    if about in ("", obj["metadata"].get("namespace", "")):
        return []
    message = f"Invalid value: {_json(about)}: does not match event.namespace"
    return [Cause("FieldValueInvalid", message, "involvedObject.namespace")]


def data_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """Keys of a ConfigMap or Secret are file names."""
    del old
    return [
        Cause("FieldValueInvalid", f"Invalid value: {_json(key)}: {_DATA_MESSAGE}", f"data[{key}]")
        for key in obj.get("data") or ()
        if not _DATA_KEY.match(key)
    ]
