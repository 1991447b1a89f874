"""What tests of the manager share: a reconciler, ways to build and run one, and to wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from rbgctrl.api.core import ConfigMap
from rbgctrl.plan.model import Severity, Subject
from rbgctrl.runtime import handlers
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.leader import LeaseElector, LeaseLostError, LeaseOptions
from rbgctrl.runtime.manager import Manager, ManagerOptions
from rbgctrl.runtime.result import DONE, Request, Result
from unit.runtime.fake_cluster import ClusterLink, FakeCluster
from unit.runtime.fake_leases import LEASE


class Patcher:
    """A reconciler that patches its object; ``pause`` is how long it thinks before."""

    def __init__(self, manager: Manager, pause: float = 0.0) -> None:
        self.manager = manager
        self.pause = pause
        self.started = asyncio.Event()
        self.finished: list[Request] = []

    async def reconcile(self, request: Request) -> Result:
        self.started.set()
        await asyncio.sleep(self.pause)
        await self.manager.client.patch(ConfigMap, request, {"data": {}})
        subject = Subject(api_version="v1", kind="ConfigMap", key=request, uid="u")
        self.manager.recorder.event(subject, Severity.NORMAL, "Patched", "done")
        self.finished.append(request)
        return DONE


def elector(link: ClusterLink, **options: Any) -> LeaseElector:
    loop = asyncio.get_running_loop()
    return LeaseElector(
        link.client(),
        LEASE,
        identity=link.who,
        options=LeaseOptions(**options),
        monotonic=loop.time,
        jitter=lambda: 0.5,
    )


def build(link: ClusterLink, *, elect: bool = False, pause: float = 0.0, **options: Any) -> tuple[Manager, Patcher]:
    manager = Manager(link.client(), elector=elector(link) if elect else None, options=ManagerOptions(**options))
    patcher = Patcher(manager, pause)
    controller = Controller("patcher", patcher, options=manager.controller_options(2))
    controller.watch(manager.informer(ConfigMap), handlers.itself)
    manager.add(controller)
    return manager, patcher


@contextlib.asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(manager.run())
    try:
        yield task
    finally:
        manager.stop()
        with contextlib.suppress(LeaseLostError, asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any], within: float = 120.0) -> float:
    """Wait in virtual time; returns when it became true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        if condition():
            return loop.time()
        assert loop.time() < deadline, "it never became true"
        await asyncio.sleep(0.01)


def cluster(*names: str) -> FakeCluster:
    server = FakeCluster()
    for name in names or ("a",):
        server.add_map(name)
    return server


class Seen:
    """A runnable that notes when it ran."""

    def __init__(self, *, needs_leader: bool = False, cleanup: float = 0.0) -> None:
        self.needs_leader = needs_leader
        self.cleanup = cleanup
        self.started = False
        self.ended = False

    async def run(self) -> None:
        self.started = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleanup)
            self.ended = True
