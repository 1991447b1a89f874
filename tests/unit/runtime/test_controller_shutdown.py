"""How a controller ends: draining, aborted, cancelled, crashed. Nothing runs once ``run`` has returned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rbgctrl.runtime import handlers
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.observers import Outcome
from rbgctrl.runtime.result import Request, Result
from rbgctrl.sim import loop
from unit.runtime.fakes import A, B, C, ControllerDiary, FakeInformer, Script


class SimulatedCrash(BaseException):
    pass


def ticking(seconds: float, ended: list[Request]) -> Callable[[Request], Awaitable[Result | None]]:
    async def act(request: Request) -> Result | None:
        await asyncio.sleep(seconds)
        ended.append(request)
        return Result(requeue_after=1)

    return act


async def started(script: Script, *, drain: float = 8.0) -> tuple[Controller, ControllerDiary, asyncio.Task[None]]:
    """A controller of one worker that has been busy with A for a second, with B ready and C delayed."""
    ctl = Controller("test", script, options=ControllerOptions(workers=1, drain=drain))
    diary = ctl.observer = ControllerDiary()
    task = asyncio.create_task(ctl.run(), name="run")
    ctl.enqueue(A)
    ctl.enqueue(B)
    ctl.enqueue(C, after=3)
    await asyncio.sleep(1)
    assert script.running == {A}
    return ctl, diary, task


def now() -> float:
    return asyncio.get_running_loop().time()


def test_stopping_lets_what_runs_finish_and_starts_nothing_more() -> None:
    async def main() -> None:
        ended: list[Request] = []
        script = Script(ticking(5, ended))
        ctl, diary, task = await started(script)
        ctl.stop()
        ctl.stop()
        ctl.enqueue(B)
        await task
        assert (now(), ended, script.requests) == (5, [A], [A])
        assert diary.outcomes == [Outcome.REQUEUE_AFTER]
        await asyncio.sleep(100)
        assert script.requests == [A]
        assert len(asyncio.all_tasks()) == 1

    loop.run(main())


def test_what_does_not_finish_before_the_drain_deadline_is_cancelled() -> None:
    async def main() -> None:
        ended: list[Request] = []
        ctl, diary, task = await started(Script(ticking(50, ended)), drain=8)
        ctl.stop()
        await task
        assert (now(), ended) == (9, [])
        assert diary.outcomes == [Outcome.CANCELLED]
        assert diary.active == 0
        assert ctl.queue.statistics().processing == 0, "done is called however a reconcile ends"

    loop.run(main())


def test_cancelling_is_a_drained_stop_that_ends_in_a_cancellation() -> None:
    async def main() -> None:
        ended: list[Request] = []
        _, _, task = await started(Script(ticking(5, ended)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (now(), ended) == (5, [A])

    loop.run(main())


def test_cancelling_twice_waits_no_longer() -> None:
    async def main() -> None:
        ended: list[Request] = []
        _, _, task = await started(Script(ticking(5, ended)))
        task.cancel()
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (now(), ended) == (2, [])

    loop.run(main())


def test_losing_the_lease_cancels_what_runs_at_once() -> None:
    async def main() -> None:
        ended: list[Request] = []
        ctl, diary, task = await started(Script(ticking(5, ended)))
        ctl.stop()
        await asyncio.sleep(1)
        ctl.abort()
        await task
        assert (now(), ended, diary.outcomes) == (2, [], [Outcome.CANCELLED])

    loop.run(main())


def test_run_returns_only_after_the_last_cleanup_of_a_cancelled_reconcile() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(3)  # a last write that cannot be taken back

        ctl, _, task = await started(Script(act))
        ctl.abort()
        await task
        assert now() == 4

    loop.run(main())


def test_stopping_before_the_informers_have_listed_does_not_wait() -> None:
    async def main() -> None:
        ctl = Controller("test", Script())
        ctl.watch(FakeInformer(), handlers.itself)
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        ctl.stop()
        await task
        assert now() == 1

    loop.run(main())


@pytest.mark.parametrize("end", [Controller.stop, Controller.abort])
def test_a_controller_stopped_before_it_runs_does_nothing(end: Callable[[Controller], None]) -> None:
    async def main() -> None:
        script = Script()
        ctl = Controller("test", script)
        ctl.enqueue(A)
        end(ctl)
        await ctl.run()
        assert script.calls == []

    loop.run(main())


def test_a_controller_runs_once() -> None:
    async def main() -> None:
        ctl = Controller("test", Script())
        task = asyncio.create_task(ctl.run())
        await asyncio.sleep(1)
        ctl.stop()
        await task
        with pytest.raises(RuntimeError, match="controller test was run before"):
            await ctl.run()

    loop.run(main())


def test_what_is_no_exception_ends_the_controller_and_comes_out_of_run() -> None:
    async def main() -> None:
        async def act(request: Request) -> None:
            if request == A:
                raise SimulatedCrash
            await asyncio.sleep(100)

        ctl = Controller("test", Script(act))
        diary = ctl.observer = ControllerDiary()
        ctl.enqueue(B)
        ctl.enqueue(A)
        with pytest.raises(BaseExceptionGroup) as caught:
            await ctl.run()
        assert caught.value.subgroup(SimulatedCrash) is not None
        assert sorted(diary.outcomes, key=str) == [Outcome.CANCELLED, Outcome.PANIC]
        assert now() == 0
        assert B in ctl.queue._lanes, "a reconcile cancelled by somebody else's crash is not lost"

    loop.run(main())
