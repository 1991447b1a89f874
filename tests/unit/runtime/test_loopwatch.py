"""Lag of the loop and pauses of the collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest
from structlog.testing import capture_logs

from rbgctrl.runtime.loopwatch import GcPauses, LoopLag
from rbgctrl.sim.loop import VirtualLoop, run


def test_lag_is_the_time_somebody_kept_the_loop_busy() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        seen: list[float] = []
        watch = LoopLag(seen.append, monotonic=loop.time)
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(1.05)
        assert max(seen) == pytest.approx(0)
        with capture_logs() as logs:
            loop._jumping.now += 2.0  # a step that takes two seconds
            await asyncio.sleep(0.01)
            loop._jumping.now += 2.0
            await asyncio.sleep(0.5)
        assert max(seen) == pytest.approx(1.95, abs=0.1)
        assert [entry["event"] for entry in logs] == ["the event loop was busy"]  # not once for each sample
        numbers = watch.statistics()
        assert (numbers.samples, numbers.worst) == (len(seen), max(seen))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(main())


def test_collections_are_measured_while_installed_and_not_after() -> None:
    ticks = iter(range(1000))
    seen: list[tuple[int, float]] = []
    before = list(gc.callbacks)
    with GcPauses(lambda generation, seconds: seen.append((generation, seconds)), monotonic=lambda: next(ticks)):
        gc.collect(1)
        gc.collect(2)
    assert seen == [(1, 1), (2, 1)]
    gc.collect()
    assert len(seen) == 2
    assert gc.callbacks == before
