"""The RoleInstanceSet that stands for a role.

Fields without a line here (scaleStrategy, lifecycle, revisionHistoryLimit) are left to users.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from rbgctrl.api import labels, roles
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.patterns import RestartPolicyType
from rbgctrl.plan.compare import contains, fields, values
from rbgctrl.plan.model import Apply
from rbgctrl.plan.staleness import stamped
from rbgctrl.plan.workloads.components import components
from rbgctrl.plan.workloads.request import WorkloadRequest, keeps_pins, metadata
from rbgctrl.plan.workloads.sharedports import shared_ports

__all__ = ["apply_set"]


def apply_set(request: WorkloadRequest, live: RoleInstanceSet | None) -> Apply | None:
    """The apply that makes the role's RoleInstanceSet what it should be, or None when it already is.

    Raises:
        TemplateError: the role does not say what its pods are; see :func:`rbgctrl.plan.workloads.fault`.
    """
    rendered, name = request.rendered, request.role.name
    body = rendered.once(("set", name), lambda: _body(request), of=(request.replicas, request.version))
    if ports := shared_ports(request):
        body = _annotated(body, ports)
    if live is not None and keeps_pins(request):
        # Most passes are about another role, or about a status.
        seen = (body, live.metadata, live.spec)
        if rendered.once(("same set", name), lambda: _same(body, live), of=seen):
            return None
    body = stamped(body, request.group.metadata)  # after comparing: a generation that changes nothing is no change
    if live is None:
        return Apply(kind=RoleInstanceSet, key=request.key, body=body, why="the role has no workload yet")
    # With its version: what is decided on an old view of the group must not scale down or roll back what came after.
    return Apply(
        kind=RoleInstanceSet,
        key=request.key,
        body=body,
        uid=live.uid,
        version=live.metadata.resource_version,
        inherit=_foreign_made(live),
        leave=_bindings(live),
        why="the workload differs from the role",
    )


def _body(request: WorkloadRequest) -> dict[str, Any]:
    role = request.role
    meta = metadata(request)
    meta["labels"][labels.ROLE_TYPE] = roles.role_type(role)
    if role.annotations.get(labels.INPLACE_SCHEDULING):
        meta["labels"][labels.RBG_OWNER_UID] = request.group.uid
    meta["annotations"].setdefault(labels.INSTANCE_PATTERN, labels.PATTERN_STATEFUL)
    update = roles.rolling_update(role)
    strategy: dict[str, Any] = {
        "type": update.type,
        "paused": update.paused,
        "partition": update.partition,
        "maxUnavailable": update.max_unavailable,
        "maxSurge": update.max_surge,
    }
    if update.grace_period_seconds is not None:
        strategy["inPlaceUpdateStrategy"] = {"gracePeriodSeconds": update.grace_period_seconds}
        meta["annotations"][labels.INPLACE_GRACE_SECONDS] = str(update.grace_period_seconds)
    restart = roles.restart_policy(role)
    return {
        "apiVersion": RoleInstanceSet.KIND.api_version,
        "kind": RoleInstanceSet.KIND.kind,
        "metadata": meta,
        "spec": {
            "replicas": request.replicas,
            "selector": {"matchLabels": request.common},
            "minReadySeconds": role.min_ready_seconds,
            "podManagementPolicy": role.pod_management_policy.value,
            "roleInstanceTemplate": {
                "restartPolicyConfig": {
                    "type": _of_an_instance(restart.type).value,
                    "baseDelaySeconds": restart.base_delay_seconds,
                    "maxDelaySeconds": restart.max_delay_seconds,
                },
                "components": components(request),
            },
            "updateStrategy": strategy,
        },
    }


def _annotated(body: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    meta = body["metadata"]
    return {**body, "metadata": {**meta, "annotations": {**meta["annotations"], **more}}}


def _foreign_made(live: RoleInstanceSet) -> bool:
    """Whether the reference controller made it and we have never written it."""
    return labels.OWNER_GENERATION not in live.metadata.annotations


def _bindings(live: RoleInstanceSet) -> tuple[tuple[str, ...], ...]:
    """Where the set remembers the nodes of its pods, which is the instances' business."""
    kept = (key for key in live.metadata.annotations if key.startswith(labels.PREFIX_NODE))
    return tuple(("metadata", "annotations", key) for key in sorted(kept))


def _same(body: Mapping[str, Any], live: RoleInstanceSet) -> bool:
    """Whether applying would change nothing.

    Fields we set must be there; the template, ours as a whole, must be equal. A key the role no longer asks for shows
    in the role's revision label, which covers every field of the role.
    """
    if live.spec is None:
        return False
    wanted = dict(body["spec"])
    template = wanted.pop("roleInstanceTemplate")
    return (
        template == _decoded(bytes(live.spec.role_instance_template))
        and _holds(live.spec, wanted)
        and _holds(live.metadata, body["metadata"])
    )


def _holds(live: msgspec.Struct, wanted: Mapping[str, Any]) -> bool:
    """Whether the fields of ``wanted`` have those values in ``live``; other fields are not even looked at."""
    return all(
        contains(wanted[encoded], values(getattr(live, name)))
        for name, encoded in fields(type(live))
        if encoded in wanted
    )


@lru_cache(maxsize=4096)  # a set's template is compared far more often than it changes
def _decoded(template: bytes) -> Any:
    return msgspec.json.decode(template)


def _of_an_instance(policy: RestartPolicyType) -> RestartPolicyType:
    """What the policy means inside of one instance; instances know of no group."""
    return RestartPolicyType.RECREATE_INSTANCE if policy is RestartPolicyType.RECREATE_GROUP else policy
