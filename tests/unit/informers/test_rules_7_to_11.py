"""The second half of the rules: silence, pauses, errors, lines that make no sense, readiness."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from rbgctrl.api.core import ConfigMap
from rbgctrl.client.errors import (
    ConnectError,
    ForbiddenError,
    InternalServerError,
    NotFoundError,
    ResponseError,
    TooManyRequestsError,
    UnavailableError,
)
from rbgctrl.informers import Change
from unit.informers.fake import FakeApi, Stream, event, names
from unit.informers.harness import Bench, bench, simulate


def test_rule_7_silence_is_noticed_and_the_watch_resumes_from_where_it_was() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.streams[0].mute = True  # a firewall forgot the connection
            api.put("y")
            before = asyncio.get_running_loop().time()
            await b.settle(149)
            assert len(b.informer.store) == 1
            await b.settle(3)
            b.check()
            assert b.informer.statistics().restarts == {"timeout": 1}
            assert api.said("probe", "watch") == [("probe", "101"), ("watch", "101")]
            assert api.calls[-1].at - before < 152

    simulate(test)


def test_rule_7_bookmarks_are_a_heartbeat() -> None:
    async def test() -> None:
        async with bench() as b:
            await b.informer.wait_synced()
            await b.settle(3600)
            assert set(b.informer.statistics().restarts) == {"ended"}
            age = b.informer.statistics().last_event_age
            assert age is not None
            assert age <= 60

    simulate(test)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_rule_8_repeated_failures_are_spaced_out(draw: float) -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api, draw=draw) as b:
            await b.informer.wait_synced()
            failures = [UnavailableError(503)] * 40
            api.fail("watch", *failures)
            api.fail("probe", *failures)
            api.cut(ConnectError("reset", reason="reset"))
            await b.settle(120)
            gaps = [later.at - earlier.at for earlier, later in pairwise(api.calls[2:])]
            least = [0.8 * 2**n * 0.1 for n in range(1, 6)]
            assert all(gap >= floor for gap, floor in zip(gaps, least, strict=False))
            assert max(gaps) <= 30
            assert len(api.calls) < 50

    simulate(test)


def test_rule_8_retry_after_is_honoured() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.fail("watch", TooManyRequestsError(429, retry_after=17.0))
            api.cut(None)
            await b.settle(30)
            refused, accepted = (call for call in api.calls if call.what == "watch")
            assert accepted.at - refused.at == pytest.approx(17)

    simulate(test)


def test_rule_8_a_clean_end_is_followed_by_a_new_watch_at_once() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            for _ in range(5):
                await b.settle(5)
                api.cut(None)
                cut_at = asyncio.get_running_loop().time()
                await b.settle()
                assert api.calls[-1].what == "watch"
                assert api.calls[-1].at == cut_at
            assert api.said("list", "probe") == []

    simulate(test)


def test_rule_8_watches_that_end_at_once_and_say_nothing_are_spaced_out() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.fail("watch", *[lambda stream: stream.send(None)] * 1000)
            api.cut(None)
            await b.settle(120)
            assert 4 < len(api.calls) < 20
            assert b.informer.statistics().restarts["short"] > 3

    simulate(test)


@pytest.mark.parametrize(
    "error",
    [
        TooManyRequestsError(429),
        InternalServerError(500),
        UnavailableError(503),
        ForbiddenError(403),
        NotFoundError(404),
        ConnectError("refused", reason="refused"),
    ],
)
def test_rule_9_errors_other_than_410_keep_the_version_and_never_mean_no_objects(
    error: Exception,
) -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "xyz":
            api.put(name)
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            api.fail("watch", *[error] * 5)
            api.fail("probe", *[error] * 5)
            api.cut(None)
            await b.settle(200)
            b.check()
            assert b.follower.changes == []
            assert api.said("list") == []
            assert {rv for what, rv in api.said("watch", "probe")} == {"103"}
            assert b.informer.statistics().relists == {"start": 1}

    simulate(test)


@pytest.mark.parametrize("error", [ForbiddenError(403), NotFoundError(404), UnavailableError(503)])
def test_rule_9_a_relist_that_is_refused_keeps_the_store_as_it_is(error: Exception) -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "xyz":
            api.put(name)
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.rv += 1
            api.compacted = api.rv
            api.fail("watchlist", *[error] * 3)
            api.fail("list", *[error] * 3)
            api.cut(None)
            await b.settle(3)
            assert len(b.informer.store) == 3
            await b.settle(60)
            b.check()
            assert len(b.follower.changes) == 3

    simulate(test)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"PUZZLED","object":{"metadata":{"name":"x","resourceVersion":"103"}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":3}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"x","uid":"u","resourceVersion":"v1"}}}\n',
        b"<html>bad gateway</html>\n",
        b"{}\n",
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}\n',
    ],
)
def test_rule_10_a_line_that_makes_no_sense_is_counted_and_the_kind_is_listed_again(line: bytes) -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.streams[0].mute = True
            api.put("missed")
            api.streams[0].queue.put_nowait(line)
            await b.settle(5)
            b.check()
            assert b.informer.statistics().relists == {"start": 1, "unreadable": 1}
            assert api.said("watchlist") == [("watchlist", ""), ("watchlist", "101")]

    simulate(test)


def test_rule_10_a_line_beyond_the_cap_leads_to_a_list_and_then_around_it() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            too_long = ResponseError("a line of more than 16 MiB")
            api.fail("watchlist", lambda stream: stream.send(too_long))  # it is too long there, too
            api.put("x")
            api.cut(too_long)
            await b.settle(5)
            b.check()
            assert [what for what, _ in api.said()] == ["watchlist", "watchlist", "list", "watch"]

    simulate(test)


def test_rule_11_nothing_is_ready_before_the_first_list_is_complete() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "xyz":
            api.put(name)
        api.marks = False
        async with bench(api, end_mark_timeout=1000.0) as b:
            await b.settle(50)
            assert b.informer.statistics().lines == 3
            assert not b.informer.synced
            assert len(b.informer.store) == 0
            assert b.follower.changes == []
            assert b.informer.store.rv == 0
            api.streams[0].send(api.bookmark(end=True))
            await b.informer.wait_synced()
            await b.settle()
            b.check()
            assert all(change.initial for change in b.follower.changes)

    simulate(test)


def test_rule_11_pages_are_not_ready_before_the_last_one() -> None:
    async def test() -> None:
        api = FakeApi()
        for name in "vwxyz":
            api.put(name)
        api.fail("next", *[UnavailableError(503)] * 3)
        async with bench(api, stream_lists=False) as b:
            sizes: set[int] = set()
            while not b.informer.synced:
                sizes.add(len(b.informer.store))
                await b.settle()
            b.check()
            assert sizes == {0}
            assert api.said("list") == [("list", "")] * 4

    simulate(test)


def test_changes_of_one_object_reach_handlers_in_order() -> None:
    async def test(b: Bench) -> None:
        seen: list[Change[ConfigMap]] = []
        b.informer.add_handler(seen.append)
        for _ in range(3):
            b.api.put("x")
        b.api.delete("x")
        b.api.put("x")
        await b.settle()
        assert names(seen) == ["x"] * 5
        assert [change.type.value for change in seen] == ["added", "updated", "updated", "deleted", "added"]

    async def main() -> None:
        async with bench() as b:
            await b.informer.wait_synced()
            await test(b)

    simulate(main)


def test_a_watch_is_closed_before_the_next_one_is_opened() -> None:
    async def test() -> None:
        api = FakeApi()
        open_at_once: list[int] = []

        def script(stream: Stream) -> None:
            open_at_once.append(len(api.streams))
            stream.send(event("ODD", {"metadata": {"name": "x", "resourceVersion": "1"}}))

        async with bench(api) as b:
            await b.informer.wait_synced()
            api.fail("watch", *[script] * 5)
            api.cut(None)
            await b.settle(100)
        assert open_at_once == [0] * len(open_at_once)

    simulate(test)
