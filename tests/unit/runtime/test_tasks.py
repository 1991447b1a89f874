"""Ending tasks for certain."""

from __future__ import annotations

import asyncio

from rbgctrl.runtime.tasks import end, end_within
from rbgctrl.sim.loop import run


async def stubborn(seconds: float) -> None:
    """Needs time to end, and the same again for each further cancellation."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(seconds)


def test_end_waits_for_what_needs_time() -> None:
    async def main() -> None:
        task = asyncio.create_task(stubborn(5))
        await asyncio.sleep(0)
        await end(task)
        assert task.cancelled()
        assert asyncio.get_running_loop().time() == 5

    run(main())


def test_end_passes_further_cancellations_on_and_still_waits() -> None:
    async def main() -> None:
        task = asyncio.create_task(stubborn(3600))
        await asyncio.sleep(0)
        ending = asyncio.create_task(end(task))
        await asyncio.sleep(1)
        ending.cancel()
        await ending
        assert task.cancelled()
        assert asyncio.get_running_loop().time() == 1

    run(main())


def test_end_does_not_raise_what_the_task_raised() -> None:
    async def main() -> None:
        async def fail() -> None:
            raise ZeroDivisionError

        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await end(task)
        assert isinstance(task.exception(), ZeroDivisionError)

    run(main())


def test_end_within_returns_what_does_not_end_in_time() -> None:
    async def main() -> None:
        quick, slow = asyncio.create_task(stubborn(1)), asyncio.create_task(stubborn(60))
        await asyncio.sleep(0)
        assert await end_within([quick, slow], 5) == {slow}
        assert asyncio.get_running_loop().time() == 5
        assert quick.cancelled()
        await end(slow)
        assert await end_within([quick, slow], 5) == set()

    run(main())
