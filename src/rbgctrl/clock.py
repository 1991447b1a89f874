"""The only file that reads the wall clock or draws random numbers.

Everything else takes ``now`` and randomness as arguments. Durations come from the event loop's own
monotonic clock (``loop.time()``), so virtual-time tests need no patching; whoever cannot live with a clock that some
loops cache for a whole iteration (leader election, pause measurements) takes ``monotonic`` as an argument.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

__all__ = ["Jitter", "Monotonic", "Now", "jitter", "monotonic", "new_id", "rfc3339", "rfc3339_micro", "utcnow"]

Now: TypeAlias = Callable[[], datetime]
"""Returns the present as an aware UTC datetime."""

Jitter: TypeAlias = Callable[[], float]
"""Returns a number drawn uniformly from [0, 1)."""

Monotonic: TypeAlias = Callable[[], float]
"""Returns seconds since some fixed point; never goes back, keeps counting while the process is stopped."""


def utcnow() -> datetime:
    """The wall clock, aware and in UTC. For API fields only, never for durations."""
    return datetime.now(UTC)


def _best_clock() -> int | None:
    """The clock that also counts while the machine is suspended, where the platform has one."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        return None
    try:
        time.clock_gettime(clock)
    except OSError:  # known to the C library, refused by the kernel or a sandbox
        return None
    return clock


_CLOCK = _best_clock()


def monotonic() -> float:
    """Seconds that never go back and go on while this process, or the whole machine, is stopped."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


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
