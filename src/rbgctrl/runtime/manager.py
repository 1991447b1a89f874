"""Starts and stops everything a controller process consists of, in an order that each stage says the reason for.

**Flow.** Probes, then caches, then (with an elector) the wait for the lease, then controllers. Stopping goes the other
way: not ready, controllers drained, caches stopped, events written, lease given back, probes closed. Sessions belong
to whoever made the client.

**Guarantees.** No controller runs before every cache is complete, nor without the lease. The lease is given back only
when nothing runs under it any more. When it is lost, controllers are aborted at once, and what they still try to write
is refused before it is sent.

**Assumptions.** One loop; :meth:`Manager.stop` is called on it. A manager runs once.

**Errors.** An API server that cannot be reached is none: the manager waits, not ready, and goes on when it is back.
:class:`~rbgctrl.runtime.leader.LeaseLostError` and whatever a controller or runnable raises end :meth:`Manager.run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import structlog

from rbgctrl.api.core import Lease
from rbgctrl.api.meta import Resource
from rbgctrl.client.client import Client
from rbgctrl.clock import Jitter, Now, jitter, utcnow
from rbgctrl.informers import Cache, Informer, InformerOptions
from rbgctrl.plan.model import Severity, Subject
from rbgctrl.runtime.barrier import Barrier, live_reader
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.fence import Fenced
from rbgctrl.runtime.leader import LeaseElector
from rbgctrl.runtime.loopwatch import GcPauses, LoopLag
from rbgctrl.runtime.metrics import Metrics
from rbgctrl.runtime.probes import Address, Check, ProbeServers, ask
from rbgctrl.runtime.recorder import Recorder
from rbgctrl.runtime.tasks import end, end_within

__all__ = ["Manager", "ManagerOptions", "Preflight", "Runnable"]

log = structlog.get_logger(__name__)

R = TypeVar("R", bound=Resource)

Preflight: TypeAlias = Callable[[], Awaitable[None]]
"""Runs once before the caches start, while probes already answer; what it raises ends the manager."""


class Runnable(Protocol):
    """Anything with a coroutine that runs as long as the manager; returning early is fine, raising ends the manager.

    It runs in every process, unless it has an attribute ``needs_leader`` that is true: then only under the lease. It
    starts together with the caches; ``await manager.cache.wait_synced()`` waits for them.
    """

    async def run(self) -> Any:
        """Run until cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerOptions:
    """How a manager behaves.

    Attributes:
        namespaces: the only namespaces to look into; empty for all.
        metrics_bind_address: where ``/metrics`` is served, in Go's notation; ``"0"`` for nowhere.
        health_probe_bind_address: where ``/healthz``, ``/livez`` and ``/readyz`` are served; ``"0"`` for nowhere.
        cache_sync_timeout: seconds between error messages about caches that are not complete yet.
        drain_timeout: seconds that running reconciles get to finish; shorter than the lease's renew deadline.
        abort_timeout: seconds to wait for what was cancelled to end.
        flush_timeout: seconds to write the last events.
        component: under which name the default recorder reports.
        informers: timing of informers.
        tune_collector: keep the process's garbage collector away from the caches; for daemons.
    """

    namespaces: tuple[str, ...] = ()
    metrics_bind_address: str = "0"
    health_probe_bind_address: str = "0"
    cache_sync_timeout: float = 120.0
    drain_timeout: float = 8.0
    abort_timeout: float = 3.0
    flush_timeout: float = 3.0
    component: str = "RoleBasedGroup"
    informers: InformerOptions | None = None
    tune_collector: bool = False


class Manager:
    """Owns caches, controllers, the recorder, metrics and probes of one process.

    Args:
        client: how to reach the API server; stays open when the manager ends.
        elector: run controllers only while it holds its lease; None runs them always.
        options: see :class:`ManagerOptions`.
        metrics: where to count; give one whose ``client`` observes the client, to see requests, too.
        preflight: see :data:`Preflight`.
        now: wall clock, for timestamps in the API; reconcilers take it from here.
        jitter: spreads pauses; one with a seed makes a simulation repeatable.

    Attributes:
        client: the client to write with; with an elector, writes are refused unless the lease is held.
        cache: the informers.
        recorder: reports events.
        metrics: what is counted.
        ports: ports of the ``metrics`` and ``health`` servers while running; None for one that is off.

    Raises:
        ValueError: an address is malformed, or draining could outlast the lease.
    """

    def __init__(
        self,
        client: Client,
        *,
        elector: LeaseElector | None = None,
        options: ManagerOptions | None = None,
        metrics: Metrics | None = None,
        preflight: Preflight | None = None,
        now: Now = utcnow,
        jitter: Jitter = jitter,
    ) -> None:
        self.now = now
        self.jitter = jitter
        self.options = options = options or ManagerOptions()
        if elector is not None and options.drain_timeout >= elector.options.renew_deadline:
            msg = f"drain_timeout {options.drain_timeout} must be shorter than {elector.options.renew_deadline}"
            raise ValueError(msg)
        self.elector = elector
        self.client = client if elector is None else client.with_transport(Fenced(client.transport, elector))
        self.metrics = metrics or Metrics()
        self.cache = Cache(
            self.client,
            namespaces=options.namespaces,
            options=options.informers,
            jitter=jitter,
            observer=self.metrics.informers,
            tune_collector=options.tune_collector,
        )
        self.recorder = Recorder(self.client, options.component, now=now)
        self.ports: dict[str, int | None] = {"metrics": None, "health": None}
        self._preflight = preflight
        self._controllers: list[Controller] = []
        self._runnables: list[Runnable] = []
        self._checks: dict[str, Check] = {"manager": self._progress, "informers": self._unsynced}
        self._state = "not started"
        self._stop = asyncio.Event()
        self._background: dict[str, asyncio.Task[Any]] = {}
        self._leading: list[asyncio.Task[Any]] = []
        self._wound_down = False
        self._servers = ProbeServers(
            metrics_address=Address.parse(options.metrics_bind_address),
            health_address=Address.parse(options.health_probe_bind_address),
            health={"ping": lambda: ""},
            ready=self._checks,
            metrics=self.metrics.expose,
        )
        self.metrics.caches(self.cache.informers)
        self.metrics.recorder(self.recorder.statistics)
        if elector is not None:
            self.metrics.election(elector.key.name, lambda: elector.is_leader)

    # -- building ----------------------------------------------------------------------------------------------------

    def informer(self, kind: type[R], namespace: str = "", selector: str = "") -> Informer[R]:
        """The shared informer of a kind; see :meth:`rbgctrl.informers.Cache.informer`."""
        return self.cache.informer(kind, namespace=namespace, selector=selector)

    def executor(self, component: str) -> tuple[Executor, Barrier]:
        """What one controller writes with, and the ledger to give to that controller.

        Args:
            component: under which name its events are reported.
        """
        barrier = Barrier(self.cache, live_reader(self.client), jitter=self.jitter)
        return Executor(self.client, self.cache, barrier, self.recorder.named(component)), barrier

    def controller_options(self, workers: int = 10) -> ControllerOptions:
        """Options for a controller of this manager, with its time to drain."""
        return ControllerOptions(workers=workers, drain=self.options.drain_timeout)

    def add(self, what: Controller | Runnable) -> None:
        """Run a controller (under the lease) or a :class:`Runnable` with this manager.

        Raises:
            RuntimeError: the manager was started already.
            ValueError: a controller of that name was added already.
        """
        if self._state != "not started":
            msg = "add controllers and runnables before the manager runs"
            raise RuntimeError(msg)
        if not isinstance(what, Controller):
            self._runnables.append(what)
            return
        if any(other.name == what.name for other in self._controllers):
            msg = f"there is a controller named {what.name} already"
            raise ValueError(msg)
        self._controllers.append(what)
        self.metrics.controller(what)

    def check(self, name: str, fn: Check) -> None:
        """Make readiness depend on ``fn``, too: it answers ``""`` or one sentence on what is missing."""
        self._checks[name] = fn

    @property
    def controllers(self) -> tuple[Controller, ...]:
        """The controllers added so far."""
        return tuple(self._controllers)

    @property
    def ready(self) -> bool:
        """Whether every readiness check passes: as ``/readyz``."""
        return not any(ask(self._checks).values())

    def _progress(self) -> str:
        return "" if self._state == "running" else self._state

    def _unsynced(self) -> str:
        late = [repr(informer) for informer in self.cache.informers() if not informer.synced]
        return f"waiting for {', '.join(late)}" if late else ""

    # -- running -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End :meth:`run` in good order. Call it on the loop."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped or cancelled, both in good order; a second cancellation shortens it.

        Raises:
            LeaseLostError: the lease was lost; everything was aborted.
            ListenError: an address of the servers cannot be used.
            RuntimeError: the manager was run before.
        """
        if self._state != "not started":
            msg = "a manager runs once"
            raise RuntimeError(msg)
        self._state = "starting"
        stages = asyncio.create_task(self._stages(), name="manager")
        stop = asyncio.create_task(self._stop.wait(), name="manager stop")
        try:
            await asyncio.wait((stages, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._state = "stopping"  # before anything is stopped: whoever routes to us should stop now
            await end(stop)
            await end(stages)
            self._state = "stopped"
        if not stages.cancelled():
            stages.result()

    async def _stages(self) -> None:
        # 1. Probes: they answer from the first moment, so that a kubelet sees a process that is alive but not ready.
        async with self._servers as servers:
            self.ports = servers.ports
            with GcPauses(self.metrics.gc_pause):
                try:
                    await self._start_and_lead()
                finally:
                    try:
                        await self._wind_down()
                    finally:  # what an impatient second cancellation skipped
                        await self._end([task for task in self._background.values() if not task.done()])

    async def _start_and_lead(self) -> None:
        if not getattr(asyncio.get_running_loop(), "virtual", False):  # virtual time waits: nothing is ever late
            self._start("loop lag", LoopLag(self.metrics.lag).run())
        # 2. Preflight: is this a cluster we can work in? Here, so that a server that is down is waited for.
        if self._preflight is not None:
            self._state = "waiting for the API server"
            await self._preflight()
        # 3. Caches: on standbys, too, so that a new leader starts with warm ones.
        self._state = "running"
        self._start("informers", self.cache.run())
        self._start("recorder", self.recorder.run())
        for number, runnable in enumerate(self._runnables):
            if not getattr(runnable, "needs_leader", False):
                self._start(f"runnable {number} {type(runnable).__name__}", runnable.run())
        leading = asyncio.create_task(self._lead(), name="manager leading")
        try:
            await self._supervise(leading)
        finally:
            await end(leading)
        leading.result()

    async def _lead(self) -> None:
        # 4. A full view: who takes the lease without one blocks a standby that has it.
        while True:
            try:
                await self.cache.wait_synced(self.options.cache_sync_timeout)
            except TimeoutError as error:
                log.error("caches are not complete yet", why=str(error))
            else:
                break
        # 5. The lease, then 6. the work.
        if self.elector is None:
            await self._work()
        else:
            await self.elector.run(self._work)

    async def _work(self) -> None:
        if self.elector is not None:
            self._tell_leadership(self.elector)
        for controller in self._controllers:
            self._leading.append(asyncio.create_task(controller.run(), name=f"controller {controller.name}"))
        for number, runnable in enumerate(self._runnables):
            if getattr(runnable, "needs_leader", False):
                name = f"leading runnable {number} {type(runnable).__name__}"
                self._leading.append(asyncio.create_task(runnable.run(), name=name))
        try:
            await _all_well(self._leading)
        finally:
            # Within the lease: it is given back when this returns, and nothing may be under way then.
            await self._wind_down()

    def _tell_leadership(self, elector: LeaseElector) -> None:
        if elector.lease is not None:
            subject = Subject(
                api_version=Lease.KIND.api_version, kind=Lease.KIND.kind, key=elector.key, uid=elector.lease.uid
            )
            self.recorder.event(subject, Severity.NORMAL, "LeaderElection", f"{elector.identity} became leader")

    def _start(self, name: str, coro: Any) -> None:
        self._background[name] = asyncio.create_task(coro, name=name)

    async def _supervise(self, leading: asyncio.Task[Any]) -> None:
        """Return when ``leading`` ends; raise what a background task raises."""
        await _all_well([leading, *self._background.values()], until=leading)

    # -- stopping ----------------------------------------------------------------------------------------------------

    async def _wind_down(self) -> None:
        """Stop everything but the servers and the lease; once."""
        if self._wound_down:
            return
        self._wound_down = True
        lost = self.elector is not None and bool(self._leading) and not self.elector.is_leader
        # 1. Whatever writes: let it finish, unless the lease is gone, when each further write may be one too many.
        await self._stop_leading(abort=lost)
        # 2. Whatever else others added; it may still read the caches.
        background = self._background
        others = [task for name, task in background.items() if name.startswith("runnable")]
        await self._end(others)
        # 3. Caches, now that nobody reads them.
        await self._end([background[name] for name in ("informers", "loop lag") if name in background])
        # 4. Events: after all that report them, before the lease is given back, since they are writes.
        if "recorder" in background:
            await self._end([background["recorder"]])
            if not lost:
                await self.recorder.flush(self.options.flush_timeout)

    async def _stop_leading(self, *, abort: bool) -> None:
        running = [task for task in self._leading if not task.done()]
        try:
            if running and not abort:
                for controller in self._controllers:
                    controller.stop()
                for runnable in self._leading[len(self._controllers) :]:
                    runnable.cancel()
                await asyncio.wait(running, timeout=self.options.drain_timeout)
        finally:
            # Also when we are cancelled again while draining: then it is shortened, but nothing is left behind.
            for controller in self._controllers:
                controller.abort()
            await self._end(running)

    async def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        left = await end_within(tasks, self.options.abort_timeout)
        for task in left:
            log.error("does not end; left behind", task=task.get_name())
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                log.debug("ended with an error", task=task.get_name(), error=str(task.exception()))


async def _all_well(tasks: list[asyncio.Task[Any]], until: asyncio.Task[Any] | None = None) -> None:
    """Wait until ``until`` has ended (None: for ever), and raise the first error of any of the tasks."""
    running = set(tasks)
    while until is None or not until.done():
        if not running:
            await asyncio.Event().wait()
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not until and not task.cancelled():
                task.result()
