"""What a kubelet makes of a pod's environment, for programs that tests run in a container's place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["environment"]

_LABEL = re.compile(r"metadata\.labels\['([^']+)'\]")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def environment(pod: Mapping[str, Any]) -> dict[str, str]:
    """Variables of the first container: fields looked up, references to earlier variables expanded."""
    found = {"HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"]}
    for variable in pod["spec"]["containers"][0].get("env") or ():
        if "valueFrom" in variable:
            value = _field(pod, variable["valueFrom"]["fieldRef"]["fieldPath"])
        else:
            value = _REFERENCE.sub(lambda name: found.get(name[1], name[0]), variable.get("value") or "")
        found[variable["name"]] = value
    return found


def _field(pod: Mapping[str, Any], path: str) -> str:
    label = _LABEL.fullmatch(path)
    if label is not None:
        return str(pod["metadata"].get("labels", {}).get(label[1], ""))
    value: Any = pod
    for part in path.split("."):
        value = value[part]
    return str(value)
