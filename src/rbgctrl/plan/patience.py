"""When a status may wait: counters of something in motion are written once it has come to rest.

A starting instance changes its counters several times within a second; writing each is what makes a controller
expensive. So a change that nobody acts on (not a flip of readiness, a fault or a new generation) waits until nothing
has moved for a moment, but never for long: while something moves on and on, there is a second in every quarter of a
minute of the object's life in which it is told how far things are. Both are read from timestamps in the objects, so a
restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rbgctrl.api.meta import Condition, ObjectMeta
from rbgctrl.plan.conditions import parse_time

__all__ = ["PATIENCE", "PERIOD", "moments", "rest", "youth"]

PATIENCE = 2.0
"""Seconds without movement before counters are written."""

PERIOD = 15.0
"""Seconds of an object's life between two moments at which counters are written although something moves."""

_OPEN = 1.0


def moments(metadata: ObjectMeta, conditions: Iterable[Condition] | None) -> Iterator[str | None]:
    """When an object changed visibly: its birth, and what its conditions say."""
    yield metadata.creation_timestamp
    for condition in conditions or ():
        yield condition.last_transition_time


def rest(moments: Iterable[str | None], now: datetime, born: str | None = None) -> float | None:
    """Seconds until everything has been at rest for long enough; None when it is time to write.

    Args:
        moments: RFC 3339 times at which something moved; None entries are skipped.
        now: the present. When a moment lies further ahead than clocks drift, waiting would not end: then it is time.
        born: when the object that is written was created; None when it may wait for as long as something moves.
    """
    newest = max(filter(None, moments), default=None)  # by their text: the API server writes all of them alike
    if newest is None:
        return None
    age = (now - parse_time(newest)).total_seconds()
    if age >= PATIENCE or age < -PATIENCE:
        return None
    pause = min(PATIENCE - age, PATIENCE)
    if born is None:
        return pause
    life = (now - parse_time(born)).total_seconds()
    if life >= PERIOD and life % PERIOD < _OPEN:
        return None
    return min(pause, PERIOD - life % PERIOD)


def youth(born: str | None, now: datetime) -> float | None:
    """Seconds for which an object is new and says nothing of its own accord; None when it is not new any more.

    What is being made changes quickly, and whoever made it knows that it is not there yet.
    """
    life = (now - parse_time(born)).total_seconds() if born is not None else PERIOD
    return PERIOD - life if 0 <= life < PERIOD else None
