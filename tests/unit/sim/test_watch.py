"""Watches: what they show, from where, for how long, and to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from rbgctrl.client.transport import ApiResponse
from rbgctrl.sim.loop import run
from rbgctrl.sim.watch import BrokenWatchError, Watch
from unit.sim.servers import CONFIG_MAPS, GROUPS, MERGE, PODS, Talk, config_map, group, pod, server

ALL = "/api/v1/configmaps"


async def rest(watch: Watch) -> list[tuple[str, str, int]]:
    """Type, name and version of every line until the end."""
    return [_brief(orjson.loads(line)) async for line in watch]


async def ready(watch: Watch) -> list[tuple[str, str, int]]:
    """Those that are there now."""
    return [_brief(orjson.loads(watch.pending.popleft())) for _ in range(len(watch.pending))]


def _brief(event: Any) -> tuple[str, str, int]:
    metadata = event["object"]["metadata"]
    return event["type"], metadata.get("name", ""), int(metadata.get("resourceVersion", 0))


def test_a_watch_without_a_version_shows_what_is_there_and_goes_on() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("b"))
        await talk.send("POST", CONFIG_MAPS, config_map("a"))
        watch = await talk.watch(ALL)
        assert [event[:2] for event in await ready(watch)] == [("ADDED", "a"), ("ADDED", "b")]
        await talk.send("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "1"}}, MERGE)
        await talk.send("DELETE", f"{CONFIG_MAPS}/a")
        events = await ready(watch)
        assert [event[:2] for event in events] == [("MODIFIED", "a"), ("DELETED", "a")]
        assert events[1][2] == talk.server.storage.revision
        watch.end()
        assert await rest(watch) == []

    run(main())


def test_a_watch_from_a_version_misses_nothing_after_it() -> None:
    async def main() -> None:
        talk = Talk(server())
        made = await talk.send("POST", CONFIG_MAPS, config_map("a"))
        await talk.send("POST", CONFIG_MAPS, config_map("b"))
        watch = await talk.watch(ALL, resourceVersion=made["metadata"]["resourceVersion"])
        await talk.send("POST", CONFIG_MAPS, config_map("c"))
        assert [event[1] for event in await ready(watch)] == ["b", "c"]
        watch.end()

    run(main())


def test_a_watch_from_a_forgotten_version_ends_with_an_error_line() -> None:
    async def main() -> None:
        talk = Talk(server())
        await talk.send("POST", CONFIG_MAPS, config_map("a"))
        talk.server.storage.compact(talk.server.storage.revision)
        watch = await talk.watch(ALL, resourceVersion="2")
        (line,) = [orjson.loads(line) async for line in watch]
        assert line["type"] == "ERROR"
        assert (line["object"]["code"], line["object"]["reason"]) == (410, "Expired")
        assert len(talk.server.hub) == 0

    run(main())


def test_a_watch_from_the_future_is_silent_until_the_future_comes() -> None:
    async def main() -> None:
        talk = Talk(server())
        future = str(talk.server.storage.revision + 2)
        watch = await talk.watch(ALL, resourceVersion=future)
        for name in "abc":
            await talk.send("POST", CONFIG_MAPS, config_map(name))
        assert [event[1] for event in await ready(watch)] == ["c"]
        watch.end()

    run(main())


def test_a_streamed_list_comes_in_order_of_names_and_says_when_it_is_complete() -> None:
    async def main() -> None:
        talk = Talk(server())
        for name in ("b", "a"):
            await talk.send("POST", PODS, pod(name))
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        watch = await talk.watch("/api/v1/pods", **query)
        lines = [orjson.loads(line) for line in watch.pending]
        assert [line["type"] for line in lines] == ["ADDED", "ADDED", "BOOKMARK"]
        assert [line["object"]["metadata"].get("name") for line in lines] == ["a", "b", None]
        assert lines[-1]["object"] == {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": str(talk.server.storage.revision),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
            "spec": {"containers": None},
            "status": {},
        }
        watch.end()
        silent = await talk.watch("/api/v1/pods", **{**query, "allowWatchBookmarks": "false"})
        assert [kind for kind, *_ in await ready(silent)] == ["ADDED", "ADDED"]
        silent.end()

    run(main())


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"resourceVersionMatch": "NotOlderThan"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"continue": "x"},
    ],
)
def test_options_that_contradict_each_other_are_refused(query: dict[str, str]) -> None:
    async def main() -> None:
        refused = await Talk(server()).watch(ALL, **query)
        assert isinstance(refused, ApiResponse)
        assert refused.status == 422

    run(main())


def test_an_object_that_leaves_the_selection_is_deleted_for_its_watchers_and_added_when_it_comes_back() -> None:
    async def main() -> None:
        talk = Talk(server())
        watch = await talk.watch(ALL, labelSelector="a=1")
        await talk.send("POST", CONFIG_MAPS, config_map("x", {"k": "1"}, labels={"a": "1"}))
        patched = await talk.send(
            "PATCH", f"{CONFIG_MAPS}/x", {"metadata": {"labels": {"a": "2"}}, "data": {"k": "2"}}, MERGE
        )
        await talk.send("PATCH", f"{CONFIG_MAPS}/x", {"metadata": {"labels": {"a": "1"}}}, MERGE)
        lines = [orjson.loads(line) for line in watch.pending]
        assert [line["type"] for line in lines] == ["ADDED", "DELETED", "ADDED"]
        left = lines[1]["object"]
        assert left["data"] == {"k": "1"}
        assert left["metadata"]["labels"] == {"a": "1"}
        assert left["metadata"]["resourceVersion"] == patched["metadata"]["resourceVersion"]
        watch.end()

    run(main())


def test_watchers_of_one_change_share_its_bytes() -> None:
    async def main() -> None:
        talk = Talk(server())
        watches = [await talk.watch(ALL) for _ in range(3)]
        await talk.send("POST", CONFIG_MAPS, config_map("a"))
        first = watches[0].pending[-1]
        assert all(watch.pending[-1] is first for watch in watches)
        for watch in watches:
            watch.end()

    run(main())


def test_bookmarks_come_every_minute_and_before_the_end_with_the_latest_version() -> None:
    async def main() -> None:
        talk = Talk(server())
        watch = await talk.watch(GROUPS, allowWatchBookmarks="true", timeoutSeconds="150", resourceVersion="5")
        times: list[tuple[float, str]] = []
        async for line in watch:
            event = orjson.loads(line)
            times.append((asyncio.get_running_loop().time(), event["object"]["metadata"]["resourceVersion"]))
            if len(times) == 1:
                await talk.send("POST", CONFIG_MAPS, config_map("a"))
        assert [moment for moment, _ in times] == [60.0, 120.0, 148.0]
        assert times[1][1] == times[2][1] == str(talk.server.storage.revision)
        assert asyncio.get_running_loop().time() == 150.0
        assert len(talk.server.hub) == 0

    run(main())


def test_a_reader_that_does_not_keep_up_is_cut_off() -> None:
    async def main() -> None:
        talk = Talk(server(watch_backlog=3))
        watch = await talk.watch(ALL)
        for number in range(5):
            await talk.send("POST", CONFIG_MAPS, config_map(f"a{number}"))
        assert await rest(watch) == []
        assert len(talk.server.hub) == 0

    run(main())


def test_a_disconnected_watch_ends_cleanly_or_breaks() -> None:
    async def main() -> None:
        talk = Talk(server())
        clean, broken = await talk.watch(ALL), await talk.watch(GROUPS)
        clean.end()
        talk.server.disconnect(clean=False)
        assert await rest(clean) == []
        with pytest.raises(BrokenWatchError):
            await rest(broken)

    run(main())


def test_changes_older_than_the_window_are_forgotten() -> None:
    async def main() -> None:
        talk = Talk(server(window_seconds=100.0))
        made = await talk.send("POST", GROUPS, group("a"))
        for number in range(5):
            await asyncio.sleep(50)
            await talk.send("POST", CONFIG_MAPS, config_map(f"a{number}"))
        watch = await talk.watch(GROUPS, resourceVersion=made["metadata"]["resourceVersion"])
        assert [kind async for kind in _types(watch)] == ["ERROR"]
        recent = await talk.watch(GROUPS, resourceVersion=str(talk.server.storage.revision - 1))
        assert not recent.pending
        recent.end()

    run(main())


async def _types(watch: Watch) -> Any:
    async for line in watch:
        yield orjson.loads(line)["type"]
