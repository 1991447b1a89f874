"""What a write returned is in the store at once, and never undoes what the watch knows better."""

from __future__ import annotations

from typing import Any

from rbgctrl.client.errors import ConnectError
from rbgctrl.informers import ChangeType
from unit.informers.fake import FakeApi, config_map, event
from unit.informers.harness import Bench, bench, simulate

RESET = ConnectError("connection reset", reason="reset")


async def synced(b: Bench) -> FakeApi:
    await b.informer.wait_synced()
    b.follower.clear()
    return b.api


def muted(b: Bench) -> None:
    """From here on the watch says nothing."""
    for stream in b.api.streams:
        stream.mute = True


def test_a_written_object_is_in_the_store_before_the_watch_reports_it_and_reported_once() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            muted(b)
            written = api.put("x")
            b.informer.observe(config_map(written))
            b.check()
            assert [change.type for change in b.follower.changes] == [ChangeType.ADDED]
            assert b.informer.store.rv == 100  # the watch has not come that far
            api.streams[0].mute = False
            api.streams[0].send(event("ADDED", written))
            await b.settle()
            assert len(b.follower.changes) == 1
            assert b.informer.store.rv == 101

    simulate(test)


def test_a_written_object_makes_the_same_change_as_the_event_would() -> None:
    async def changes(*, through: bool) -> list[Any]:
        async with bench() as b:
            api = await synced(b)
            for _ in range(2):
                if through:
                    muted(b)
                    b.informer.observe(config_map(api.put("x")))
                else:
                    api.put("x")
                    await b.settle()
            if through:
                b.informer.observe_deleted(config_map(api.delete("x")))
            else:
                api.delete("x")
                await b.settle()
            return b.follower.changes

    async def test() -> None:
        assert await changes(through=True) == await changes(through=False)

    simulate(test)


def test_a_response_that_comes_after_its_event_or_after_a_newer_one_is_no_news() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            first = api.put("x")
            api.put("x")
            await b.settle()
            b.follower.clear()
            b.informer.observe(config_map(first))
            b.informer.observe(config_map(api.objects["a", "x"]))
            b.check()
            assert b.follower.changes == []

    simulate(test)


def test_a_late_response_cannot_resurrect_what_was_deleted() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            written = api.put("x")
            api.delete("x")
            await b.settle(3600)
            api.put("y")
            api.delete("y")
            await b.settle()
            assert ("a", "x") not in b.informer._store._tombstones  # the deletion is long forgotten
            b.follower.clear()
            b.informer.observe(config_map(written))
            b.check()
            assert b.follower.changes == []

    simulate(test)


def test_a_deletion_written_through_outlives_late_events_of_the_object() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            alive = api.put("x")
            await b.settle()
            muted(b)
            b.informer.observe_deleted(config_map(api.delete("x")))
            b.check()
            b.informer.observe(config_map(alive))
            api.streams[0].mute = False
            api.streams[0].send(event("MODIFIED", alive), event("DELETED", api.history[-1][2]))
            await b.settle()
            b.check()
            assert [change.type.value for change in b.follower.changes] == ["added", "deleted"]

    simulate(test)


def test_a_deletion_known_for_sure_takes_out_even_a_newer_version() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            older = config_map(api.put("x"))
            api.put("x")
            await b.settle()
            muted(b)
            api.delete("x")
            b.informer.observe_deleted(older)
            b.check()

    simulate(test)


def test_a_deletion_written_through_spares_a_namesake() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            older = config_map(api.put("x"))
            api.delete("x")
            api.put("x")
            await b.settle()
            b.informer.observe_deleted(older)
            b.check()

    simulate(test)


def test_an_object_written_after_the_list_was_taken_survives_the_swap() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "uvw":
            api.put(name)
        async with bench(api, stream_lists=False) as b:
            await synced(b)
            await b.settle()
            muted(b)
            api.page_size = 1
            api.streams[0].queue.put_nowait(b"{}\n")  # list again
            while api.said()[-1][0] != "next":
                await b.settle(0)
            b.informer.observe(config_map(api.put("x")))  # created
            b.informer.observe(config_map(api.put("u")))  # changed
            told = b.follower.told()
            await b.settle(60)
            b.check()
            assert b.follower.told() == told == [("added", "x"), ("updated", "u")]
            assert b.informer.statistics().relists["unreadable"] == 1

    simulate(test)


def test_an_object_deleted_after_the_list_was_taken_is_not_resurrected_by_the_swap() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "uvw":
            api.put(name)
        async with bench(api, stream_lists=False) as b:
            await synced(b)
            await b.settle()
            muted(b)
            api.page_size = 1
            api.streams[0].queue.put_nowait(b"{}\n")
            while api.said()[-1][0] != "next":
                await b.settle(0)
            b.informer.observe_deleted(config_map(api.delete("v")))
            await b.settle(60)
            b.check()
            assert b.follower.told() == [("deleted", "v")]

    simulate(test)


def test_an_object_written_before_the_list_was_taken_and_deleted_since_goes_with_the_swap() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            muted(b)
            b.informer.observe(config_map(api.put("x")))
            api.delete("x")
            api.compacted = api.rv
            api.cut(None)
            await b.settle(5)
            b.check()
            assert b.follower.told() == [("added", "x"), ("deleted", "x")]
            assert b.follower.changes[-1].stale

    simulate(test)


def test_writes_before_the_first_list_are_known_and_told_but_make_nothing_ready() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("there")
        api.marks = False
        async with bench(api) as b:
            await b.settle()
            muted(b)
            b.informer.observe(config_map(api.put("x")))
            assert len(b.informer.store) == 1
            assert not b.informer.synced
            api.streams[0].mute = False
            api.streams[0].send(api.bookmark(101, end=True))  # the list was taken before the write
            await b.settle()
            b.check()
            assert b.follower.told() == [("added", "x"), ("added", "there")]

    simulate(test)


def test_a_namesake_written_through_replaces_the_object_that_had_the_name() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            api.put("x")
            await b.settle()
            muted(b)
            api.delete("x")
            b.informer.observe(config_map(api.put("x")))
            b.check()
            assert b.follower.told() == [("added", "x"), ("deleted", "x"), ("added", "x")]
            api.streams[0].mute = False
            api.streams[0].send(*(event(kind, obj) for _, kind, obj in api.history[-2:]))
            await b.settle()
            b.check()
            assert len(b.follower.changes) == 3

    simulate(test)


def test_what_is_out_of_scope_is_not_written_through() -> None:
    async def test() -> None:
        async with bench(namespace="a", selector="app=web") as b:
            api = await synced(b)
            elsewhere = config_map(api.put("x", namespace="b", metadata={"labels": {"app": "web"}}))
            other = config_map(api.put("y", metadata={"labels": {"app": "db"}}))
            ours = config_map(api.put("z", metadata={"labels": {"app": "web"}}))
            assert [b.informer.matches(obj) for obj in (elsewhere, other, ours)] == [False, False, True]
            b.informer.observe(elsewhere)
            b.informer.observe(other)
            b.informer.observe_deleted(elsewhere)
            assert len(b.informer.store) == 0

    simulate(test)


def test_an_object_whose_labels_no_longer_match_leaves_the_store_as_the_watch_would_have_it() -> None:
    async def test() -> None:
        async with bench(selector="app=web") as b:
            api = await synced(b)
            api.put("x", metadata={"labels": {"app": "web"}})
            await b.settle()
            b.informer.observe(config_map(api.put("x", metadata={"labels": {"app": "db"}})))
            assert len(b.informer.store) == 0
            await b.settle()
            b.informer.observe(config_map(api.put("x", metadata={"labels": {"app": "web"}})))  # the same uid returns
            assert len(b.informer.store) == 1
            assert [change.type.value for change in b.follower.changes] == ["added", "deleted", "added"]

    simulate(test)


def test_progress_callbacks_are_called_for_writes_events_and_bookmarks() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            calls: list[int] = []
            b.informer.on_progress(lambda: calls.append(len(b.informer.store)))
            muted(b)
            b.informer.observe(config_map(api.put("x")))
            assert calls == [1]
            b.informer.observe(config_map(api.objects["a", "x"]))
            assert calls == [1]
            api.streams[0].mute = False
            api.put("y")
            api.streams[0].send(api.bookmark())
            await b.settle()
            assert calls == [1, 2, 2]

    simulate(test)


def test_a_response_without_a_usable_version_is_left_to_the_watch() -> None:
    async def test() -> None:
        async with bench() as b:
            api = await synced(b)
            raw = api.put("x")
            strange = config_map({**raw, "metadata": {**raw["metadata"], "resourceVersion": "v1"}})
            b.informer.observe(strange)
            b.informer.observe_deleted(strange)
            assert b.follower.changes == []

    simulate(test)
