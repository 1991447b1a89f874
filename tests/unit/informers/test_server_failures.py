"""What servers, load balancers and networks do to a watch, and what must still be true afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rbgctrl.client.errors import (
    BadRequestError,
    ConnectError,
    ForbiddenError,
    GoneError,
    InvalidError,
    MethodNotAllowedError,
    UnavailableError,
)
from unit.informers.fake import FakeApi, error_event, event
from unit.informers.harness import bench, simulate

RESET = ConnectError("connection reset", reason="reset")


def three() -> FakeApi:
    api = FakeApi()
    for name in "xyz":
        api.put(name)
    return api


# Expired versions


def test_an_expired_version_reported_inside_the_stream_leads_to_one_list_of_the_present_state() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            api.streams[0].mute = True
            api.put("x")
            api.delete("y")
            api.compacted = api.rv
            api.cut(None)
            await b.settle(5)
            b.check()
            assert b.follower.told() == [("deleted", "y"), ("updated", "x")]
            assert api.said("watchlist") == [("watchlist", ""), ("watchlist", "")]
            assert b.informer.statistics().relists == {"start": 1, "expired": 1}

    simulate(test)


def test_an_expired_version_as_an_http_status_does_the_same() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.fail("watch", GoneError(410, "Gone"))
            api.cut(None)
            await b.settle(5)
            b.check()
            assert [what for what, _ in api.said()] == ["watchlist", "watch", "watchlist"]

    simulate(test)


@pytest.mark.parametrize("code", [429, 500, 503, 504, 0])
def test_any_other_error_inside_the_stream_backs_off_and_keeps_the_version(code: int) -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.streams[0].send(error_event(code, retryAfterSeconds=4), None)
            ended = asyncio.get_running_loop().time()
            await b.settle(10)
            api.put("x")
            await b.settle()
            b.check()
            assert api.calls[-1].at - ended >= 4
            assert b.informer.statistics().events["ERROR"] == 1
            assert api.said("watch") == [("watch", "103")]
            assert b.informer.statistics().relists == {"start": 1}

    simulate(test)


def test_a_page_token_that_expired_restarts_the_list_and_never_mixes_two_snapshots() -> None:
    async def test() -> None:
        api = three()
        api.fail("next", GoneError(410, "Expired"))
        async with bench(api, stream_lists=False) as b:
            await b.settle()
            api.delete("x")
            api.put("w")
            await b.settle(5)
            b.check()
            assert b.follower.told() == [("added", name) for name in "wyz"]
            assert api.said("list") == [("list", ""), ("list", "")]

    simulate(test)


# Streamed lists


@pytest.mark.parametrize(
    "error", [BadRequestError(400), ForbiddenError(403), MethodNotAllowedError(405), InvalidError(422)]
)
def test_a_server_that_refuses_streamed_lists_is_paged(error: Exception) -> None:
    async def test() -> None:
        api = three()
        api.fail("watchlist", error)
        async with bench(api) as b:
            await b.informer.wait_synced()
            await b.settle()
            b.check()
            assert api.said() == [("watchlist", ""), ("list", ""), ("next", "103"), ("watch", "103")]

    simulate(test)


def test_a_server_that_refuses_streamed_lists_inside_the_stream_is_paged() -> None:
    async def test() -> None:
        api = three()
        api.fail("watchlist", lambda stream: stream.send(error_event(422, "Invalid"), None))
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.check()

    simulate(test)


def test_a_streamed_list_without_end_mark_is_given_up_after_half_a_minute_of_silence() -> None:
    async def test() -> None:
        api = three()
        api.marks = False
        async with bench(api) as b:
            await b.settle(29)
            assert not b.informer.synced
            await b.settle(2)
            assert b.informer.synced
            b.check()
            api.compacted = api.rv = 999
            api.cut(None)
            await b.settle(5)
            assert api.said("watchlist") == [("watchlist", "")]  # it is not asked for again

    simulate(test)


def test_a_server_that_sends_plain_bookmarks_instead_of_the_end_mark_is_paged() -> None:
    async def test() -> None:
        api = three()
        api.marks = False
        async with bench(api) as b:
            for number in range(10):
                await b.settle(10)
                api.put(f"busy-{number}")
            api.streams[0].send(api.bookmark())
            await b.settle()
            assert b.informer.synced
            b.check()

    simulate(test)


def test_a_late_end_mark_is_waited_for_while_the_list_still_flows() -> None:
    async def test() -> None:
        api = three()
        api.marks = False
        async with bench(api) as b:
            for number in range(10):
                await b.settle(20)
                api.put(f"late-{number}")
            assert not b.informer.synced
            api.streams[0].send(api.bookmark(end=True))
            await b.settle()
            b.check()
            assert api.said() == [("watchlist", "")]

    simulate(test)


def test_a_second_end_mark_is_a_plain_bookmark() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.put("w")
            api.streams[0].send(api.bookmark(end=True))
            await b.settle()
            b.check()
            assert len(api.calls) == 1

    simulate(test)


def test_initial_events_in_order_of_name_do_not_advance_the_version_to_resume_from() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("a-old")
        newest = api.put("b-new")
        api.marks = False
        async with bench(api) as b:
            await b.settle()
            assert b.informer.statistics().lines == 2
            assert b.informer.store.rv == 0
            api.marks = True
            api.cut(RESET)  # before the end mark
            await b.settle(5)
            b.check()
            assert newest["metadata"]["resourceVersion"] == "102"
            assert api.said("watchlist", "list", "watch") == [("watchlist", ""), ("watchlist", "")]

    simulate(test)


def test_changes_during_a_streamed_list_are_part_of_it() -> None:
    async def test() -> None:
        api = three()
        api.marks = False
        async with bench(api) as b:
            await b.settle()
            stale = dict(api.objects["a", "z"])
            api.put("x")
            api.delete("z")
            api.put("w")
            api.streams[0].send(event("MODIFIED", stale), api.bookmark(end=True))
            await b.settle()
            b.check()
            assert b.follower.told() == [("added", name) for name in "xyw"]

    simulate(test)


def test_a_stream_that_ends_before_its_end_mark_is_no_list() -> None:
    async def test() -> None:
        api = three()
        api.fail("watchlist", lambda stream: stream.send(event("ADDED", api.objects["a", "x"]), None))
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.check()

    simulate(test)


# Duplicates and disorder


def test_replayed_events_change_nothing() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            for _ in range(5):
                api.put("x")
            api.delete("y")
            await b.settle()
            b.follower.clear()
            api.streams[0].send(*(event(kind, obj) for _, kind, obj in api.history))
            await b.settle()
            b.check()
            assert b.follower.changes == []
            assert b.informer.store.rv == api.rv

    simulate(test)


def test_events_out_of_order_leave_the_newest_version_of_each_object() -> None:
    async def test() -> None:
        api = FakeApi()
        async with bench(api) as b:
            await b.informer.wait_synced()
            stream = api.streams[0]
            stream.mute = True
            for name in "xyx":
                api.put(name)
            api.delete("y")
            api.put("x")
            stream.mute = False
            stream.send(*(event(kind, obj) for _, kind, obj in reversed(api.history)))
            await b.settle()
            b.check()

    simulate(test)


# Connections


def test_a_killed_server_costs_a_probe_and_a_watch_but_no_list() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            b.follower.clear()
            api.cut(RESET)
            api.put("x")
            await b.settle(5)
            b.check()
            assert b.follower.told() == [("updated", "x")]
            assert api.said() == [("watchlist", ""), ("probe", "103"), ("watch", "103")]

    simulate(test)


def test_a_server_that_goes_down_in_order_is_followed_at_once_and_then_patiently() -> None:
    async def test() -> None:
        api = three()
        async with bench(api) as b:
            await b.informer.wait_synced()
            refused = [ConnectError("refused", reason="refused")] * 100
            api.fail("watch", *refused[:1])
            api.fail("probe", *refused[:4], UnavailableError(503, retry_after=5))
            api.cut(None)
            await b.settle(120)
            b.check()
            assert b.informer.statistics().error == ""
            assert 6 < len(api.calls) < 12

    simulate(test)


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyError("x"), OSError("no route"), TimeoutError()])
def test_nothing_a_source_raises_ends_the_informer(error: Exception) -> None:
    async def test() -> None:
        api = three()
        api.fail("watchlist", error)
        api.fail("list", error)
        api.fail("next", error)
        async with bench(api) as b:
            await b.settle(30)
            b.check()
            api.fail("watch", error)
            api.cut(error)
            api.put("x")
            await b.settle(60)
            b.check()

    simulate(test)


def test_a_busy_watch_lets_other_tasks_run() -> None:
    async def test() -> None:
        async with bench() as b:
            await b.informer.wait_synced()
            for _ in range(2000):
                b.api.put("x")
            turns = 0
            while b.informer.store.rv != b.api.rv:
                await asyncio.sleep(0)
                turns += 1
            assert turns > 2000 // 256 - 1

    simulate(test)


def test_trouble_while_closing_a_watch_does_not_change_what_was_decided_about_it() -> None:
    class Awkward(FakeApi):
        @asynccontextmanager
        async def watch(self, *args: Any, **kwargs: Any) -> AsyncIterator[AsyncIterator[bytes]]:
            async with super().watch(*args, **kwargs) as lines:
                yield lines
            raise RuntimeError("the connection was gone already")

    async def test() -> None:
        api = Awkward()
        api.put("x")
        async with bench(api) as b:
            await b.informer.wait_synced()
            api.streams[0].send(error_event(429, retryAfterSeconds=5))
            await b.settle(10)
            assert api.said() == [("watchlist", ""), ("watch", "101")]
            assert b.informer.statistics().restarts == {"429": 1}

    simulate(test)
