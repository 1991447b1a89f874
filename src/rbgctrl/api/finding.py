"""One thing that is wrong with an object, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rbgctrl.api import events

__all__ = ["Finding", "Severity", "shown"]

_SHOWN_MAX: Final = 80
_INT64: Final = 2**63


class Severity(StrEnum):
    """Whether a finding stops what it is about."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: of the field, e.g. ``spec.roles[1].dependencies[0]``.
        value: what it holds.
        message: what is wrong with it and what would be right.
        severity: errors stop the role (or, without a role, the group); warnings do not.
        role: name of the role it is about, ``""`` for the whole group.
        reason: event reason that says the same to machines.
        rule: short name of the broken rule; with the place it tells whether two objects have the same fault.
        admission: how a new object with this fault is met, where that differs from ``severity``: upstream's admission
            takes some objects that can never run, and refuses some that can.
    """

    path: str
    value: Any
    message: str
    severity: Severity = Severity.ERROR
    role: str = ""
    reason: str = events.INVALID_SPEC
    rule: str = ""
    admission: Severity | None = None

    @property
    def is_error(self) -> bool:
        """Whether it stops something."""
        return self.severity is Severity.ERROR

    @property
    def is_refused(self) -> bool:
        """Whether a new object is refused because of it."""
        return (self.admission or self.severity) is Severity.ERROR

    @property
    def sentence(self) -> str:
        """Path, value and message in one line; the value only where the message does not tell it."""
        told = "" if self.value is None or self.value == [] else shown(self.value)
        if not told or told.strip('"') in self.message:
            return str(self)
        return f"{self.path}: {told} {self.message}"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def shown(value: Any) -> str:
    """A value for people: JSON where it has some, at most 80 characters, whatever the value is."""
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return "a number of more than 64 bits"  # writing out a huge one takes time, or is refused by Python
    if isinstance(value, dict | list | tuple):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
