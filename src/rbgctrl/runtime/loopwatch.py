"""Watches what nobody sees otherwise: how late the event loop runs, and how long the garbage collector stops it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from rbgctrl.clock import Monotonic, monotonic

__all__ = ["GcPauses", "LoopLag", "LoopLagStatistics"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLagStatistics:
    """How late the loop ran.

    Attributes:
        last: seconds of the latest sample.
        worst: seconds of the worst sample since the start.
        samples: how many there were.
    """

    last: float
    worst: float
    samples: int


class LoopLag:
    """Measures by how much a timer is late: the time somebody kept the loop busy.

    Args:
        observe: called with each lag in seconds.
        interval: seconds between samples.
        warn: lags longer than this are logged, at most once every ten seconds.
        monotonic: clock; not the loop's own, which some loops only set once in an iteration.
    """

    def __init__(
        self,
        observe: Callable[[float], None],
        *,
        interval: float = 0.1,
        warn: float = 0.5,
        monotonic: Monotonic = monotonic,
    ) -> None:
        self._observe = observe
        self._interval = interval
        self._warn = warn
        self._monotonic = monotonic
        self._last = self._worst = 0.0
        self._samples = 0
        self._warned_at = float("-inf")

    def statistics(self) -> LoopLagStatistics:
        """A snapshot."""
        return LoopLagStatistics(last=self._last, worst=self._worst, samples=self._samples)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = self._monotonic() + self._interval
            await asyncio.sleep(self._interval)
            late = max(0.0, self._monotonic() - due)
            self._last = late
            self._worst = max(self._worst, late)
            self._samples += 1
            self._observe(late)
            if late > self._warn and self._monotonic() - self._warned_at > 10.0:
                self._warned_at = self._monotonic()
                log.warning("the event loop was busy", seconds=round(late, 3))


class GcPauses:
    """Measures collections while installed; a context manager.

    Args:
        observe: called with the generation and the seconds of each collection.
        monotonic: clock.
    """

    def __init__(self, observe: Callable[[int, float], None], *, monotonic: Monotonic = monotonic) -> None:
        self._observe = observe
        self._monotonic = monotonic
        self._started = 0.0

    def __enter__(self) -> GcPauses:
        gc.callbacks.append(self._collected)
        return self

    def __exit__(self, *_: object) -> None:
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._started = self._monotonic()
        else:
            self._observe(info["generation"], self._monotonic() - self._started)
