"""Annotations and labels that nobody reads where they are: misspelt, of v1alpha1, or at the wrong place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rbgctrl.api import labels
from rbgctrl.api.conversion import V1ALPHA1
from rbgctrl.cli.validate.item import Item, mapping, sequence

__all__ = ["RENAMED", "check"]

_DEFINED: Final = frozenset(
    value for name, value in vars(labels).items() if name.isupper() and isinstance(value, str) and "/" in value
)
_OF_COMPONENTS: Final = frozenset((labels.PORT_ALLOCATOR, labels.COMPONENT_DISCOVERY, labels.COMPONENT_DEPENDS_ON))
"""Keys that have the prefix of v1alpha1 to this day."""
_OLD_PREFIXES: Final = (labels.PREFIX_V1ALPHA1, f"component.{labels.PREFIX_V1ALPHA1}", f"role.{labels.PREFIX_V1ALPHA1}")
RENAMED: Final[Mapping[str, str]] = {
    f"{labels.PREFIX_V1ALPHA1}name": labels.GROUP_NAME,
    f"{labels.PREFIX_V1ALPHA1}role": labels.ROLE_NAME,
    f"{labels.PREFIX_V1ALPHA1}group-unique-key": labels.GROUP_UID,
    f"component.{labels.PREFIX_V1ALPHA1}name": labels.COMPONENT_NAME,
    f"component.{labels.PREFIX_V1ALPHA1}index": labels.COMPONENT_INDEX,
    f"component.{labels.PREFIX_V1ALPHA1}size": labels.COMPONENT_SIZE,
    labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY: labels.GROUP_EXCLUSIVE_TOPOLOGY,
    f"{labels.PREFIX_V1ALPHA1}disable-exclusive-topology": labels.ROLE_DISABLE_EXCLUSIVE,
}
"""Keys of v1alpha1, and what they are called now."""

_ON_GROUPS: Final = frozenset(
    (
        labels.GROUP_EXCLUSIVE_TOPOLOGY,
        labels.GROUP_GANG_SCHEDULING,
        labels.GROUP_GANG_TIMEOUT,
        labels.GROUP_GANG_VOLCANO_PRIORITY,
        labels.GROUP_GANG_VOLCANO_QUEUE,
    )
)
_ON_ROLES: Final = frozenset(
    (
        labels.ROLE_WORKLOAD_TYPE,
        labels.INSTANCE_PATTERN,
        labels.INPLACE_SCHEDULING,
        labels.INPLACE_SCHEDULING_GRANULARITY,
        labels.INPLACE_SCHEDULING_AVOID,
    )
)
_ON_TEMPLATES: Final = frozenset((labels.ROLE_DISABLE_EXCLUSIVE, labels.RESTART_TRIGGER_POLICY))
_PLACES: Final = (
    (_ON_GROUPS, "group", "the annotations of the RoleBasedGroup"),
    (_ON_ROLES, "role", "the annotations of a role"),
    (_ON_TEMPLATES, "template", "the annotations of a pod template"),
)


def check(item: Item) -> None:
    """Warn of every key in an object that nobody reads. Objects of v1alpha1 keep theirs for conversion."""
    if item.api_version == V1ALPHA1:
        return
    for path, kind, found in _annotated(item):
        for key in mapping(found):
            place = f"{path}[{key}]"
            if message := _unread(str(key)) or _misplaced(str(key), kind):
                item.warn(place, message, "unread-key")


def _unread(key: str) -> str:
    if key.startswith(_OLD_PREFIXES) and key not in _OF_COMPONENTS:
        now = RENAMED.get(key) or next((known for known in _same_suffix(key)), "")
        return f"is a key of v1alpha1 that nobody reads; {f'write {now}' if now else 'remove it'}"
    if key.startswith(labels.PREFIX) and key not in _DEFINED and not key.startswith(labels.ROLE_REVISION_PREFIX):
        close = difflib.get_close_matches(key, _DEFINED, n=1)
        return f"is a key that nobody reads; {f'do you mean {close[0]}?' if close else 'check its spelling'}"
    return ""


def _same_suffix(key: str) -> Iterator[str]:
    suffix = key.rpartition("/")[2]
    for prefix in ("", "group-", "role-"):
        if (known := f"{labels.PREFIX}{prefix}{suffix}") in _DEFINED:
            yield known


def _misplaced(key: str, kind: str) -> str:
    for keys, place, where in _PLACES:
        if key in keys and kind not in (place, "labels"):
            return f"does nothing here; it belongs to {where}"
    return ""


def _annotated(item: Item) -> Iterator[tuple[str, str, Any]]:
    """Every place with keys: path, what the object there is, and the keys. What is no group is looked at, too."""
    body: Mapping[str, Any] = item.body
    metadata = mapping(body.get("metadata"))
    spec, path = mapping(body.get("spec")), "spec"
    is_set = item.kind == "RoleBasedGroupSet"
    yield "metadata.annotations", "set" if is_set else "group", metadata.get("annotations")
    yield "metadata.labels", "labels", metadata.get("labels")
    if is_set:
        template = mapping(spec.get("groupTemplate"))
        yield "spec.groupTemplate.annotations", "group", template.get("annotations")
        spec, path = mapping(template.get("spec")), "spec.groupTemplate.spec"
    if item.kind not in ("RoleBasedGroup", "RoleBasedGroupSet"):
        return
    for index, entry in enumerate(sequence(spec.get("roleTemplates"))):
        place = f"{path}.roleTemplates[{index}].template"
        yield from _template(place, mapping(entry).get("template"))
    for index, entry in enumerate(sequence(spec.get("roles"))):
        yield from _role(f"{path}.roles[{index}]", mapping(entry))


def _role(path: str, role: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    yield f"{path}.annotations", "role", role.get("annotations")
    yield f"{path}.labels", "labels", role.get("labels")
    for pattern in ("standalonePattern", "leaderWorkerPattern"):
        found = mapping(role.get(pattern))
        yield from _template(f"{path}.{pattern}.template", found.get("template"))
    custom = mapping(role.get("customComponentsPattern"))
    for index, component in enumerate(sequence(custom.get("components"))):
        place = f"{path}.customComponentsPattern.components[{index}]"
        yield f"{place}.annotations", "template", mapping(component).get("annotations")
        yield from _template(f"{place}.template", mapping(component).get("template"))


def _template(path: str, template: Any) -> Iterator[tuple[str, str, Any]]:
    metadata = mapping(mapping(template).get("metadata"))
    yield f"{path}.metadata.annotations", "template", metadata.get("annotations")
    yield f"{path}.metadata.labels", "labels", metadata.get("labels")
