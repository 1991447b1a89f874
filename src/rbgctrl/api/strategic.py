"""Strategic merge patch: lists of a pod template or another built-in object are merged by key, not replaced.

A port of the API server's semantics: directives ``$patch``, ``$retainKeys``, ``$setElementOrder/…`` and
``$deleteFromPrimitiveList/…``, and its order of merged lists. Pure: neither argument is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["StrategicError", "strategic_merge"]

_TYPES: Final[dict[str, str]] = {
    # field:Type is an object; field=key:Type is a list merged by key; field= is a list of scalars that is merged.
    # What is not mentioned is merged field by field when it is an object and replaced when it is not.
    "ObjectMeta": "finalizers= ownerReferences=uid",
    "PodTemplateSpec": "metadata:ObjectMeta spec:PodSpec",
    "Pod": "metadata:ObjectMeta spec:PodSpec status:PodStatus",
    "PodSpec": (
        "containers=name:Container initContainers=name:Container ephemeralContainers=name:Container volumes=name "
        "imagePullSecrets=name hostAliases=ip topologySpreadConstraints=topologyKey resourceClaims=name "
        "schedulingGates=name"
    ),
    "Container": "env=name ports=containerPort volumeMounts=mountPath volumeDevices=devicePath",
    "PodStatus": "conditions=type podIPs=ip hostIPs=ip resourceClaimStatuses=name",
    "Service": "metadata:ObjectMeta spec:ServiceSpec status:Conditions",
    "ServiceSpec": "ports=port",
    "ServiceAccount": "metadata:ObjectMeta secrets=name",
    "Node": "metadata:ObjectMeta spec:NodeSpec status:NodeStatus",
    "NodeSpec": "podCIDRs=",
    "NodeStatus": "conditions=type addresses=type",
    "Namespace": "metadata:ObjectMeta status:Conditions",
    "Conditions": "conditions=type",
    "Workload": "template:PodTemplateSpec",
    "Deployment": "metadata:ObjectMeta spec:Workload status:Conditions",
    "ReplicaSet": "metadata:ObjectMeta spec:Workload status:Conditions",
    "StatefulSet": "metadata:ObjectMeta spec:Workload status:Conditions",
    "": "metadata:ObjectMeta",
}
_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"
_NOTHING: Final = object()


class StrategicError(ValueError):
    """The patch does not fit: an item without its merge key, an unknown directive, or a list where none belongs."""


class _Field(NamedTuple):
    """How a field is merged.

    Attributes:
        type: of the object, or of the list's items; ``None`` when nothing is known.
        key: merge key of a list of objects; ``""`` for a list of scalars; None when a list is replaced.
    """

    type: str | None = None
    key: str | None = None


def _parse(text: str) -> dict[str, _Field]:
    found = {}
    for part in text.split():
        name, _, kind = part.partition(":")
        name, listed, key = name.partition("=")
        found[name] = _Field(kind or None, key if listed else None)
    return found


_FIELDS: Final = {name: _parse(text) for name, text in _TYPES.items()}
_UNKNOWN: Final = _Field()


def strategic_merge(
    target: Mapping[str, Any], patch: Mapping[str, Any], kind: str = "PodTemplateSpec"
) -> dict[str, Any]:
    """``target`` with ``patch`` merged in.

    Args:
        target: the object as it is.
        patch: what to change; null removes a field.
        kind: what both are: ``PodTemplateSpec`` or a built-in kind. Of other kinds only metadata is merged by key.

    Raises:
        StrategicError: the patch does not fit.
    """
    return _merge(target, patch, kind if kind in _FIELDS else "")


def _field(kind: str | None, name: str) -> _Field:
    return _FIELDS.get(kind, {}).get(name, _UNKNOWN) if kind is not None else _UNKNOWN


def _merge(target: Mapping[str, Any], patch: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive is not None:
        return _replaced(directive, patch)
    result = _retained(target, patch)
    ordered = _ordered(result, patch, kind)
    for name, value in patch.items():
        if name == _RETAIN or name.startswith(_ORDER) or name in ordered:
            continue
        deleting = name.startswith(_DELETE)
        field = name.removeprefix(_DELETE)
        if value is None:
            result.pop(field, None)
            continue
        present = result.get(field)
        how = _field(kind, field)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            result[field] = _merge(present, value, how.type)
        elif isinstance(present, list) and isinstance(value, list) and (how.key is not None or deleting):
            result[field] = _merge_lists(present, value, how, field, deleting=deleting)
        elif isinstance(present, list) and isinstance(value, list):
            result[field] = _bare(value)
        elif not deleting:
            _set(result, field, _plain(value))
    return result


def _set(result: dict[str, Any], field: str, value: Any) -> None:
    if value is _NOTHING:
        result.pop(field, None)
    else:
        result[field] = value


def _replaced(directive: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    if directive == "replace":
        return {name: _bare(value) for name, value in patch.items() if value is not None and not _is_directive(name)}
    if directive == "delete":
        return {}
    raise StrategicError(f"unknown patch type: {directive}")


def _retained(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    keys = patch.get(_RETAIN)
    if keys is None:
        return dict(target)
    if not isinstance(keys, list):
        raise StrategicError("invalid patch format of retainKeys")
    for name, value in patch.items():
        if value is not None and not name.startswith("$") and name not in keys:
            raise StrategicError(f"patch doesn't match retainKeys list: {name}")
    return {name: value for name, value in target.items() if name in keys}


def _plain(value: Any) -> Any:
    """A patch's value for a field that was not there: without nulls, and without whatever carries a directive."""
    if isinstance(value, Mapping):
        if _PATCH in value:
            return _NOTHING
        found = {name: _plain(item) for name, item in value.items() if item is not None and not _is_directive(name)}
        return {name: item for name, item in found.items() if item is not _NOTHING}
    if isinstance(value, list):
        return [item for item in map(_plain, value) if item is not _NOTHING]
    return value


def _bare(value: Any) -> Any:
    """What takes the place of something, or joins a list. Directives inside are not carried out but left behind."""
    if isinstance(value, Mapping):
        return {name: _bare(item) for name, item in value.items() if item is not None and not _is_directive(name)}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _is_directive(name: str) -> bool:
    return name in (_PATCH, _RETAIN) or name.startswith((_ORDER, _DELETE))


# Lists ----------------------------------------------------------------------------------------------------------------


def _ordered(result: dict[str, Any], patch: Mapping[str, Any], kind: str | None) -> set[str]:
    """Merge the lists whose order the patch names; returns their fields."""
    done: set[str] = set()
    for name, order in patch.items():
        if not name.startswith(_ORDER):
            continue
        field = name.removeprefix(_ORDER)
        how = _field(kind, field)
        present, changes = result.get(field), patch.get(field)
        if not isinstance(order, list):
            raise StrategicError(f"invalid patch format of setElementOrder list {field}")
        for given in (item for item, there in ((present, field in result), (changes, field in patch)) if there):
            if not isinstance(given, list):
                raise StrategicError(f"{field} is no list, so it has no order")
        _check_order(changes, order, how.key, field)
        removed = patch.get(_DELETE + field)
        if isinstance(present, list) and isinstance(removed, list):
            result[field] = present = [item for item in present if item not in removed]
        if isinstance(present, list) and isinstance(changes, list):
            merged = _merge_lists(present, changes, how, field)
        elif isinstance(present, list):
            merged = present
        elif isinstance(changes, list):
            merged, present = _plain(changes), []
        else:
            continue
        if not present and not changes:
            raise StrategicError(f"there are no elements of {field} to put in order")
        wanted, rest = _split(merged, order, how.key)
        result[field] = _interleaved(_sorted(wanted, order, how.key), rest, present, how.key)
        done.update((field, _DELETE + field))
    return done


def _check_order(changes: Any, order: Sequence[Any], key: str | None, field: str) -> None:
    """Refuse a list whose own order contradicts the one it asks for."""
    listed = changes if isinstance(changes, list) else ()
    items = [item for item in listed if not (isinstance(item, Mapping) and _PATCH in item)]
    positions = _positions(items, order, key)
    if -1 in positions or positions != sorted(positions):
        raise StrategicError(f"The order in patch list of {field} doesn't match its $setElementOrder list")


def _merge_lists(
    present: list[Any], changes: list[Any], how: _Field, field: str, *, deleting: bool = False
) -> list[Any]:
    if not present and not changes:
        return present
    if not all(isinstance(item, Mapping) for item in (*present, *changes)):
        if deleting:
            return [item for item in present if item not in changes]
        if any(isinstance(item, Mapping | list) for item in (*present, *changes)):
            raise StrategicError(f"the items of {field} are not all of one type")
        merged = list(dict.fromkeys([*present, *changes]))
        wanted, rest = _split(merged, changes, None)
        return _interleaved(_sorted(wanted, changes, None), rest, present, None)
    if not how.key:
        raise StrategicError(f"cannot merge lists without merge key for {field}")
    present, changes = _directed(present, changes, how.key)
    merged = list(present)
    for change in changes:
        value = _key(change, how.key)
        index = _index(merged, value, how.key)
        if index is None:
            merged.append(_bare(change))
        else:
            merged[index] = _merge(merged[index], change, how.type)
    wanted, rest = _split(merged, changes, how.key)
    return _interleaved(_sorted(wanted, changes, how.key), rest, present, how.key)


def _directed(present: list[Any], changes: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the items that are directives; returns what is left of both lists."""
    left, plain, replace = list(present), [], False
    for change in changes:
        match change.get(_PATCH):
            case None:
                plain.append(change)
            case "delete":
                value = _key(change, key)
                left = [item for item in left if item.get(key) != value]
            case "replace":
                replace = True
            case other:
                raise StrategicError(f"unknown patch type: {other}")
    return ([], plain) if replace else (left, plain)


def _key(item: Mapping[str, Any], key: str) -> Any:
    if key not in item:
        raise StrategicError(f"map: {dict(item)} does not contain declared merge key: {key}")
    return item[key]


def _same(item: Any, other: Any, key: str | None) -> bool:
    if key and isinstance(item, Mapping) and isinstance(other, Mapping):
        return bool(item.get(key) == other.get(key))
    return bool(item == other)


def _index(items: Sequence[Any], value: Any, key: str) -> int | None:
    return next((index for index, item in enumerate(items) if item.get(key) == value), None)


def _positions(items: Sequence[Any], order: Sequence[Any], key: str | None) -> list[int]:
    """Where ``order`` names each item; -1 for those it does not name."""
    if key and all(type(item) is dict for item in (*items, *order)):  # nearly always
        values = [other.get(key) for other in order]
        return [values.index(value) if (value := item.get(key)) in values else -1 for item in items]
    return [next((index for index, other in enumerate(order) if _same(item, other, key)), -1) for item in items]


def _split(merged: list[Any], order: Sequence[Any], key: str | None) -> tuple[list[Any], list[Any]]:
    """Items that ``order`` names, and the rest."""
    places = list(zip(merged, _positions(merged, order, key), strict=True))
    return [item for item, place in places if place >= 0], [item for item, place in places if place < 0]


def _sorted(items: list[Any], order: Sequence[Any], key: str | None) -> list[Any]:
    places = _positions(items, order, key)
    return [items[index] for index in sorted(range(len(items)), key=places.__getitem__)]


def _interleaved(wanted: list[Any], rest: list[Any], present: Sequence[Any], key: str | None) -> list[Any]:
    """Both lists in their own order; an item of the rest comes first only where it stood first before."""
    rest = _sorted(rest, present, key)
    result: list[Any] = []
    left, right = 0, 0
    befores, afters = _positions(rest, present, key), _positions(wanted, present, key)
    while left < len(rest) and right < len(wanted):
        if 0 <= befores[left] < afters[right]:
            result.append(rest[left])
            left += 1
        else:
            result.append(wanted[right])
            right += 1
    return result + wanted[right:] + rest[left:]
