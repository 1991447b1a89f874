"""From OpenAPI, as CustomResourceDefinitions write it, to strategies that draw what it allows.

What is drawn is what a client may send: optional fields may be absent, defaults are not filled in. Rules in CEL are
obeyed by asking the embedded server's own validation at the node that has them, so a filter throws away no more than
it must. A keyword that is not understood is an error, never a guess.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rbgctrl.sim.crds import rows_of
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.schema import Found, Schema, admit

__all__ = ["Overrides", "SchemaError", "accepted", "from_crd", "from_schema", "json_values", "places", "spoiled"]

Source: TypeAlias = Mapping[str, Any]
Strategy: TypeAlias = SearchStrategy[Any]
Overrides: TypeAlias = Mapping[str, Strategy]
"""What to draw instead, by place: ``spec.roles[].replicas``; ``[]`` are items of a list, ``{}`` values of a map."""

_UNDERSTOOD: Final = frozenset(
    (
        *("type", "format", "enum", "nullable", "default", "description", "title", "example", "externalDocs"),
        *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
        *("items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum"),
        *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"),
        *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
    )
)
_BY_SERVER: Final = ("apiVersion", "kind", "metadata", "status")
_RANGES: Final = {"int32": 31, "int64": 63}
_ODD: Final[tuple[Any, ...]] = (0, 1, -1, 1.5, True, "", "7", None, 2**31, -(2**63), [], {})


class SchemaError(ValueError):
    """A schema says something that these strategies do not understand; names the place and the keyword."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """How to draw: what to draw instead at which places, and how much of what is optional."""

    overrides: Overrides = field(default_factory=dict)
    most: int = 3


def from_crd(crd: Mapping[str, Any], *, overrides: Overrides | None = None, most: int = 3) -> Strategy:
    """Objects of a kind: ``{"spec": ...}`` and whatever else its schema has beside metadata and status.

    Args:
        crd: the CustomResourceDefinition; its storage version is drawn.
        overrides: see :data:`Overrides`.
        most: items a list or map has at most, unless its schema asks for more.

    Raises:
        SchemaError: a keyword is not understood.
        Refusal: 501, a validation rule cannot be evaluated; see :data:`rbgctrl.sim.crds.RULES`.
    """
    row = rows_of(crd)[0]
    properties = {name: item for name, item in row.source.get("properties", {}).items() if name not in _BY_SERVER}
    schema = row.schema.copy()
    schema.fields = {name: row.schema.fields[name] for name in properties}
    schema.defaults = tuple(item for item in row.schema.defaults if item[0] in properties)
    source = {**row.source, "properties": properties}
    return _node(source, schema, "", _Drawing(overrides=overrides or {}, most=most))


def from_schema(
    source: Source,
    *,
    rules: Mapping[str, Callable[[Any], bool]] | None = None,
    overrides: Overrides | None = None,
    most: int = 3,
) -> Strategy:
    """Values that a schema allows.

    Args:
        source: OpenAPI v3 as CustomResourceDefinitions write it.
        rules: tests by the text of ``x-kubernetes-validations`` rules.
        overrides: see :data:`Overrides`.
        most: items a list or map has at most, unless its schema asks for more.

    Raises:
        SchemaError: a keyword is not understood.
        KeyError: a rule has no test.
    """
    return _node(source, compile_schema(source, rules), "", _Drawing(overrides=overrides or {}, most=most))


def json_values(most: int = 3) -> Strategy:
    """Any JSON value, small."""
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text(0, 8)
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=most) | st.dictionaries(_text(1, 8), inner, max_size=most),
        max_leaves=5,
    )


def accepted(schema: Schema, value: Any) -> bool:
    """Whether the embedded server takes ``value``; unknown fields do not count, it drops them."""
    found = Found()
    admit(schema, value, found)
    if not found.causes:
        found.evaluate()
    return not found.causes


# One node -------------------------------------------------------------------------------------------------------------


def _node(source: Source, schema: Schema, path: str, how: _Drawing) -> Strategy:
    if path in how.overrides:
        return how.overrides[path]
    _understood(source, path)
    if "enum" in source:
        drawn: Strategy = st.sampled_from([value for value in source["enum"] if value is not None or schema.nullable])
    elif source.get("x-kubernetes-int-or-string"):
        drawn = _int_or_string()
    elif "type" not in source:
        drawn = json_values(how.most)
        if path and not schema.nullable:
            drawn = drawn.filter(lambda value: value is not None)  # the server drops such nulls
    elif source["type"] in _NESTED:
        drawn = _NESTED[source["type"]](source, schema, path, how)
    else:
        drawn = _SCALARS[source["type"]](source)
    if source.get("nullable"):
        drawn = st.none() | drawn
    if schema.rules:
        drawn = drawn.filter(lambda value: accepted(schema, value))
    return drawn


def _understood(source: Source, path: str) -> None:
    unknown = set(source) - _UNDERSTOOD
    if source.get("x-kubernetes-int-or-string"):
        unknown -= {"anyOf", "allOf"}  # what Go's generator writes beside it says the same
    if unknown:
        raise SchemaError(f"{path or 'the schema'}: cannot draw what {', '.join(sorted(unknown))} allows")
    if source.get("type", "object") not in (*_SCALARS, *_NESTED):
        raise SchemaError(f"{path or 'the schema'}: type {source['type']!r} is none")


def _object(source: Source, schema: Schema, path: str, how: _Drawing) -> Strategy:
    properties = source.get("properties", {})
    drawn = {
        name: _node(item, schema.fields[name], f"{path}.{name}" if path else name, how)
        for name, item in properties.items()
    }
    required = source.get("required", ())
    # A required field with a default may be left out: the server fills it in before it looks.
    must = {name: drawn.get(name, json_values()) for name in required if "default" not in properties.get(name, {})}
    may = {name: item for name, item in drawn.items() if name not in must}
    least, most = source.get("minProperties", 0), source.get("maxProperties")
    extra = _others(source, schema, path, how, least)
    found: Strategy = st.fixed_dictionaries(must, optional=may)
    if extra is not None:
        found = st.builds(lambda known, others: {**others, **known}, found, extra)
    if least or most is not None:
        found = found.filter(lambda value: least <= len(value) and (most is None or len(value) <= most))
    return found


def _others(source: Source, schema: Schema, path: str, how: _Drawing, least: int) -> Strategy | None:
    """Fields without a name in the schema, if there may be any."""
    values = source.get("additionalProperties")
    if isinstance(values, Mapping) and schema.extra is not None:
        inner = _node(values, schema.extra, f"{path}{{}}", how)
    elif values is True or source.get("x-kubernetes-preserve-unknown-fields"):
        inner = json_values(how.most)
    else:
        return None
    most = min(max(how.most, least), source.get("maxProperties", 2**31))
    return st.dictionaries(_text(1, 12), inner, min_size=0 if source.get("properties") else least, max_size=most)


def _array(source: Source, schema: Schema, path: str, how: _Drawing) -> Strategy:
    least = source.get("minItems", 0)
    most = min(max(how.most, least), source.get("maxItems", 2**31))
    if "items" in source and schema.items is not None:
        items = _node(source["items"], schema.items, f"{path}[]", how)
    else:
        items = json_values(how.most)
    kind = "set" if source.get("uniqueItems") else source.get("x-kubernetes-list-type", "atomic")
    if kind == "atomic":
        return st.lists(items, min_size=least, max_size=most)
    return st.lists(items, min_size=least, max_size=most, unique_by=_identity(kind, schema))


def _identity(kind: str, schema: Schema) -> Callable[[Any], bytes]:
    """By what the server tells items apart, defaults included."""

    def identity(item: Any) -> bytes:
        if kind == "map" and isinstance(item, Mapping):
            defaults = {name: known.default for name, known in (schema.items or Schema()).defaults}
            whole = {**defaults, **item}
            return orjson.dumps([whole.get(key) for key in schema.keys])
        return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)

    return identity


def _integer(source: Source) -> Strategy:
    bits = _RANGES.get(source.get("format", ""), 63)
    least, most = source.get("minimum", -(2**bits)), source.get("maximum", 2**bits - 1)
    least += 1 if source.get("exclusiveMinimum") else 0
    most -= 1 if source.get("exclusiveMaximum") else 0
    least, most = max(least, -(2**bits)), min(most, 2**bits - 1)
    step = source.get("multipleOf", 1)
    near = st.integers(-(-least // step), most // step)
    small = st.integers(max(-(-least // step), -3), min(most // step, 9)) if -3 * step <= most and least <= 9 else near
    return (small | near).map(lambda number: number * step)


def _number(source: Source) -> Strategy:
    return st.floats(
        min_value=source.get("minimum"),
        max_value=source.get("maximum"),
        exclude_min=bool(source.get("exclusiveMinimum")),
        exclude_max=bool(source.get("exclusiveMaximum")),
        allow_nan=False,
        allow_infinity=False,
    )


def _string(source: Source) -> Strategy:
    least, most = source.get("minLength", 0), source.get("maxLength")
    if "pattern" in source:
        found: Strategy = st.from_regex(re.compile(source["pattern"]), alphabet=_CHARACTERS)
        # Python's $ also matches before a last newline; that of the API server does not.
        found = found.filter(lambda text: not text.endswith("\n"))
    elif source.get("format") in _FORMATS:
        found = _FORMATS[source["format"]]
    else:
        return _text(least, min(most, least + 16) if most is not None else least + 16)
    return found.filter(lambda text: least <= len(text) and (most is None or len(text) <= most))


def _int_or_string() -> Strategy:
    percent = st.integers(0, 120).map(lambda number: f"{number}%")
    return st.integers(-2, 9) | st.integers(-(2**31), 2**31 - 1) | percent | _text(0, 8)


_CHARACTERS: Final = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))


def _text(least: int, most: int) -> SearchStrategy[str]:
    return st.text(_CHARACTERS, min_size=least, max_size=most)


def _moment(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_FORMATS: Final[Mapping[str, Strategy]] = {
    "date-time": st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(_moment),  # noqa: DTZ001 - hypothesis wants naive bounds
    "date": st.dates().map(lambda day: day.isoformat()),
    "byte": st.binary(max_size=12).map(lambda data: base64.b64encode(data).decode()),
    "uuid": st.uuids().map(str),
}
_SCALARS: Final[Mapping[str, Callable[[Source], Strategy]]] = {
    "integer": _integer,
    "number": _number,
    "string": _string,
    "boolean": lambda _: st.booleans(),
}
_NESTED: Final[Mapping[str, Callable[[Source, Schema, str, _Drawing], Strategy]]] = {
    "object": _object,
    "array": _array,
}


# Almost right ---------------------------------------------------------------------------------------------------------

Path: TypeAlias = tuple[str | int, ...]


def places(value: Any) -> Iterator[Path]:
    """Where in a JSON value something is: paths of field names and list indexes, parents first, itself excluded."""
    pairs: Sequence[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for step, inner in pairs:
        yield (step,)
        yield from ((step, *rest) for rest in places(inner))


@st.composite
def spoiled(draw: st.DrawFn, values: Strategy) -> Any:
    """A value with one place made odd: replaced by another type or an extreme, left out, nulled, or doubled.

    Whether that makes it wrong is for its judges to say; they should agree.

    Args:
        draw: of hypothesis.
        values: JSON objects or lists.
    """
    value = orjson.loads(orjson.dumps(draw(values)))
    found = list(places(value))
    if not found:
        return value
    *way, last = draw(st.sampled_from(found))
    parent: Any = value
    for step in way:
        parent = parent[step]
    match draw(st.sampled_from(("replace", "replace", "remove", "double"))):
        case "remove":
            del parent[last]
        case "double" if isinstance(parent, list) and isinstance(last, int):
            parent.append(parent[last])
        case _:
            parent[last] = draw(st.sampled_from(_ODD))
    return value
