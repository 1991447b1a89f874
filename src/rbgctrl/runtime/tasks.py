"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["end", "end_within"]


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended, without raising what it raised.

    Cancellations of the caller that arrive meanwhile are passed on to the task instead of leaving it behind.
    """
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
    if not task.cancelled():
        task.exception()  # seen: whoever cares asks for the result


async def end_within(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> set[asyncio.Task[Any]]:
    """Cancel tasks and wait for them, but not longer than ``seconds``.

    Returns:
        Those that have not ended.
    """
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    if not running:
        return set()
    _, left = await asyncio.wait(running, timeout=seconds)
    return left
