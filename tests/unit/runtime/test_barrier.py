"""When the barrier blocks a key and what lets it go again, in virtual time and without any server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.result import Request
from rbgctrl.sim import loop
from unit.runtime.fakes import (
    A,
    B,
    BarrierDiary,
    FakeCache,
    FakeInformer,
    FakeServer,
    Other,
    Thing,
    added,
    removed,
    thing,
    updated,
)

OWNER, ELSE = Key("ns", "owner"), Key("ns", "else")


class Rig:
    """A barrier over one informer that knows ``a``, which is at version 10."""

    def __init__(self, *informers: FakeInformer, server: FakeServer | None = None) -> None:
        self.informer = FakeInformer()
        self.informer.deliver(added(thing("a", rv=10)))
        self.cache = FakeCache(self.informer, *informers)
        self.server = server or FakeServer()
        self.diary = BarrierDiary()
        self.barrier = Barrier(self.cache, self.server.read, jitter=lambda: 0.5, observer=self.diary)
        self.woken: list[tuple[Request, float]] = []

    def park(self, request: Request = OWNER) -> None:
        self.barrier.park(request, self.wake)

    def wake(self, request: Request) -> None:
        assert not self.barrier.blocked(request)
        self.woken.append((request, round(asyncio.get_running_loop().time(), 6)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.barrier.run())
        await asyncio.sleep(0)
        try:
            with capture_logs():
                yield
        finally:
            task.cancel()
            await asyncio.wait({task})


async def settle() -> None:
    """Let what is due now happen."""
    await asyncio.sleep(0.001)


def test_a_key_that_wrote_nothing_is_not_blocked() -> None:
    async def main() -> None:
        rig = Rig()
        assert not rig.barrier.blocked(OWNER)
        rig.park()
        assert rig.woken == [(OWNER, 0)]

    loop.run(main())


def test_a_delete_blocks_its_own_key_from_before_it_is_sent_until_the_store_drops_the_uid() -> None:
    async def main() -> None:
        rig = Rig()
        token = rig.barrier.deleting(OWNER, Thing, A, "uid-a")
        assert rig.barrier.blocked(OWNER)
        assert not rig.barrier.blocked(ELSE)
        rig.barrier.deleted(token, None)
        assert rig.barrier.blocked(OWNER)
        rig.informer.deliver(removed(thing("a", rv=11)))
        assert not rig.barrier.blocked(OWNER)
        assert rig.barrier.statistics().writes == 0

    loop.run(main())


def test_a_delete_is_shown_as_soon_as_the_object_is_seen_to_be_terminating() -> None:
    async def main() -> None:
        rig = Rig()
        rig.barrier.deleting(OWNER, Thing, A, "uid-a")
        rig.informer.deliver(updated(thing("a", rv=10), thing("a", rv=11, deleting=True)))
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_a_namesake_with_another_uid_shows_the_delete() -> None:
    async def main() -> None:
        rig = Rig()
        rig.barrier.deleting(OWNER, Thing, A, "uid-a")
        rig.informer.deliver(added(thing("a", uid="uid-2", rv=12)))
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_a_delete_that_failed_blocks_nothing() -> None:
    async def main() -> None:
        rig = Rig()
        token = rig.barrier.deleting(OWNER, Thing, A, "uid-a")
        rig.park()
        rig.barrier.forget(token)
        assert rig.woken == [(OWNER, 0)]
        rig.barrier.forget(token)

    loop.run(main())


def test_a_delete_must_be_shown_by_every_informer_that_holds_the_object() -> None:
    async def main() -> None:
        second = FakeInformer(selector="app")
        rig = Rig(second)
        second.deliver(added(thing("a", rv=10, labels={"app": "x"})))
        rig.barrier.deleting(OWNER, Thing, A, "uid-a")
        rig.informer.deliver(removed(thing("a", rv=11)))
        assert rig.barrier.blocked(OWNER)
        second.deliver(removed(thing("a", rv=11)))
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_a_write_that_went_through_to_the_cache_is_free() -> None:
    async def main() -> None:
        rig = Rig()
        obj = thing("b", rv=20)
        rig.cache.observe(obj)
        rig.barrier.wrote(OWNER, obj)
        assert rig.barrier.statistics().writes == 0
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_a_write_the_cache_did_not_take_blocks_until_it_or_something_newer_is_shown() -> None:
    async def main() -> None:
        for shown in ("itself", "newer", "bookmark"):
            rig = Rig()
            rig.barrier.wrote(OWNER, thing("a", rv=15))
            rig.barrier.wrote(OWNER, thing("a", rv=20))
            assert rig.barrier.statistics().writes == 1
            rig.informer.deliver(updated(thing("a", rv=10), thing("a", rv=15)))
            assert rig.barrier.blocked(OWNER)
            match shown:
                case "itself":
                    rig.informer.store.objects[A] = thing("a", rv=20)
                case "newer":
                    rig.informer.deliver(added(thing("a", rv=30)))
                case _:
                    rig.informer.advance(20)
            assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_a_write_that_moves_an_object_out_of_scope_blocks_until_the_informer_has_let_it_go() -> None:
    async def main() -> None:
        narrow = FakeInformer(selector="app")
        narrow.deliver(added(thing("a", rv=10, labels={"app": "x"})))
        rig = Rig(narrow)
        moved = thing("a", rv=11)
        rig.cache.observe(moved)
        rig.barrier.wrote(OWNER, moved)
        assert rig.barrier.blocked(OWNER)
        narrow.deliver(removed(thing("a", rv=11)))
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_writes_of_kinds_and_scopes_that_nobody_watches_block_nothing() -> None:
    async def main() -> None:
        rig = Rig()
        meta = ObjectMeta(name="x", namespace="ns", uid="uid-x", resource_version="50")
        rig.barrier.deleting(OWNER, Other, Key("ns", "x"), "uid-x")
        rig.barrier.wrote(OWNER, Other(metadata=meta))
        rig.barrier.unknown(OWNER, Other, Key("ns", "x"))
        assert not rig.barrier.blocked(OWNER)
        narrow = Rig()
        narrow.informer.selector = "app"
        narrow.barrier.wrote(OWNER, thing("b", rv=50))
        assert not narrow.barrier.blocked(OWNER)
        assert rig.server.reads == narrow.server.reads == []

    loop.run(main())


def test_a_parked_key_is_woken_once_by_the_informer_that_catches_up_and_without_any_timer() -> None:
    async def main() -> None:
        rig = Rig()
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.barrier.deleting(ELSE, Thing, A, "uid-a")
            rig.park()
            rig.park(ELSE)
            await asyncio.sleep(2)
            rig.informer.deliver(added(thing("b", rv=11)))
            await asyncio.sleep(1)
            assert rig.woken == []
            assert rig.barrier.statistics().parked == 2
            assert rig.barrier.statistics().longest_wait_seconds == 3
            rig.informer.deliver(removed(thing("a", rv=12)))
            rig.informer.deliver(added(thing("c", rv=13)))
            await settle()
            assert rig.woken == [(OWNER, 3), (ELSE, 3)]
            await asyncio.sleep(100)
        assert rig.diary.lines == ["parked", "parked", ("woken", 3), ("woken", 3)]
        assert rig.server.reads == []

    loop.run(main())


def test_parking_a_parked_key_again_replaces_whom_to_wake_and_keeps_its_clock() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("a", rv=11, deleting=True)))
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.barrier.park(OWNER, lambda _: pytest.fail("replaced"))
            await asyncio.sleep(4)
            rig.park()
            await asyncio.sleep(4)
        assert rig.woken == [(OWNER, 5.01)]

    loop.run(main())


def test_noted_writes_of_keys_that_never_run_again_do_not_pile_up() -> None:
    async def main() -> None:
        rig = Rig()
        for number in range(10_000):
            rig.barrier.deleting(Key("ns", str(number)), Thing, Key("ns", "x"), f"gone-{number}")
        assert rig.barrier.statistics().writes <= 65

    loop.run(main())


def test_a_barrier_serves_one_controller() -> None:
    async def main() -> None:
        rig = Rig()
        async with rig.running():
            with pytest.raises(RuntimeError, match="running already"):
                await rig.barrier.run()

    loop.run(main())


def test_a_barrier_that_ends_leaves_no_timer_and_wakes_nobody() -> None:
    async def main() -> None:
        rig = Rig()
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.barrier.unknown(OWNER, Thing, B)
            rig.park()
        await asyncio.sleep(100)
        assert rig.woken == []
        assert rig.diary.lines == ["parked", ("woken", 0)]
        assert len(asyncio.all_tasks()) == 1

    loop.run(main())
