"""What a controller does with the outcome of a reconcile, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from rbgctrl.runtime.attempt import ReconcileTimeoutError, StrayCancellationError
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.observers import Outcome
from rbgctrl.runtime.result import Priority, Request, Result, TerminalError
from rbgctrl.sim import loop
from unit.runtime.fakes import A, B, C, ControllerDiary, QueueDiary, Script

Logs: TypeAlias = list[MutableMapping[str, Any]]


def controller(script: Script, **options: object) -> Controller:
    made = Controller(
        "test",
        script,
        options=ControllerOptions(**options),  # type: ignore[arg-type]  # options by name
        jitter=lambda: 0.5,
    )
    made.observer = ControllerDiary()
    return made


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    """What was logged, instead of showing it."""
    with capture_logs() as lines:
        yield lines


def errors(logs: Logs) -> Logs:
    return [line for line in logs if line["log_level"] == "error"]


@asynccontextmanager
async def running(ctl: Controller) -> AsyncIterator[ControllerDiary]:
    """The controller, stopped at the end."""
    assert isinstance(ctl.observer, ControllerDiary)
    task = asyncio.create_task(ctl.run())
    try:
        yield ctl.observer
    finally:
        ctl.stop()
        await task
    assert ctl.observer.active == 0


def test_a_reconcile_that_is_done_is_not_repeated() -> None:
    async def main() -> None:
        script = Script()
        ctl = controller(script)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            ctl.enqueue(B, after=5)
            await asyncio.sleep(1000)
        assert script.calls == [(A, 0), (B, 5)]
        assert diary.outcomes == [Outcome.SUCCESS, Outcome.SUCCESS]

    loop.run(main())


def test_requeue_after_comes_back_then_and_starts_backoff_over() -> None:
    async def main() -> None:
        results: list[Result | Exception] = [OSError(), OSError(), Result(requeue_after=7), OSError(), Result()]

        async def act(request: Request) -> Result:
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        script = Script(act)
        ctl = controller(script)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(1000)
        assert script.times == [0, 0.005, 0.015, 7.015, 7.02]
        assert diary.outcomes == [
            Outcome.ERROR,
            Outcome.ERROR,
            Outcome.REQUEUE_AFTER,
            Outcome.ERROR,
            Outcome.SUCCESS,
        ]
        assert ctl.queue.retries(A) == 0

    loop.run(main())


@pytest.mark.parametrize(
    ("ran_with", "asked_for", "comes_back_with"),
    [
        (Priority.LOW, None, Priority.LOW),
        (Priority.NORMAL, None, Priority.NORMAL),
        (Priority.NORMAL, Priority.LOW, Priority.LOW),
        (Priority.LOW, Priority.NORMAL, Priority.NORMAL),
    ],
)
def test_a_requeue_keeps_the_priority_unless_the_result_names_one(
    ran_with: Priority, asked_for: Priority | None, comes_back_with: Priority
) -> None:
    async def main() -> None:
        async def act(request: Request) -> Result:
            return Result(requeue_after=1, priority=asked_for) if len(script.calls) == 1 else Result()

        script = Script(act)
        ctl = controller(script)
        seen = ctl.queue.observer = QueueDiary()
        async with running(ctl):
            ctl.enqueue(A, priority=ran_with)
            await asyncio.sleep(10)
        assert [line[1] for line in seen.lines if line[0] == "got"] == [ran_with, comes_back_with]

    loop.run(main())


def test_a_crash_in_one_reconcile_never_ends_a_worker(logs: Logs) -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            match request:
                case _ if request == A:
                    raise ZeroDivisionError
                case _ if request == B:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(stubborn())
                case _ if request == C:
                    raise asyncio.CancelledError  # of something it awaited; nobody cancelled the worker

        async def stubborn() -> None:
            raise KeyError("b")

        script = Script(act)
        ctl = controller(script, workers=1)
        async with running(ctl) as diary:
            for key in (A, B, C):
                ctl.enqueue(key)
            await asyncio.sleep(1)
            assert ctl.queue.retries(A) == ctl.queue.retries(B) == ctl.queue.retries(C) == 8
        assert diary.outcomes == [Outcome.ERROR] * 24
        assert {type(line["exc_info"]) for line in errors(logs)} == {
            ZeroDivisionError,
            ExceptionGroup,
            StrayCancellationError,
        }

    loop.run(main())


def test_an_error_is_logged_with_its_traceback_and_the_name_of_the_request(logs: Logs) -> None:
    async def main() -> None:
        bound = {}

        async def act(request: Request) -> None:
            bound.update(get_contextvars())
            if len(script.calls) == 1:
                raise ZeroDivisionError("here")

        script = Script(act)
        ctl = controller(script)
        async with running(ctl):
            ctl.enqueue(A)
            await asyncio.sleep(1)
            assert get_contextvars() == {}
        assert bound == {"controller": "test", "request": "ns/a", "reconcile_id": 2}
        (line,) = errors(logs)
        assert (line["event"], line["failures"]) == ("reconcile failed; trying again", 1)
        assert isinstance(line["exc_info"], ZeroDivisionError)
        assert line["exc_info"].__traceback__ is not None

    loop.run(main())


def terminal() -> Exception:
    return TerminalError("no such profile")


def terminal_group() -> Exception:
    return ExceptionGroup("steps", [TerminalError("one"), ExceptionGroup("inner", [TerminalError("two")])])


@pytest.mark.parametrize("make", [terminal, terminal_group])
def test_a_terminal_error_is_logged_once_and_not_retried_until_something_changes(
    logs: Logs, make: Callable[[], Exception]
) -> None:
    async def main() -> None:
        failing = True

        async def act(request: Request) -> None:
            if failing:
                raise make()

        script = Script(act)
        ctl = controller(script)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(10_000)
            assert script.requests == [A]
            ctl.enqueue(A)
            await asyncio.sleep(1)
            assert len(errors(logs)) == 1
            failing = False
            ctl.enqueue(A)
            await asyncio.sleep(1)
            failing = True
            ctl.enqueue(A)
            await asyncio.sleep(1)
            assert len(errors(logs)) == 2
        assert diary.outcomes == [Outcome.TERMINAL, Outcome.TERMINAL, Outcome.SUCCESS, Outcome.TERMINAL]
        assert ctl.queue.retries(A) == 0

    loop.run(main())


def test_a_group_with_one_error_that_may_pass_is_retried() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            if len(script.calls) == 1:
                raise ExceptionGroup("steps", [TerminalError("one"), OSError()])

        script = Script(act)
        ctl = controller(script)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(1)
        assert diary.outcomes == [Outcome.ERROR, Outcome.SUCCESS]

    loop.run(main())


def test_a_reconcile_that_hangs_is_cancelled_counted_as_timeout_and_retried(logs: Logs) -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            if len(script.calls) == 1:
                await asyncio.sleep(1000)

        script = Script(act)
        ctl = controller(script, timeout=60)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(100)
        assert script.times == [0, 60.005]
        assert diary.outcomes == [Outcome.TIMEOUT, Outcome.SUCCESS]
        (line,) = errors(logs)
        assert isinstance(line["exc_info"], ReconcileTimeoutError)
        assert str(line["exc_info"]) == "not finished after 60 s"
        cause = line["exc_info"].__cause__
        assert isinstance(cause, asyncio.CancelledError)
        assert "await asyncio.sleep(1000)" in "".join(traceback.format_tb(cause.__traceback__)), "it shows where"

    loop.run(main())


def test_a_reconcile_that_breaks_while_it_is_timed_out_still_counts_as_timeout() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                raise OSError

        ctl = controller(Script(act), timeout=1)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(1.5)
            assert diary.outcomes == [Outcome.TIMEOUT]

    loop.run(main())


def test_a_timeout_inside_a_reconcile_is_an_ordinary_error() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            if len(script.calls) == 1:
                async with asyncio.timeout(1):
                    await asyncio.sleep(2)

        script = Script(act)
        ctl = controller(script)
        async with running(ctl) as diary:
            ctl.enqueue(A)
            await asyncio.sleep(10)
        assert diary.outcomes == [Outcome.ERROR, Outcome.SUCCESS]

    loop.run(main())


def test_a_reconciler_that_forgets_its_result_is_told_so(logs: Logs) -> None:
    class Forgetful:
        async def reconcile(self, request: Request) -> Result:
            return None  # type: ignore[return-value]  # the mistake

    async def main() -> None:
        ctl = Controller("test", Forgetful())
        task = asyncio.create_task(ctl.run())
        ctl.enqueue(A)
        await asyncio.sleep(0.001)
        ctl.stop()
        await task
        assert "Forgetful.reconcile returned None instead of a Result" in str(
            [line.get("exc_info") for line in logs if line["log_level"] == "error"]
        )

    loop.run(main())


def test_workers_run_different_keys_together_and_one_key_once_at_a_time() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            await asyncio.sleep(1)

        script = Script(act)
        ctl = controller(script, workers=2)
        async with running(ctl):
            for key in (A, B, C, A):
                ctl.enqueue(key)
            await asyncio.sleep(0.5)
            assert script.running == {A, B}
            assert ctl.statistics().active == 2
            ctl.enqueue(A)
            await asyncio.sleep(10)
            assert ctl.statistics().idle
        assert script.calls == [(A, 0), (B, 0), (A, 1), (C, 1)] or script.calls == [(A, 0), (B, 0), (C, 1), (A, 1)]
        assert script.most == 2

    loop.run(main())


def test_reconciles_that_never_wait_leave_room_for_everything_else() -> None:
    async def main() -> None:
        script = Script()
        ctl = controller(script, workers=4)
        seen: list[int] = []

        async def lease() -> None:
            while len(script.calls) < 1000:
                seen.append(len(script.calls))
                await asyncio.sleep(0)

        async with running(ctl):
            for number in range(1000):
                ctl.enqueue(A._replace(name=str(number)))
            await lease()
        assert max(after - before for before, after in itertools.pairwise(seen)) <= 4

    loop.run(main())
