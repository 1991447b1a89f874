"""A whole small cluster in this process: ``async with EmbeddedCluster() as cluster``."""

from __future__ import annotations

import asyncio
import math
import random  # noqa: TID251 - seeded: the same seed gives the same run
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import orjson

from rbgctrl.client import Client
from rbgctrl.clock import Now, utcnow
from rbgctrl.runtime.manager import Manager, ManagerOptions
from rbgctrl.sim.controllers import WORKLOADS, Controllers, KubeletOptions, NodeOptions, SchedulerOptions
from rbgctrl.sim.faults import Faults
from rbgctrl.sim.gc import GarbageCollector, NamespaceController
from rbgctrl.sim.loop import VirtualLoop
from rbgctrl.sim.nodes import domain_nodes
from rbgctrl.sim.server import ApiServer, ServerOptions
from rbgctrl.sim.storage import Obj, StoredEvent
from rbgctrl.sim.versions import webhook_admission

__all__ = ["EPOCH", "ClusterOptions", "ControllerError", "EmbeddedCluster", "Observer", "observer"]

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When virtual time begins, as timestamps of the API show it."""
_IGNORED: Final = ("leases.coordination.k8s.io", "events")


class Observer(Protocol):
    """Hears of every cluster and of every manager on it; see :data:`observer`."""

    def started(self, cluster: EmbeddedCluster) -> None:
        """A cluster has started."""
        ...

    def connecting(self, cluster: EmbeddedCluster, client: Client) -> Client:
        """A manager is to be made with this client; returns it, or one over a wrapped transport."""
        ...

    def running(self, cluster: EmbeddedCluster, manager: Manager) -> None:
        """A manager is about to run, with all of its controllers."""
        ...


observer: ContextVar[Observer | None] = ContextVar("rbgctrl_sim_observer", default=None)
"""Who is told of clusters made in this context; :func:`rbgctrl.sim.checks.ride_along` sets it."""


class ControllerError(ExceptionGroup[Exception]):
    """Controllers of the embedded cluster failed: a defect of them, or an object no real server would have taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What a cluster is like.

    Attributes:
        nodes: manifests of its nodes, or a number of GPU nodes, four to an NVLink domain.
        seed: decides every tie, generated name and delay that is drawn.
        now: clock of timestamps in the API. By default loop time since :data:`EPOCH` in virtual time, else the wall
            clock.
        server: history, watches, what is installed.
        kubelet: how long things take on nodes.
        scheduler: how pods are bound; None for no scheduler.
        lifecycle: how patient the cluster is with its nodes.
        workloads: which controllers of built-in kinds run.
        validation: refuse what the admission webhooks refuse. Off by default, so that what they let nobody store can
            be stored, and what controllers make of it be seen.
    """

    nodes: int | Sequence[Obj] = 8
    seed: int = 0
    now: Now | None = None
    server: ServerOptions = field(default_factory=ServerOptions)
    kubelet: KubeletOptions = field(default_factory=KubeletOptions)
    scheduler: SchedulerOptions | None = field(default_factory=SchedulerOptions)
    lifecycle: NodeOptions = field(default_factory=NodeOptions)
    workloads: Sequence[str] = WORKLOADS
    validation: bool = False


class EmbeddedCluster(Faults):
    """An API server with scheduler, kubelets and the controllers of a cluster; an async context manager.

    In virtual time (see :func:`rbgctrl.sim.run`) hours take seconds and the same seed gives the same run, step by step;
    on an ordinary loop it runs in real time.

    Args:
        options: see :class:`ClusterOptions`.

    Attributes:
        options: as given.
        server: the API server: its storage, history and audit.
        controllers: scheduler, kubelets and the others.
        now: the clock of the cluster; give it to whatever runs on it.
        jitter: the same for what spreads pauses, so that runs can be repeated.
    """

    def __init__(self, options: ClusterOptions | None = None) -> None:
        self.options = options or ClusterOptions()
        self._stack = AsyncExitStack()
        self._written = 0.0

    async def __aenter__(self) -> Self:
        """Start it: when this returns, its nodes are Ready.

        Raises:
            ControllerError: a controller failed.
        """
        loop, options = asyncio.get_running_loop(), self.options
        self.now = options.now or (_virtual_clock(loop) if isinstance(loop, VirtualLoop) else utcnow)
        self.jitter = random.Random(options.seed).random  # noqa: S311 - spreads pauses, no secret
        self.server = ApiServer(now=self.now, seed=options.seed, options=options.server)
        if options.validation:
            self.server.admission.append(webhook_admission(self.server))
        self.controllers = Controllers(
            self.server,
            seed=options.seed,
            scheduler=options.scheduler,
            kubelet=options.kubelet,
            nodes=options.lifecycle,
            workloads=options.workloads,
        )
        self._collectors = (GarbageCollector(self.server), NamespaceController(self.server))
        self._stack.callback(self.controllers.stop)
        for collector in self._collectors:
            self._stack.callback(collector.close)
        self._stack.callback(self.server.storage.subscribe(self._on_event))
        self.add_nodes(*(domain_nodes(options.nodes) if isinstance(options.nodes, int) else options.nodes))
        try:
            await self.settle(quiet=0.0)
        except BaseException:
            await self._stack.aclose()
            raise
        self._observer = observer.get()
        if self._observer is not None:
            self._observer.started(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it.

        Raises:
            ControllerError: a controller failed, and nothing else is being raised.
        """
        await self._stack.aclose()
        if error is None:
            self.check()

    def check(self) -> None:
        """Make sure that no controller of the cluster failed.

        Raises:
            ControllerError: one did.
        """
        errors = self.controllers.errors
        if errors:
            failed = ControllerError("controllers of the embedded cluster failed", tuple(errors))
            errors.clear()
            raise failed

    # -- getting at it -----------------------------------------------------------------------------------------------

    def client(self, *, user: str = "admin", field_manager: str = "rbg", namespace: str = "default") -> Client:
        """A client in this process, without sockets; close it or use it as a context manager.

        Args:
            user: who it is, in ``server.audit``.
            field_manager: name under which its writes are recorded.
            namespace: for callers that need a default.
        """
        transport = self.server.transport(user=user, agent=field_manager)
        return Client(transport, field_manager=field_manager, namespace=namespace)

    async def serve(self, kubeconfig: Path, *, port: int = 0) -> str:
        """Serve the API on loopback until the cluster stops, for other processes; returns the URL.

        Plain HTTP, and whoever can reach it is ``admin``. Not in virtual time, which would not wait for the others.

        Args:
            kubeconfig: file to write, readable only by this user.
            port: to listen on; 0 for any.

        Raises:
            OSError: the port is taken, or the file cannot be written.
        """
        from rbgctrl.sim.http import serve  # noqa: PLC0415 - tests without sockets need no HTTP server

        url = await self._stack.enter_async_context(serve(self.server, port=port))
        write_kubeconfig(kubeconfig, url)
        return url

    def manager(
        self, *, user: str = "rbgctrl", options: ManagerOptions | None = None, client: Client | None = None
    ) -> Manager:
        """A manager on this cluster, with its clock and jitter; add controllers, then run it with :meth:`running`.

        Args:
            user: who it is, in ``server.audit``.
            options: of the manager.
            client: instead of one made by :meth:`client`, e.g. over a transport that fails on demand.
        """
        own = client or self.client(user=user)
        if self._observer is not None:
            own = self._observer.connecting(self, own)
        return Manager(own, options=options, now=self.now, jitter=self.jitter)

    @asynccontextmanager
    async def running(self, manager: Manager) -> AsyncIterator[Manager]:
        """Runs a manager as long as the context is open, and ends it in good order.

        Raises:
            BaseException: whatever ended the manager before its time.
        """
        if self._observer is not None:
            self._observer.running(self, manager)
        task = asyncio.create_task(manager.run(), name="manager")
        try:
            yield manager
        finally:
            manager.stop()
            await task

    def add_nodes(self, *manifests: Obj) -> None:
        """Add nodes; their kubelets report them at once."""
        for manifest in manifests:
            self.server.create("nodes", manifest, user="system:node")

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def settle(self, *, quiet: float = 5.0, within: float = 3600.0) -> None:
        """Return once the cluster has nothing to do and nobody has written for ``quiet`` seconds.

        Leases and Events do not count, nor what only happens after minutes (evictions from lost nodes, another look at
        pods that fit nowhere).

        Args:
            quiet: how long nobody may have written; longer than what a controller under test may wait.
            within: seconds until giving up.

        Raises:
            TimeoutError: it does not settle.
            ControllerError: a controller of the cluster failed.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(0)
            self.check()
            now = loop.time()
            rest = self._written + quiet - now
            busy = self.controllers.busy or not all(collector.idle for collector in self._collectors)
            if rest <= 0 and not busy:
                return
            if now - began > within:
                raise TimeoutError(f"the cluster has not settled within {within:g} s")
            next_due = self.controllers.clockwork.next_due
            pause = max(rest, (next_due - now) if math.isfinite(next_due) else 0.0)
            await asyncio.sleep(max(pause, 0.0))

    def _on_event(self, event: StoredEvent) -> None:
        if event.resource not in _IGNORED:
            self._written = asyncio.get_running_loop().time()


def write_kubeconfig(path: Path, url: str) -> None:
    """Write a kubeconfig for a server without authentication, readable only by this user."""
    name = "rbgctrl-embedded"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": "admin", "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin", "namespace": "default"}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))  # JSON is YAML


def _virtual_clock(loop: asyncio.AbstractEventLoop) -> Now:
    def now() -> datetime:
        return EPOCH + timedelta(seconds=loop.time())

    return now
