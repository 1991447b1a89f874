"""Why a RoleInstanceSet cannot be carried out, and what somebody has to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from rbgctrl.api import events, intstr, labels, names
from rbgctrl.api.instances import RoleInstanceSet, RoleInstanceSpec, ScaleStrategy, UpdateStrategy
from rbgctrl.graph.view import size_of

__all__ = ["Trouble", "fault", "pattern"]

STATEFUL_NAME_MAX: Final = names.LABEL_VALUE_MAX - 1 - 10
"""Longest name of a stateful set: with the hash of a revision it is the value of a label."""
_ID: Final = "x" * 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that keeps a set, or one of its instances, from what is asked for.

    Attributes:
        reason: of the condition and the Event.
        message: what, why, and what to do now.
    """

    reason: str
    message: str


def pattern(found: RoleInstanceSet) -> str:
    """How a set names and replaces its instances; the default when it does not say."""
    return found.metadata.annotations.get(labels.INSTANCE_PATTERN, "") or labels.PATTERN_STATEFUL


def fault(found: RoleInstanceSet) -> Trouble | None:
    """The first thing that is wrong with a set, or None."""
    chosen = pattern(found)
    if chosen not in (labels.PATTERN_STATEFUL, labels.PATTERN_STATELESS):
        return Trouble(
            reason=events.UNKNOWN_INSTANCE_PATTERN,
            message=f"annotation {labels.INSTANCE_PATTERN} is {chosen!r}, so its instances have no names; use "
            f"{labels.PATTERN_STATEFUL} or {labels.PATTERN_STATELESS}",
        )
    message = next(_problems(found, chosen), "")
    return Trouble(reason=events.INVALID_SPEC, message=message) if message else None


def _problems(found: RoleInstanceSet, chosen: str) -> Iterator[str]:
    if found.spec is None:
        yield "the set has no spec; add one with a roleInstanceTemplate"
        return
    if found.spec.replicas is not None and found.spec.replicas < 0:
        yield f"spec.replicas is {found.spec.replicas}; use 0 or more"
    yield from _limits(found)
    wrong = _template(bytes(found.spec.role_instance_template))
    if isinstance(wrong, str):
        yield f"spec.roleInstanceTemplate {wrong}"
        return
    yield from _names(found, chosen, wrong)


def _limits(found: RoleInstanceSet) -> Iterator[str]:
    assert found.spec is not None  # noqa: S101 - checked by the caller
    update, scale = found.spec.update_strategy or UpdateStrategy(), found.spec.scale_strategy or ScaleStrategy()
    told = {
        "updateStrategy.partition": update.partition,
        "updateStrategy.maxUnavailable": update.max_unavailable,
        "updateStrategy.maxSurge": update.max_surge,
        "scaleStrategy.maxUnavailable": scale.max_unavailable,
    }
    for field, value in told.items():
        try:
            intstr.ceil(0 if value is None else value, 1)
        except intstr.IntOrStringError:
            # Partitions of stateful sets may be written without the sign.
            if field == "updateStrategy.partition" and _legacy(value):
                continue
            yield f"spec.{field} is {value!r}; use a number or a percentage such as 25%"


def _legacy(value: Any) -> bool:
    try:
        intstr.legacy_floor(value, 1)
    except intstr.IntOrStringError:
        return False
    return True


@lru_cache(maxsize=2048)  # by content; asked on every pass
def _template(template: bytes) -> str | RoleInstanceSpec:
    """The template as the spec of an instance, or what is wrong with it."""
    try:
        spec = msgspec.json.decode(template, type=RoleInstanceSpec)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"cannot be read: {error}; correct the field"
    if not spec.components:
        return "has no components; add at least one"
    seen: set[str] = set()
    for index, component in enumerate(spec.components):
        where = f".components[{index}]"
        if not names.is_dns_label(component.name):
            return f"{where}.name is {component.name!r}; use lower-case letters, digits and dashes"
        if component.name in seen:
            return f"{where}.name is {component.name!r}, which another component has; choose another one"
        seen.add(component.name)
        if size_of(component) < 0:
            return f"{where}.size is {component.size}; use 0 or more"
        if wrong := _pod_template(msgspec.json.decode(component.template)):
            return f"{where}.template{wrong}"
    return spec


def _pod_template(template: Any) -> str:
    if not isinstance(template, Mapping):
        return " is no object; write a pod template"
    metadata, spec = template.get("metadata"), template.get("spec")
    for key in ("labels", "annotations"):
        told = metadata.get(key) if isinstance(metadata, Mapping) else None
        if told is not None and not (isinstance(told, Mapping) and all(isinstance(v, str) for v in told.values())):
            return f".metadata.{key} is no map of strings; write one"
    if metadata is not None and not isinstance(metadata, Mapping):
        return ".metadata is no object; write one or leave it out"
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if not isinstance(containers, list) or not containers:
        return ".spec.containers is missing or empty; a pod needs at least one container"
    if not all(isinstance(item, Mapping) for item in containers):
        return ".spec.containers has an entry that is no object; correct it"
    return ""


def _names(found: RoleInstanceSet, chosen: str, spec: RoleInstanceSpec) -> Iterator[str]:
    name = found.metadata.name
    if chosen == labels.PATTERN_STATEFUL:
        if len(name) > STATEFUL_NAME_MAX:
            yield (
                f"its name has {len(name)} characters, and {STATEFUL_NAME_MAX} is the most that fits into a label of "
                f"its instances; create it under a shorter name"
            )
            return
        replicas = found.spec.replicas if found.spec is not None and found.spec.replicas is not None else 1
        longest = names.instance(name, max(replicas - 1, 0))
    else:
        longest = names.stateless_instance(name, _ID)
    if len(longest) > names.NAME_MAX:
        yield f"its instances would be called {longest}, and {names.NAME_MAX} characters is the most; shorten its name"
        return
    role_type = found.metadata.labels.get(labels.ROLE_TYPE, labels.ROLE_TYPE_COMPONENTS)
    for component in spec.components:
        made = names.pod(longest, component.name, max(size_of(component) - 1, 0), role_type)
        if len(made) > names.NAME_MAX:
            yield (
                f"its pods would have names like {made}, of {len(made)} characters, and {names.NAME_MAX} is the most; "
                f"shorten the name of the set or of component {component.name}"
            )
            return
