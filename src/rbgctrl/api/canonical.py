"""Revisions: which bytes of a spec count as one version of it, and their hashes.

The bytes are those upstream's controller stores, so that a running installation can be taken over without a rollout:
the spec as Go encodes it, wrapped as a patch that replaces what it touches. Go's encoding is in ``gotypes.py`` and
``gojson.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rbgctrl.api import gojson
from rbgctrl.api.gotypes import GoTypes
from rbgctrl.api.groups import RoleBasedGroupSpec, RoleSpec
from rbgctrl.api.names import safe_encode

__all__ = [
    "go_pod_template",
    "group_hash",
    "group_revision_data",
    "instance_revision_data",
    "revision_hash",
    "role_hash",
    "safe_encode",
    "set_revision_data",
]

_SOURCE = "template:?*PodTemplateSpec templateRef:?*TemplateRef"
_RESTART = "restartPolicy:?str restartPolicyConfig:?*RestartPolicyConfig"
_COMPONENT = "name:str size:?*int serviceName:?str labels:?{}str annotations:?{}str template:PodTemplateSpec"

_TYPES: Final = GoTypes(
    {
        "RoleBasedGroupSpec": "roles:[]RoleSpec roleTemplates:?[]RoleTemplate",
        "RoleTemplate": "name:str template:PodTemplateSpec",
        "RoleSpec": (
            "name:str labels:?{}str annotations:?{}str replicas:*int rolloutStrategy:?*RolloutStrategy "
            "dependencies:?[]str standalonePattern:?*StandalonePattern leaderWorkerPattern:?*LeaderWorkerPattern "
            "customComponentsPattern:?*CustomComponentsPattern servicePorts:?[]ServicePort "
            "engineRuntimes:?[]EngineRuntime scalingAdapter:?*ScalingAdapter minReadySeconds:?int "
            "podManagementPolicy:?str"
        ),
        "RolloutStrategy": "type:str rollingUpdate:?*RollingUpdate",
        "RollingUpdate": (
            "type:?str partition:?*intstr maxUnavailable:?*intstr maxSurge:?*intstr paused:?bool "
            "inPlaceUpdateStrategy:?*InPlaceUpdateStrategy"
        ),
        "InPlaceUpdateStrategy": "gracePeriodSeconds:?int",
        "TemplateRef": "name:str patch:?*any",
        "StandalonePattern": _SOURCE,
        "LeaderWorkerPattern": (
            f"{_SOURCE} size:?*int leaderTemplatePatch:?*any workerTemplatePatch:?*any sharedServiceSelection:?str "
            f"{_RESTART}"
        ),
        "CustomComponentsPattern": f"components:?[]Component {_RESTART}",
        "Component": _COMPONENT,
        "RestartPolicyConfig": "type:?str baseDelaySeconds:?*int maxDelaySeconds:?*int",
        "ServicePort": "name:?str protocol:?str appProtocol:?*str port:int targetPort:?intstr nodePort:?int",
        "EngineRuntime": "profileName:str injectContainers:?[]str containers:?[]Container",
        "ScalingAdapter": "enable:?bool labels:?{}str",
        "RoleInstanceSpec": f"components:[]Component readyPolicy:?str {_RESTART} readinessGates:?[]ReadinessGate",
        "ReadinessGate": "conditionType:str",
    }
)

_REPLACE: Final = {"$patch": "replace"}
_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def go_pod_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """A pod template as Go's typed structs would send it: what workloads must carry to hash as upstream's do."""
    return dict(_TYPES.encode("PodTemplateSpec", template))


def group_revision_data(spec: RoleBasedGroupSpec) -> bytes:
    """Revision data of a group: roles without replicas, and role templates."""
    encoded = _TYPES.encode("RoleBasedGroupSpec", spec.wire())
    roles = [{**role, "replicas": None} for role in encoded["roles"]]
    templates = encoded.get("roleTemplates", [])
    return gojson.encode({"spec": {"roles": [_REPLACE, *roles], "roleTemplates": [_REPLACE, *templates]}})


def group_hash(data: bytes) -> str:
    """Hash of a group's revision data; value of label ``labels.GROUP_REVISION``."""
    return safe_encode(str(_fnv1a(data)))


def role_hash(role: RoleSpec, templates: Mapping[str, Mapping[str, Any]]) -> str:
    """Hash of everything a role says; value of its ``labels.role_revision`` label.

    Args:
        role: the role.
        templates: the group's role templates by name.
    """
    encoded = {**_TYPES.encode("RoleSpec", role.wire()), "replicas": None}
    data = gojson.encode(encoded)
    source = role.standalone_pattern or role.leader_worker_pattern
    reference = source.template_ref if source is not None else None
    if reference is not None and reference.name in templates:
        data += gojson.encode(go_pod_template(templates[reference.name]))
    return safe_encode(str(_fnv1a(data)))


def set_revision_data(template: Mapping[str, Any]) -> bytes:
    """Revision data of a RoleInstanceSet: its whole instance template.

    Args:
        template: ``spec.roleInstanceTemplate`` as JSON values.
    """
    encoded = _TYPES.encode("RoleInstanceSpec", template)
    return gojson.encode({"spec": {"roleInstanceTemplate": {**encoded, **_REPLACE}}})


def instance_revision_data(components: Sequence[Mapping[str, Any]]) -> bytes:
    """Revision data of a RoleInstance: its components without their sizes.

    Args:
        components: ``spec.components`` as JSON values.
    """
    encoded = []
    for component in _TYPES.encode("[]Component", components):
        template = {**component["template"], **_REPLACE}
        item = {**component, "serviceName": component.get("serviceName"), "template": template}
        item.pop("size", None)
        encoded.append(item)
    order = [{"name": component["name"]} for component in encoded]
    return gojson.encode({"spec": {"$setElementOrder/components": order, "components": encoded}})


def revision_hash(data: bytes, collision_count: int = 0) -> str:
    """Hash of a RoleInstanceSet's or RoleInstance's revision data; the end of the revision's name."""
    return safe_encode(str(_fnv1(data + str(collision_count).encode())))


# Every new revision is hashed. What overflows 32 bits may wait to be cut off: four bytes at a time take half as long.


def _fnv1(data: bytes) -> int:
    value = _FNV_OFFSET
    rest = len(data) % 4
    for byte in data[:rest]:
        value = (value * _FNV_PRIME & _FNV_MASK) ^ byte
    left = iter(data[rest:])
    for a, b, c, d in zip(left, left, left, left, strict=True):
        value = ((((value * _FNV_PRIME ^ a) * _FNV_PRIME ^ b) * _FNV_PRIME ^ c) * _FNV_PRIME & _FNV_MASK) ^ d
    return value


def _fnv1a(data: bytes) -> int:
    value = _FNV_OFFSET
    rest = len(data) % 4
    for byte in data[:rest]:
        value = (value ^ byte) * _FNV_PRIME & _FNV_MASK
    left = iter(data[rest:])
    for a, b, c, d in zip(left, left, left, left, strict=True):
        value = ((((value ^ a) * _FNV_PRIME ^ b) * _FNV_PRIME ^ c) * _FNV_PRIME ^ d) * _FNV_PRIME & _FNV_MASK
    return value
