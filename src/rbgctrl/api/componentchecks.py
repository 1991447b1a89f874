"""What is wrong with the annotations of custom components: JSON that pods are made from. Pure.

Upstream reads them when it creates pods, and fails on every retry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rbgctrl.api import events, labels
from rbgctrl.api.finding import Finding, Severity
from rbgctrl.api.groups import GroupComponent
from rbgctrl.api.ordering import order

__all__ = ["component_findings"]

_READ: Final = (labels.COMPONENT_DEPENDS_ON, labels.COMPONENT_DISCOVERY, labels.PORT_ALLOCATOR)
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    labels.COMPONENT_DEPENDS_ON: ("startAfter", "deleteAfter"),
    labels.COMPONENT_DISCOVERY: ("addressRefs", "portRefs"),
    labels.PORT_ALLOCATOR: ("allocations", "references"),
}


def component_findings(components: Sequence[GroupComponent], path: str, role: str) -> Iterator[Finding]:
    """Everything wrong with the annotations of a role's custom components, in order.

    Args:
        components: of the role.
        path: of the list.
        role: name of the role.
    """
    known = {component.name for component in components}
    after: dict[str, list[str]] = {component.name: [] for component in components}
    for index, component in enumerate(components):
        for place, told in _annotations(component):
            for key in _READ:
                text = told.get(key)
                if not isinstance(text, str):
                    continue
                at = _Place(f"{path}[{index}]{place}[{key}]", role)
                found = _parsed(key, text)
                if isinstance(found, str):
                    yield at.finding("component-annotation", text, found)
                    continue
                for name, why in _references(key, found):
                    if name not in known:
                        message = f"{name} is no component of this role; {why}"
                        yield at.finding("component-reference", name, message)
                if key == labels.COMPONENT_DEPENDS_ON:
                    after[component.name] += [name for name in found["startAfter"] if name in known]
    if cycle := order(after).cycle:
        first = next(index for index, component in enumerate(components) if component.name == cycle[0])
        message = f"components wait for each other: {' -> '.join(cycle)}; they start without order"
        at = _Place(f"{path}[{first}].annotations[{labels.COMPONENT_DEPENDS_ON}]", role)
        yield at.finding("component-cycle", cycle[1], message, severity=Severity.WARNING)


class _Place:
    __slots__ = ("path", "role")

    def __init__(self, path: str, role: str) -> None:
        self.path, self.role = path, role

    def finding(self, rule: str, value: Any, message: str, severity: Severity = Severity.ERROR) -> Finding:
        return Finding(
            path=self.path,
            value=value,
            message=message,
            role=self.role,
            severity=severity,
            reason=events.INVALID_SPEC,
            rule=rule,
        )


def _annotations(component: GroupComponent) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Those of the component win over those of its template, which then are not read."""
    yield ".annotations", component.annotations
    metadata = component.template.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(found, dict):
        rest = {key: value for key, value in found.items() if key not in component.annotations}
        yield ".template.metadata.annotations", rest


def _parsed(key: str, text: str) -> dict[str, list[Any]] | str:
    """The lists in an annotation, or what is wrong with it."""
    wanted = " and ".join(_LISTS[key])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return f"is no JSON; write an object with the lists {wanted}"
    if not isinstance(value, dict):
        return f"is no JSON object; write one with the lists {wanted}"
    lists = {name: value.get(name) or [] for name in _LISTS[key]}
    kind = str if key == labels.COMPONENT_DEPENDS_ON else dict
    for name, items in lists.items():
        if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
            return f"has something else than a list of {'names' if kind is str else 'objects'} as {name}"
    return lists


def _references(key: str, lists: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, str]]:
    """Names of components, each with what to do when there is none of that name."""
    if key == labels.COMPONENT_DEPENDS_ON:
        for name in (*lists["startAfter"], *lists["deleteAfter"]):
            yield name, "correct the name or remove it"
    elif key == labels.COMPONENT_DISCOVERY:
        for item in (*lists["addressRefs"], *lists["portRefs"]):
            name = item.get("component")
            if isinstance(name, str):
                yield name, "its address and ports cannot be told"
