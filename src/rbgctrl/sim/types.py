"""Schemas of the built-in kinds, from the table in ``builtin.types``.

One type a line, ``Name field:kind …``; ``Name!`` is owned and replaced as a whole by server-side apply.

* ``?`` after a field's name: left out while it is empty. ``!``: always there, with Go's zero value.
* kind ``str``, ``int``, ``num``, ``bool``, ``quantity``, ``intstr``, ``time``, ``any``, or a type's name; ``[]`` before
  it for a list, ``{}`` for a map; ``=x`` after it for a default that counts in list keys.
* after a list, ``@a+b``: items are identified by these fields; ``@``: it is a set. After a map or type, ``!``: atomic.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from rbgctrl.sim.schema import Schema

__all__ = ["builtin_schema"]

_SCALARS: Final = {
    "str": "string",
    "int": "integer",
    "num": "number",
    "bool": "boolean",
    "quantity": "quantity",
    "intstr": "intstr",
    "time": "string",
    "any": "",
}


@cache
def _table() -> dict[str, tuple[str, ...]]:
    lines = files("rbgctrl.sim").joinpath("builtin.types").read_text(encoding="utf-8").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {row[0]: tuple(row[1:]) for row in rows}


@cache
def builtin_schema(name: str) -> Schema:
    """The schema of a type by its Go name, e.g. ``Pod``; made once, shared.

    Raises:
        KeyError: there is none.
    """
    atomic = f"{name}!" in _table()
    schema = Schema("object")
    schema.name = name
    schema.atomic = atomic
    omitted, defaults = [], []
    for text in _table()[f"{name}!" if atomic else name]:
        field, _, kind = text.partition(":")
        bare = field.rstrip("?!")
        schema.fields[bare] = child = _kind(kind)
        if field.endswith("?"):
            omitted.append(bare)
        elif field.endswith("!"):
            child.default, child.has_default = _zero(child), True
            defaults.append((bare, child))
    schema.omitted = frozenset(omitted)
    schema.defaults = tuple(defaults)
    return schema


def _zero(schema: Schema) -> Any:
    if schema.format == "time":
        return None
    return {"string": "", "quantity": "0", "integer": 0, "number": 0, "boolean": False, "object": {}}.get(schema.type)


def _kind(text: str) -> Schema:
    if text.startswith("[]"):
        inner, at, keys = text[2:].partition("@")
        schema = Schema("array")
        schema.items = _kind(inner)
        schema.list_type = "atomic" if not at else "map" if keys else "set"
        schema.keys = tuple(keys.split("+")) if keys else ()
        return schema
    if text.startswith("{}"):
        schema = Schema("object")
        schema.atomic = text.endswith("!")
        schema.extra = _kind(text[2:].rstrip("!"))
        return schema
    scalar, equals, default = text.partition("=")
    if scalar in _SCALARS:
        schema = Schema(_SCALARS[scalar])
        schema.nullable = scalar in ("any", "time")
        schema.atomic = scalar == "any"  # opaque to the server
        schema.format = "time" if scalar == "time" else ""
        if scalar == "time":
            schema.plain = None
        if equals:
            schema.default, schema.has_default = default, True
        return schema
    found = builtin_schema(text.rstrip("!"))
    if not text.endswith("!"):
        return found.copy()
    schema = found.copy()
    schema.atomic = True
    return schema
