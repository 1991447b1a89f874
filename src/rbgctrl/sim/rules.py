"""What the API server refuses in built-in objects, as far as controllers of groups can run into it."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from rbgctrl.api.names import is_dns_label
from rbgctrl.sim.selectors import matches_labels
from rbgctrl.sim.status import Cause
from rbgctrl.sim.storage import Obj

__all__ = ["controller_revision_rules", "pod_rules", "workload_rules"]

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
            found.append(Cause("FieldValueInvalid", f"Invalid value: {_json(name)}: must be a DNS label", f"{place}.name"))
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
    if old is not None:
        before = old.get("spec") or {}
        if spec is before:
            return []
        if obj.get("kind") == "StatefulSet" and any(
            spec.get(name) != before.get(name) for name in (spec.keys() | before.keys()) - _SET_FREE
        ):
            return [Cause("FieldValueForbidden", _SET_FORBIDDEN, "spec")]
        if spec.get("selector") != before.get("selector"):
            message = f"Invalid value: {_json(spec.get('selector'))}: field is immutable"
            return [Cause("FieldValueInvalid", message, "spec.selector")]
    found = _selector(spec)
    replicas = spec.get("replicas", 1)
    if isinstance(replicas, int) and replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        found.append(Cause("FieldValueInvalid", message, "spec.replicas"))
    return found + _containers((spec.get("template") or {}).get("spec") or {}, "spec.template.spec.containers")


def _selector(spec: Obj) -> list[Cause]:
    selector = spec.get("selector")
    if not selector:
        return [_required("spec.selector")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if matches_labels(selector_text(selector), labels):
        return []
    message = f"Invalid value: {_json(labels)}: `selector` does not match template `labels`"
    return [Cause("FieldValueInvalid", message, "spec.template.metadata.labels")]


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
    if old is None or obj.get("data") == old.get("data"):
        return []
    return [Cause("FieldValueInvalid", f"Invalid value: {_json(obj.get('data'))}: field is immutable", "data")]
