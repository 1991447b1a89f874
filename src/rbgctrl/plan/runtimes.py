"""Engine runtimes: what profiles add to a role's pods, and which content of a profile counts.

A RollingUpdate profile counts as it is, so an edit changes the template and instances roll. A NoUpdate profile counts
as it was when the role first asked for it: that content is written down on the workload (annotation
``labels.RUNTIME_PROFILES``), where a restart of the controller finds it, and stays in force until the role asks for
something else of the profile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from rbgctrl.api.groups import EngineRuntime, RoleSpec
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile, ProfileUpdateStrategy
from rbgctrl.api.templates import TemplateError

__all__ = ["NOTHING", "Runtimes", "inject_runtimes", "resolve", "version"]

PINNED_MAX: Final = 200_000
"""Bytes of content that can be written down; an object's annotations may have 256 KiB in all."""

_DIGEST_LENGTH: Final = 16


class Content(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a profile holds that pods are made from."""

    init_containers: tuple[dict[str, Any], ...] = ()
    containers: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()


class Pin(msgspec.Struct, frozen=True):
    """Content that stays, and for which demand of the role."""

    asked: str
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """What a role's engine runtimes come to.

    Attributes:
        parts: each demand of the role with the content it is for, in order.
        annotation: value of ``labels.RUNTIME_PROFILES`` on the workload; ``""`` for none.
    """

    parts: tuple[tuple[EngineRuntime, Content], ...] = ()
    annotation: str = ""


NOTHING: Final = Runtimes()
"""Of a role that asks for no profile."""


def version(role: RoleSpec, profiles: Mapping[str, ClusterEngineRuntimeProfile], pinned: str) -> tuple[object, ...]:
    """What :func:`resolve` depends on besides the role; cheap to compare while the cache holds the same objects."""
    found = (profiles.get(runtime.profile_name) for runtime in role.engine_runtimes)
    return (pinned, *(item.spec if item is not None else None for item in found))


def resolve(role: RoleSpec, profiles: Mapping[str, ClusterEngineRuntimeProfile], pinned: str) -> Runtimes:
    """The content that counts for each engine runtime of a role.

    Args:
        role: the role.
        profiles: those that exist, by name.
        pinned: value of ``labels.RUNTIME_PROFILES`` on the role's workload, ``""`` when there is none.

    Raises:
        TemplateError: a profile is missing, or does not have what the role asks for.
    """
    known = _pins(pinned)
    pins: dict[str, Pin] = {}
    parts = []
    for runtime in role.engine_runtimes:
        name = runtime.profile_name
        asked = _asked(role, name)
        pin = known.get(name)
        pin = pin if pin is not None and pin.asked == asked else None
        content, stays = _content(name, profiles.get(name), pin)
        if stays:
            pins[name] = Pin(asked=asked, content=content)
        lacking = sorted(set(runtime.inject_containers) - {str(item["name"]) for item in content.containers})
        if lacking:
            message = f"engine runtime profile {name} has no container {lacking[0]}; correct injectContainers"
            raise TemplateError(message)
        parts.append((runtime, content))
    annotation = msgspec.json.encode(pins, order="deterministic").decode() if pins else ""
    if len(annotation) > PINNED_MAX:
        raise TemplateError(
            f"engine runtime profiles {', '.join(sorted(pins))} are too large to be kept as they are; "
            f"make them smaller, or set their updateStrategy to {ProfileUpdateStrategy.ROLLING_UPDATE.value}"
        )
    return Runtimes(parts=tuple(parts), annotation=annotation)


def _content(name: str, found: ClusterEngineRuntimeProfile | None, pin: Pin | None) -> tuple[Content, bool]:
    """The content of a profile, and whether it stays when the profile changes."""
    spec = found.spec if found is not None else None
    if spec is None:
        if pin is not None:
            return pin.content, True
        raise TemplateError(f"engine runtime profile {name} does not exist; create it, or correct engineRuntimes")
    fresh = Content(init_containers=spec.init_containers, containers=spec.containers, volumes=spec.volumes)
    if spec.update_strategy is ProfileUpdateStrategy.ROLLING_UPDATE:
        return fresh, False
    return (pin.content if pin is not None else fresh), True


def _asked(role: RoleSpec, name: str) -> str:
    """A digest of everything the role asks for of a profile."""
    demands = [
        (runtime.inject_containers, runtime.containers)
        for runtime in role.engine_runtimes
        if runtime.profile_name == name
    ]
    return hashlib.sha256(msgspec.json.encode(demands, order="deterministic")).hexdigest()[:_DIGEST_LENGTH]


@lru_cache(maxsize=1024)
def _pins(text: str) -> Mapping[str, Pin]:
    """What was written down; nothing when it cannot be read any more."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Pin])
    except msgspec.DecodeError:
        return {}


# Injection ------------------------------------------------------------------------------------------------------------


def inject_runtimes(template: Mapping[str, Any], runtimes: Runtimes) -> dict[str, Any]:
    """A pod template with what the profiles add; what has the name of something that is there is left out."""
    spec = dict(template.get("spec") or {})
    for runtime, content in runtimes.parts:
        chosen = [item for item in content.containers if _chosen(runtime, item)]
        for field, added in (
            ("initContainers", content.init_containers),
            ("containers", chosen),
            ("volumes", content.volumes),
        ):
            if added:
                spec[field] = _joined(spec.get(field) or (), added)
        overrides = {str(item["name"]): item for item in runtime.containers}
        declared = {str(item["name"]) for item in chosen}
        spec["containers"] = [
            _overridden(item, overrides[item["name"]])
            if item["name"] in overrides and item["name"] in declared
            else item
            for item in spec.get("containers") or ()
        ]
    return {**template, "spec": spec}


def _chosen(runtime: EngineRuntime, container: Mapping[str, Any]) -> bool:
    return not runtime.inject_containers or container["name"] in runtime.inject_containers


def _joined(present: Sequence[Any], added: Sequence[Mapping[str, Any]]) -> list[Any]:
    result = list(present)
    names = {item["name"] for item in result}
    for item in added:
        if item["name"] not in names:
            names.add(item["name"])
            result.append(item)
    return result


def _overridden(container: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """The container with the override's env and args appended; nothing else of an override counts."""
    result = dict(container)
    for field in ("env", "args"):
        more = override.get(field)
        if more:
            result[field] = [*(container.get(field) or ()), *more]
    return result
