"""The cache: sharing, scoping, starting informers while running, waiting, and the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rbgctrl.api.core import ConfigMap, Node
from rbgctrl.client.errors import ForbiddenError
from rbgctrl.informers import Cache
from rbgctrl.informers.collector import tuned_collector
from unit.informers.fake import FakeApi, config_map
from unit.informers.harness import simulate


@asynccontextmanager
async def running(cache: Cache) -> AsyncIterator[Cache]:
    task = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_asking_twice_for_the_same_gives_the_same_informer() -> None:
    cache = Cache(FakeApi())
    maps = cache.informer(ConfigMap)
    assert cache.informer(ConfigMap) is maps
    others = [
        cache.informer(ConfigMap, namespace="a"),
        cache.informer(ConfigMap, selector="app"),
        cache.informer(ConfigMap, field_selector="metadata.name=x"),
        cache.informer(Node),
    ]
    assert len({id(informer) for informer in (maps, *others)}) == 5
    assert cache.informers() == (maps, *others)
    assert cache.find(ConfigMap) == (maps, *others[:3])


def test_a_cache_limited_to_namespaces_asks_for_nothing_outside_them() -> None:
    async def test() -> None:
        api = FakeApi()
        for namespace in "abc":
            api.put("x", namespace=namespace)
        async with running(Cache(api, namespaces=("b", "a"))) as cache:
            maps, nodes = cache.informer(ConfigMap), cache.informer(Node)
            assert cache.informer(ConfigMap, namespace="a").namespaces == ("a",)
            assert nodes.namespaces == ("",)
            await cache.wait_synced()
            assert [obj.metadata.namespace for obj in maps.store.list()] == ["a", "b"]
            with pytest.raises(ValueError, match="outside a, b"):
                cache.informer(ConfigMap, namespace="c")

    simulate(test)


def test_namespaces_given_as_one_string_are_found_out() -> None:
    with pytest.raises(TypeError, match="letters"):
        Cache(FakeApi(), namespaces="default")


def test_an_informer_asked_for_while_the_cache_runs_starts_at_once() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        async with running(Cache(api)) as cache:
            await cache.wait_synced()
            late = cache.informer(ConfigMap)
            assert not cache.synced
            await cache.wait_synced()
            assert len(late.store) == 1
        assert not api.streams
        cache.informer(ConfigMap, namespace="a")  # after the end nothing starts
        assert len(asyncio.all_tasks()) == 1

    simulate(test)


def test_a_write_reaches_every_informer_whose_scope_it_is_in() -> None:
    async def test() -> None:
        api = FakeApi()
        async with running(Cache(api)) as cache:
            every, here, labelled = (
                cache.informer(ConfigMap),
                cache.informer(ConfigMap, namespace="a"),
                cache.informer(ConfigMap, selector="app=web"),
            )
            await cache.wait_synced()
            for stream in api.streams:
                stream.mute = True
            written = config_map(api.put("x", namespace="a"))
            cache.observe(written)
            assert [len(informer.store) for informer in (every, here, labelled)] == [1, 1, 0]
            cache.observe(config_map(api.put("x", namespace="b", metadata={"labels": {"app": "web"}})))
            assert [len(informer.store) for informer in (every, here, labelled)] == [2, 1, 1]
            cache.observe_deleted(config_map(api.delete("x", namespace="a")))
            assert [len(informer.store) for informer in (every, here, labelled)] == [1, 0, 1]

    simulate(test)


def test_waiting_in_vain_names_who_is_missing_and_why() -> None:
    async def test() -> None:
        api = FakeApi()
        api.fail("watchlist", *[ForbiddenError(403, message="configmaps is forbidden")] * 9)
        api.fail("list", *[ForbiddenError(403, message="configmaps is forbidden")] * 99)
        async with running(Cache(api)) as cache:
            cache.informer(ConfigMap)
            with pytest.raises(TimeoutError, match=r"after 5 s: <Informer configmaps>: configmaps is forbidden"):
                await cache.wait_synced(5)

    simulate(test)


def test_a_cache_runs_once_at_a_time() -> None:
    async def test() -> None:
        async with running(Cache(FakeApi())) as cache:
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="running already"):
                await cache.run()

    simulate(test)


@pytest.fixture
def collector() -> Any:
    """Puts the garbage collector back as it was."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    gc.enable()


def test_the_collector_rests_until_the_cache_has_synced_and_then_leaves_it_alone(collector: None) -> None:
    async def test() -> None:
        api = FakeApi()
        api.put("x")
        api.marks = False
        before = gc.get_threshold()
        cache = Cache(api, tune_collector=True)
        cache.informer(ConfigMap)
        async with running(cache):
            await asyncio.sleep(1)
            assert not gc.isenabled()
            api.streams[0].send(api.bookmark(end=True))
            await cache.wait_synced()
            await asyncio.sleep(0.1)
            assert gc.isenabled()
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold() != before
        assert gc.get_freeze_count() == 0
        assert gc.get_threshold() == before
        assert gc.isenabled()

    simulate(test)


def test_the_collector_is_not_left_off_because_one_kind_cannot_be_listed(collector: None) -> None:
    async def test() -> None:
        async with tuned_collector(asyncio.Event().wait):
            await asyncio.sleep(59)
            assert not gc.isenabled()
            await asyncio.sleep(2)
            assert gc.isenabled()

    simulate(test)


def test_the_collector_is_left_as_it_was_by_default() -> None:
    async def test() -> None:
        before = (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())
        async with running(Cache(FakeApi())) as cache:
            await cache.wait_synced()
            await asyncio.sleep(1)
            assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before

    simulate(test)
