"""Reconciles share a worker's task, and yet none of them notices another, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar

import pytest
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.observers import Outcome
from rbgctrl.runtime.result import Request
from rbgctrl.sim import loop
from unit.runtime.fakes import A, B, C, ControllerDiary, Script

KEYS = (A, B, C)
PRIVATE: ContextVar[str] = ContextVar("private", default="untouched")


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    with capture_logs():
        yield


def reconcile(
    act: Callable[[Request], Awaitable[None]], *, timeout: float | None = 60.0, seconds: float = 1.0
) -> tuple[Script, ControllerDiary]:
    """One worker reconciles A, B and C in turn."""
    script = Script(act)

    async def main() -> ControllerDiary:
        ctl = Controller("test", script, options=ControllerOptions(workers=1, timeout=timeout), jitter=lambda: 0.5)
        diary = ctl.observer = ControllerDiary()
        task = asyncio.create_task(ctl.run())
        for key in KEYS:
            ctl.enqueue(key)
        await asyncio.sleep(seconds)
        ctl.stop()
        await task
        assert len(asyncio.all_tasks()) == 1, "no task is left behind"
        return diary

    return script, loop.run(main())


def test_reconciles_that_leave_no_trace_share_a_task() -> None:
    tasks: list[object] = []

    async def act(request: Request) -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0.1))

    _, diary = reconcile(act)
    assert len(tasks) == 3
    assert len({id(task) for task in tasks}) == 1
    assert diary.outcomes == [Outcome.SUCCESS] * 3


async def failing_child() -> None:
    """Before Python 3.13 this leaves the surrounding task marked as being cancelled."""

    async def child() -> None:
        raise KeyError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    except* KeyError:
        pass


async def cancelled_and_taken_back() -> None:
    """What ``asyncio.timeout`` does whose time is up just as its body ends: before Python 3.13 it strikes later."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    task.uncancel()


async def cancelling_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("leave", [failing_child, cancelled_and_taken_back, cancelling_itself])
def test_a_cancellation_left_behind_by_one_reconcile_never_strikes_the_next(
    leave: Callable[[], Awaitable[None]],
) -> None:
    async def act(request: Request) -> None:
        if request == A:
            await leave()
            return
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.timeout(1), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0.1))

    script, diary = reconcile(act)
    assert script.requests == [A, B, C]
    assert diary.outcomes == [Outcome.SUCCESS] * 3


def test_a_context_variable_set_by_one_reconcile_is_not_seen_by_the_next() -> None:
    seen: list[tuple[str, object]] = []

    async def act(request: Request) -> None:
        seen.append((PRIVATE.get(), get_contextvars().get("step")))
        PRIVATE.set(str(request))
        bind_contextvars(step=str(request))

    reconcile(act)
    assert seen == [("untouched", None)] * 3


def test_each_reconcile_has_the_whole_timeout_however_often_the_worker_was_busy_before() -> None:
    async def act(request: Request) -> None:
        await asyncio.sleep(7 if len(script.calls) < 3 else 1000)

    script = Script(act)

    async def main() -> None:
        ctl = Controller("test", script, options=ControllerOptions(workers=1, timeout=10), jitter=lambda: 0.5)
        diary = ctl.observer = ControllerDiary()
        task = asyncio.create_task(ctl.run())
        for key in KEYS:
            ctl.enqueue(key)
        await asyncio.sleep(23.9)
        assert len(diary.outcomes) == 2
        await asyncio.sleep(0.2)
        assert diary.outcomes == [Outcome.SUCCESS, Outcome.SUCCESS, Outcome.TIMEOUT], "at 24 s: 7 + 7 + 10"
        ctl.abort()
        await task

    loop.run(main())


def test_without_a_timeout_a_reconcile_may_take_for_ever() -> None:
    async def act(request: Request) -> None:
        await asyncio.sleep(100_000)

    _, diary = reconcile(act, timeout=None, seconds=350_000)
    assert diary.outcomes == [Outcome.SUCCESS] * 3


def test_after_a_timeout_the_worker_goes_on_with_the_next_key() -> None:
    async def act(request: Request) -> None:
        if request == A and len(script.calls) == 1:
            await asyncio.sleep(1000)

    script = Script(act)

    async def main() -> None:
        ctl = Controller("test", script, options=ControllerOptions(workers=1, timeout=10), jitter=lambda: 0.5)
        task = asyncio.create_task(ctl.run())
        for key in KEYS:
            ctl.enqueue(key)
        await asyncio.sleep(20)
        ctl.stop()
        await task

    loop.run(main())
    assert script.calls[:3] == [(A, 0), (B, 10), (C, 10)]
    assert script.requests == [A, B, C, A]
