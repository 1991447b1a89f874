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
    "declared",
    "difference",
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
    keys = schema.keys
    if len(keys) == 1:
        value = item.get(keys[0])
        if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
            return f'k:{{"{keys[0]}":"{value}"}}'
    found = {}
    fields = schema.items.fields if schema.items is not None else {}
    for key in keys:
        if key in item:
            found[key] = item[key]
        elif key in fields and fields[key].has_default:
            found[key] = fields[key].default
    return "k:" + orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def value_key(item: Any) -> str:
    """How a set names one of its values: ``v:"a"``."""
    return "v:" + orjson.dumps(item).decode()


def is_keyed(schema: Schema, value: list[Any]) -> bool:
    """Whether the items of a list have identities of their own."""
    return schema.list_type == "set" or (schema.list_type == "map" and all(isinstance(item, dict) for item in value))


def keyed(schema: Schema, value: list[Any]) -> dict[str, Any]:
    """The items of a keyed list by their names."""
    if schema.list_type == "set":
        return {value_key(item): item for item in value}
    return {item_key(schema, item): item for item in value}


# From values to sets --------------------------------------------------------------------------------------------------


def added(schema: Schema, value: Any) -> Fields:
    """The fields of a value that was not there before: everything in it, parents included."""
    kind = type(value)
    if kind is dict:
        if not value or schema.atomic:
            return {}
        fields, extra = schema.fields, schema.extra or ANY
        found: Fields = {_SELF: {}}
        for name, item in value.items():
            inner = type(item)
            if inner is dict or inner is list:
                found["f:" + name] = added(fields.get(name) or extra, item) if item else {}
            else:
                found["f:" + name] = {}
        return found
    if kind is list and value and schema.list_type != "atomic" and is_keyed(schema, value):
        items = schema.items or ANY
        found = {_SELF: {}}
        for name, item in keyed(schema, value).items():
            found[name] = {} if items.atomic else added(items, item)
        return found
    return {}


def declared(schema: Schema, value: Any) -> Fields | None:
    """The fields an applied configuration speaks about: leaves and list items, but not the parents of fields.

    None when it speaks about nothing: a keyed list without items.
    """
    if isinstance(value, dict):
        if not value or schema.atomic:
            return {}
        found: Fields = {}
        for name, item in value.items():
            inner = declared(schema.child(name), item)
            if inner is not None:  # an entry of a map is owned itself, a field of a struct only through its content
                found["f:" + name] = {_SELF: {}, **inner} if inner and name not in schema.fields else inner
        return found or None
    if isinstance(value, list) and is_keyed(schema, value):
        items = schema.items or ANY
        found = {}
        for name, item in keyed(schema, value).items():
            inner = {} if items.atomic else declared(items, item)
            found[name] = {_SELF: {}, **inner} if inner else {}
        return found or None
    return {}


def compared(schema: Schema, old: Any, new: Any) -> tuple[Fields, Fields]:
    """What is new or different in ``new``, and what of ``old`` is gone."""
    changed: Fields = {}
    removed: Fields = {}
    if isinstance(old, dict) and isinstance(new, dict):
        if not schema.atomic:
            _compare_objects(schema, old, new, changed, removed)
    elif isinstance(old, list) and isinstance(new, list) and is_keyed(schema, new) and is_keyed(schema, old):
        items = schema.items or ANY
        before, after = keyed(schema, old), keyed(schema, new)
        for name, item in after.items():
            if name not in before:
                changed[name] = {} if items.atomic else added(items, item)
            elif before[name] != item:
                _compare(items, before[name], item, name, changed, removed)
        for name, item in before.items():
            if name not in after:
                removed[name] = {} if items.atomic else added(items, item)
    return changed, removed


def _compare_objects(
    schema: Schema, old: dict[str, Any], new: dict[str, Any], changed: Fields, removed: Fields
) -> None:
    for name, item in new.items():
        if name not in old:
            changed["f:" + name] = added(schema.child(name), item)
        elif old[name] is not item and old[name] != item:
            _compare(schema.child(name), old[name], item, "f:" + name, changed, removed)
    for name, item in old.items():
        if name not in new:
            removed["f:" + name] = added(schema.child(name), item)


def _compare(schema: Schema, before: Any, item: Any, name: str, changed: Fields, removed: Fields) -> None:
    """Enter the difference of two unequal values of the same name."""
    if _comparable(schema, before, item):
        inner, gone = compared(schema, before, item)
        if inner:
            changed[name] = inner
        if gone:
            removed[name] = gone
    elif before is None and isinstance(item, dict | list):
        changed[name] = {inner: node for inner, node in added(schema, item).items() if inner != _SELF}
    else:
        changed[name] = {}


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
    found = union(left or {_SELF: {}}, right or {_SELF: {}})
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
    """The members as text, for messages: ``.data.key``, ``.spec.ports[port=80].name``; parents before children."""
    names = sorted(name for name in fields if name != _SELF)
    found = [prefix + _step_text(name) for name in names if _member(fields[name])]
    for name in names:
        if fields[name]:
            found.extend(leaves(fields[name], prefix + _step_text(name)))
    return found


def _step_text(name: str) -> str:
    kind, _, rest = name.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        items = sorted(orjson.loads(rest).items())
        return "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in items) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"
