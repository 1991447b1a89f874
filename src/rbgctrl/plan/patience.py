"""When a status may wait: counters of something in motion are written once it has come to rest.

A starting instance changes its counters several times within a second; writing each is what makes a controller
expensive. So a change that nobody acts on (not a flip of readiness, a fault or a new generation) waits until nothing
has moved for a moment. The moment is read from timestamps in the objects, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rbgctrl.plan.conditions import parse_time

__all__ = ["PATIENCE", "rest"]

PATIENCE = 2.0
"""Seconds without movement before counters are written."""


def rest(moments: Iterable[str | None], now: datetime) -> float | None:
    """Seconds until everything has been at rest for long enough; None when it has, so that it is time to write.

    Args:
        moments: RFC 3339 times at which something moved; None entries are skipped.
        now: the present. When a moment lies further ahead than clocks drift, waiting would not end: then it is time.
    """
    newest = max((parse_time(moment) for moment in moments if moment), default=None)
    if newest is None:
        return None
    age = (now - newest).total_seconds()
    if age >= PATIENCE or age < -PATIENCE:
        return None
    return min(PATIENCE - age, PATIENCE)
