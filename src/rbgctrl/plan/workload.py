"""What a role becomes: the RoleInstanceSet and the headless Service that stand for it.

One row per pattern says how its components are built; a pattern without a row is reported, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from rbgctrl.api import labels, names, roles
from rbgctrl.api.canonical import go_pod_template
from rbgctrl.api.core import Service
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.patterns import RestartPolicyType
from rbgctrl.api.roles import Pattern
from rbgctrl.plan.compare import contains, fields, values
from rbgctrl.plan.model import Apply
from rbgctrl.plan.rendering import Rendering
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.staleness import stamped
from rbgctrl.plan.template import common_labels, environment, inject

__all__ = ["WorkloadRequest", "apply_service", "apply_set", "ignored", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRequest:
    """Everything a role's workload depends on.

    Attributes:
        group: the group the role belongs to.
        role: the role.
        replicas: instances wanted now.
        rendered: what the group's spec comes to.
        service: name of its headless Service.
    """

    group: RoleBasedGroup
    role: RoleSpec
    replicas: int
    rendered: Rendering
    service: str

    @property
    def key(self) -> Key:
        """Of the workload."""
        return Key(self.group.key.namespace, names.workload(self.group.key.name, self.role.name))

    @property
    def common(self) -> dict[str, str]:
        """The three labels that name the role."""
        return common_labels(self.group.key.namespace, self.group.key.name, self.role.name)


def unsupported(role: RoleSpec) -> str:
    """Why this build cannot run the role and what to do, or ``""``."""
    kind = roles.workload_type(role)
    if kind != labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET:
        return f"workload type {kind} is accepted but not acted on yet; use RoleInstanceSet"
    pattern = roles.pattern(role)
    if pattern is None:
        return "the role declares no pattern; add standalonePattern with a template"
    if pattern not in _COMPONENTS:
        return f"{pattern.value} is accepted but not acted on yet; use standalonePattern"
    if not roles.is_stateful(role):
        return "the Stateless instance pattern is accepted but not acted on yet; remove the annotation"
    standalone = role.standalone_pattern
    if standalone is not None and standalone.template is None:
        if standalone.template_ref is not None:
            return "templateRef is accepted but not acted on yet; write the template inline"
        return "the pattern has no template; add one"
    return ""


_IGNORED_ANNOTATIONS = (labels.INSTANCE_GANG_SCHEDULING, labels.INPLACE_SCHEDULING, labels.RESTARTED_AT)
_IGNORED_GROUP_ANNOTATIONS = (labels.GROUP_GANG_SCHEDULING, labels.GROUP_EXCLUSIVE_TOPOLOGY, labels.RESTARTED_AT)


def unbuilt(group: RoleBasedGroup, role: RoleSpec) -> bool:
    """Whether the reference controller's template of this role has parts that this build does not make.

    Such a workload, when that controller made it, is left as it is: rebuilding it would take them away.
    """
    exclusive = group.metadata.annotations.get(labels.GROUP_EXCLUSIVE_TOPOLOGY)
    return bool(role.engine_runtimes or exclusive or role.annotations.get(labels.INPLACE_SCHEDULING))


def ignored(group: RoleBasedGroup) -> tuple[str, ...]:
    """What the group asks for and this build does nothing with, although its pods run: one entry per place."""
    found = _ignored_annotations(group.metadata.annotations, _IGNORED_GROUP_ANNOTATIONS)
    for role in group.spec.roles if group.spec is not None else ():
        asked = ["engineRuntimes"] if role.engine_runtimes else []
        asked += ["scalingAdapter"] if role.scaling_adapter is not None and role.scaling_adapter.enable else []
        asked += ["instanceTopologyConstraint"] if role.instance_topology_constraint is not None else []
        if roles.restart_policy(role).type is RestartPolicyType.RECREATE_GROUP:
            asked.append(f"restart policy {RestartPolicyType.RECREATE_GROUP.value}")
        asked += _ignored_annotations(role.annotations, _IGNORED_ANNOTATIONS)
        found += [f"{what} of role {role.name}" for what in asked]
    return tuple(found)


def _ignored_annotations(annotations: Mapping[str, str], ignored: tuple[str, ...]) -> list[str]:
    keys = [key for key in ignored if annotations.get(key)]
    keys += sorted(key for key in annotations if key.startswith(labels.PREFIX_PLACEMENT))
    return [f"annotation {key}" for key in keys]


def _standalone(request: WorkloadRequest) -> list[dict[str, Any]]:
    pattern = request.role.standalone_pattern
    template = pattern.template if pattern is not None else None
    stateful = roles.is_stateful(request.role)
    built = inject(
        template or {},
        metadata_labels={**request.common, labels.COMPONENT_SIZE: "1"},
        variables=environment(request.group.key.name, request.role.name, stateful=stateful),
        config_map=names.discovery_config_map(request.group.key.name) if stateful else "",
    )
    component = {
        "name": request.role.name,
        "size": 1,
        "serviceName": request.service,
        "template": go_pod_template(built),
    }
    return [component]


_Builder: TypeAlias = Callable[[WorkloadRequest], list[dict[str, Any]]]
_COMPONENTS: Mapping[Pattern, _Builder] = {Pattern.STANDALONE: _standalone}


def _components(request: WorkloadRequest) -> list[dict[str, Any]]:
    pattern = roles.pattern(request.role)
    return _COMPONENTS[pattern](request) if pattern is not None else []


def _set_body(request: WorkloadRequest) -> dict[str, Any]:
    role, group = request.role, request.group
    annotations = {
        labels.INSTANCE_PATTERN: labels.PATTERN_STATEFUL,
        **role.annotations,
        labels.ROLE_SIZE: str(request.replicas),
    }
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
        annotations[labels.INPLACE_GRACE_SECONDS] = str(update.grace_period_seconds)
    restart = roles.restart_policy(role)
    return {
        "apiVersion": RoleInstanceSet.KIND.api_version,
        "kind": RoleInstanceSet.KIND.kind,
        "metadata": {
            "name": request.key.name,
            "namespace": request.key.namespace,
            "labels": {
                **role.labels,
                **request.common,
                labels.role_revision(role.name): request.rendered.hashes[role.name],
                labels.ROLE_TYPE: roles.role_type(role),
            },
            "annotations": annotations,
            "ownerReferences": [
                owner_reference(group.KIND.api_version, group.KIND.kind, group.key.name, group.uid),
            ],
        },
        "spec": {
            "replicas": request.replicas,
            "selector": {"matchLabels": request.common},
            "minReadySeconds": role.min_ready_seconds,
            "podManagementPolicy": role.pod_management_policy.value,
            "roleInstanceTemplate": {
                "restartPolicyConfig": {
                    "type": restart.type.value,
                    "baseDelaySeconds": restart.base_delay_seconds,
                    "maxDelaySeconds": restart.max_delay_seconds,
                },
                "components": request.rendered.once(
                    ("components", role.name, request.service), lambda: _components(request)
                ),
            },
            "updateStrategy": strategy,
        },
    }


def apply_set(request: WorkloadRequest, live: RoleInstanceSet | None) -> Apply | None:
    """The apply that makes the role's RoleInstanceSet what it should be, or None when it already is."""
    body = _set_body(request)
    if live is not None and (_same_set(body, live) or (_foreign_made(live) and unbuilt(request.group, request.role))):
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
        why="the workload differs from the role",
    )


def _foreign_made(live: RoleInstanceSet) -> bool:
    """Whether the reference controller made it and we have never written it."""
    return labels.OWNER_GENERATION not in live.metadata.annotations


def _same_set(body: Mapping[str, Any], live: RoleInstanceSet) -> bool:
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


def apply_service(request: WorkloadRequest, workload: RoleInstanceSet, live: Service | None) -> Apply | None:
    """The apply that makes the role's headless Service what it should be, or None when it already is."""
    role = request.role
    managed = (labels.ROLE_SIZE, labels.ROLE_WORKLOAD_TYPE)
    annotations = {key: value for key, value in role.annotations.items() if key not in managed}
    # What the role no longer asks for would look like somebody else's; so it is written down what it asked for.
    told = ",".join(sorted(annotations))
    if told:
        annotations[labels.ROLE_ANNOTATIONS] = told
    annotations[labels.ROLE_SIZE] = str(request.replicas)
    key = Key(request.key.namespace, request.service)
    owner = owner_reference(
        workload.KIND.api_version, workload.KIND.kind, workload.key.name, workload.uid, controller=False
    )
    selector = {labels.GROUP_NAME: request.group.key.name, labels.ROLE_NAME: role.name}
    body: dict[str, Any] = {
        "apiVersion": Service.KIND.api_version,
        "kind": Service.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": request.common,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "type": "ClusterIP"},
    }
    if live is not None:
        meta = live.metadata
        same = (
            live.spec.selector == selector
            and live.spec.publish_not_ready_addresses
            and contains(request.common, meta.labels)
            and annotations.items() <= meta.annotations.items()
            and meta.annotations.get(labels.ROLE_ANNOTATIONS, "") == told
            and any(reference.uid == workload.uid for reference in meta.owner_references)
        )
        if same or meta.deleting:
            return None
    why = "the role has no Service yet" if live is None else "the Service differs from the role"
    # Only what carries annotations of its role can lose some, and the first time that is seen is before ours are there.
    first = bool(told) and live is not None and labels.ROLE_ANNOTATIONS not in live.metadata.annotations
    uid = live.uid if live else ""
    return Apply(kind=Service, key=key, body=body, uid=uid, adopt=True, inherit=first, why=why)
