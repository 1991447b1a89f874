"""Label and field selectors, as far as they can be judged without the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from rbgctrl.api.meta import ObjectMeta

__all__ = ["field_matcher", "label_matcher"]

LabelMatcher: TypeAlias = Callable[[Mapping[str, str]], bool]
FieldMatcher: TypeAlias = Callable[[ObjectMeta], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<negated>!?)\s*(?P<key>[^\s!=,()]+)\s*$")
_COMMA = re.compile(r",(?![^(]*\))")  # not those inside parentheses


def label_matcher(selector: str) -> LabelMatcher:
    """Whether labels match ``selector``, in the syntax of kubectl: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``.

    Raises:
        ValueError: the selector is malformed.
    """
    if not selector.strip():
        return lambda _labels: True
    terms = [_term(part, selector) for part in _COMMA.split(selector)]
    if len(terms) == 1:
        return terms[0]
    return lambda labels: all(term(labels) for term in terms)


def _term(text: str, selector: str) -> LabelMatcher:
    if found := _SET.match(text):
        key, values = found["key"], frozenset(value.strip() for value in found["values"].split(","))
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key, wanted = found["key"], not found["negated"]
        return lambda labels: (key in labels) is wanted
    message = f"label selector {selector!r}: cannot read {text.strip()!r}"
    raise ValueError(message)


def field_matcher(selector: str) -> FieldMatcher | None:
    """Whether an object matches a field selector on its name or namespace; None when only the server can tell.

    Raises:
        ValueError: the selector is malformed.
    """
    terms: list[tuple[str, bool, str]] = []
    for text in selector.split(",") if selector.strip() else ():
        found = _EQUAL.match(text)
        if found is None:
            message = f"field selector {selector!r}: cannot read {text.strip()!r}"
            raise ValueError(message)
        if found["key"] not in ("metadata.name", "metadata.namespace"):
            return None
        terms.append((found["key"].removeprefix("metadata."), found["op"] != "!=", found["value"]))
    return lambda meta: all((getattr(meta, field) == value) is equal for field, equal, value in terms)
