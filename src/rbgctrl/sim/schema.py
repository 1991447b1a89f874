"""Structural schemas: what an object of a kind may hold, and how lists and maps in it are merged.

A :class:`Schema` is made once from OpenAPI; CustomResourceDefinitions bring theirs, built-in kinds have theirs in
:mod:`rbgctrl.sim.builtin`. :func:`admit` does in one walk what the API server does in four: drop unknown fields, drop
nulls, fill in defaults, validate. Values that need no change are returned as they are, so stored objects stay shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from rbgctrl.api.quantity import canonical
from rbgctrl.sim.status import Cause

__all__ = ["ANY", "UNREADABLE", "Check", "Found", "Place", "Rule", "Schema", "admit", "place_text", "shown"]

Place: TypeAlias = tuple[Any, ...] | None
"""Where in an object: ``(parent place, field name or list index)``; None is the object itself."""

Rule: TypeAlias = tuple[Callable[[Any], bool], str]
"""A cross-field rule: a test of the value, and the message when it fails."""


_PLAIN: Final[dict[str, type]] = {"string": str, "integer": int, "boolean": bool}


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
        custom: of a CustomResourceDefinition: nulls among the values of a map are dropped, too.
        default: value for a missing field, with ``has_default``.
        required: fields that must be there.
        rules: cross-field rules.
        checks: single-value checks other than the type.
        omitted: fields that are left out while they are empty, as Go's encoder does.
        plain: the Python type of values that need no further look; None when every value does.
        unique: items of a keyed list or set must differ; Go's types leave that to rules of their own.
        name: of the Go type, for messages about built-in kinds.
    """

    __slots__ = (
        "atomic",
        "checks",
        "custom",
        "default",
        "defaults",
        "extra",
        "fields",
        "format",
        "has_default",
        "items",
        "keys",
        "list_type",
        "name",
        "nullable",
        "omitted",
        "open",
        "plain",
        "required",
        "rules",
        "type",
        "unique",
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
        self.custom = False
        self.default: Any = None
        self.has_default = False
        self.required: tuple[str, ...] = ()
        self.rules: tuple[Rule, ...] = ()
        self.checks: tuple[Check, ...] = ()
        self.omitted: frozenset[str] = frozenset()
        self.name = ""
        self.unique = False
        self.plain: type | None = _PLAIN.get(kind)

    def copy(self) -> Schema:
        """Another node with the same parts."""
        found = Schema()
        for name in Schema.__slots__:
            setattr(found, name, getattr(self, name))
        return found

    def child(self, name: str) -> Schema:
        """Schema of a field; :data:`ANY` when nothing is known about it."""
        return self.fields.get(name) or self.extra or ANY


ANY: Final = Schema()
"""Nothing is known: objects are merged field by field, lists are replaced."""
ANY.open = True
ANY.nullable = True

Check: TypeAlias = Callable[[Any, Place], Cause | None]


UNREADABLE: Final = "Unreadable"
"""Reason of causes that are no rule of validation: the value cannot be read as its Go type at all."""

_QUANTITY: Final = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
_TIME: Final = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")
_BLOCKING: Final = frozenset(
    (
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    )
)


@dataclass(slots=True)
class Found:
    """What admission found.

    Attributes:
        causes: broken rules; any of them refuses the object.
        unknown: places of dropped unknown fields.
        pending: cross-field rules still to be evaluated.
    """

    causes: list[Cause] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    pending: list[tuple[Schema, Any, Place]] = field(default_factory=list)

    def blocked(self, others: Sequence[Cause] = ()) -> bool:
        """Whether causes, or those of others, are such that cross-field rules cannot be evaluated."""
        return any(cause.reason in _BLOCKING for cause in (*self.causes, *others))

    def evaluate(self) -> None:
        """Evaluate the cross-field rules met on the way; those of parents first."""
        for schema, value, place in sorted(self.pending, key=lambda item: place_text(item[2])):
            for holds, message in schema.rules:
                if not holds(value):
                    self.causes.append(Cause("FieldValueInvalid", f"Invalid value: {message}", place_text(place)))
        self.pending.clear()


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
    if not kind or (value is None and schema.nullable):
        return value
    if kind == "object" and type(value) is dict:
        value = _admit_object(schema, value, found, place)
    elif kind == "array" and type(value) is list:
        value = _admit_list(schema, value, found, place)
    elif not _is_a(kind, value):
        return _wrong_type(schema, value, found, place)
    elif kind == "quantity":
        return _quantity(str(value), found, place)
    elif schema.format == "time" and not _TIME.match(value):
        message = f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"'
        found.causes.append(Cause(UNREADABLE, message, place_text(place)))
    for check in schema.checks:
        cause = check(value, place)
        if cause is not None:
            found.causes.append(cause)
    if schema.rules:
        found.pending.append((schema, value, place))
    return value


def _quantity(text: str, found: Found, place: Place) -> str:
    if not _QUANTITY.match(text):
        message = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        found.causes.append(Cause(UNREADABLE, message, place_text(place)))
    return canonical(text)


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
        if item is None and not known.nullable and (name in fields or schema.custom):
            changed = dict(value) if changed is None else changed
            del changed[name]
            continue
        if type(item) is known.plain and (item or name not in schema.omitted):
            continue
        admitted = admit(known, item, found, (place, name))
        if not admitted and name in schema.omitted:
            changed = dict(value) if changed is None else changed
            del changed[name]
        elif admitted is not item:
            changed = dict(value) if changed is None else changed
            changed[name] = admitted
    if not schema.defaults and not schema.required:
        return value if changed is None else changed
    return _completed(schema, value if changed is None else changed, value, found, place)


def _completed(
    schema: Schema, result: dict[str, Any], value: dict[str, Any], found: Found, place: Place
) -> dict[str, Any]:
    """``result`` with defaults; ``value`` is the input, which must not be changed."""
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
    if schema.unique:
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


def _copied(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list) else value


# Types ----------------------------------------------------------------------------------------------------------------


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
    "intstr": (str, int),
    "quantity": (str, int, float),
}


def _is_a(kind: str, value: Any) -> bool:
    """Whether a scalar is of a type; 2.0 is an integer, True is not."""
    if type(value) in _TYPES.get(kind, ()):
        return True
    return kind == "integer" and type(value) is float and value.is_integer()


_NAMES: Final = {"intstr": "integer,string", "quantity": "string"}


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


def shown(value: Any) -> str:
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
