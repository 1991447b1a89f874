"""The work queue: client-go's semantics, lanes, fairness between namespaces and delays on one timer.

**Guarantees.**

* A key is never held by two workers: one that is added while it is being processed waits for :meth:`WorkQueue.done`.
* An add is never lost: whatever is added while a key is processed makes it run once more.
* A key waits once, however often it is added. Adding again keeps the better priority and the earlier time.
* Ready keys run in the order of :mod:`rbgctrl.runtime.lanes`; delayed ones join in the order of the time they were due.

**Assumptions.** All calls come from one event loop; times are its ``loop.time()``. Whoever gets a key calls ``done``
in a ``finally``.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from rbgctrl.clock import Jitter, jitter
from rbgctrl.runtime.backoff import Backoff
from rbgctrl.runtime.lanes import Lanes
from rbgctrl.runtime.observers import QueueObserver
from rbgctrl.runtime.result import Priority, Request

__all__ = ["QueueClosedError", "QueueOptions", "QueueStatistics", "WorkQueue"]


class QueueClosedError(Exception):
    """Raised by :meth:`WorkQueue.get` once the queue is closed and will hand out nothing more; the worker ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """How a queue delays and orders.

    Attributes:
        backoff_base: seconds before the first retry of a key; doubles with each further failure.
        backoff_cap: no backoff is longer, in seconds.
        backoff_spread: share by which each backoff is moved up or down at random, 0 to 1.
        ageing: seconds after which a waiting key moves up one lane.
    """

    backoff_base: float = 0.005
    backoff_cap: float = 300.0
    backoff_spread: float = 0.2
    ageing: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """What a queue holds now and did so far.

    Attributes:
        depth: ready keys by the priority they were added with.
        delayed: keys that will become ready later.
        processing: keys held by workers.
        adds: keys that became ready, ever.
        retries: delays that were asked for, ever.
        unfinished_seconds: how long the present work has been going on, summed over workers.
        longest_running_seconds: the longest of these.
        closed: whether adds are refused.
    """

    depth: Mapping[Priority, int]
    delayed: int
    processing: int
    adds: int
    retries: int
    unfinished_seconds: float
    longest_running_seconds: float
    closed: bool

    @property
    def idle(self) -> bool:
        """Nothing is ready or being processed; a delay may still be running."""
        return not self.processing and not any(self.depth.values())


class _Dirty(NamedTuple):
    """A key that was added while it is being processed."""

    priority: Priority
    since: float


class _Delay(NamedTuple):
    """A key that becomes ready at ``at``; its heap entry is valid while it has the same token."""

    at: float
    token: int
    priority: Priority


class WorkQueue:
    """Merges, orders and delays keys for a controller's workers.

    Args:
        options: see :class:`QueueOptions`.
        jitter: source of randomness for backoffs.
        observer: told of each step; can be replaced through the attribute of this name.
    """

    def __init__(
        self,
        options: QueueOptions | None = None,
        *,
        jitter: Jitter = jitter,
        observer: QueueObserver | None = None,
    ) -> None:
        options = options or QueueOptions()
        self.observer = observer or QueueObserver()
        self._backoff: Backoff[Request] = Backoff(
            base=options.backoff_base, cap=options.backoff_cap, spread=options.backoff_spread, jitter=jitter
        )
        self._lanes = Lanes(ageing=options.ageing)
        self._processing: dict[Request, float] = {}  # key -> when a worker took it
        self._dirty: dict[Request, _Dirty] = {}  # always a subset of processing
        self._delays: dict[Request, _Delay] = {}  # never a key that is ready or dirty
        self._heap: list[tuple[float, int, Request]] = []  # (at, token, key); superseded entries are skipped
        self._tokens = 0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._adds = 0
        self._retries = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    # Adding

    def add(self, key: Request, *, priority: Priority = Priority.NORMAL) -> None:
        """Make ``key`` ready now; a delay it had is over. Ignored once the queue is closed."""
        if self._closed:
            return
        now = self._now()
        if self._heap:
            self._release(now)
        self._make_ready(key, priority, now)

    def add_after(self, key: Request, seconds: float, *, priority: Priority = Priority.NORMAL) -> None:
        """Make ``key`` ready in ``seconds``, or earlier if it already is or will be. Ignored once closed."""
        if seconds <= 0:
            self.add(key, priority=priority)
            return
        if self._closed:
            return
        self._retries += 1
        self.observer.retried()
        now = self._now()
        self._release(now)
        if key in self._lanes or key in self._dirty:  # sooner than any delay: only the priority can change
            self._make_ready(key, priority, now)
            return
        at = now + seconds
        known = self._delays.get(key)
        if known is not None:
            priority = max(known.priority, priority)
            if known.at <= at:
                self._delays[key] = known._replace(priority=priority)
                return
        self._tokens += 1
        self._delays[key] = _Delay(at, self._tokens, priority)
        heapq.heappush(self._heap, (at, self._tokens, key))
        self._compact()
        self._arm()

    def add_rate_limited(self, key: Request, *, priority: Priority = Priority.NORMAL) -> None:
        """Count a failure of ``key`` and make it ready after its backoff. Ignored once closed."""
        if not self._closed:
            self.add_after(key, self._backoff.next(key), priority=priority)

    def forget(self, key: Request) -> None:
        """Reset the backoff of ``key``."""
        self._backoff.forget(key)

    def retries(self, key: Request) -> int:
        """Failures of ``key`` since it was last forgotten."""
        return self._backoff.failures(key)

    def _make_ready(self, key: Request, priority: Priority, now: float, since: float | None = None) -> None:
        delay = self._delays.pop(key, None)
        if delay is not None:
            priority = max(priority, delay.priority)
        if key in self._processing:
            dirty = self._dirty.get(key)
            if dirty is not None:
                if priority > dirty.priority:
                    self._dirty[key] = dirty._replace(priority=priority)
                return
            self._dirty[key] = _Dirty(priority, now if since is None else since)
        elif self._lanes.add(key, priority, now, since=since):
            self._wake_one()
        else:
            return
        self._adds += 1
        self.observer.added(priority)

    # Working

    async def get(self) -> tuple[Request, Priority]:
        """Wait for the next key and take it; nobody else gets it before :meth:`done`.

        Returns:
            The key and the priority it was added with.

        Raises:
            QueueClosedError: the queue is closed and nothing is left to hand out.
        """
        while True:
            now = self._now()
            if self._heap:
                self._release(now)
            item = self._lanes.pop(now)
            if item is not None:
                self._processing[item.key] = now
                self.observer.got(item.priority, now - item.since)
                return item.key, item.priority
            if self._closed and not self._dirty:
                raise QueueClosedError
            await self._wait()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            with suppress(ValueError):  # gone already if somebody tried to wake us
                self._waiters.remove(waiter)
            if not waiter.cancelled():
                self._wake_one()  # we were woken for a key that we will not take
            raise

    def done(self, key: Request) -> None:
        """The worker that got ``key`` is finished with it, however that ended.

        Raises:
            ValueError: nobody is processing ``key``.
        """
        started = self._processing.pop(key, None)
        if started is None:
            msg = f"{key} is not being processed"
            raise ValueError(msg)
        now = self._now()
        self.observer.finished(now - started)
        dirty = self._dirty.pop(key, None)
        if dirty is not None and self._lanes.add(key, dirty.priority, now, since=dirty.since):
            self._wake_one()
        if self._closed and not self._dirty:
            self._wake_all()

    # Closing

    def close(self, *, drain: bool = False) -> None:
        """Refuse further adds and drop all delays. Closing again can only drop more.

        Args:
            drain: hand out the keys that are ready, or were added while being processed, before workers end.
                False drops them too.
        """
        self._closed = True
        self._delays.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not drain:
            self._lanes.clear()
            self._dirty.clear()
        self._wake_all()

    @property
    def closed(self) -> bool:
        """Whether adds are refused."""
        return self._closed

    def statistics(self) -> QueueStatistics:
        """A record of the present state and the totals; cheap enough for every scrape."""
        started = self._processing.values()
        now = self._now() if started else 0.0
        return QueueStatistics(
            depth=MappingProxyType(self._lanes.depth()),
            delayed=len(self._delays),
            processing=len(started),
            adds=self._adds,
            retries=self._retries,
            unfinished_seconds=sum(now - moment for moment in started),
            longest_running_seconds=max((now - moment for moment in started), default=0.0),
            closed=self._closed,
        )

    def __len__(self) -> int:
        """Ready keys; neither those being processed nor those delayed."""
        return len(self._lanes)

    # Delays: one heap, one timer for its head

    def _release(self, limit: float) -> None:
        """Make every key ready that was due at ``limit``, in the order of their times."""
        while self._heap and self._heap[0][0] <= limit:
            at, token, key = heapq.heappop(self._heap)
            delay = self._delays.get(key)
            if delay is not None and delay.token == token:
                self._make_ready(key, delay.priority, limit, since=at)

    def _arm(self) -> None:
        """Point the timer at the head of the heap, unless it already rings earlier: that only costs one look."""
        if not self._heap:
            return
        at = self._heap[0][0]
        if self._timer is not None:
            if self._rings_at <= at:
                return
            self._timer.cancel()
        self._rings_at = at
        self._timer = self._running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._release(max(self._rings_at, self._now()))  # the loop may ring one clock tick early
        self._arm()

    def _compact(self) -> None:
        """Drop superseded heap entries once they are the majority."""
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._delays):
            self._heap = [(delay.at, delay.token, key) for key, delay in self._delays.items()]
            heapq.heapify(self._heap)

    # Time and waking

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _now(self) -> float:
        loop = self._loop or self._running_loop()
        return loop.time()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
