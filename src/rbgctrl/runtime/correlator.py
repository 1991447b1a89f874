"""Decides what becomes of an event: a new object, a higher count on one that exists, or nothing. No I/O, no clock.

Rules, with client-go's numbers:
    * The same subject, type, reason and message within ten minutes is one Event whose count grows.
    * From the tenth different message of one subject, type and reason on, the rest is combined into one Event.
    * Each subject and type may cause 25 writes at once and then one every five minutes. What is over the budget is
      still counted, so the next write that is allowed carries the true count.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rbgctrl.plan.model import Severity, Subject

__all__ = ["Correlator", "CorrelatorOptions", "Occurrence", "Series"]

K = TypeVar("K")
V = TypeVar("V")

COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelatorOptions:
    """Limits of aggregation.

    Attributes:
        window: seconds during which a repetition belongs to the same Event. Default 600.
        similar: how many different messages of one subject, type and reason stay apart. Default 10.
        burst: writes one subject and type may cause at once. Default 25.
        refill: writes regained per second. Default one in 300 s.
        remembered: how many series, groups and budgets are kept, least recently used dropped first. Default 4096.
    """

    window: float = 600.0
    similar: int = 10
    burst: int = 25
    refill: float = 1.0 / 300.0
    remembered: int = 4096


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something happened, as reported."""

    component: str
    subject: Subject
    severity: Severity
    reason: str
    message: str


@dataclass(slots=True, eq=False)
class Series:
    """One Event object and what is not yet written of it.

    Attributes:
        occurrence: the latest one; its message is what the Event shows.
        name: name of the Event object.
        count: occurrences so far.
        first: wall time of the first, RFC 3339.
        last: of the latest.
        seen: when the latest came, in seconds of the caller's clock.
        stored: whether the Event exists, as far as we know.
        attempts: failed writes since the last success.
    """

    occurrence: Occurrence
    name: str
    count: int
    first: str
    last: str
    seen: float
    stored: bool = False
    attempts: int = 0


@dataclass(slots=True)
class _Group:
    """Messages of one subject, type and reason."""

    seen: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Budget:
    tokens: float
    at: float


class _Recent(Generic[K, V]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, limit: int) -> None:
        self._items: OrderedDict[K, V] = OrderedDict()
        self._limit = limit

    def get(self, key: K) -> V | None:
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self._limit:
            self._items.popitem(last=False)

    def __len__(self) -> int:
        return len(self._items)


class Correlator:
    """Turns occurrences into series, and says which may be written."""

    def __init__(self, options: CorrelatorOptions = CorrelatorOptions()) -> None:
        self._options = options
        self._groups: _Recent[tuple[object, ...], _Group] = _Recent(options.remembered)
        self._series: _Recent[tuple[object, ...], Series] = _Recent(options.remembered)
        self._budgets: _Recent[tuple[object, ...], _Budget] = _Recent(options.remembered)

    def observe(self, occurrence: Occurrence, at: float, stamp: str) -> Series:
        """Count an occurrence.

        Args:
            occurrence: what happened.
            at: seconds of a clock that never goes back.
            stamp: the wall time, RFC 3339.

        Returns:
            The series it belongs to, count and times brought up to date.
        """
        group = (*_subject(occurrence), occurrence.reason)
        combined = self._is_combined(group, occurrence.message, at)
        message = (COMBINED + occurrence.message) if combined else occurrence.message
        shown = Occurrence(occurrence.component, occurrence.subject, occurrence.severity, occurrence.reason, message)
        key = (*group, None if combined else occurrence.message)
        series = self._series.get(key)
        if series is None or at - series.seen > self._options.window:
            series = Series(shown, _name(occurrence, key, stamp), 0, stamp, stamp, at)
            self._series.put(key, series)
        series.occurrence = shown
        series.count += 1
        series.last = stamp
        series.seen = at
        return series

    def allow(self, series: Series, at: float) -> bool:
        """Whether this series may be written now; takes from its subject's budget if so."""
        key = _subject(series.occurrence)
        options = self._options
        budget = self._budgets.get(key)
        if budget is None:
            budget = _Budget(float(options.burst), at)
            self._budgets.put(key, budget)
        budget.tokens = min(float(options.burst), budget.tokens + (at - budget.at) * options.refill)
        budget.at = at
        if budget.tokens < 1.0:
            return False
        budget.tokens -= 1.0
        return True

    def _is_combined(self, key: tuple[object, ...], message: str, at: float) -> bool:
        group = self._groups.get(key)
        if group is None or at - group.seen > self._options.window:
            group = _Group(at)
            self._groups.put(key, group)
        group.seen = at
        if message in group.messages:
            return False
        if len(group.messages) + 1 >= self._options.similar:
            return True
        group.messages.add(message)
        return False


def _subject(occurrence: Occurrence) -> tuple[object, ...]:
    subject = occurrence.subject
    return (occurrence.component, subject.api_version, subject.kind, subject.key, subject.uid, occurrence.severity)


def _name(occurrence: Occurrence, key: tuple[object, ...], stamp: str) -> str:
    """The same for a repeated create, so that an answer that got lost does not make a second Event."""
    digest = hashlib.blake2b(repr((key, stamp)).encode(), digest_size=8).hexdigest()
    return f"{occurrence.subject.key.name[:230]}.{digest}"
