"""The rules every list-and-watch loop must keep, each as a promise, against a server under script."""

from __future__ import annotations

from rbgctrl.client.errors import (
    ConnectError,
)
from rbgctrl.informers import ChangeType
from unit.informers.fake import FakeApi, event
from unit.informers.harness import bench, simulate


def test_rule_1_a_relist_is_swapped_in_one_step_and_handlers_get_its_difference_with_tombstones() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in ("kept", "changed", "doomed"):
            api.put(name)
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            api.fail("watch", *[ConnectError("down", reason="refused")] * 3)
            api.fail("probe", *[ConnectError("down", reason="refused")] * 2)
            api.cut(ConnectError("reset", reason="reset"))
            await b.settle()
            doomed = b.informer.store.get(("a", "doomed"))
            api.put("changed")
            api.put("new")
            api.delete("doomed")
            api.compacted = api.rv
            sizes: list[int] = []
            b.informer.add_handler(lambda _change: sizes.append(len(b.informer.store)))
            sizes.clear()
            assert len(b.informer.store) == 3  # the old content is served meanwhile
            await b.settle(60)
            b.check()
            assert b.follower.told() == [("deleted", "doomed"), ("updated", "changed"), ("added", "new")]
            deleted, updated, added = b.follower.changes
            assert deleted.stale
            assert deleted.old is doomed
            assert not any(change.initial for change in (deleted, updated, added))
            assert sizes == [3, 3, 3]  # handlers never see half of a swap

    simulate(test)


def test_rule_2_resource_versions_are_compared_as_integers() -> None:
    async def test() -> None:
        api = FakeApi(rv=98)
        api.put("x")  # 99
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.put("x")  # "100" < "99" as text
            await b.settle()
            b.check()
            assert b.informer.store.rv == 100

    simulate(test)


def test_rule_2_an_informer_refuses_to_run_on_resource_versions_that_are_not_numbers() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x", metadata={"resourceVersion": "abc"})
        async with bench(api) as b:
            await b.settle(300)
            assert not b.informer.synced
            assert len(b.informer.store) == 0
            assert "'abc' is not a number" in b.informer.statistics().error
            assert len(api.calls) < 60  # and it does not hammer the server meanwhile
            api.put("x", metadata={"resourceVersion": "500"})
            api.rv = 500
            await b.settle(60)
            assert b.informer.synced
            assert b.informer.statistics().error == ""

    simulate(test)


def test_rule_3_an_event_that_is_not_newer_than_the_store_is_dropped() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            first = api.put("x")
            second = api.put("x")
            await b.settle()
            b.follower.clear()
            api.streams[0].send(event("ADDED", first), event("MODIFIED", first), event("MODIFIED", second))
            await b.settle()
            b.check()
            assert b.follower.changes == []

    simulate(test)


def test_rule_3_another_uid_under_the_same_name_is_a_deletion_and_an_addition() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            before = b.informer.store.get(("a", "x"))
            api.streams[0].mute = True  # the deletion is never seen
            api.delete("x")
            api.streams[0].mute = False
            api.put("x")
            await b.settle()
            b.check()
            deleted, added = b.follower.changes
            assert (deleted.type, added.type) == (ChangeType.DELETED, ChangeType.ADDED)
            assert deleted.old is before
            assert deleted.obj.metadata.uid != added.obj.metadata.uid
            assert b.informer.store.by_uid(deleted.obj.metadata.uid) is None

    simulate(test)


def test_rule_4_a_late_event_cannot_resurrect_what_was_deleted() -> None:
    async def test() -> None:
        api = FakeApi()
        alive = api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            gone = api.delete("x")
            await b.settle()
            assert b.informer.store.rv == api.rv  # the deletion's own version counts as progress
            deleted = b.follower.changes[-1]
            assert deleted.old is not None
            assert deleted.old.metadata.resource_version == gone["metadata"]["resourceVersion"]
            api.streams[0].send(event("MODIFIED", alive), event("ADDED", alive), event("MODIFIED", gone))
            await b.settle()
            b.check()
            assert b.follower.changes[-1] is deleted

    simulate(test)


def test_rule_4_deletions_are_remembered_for_ten_minutes_and_no_longer() -> None:
    async def test() -> None:
        api = FakeApi()
        alive = api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.delete("x")
            await b.settle(590)
            api.streams[0].send(event("MODIFIED", alive))
            await b.settle()
            assert len(b.informer.store) == 0
            await b.settle(20)
            api.put("y")
            api.delete("y")  # old memories go when new ones come
            await b.settle()
            assert list(b.informer._store._tombstones) == [("a", "y")]

    simulate(test)


def test_rule_5_progress_follows_events_and_bookmarks_and_is_written_after_the_store() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            seen: list[tuple[int, int]] = []
            store = b.informer.store
            b.informer.on_progress(lambda: seen.append((store.rv, len(store))))
            during: list[int] = []
            b.informer.add_handler(lambda _change: during.append(store.rv))
            api.put("x")
            api.put("y")
            api.streams[0].send(api.bookmark(150))
            await b.settle()
            assert seen == [(101, 1), (102, 2), (150, 2)]
            assert during == [100, 101]  # not yet while handlers are told
            api.rv = 150
            api.cut(None)
            await b.settle()
            assert api.said("watch") == [("watch", "150")]  # and it is where the next watch resumes

    simulate(test)


def test_rule_6_watches_are_asked_to_end_at_different_times() -> None:
    async def test() -> None:
        timeouts = []
        for draw in (0.0, 0.3, 0.9):
            async with bench(draw=draw) as b:
                await b.informer.wait_synced()
                b.api.cut(None)
                await b.settle()
                timeouts.append([call.timeout for call in b.api.calls])
        assert timeouts == [[300, 300], [390, 390], [570, 570]]

    simulate(test)
