"""What the API server refuses in other built-in objects, as far as controllers of groups can run into it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Any, Final

from rbgctrl.sim.causes import at_least, forbidden_change, immutable, invalid_value, one_of, required, shown
from rbgctrl.sim.metadata import LABEL_VALUE_MESSAGE, is_label_value
from rbgctrl.sim.podrules import pod_spec_rules
from rbgctrl.sim.selectors import matches_labels
from rbgctrl.sim.status import Cause, bad_request
from rbgctrl.sim.storage import Obj

__all__ = [
    "config_map_rules",
    "controller_revision_rules",
    "definition_rules",
    "endpoint_slice_rules",
    "event_rules",
    "lease_rules",
    "secret_rules",
    "selector_text",
    "service_rules",
    "workload_rules",
]

_SET_FORBIDDEN: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
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
_DATA_MAX: Final = 2**20
_PORT_MAX: Final = 65535
_SERVICE_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")


# Workloads ------------------------------------------------------------------------------------------------------------


def workload_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Deployment, ReplicaSet or StatefulSet: its selector matches its pods and never changes."""
    spec = obj.get("spec") or {}
    before = None if old is None else old.get("spec") or {}
    if spec is before:
        return []
    found = _selector(spec)
    found += at_least("spec.replicas", spec.get("replicas", 1), 0)
    found += pod_spec_rules((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")
    if before is None:
        return found
    if obj.get("kind") == "StatefulSet":
        fixed = (spec.keys() | before.keys()) - _SET_FREE
        if any(spec.get(name) != before.get(name) for name in fixed):
            found.append(forbidden_change("spec", _SET_FORBIDDEN))
    elif spec.get("selector") != before.get("selector"):
        found.append(immutable("spec.selector", spec.get("selector")))
    return found


def _selector(spec: Obj) -> list[Cause]:
    selector = spec.get("selector")
    found = [] if selector is not None else [required("spec.selector")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not selector or not matches_labels(selector_text(selector), labels or {}):
        message = "`selector` does not match template `labels`"
        found.append(invalid_value("spec.template.metadata.labels", labels, message))
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
    found = at_least("revision", obj["revision"], 0)
    if obj.get("data") is None:
        found.append(required("data", "data is mandatory"))
    elif old is not None and obj["data"] != old.get("data"):
        found.append(immutable("data", obj["data"]))
    return found


# Services -------------------------------------------------------------------------------------------------------------


def service_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Service has ports that can be told apart, and keeps its address."""
    spec = obj.get("spec") or {}
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    address = spec.get("clusterIP")
    if before and address != before:
        return [invalid_value("spec.clusterIPs[0]", [address or ""], "may not change once set")]
    if address not in (None, "", "None") and not _is_address(address):
        message = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return [invalid_value("spec.clusterIPs[0]", address, message)]
    found: list[Cause] = []
    ports = spec.get("ports") or []
    if not ports and address != "None" and spec.get("type") != "ExternalName":
        found.append(required("spec.ports"))
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        found += _service_port(port, f"spec.ports[{index}]", several=len(ports) > 1)
        identity = (port.get("port"), port.get("protocol"))
        if identity in seen:
            found.append(Cause("FieldValueDuplicate", f"Duplicate value: {shown(port)}", f"spec.ports[{index}]"))
        seen.add(identity)
    found += one_of("spec.type", spec.get("type"), _SERVICE_TYPES)
    for value in (spec.get("selector") or {}).values():
        if not is_label_value(value):
            found.append(invalid_value("spec.selector", value, LABEL_VALUE_MESSAGE))
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _service_port(port: Obj, place: str, *, several: bool) -> list[Cause]:
    found = [required(f"{place}.name")] if several and not port.get("name") else []
    for field in ("port", "targetPort"):
        number = port.get(field)
        if isinstance(number, int) and not 0 < number <= _PORT_MAX:
            found.append(invalid_value(f"{place}.{field}", number, f"must be between 1 and {_PORT_MAX}, inclusive"))
    return found + one_of(f"{place}.protocol", port.get("protocol"), _PROTOCOLS)


def endpoint_slice_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """An EndpointSlice holds addresses of one kind for good."""
    kind = obj.get("addressType")
    if not kind:
        return [required("addressType")]
    if old is not None and kind != old.get("addressType"):
        return [immutable("addressType", kind)]
    return one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))


# Data -----------------------------------------------------------------------------------------------------------------


def config_map_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A ConfigMap: keys that are file names, a mebibyte at most, and unchanged once immutable."""
    return _data(obj) + _fixed(obj, old, ("data", "binaryData"))


def secret_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Secret: as a ConfigMap, and of one type for good.

    Raises:
        Refusal: 400, a value is not base64.
    """
    for value in (obj.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            start = 'Secret in version "v1" cannot be handled as a Secret'
            raise bad_request(f"{start}: illegal base64 data at input byte 0") from None
    found = _data(obj)
    if old is not None and obj.get("type") != old.get("type"):
        found.append(immutable("type", obj.get("type")))
    return found + _fixed(obj, old, ("data",))


def _data(obj: Obj) -> list[Cause]:
    found, size = [], 0
    for key, value in (obj.get("data") or {}).items():
        size += len(value)
        if not _DATA_KEY.match(key):
            found.append(invalid_value(f"data[{key}]", key, _DATA_MESSAGE))
        elif key in (".", "..") or key.startswith(".."):
            message = f"must not be '{key}'" if key in (".", "..") else "must not start with '..'"
            found.append(invalid_value(f"data[{key}]", key, message))
    if size > _DATA_MAX:
        message = f"Too long: may not be more than {_DATA_MAX} bytes"
        found.append(Cause("FieldValueTooLong", message, ""))
    return found


def _fixed(obj: Obj, old: Obj | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    message = "field is immutable when `immutable` is set"
    found = [] if obj.get("immutable") else [forbidden_change("immutable", message)]
    return found + [forbidden_change(name, message) for name in fields if obj.get(name) != old.get(name)]


# The rest -------------------------------------------------------------------------------------------------------------


def event_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """An Event lives beside the object it is about."""
    del old
    about = (obj.get("involvedObject") or {}).get("namespace", "")
    if about in ("", obj["metadata"].get("namespace", "")):
        return []
    return [invalid_value("involvedObject.namespace", about, "does not match event.namespace")]


def lease_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A Lease lasts a while."""
    del old
    spec = obj.get("spec") or {}
    found = []
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        found.append(invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    return found + at_least("spec.leaseTransitions", spec.get("leaseTransitions", 0), 0)


def definition_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A CustomResourceDefinition: named after its plural and group, with one version that is stored."""
    del old
    spec = obj.get("spec") or {}
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    found = []
    if obj["metadata"]["name"] != wanted:
        message = 'must be spec.names.plural+"."+spec.group'
        found.append(invalid_value("metadata.name", obj["metadata"]["name"], message))
    found += one_of("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced"))
    stored = [version for version in spec.get("versions") or () if version.get("storage")]
    if len(stored) != 1:
        message = "must have exactly one version marked as storage version"
        found.append(invalid_value("spec.versions", spec.get("versions"), message))
    return found
