"""Structural schemas: what an object of a kind may hold, and how lists and maps in it are merged.

A :class:`Schema` is made once from OpenAPI; CustomResourceDefinitions bring theirs, built-in kinds have theirs in
:mod:`rbgctrl.sim.builtin`. :func:`admit` does in one walk what the API server does in four: drop unknown fields, drop
nulls, fill in defaults, validate. Values that need no change are returned as they are, so stored objects stay shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from rbgctrl.sim.status import Cause

__all__ = ["ANY", "Found", "Place", "Rule", "Schema", "admit", "compile_schema", "place_text"]

Place: TypeAlias = tuple[Any, ...] | None
"""Where in an object: ``(parent place, field name or list index)``; None is the object itself."""

Rule: TypeAlias = tuple[Callable[[Any], bool], str]
"""A cross-field rule: a test of the value, and the message when it fails."""


class Schema:
    """One node of a schema. Slots, not a dataclass: admission reads them for every value.

    Attributes:
        type: ``object``, ``array``, ``string``, ``integer``, ``number``, ``boolean``, ``intstr`` or ``""`` for any.
        fields: named fields of an object.
        extra: schema of an object's other values (a map); None when there are none.
        items: schema of a list's items.
        open: unknown fields are kept.
        nullable: null is a value.
        list_type: ``atomic``, ``set`` or ``map``.
        keys: of a ``map`` list: the fields that identify an item.
        atomic: the object is owned and replaced as a whole.
        merge_key: strategic merge: the field that identifies an item; ``""`` when the list is replaced.
        merged: strategic merge: a list of scalars that is merged.
        retain: strategic merge: ``$retainKeys`` applies.
        default: value for a missing field, with ``has_default``.
        required: fields that must be there.
        rules: cross-field rules.
        checks: single-value checks other than the type.
    """

    __slots__ = (
        "atomic",
        "checks",
        "default",
        "defaults",
        "extra",
        "fields",
        "format",
        "has_default",
        "items",
        "keys",
        "list_type",
        "merge_key",
        "merged",
        "nullable",
        "open",
        "required",
        "retain",
        "rules",
        "type",
    )

    def __init__(self, kind: str = "") -> None:
        self.type = kind
        self.format = ""
        self.fields: dict[str, Schema] = {}
        self.defaults: tuple[tuple[str, Schema], ...] = ()
        self.extra: Schema | None = None
        self.items: Schema | None = None
        self.open = False
        self.nullable = False
        self.list_type = "atomic"
        self.keys: tuple[str, ...] = ()
        self.atomic = False
        self.merge_key = ""
        self.merged = False
        self.retain = False
        self.default: Any = None
        self.has_default = False
        self.required: tuple[str, ...] = ()
        self.rules: tuple[Rule, ...] = ()
        self.checks: tuple[_Check, ...] = ()

    def child(self, name: str) -> Schema:
        """Schema of a field; :data:`ANY` when nothing is known about it."""
        return self.fields.get(name) or self.extra or ANY


ANY: Final = Schema()
"""Nothing is known: objects are merged field by field, lists are replaced."""
ANY.open = True
ANY.nullable = True

_Check: TypeAlias = Callable[[Any, Place], Cause | None]


@dataclass(slots=True)
class Found:
    """What admission found.

    Attributes:
        causes: broken rules; any of them refuses the object.
        unknown: places of dropped unknown fields.
        rules_skipped: cross-field rules exist and were not evaluated because of other causes.
    """

    causes: list[Cause] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    rules_skipped: bool = False


def place_text(place: Place) -> str:
    """A place as the API server writes it: ``spec.roles[0].name``."""
    parts: list[str] = []
    while place is not None:
        place, step = place
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")


# Admission ------------------------------------------------------------------------------------------------------------


def admit(schema: Schema, value: Any, found: Found, place: Place = None) -> Any:
    """``value`` as it may be stored: pruned, without nulls, with defaults. The input is never changed.

    Args:
        schema: what it should be.
        value: as sent, or as stored before.
        found: collects what is wrong; the answer is only good while ``found.causes`` is empty.
        place: where ``value`` is.
    """
    kind = schema.type
    if not kind:
        return value
    if value is None and schema.nullable:
        return value
    if kind == "object":
        if type(value) is not dict:
            return _wrong_type(schema, value, found, place)
        value = _admit_object(schema, value, found, place)
    elif kind == "array":
        if type(value) is not list:
            return _wrong_type(schema, value, found, place)
        value = _admit_list(schema, value, found, place)
    elif not _is_a(kind, value):
        return _wrong_type(schema, value, found, place)
    for check in schema.checks:
        cause = check(value, place)
        if cause is not None:
            found.causes.append(cause)
    if schema.rules:
        _apply_rules(schema, value, found, place)
    return value


def _admit_object(schema: Schema, value: dict[str, Any], found: Found, place: Place) -> dict[str, Any]:
    fields, extra = schema.fields, schema.extra
    changed: dict[str, Any] | None = None
    for name, item in value.items():
        known = fields.get(name) or extra
        if known is None:
            if schema.open:
                continue
            found.unknown.append(place_text((place, name)))
            changed = dict(value) if changed is None else changed
            del changed[name]
            continue
        if item is None and not known.nullable and known.type and name in fields:
            changed = dict(value) if changed is None else changed
            del changed[name]
            continue
        admitted = admit(known, item, found, (place, name))
        if admitted is not item:
            changed = dict(value) if changed is None else changed
            changed[name] = admitted
    result = value if changed is None else changed
    for name, known in schema.defaults:
        if name not in result:
            if result is value:
                result = dict(value)
            result[name] = admit(known, _copied(known.default), found, (place, name))
    for name in schema.required:
        if name not in result:
            found.causes.append(Cause("FieldValueRequired", "Required value", place_text((place, name))))
    return result


def _admit_list(schema: Schema, value: list[Any], found: Found, place: Place) -> list[Any]:
    items = schema.items
    result = value
    if items is not None and items.type:
        for index, item in enumerate(value):
            admitted = admit(items, item, found, (place, index))
            if admitted is not item:
                if result is value:
                    result = list(value)
                result[index] = admitted
    if schema.list_type != "atomic":
        _unique(schema, result, found, place)
    return result


def _unique(schema: Schema, value: list[Any], found: Found, place: Place) -> None:
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        identity = item
        if schema.list_type == "map":
            if not isinstance(item, dict):
                continue
            identity = {key: item[key] for key in schema.keys if key in item}
        text = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
        if text in seen:
            found.causes.append(
                Cause("FieldValueDuplicate", f"Duplicate value: {text.decode()}", place_text((place, index)))
            )
        seen.add(text)


def _apply_rules(schema: Schema, value: Any, found: Found, place: Place) -> None:
    if found.causes:
        found.rules_skipped = True
        return
    for holds, message in schema.rules:
        if not holds(value):
            # Broken rules come after all else, and only when all else is well.
            found.causes.append(Cause("FieldValueInvalid", f"Invalid value: {_shown_rule(value)}: {message}",
                                      place_text(place)))


def _shown_rule(value: Any) -> str:
    return _go(value)


def _copied(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value


# Types ----------------------------------------------------------------------------------------------------------------


def _is_a(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return type(value) is int or (type(value) is float and value.is_integer())
        case "boolean":
            return isinstance(value, bool)
        case "number":
            return type(value) is int or type(value) is float
        case "intstr":
            return isinstance(value, str) or type(value) is int
    return True


_NAMES: Final = {"intstr": "integer,string"}


def _wrong_type(schema: Schema, value: Any, found: Found, place: Place) -> Any:
    given = _type_name(value)
    wanted = _NAMES.get(schema.type, schema.type)
    where = place_text(place)
    message = f'Invalid value: "{given}": {where} in body must be of type {wanted}: "{given}"'
    found.causes.append(Cause("FieldValueTypeInvalid", message, where))
    return value


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _go(value: Any) -> str:
    """A value as validation messages show it."""
    match value:
        case dict():
            return '"object"'
        case list():
            return '"array"'
        case str():
            return orjson.dumps(value).decode()
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
    return str(value)


# Compilation ----------------------------------------------------------------------------------------------------------


def compile_schema(source: Mapping[str, Any], rules: Mapping[str, Callable[[Any], bool]] | None = None) -> Schema:
    """A schema from OpenAPI v3 as CustomResourceDefinitions write it.

    Args:
        source: the schema.
        rules: tests by the text of ``x-kubernetes-validations`` rules.

    Raises:
        KeyError: a rule has no test.
    """
    rules = rules or {}
    schema = Schema("intstr" if source.get("x-kubernetes-int-or-string") else source.get("type", ""))
    schema.format = source.get("format", "")
    properties = source.get("properties", {})
    schema.fields = {name: compile_schema(item, rules) for name, item in properties.items()}
    extra = source.get("additionalProperties")
    if isinstance(extra, Mapping):
        schema.extra = compile_schema(extra, rules)
    elif extra is True:
        schema.extra = ANY
    if "items" in source:
        schema.items = compile_schema(source["items"], rules)
    schema.open = bool(source.get("x-kubernetes-preserve-unknown-fields"))
    schema.nullable = bool(source.get("nullable")) or not schema.type
    schema.list_type = source.get("x-kubernetes-list-type", "atomic")
    schema.keys = tuple(source.get("x-kubernetes-list-map-keys", ()))
    schema.atomic = source.get("x-kubernetes-map-type") == "atomic"
    schema.default, schema.has_default = source.get("default"), "default" in source
    schema.defaults = tuple((name, item) for name, item in schema.fields.items() if item.has_default)
    schema.required = tuple(source.get("required", ()))
    schema.rules = tuple(
        (rules[rule["rule"]], rule.get("message") or f"failed rule: {rule['rule']}")
        for rule in source.get("x-kubernetes-validations", ())
    )
    schema.checks = tuple(_checks(source))
    return schema


def _checks(source: Mapping[str, Any]) -> list[_Check]:
    found: list[_Check] = []
    if "enum" in source:
        found.append(_enum(tuple(source["enum"])))
    for name, sentence, measure, broken in _BOUNDS:
        if name in source:
            found.append(_bound(source[name], sentence, measure, broken))
    if "pattern" in source:
        found.append(_pattern(source["pattern"]))
    return found


def _identity(value: Any) -> Any:
    return value


_BOUNDS: Final[tuple[tuple[str, str, Callable[[Any], Any], Callable[[Any, Any], bool]], ...]] = (
    ("minimum", "should be greater than or equal to {}", _identity, lambda size, bound: size < bound),
    ("maximum", "should be less than or equal to {}", _identity, lambda size, bound: size > bound),
    ("minLength", "should be at least {} chars long", len, lambda size, bound: size < bound),
    ("maxLength", "should be at most {} chars long", len, lambda size, bound: size > bound),
    ("minItems", "should have at least {} items", len, lambda size, bound: size < bound),
    ("maxItems", "must have at most {} items", len, lambda size, bound: size > bound),
    ("minProperties", "should have at least {} properties", len, lambda size, bound: size < bound),
    ("maxProperties", "must have at most {} properties", len, lambda size, bound: size > bound),
)


def _bound(
    bound: Any, sentence: str, measure: Callable[[Any], Any], broken: Callable[[Any, Any], bool]
) -> _Check:
    def check(value: Any, place: Place) -> Cause | None:
        size = measure(value)
        if not broken(size, bound):
            return None
        where = place_text(place)
        shown = str(size) if isinstance(value, list | dict) else _go(value)
        return Cause("FieldValueInvalid", f"Invalid value: {shown}: {where} in body {sentence.format(bound)}", where)

    return check


def _enum(values: tuple[Any, ...]) -> _Check:
    listed = ", ".join(_go(value) for value in values)

    def check(value: Any, place: Place) -> Cause | None:
        if value in values:
            return None
        message = f"Unsupported value: {_go(value)}: supported values: {listed}"
        return Cause("FieldValueNotSupported", message, place_text(place))

    return check


def _pattern(text: str) -> _Check:
    compiled = re.compile(text)

    def check(value: Any, place: Place) -> Cause | None:
        if compiled.search(value):
            return None
        where = place_text(place)
        message = f"Invalid value: {_go(value)}: {where} in body should match '{text}'"
        return Cause("FieldValueInvalid", message, where)

    return check
