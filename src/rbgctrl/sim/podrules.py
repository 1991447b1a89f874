"""What the API server refuses in pods and pod templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from rbgctrl.api.names import is_dns_label
from rbgctrl.sim.causes import forbidden_change, invalid_value, one_of, required, shown
from rbgctrl.sim.metadata import LABEL_MESSAGE
from rbgctrl.sim.scheduling.amounts import amount
from rbgctrl.sim.status import Cause
from rbgctrl.sim.storage import Obj

__all__ = ["pod_rules", "pod_spec_rules"]

_CHANGE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)
_RESTART: Final = ("Always", "OnFailure", "Never")
_DNS: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PULL: Final = ("Always", "IfNotPresent", "Never")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_ENV_NAME: Final = re.compile(r"^[^=\x00-\x1f]+$")
_PORT_MAX: Final = 65535
_INT32_MAX: Final = 2**31 - 1


def pod_rules(obj: Obj, old: Obj | None) -> list[Cause]:
    """A pod can run, and what runs does not change except for images."""
    spec = obj.get("spec") or {}
    if old is None:
        return pod_spec_rules(spec, "spec")
    before = old.get("spec") or {}
    if spec is before:
        return []
    found = pod_spec_rules(spec, "spec")
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(before.get(field) or ()):
            return [*found, forbidden_change(f"spec.{field}", "pod updates may not add or remove containers")]
    shorter = _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    if shorter and spec.get("activeDeadlineSeconds") is not None:
        return found + shorter
    found += shorter
    kept = [_without_seconds(item) for item in spec.get("tolerations") or ()]
    if not all(_without_seconds(item) in kept for item in before.get("tolerations") or ()):
        message = "existing toleration can not be modified except its tolerationSeconds"
        found.append(forbidden_change("spec.tolerations", message))
    for gate in spec.get("schedulingGates") or ():
        if gate not in (before.get("schedulingGates") or ()):
            message = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            found.append(forbidden_change("spec.schedulingGates", message))
    if _frozen(spec, before) != _frozen(before, before):
        changed = sorted(name for name in spec.keys() | before.keys() if spec.get(name) != before.get(name))
        found.append(Cause("FieldValueForbidden", f"Forbidden: {_CHANGE}changed: {', '.join(changed)}", "spec"))
    return found


def _deadline(now: int | None, before: int | None) -> list[Cause]:
    """A deadline can be set and come nearer, never go."""
    field = "spec.activeDeadlineSeconds"
    if now is None:
        message = "must not update from a positive integer to nil value"
        return [] if before is None else [invalid_value(field, now, message)]
    if not 0 <= now <= _INT32_MAX:
        return [invalid_value(field, now, f"must be between 0 and {_INT32_MAX}, inclusive")]
    later = before is not None and before < now
    return [invalid_value(field, now, "must be less than or equal to previous value")] if later else []


def _without_seconds(toleration: Obj) -> Obj:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _frozen(spec: Obj, before: Obj) -> Obj:
    """``spec`` without what may change."""
    found = dict(spec)
    for field in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        found.pop(field, None)
    for field in ("containers", "initContainers"):
        found[field] = [{**item, "image": ""} for item in spec.get(field) or ()]
    if before.get("schedulingGates"):  # while it waits, where it may go can still be narrowed
        found.pop("nodeSelector", None)
        found.pop("affinity", None)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and found.get("terminationGracePeriodSeconds") == 1:
        found["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    return found


def pod_spec_rules(spec: Obj, field: str) -> list[Cause]:
    """What is wrong with the spec of a pod or of a template."""
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or ()}
    found = _containers(spec.get("initContainers") or (), f"{field}.initContainers", volumes)
    containers = spec.get("containers") or ()
    if not containers:
        found.append(required(f"{field}.containers"))
    found += _containers(containers, f"{field}.containers", volumes)
    found += one_of(f"{field}.restartPolicy", spec.get("restartPolicy"), _RESTART)
    found += one_of(f"{field}.dnsPolicy", spec.get("dnsPolicy"), _DNS)
    for name in ("hostname", "subdomain"):
        value = spec.get(name)
        if value and not is_dns_label(value):
            found.append(invalid_value(f"{field}.{name}", value, LABEL_MESSAGE))
    return found


def _containers(containers: Sequence[Obj], field: str, volumes: set[str]) -> list[Cause]:
    found: list[Cause] = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        place = f"{field}[{index}]"
        name = container.get("name", "")
        if not name:
            found.append(required(f"{place}.name"))
        elif not is_dns_label(name):
            found.append(invalid_value(f"{place}.name", name, LABEL_MESSAGE))
        elif name in names:
            found.append(Cause("FieldValueDuplicate", f"Duplicate value: {shown(name)}", f"{place}.name"))
        names.add(name)
        found += _container(container, place, volumes)
    return found


def _container(container: Obj, place: str, volumes: set[str]) -> list[Cause]:
    found = [] if container.get("image") else [required(f"{place}.image")]
    for number, port in enumerate(container.get("ports") or ()):
        found += _port(port, f"{place}.ports[{number}]")
    for number, variable in enumerate(container.get("env") or ()):
        if not _ENV_NAME.match(variable.get("name", "")):
            found.append(required(f"{place}.env[{number}].name"))
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            message = f"Not found: {shown(mount.get('name', ''))}"
            found.append(Cause("FieldValueNotFound", message, f"{place}.volumeMounts[{number}].name"))
    found += one_of(f"{place}.imagePullPolicy", container.get("imagePullPolicy"), _PULL)
    return found + _resources(container.get("resources") or {}, f"{place}.resources")


def _port(port: Obj, place: str) -> list[Cause]:
    number = port.get("containerPort", 0)
    found = []
    if not number:
        found.append(required(f"{place}.containerPort"))
    elif not 0 < number <= _PORT_MAX:
        found.append(invalid_value(f"{place}.containerPort", number, f"must be between 1 and {_PORT_MAX}, inclusive"))
    return found + one_of(f"{place}.protocol", port.get("protocol"), _PROTOCOLS)


def _resources(resources: Obj, place: str) -> list[Cause]:
    found = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, wanted in requests.items():
        limit = limits.get(name)
        extended = "/" in name and not name.startswith("requests.")
        if limit is None:
            if extended:
                found.append(required(f"{place}.limits", "Limit must be set for non overcommitable resources"))
        elif extended and _size(wanted) != _size(limit):
            found.append(invalid_value(f"{place}.requests", wanted, f"must be equal to {name} limit of {limit}"))
        elif _size(wanted) > _size(limit):
            message = f"must be less than or equal to {name} limit of {limit}"
            found.append(invalid_value(f"{place}.requests", wanted, message))
    return found


def _size(quantity: Any) -> int:
    return amount(quantity, milli=True)
