"""What the barrier reads from the API server itself: lost answers, and a watch that stays silent."""

from __future__ import annotations

import asyncio

import pytest

from rbgctrl.client.errors import NotFoundError, UnavailableError
from rbgctrl.runtime.barrier import live_reader
from rbgctrl.sim import loop
from unit.runtime.fakes import A, B, FakeServer, Thing, added, removed, thing
from unit.runtime.test_barrier import OWNER, Rig


def test_an_unknown_outcome_is_looked_up_at_once_and_what_is_found_goes_into_the_cache() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("b", rv=20, spec=7)))
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, B)
            assert rig.barrier.blocked(OWNER)
            rig.park()
            await asyncio.sleep(1)
            assert rig.woken == [(OWNER, 0.01)]
            assert rig.informer.store.get(B).spec == 7
        assert rig.server.reads == [B]

    loop.run(main())


def test_an_unknown_outcome_stays_blocked_until_the_api_server_answers() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("b", rv=20)))
        rig.server.failures = [UnavailableError(503), ConnectionResetError(), UnavailableError(503)]
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, B)
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 0.04 + 0.2 + 0.4 + 0.8)]

    loop.run(main())


def test_a_read_that_hangs_is_given_up_and_repeated() -> None:
    async def main() -> None:
        rig = Rig()
        reads = []

        async def resolve(kind: type[object], key: object) -> Thing | None:
            reads.append(key)
            if len(reads) == 1:
                await asyncio.sleep(10_000)
            return thing("b", rv=20)

        rig.barrier._resolve = resolve
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, B)
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 15.2)]

    loop.run(main())


def test_an_unknown_create_that_was_not_committed_blocks_no_longer() -> None:
    async def main() -> None:
        rig = Rig()
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, B)
            rig.park()
            await asyncio.sleep(1)
        assert rig.woken == [(OWNER, 0.01)]

    loop.run(main())


def test_an_unknown_delete_that_was_committed_blocks_until_the_watch_has_shown_it() -> None:
    async def main() -> None:
        rig = Rig()
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, A)
            rig.park()
            await asyncio.sleep(2)
            assert rig.woken == []
            rig.informer.deliver(removed(thing("a", rv=11)))
            await asyncio.sleep(1)
        assert rig.woken == [(OWNER, 2)]
        assert rig.server.reads == [A]

    loop.run(main())


def test_whoever_reads_first_may_tell_the_outcome() -> None:
    async def main() -> None:
        rig = Rig()
        pending = rig.barrier.unknown(OWNER, Thing, B)
        rig.park()
        pending.resolved(thing("b", rv=20))
        assert rig.woken == [(OWNER, 0)]
        pending.resolved(None)
        assert rig.informer.store.get(B) is not None, "an answer to what is no longer asked changes nothing"
        assert not rig.barrier.blocked(OWNER)

    loop.run(main())


def test_an_unknown_outcome_noted_before_the_barrier_runs_is_looked_up_when_it_does() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("b", rv=20)))
        rig.barrier.unknown(OWNER, Thing, B)
        rig.park()
        async with rig.running():
            await asyncio.sleep(1)
        assert rig.woken == [(OWNER, 0.01)]

    loop.run(main())


def test_an_unknown_outcome_that_the_cache_does_not_take_waits_for_the_watch() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("b", rv=20)))
        rig.cache.deaf = True
        async with rig.running():
            rig.barrier.unknown(OWNER, Thing, B)
            rig.park()
            await asyncio.sleep(2)
            assert rig.woken == []
            rig.informer.deliver(added(thing("b", rv=20)))
            await asyncio.sleep(1)
        assert rig.woken == [(OWNER, 2)]
        assert rig.server.reads == [B]

    loop.run(main())


def test_a_watch_that_stays_silent_is_replaced_by_live_reads_after_five_seconds() -> None:
    async def main() -> None:
        rig = Rig()  # the server knows no a: it is deleted
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 5.01)]
        assert rig.informer.store.get(A) is None
        assert rig.diary.lines == ["parked", "timed out", ("woken", 5.01)]

    loop.run(main())


def test_a_key_never_just_proceeds_however_long_watch_and_reads_fail() -> None:
    async def main() -> None:
        rig = Rig()
        rig.server.failures = [UnavailableError(503)] * 1000
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.park()
            await asyncio.sleep(3600)
            assert rig.woken == []
            assert 100 < len(rig.server.reads) < 200, "pauses grow, to a bound"
            rig.server.failures.clear()
            await asyncio.sleep(31)
        assert len(rig.woken) == 1

    loop.run(main())


def test_a_write_that_stays_unseen_is_read_live() -> None:
    async def main() -> None:
        for live in (thing("a", rv=20), thing("a", rv=25), None):
            rig = Rig(server=FakeServer(*([live] if live else [])))
            async with rig.running():
                rig.barrier.wrote(OWNER, thing("a", rv=20))
                rig.park()
                start = asyncio.get_running_loop().time()
                await asyncio.sleep(60)
            assert rig.woken == [(OWNER, round(start + 5.01, 6))]
            assert rig.informer.store.get(A) == live

    loop.run(main())


def test_after_the_cluster_went_back_in_time_a_lost_write_is_not_waited_for() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("a", rv=12)))
        async with rig.running():
            rig.barrier.wrote(OWNER, thing("a", rv=20))
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 5.01)]
        assert rig.informer.store.get(A).metadata.rv == 12

    loop.run(main())


@pytest.mark.parametrize("terminating", [True, False])
def test_a_delete_that_the_server_shows_or_denies_blocks_no_longer(terminating: bool) -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("a", rv=11, deleting=terminating)))
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 5.01)]
        assert rig.informer.store.get(A).metadata.deleting is terminating

    loop.run(main())


def test_a_deleted_object_that_was_replaced_by_a_namesake_blocks_no_longer() -> None:
    async def main() -> None:
        rig = Rig(server=FakeServer(thing("a", uid="uid-2", rv=30)))
        async with rig.running():
            rig.barrier.deleting(OWNER, Thing, A, "uid-a")
            rig.park()
            await asyncio.sleep(60)
        assert rig.woken == [(OWNER, 5.01)]
        assert rig.informer.store.get(A).uid == "uid-2"

    loop.run(main())


def test_the_live_reader_answers_none_for_what_does_not_exist_and_raises_what_it_cannot_tell() -> None:
    class Client:
        async def get(self, kind: type[Thing], key: object) -> Thing:
            if key == A:
                return thing("a")
            raise NotFoundError(404) if key == B else UnavailableError(503)

    async def main() -> None:
        read = live_reader(Client())
        assert await read(Thing, A) == thing("a")
        assert await read(Thing, B) is None
        with pytest.raises(UnavailableError):
            await read(Thing, OWNER)

    loop.run(main())
