"""From OpenAPI, as CustomResourceDefinitions write it, to :class:`rbgctrl.sim.schema.Schema`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.sim.schema import ANY, Check, Place, Schema, place_text, shown
from rbgctrl.sim.status import Cause

__all__ = ["compile_schema"]


_Rules: TypeAlias = Mapping[str, Callable[[Any], bool]]


def compile_schema(source: Mapping[str, Any], rules: _Rules | None = None) -> Schema:
    """A schema from OpenAPI v3 as CustomResourceDefinitions write it.

    Args:
        source: the schema.
        rules: tests by the text of ``x-kubernetes-validations`` rules.

    Raises:
        KeyError: a rule has no test.
    """
    return _compile(source, rules or {}, {})


def _compile(source: Mapping[str, Any], rules: _Rules, made: dict[int, Schema]) -> Schema:
    """``made`` are the parts so far by ``id``: definitions may use one value in many places."""
    if id(source) in made:
        return made[id(source)]
    schema = Schema("intstr" if source.get("x-kubernetes-int-or-string") else source.get("type", ""))
    schema.format = source.get("format", "")
    properties = source.get("properties", {})
    schema.fields = {name: _compile(item, rules, made) for name, item in properties.items()}
    extra = source.get("additionalProperties")
    if isinstance(extra, Mapping):
        schema.extra = _compile(extra, rules, made)
    elif extra is True:
        schema.extra = ANY
    if "items" in source:
        schema.items = _compile(source["items"], rules, made)
    schema.open = bool(source.get("x-kubernetes-preserve-unknown-fields"))
    schema.nullable = bool(source.get("nullable"))
    schema.custom = True
    schema.list_type = source.get("x-kubernetes-list-type", "atomic")
    schema.keys = tuple(source.get("x-kubernetes-list-map-keys", ()))
    schema.unique = schema.list_type != "atomic"
    schema.atomic = source.get("x-kubernetes-map-type") == "atomic"
    schema.default, schema.has_default = source.get("default"), "default" in source
    schema.defaults = tuple((name, item) for name, item in schema.fields.items() if item.has_default)
    schema.required = tuple(source.get("required", ()))
    schema.rules = tuple(
        (rules[rule["rule"]], rule.get("message") or f"failed rule: {rule['rule']}")
        for rule in source.get("x-kubernetes-validations", ())
    )
    schema.checks = tuple(_checks(source))
    if schema.checks or schema.rules:
        schema.plain = None
    made[id(source)] = schema
    return schema


def _checks(source: Mapping[str, Any]) -> list[Check]:
    found: list[Check] = []
    if "enum" in source:
        found.append(_enum(tuple(source["enum"])))
    for name, reason, sentence, broken in _BOUNDS:
        if name in source:
            found.append(_bound(source[name], reason, sentence, broken))
    if source.get("format") in _INTEGERS:
        found.append(_integer(source["format"]))
    if source.get("format") == "date-time":
        found.append(_date_time)
    if "pattern" in source:
        found.append(_pattern(source["pattern"]))
    return found


_Broken: TypeAlias = Callable[[Any, Any], bool]
_INVALID, _LONG, _MANY = "FieldValueInvalid", "FieldValueTooLong", "FieldValueTooMany"
_BODY: Final = "Invalid value: {shown}: {where} in body should "
_BOUNDS: Final[tuple[tuple[str, str, str, _Broken], ...]] = (
    ("minimum", _INVALID, _BODY + "be greater than or equal to {bound}", lambda value, bound: value < bound),
    ("maximum", _INVALID, _BODY + "be less than or equal to {bound}", lambda value, bound: value > bound),
    ("minLength", _INVALID, _BODY + "be at least {bound} chars long", lambda value, bound: len(value) < bound),
    ("maxLength", _LONG, "Too long: may not be more than {bound} bytes", lambda value, bound: len(value) > bound),
    ("minItems", _INVALID, _BODY + "have at least {bound} items", lambda value, bound: len(value) < bound),
    ("maxItems", _MANY, "Too many: {shown}: must have at most {bound} items", lambda value, bound: len(value) > bound),
    ("minProperties", _INVALID, _BODY + "have at least {bound} properties", lambda value, bound: len(value) < bound),
    (
        "maxProperties",
        _MANY,
        "Too many: {shown}: must have at most {bound} items",
        lambda value, bound: len(value) > bound,
    ),
)


def _bound(bound: Any, reason: str, sentence: str, broken: _Broken) -> Check:
    def check(value: Any, place: Place) -> Cause | None:
        if not broken(value, bound):
            return None
        where = place_text(place)
        text = str(len(value)) if isinstance(value, list | dict) else shown(value)
        return Cause(reason, sentence.format(shown=text, where=where, bound=bound), where)

    return check


_INTEGERS: Final = {"int32": 2**31, "int64": 2**63}
_DATE_TIME: Final = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def _integer(name: str) -> Check:
    bound = _INTEGERS[name]

    def check(value: Any, place: Place) -> Cause | None:
        if -bound <= value < bound:
            return None
        message = f'Invalid value: "": Checked value must be of type integer with format {name} in {place_text(place)}'
        return Cause("FieldValueInvalid", message, "<nil>")

    return check


def _date_time(value: Any, place: Place) -> Cause | None:
    if _DATE_TIME.match(value):
        return None
    where = place_text(place)
    message = f"Invalid value: {shown(value)}: {where} in body must be of type date-time: {shown(value)}"
    return Cause("FieldValueInvalid", message, where)


def _enum(values: tuple[Any, ...]) -> Check:
    listed = ", ".join(shown(value) for value in values)

    def check(value: Any, place: Place) -> Cause | None:
        if value in values:
            return None
        message = f"Unsupported value: {shown(value)}: supported values: {listed}"
        return Cause("FieldValueNotSupported", message, place_text(place))

    return check


def _pattern(text: str) -> Check:
    # Go's $ is the end of the text; Python's would allow a newline after it.
    compiled = re.compile(re.sub(r"(?<!\\)\$(?=[)|]|$)", r"\\Z", text))

    def check(value: Any, place: Place) -> Cause | None:
        if not isinstance(value, str) or compiled.search(value):  # a number or text may be a number
            return None
        where = place_text(place)
        message = f"Invalid value: {shown(value)}: {where} in body should match '{text}'"
        return Cause("FieldValueInvalid", message, where)

    return check
