"""The work queue, promise by promise, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rbgctrl.api.meta import Key
from rbgctrl.runtime.queue import QueueClosedError, QueueOptions, WorkQueue
from rbgctrl.runtime.result import Priority, Request
from rbgctrl.sim import loop
from unit.runtime.fakes import A, B, C, QueueDiary

LOW, NORMAL = Priority.LOW, Priority.NORMAL


def queue(options: QueueOptions | None = None) -> WorkQueue:
    return WorkQueue(options, jitter=lambda: 0.5)


async def take(q: WorkQueue) -> Request:
    """The next key, at once done."""
    key, _ = await q.get()
    q.done(key)
    return key


async def take_all(q: WorkQueue) -> list[Request]:
    """Every ready key in order, at once done."""
    return [await take(q) for _ in range(len(q))]


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


def test_a_key_added_many_times_is_handed_out_once() -> None:
    async def main() -> None:
        q = queue()
        for key in (A, B, A, A, B):
            q.add(key)
        assert await take_all(q) == [A, B]
        assert q.statistics().adds == 2

    loop.run(main())


def test_an_add_during_processing_runs_once_more_and_only_after_done() -> None:
    async def main() -> None:
        q = queue()
        q.add(A)
        assert await q.get() == (A, NORMAL)
        q.add(A)
        q.add(A, priority=LOW)
        assert len(q) == 0
        second = asyncio.create_task(q.get())
        await asyncio.sleep(100)
        assert not second.done()
        q.done(A)
        assert await second == (A, NORMAL)
        q.done(A)
        assert q.statistics().idle

    loop.run(main())


def test_each_waiting_worker_gets_another_key_and_first_come_is_first_served() -> None:
    async def main() -> None:
        q = queue()
        workers = [asyncio.create_task(q.get()) for _ in range(3)]
        await asyncio.sleep(1)
        for key in (A, B, C):
            q.add(key)
        assert [key for key, _ in await asyncio.gather(*workers)] == [A, B, C]

    loop.run(main())


def test_a_better_lane_goes_first_whatever_came_first() -> None:
    async def main() -> None:
        q = queue()
        q.add(A, priority=LOW)
        q.add(B)
        q.add(C)
        assert await take_all(q) == [B, C, A]

    loop.run(main())


def test_adding_again_keeps_the_better_priority_and_joins_the_end_of_its_lane() -> None:
    async def main() -> None:
        q = queue()
        q.add(A, priority=LOW)
        q.add(B)
        q.add(A)
        q.add(B, priority=LOW)
        assert q.statistics().depth == {NORMAL: 2, LOW: 0}
        assert [await q.get(), await q.get()] == [(B, NORMAL), (A, NORMAL)]

    loop.run(main())


def test_a_key_raised_while_it_is_processed_comes_back_raised() -> None:
    async def main() -> None:
        q = queue()
        q.add(A, priority=LOW)
        await q.get()
        q.add(A, priority=LOW)
        q.add(A)
        q.done(A)
        assert await q.get() == (A, NORMAL)

    loop.run(main())


def test_a_key_that_waited_long_moves_up_one_lane_and_keeps_its_own_priority() -> None:
    async def main() -> None:
        q = queue(QueueOptions(ageing=30))
        q.add(A, priority=LOW)
        await asyncio.sleep(29.9)
        q.add(B)
        assert await take(q) == B
        q.add(B)
        await asyncio.sleep(0.1)
        q.add(C)
        assert await take(q) == B
        assert await take(q) == C  # A aged only now, behind what was there
        q.add(B)
        assert await q.get() == (A, LOW)

    loop.run(main())


def test_an_aged_key_that_is_raised_keeps_the_place_it_aged_into() -> None:
    async def main() -> None:
        q = queue()
        q.add(A, priority=LOW)
        await asyncio.sleep(30)
        q.add(B)
        assert await take(q) == B
        q.add(C)
        q.add(A)
        assert [await q.get(), await q.get()] == [(A, NORMAL), (C, NORMAL)]

    loop.run(main())


def test_namespaces_take_turns() -> None:
    async def main() -> None:
        q = queue()
        crowd = [Key("big", str(number)) for number in range(100)]
        for key in crowd:
            q.add(key)
        q.add(Key("small", "only"))
        q.add(Key("tiny", "only"))
        assert await take_all(q) == [crowd[0], Key("small", "only"), Key("tiny", "only"), *crowd[1:]]

    loop.run(main())


def test_a_delayed_key_becomes_ready_at_its_time() -> None:
    async def main() -> None:
        q = queue()
        q.add_after(A, 5, priority=LOW)
        assert (len(q), q.statistics().delayed) == (0, 1)
        assert await q.get() == (A, LOW)
        assert now() == 5
        q.done(A)
        q.add_after(A, 0)
        assert await take(q) == A
        assert now() == 5

    loop.run(main())


@pytest.mark.parametrize("delays", [(5, 3), (3, 5)])
def test_the_earlier_time_and_the_better_priority_win(delays: tuple[float, float]) -> None:
    async def main() -> None:
        q = queue()
        q.add_after(A, delays[0], priority=LOW)
        q.add_after(A, delays[1])
        assert await q.get() == (A, NORMAL)
        q.done(A)
        assert now() == 3
        await asyncio.sleep(60)
        assert len(q) == 0, "the later time is over too"

    loop.run(main())


def test_an_add_ends_the_delay_and_a_delay_does_not_hold_back_a_ready_key() -> None:
    async def main() -> None:
        q = queue()
        q.add_after(A, 5)
        q.add(A, priority=LOW)
        q.add(B, priority=LOW)
        q.add_after(B, 5)
        assert [await q.get(), await q.get()] == [(A, NORMAL), (B, NORMAL)]
        q.add(A)
        q.add_after(A, 5)  # it is dirty already
        q.done(A)
        q.done(B)
        assert await take(q) == A
        await asyncio.sleep(60)
        assert len(q) == 0

    loop.run(main())


def test_a_key_whose_delay_ends_while_it_is_processed_waits_for_done() -> None:
    async def main() -> None:
        q = queue()
        q.add(A)
        await q.get()
        q.add_after(A, 1)
        await asyncio.sleep(2)
        assert len(q) == 0
        q.done(A)
        assert await take(q) == A
        assert now() == 2

    loop.run(main())


def test_delayed_keys_join_in_the_order_of_their_times_even_behind_a_late_timer() -> None:
    async def main() -> None:
        q = queue()
        q.add_after(C, 3)
        q.add_after(B, 2)
        q.add_after(A, 1)
        selector = asyncio.get_running_loop()._jumping  # type: ignore[attr-defined]  # the virtual clock
        selector.now += 10  # a step of the loop that took ten seconds: no timer could run
        q.add(Key("ns", "d"))
        assert await take_all(q) == [A, B, C, Key("ns", "d")]

    loop.run(main())


def test_there_is_one_timer_for_all_delays_and_no_growth_from_superseded_ones() -> None:
    async def main() -> None:
        q = queue()
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # asyncio's own heap
        for number in range(1000):
            q.add_after(Key("ns", str(number)), 1000 - number)
            assert sum(not timer.cancelled() for timer in timers) == 1
        armed = q._timer
        q.add_after(A, 500)
        assert q._timer is armed, "a later delay costs no timer"
        for number in range(1000):
            q.add(Key("ns", str(number)))
        await take_all(q)
        for _ in range(10_000):
            q.add_after(A, 300)
            q.add(A)
            await take(q)
        assert len(q._heap) <= 65

    loop.run(main())


def test_backoff_doubles_per_key_to_the_cap_and_is_forgotten_on_success() -> None:
    async def main() -> None:
        q = queue()
        waits = []
        for _ in range(20):
            start = now()
            q.add_rate_limited(A)
            await take(q)
            waits.append(round(now() - start, 3))
        assert waits[:6] == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16]
        assert waits[-1] == 250  # the middle of the spread below the cap of 300
        assert q.retries(A) == 20
        assert q.retries(B) == 0
        q.forget(A)
        start = now()
        q.add_rate_limited(A)
        q.add_rate_limited(B)
        await take_pair(q)
        assert round(now() - start, 3) == 0.005

    async def take_pair(q: WorkQueue) -> None:
        await take(q)
        await take(q)

    loop.run(main())


def closed_with(drain: bool) -> Callable[[WorkQueue], Awaitable[list[Request]]]:
    async def rest(q: WorkQueue) -> list[Request]:
        q.close(drain=drain)
        found = []
        while True:
            try:
                found.append(await take(q))
            except QueueClosedError:
                return found

    return rest


@pytest.mark.parametrize(("drain", "rest"), [(True, [B, C]), (False, [])])
def test_a_closed_queue_takes_nothing_and_hands_out_the_rest_only_to_drain(drain: bool, rest: list[Request]) -> None:
    async def main() -> None:
        q = queue()
        q.add(B)
        q.add(C, priority=LOW)
        q.add_after(A, 1)
        assert await closed_with(drain)(q) == rest
        q.add(A)
        q.add_after(A, 1)
        q.add_rate_limited(A)
        await asyncio.sleep(10)
        assert len(q) == 0
        assert q.retries(A) == 0
        assert q.statistics().closed
        with pytest.raises(QueueClosedError):
            await q.get()

    loop.run(main())


def test_draining_hands_out_what_was_added_during_processing_before_workers_end() -> None:
    async def main() -> None:
        q = queue()
        q.add(A)
        await q.get()
        q.add(A)
        q.close(drain=True)
        idle, other = asyncio.create_task(q.get()), asyncio.create_task(q.get())
        await asyncio.sleep(1)
        assert not idle.done()
        q.done(A)
        assert await idle == (A, NORMAL)
        with pytest.raises(QueueClosedError):
            await other
        q.done(A)
        with pytest.raises(QueueClosedError):
            await q.get()

    loop.run(main())


def test_closing_without_drain_ends_waiting_workers_and_drops_what_is_dirty() -> None:
    async def main() -> None:
        q = queue()
        waiting = [asyncio.create_task(q.get()) for _ in range(2)]
        await asyncio.sleep(1)
        q.add(A)
        await asyncio.sleep(1)
        q.add(A)
        q.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert outcomes[0] == (A, NORMAL)
        assert isinstance(outcomes[1], QueueClosedError)
        q.done(A)
        assert len(q) == 0

    loop.run(main())


def test_a_cancelled_worker_leaves_its_wake_up_to_the_next() -> None:
    async def main() -> None:
        q = queue()
        first, second = asyncio.create_task(q.get()), asyncio.create_task(q.get())
        await asyncio.sleep(1)
        q.add(A)  # wakes the first
        first.cancel()
        assert await second == (A, NORMAL)
        assert first.cancelled()

    loop.run(main())


def test_a_worker_cancelled_before_an_add_is_not_counted_on() -> None:
    async def main() -> None:
        q = queue()
        first, second = asyncio.create_task(q.get()), asyncio.create_task(q.get())
        await asyncio.sleep(1)
        first.cancel()
        q.add(A)
        assert await second == (A, NORMAL)
        third = asyncio.create_task(q.get())
        await asyncio.sleep(1)
        third.cancel()
        await asyncio.wait({third})
        assert not q._waiters

    loop.run(main())


def test_done_without_get_is_refused() -> None:
    async def main() -> None:
        q = queue()
        q.add(A)
        with pytest.raises(ValueError, match="ns/a is not being processed"):
            q.done(A)

    loop.run(main())


def test_statistics_tell_depth_delays_and_how_long_work_is_going_on() -> None:
    async def main() -> None:
        q = queue()
        for key in (A, B):
            q.add(key)
        q.add(C, priority=LOW)
        q.add_after(Key("ns", "d"), 50)
        await q.get()
        await asyncio.sleep(2)
        await q.get()
        await asyncio.sleep(3)
        found = q.statistics()
        assert found.depth == {NORMAL: 0, LOW: 1}
        assert (found.delayed, found.processing, found.adds, found.retries) == (1, 2, 3, 1)
        assert (found.unfinished_seconds, found.longest_running_seconds) == (8, 5)
        assert not found.idle
        assert not found.closed

    loop.run(main())


def test_statistics_of_an_unused_queue_need_no_event_loop() -> None:
    assert queue().statistics().idle


def test_the_observer_hears_each_step_and_how_long_a_key_waited() -> None:
    async def main() -> None:
        q = queue()
        diary = q.observer = QueueDiary()
        q.add_after(A, 5, priority=LOW)
        await asyncio.sleep(7)
        await q.get()
        q.add(A)
        await asyncio.sleep(1)
        q.done(A)
        await take(q)
        assert diary.lines == [
            ("retried",),
            ("added", LOW),
            ("got", LOW, 2),
            ("added", NORMAL),
            ("finished", 1),
            ("got", NORMAL, 1),
            ("finished", 0),
        ]

    loop.run(main())
