"""Controller and barrier over the real cache, informers and store, against a scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key, Resource
from rbgctrl.informers import Cache
from rbgctrl.runtime import handlers, predicates
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.result import Request, Result
from rbgctrl.sim import loop
from unit.informers.fake import FakeApi, config_map, event
from unit.runtime.fakes import Script

OWNER, CHILD = Key("a", "owner"), Key("a", "child")


class Bench:
    """A controller of config map ``owner``, which is woken by every config map, and may write ``child``."""

    def __init__(self, act: Callable[[Bench, Request], Awaitable[Result | None]]) -> None:
        self.api = FakeApi()
        self.api.put("owner")
        self.api.put("child")
        self.cache = Cache(self.api, jitter=lambda: 0.5)
        self.informer = self.cache.informer(ConfigMap)
        self.barrier = Barrier(self.cache, self.read, jitter=lambda: 0.5)
        self.script = Script(lambda request: act(self, request))
        self.controller = Controller("test", self.script, barrier=self.barrier, jitter=lambda: 0.5)
        self.controller.watch(self.informer, handlers.const(OWNER), predicates.resource_version)

    async def read(self, kind: type[Resource], key: Key) -> Resource | None:
        found = self.api.objects.get((key.namespace, key.name))
        return None if found is None else config_map(found)

    def mute(self, mute: bool = True) -> None:
        """From here on the watch says nothing."""
        for stream in self.api.streams:
            stream.mute = mute

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.cache.run()), asyncio.create_task(self.controller.run())]
        try:
            with capture_logs():
                yield
        finally:
            self.controller.stop()
            await tasks[1]
            tasks[0].cancel()
            await asyncio.wait(tasks)


def test_a_key_that_deleted_a_child_is_parked_until_the_watch_has_caught_up() -> None:
    async def act(b: Bench, request: Request) -> None:
        child = b.informer.store.get(CHILD)
        if child is not None:
            b.mute()
            token = b.barrier.deleting(request, ConfigMap, CHILD, child.uid)
            b.api.delete("child")
            b.barrier.deleted(token, None)  # the server answered with a Status: nothing to put into the cache

    async def main() -> None:
        b = Bench(act)
        async with b.running():
            await asyncio.sleep(1)
            assert len(b.script.calls) == 1
            b.controller.enqueue(OWNER)
            await asyncio.sleep(2)
            assert len(b.script.calls) == 1
            assert b.controller.statistics().parked == 1
            b.mute(mute=False)
            b.api.streams[0].send(event(*b.api.history[-1][1:]))
            await asyncio.sleep(1)
            assert b.script.times[1:] == [3]
            assert b.controller.statistics().idle

    loop.run(main())


def test_a_child_read_as_gone_is_not_brought_back_by_late_events() -> None:
    async def act(b: Bench, request: Request) -> None:
        child = b.informer.store.get(CHILD)
        if child is not None:
            b.mute()
            token = b.barrier.deleting(request, ConfigMap, CHILD, child.uid)
            b.api.put("child")  # somebody else's last change, which our watch has not shown yet
            b.api.delete("child")
            b.barrier.deleted(token, None)

    async def main() -> None:
        b = Bench(act)
        seen: list[bool] = []
        b.informer.on_progress(lambda: seen.append(CHILD in b.informer.store))
        async with b.running():
            await asyncio.sleep(1)
            b.controller.enqueue(OWNER)
            await asyncio.sleep(9)
            assert b.script.times == [0, 6]
            b.mute(mute=False)
            seen.clear()
            for _, kind, obj in b.api.history[-2:]:
                b.api.streams[0].send(event(kind, obj))
            await asyncio.sleep(1)
            assert seen == [False, False]
            assert len(b.script.calls) == 2

    loop.run(main())


def test_an_unanswered_write_is_looked_up_and_seen_by_the_next_reconcile() -> None:
    async def act(b: Bench, request: Request) -> None:
        if len(b.script.calls) == 1:
            b.mute()
            b.api.put("child", data={"written": "yes"})
            b.barrier.unknown(request, ConfigMap, CHILD)
            raise ConnectionResetError
        found = b.informer.store.get(CHILD)
        assert found is not None
        seen.append(found.data)

    seen: list[dict[str, str]] = []

    async def main() -> None:
        b = Bench(act)
        async with b.running():
            await asyncio.sleep(1)
        assert {"written": "yes"} in seen
        assert seen[0] == {"written": "yes"}

    loop.run(main())


def test_own_writes_that_go_through_the_cache_wake_their_key_without_the_watch_and_park_nothing() -> None:
    async def act(b: Bench, request: Request) -> None:
        if len(b.script.calls) == 1:
            b.mute()
            obj = config_map(b.api.put("other"))
            b.cache.observe(obj)
            b.barrier.wrote(request, obj)

    async def main() -> None:
        b = Bench(act)
        async with b.running():
            await asyncio.sleep(1)
            assert b.script.times == [0, 0]
            assert b.barrier.statistics().writes == 0

    loop.run(main())
