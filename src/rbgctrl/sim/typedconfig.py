"""Whether an apply configuration can be read by a kind's schema at all, before anything is merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from rbgctrl.sim.fields import is_keyed, item_key
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.managed import root_schema
from rbgctrl.sim.schema import ANY, Schema
from rbgctrl.sim.status import Refusal
from rbgctrl.sim.storage import Obj

__all__ = ["check_configuration"]

_HEAD = ("apiVersion", "kind")
_SCALARS = {
    "string": "string",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
    "boolean": "boolean",
}


def check_configuration(row: Row, config: Obj, metadata: Obj) -> None:
    """Refuse a configuration with unknown fields, wrong types or list items that cannot be told apart.

    Args:
        row: the kind.
        config: the configuration, its metadata completed.
        metadata: as sent; messages only know the name and namespace that are in there.

    Raises:
        Refusal: 500, as real servers answer.
    """
    body = {name: value for name, value in config.items() if name not in _HEAD}
    found = list(_errors(root_schema(row), body, ""))
    if not found:
        return
    kind = row.kind
    name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    what = f"failed to create typed patch object ({name}; {kind.group}/{kind.version}, Kind={kind.kind})"
    listed = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {error}" for error in found)
    raise Refusal(500, "", f"{what}: {listed}")


def _errors(schema: Schema, value: Any, place: str) -> Iterator[str]:
    if value is None or not schema.type:
        return
    if schema.type == "object":
        if isinstance(value, dict):
            yield from _object(schema, value, place)
        else:
            yield f"{place}: expected map, got {_shown(value)}"
    elif schema.type == "array":
        if isinstance(value, list):
            yield from _list(schema, value, place)
        else:
            yield f"{place}: expected list, got {_shown(value)}"
    elif not _fits(schema.type, value):
        numeric = schema.type in ("integer", "number")
        given = _kind(value) if numeric else _shown(value)
        yield f"{place}: expected {_SCALARS[schema.type]}, got {given}"


def _object(schema: Schema, value: dict[str, Any], place: str) -> Iterator[str]:
    for name, item in value.items():
        child = schema.fields.get(name) or schema.extra
        if child is not None:
            yield from _errors(child, item, f"{place}.{name}")
        elif not schema.open:
            yield f"{place}.{name}: field not declared in schema"


def _list(schema: Schema, value: list[Any], place: str) -> Iterator[str]:
    items = schema.items or ANY
    if not is_keyed(schema, value):
        for index, item in enumerate(value):
            yield from _errors(items, item, f"{place}[{index}]")
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        if schema.list_type == "set":
            name = orjson.dumps(item).decode()
            text = f"[={name}]"
        else:
            if not any(key in item for key in schema.keys):
                listed = orjson.dumps(list(schema.keys)).decode()
                yield (
                    f"{place}: element {index}: associative list with keys has an element that omits all key fields "
                    f"{listed} (and doesn't have default values for any key fields)"
                )
                continue
            name = item_key(schema, item)
            pairs = sorted(orjson.loads(name.removeprefix("k:")).items())
            text = "[" + ",".join(f"{key}={orjson.dumps(part).decode()}" for key, part in pairs) + "]"
        if name in seen:
            yield f"{place}: duplicate entries for key {text}"
        seen.add(name)
        yield from _errors(items, item, f"{place}{text}")


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer" | "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
    return True


def _kind(value: Any) -> str:
    return {"str": "string", "bool": "boolean", "list": "list", "dict": "map"}.get(type(value).__name__, "number")


def _shown(value: Any) -> str:
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return f"&value.valueUnstructured{{Value:{orjson.dumps(value).decode() if isinstance(value, str) else text}}}"
