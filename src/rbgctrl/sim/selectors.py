"""Label and field selectors: parsed once, then a test of an object."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from rbgctrl.sim.kinds import Row
from rbgctrl.sim.status import Refusal, bad_request

__all__ = ["Test", "everything", "field_selector", "label_selector", "matches_labels"]

Test: TypeAlias = Callable[[dict[str, Any]], bool]
"""Whether an object is selected."""

_Labels: TypeAlias = dict[str, str]
_Requirement: TypeAlias = Callable[[_Labels], bool]

_SET = re.compile(r"\s*([^\s!=,()<>]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL = re.compile(r"\s*([^\s!=,()<>]+)\s*(==|=|!=)\s*([^\s!=,()<>]*)\s*$")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s!=,()<>]+)\s*$")
_COMPARE = re.compile(r"\s*([^\s!=,()<>]+)\s*(<|>)\s*(-?\d+)\s*$")
_FIELD = re.compile(r"([^=!]+)(==|!=|=)(.*)$")


def everything(obj: dict[str, Any]) -> bool:
    """The empty selector."""
    return obj is not None


def matches_labels(text: str, labels: _Labels) -> bool:
    """Whether ``labels`` satisfy the selector ``text``. Raises :class:`Refusal` as :func:`label_selector` does."""
    return all(requirement(labels) for requirement in _requirements(text))


def label_selector(text: str) -> Test:
    """A test for the API's label selector syntax.

    Raises:
        Refusal: 400, it cannot be parsed.
    """
    if not text.strip():
        return everything
    requirements = _requirements(text)
    if len(requirements) == 1:
        only = requirements[0]
        return lambda obj: only(obj["metadata"].get("labels") or {})
    return lambda obj: _all(requirements, obj["metadata"].get("labels") or {})


def _all(requirements: tuple[_Requirement, ...], labels: _Labels) -> bool:
    return all(requirement(labels) for requirement in requirements)


@lru_cache(maxsize=4096)
def _requirements(text: str) -> tuple[_Requirement, ...]:
    return tuple(_requirement(part, text) for part in _split(text) if part.strip() or text.count(","))


def _split(text: str) -> list[str]:
    """At commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(text):
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _requirement(part: str, whole: str) -> _Requirement:
    if match := _SET.match(part):
        key, operator, listed = match.groups()
        values = frozenset(value.strip() for value in listed.split(","))
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.match(part):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _COMPARE.match(part):
        return _comparison(*match.groups())
    if match := _EXISTS.match(part):
        absent, key = match.groups()
        if absent:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    message = f"unable to parse requirement: found '{part.strip()}', expected: a label selector requirement"
    raise bad_request(f"{message} (in {whole!r})")


def _comparison(key: str, operator: str, text: str) -> _Requirement:
    limit = int(text)

    def holds(labels: _Labels) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > limit if operator == ">" else value < limit

    return holds


def field_selector(text: str, row: Row) -> Test:
    """A test for the API's field selector syntax.

    Args:
        text: comma-separated ``path=value`` and ``path!=value``.
        row: the kind; knows the paths it can be selected by.

    Raises:
        Refusal: 400, it cannot be parsed or names another path.
    """
    if not text.strip():
        return everything
    tests = [_field_test(part, row) for part in text.split(",") if part.strip()]
    if len(tests) == 1:
        return tests[0]
    return lambda obj: all(test(obj) for test in tests)


def _field_test(part: str, row: Row) -> Test:
    match = _FIELD.match(part.strip())
    if match is None:
        raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    path, operator, value = match.groups()
    if path not in row.fields:
        raise _not_supported(path, row)
    steps = tuple(path.split("."))
    wanted = operator != "!="
    return lambda obj: (_text_at(obj, steps) == value) is wanted


def _not_supported(path: str, row: Row) -> Refusal:
    if row.selectable:
        return bad_request(f"field label not supported: {path}")
    return bad_request(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _text_at(obj: dict[str, Any], steps: tuple[str, ...]) -> str:
    found: Any = obj
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)
