"""Conditions with standard semantics: a transition time moves only when the status does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from rbgctrl.api.meta import Condition
from rbgctrl.plan.compare import fields, values

__all__ = ["acted_on", "changes", "differs", "find", "merge", "parse_time", "stamp"]


@lru_cache(maxsize=8)  # a pass stamps everything with the same moment
def stamp(now: datetime) -> str:
    """``now`` as ``metav1.Time`` writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, with or without fractions, as an aware datetime."""
    return datetime.fromisoformat(text)


def find(conditions: Iterable[Condition] | None, kind: str) -> Condition | None:
    """The condition of that type, if present."""
    return next((condition for condition in conditions or () if condition.type == kind), None)


def acted_on(conditions: Iterable[Condition] | None) -> list[tuple[str, str, str]]:
    """What others act on of conditions: all but their wording and times."""
    return [(condition.type, condition.status, condition.reason) for condition in conditions or ()]


def merge(
    stored: Sequence[Condition] | None, wanted: Iterable[Condition], now: datetime, *, drop: Collection[str] = ()
) -> tuple[Condition, ...]:
    """The conditions to store: ``wanted`` over ``stored``, those of others kept, types in ``drop`` removed.

    The order of ``stored`` is kept and new types follow, so an unchanged outcome compares equal.
    """
    ours = {condition.type: condition for condition in wanted}
    merged = []
    for old in stored or ():
        new = ours.pop(old.type, None)
        if new is not None:
            merged.append(_since(new, old, now))
        elif old.type not in drop:
            merged.append(old)
    merged += [_since(condition, None, now) for condition in ours.values()]
    return tuple(merged)


def _since(new: Condition, old: Condition | None, now: datetime) -> Condition:
    since = old.last_transition_time if old is not None and old.status == new.status else None
    return msgspec.structs.replace(new, last_transition_time=since or stamp(now))


_EMPTY: tuple[Any, ...] = ("", (), {})


def differs(stored: msgspec.Struct | None, wanted: msgspec.Struct) -> bool:
    """Whether :func:`changes` has anything to say; much cheaper than what it says."""
    return any(
        value is not None and (value not in _EMPTY if stored is None else getattr(stored, name) != value)
        for name, _ in fields(type(wanted))
        for value in (getattr(wanted, name),)
    )


def changes(stored: msgspec.Struct | None, wanted: msgspec.Struct) -> dict[str, Any]:
    """The merge patch that turns the status ``stored`` into ``wanted``.

    With no status so far, every field is written that is not empty; counters also when they are zero, because the
    schema of a status may require them. Absent (None) fields are left alone.
    """
    return {
        encoded: values(value)
        for name, encoded in fields(type(wanted))
        if (value := getattr(wanted, name)) is not None
        and (value not in _EMPTY if stored is None else getattr(stored, name) != value)
    }
