"""Handlers, resync, statistics, namespaces and the life of an informer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from rbgctrl.api.core import ConfigMap, Node
from rbgctrl.api.meta import Key
from rbgctrl.client.errors import ConnectError, ForbiddenError
from rbgctrl.informers import Change, ChangeType, Informer
from unit.informers.fake import FakeApi, Follower, config_map
from unit.informers.harness import bench, simulate


def test_a_late_handler_gets_the_present_content_first_as_initial_additions_sorted_by_key() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "zxy":
            api.put(name)
        async with bench(api) as b:
            await b.informer.wait_synced()
            await b.settle()
            late = Follower()
            b.informer.add_handler(late)
            assert late.told() == [("added", name) for name in "xyz"]
            assert all(change.initial for change in late.changes)
            api.put("w")
            await b.settle()
            assert late.view == b.follower.view
            assert not late.changes[-1].initial

    simulate(test)


def test_handlers_of_a_list_find_the_whole_list_in_the_store_and_its_version_as_progress() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "xyz":
            api.put(name)
        async with bench(api) as b:
            seen: list[tuple[int, int, bool]] = []
            store = b.informer.store
            b.informer.add_handler(lambda _change: seen.append((len(store), store.rv, b.informer.synced)))
            await b.informer.wait_synced()
            await b.settle()
            assert seen == [(3, 103, True)] * 3

    simulate(test)


def test_a_handler_that_raises_harms_neither_the_informer_nor_other_handlers_and_is_named_and_counted() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()

            def broken(_change: Change[ConfigMap]) -> None:
                raise RuntimeError("a defect of the embedder")

            after = Follower()
            b.informer.add_handler(broken)
            b.informer.add_handler(after)
            b.informer.on_progress(lambda: broken(b.follower.changes[-1]))
            for number in range(20):
                api.put(f"n{number}")
            await b.settle()
            b.check()
            assert after.view == b.follower.view
            failures = dict(b.informer.statistics().failures)
            assert list(failures.values()) == [20, 20]
            assert any("broken" in name for name in failures)
            b.informer._dispatcher.failures.clear()

    with capture_logs() as logs:
        simulate(test)
    lines = [line for line in logs if line["event"] == "handler failed" and "broken" in line["handler"]]
    assert [line["failures"] for line in lines] == [1, 2, 4, 8, 16]  # a broken handler does not flood the log
    assert lines[0]["object"] == "a/n0"


def test_changes_caused_by_a_handler_reach_every_handler_after_the_one_being_told() -> None:
    async def test() -> None:
        async with bench() as b:
            await b.informer.wait_synced()
            api, last = b.api, Follower()

            def writes(change: Change[ConfigMap]) -> None:
                if change.key.name == "x" and change.type is ChangeType.ADDED:
                    for stream in api.streams:
                        stream.mute = True
                    b.informer.observe(config_map(api.put("x")))
                    b.informer.add_handler(last)

            b.informer.add_handler(writes)
            after = Follower()
            b.informer.add_handler(after)
            api.put("x")
            await b.settle()
            b.check()
            assert b.follower.told() == after.told() == [("added", "x"), ("updated", "x")]
            assert last.view == b.follower.view
            assert last.told() == [("added", "x")]

    simulate(test)


def test_a_resync_tells_every_object_again_and_says_that_it_is_one() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "yx":
            api.put(name)
        async with bench(api) as b:
            await b.informer.wait_synced()
            await b.settle()
            b.follower.clear()
            b.informer.resync()
            assert b.follower.told() == [("updated", "x"), ("updated", "y")]
            assert all(change.resync and change.old is change.new for change in b.follower.changes)

    simulate(test)


def test_an_informer_limited_to_several_namespaces_feeds_one_store_from_one_watch_each() -> None:
    async def test() -> None:
        api = FakeApi()
        for namespace in "abc":
            api.put("x", namespace=namespace)
        async with bench(api, namespace=("b", "a")) as b:
            await b.informer.wait_synced()
            await b.settle()
            store = b.informer.store
            assert [obj.metadata.namespace for obj in store.list()] == ["a", "b"]
            assert [obj.metadata.name for obj in store.list("b")] == ["x"]
            assert b.informer.namespaces == ("a", "b")
            api.put("x", namespace="b")
            await b.settle()
            assert (store.progress("a"), store.progress("b"), store.rv) == (103, 104, 103)
            api.streams[0].send(api.bookmark())
            await b.settle()
            assert store.rv == 104
            assert not b.informer.matches(config_map(api.objects["c", "x"]))
            assert {call.namespace for call in api.calls} == {"a", "b"}

    simulate(test)


def test_a_relist_of_one_namespace_leaves_the_others_alone() -> None:
    async def test() -> None:
        api = FakeApi()
        for namespace in "ab":
            for name in "xy":
                api.put(name, namespace=namespace)
        async with bench(api, namespace=("a", "b")) as b:
            await b.informer.wait_synced()
            await b.settle()
            b.follower.clear()
            api.streams[0].mute = True
            api.delete("x", namespace="a")
            api.streams[0].queue.put_nowait(b"{}\n")
            await b.settle(5)
            b.check()
            assert [str(change.key) for change in b.follower.changes] == ["a/x"]

    simulate(test)


def test_an_informer_of_several_namespaces_is_ready_when_the_last_one_is() -> None:
    async def test() -> None:
        api = FakeApi()
        api.fail("watchlist", *[ForbiddenError(403)])
        api.fail("list", *[ForbiddenError(403)] * 3)
        async with bench(api, namespace=("a", "b")) as b:
            await b.settle()
            assert not b.informer.synced
            assert "HTTP 403" in b.informer.statistics().error
            await b.informer.wait_synced()
            assert b.informer.synced

    simulate(test)


def test_a_selector_limits_what_is_known() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x", metadata={"labels": {"app": "web"}})
        api.put("y")
        async with bench(api, selector="app=web") as b:
            await b.informer.wait_synced()
            assert [obj.metadata.name for obj in b.informer.store.list()] == ["x"]

    simulate(test)


def test_a_cluster_scoped_kind_cannot_be_limited_to_a_namespace() -> None:
    with pytest.raises(ValueError, match="Node is not namespaced"):
        Informer(FakeApi(), Node, namespace="a")


def test_a_malformed_selector_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="label selector"):
        Informer(FakeApi(), ConfigMap, label_selector="a in b")


@pytest.mark.parametrize(
    ("selector", "found"),
    [("", True), ("metadata.name=x", True), ("metadata.name!=x", False), ("spec.nodeName=n", False)],
)
def test_field_selectors_on_names_are_judged_and_others_left_to_the_server(selector: str, *, found: bool) -> None:
    informer = Informer(FakeApi(), ConfigMap, field_selector=selector)
    obj = config_map({"metadata": {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "1"}})
    assert informer.matches(obj) is found


def test_an_informer_runs_once_at_a_time_and_again_after_it_was_stopped() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            with pytest.raises(RuntimeError, match="running already"):
                await b.informer.run()
        api.put("y")
        api.delete("x")
        task = asyncio.create_task(b.informer.run())
        await b.settle()
        b.check()
        assert b.follower.told() == [("added", "x"), ("deleted", "x"), ("added", "y")]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    simulate(test)


@pytest.mark.parametrize("moment", [0.0, 0.001, 5.0, 170.0])
def test_cancelling_stops_an_informer_wherever_it_stands(moment: float) -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        api.fail("watch", *[ConnectError("down")] * 5)
        async with bench(api) as b:
            await b.settle(moment)
            if moment > 1:
                api.cut(None)
                await b.settle()
        assert len(asyncio.all_tasks()) == 1

    simulate(test)


def test_the_statistics_say_what_was_counted() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with bench(api) as b:
            before = b.informer.statistics()
            assert (before.synced, before.rv, before.objects, before.last_event_age) == (False, 0, 0, None)
            await b.informer.wait_synced()
            api.put("x")
            api.delete("x")
            api.put("y")
            await b.settle(10)
            found = b.informer.statistics()
            assert (found.synced, found.rv, found.objects, found.lines) == (True, 104, 1, 5)
            assert found.events == {"ADDED": 2, "MODIFIED": 1, "DELETED": 1, "BOOKMARK": 1}
            assert found.last_event_age == pytest.approx(10)

    simulate(test)


def test_an_observer_is_told_of_events_lists_and_restarts() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.told: list[tuple[str, str]] = []

        def event(self, kind: Any, event: str, size: int) -> None:
            assert kind is ConfigMap.KIND
            assert size > 20
            self.told.append(("event", event))

        def relisted(self, kind: Any, reason: str) -> None:
            self.told.append(("relisted", reason))

        def restarted(self, kind: Any, reason: str) -> None:
            self.told.append(("restarted", reason))

    async def test() -> None:
        api, recorder = FakeApi(), Recorder()
        api.put("x")
        informer = Informer(api, ConfigMap, observer=recorder)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        api.cut(None)
        await asyncio.sleep(1)
        told = [("relisted", "start"), ("event", "ADDED"), ("event", "BOOKMARK"), ("restarted", "ended")]
        assert recorder.told == told
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    simulate(test)


def test_a_change_names_its_object() -> None:
    obj = config_map({"metadata": {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "1"}})
    assert Change(ChangeType.ADDED, None, obj).key == Key("a", "x")
    assert Change(ChangeType.DELETED, obj, None).obj is obj
    empty: Change[ConfigMap] = Change(ChangeType.DELETED, None, None)
    with pytest.raises(ValueError, match="old state"):
        _ = empty.obj


def test_an_index_that_fails_on_one_object_does_not_stop_the_others() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "xyz":
            api.put(name)
        async with bench(api) as b:
            b.informer.store.add_index("bad", lambda obj: [obj.data["missing"]] if obj.metadata.name == "y" else ["ok"])
            await b.informer.wait_synced()
            await b.settle()
            b.check()
            assert [obj.metadata.name for obj in b.informer.store.by("bad", "ok")] == ["x", "z"]

    with capture_logs() as logs:
        simulate(test)
    assert [line["object"] for line in logs if line["event"] == "index failed"] == ["a/y"]
