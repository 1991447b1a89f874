"""Keeping the garbage collector away from the cache.

What informers hold lives long and forms no cycles, so scanning it is wasted time. Measured with many cached objects,
the collector took most of the time of an initial load, and paused the loop for longest when it was least convenient.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

__all__ = ["tuned_collector"]

_THRESHOLD = (2_000, 10, 1_000)
_LONGEST_OFF = 60.0
_AGAIN = 900.0


@asynccontextmanager
async def tuned_collector(wait_synced: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Collect nothing until the informers have synced, then exempt what they hold; renew that every 15 minutes.

    It is process-wide, so it belongs into a daemon and not into a library. Everything is put back at the end.

    Args:
        wait_synced: returns when the initial lists are there; after a minute the collector is turned on regardless.
    """
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    gc.disable()
    task = asyncio.create_task(_tune(wait_synced), name="garbage collector tuning")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        gc.set_threshold(*threshold)
        gc.unfreeze()
        if enabled:
            gc.enable()
        else:
            gc.disable()


async def _tune(wait_synced: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(_LONGEST_OFF):
            await wait_synced()
    except TimeoutError:
        pass  # garbage must not pile up because one kind cannot be listed
    finally:
        gc.enable()
    gc.set_threshold(*_THRESHOLD)
    while True:
        gc.collect()
        gc.freeze()
        await asyncio.sleep(_AGAIN)
