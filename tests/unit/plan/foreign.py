"""Roles with workloads of other projects: requests, what the server makes of an apply, and the recorded objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from golden import scenario
from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Resource
from rbgctrl.api.workloads import FOREIGN_KINDS, Foreign
from rbgctrl.plan.model import Apply
from rbgctrl.plan.rendering import rendering
from rbgctrl.plan.workloads import WorkloadRequest

from .requests import decoded

GOLDEN = scenario("workloads")
STAMPS = {f"metadata.annotations.{key}" for key in (labels.OWNER_GENERATION, labels.TEMPLATE_HASH)}
"""What we write beyond the reference controller."""
# What the API server fills in at any pod template of a built-in kind.
POD_DEFAULTS = {
    f"spec.template.spec.{path}"
    for path in (
        "containers[0].imagePullPolicy",
        "containers[0].terminationMessagePath",
        "containers[0].terminationMessagePolicy",
        "dnsPolicy",
        "restartPolicy",
        "schedulerName",
        "terminationGracePeriodSeconds",
    )
}


def recorded(role: str) -> WorkloadRequest:
    """The request for a role of the recorded group, as the API server stored that."""
    stored = GOLDEN.one("RoleBasedGroup", "mixed")
    stored["metadata"]["uid"] = "<uid of RoleBasedGroup/mixed>"
    group = decoded(RoleBasedGroup, stored)
    assert group.spec is not None
    found = next(item for item in group.spec.roles if item.name == role)
    return WorkloadRequest(
        group=group, role=found, replicas=found.replicas, rendered=rendering(group), service=f"s-mixed-{role}"
    )


def differences(theirs: Any, ours: Any, path: str = "") -> set[str]:
    """Paths at which the two differ; a zero value equals an absent field."""
    if isinstance(theirs, dict) or isinstance(ours, dict):
        theirs, ours = theirs or {}, ours or {}
        return set().union(
            *(differences(theirs.get(key), ours.get(key), f"{path}.{key}" if path else key) for key in {*theirs, *ours})
        )
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(theirs, ours, strict=True))
        return set().union(*(differences(*pair, f"{path}[{index}]") for index, pair in pairs))
    return set() if theirs == ours or (not theirs and not ours) else {path}


def body(apply: Apply | None) -> dict[str, Any]:
    """What an apply sends, as the server reads it."""
    assert apply is not None
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(apply.body))
    return found


def stored(kind: type[Resource], apply: Apply | None, *, generation: int = 1, **status: Any) -> Any:
    """The object as the server keeps it, defaults filled in."""
    found = body(apply)
    found["metadata"] |= {"uid": "uid-w", "resourceVersion": "7", "generation": generation}
    spec = found["spec"]
    for template in _templates(spec):
        template["spec"] |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {}}
        for container in template["spec"]["containers"]:
            container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePolicy": "File"}
            for variable in container.get("env", ()):
                variable.get("valueFrom", {}).get("fieldRef", {}).setdefault("apiVersion", "v1")
    spec |= {"revisionHistoryLimit": 10}
    return decoded(kind, {**found, "status": {"observedGeneration": generation, **status}})


def _templates(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    pair = spec.get("leaderWorkerTemplate")
    return [spec["template"]] if pair is None else [pair["leaderTemplate"], pair["workerTemplate"]]


def of_type(kind: type[Foreign]) -> dict[str, str]:
    """The annotation of a role that asks for a kind."""
    return {labels.ROLE_WORKLOAD_TYPE: next(name for name, found in FOREIGN_KINDS.items() if found is kind)}
