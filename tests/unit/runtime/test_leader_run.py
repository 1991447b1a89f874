"""Elections from start to end, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from rbgctrl.client.errors import ConflictError, ConnectError, InternalServerError
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.runtime.fence import NotLeaderError
from rbgctrl.runtime.leader import LeaseElector, LeaseLostError, LeaseOptions
from rbgctrl.sim.loop import run
from unit.runtime.fake_leases import LEASE, FakeLeases, Link


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():  # printing them takes longer than the tests
        yield


def elector(link: Link, options: LeaseOptions | None = None) -> LeaseElector:
    loop = asyncio.get_running_loop()
    return LeaseElector(
        link.client(),
        LEASE,
        identity=link.who,
        options=options or LeaseOptions(),
        monotonic=loop.time,
        jitter=lambda: 0.5,
    )


class Work:
    """What a leader does: nothing, for as long as it may, and what it needs to finish."""

    def __init__(self, cleanup: float = 0.0) -> None:
        self.started = asyncio.Event()
        self.ended_at: float | None = None
        self.cleanup = cleanup

    async def __call__(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleanup)
            self.ended_at = asyncio.get_running_loop().time()


def answer_with(fault: BaseException, _: ApiRequest) -> BaseException:
    return fault


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_the_lease_is_released_only_after_the_work_has_ended() -> None:
    async def main() -> None:
        server = FakeLeases()
        work = Work(cleanup=7.0)
        task = asyncio.create_task(elector(server.link("a")).run(work))
        await work.started.wait()
        await cancel(task)
        releases = [done.at for done in server.done if done.verb is Verb.UPDATE]
        assert work.ended_at is not None
        assert releases[-1] >= work.ended_at
        assert server.holder() == ""
        assert server.spec()["leaseDurationSeconds"] == 1
        # It went on renewing while the work needed its seven seconds.
        assert len(releases) >= 4

    run(main())


def test_a_released_lease_is_taken_at_the_next_look() -> None:
    async def main() -> None:
        server = FakeLeases()
        first, second = Work(), Work()
        one = asyncio.create_task(elector(server.link("a")).run(first))
        await first.started.wait()
        two = asyncio.create_task(elector(server.link("b")).run(second))
        await asyncio.sleep(30)
        assert not second.started.is_set()
        loop = asyncio.get_running_loop()
        await cancel(one)
        released = loop.time()
        await second.started.wait()
        assert loop.time() - released < 2 * (1 + 1.2 * 0.5) + 0.1
        await cancel(two)

    run(main())


def test_a_dead_leader_is_replaced_after_the_lease_has_expired_and_not_before() -> None:
    async def main() -> None:
        server = FakeLeases()
        dying = server.link("a")
        first, second = Work(), Work()
        one = asyncio.create_task(elector(dying).run(first))
        await first.started.wait()
        two = asyncio.create_task(elector(server.link("b")).run(second))
        await asyncio.sleep(10)
        dying.cut = True  # as good as dead
        last = max(done.at for done in server.done if done.who == "a")
        await second.started.wait()
        took = asyncio.get_running_loop().time() - last
        assert 15 <= took <= 15 + 2 * (1 + 1.2 * 0.5) * 2
        with pytest.raises(LeaseLostError):
            await one
        assert first.ended_at is not None
        assert first.ended_at <= last + 10.1
        await cancel(two)

    run(main())


def test_a_leader_that_cannot_renew_stops_at_the_renew_deadline_and_says_so() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link("a")
        leader, work = elector(link), Work()
        task = asyncio.create_task(leader.run(work))
        await work.started.wait()
        link.before = lambda _: InternalServerError(500)
        with pytest.raises(LeaseLostError, match="not renewed in time"):
            await task
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.05)
        assert server.holder() == "a"  # left to expire: nothing says that the work's last requests have ended
        assert not leader.is_leader

    run(main())


def test_a_leader_survives_errors_shorter_than_the_deadline() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link("a")
        leader, work = elector(link), Work()
        task = asyncio.create_task(leader.run(work))
        await work.started.wait()
        for fault in (ConnectError("refused"), InternalServerError(500), ConflictError(409)):
            link.before = functools.partial(answer_with, fault)
            await asyncio.sleep(5)
            link.before = lambda _: None
            await asyncio.sleep(4)
            assert leader.is_leader
        assert not task.done()
        await cancel(task)

    run(main())


def test_a_leader_whose_lease_is_taken_stops_at_once() -> None:
    async def main() -> None:
        server = FakeLeases()
        work = Work()
        task = asyncio.create_task(elector(server.link("a")).run(work))
        await work.started.wait()
        server.put(holderIdentity="b", leaseDurationSeconds=15)
        started = asyncio.get_running_loop().time()
        with pytest.raises(LeaseLostError, match="b holds it"):
            await task
        assert asyncio.get_running_loop().time() - started < 2.1
        assert server.holder() == "b"

    run(main())


def test_a_deleted_lease_is_created_again_by_its_leader() -> None:
    async def main() -> None:
        server = FakeLeases()
        leader, work = elector(server.link("a")), Work()
        task = asyncio.create_task(leader.run(work))
        await work.started.wait()
        del server.leases[LEASE]
        await asyncio.sleep(3)
        assert server.holder() == "a"
        assert leader.is_leader
        await cancel(task)

    run(main())


def test_wall_clocks_that_jump_change_nothing() -> None:
    async def main() -> None:
        server = FakeLeases()
        loop = asyncio.get_running_loop()
        wall = [datetime(2030, 1, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC)]
        first, second = Work(), Work()
        tasks = []
        for number, work in enumerate((first, second)):
            link = server.link("ab"[number])
            one = LeaseElector(
                link.client(),
                LEASE,
                identity=link.who,
                monotonic=loop.time,
                now=functools.partial(wall.__getitem__, number),
            )
            tasks.append(asyncio.create_task(one.run(work)))
            await asyncio.sleep(1)
        for jump in (timedelta(days=400), timedelta(days=-900), timedelta(0)):
            wall[:] = [wall[0] + jump, wall[1] - jump]
            await asyncio.sleep(100)
            assert first.started.is_set()
            assert not second.started.is_set()
        for task in tasks:
            await cancel(task)

    run(main())


@pytest.mark.parametrize("verb", [Verb.GET, Verb.UPDATE], ids=["get", "update"])
def test_release_acquired_lock_on_cancellation_of(verb: Verb) -> None:
    """The names of client-go's cases: stopped while a renewal is under way, the lease is still handed back."""

    async def main() -> None:
        server = FakeLeases()
        link = server.link("a")
        work = Work()
        task = asyncio.create_task(elector(link).run(work))
        await work.started.wait()
        reached = asyncio.Event()

        def slow(request: ApiRequest) -> Exception | None:
            if request.verb is verb:
                reached.set()
            return ConflictError(409) if verb is Verb.GET and request.verb is Verb.UPDATE else None

        link.before = slow
        link.latency = 1.0
        await reached.wait()
        link.before = lambda _: None
        await cancel(task)
        assert server.holder() == ""

    run(main())


def test_a_candidate_stopped_while_taking_the_lease_hands_it_back() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link("a", latency=1.0)
        work = Work()
        task = asyncio.create_task(elector(link).run(work))
        await asyncio.sleep(3.5)  # the create has been carried out, its answer is on the way
        assert server.holder() == "a"
        await cancel(task)
        assert server.holder() == ""
        assert not work.started.is_set()

    run(main())


def test_a_standby_that_is_stopped_writes_nothing() -> None:
    async def main() -> None:
        server = FakeLeases()
        server.put(holderIdentity="b", leaseDurationSeconds=3600)
        task = asyncio.create_task(elector(server.link("a")).run(Work()))
        await asyncio.sleep(60)
        await cancel(task)
        assert set(server.verbs()) == {"get"}

    run(main())


def test_release_gives_up_in_time_when_the_server_is_gone() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link("a")
        work = Work()
        task = asyncio.create_task(elector(link).run(work))
        await work.started.wait()
        link.cut = True
        started = asyncio.get_running_loop().time()
        await cancel(task)
        assert asyncio.get_running_loop().time() - started == pytest.approx(5.0)

    run(main())


def test_the_result_and_the_error_of_the_work_are_passed_on_after_the_release() -> None:
    async def main() -> None:
        server = FakeLeases()

        async def good() -> int:
            return 42

        async def bad() -> int:
            raise ZeroDivisionError

        assert await elector(server.link("a")).run(good) == 42
        assert server.holder() == ""
        with pytest.raises(ZeroDivisionError):
            await elector(server.link("b")).run(bad)
        assert server.holder() == ""

    run(main())


def test_a_second_cancellation_reaches_work_that_is_cleaning_up() -> None:
    async def main() -> None:
        server = FakeLeases()
        work = Work(cleanup=3600)
        task = asyncio.create_task(elector(server.link("a")).run(work))
        await work.started.wait()
        task.cancel()
        await asyncio.sleep(1)
        assert not task.done()
        await cancel(task)
        assert asyncio.get_running_loop().time() < 10
        assert server.holder() == ""

    run(main())


def test_the_fence_is_up_before_during_and_after_but_not_while_leading() -> None:
    async def main() -> None:
        server = FakeLeases()
        leader, work = elector(server.link("a")), Work()
        with pytest.raises(NotLeaderError):
            leader.fence()
        task = asyncio.create_task(leader.run(work))
        await work.started.wait()
        leader.fence()
        await cancel(task)
        with pytest.raises(NotLeaderError, match="does not hold the lease rbgs-system/rbg-controller"):
            leader.fence()

    run(main())


def test_attempts_of_a_candidate_are_spread_and_rare() -> None:
    async def main() -> None:
        server = FakeLeases()
        server.put(holderIdentity="b", leaseDurationSeconds=3600)
        task = asyncio.create_task(elector(server.link("a")).run(Work()))
        await asyncio.sleep(320)
        await cancel(task)
        assert 95 <= len(server.done) <= 101  # every 2 × (1 + 1.2 × 0.5) = 3.2 seconds

    run(main())
