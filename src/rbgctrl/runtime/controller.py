"""Runs a reconciler: watches lead to requests, requests merge in a queue, workers reconcile them one key at a time.

**Flow.** change -> predicate -> handler -> queue -> (barrier) -> reconcile -> :meth:`Controller._settle`.

**Guarantees.**

* No reconcile starts before every watched informer has listed once; requests merge in the queue meanwhile.
* A key is reconciled by one worker at a time, and never with a view older than its own writes (with a barrier).
* An exception costs one reconcile: it is logged, counted and tried again with backoff; the worker lives on. Only
  what is no ``Exception`` (a simulated crash, ``SystemExit``) ends :meth:`Controller.run`, and comes out of it.
* Once :meth:`Controller.run` has ended, no reconcile is running.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from structlog.contextvars import bind_contextvars

from rbgctrl.clock import Jitter, jitter
from rbgctrl.informers.change import Change
from rbgctrl.runtime import predicates
from rbgctrl.runtime.attempt import ReconcileTimeoutError, Shift
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.handlers import Handler
from rbgctrl.runtime.observers import ControllerObserver, Outcome
from rbgctrl.runtime.predicates import Predicate
from rbgctrl.runtime.queue import QueueClosedError, QueueOptions, QueueStatistics, WorkQueue
from rbgctrl.runtime.result import Priority, Reconciler, Request, Result, TerminalError

__all__ = [
    "Controller",
    "ControllerOptions",
    "ControllerStatistics",
    "Watched",
]

log = structlog.get_logger(__name__)

# Used for every change or key; Python 3.11 looks members of an Enum up with code in Python.
_NORMAL, _LOW = Priority.NORMAL, Priority.LOW
_PANIC, _SUCCESS = Outcome.PANIC, Outcome.SUCCESS

# structlog's own variables; to set them is all that binding does, at a fifth of the cost.
_BOUND = Context().run(bind_contextvars, request="", reconcile_id=0)
_REQUEST, _RECONCILE_ID = _BOUND["request"].var, _BOUND["reconcile_id"].var


class Watched(Protocol):
    """What a controller needs of an informer."""

    @property
    def kind(self) -> type[Any]:
        """The kind it watches."""
        ...

    def add_handler(self, handler: Callable[[Any], None], /) -> None:
        """Call the handler for each change; begin with what is there, as initial changes."""
        ...

    def wait_synced(self) -> Coroutine[Any, Any, None]:
        """Return once everything has been listed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerOptions:
    """How a controller works.

    Attributes:
        workers: reconciles at the same time, each of another key.
        timeout: seconds after which a reconcile is cancelled and counted as failed; None for no limit.
        drain: seconds that running reconciles get to finish when the controller stops. Keep it below the renew
            deadline of the lease, so that no write is in flight when another process may take over.
        sync_warning: seconds between warnings about an informer that has not listed yet.
        queue: how the queue delays and orders.
    """

    workers: int = 10
    timeout: float | None = 60.0
    drain: float = 8.0
    sync_warning: float = 30.0
    queue: QueueOptions = field(default_factory=QueueOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerStatistics:
    """What a controller is doing.

    Attributes:
        name: of the controller.
        ready: whether its informers had synced and its workers were started; stays true once reached.
        active: reconciles running now.
        parked: keys that wait for the cache to show their writes.
        queue: see :class:`~rbgctrl.runtime.queue.QueueStatistics`.
    """

    name: str
    ready: bool
    active: int
    parked: int
    queue: QueueStatistics

    @property
    def idle(self) -> bool:
        """Nothing is running, ready or parked; a delay may still be running."""
        return self.queue.idle and not self.parked


class Controller:
    """Keeps the objects of one kind as its reconciler wants them.

    Args:
        name: for logs and metrics; unique in the process.
        reconciler: brings one object to its wanted state.
        options: see :class:`ControllerOptions`.
        barrier: the ledger its executor notes writes in; None when it writes nothing, or reads live.
        jitter: source of randomness for backoffs.
        observer: told of each reconcile; can be replaced through the attribute of this name.
    """

    def __init__(
        self,
        name: str,
        reconciler: Reconciler,
        *,
        options: ControllerOptions | None = None,
        barrier: Barrier | None = None,
        jitter: Jitter = jitter,
        observer: ControllerObserver | None = None,
    ) -> None:
        self.name = name
        self.reconciler = reconciler
        self.options = options or ControllerOptions()
        self.barrier = barrier
        self.queue = WorkQueue(self.options.queue, jitter=jitter)
        self.observer = observer or ControllerObserver()
        self._watches: list[tuple[Watched, Callable[[Any], None]]] = []
        self._numbers = itertools.count(1)
        self._refusals: dict[Request, str] = {}  # terminal errors already logged
        self._held: dict[Request, Priority] = {}  # parked keys and the priority they come back with
        self._active = 0
        self._log: Any = log  # as configured when the controller runs: a proxy looks that up each time
        self._subscribed = False
        self._ready = False
        self._crew: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    # Requests in

    def watch(self, informer: Watched, handler: Handler, predicate: Predicate = predicates.resource_version) -> None:
        """Reconcile what ``handler`` names whenever ``informer`` has a change that passes ``predicate``.

        The informer is subscribed to when the controller runs: a standby would else collect the keys of every object
        that comes and goes. Nothing is missed by that, since a subscription begins with all that is there.
        """

        def deliver(change: Change[Any]) -> None:
            try:
                if predicate(change):
                    priority = _LOW if change.initial or change.resync else _NORMAL
                    for request in handler(change):
                        self.queue.add(request, priority=priority)
            except Exception:
                log.exception("a handler failed", controller=self.name, kind=informer.kind.__name__)
                self.observer.handler_failed()

        self._watches.append((informer, deliver))
        if self._subscribed:
            informer.add_handler(deliver)

    def enqueue(self, request: Request, *, priority: Priority = Priority.NORMAL, after: float = 0.0) -> None:
        """Ask for a reconcile in ``after`` seconds, without any change having been seen."""
        self.queue.add_after(request, after, priority=priority)

    # Life

    async def run(self) -> None:
        """Reconcile until stopped. A controller runs once.

        Returns when :meth:`stop` or :meth:`abort` was called. Being cancelled is a :meth:`stop` after which
        ``CancelledError`` is raised; being cancelled again is an :meth:`abort`.

        Raises:
            RuntimeError: it was run before.
            BaseExceptionGroup: a reconcile raised what is no ``Exception``.
        """
        if self._crew is not None:
            msg = f"controller {self.name} was run before"
            raise RuntimeError(msg)
        self._crew = crew = asyncio.create_task(self._man(), name=f"{self.name} crew")
        if self.queue.closed:  # stopped before it began
            crew.cancel()
        interrupt: asyncio.CancelledError | None = None
        while not crew.done():
            try:
                await asyncio.wait({crew})
            except asyncio.CancelledError as error:
                if interrupt is None:
                    self.stop()
                else:
                    self.abort()
                interrupt = error
        if self._patience is not None:
            self._patience.cancel()
        if not crew.cancelled():
            crew.result()  # a crash is raised here
        if interrupt is not None:
            raise interrupt

    def stop(self) -> None:
        """Accept no more requests, let running reconciles finish, and cancel them after ``options.drain`` seconds."""
        self.queue.close()
        if self._crew is None or self._crew.done():
            return
        if not self._ready:  # nothing is running that could be let finish
            self._crew.cancel()
        elif self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self.options.drain, self._crew.cancel)

    def abort(self) -> None:
        """Cancel running reconciles at once: the lease is lost, and each further write may be one too many."""
        self.queue.close()
        if self._crew is not None:
            self._crew.cancel()

    @property
    def ready(self) -> bool:
        """Whether its informers had synced and its workers were started; stays true once reached."""
        return self._ready

    def statistics(self) -> ControllerStatistics:
        """A record of the present state."""
        return ControllerStatistics(
            name=self.name,
            ready=self._ready,
            active=self._active,
            parked=len(self._held),
            queue=self.queue.statistics(),
        )

    async def _man(self) -> None:
        self._log = log.bind()
        self._subscribed = True
        for informer, deliver in self._watches:
            informer.add_handler(deliver)
        async with asyncio.TaskGroup() as helpers:
            reads = None
            if self.barrier is not None:
                reads = helpers.create_task(self.barrier.run(), name=f"{self.name} barrier")
            try:
                await self._synced()
                self._ready = True
                log.info("controller started", controller=self.name, workers=self.options.workers)
                async with asyncio.TaskGroup() as workers:
                    for number in range(self.options.workers):
                        workers.create_task(self._employ(f"{self.name} worker {number}"))
                log.info("controller stopped", controller=self.name)
            finally:
                if reads is not None:
                    reads.cancel()  # after the workers: until then they may note writes

    async def _synced(self) -> None:
        """Wait for every informer's first list: on a half-filled store, reconciling would delete what it cannot see."""
        for informer, _ in tuple(self._watches):
            while True:
                try:
                    async with asyncio.timeout(self.options.sync_warning):
                        await informer.wait_synced()
                    break
                except TimeoutError:
                    log.warning("still waiting for the first list", controller=self.name, kind=informer.kind.__name__)

    # One reconcile

    async def _employ(self, name: str) -> None:
        """A worker: one shift after the other, until the queue has no more for it."""
        while not await Shift(self.options.timeout).serve(self._work, name):
            pass

    async def _work(self, shift: Shift) -> bool:
        """Reconcile key after key; returns whether that was all, otherwise another shift has to go on."""
        bind_contextvars(controller=self.name)
        while not shift.over:
            try:
                request, priority = await self.queue.get()
            except QueueClosedError:
                return True
            try:
                await self._handle(shift, request, priority)
            except asyncio.CancelledError:
                self.queue.add(request, priority=priority)  # what was not finished is not lost, unless we stop
                raise
            finally:
                self.queue.done(request)
            if not shift.over:
                await asyncio.sleep(0)  # many reconciles in a row that never wait must not keep informers waiting
        return False

    async def _handle(self, shift: Shift, request: Request, priority: Priority) -> None:
        # Each binding replaces the one before: this context belongs to the worker.
        _REQUEST.set(str(request))
        _RECONCILE_ID.set(next(self._numbers))
        if self.barrier is not None and self._parked(self.barrier, request, priority):
            return
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = _PANIC
        self._active += 1
        self.observer.reconcile_started()
        try:
            outcome = self._settle(request, priority, await shift.run(self.reconciler.reconcile, request))
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        finally:
            self._active -= 1
            self.observer.reconcile_finished(outcome, clock() - started)

    def _parked(self, barrier: Barrier, request: Request, priority: Priority) -> bool:
        """Whether the key has to wait for the cache; then it holds no worker, and comes back by itself."""
        if barrier.blocked(request):
            self._held[request] = max(priority, self._held.get(request, priority))
            barrier.park(request, self._wake)
            return True
        if self._held.pop(request, None) is not None:
            barrier.unpark(request)
        return False

    def _wake(self, request: Request) -> None:
        self.queue.add(request, priority=self._held.pop(request, Priority.NORMAL))

    def _settle(self, request: Request, priority: Priority, result: Result | Exception) -> Outcome:
        """The one place that decides what comes after a reconcile: an error beats a delay beats nothing."""
        if not isinstance(result, Result):
            return self._settle_failure(request, priority, self._failure(result))
        self._log.debug("reconciled", because=result.because, requeue_after=result.requeue_after)
        self._refusals.pop(request, None)
        self.queue.forget(request)
        if result.requeue_after is None:
            return _SUCCESS
        if result.priority is not None:
            priority = result.priority
        self.queue.add_after(request, result.requeue_after, priority=priority)
        return Outcome.REQUEUE_AFTER

    def _settle_failure(self, request: Request, priority: Priority, error: Exception) -> Outcome:
        if isinstance(error, TerminalError):
            if self._refusals.get(request) != str(error):
                self._refusals[request] = str(error)
                log.error("reconcile failed for good; waiting for a change", exc_info=error)
            self.queue.forget(request)
            return Outcome.TERMINAL
        failures = self.queue.retries(request) + 1
        log.error("reconcile failed; trying again", exc_info=error, failures=failures)
        self._refusals.pop(request, None)
        self.queue.add_rate_limited(request, priority=priority)
        return Outcome.TIMEOUT if isinstance(error, ReconcileTimeoutError) else Outcome.ERROR

    def _failure(self, result: object) -> Exception:
        """What is no result, as the exception that it is or deserves."""
        if not isinstance(result, Exception):
            return TypeError(f"{type(self.reconciler).__name__}.reconcile returned {result!r} instead of a Result")
        return _terminal(result)


def _terminal(error: Exception) -> Exception:
    """A group of nothing but terminal errors, as a task group raises it, is a terminal error."""
    if isinstance(error, ExceptionGroup) and error.split(TerminalError)[1] is None:
        terminal = TerminalError(str(error))
        terminal.__cause__ = error
        return terminal
    return error
