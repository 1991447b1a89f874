"""Stop of everything, in order, whatever the reason; in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from rbgctrl.runtime.leader import LeaseLostError
from rbgctrl.sim.loop import run
from unit.runtime.fake_cluster import map_key
from unit.runtime.managers import build, cluster, running, until


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():  # printing them takes longer than the tests
        yield


def test_stopping_drains_then_writes_events_then_releases_the_lease() -> None:
    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True, pause=5.0)
        async with running(manager):
            await patcher.started.wait()
            manager.stop()
            await asyncio.sleep(0.01)
            assert not manager.ready  # at once, while the reconcile goes on
            await until(lambda: patcher.finished)
        writes = [(done.kind, done.verb.value) for done in server.done if done.verb.writes]
        last = writes[-3:]
        assert last == [("ConfigMap", "patch"), ("Event", "create"), ("Lease", "update")]
        assert server.holder() == ""

    run(main())


def test_a_reconcile_that_does_not_end_is_cancelled_before_the_lease_is_given_back() -> None:
    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True, pause=3600.0)
        async with running(manager):
            await patcher.started.wait()
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started == pytest.approx(8, abs=0.2)
        assert patcher.finished == []
        assert server.holder() == ""

    run(main())


def test_cancelling_is_stopping_in_good_order() -> None:
    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True, pause=5.0)
        task = asyncio.create_task(manager.run())
        await patcher.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert patcher.finished == [map_key("a")]
        assert server.holder() == ""

    run(main())


def test_a_second_cancellation_shortens_it_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True, pause=3600.0)
        before = asyncio.all_tasks()
        task = asyncio.create_task(manager.run())
        await patcher.started.wait()
        started = asyncio.get_running_loop().time()
        task.cancel()
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.get_running_loop().time() - started < 1.5
        assert asyncio.all_tasks() == before
        assert server.holder() == ""

    run(main())


def test_a_lost_lease_aborts_reconciles_at_once_and_is_raised() -> None:
    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True, pause=3600.0)
        before = asyncio.all_tasks()
        task = asyncio.create_task(manager.run())
        await patcher.started.wait()
        server.put(holderIdentity="other", leaseDurationSeconds=15)
        started = asyncio.get_running_loop().time()
        with pytest.raises(LeaseLostError):
            await task
        assert asyncio.get_running_loop().time() - started < 2.5  # one renewal, and no draining
        assert patcher.finished == []
        assert "ConfigMap" not in {done.kind for done in server.done}
        assert server.holder() == "other"
        assert asyncio.all_tasks() == before

    run(main())


def test_two_managers_hand_over_when_the_leader_stops() -> None:
    async def main() -> None:
        server = cluster()
        (one, first), (two, second) = (build(server.link(who), elect=True) for who in "ab")
        async with running(one):
            await until(lambda: first.finished)
            async with running(two):
                await asyncio.sleep(30)
                assert not second.started.is_set()
                one.stop()
                stopped = asyncio.get_running_loop().time()
                assert await until(lambda: second.finished) - stopped < 5
        assert [event["reason"] for event in server.events].count("LeaderElection") == 2

    run(main())


def test_an_error_of_a_runnable_ends_the_manager_in_good_order() -> None:
    class Failing:
        async def run(self) -> None:
            await asyncio.sleep(20)
            raise ZeroDivisionError

    async def main() -> None:
        server = cluster()
        manager, patcher = build(server.link("m"), elect=True)
        manager.add(Failing())
        with pytest.raises(ZeroDivisionError):
            await manager.run()
        assert patcher.finished
        assert server.holder() == ""

    run(main())


def test_what_does_not_end_is_left_behind_and_named() -> None:
    class Stubborn:
        async def run(self) -> None:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(30)
                    return

    async def main() -> None:
        manager, patcher = build(cluster().link("m"))
        manager.add(Stubborn())
        with capture_logs() as logs:
            async with running(manager):
                await until(lambda: patcher.finished)
            errors = [entry for entry in logs if entry["event"] == "does not end; left behind"]
        assert errors
        assert "Stubborn" in errors[0]["task"]
        await asyncio.sleep(60)  # it ends by itself, later

    run(main())
