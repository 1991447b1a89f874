"""The only file that reads the wall clock or draws random numbers.

Everything else takes ``now`` and randomness as arguments. Durations come from the event loop's own
monotonic clock (``loop.time()``), so virtual-time tests need no patching.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

__all__ = ["Jitter", "Now", "jitter", "new_id", "rfc3339", "rfc3339_micro", "utcnow"]

Now: TypeAlias = Callable[[], datetime]
"""Returns the present as an aware UTC datetime."""

Jitter: TypeAlias = Callable[[], float]
"""Returns a number drawn uniformly from [0, 1)."""


def utcnow() -> datetime:
    """The wall clock, aware and in UTC. For API fields only, never for durations."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """``moment`` as ``metav1.Time`` writes it: UTC, whole seconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """``moment`` as ``metav1.MicroTime`` writes it: UTC, microseconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """A fresh random identifier, 32 hex digits."""
    return uuid.uuid4().hex


_random = random.Random()  # noqa: S311 - spreads retries; not a secret


def jitter() -> float:
    """A number drawn uniformly from [0, 1), to spread retries of many clients."""
    return _random.random()
