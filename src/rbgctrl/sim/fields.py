"""Sets of fields as managed fields write them, and what changed between two objects.

A set is the JSON of ``fieldsV1`` itself: ``{"f:spec": {"f:replicas": {}}}``. A node without children is a member; one
with children is a member when it has the key ``"."``. The empty dict at the top is the empty set.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson

from rbgctrl.sim.schema import ANY, Schema

__all__ = [
    "Fields",
    "added",
    "compared",
    "difference",
    "declared",
    "intersection",
    "item_key",
    "leaves",
    "named",
    "union",
]

Fields: TypeAlias = dict[str, Any]

_SELF = "."


def item_key(schema: Schema, item: dict[str, Any]) -> str:
    """How a list of ``schema`` names one of its items: ``k:{"name":"a"}``."""
    items = schema.items or ANY
    found = {}
    for key in schema.keys:
        if key in item:
            found[key] = item[key]
        elif key in items.fields and items.fields[key].has_default:
            found[key] = items.fields[key].default
    return "k:" + orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def value_key(item: Any) -> str:
    """How a set names one of its values: ``v:"a"``."""
    return "v:" + orjson.dumps(item).decode()


def is_keyed(schema: Schema, value: list[Any]) -> bool:
    """Whether the items of a list have identities of their own."""
    return schema.list_type == "set" or (
        schema.list_type == "map" and all(isinstance(item, dict) for item in value)
    )


def keyed(schema: Schema, value: list[Any]) -> dict[str, Any]:
    """The items of a keyed list by their names."""
    if schema.list_type == "set":
        return {value_key(item): item for item in value}
    return {item_key(schema, item): item for item in value}


# From values to sets --------------------------------------------------------------------------------------------------


def added(schema: Schema, value: Any) -> Fields:
    """The fields of a value that was not there before: everything in it, parents included."""
    if isinstance(value, dict):
        if not value or schema.atomic:
            return {}
        found: Fields = {_SELF: {}}
        for name, item in value.items():
            found["f:" + name] = added(schema.child(name), item) if isinstance(item, dict | list) else {}
        return found
    if isinstance(value, list) and value and is_keyed(schema, value):
        items = schema.items or ANY
        found = {_SELF: {}}
        for name, item in keyed(schema, value).items():
            found[name] = {} if items.atomic else added(items, item)
        return found
    return {}


def declared(schema: Schema, value: Any) -> Fields:
    """The fields an applied configuration speaks about: leaves and list items, but not the parents of fields."""
    if isinstance(value, dict):
        if not value or schema.atomic:
            return {}
        return {"f:" + name: declared(schema.child(name), item) for name, item in value.items()}
    if isinstance(value, list) and value and is_keyed(schema, value):
        items = schema.items or ANY
        found: Fields = {}
        for name, item in keyed(schema, value).items():
            inner = {} if items.atomic else declared(items, item)
            found[name] = {_SELF: {}, **inner} if inner else {}
        return found
    return {}


def compared(schema: Schema, old: Any, new: Any) -> tuple[Fields, Fields]:
    """What is new or different in ``new``, and what of ``old`` is gone."""
    changed: Fields = {}
    removed: Fields = {}
    if isinstance(old, dict) and isinstance(new, dict) and not schema.atomic:
        _compare(changed, removed, _named_fields(schema, old), _named_fields(schema, new))
    elif isinstance(old, list) and isinstance(new, list) and is_keyed(schema, new) and is_keyed(schema, old):
        items = schema.items or ANY
        _compare(
            changed,
            removed,
            {name: (items, item) for name, item in keyed(schema, old).items()},
            {name: (items, item) for name, item in keyed(schema, new).items()},
        )
    return changed, removed


def _named_fields(schema: Schema, value: dict[str, Any]) -> dict[str, tuple[Schema, Any]]:
    return {"f:" + name: (schema.child(name), item) for name, item in value.items()}


def _compare(
    changed: Fields, removed: Fields, old: dict[str, tuple[Schema, Any]], new: dict[str, tuple[Schema, Any]]
) -> None:
    for name, (schema, item) in new.items():
        before = old.get(name)
        if before is None:
            changed[name] = added(schema, item)
        elif before[1] is item or before[1] == item:
            continue
        elif _comparable(schema, before[1], item):
            inner, gone = compared(schema, before[1], item)
            if inner:
                changed[name] = inner
            if gone:
                removed[name] = gone
        else:
            changed[name] = {}
    for name, (schema, item) in old.items():
        if name not in new:
            removed[name] = added(schema, item)


def _comparable(schema: Schema, old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return not schema.atomic
    return isinstance(old, list) and isinstance(new, list) and is_keyed(schema, new) and is_keyed(schema, old)


# Set algebra ----------------------------------------------------------------------------------------------------------


def _member(node: Fields) -> bool:
    return not node or _SELF in node


def union(left: Fields, right: Fields) -> Fields:
    """Members of either."""
    if not left:
        return right
    if not right:
        return left
    found = dict(left)
    for name, node in right.items():
        mine = found.get(name)
        if mine is None:
            found[name] = node
        elif mine is not node and name != _SELF:
            found[name] = _union_nodes(mine, node)
    return found


def _union_nodes(left: Fields, right: Fields) -> Fields:
    if not left and not right:
        return left
    found = union({_SELF: {}} if not left else left, {_SELF: {}} if not right else right)
    return {} if found.keys() == {_SELF} else found


def difference(left: Fields, right: Fields) -> Fields:
    """Members of ``left`` that are not members of ``right``."""
    found: Fields = {}
    for name, node in left.items():
        other = right.get(name)
        if name == _SELF:
            continue
        rest = node if other is None else _without(node, other)
        if rest is not None:
            found[name] = rest
    return found


def _without(node: Fields, other: Fields) -> Fields | None:
    children = difference(node, other)
    if _member(node) and not _member(other):
        return {_SELF: {}, **children} if children else {}
    return children or None


def intersection(left: Fields, right: Fields) -> Fields:
    """Members of both."""
    found: Fields = {}
    for name, node in left.items():
        other = right.get(name)
        if other is None or name == _SELF:
            continue
        children = intersection(node, other)
        if _member(node) and _member(other):
            found[name] = {_SELF: {}, **children} if children else {}
        elif children:
            found[name] = children
    return found


def named(schema: Schema, fields: Fields) -> Fields:
    """The set with every declared field on the way to a member as a member itself."""
    found: Fields = {}
    for name, node in fields.items():
        if name == _SELF or not node:
            found[name] = node
            continue
        field = name.removeprefix("f:")
        if name.startswith("f:"):
            child, known = schema.child(field), field in schema.fields
        else:
            child, known = schema.items or ANY, False
        inner = named(child, node)
        found[name] = {_SELF: {}, **inner} if known or _SELF in node else inner
    return found


def leaves(fields: Fields, prefix: str = "") -> list[str]:
    """The members as text, for messages: ``.data.key``, ``.spec.ports[port=80].name``."""
    found = []
    for name, node in fields.items():
        if name == _SELF:
            found.append(prefix)
            continue
        path = prefix + _step_text(name)
        found.extend(leaves(node, path) if node else [path])
    return found


def _step_text(name: str) -> str:
    kind, _, rest = name.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        items = sorted(orjson.loads(rest).items())
        return "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in items) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"
