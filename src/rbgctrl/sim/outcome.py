"""What came of a run, in a form in which two runs can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.api import labels
from rbgctrl.sim.storage import Obj, Storage

__all__ = ["State", "differences", "state_of"]

State: TypeAlias = dict[str, Any]
"""Objects by ``resource namespace/name``, without what differs from run to run."""

_NOT_OURS: Final = frozenset(
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        "endpointslices.discovery.k8s.io",  # named at random, and made by the cluster itself
        "events",
        "leases.coordination.k8s.io",
        "namespaces",
        "nodes",
        "serviceaccounts",
    )
)
_DROPPED: Final = frozenset(
    (
        *("uid", "resourceVersion", "managedFields", "selfLink", "nodeName", "containerID", "hostIP", "hostIPs"),
        labels.OWNER_GENERATION,  # the one it was made from, which may be any in which it is wanted
    )
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS: Final = re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")

Only = Callable[[Obj], bool]


def state_of(storage: Storage, *, only: Only = lambda _: True) -> State:
    """The objects a controller is answerable for, without uids, versions, times, addresses and nodes.

    Args:
        storage: where.
        only: which objects to look at.
    """
    return {
        f"{resource} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}": _plain(obj)
        for resource in sorted(storage.resources())
        if resource not in _NOT_OURS
        for obj in storage.list(resource)
        if only(obj)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if key not in _DROPPED}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _ADDRESS.sub("ADDRESS", _UID.sub("UID", _TIME.sub("TIME", value)))
    return value


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two states differ, one sentence each; empty when they are equal."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        result = []
        for key in sorted(wanted.keys() | found.keys()):
            where = f"{path} > {key}" if path else str(key)
            if key not in found:
                result.append(f"missing: {where}")
            elif key not in wanted:
                result.append(f"too much: {where}")
            else:
                result += differences(wanted[key], found[key], where)
        return result
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [line for number, (a, b) in pairs for line in differences(a, b, f"{path}[{number}]")]
    return [] if wanted == found else [f"{path}: {found!r} instead of {wanted!r}"]
