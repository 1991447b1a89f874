"""The syntax of label selectors, read as the API server reads it and refused in its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rbgctrl.sim.metadata import LABEL_KEY_MESSAGE, LABEL_VALUE_MESSAGE, is_label_key, is_label_value

__all__ = ["Requirement", "SelectorError", "parse_selector"]

Labels = Mapping[str, str]
Holds = Callable[[Labels], bool]

_TOKEN: Final = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SYMBOLS: Final = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">"))
_OPERATORS: Final = ("in", "notin", "=", "==", "!=", "<", ">")
_LISTED: Final = "in, notin, =, ==, !=, gt, lt"
_END: Final = ""


class SelectorError(ValueError):
    """The text is no label selector; the message is the API server's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector.

    Attributes:
        key: of the label.
        operator: ``in``, ``notin``, ``exists``, ``!``, ``<`` or ``>``.
        values: for ``in`` and ``notin``, or the one bound.
        holds: the test.
    """

    key: str
    operator: str
    values: frozenset[str]
    holds: Holds


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector, all of which must hold.

    Raises:
        SelectorError: it cannot be parsed.
    """
    return _Parser(text).selector()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._position = 0

    def selector(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while True:
            sign = self._look()
            if sign == _END:
                return tuple(found)
            if sign in _SYMBOLS and sign != "!":
                raise SelectorError(f"found '{sign}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            sign = self._take()
            if sign == _END:
                return tuple(found)
            if sign != ",":
                raise SelectorError(f"found '{sign}', expected: ',' or 'end of string'")
            following = self._look()
            if following == _END or (following in _SYMBOLS and following != "!"):
                raise SelectorError(f"found '{following}', expected: identifier after ','")

    def _look(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _take(self) -> str:
        sign = self._look()
        self._position += 1
        return sign

    def _requirement(self) -> Requirement:
        sign = self._take()
        absent = sign == "!"
        if absent:
            sign = self._take()
        if sign == _END or sign in _SYMBOLS:
            raise SelectorError(f"found '{sign}', expected: identifier")
        key = sign
        if not is_label_key(key):
            raise SelectorError(f'<nil>: Invalid value: "{key}": {LABEL_KEY_MESSAGE}')
        if absent:
            return Requirement(key, "!", frozenset(), lambda labels: key not in labels)
        if self._look() in (_END, ","):
            return Requirement(key, "exists", frozenset(), lambda labels: key in labels)
        operator = self._take()
        if operator not in _OPERATORS:
            raise SelectorError(f"found '{operator}', expected: {_LISTED}")
        values = self._values() if operator in ("in", "notin") else frozenset((self._exact(),))
        return _requirement(key, operator, values)

    def _values(self) -> frozenset[str]:
        sign = self._take()
        if sign != "(":
            raise SelectorError(f"found '{sign}' expected: '('")
        sign = self._look()
        if sign == ")":
            self._take()
            return frozenset(("",))
        if sign == _END or (sign in _SYMBOLS and sign != ","):
            raise SelectorError(f"found '{sign}', expected: ',', ')' or identifier")
        found: set[str] = set()
        while True:
            sign = self._take()
            if sign == ",":
                found.add("") if not found or self._look() in (",", ")") else None
            elif sign == _END or sign in _SYMBOLS:
                raise SelectorError(f"found '{sign}', expected: ',', or identifier")
            else:
                found.add(sign)
                if self._look() not in (",", ")"):
                    raise SelectorError(f"found '{self._look()}', expected: ',' or ')'")
            if self._look() == ")":
                self._take()
                return frozenset(found)

    def _exact(self) -> str:
        if self._look() in (_END, ","):
            return ""
        sign = self._take()
        if sign in _SYMBOLS:
            raise SelectorError(f"found '{sign}', expected: identifier")
        return sign


def _requirement(key: str, operator: str, values: frozenset[str]) -> Requirement:
    for value in values:
        if not is_label_value(value):
            raise SelectorError(f'values[0][{key}]: Invalid value: "{value}": {LABEL_VALUE_MESSAGE}')
    if operator in ("<", ">"):
        return Requirement(key, operator, values, _comparison(key, operator, next(iter(values))))
    if operator in ("notin", "!="):
        return Requirement(key, "notin", values, lambda labels: labels.get(key) not in values)
    if len(values) == 1:
        only = next(iter(values))
        return Requirement(key, "in", values, lambda labels: labels.get(key) == only)
    return Requirement(key, "in", values, lambda labels: labels.get(key) in values)


def _comparison(key: str, operator: str, text: str) -> Holds:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise SelectorError(
            f"values[0][{key}]: Invalid value: \"{text}\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    limit = int(text)

    def holds(labels: Labels) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > limit if operator == ">" else value < limit

    return holds
