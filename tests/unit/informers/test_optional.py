"""Kinds that the cluster may not know: nothing waits for them, and they are there once the cluster knows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from rbgctrl.api.core import ConfigMap
from rbgctrl.client.errors import ForbiddenError, NotFoundError, UnavailableError
from rbgctrl.informers import Informer, InformerOptions
from unit.informers.fake import FakeApi, Follower, Stream, error_event
from unit.informers.harness import Bench, simulate

UNKNOWN = NotFoundError(404, "NotFound", "the server could not find the requested resource")
OFTEN = 200


class Cluster(FakeApi):
    """A server that may not know the kind."""

    def __init__(self, *, known: bool) -> None:
        super().__init__()
        self.known = known

    def forget(self) -> None:
        """The kind goes, and its watches with it."""
        self.known = False
        self.cut(None)

    def _fail(self, what: str) -> Callable[[Stream], None] | None:
        if not self.known:
            raise UNKNOWN
        return super()._fail(what)


@asynccontextmanager
async def optional(api: Cluster, *, stream_lists: bool = True) -> AsyncIterator[tuple[Bench, list[bool]]]:
    """A running informer of an optional kind, and what it said at each progress of whether the kind is known."""
    options = InformerOptions(stream_lists=stream_lists)
    informer = Informer(api, ConfigMap, options=options, jitter=lambda: 0.5, optional=True)
    follower, said = Follower(), list[bool]()
    informer.add_handler(follower)
    informer.on_progress(lambda: said.append(informer.served))
    task = asyncio.create_task(informer.run())
    try:
        yield Bench(api, informer, follower), said
        assert not informer.statistics().failures
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("stream_lists", [True, False], ids=["streamed", "paged"])
def test_a_kind_that_is_absent_at_the_start_makes_nobody_wait(*, stream_lists: bool) -> None:
    async def test() -> None:
        async with optional(Cluster(known=False), stream_lists=stream_lists) as (b, said):
            await asyncio.wait_for(b.informer.wait_synced(), 1)
            assert b.informer.synced
            assert not b.informer.served
            assert said == [False]
            assert b.informer.store.list() == []
            assert b.informer.statistics().error == ""

    simulate(test)


@pytest.mark.parametrize("stream_lists", [True, False], ids=["streamed", "paged"])
def test_a_kind_that_appears_is_listed_and_its_handlers_are_told(*, stream_lists: bool) -> None:
    async def test() -> None:
        api = Cluster(known=False)
        async with optional(api, stream_lists=stream_lists) as (b, said):
            await b.settle(600)
            assert not b.informer.served
            api.known = True
            api.put("x")
            await b.settle(31)
            assert b.informer.served
            b.check()
            assert b.follower.told() == [("added", "x")]
            api.put("y")
            await b.settle()
            b.check()
            assert said[-1]

    simulate(test)


def test_a_kind_that_appears_without_any_object_is_told_of_as_progress() -> None:
    async def test() -> None:
        api = Cluster(known=False)
        async with optional(api) as (b, said):
            await b.settle(60)
            assert not any(said)
            api.known = True
            await b.settle(31)
            assert said[-1]
            assert b.follower.told() == []

    simulate(test)


def test_a_kind_counts_as_known_only_when_its_list_is_complete() -> None:
    async def test() -> None:
        api = Cluster(known=False)
        async with optional(api) as (b, _):
            await b.settle(60)
            api.marks = False  # the list begins and is not ended
            api.put("x")
            api.known = True
            await b.settle(25)
            assert api.streams
            assert not b.informer.served
            api.streams[0].send(api.bookmark(end=True))
            await b.settle()
            assert b.informer.served
            b.check()

    simulate(test)


def test_a_kind_that_goes_takes_no_object_along_that_nobody_deleted() -> None:
    async def test() -> None:
        api = Cluster(known=True)
        api.put("x")
        async with optional(api) as (b, said):
            await b.informer.wait_synced()
            assert b.informer.served
            await b.settle(5)
            api.forget()
            await b.settle(60)
            assert not b.informer.served
            assert not said[-1]
            assert b.informer.synced
            b.check()
            assert b.informer.statistics().error == ""

    simulate(test)


def test_a_kind_that_comes_back_is_known_at_once_and_what_changed_meanwhile_is_told() -> None:
    async def test() -> None:
        api = Cluster(known=True)
        api.put("x")
        api.put("y")
        async with optional(api) as (b, said):
            await b.informer.wait_synced()
            await b.settle(5)
            api.forget()
            await b.settle(60)
            b.follower.clear()
            api.delete("x")
            api.put("z")
            api.compacted = api.rv  # a kind that is made anew has no past
            api.known = True
            await b.settle(60)
            assert b.informer.served
            assert said[-1]
            b.check()
            assert sorted(b.follower.told()) == [("added", "z"), ("deleted", "x")]

    simulate(test)


def test_a_kind_that_is_back_with_its_past_is_known_without_any_change() -> None:
    async def test() -> None:
        api = Cluster(known=True)
        api.put("x")
        async with optional(api) as (b, said):
            await b.informer.wait_synced()
            await b.settle(5)
            api.forget()
            await b.settle(60)
            b.follower.clear()
            api.known = True
            await b.settle(31)
            assert said[-1]
            assert b.follower.told() == []
            assert len(api.said("watchlist", "list")) == 1

    simulate(test)


def test_not_found_inside_a_watch_means_the_same() -> None:
    async def test() -> None:
        api = Cluster(known=True)
        api.put("x")
        async with optional(api) as (b, _):
            await b.informer.wait_synced()
            await b.settle(5)
            api.known = False
            api.streams[0].send(error_event(404, "NotFound"), None)
            await b.settle()
            assert not b.informer.served
            b.check()
            api.known = True
            await b.settle(31)
            assert b.informer.served

    simulate(test)


@pytest.mark.parametrize("error", [ForbiddenError(403), UnavailableError(503)], ids=["forbidden", "unavailable"])
def test_no_other_error_means_that_the_kind_is_unknown(error: Exception) -> None:
    async def test() -> None:
        api = Cluster(known=True)
        for what in ("watchlist", "list"):
            api.fail(what, *[error] * OFTEN)
        async with optional(api) as (b, said):
            await b.settle(60)
            assert not b.informer.synced
            assert b.informer.statistics().error
            assert said == []

    simulate(test)


def test_an_unknown_kind_is_asked_for_about_every_quarter_of_a_minute() -> None:
    async def test() -> None:
        api = Cluster(known=False)
        async with optional(api) as (b, _):
            await b.settle(300)
            before = len(api.calls)
            await b.settle(600)
            assert 20 <= len(api.calls) - before <= 60

    simulate(test)


def test_a_kind_that_must_be_there_is_waited_for() -> None:
    async def test() -> None:
        api = Cluster(known=False)
        informer = Informer(api, ConfigMap, jitter=lambda: 0.5)
        task = asyncio.create_task(informer.run())
        await asyncio.sleep(60)
        assert not informer.synced
        assert informer.served
        assert "could not find" in informer.statistics().error
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    simulate(test)


def test_one_of_several_namespaces_without_the_kind_makes_it_unknown() -> None:
    async def test() -> None:
        api = Cluster(known=True)
        informer = Informer(api, ConfigMap, namespace=("a", "b"), jitter=lambda: 0.5, optional=True)
        api.fail("watchlist", UNKNOWN)
        task = asyncio.create_task(informer.run())
        await asyncio.wait_for(informer.wait_synced(), 1)
        assert not informer.served
        await asyncio.sleep(5)
        assert informer.served
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    simulate(test)
