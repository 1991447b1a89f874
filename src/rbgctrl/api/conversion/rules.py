"""Whole objects in either version, by the rules of the contract. See :mod:`rbgctrl.api.conversion.roles`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rbgctrl.api import labels
from rbgctrl.api.conversion.roles import role_down, role_up
from rbgctrl.api.conversion.values import Obj, mapping, present, sequence
from rbgctrl.api.gojson import encode

__all__ = ["GROUP", "GROUP_SET", "Rules"]

_GANG: Final = (
    labels.GROUP_GANG_SCHEDULING,
    labels.GROUP_GANG_TIMEOUT,
    labels.GROUP_GANG_VOLCANO_QUEUE,
    labels.GROUP_GANG_VOLCANO_PRIORITY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a kind is converted when nothing is carried along.

    Attributes:
        up: a v1alpha1 object as v1alpha2, ``apiVersion`` still the old one.
        down: the other way.
        v1alpha1_roles: path of the list of roles in v1alpha1.
        v1alpha2_roles: the same in v1alpha2.
    """

    up: Callable[[Obj], Obj]
    down: Callable[[Obj], Obj]
    v1alpha1_roles: tuple[str, ...]
    v1alpha2_roles: tuple[str, ...]


# RoleBasedGroup -------------------------------------------------------------------------------------------------------


def _group_up(obj: Obj) -> Obj:
    annotations, spec = _annotations(obj), mapping(obj, "spec", "")
    if spec is not None:
        annotations |= _stand_ins(spec)
        spec = _spec_up(spec, "spec.")
    annotations |= _exclusive(annotations)
    return _made(obj, annotations, spec)


def _group_down(obj: Obj) -> Obj:
    annotations, spec = _annotations(obj), mapping(obj, "spec", "")
    exclusive = _exclusive(annotations)
    if spec is not None:
        policies = _policies(annotations)
        annotations = _without(annotations, _stand_ins(policies))
        spec = _spec_down(spec, "spec.") | policies
    return _made(obj, _without(annotations, exclusive), spec)


# RoleBasedGroupSet ----------------------------------------------------------------------------------------------------


def _set_up(obj: Obj) -> Obj:
    annotations, spec = _annotations(obj), mapping(obj, "spec", "")
    if spec is not None:
        template = mapping(spec, "template", "spec.")
        spec = present(spec, "replicas")
        if template is not None:
            stand_ins = _stand_ins(template)
            annotations |= stand_ins
            spec["groupTemplate"] = _group_template(template, stand_ins)
    annotations |= _exclusive(annotations)
    return _made(obj, annotations, spec)


def _group_template(template: Obj, stand_ins: Obj) -> Obj:
    # The groups get what makes them act; the original policy stays with the set.
    inherited = {name: stand_ins[name] for name in (labels.CONVERSION_COORDINATION, *_GANG) if name in stand_ins}
    made: Obj = {"annotations": inherited} if inherited else {}
    return {**made, "spec": _spec_up(template, "spec.template.")}


def _set_down(obj: Obj) -> Obj:
    annotations, spec = _annotations(obj), mapping(obj, "spec", "")
    exclusive = _exclusive(annotations)
    if spec is not None:
        template = mapping(spec, "groupTemplate", "spec.")
        spec = present(spec, "replicas")
        if template is not None:
            group = mapping(template, "spec", "spec.groupTemplate.") or {}
            policies = _policies(annotations)
            annotations = _without(annotations, _stand_ins(policies))
            spec["template"] = _spec_down(group, "spec.groupTemplate.spec.") | policies
    return _made(obj, _without(annotations, exclusive), spec)


# Parts ----------------------------------------------------------------------------------------------------------------


def _spec_up(spec: Obj, path: str) -> Obj:
    return _converted(spec, path, role_up)


def _spec_down(spec: Obj, path: str) -> Obj:
    return _converted(spec, path, role_down)


def _converted(spec: Obj, path: str, convert: Callable[[Obj, str], Obj]) -> Obj:
    made = present(spec, "roleTemplates")
    roles = sequence(spec, "roles", path)
    if roles is not None:
        made["roles"] = [convert(role, f"{path}roles[{index}].") for index, role in enumerate(roles)]
    return made


def _stand_ins(spec: Obj) -> Obj:
    """Annotations that stand for ``podGroupPolicy`` and ``coordination``, which v1alpha2 has no fields for."""
    made: Obj = {}
    policy, coordination = spec.get("podGroupPolicy"), spec.get("coordination")
    if isinstance(policy, dict):
        made[labels.CONVERSION_POD_GROUP_POLICY] = encode(policy).decode()
        made |= _gang(policy)
    if coordination and isinstance(coordination, list):
        made[labels.CONVERSION_COORDINATION] = encode(coordination).decode()
    return made


def _gang(policy: Obj) -> Obj:
    scheduling, volcano = policy.get("kubeScheduling"), policy.get("volcanoScheduling")
    if isinstance(scheduling, dict):
        seconds = scheduling.get("scheduleTimeoutSeconds")
        timed = isinstance(seconds, int) and not isinstance(seconds, bool)
        return {labels.GROUP_GANG_SCHEDULING: "true", **({labels.GROUP_GANG_TIMEOUT: str(seconds)} if timed else {})}
    if not isinstance(volcano, dict):
        return {}
    named = (
        (labels.GROUP_GANG_VOLCANO_QUEUE, volcano.get("queue")),
        (labels.GROUP_GANG_VOLCANO_PRIORITY, volcano.get("priorityClassName")),
    )
    return {
        labels.GROUP_GANG_SCHEDULING: "true",
        **{key: name for key, name in named if name and isinstance(name, str)},
    }


def _policies(annotations: Obj) -> Obj:
    """The fields that annotations stand for; an annotation that cannot be read stays an annotation."""
    made: Obj = {}
    policy = _parsed(annotations.get(labels.CONVERSION_POD_GROUP_POLICY))
    if isinstance(policy, dict):
        made["podGroupPolicy"] = policy
    coordination = _parsed(annotations.get(labels.CONVERSION_COORDINATION))
    if coordination and isinstance(coordination, list):
        made["coordination"] = coordination
    return made


def _parsed(text: object) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _exclusive(annotations: Obj) -> Obj:
    old = annotations.get(labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY)
    return {} if old is None else {labels.GROUP_EXCLUSIVE_TOPOLOGY: old}


def _without(annotations: Obj, names: Obj) -> Obj:
    return {name: value for name, value in annotations.items() if name not in names}


def _annotations(obj: Obj) -> Obj:
    """A copy of the annotations."""
    metadata = mapping(obj, "metadata", "") or {}
    return dict(mapping(metadata, "annotations", "metadata.") or {})


def _made(obj: Obj, annotations: Obj, spec: Obj | None) -> Obj:
    """``obj`` with other annotations and spec, and without nulls where they mean nothing."""
    made = {name: value for name, value in obj.items() if value is not None and name != "spec"}
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    if metadata or "metadata" in made:
        made["metadata"] = metadata
    if spec is not None:
        made["spec"] = spec
    status = made.pop("status", None)
    if isinstance(status, dict):
        status = {name: value for name, value in status.items() if value is not None}
    if status:
        made["status"] = status
    return made


GROUP: Final = Rules(up=_group_up, down=_group_down, v1alpha1_roles=("spec", "roles"), v1alpha2_roles=("spec", "roles"))
"""Of RoleBasedGroup."""
GROUP_SET: Final = Rules(
    up=_set_up,
    down=_set_down,
    v1alpha1_roles=("spec", "template", "roles"),
    v1alpha2_roles=("spec", "groupTemplate", "spec", "roles"),
)
"""Of RoleBasedGroupSet."""
