"""Runs an informer against the fake server in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rbgctrl.api.core import ConfigMap
from rbgctrl.informers import Informer, InformerOptions
from rbgctrl.sim.loop import run
from unit.informers.fake import FakeApi, Follower


@dataclass
class Bench:
    """An informer, its server, and a handler that checks every change."""

    api: FakeApi
    informer: Informer[ConfigMap]
    follower: Follower

    async def settle(self, seconds: float = 0.01) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def view(self) -> dict[tuple[str, str], tuple[str, int]]:
        """What the store holds."""
        store = self.informer.store
        metas = [*(obj.metadata for obj in store.list()), *(obj.metadata for obj in store.invalids())]
        return {(meta.namespace, meta.name): (meta.uid, meta.rv) for meta in metas}

    def check(self) -> None:
        """Store, handler's view and server agree."""
        assert self.view() == self.api.versions()
        assert self.follower.view == self.api.versions()


@asynccontextmanager
async def bench(
    api: FakeApi | None = None,
    *,
    namespace: str | Iterable[str] = "",
    selector: str = "",
    draw: float = 0.5,
    **options: Any,
) -> AsyncIterator[Bench]:
    """A running informer; not synced yet."""
    api = api or FakeApi()
    informer = Informer(
        api,
        ConfigMap,
        namespace=namespace,
        label_selector=selector,
        options=InformerOptions(**options),
        jitter=lambda: draw,
    )
    follower = Follower()
    informer.add_handler(follower)
    task = asyncio.create_task(informer.run())
    try:
        yield Bench(api, informer, follower)
        assert not informer.statistics().failures, "the follower refused a change"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not api.streams, "a watch was left open"


def simulate(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine in virtual time."""

    async def main() -> None:
        await test()

    run(main())
