"""The sentences of validation that many rules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from rbgctrl.sim.status import Cause

__all__ = ["at_least", "forbidden_change", "immutable", "invalid_value", "one_of", "required", "shown"]


def shown(value: Any) -> str:
    """A value as messages show it."""
    return orjson.dumps(value).decode()


def required(field: str, message: str = "") -> Cause:
    """Something must be there."""
    return Cause("FieldValueRequired", f"Required value{f': {message}' if message else ''}", field)


def invalid_value(field: str, value: Any, message: str) -> Cause:
    """A value breaks a rule."""
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {message}", field)


def immutable(field: str, value: Any) -> Cause:
    """A field never changes."""
    return invalid_value(field, value, "field is immutable")


def forbidden_change(field: str, message: str) -> Cause:
    """Something may not be done."""
    return Cause("FieldValueForbidden", f"Forbidden: {message}", field)


def at_least(field: str, value: int, least: int) -> list[Cause]:
    """A number has a lower bound."""
    return [] if value >= least else [invalid_value(field, value, f"must be greater than or equal to {least}")]


def one_of(field: str, value: Any, allowed: Sequence[str]) -> list[Cause]:
    """A value is one of a few; a missing one is not looked at."""
    if value in (None, *allowed):
        return []
    listed = ", ".join(shown(item) for item in allowed)
    return [Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", field)]
