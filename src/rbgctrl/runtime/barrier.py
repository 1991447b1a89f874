"""Read your own writes: a key is not reconciled again before the cache shows what it wrote.

**Flow.** The executor notes each write here after telling the cache its answer. Before a reconcile the worker asks
:meth:`Barrier.blocked`; a blocked key is parked, which costs no worker, and woken by the informer that catches up.

**Guarantees.** No reconcile starts with a view older than the writes of its own earlier reconciles. Nothing polls
while the watch is healthy, and nothing proceeds on a stale view: after ``timeout`` seconds the objects in question are
read from the API server and put into the cache, again and again until one of the two shows them.

**Assumptions.** Deletes are noted *before* they are sent, because the watch event often overtakes the answer. Names
of children are deterministic, so a write of unknown outcome that is committed after it was looked for does no harm.

**Caveats.** It lives in memory only. A fresh process needs none of it: its informers begin with a consistent list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from rbgctrl.api.meta import Key, Resource
from rbgctrl.client.errors import ApiError, NotFoundError
from rbgctrl.clock import Jitter, jitter
from rbgctrl.runtime.backoff import Backoff
from rbgctrl.runtime.ledger import (
    CacheView,
    Entry,
    PendingDelete,
    PendingWrite,
    UnknownWrite,
    in_last_version,
    still_held,
)
from rbgctrl.runtime.observers import BarrierObserver
from rbgctrl.runtime.result import Request

__all__ = ["Barrier", "BarrierOptions", "BarrierStatistics", "Resolve", "Unresolved", "Wake", "live_reader"]

log = structlog.get_logger(__name__)

Wake: TypeAlias = Callable[[Request], None]
"""Told that a parked key may run."""

Resolve: TypeAlias = Callable[[type[Resource], Key], Awaitable[Resource | None]]
"""Reads one object from the API server (a quorum read); None when it does not exist. Raises when it cannot tell."""


def live_reader(client: Any) -> Resolve:
    """The :data:`Resolve` of a :class:`rbgctrl.client.Client`."""

    async def read(kind: type[Resource], key: Key) -> Resource | None:
        try:
            found: Resource = await client.get(kind, key)
        except NotFoundError:
            return None
        return found

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class BarrierOptions:
    """How patient a barrier is.

    Attributes:
        timeout: seconds a parked key waits for the watch before its objects are read live.
        read_timeout: seconds for one such read.
        retry_base: seconds before the second live read of a key; doubles with each further one.
        retry_cap: no pause between live reads is longer, in seconds.
    """

    timeout: float = 5.0
    read_timeout: float = 15.0
    retry_base: float = 0.2
    retry_cap: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BarrierStatistics:
    """What a barrier holds now.

    Attributes:
        parked: keys that wait.
        writes: writes noted whose effect was not shown when last looked at.
        reading: keys whose objects are being read live.
        longest_wait_seconds: how long the first parked key has been waiting.
    """

    parked: int
    writes: int
    reading: int
    longest_wait_seconds: float


class Unresolved:
    """A write of unknown outcome; the barrier looks for its object by itself, unless told here first."""

    __slots__ = ("_barrier", "_entry")

    def __init__(self, barrier: Barrier, entry: UnknownWrite) -> None:
        self._barrier = barrier
        self._entry = entry

    def resolved(self, obj: Resource | None) -> None:
        """The object was read from the API server after the write failed; None when it does not exist."""
        self._barrier.learn(self._entry, obj)


@dataclass(slots=True)
class _Parked:
    wake: Wake
    since: float
    timer: asyncio.TimerHandle


class Barrier:
    """The ledger of one controller's writes that its cache may not show yet.

    Args:
        cache: the informers this controller reads from.
        resolve: reads one object from the API server; see :func:`live_reader`.
        options: see :class:`BarrierOptions`.
        jitter: source of randomness for the pauses between live reads.
        observer: told of parked keys; can be replaced through the attribute of this name.
    """

    def __init__(
        self,
        cache: CacheView,
        resolve: Resolve,
        *,
        options: BarrierOptions | None = None,
        jitter: Jitter = jitter,
        observer: BarrierObserver | None = None,
    ) -> None:
        self.observer = observer or BarrierObserver()
        self._cache = cache
        self._resolve = resolve
        self._options = options or BarrierOptions()
        self._pauses: Backoff[Request] = Backoff(
            base=self._options.retry_base, cap=self._options.retry_cap, jitter=jitter
        )
        self._entries: dict[Request, list[Entry]] = {}
        self._sweep_at = 64
        self._parked: dict[Request, _Parked] = {}
        self._overdue: set[Request] = set()  # parked for too long: everything they wait for is read live
        self._reading: set[Request] = set()
        self._followed: dict[int, Any] = {}  # informers that call us back, by identity
        self._checking = False
        self._group: asyncio.TaskGroup | None = None

    # Noting writes

    def deleting(self, request: Request, kind: type[Resource], key: Key, uid: str) -> PendingDelete:
        """Note a delete that is about to be sent.

        Args:
            request: whose reconcile deletes.
            kind: of the object.
            key: of the object.
            uid: the precondition the delete is sent with.

        Returns:
            A token for :meth:`deleted` or :meth:`forget`; the key is blocked until the cache shows the delete.
        """
        entry = PendingDelete(request, kind, key, uid)
        self._note(entry)
        return entry

    def deleted(self, token: PendingDelete, obj: Resource | None = None) -> None:  # noqa: ARG002 - the cache has it
        """The delete was accepted, or found the uid gone already; tell the cache of ``obj``, if any, before."""
        self._check(token.request)

    def forget(self, token: PendingDelete) -> None:
        """The delete was surely not carried out: nothing to wait for."""
        self._drop(token)
        self._check(token.request)

    def wrote(self, request: Request, obj: Resource) -> None:
        """Note the answer of a create, apply or patch, after telling the cache; free when the cache shows it."""
        entry = PendingWrite(request, type(obj), obj)
        if not entry.shown(self._cache):
            self._replace(entry)

    def unknown(self, request: Request, kind: type[Resource], key: Key) -> Unresolved:
        """Note a write whose answer was lost; the key is blocked until the object has been read live.

        This includes a write that was cancelled on its way. A kind that nobody watches needs no waiting.
        """
        entry = UnknownWrite(request, kind, key)
        if self._cache.find(kind):
            self._replace(entry)
            self._attend(request)
        return Unresolved(self, entry)

    def _note(self, entry: Entry) -> None:
        if len(self._entries) >= self._sweep_at:  # keys that are never reconciled again must not pile up
            for request in tuple(self._entries):
                self.blocked(request)
            self._sweep_at = max(64, 2 * len(self._entries))
        self._entries.setdefault(entry.request, []).append(entry)

    def _replace(self, entry: PendingWrite | UnknownWrite) -> None:
        """Note ``entry`` instead of what was noted of the same sort about the same object."""
        for other in tuple(self._entries.get(entry.request, ())):
            if type(other) is type(entry) and other.kind is entry.kind and other.key == entry.key:
                self._drop(other)
        self._note(entry)

    def _drop(self, entry: Entry) -> None:
        entries = self._entries.get(entry.request, [])
        if entry in entries:
            entries.remove(entry)
        if not entries:
            self._entries.pop(entry.request, None)

    # Waiting

    def blocked(self, request: Request) -> bool:
        """Whether the cache does not show every write of this key yet."""
        entries = self._entries.get(request)
        if not entries:
            return False
        entries[:] = [entry for entry in entries if not entry.shown(self._cache)]
        if not entries:
            del self._entries[request]
        return bool(entries)

    def park(self, request: Request, wake: Wake) -> None:
        """Call ``wake`` once when the key is no longer blocked; a later call for a parked key replaces the first.

        Must be called from the event loop; ``wake`` is called from it too, at once if nothing blocks.
        """
        known = self._parked.get(request)
        if known is not None:
            known.wake = wake
            return
        if not self.blocked(request):
            wake(request)
            return
        for entry in self._entries[request]:
            self._follow(entry.kind)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._options.timeout, self._expire, request)
        self._parked[request] = _Parked(wake, loop.time(), timer)
        self.observer.parked()

    def unpark(self, request: Request) -> None:
        """The key runs for another reason: do not wake it any more."""
        if request in self._parked:
            self._unpark(request)

    def _follow(self, kind: type[Resource]) -> None:
        for informer in self._cache.find(kind):
            if id(informer) not in self._followed:
                self._followed[id(informer)] = informer
                informer.on_progress(self._progress)

    def _progress(self) -> None:
        """An informer moved; look at the parked keys once for all events of this turn of the loop."""
        if self._parked and not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check_all)

    def _check_all(self) -> None:
        self._checking = False
        for request in tuple(self._parked):
            self._check(request)

    def _check(self, request: Request) -> None:
        if request in self._parked and not self.blocked(request):
            self._unpark(request).wake(request)

    def _unpark(self, request: Request) -> _Parked:
        parked = self._parked.pop(request)
        parked.timer.cancel()
        self._overdue.discard(request)
        self.observer.woken(asyncio.get_running_loop().time() - parked.since)
        return parked

    def _expire(self, request: Request) -> None:
        self._check(request)
        if request not in self._parked:
            return
        log.warning(
            "the watch does not show this object's own writes; reading them live",
            request=str(request),
            seconds=self._options.timeout,
            waiting_for=[f"{type(e).__name__} {e.kind.KIND.kind} {e.key}" for e in self._entries[request]],
        )
        self.observer.timed_out()
        self._overdue.add(request)
        self._attend(request)

    # Reading live

    async def run(self) -> None:
        """Do the live reads, until cancelled; then parked keys are dropped. The controller runs this.

        Raises:
            RuntimeError: it is running already.
        """
        if self._group is not None:
            msg = "the barrier is running already; each controller needs its own"
            raise RuntimeError(msg)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    for request in tuple(self._entries):
                        self._attend(request)
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._group = None  # start nothing more while the reads are being cancelled
        finally:
            for request in tuple(self._parked):
                self._unpark(request)

    def _attend(self, request: Request) -> None:
        """Start reading live for a key, unless that is going on."""
        if self._group is not None and request not in self._reading and self._to_read(request):
            self._reading.add(request)
            self._group.create_task(self._read(request), name=f"barrier {request}")

    def _to_read(self, request: Request) -> list[Entry]:
        if not self.blocked(request):
            return []
        overdue = request in self._overdue
        return [entry for entry in self._entries[request] if overdue or isinstance(entry, UnknownWrite)]

    async def _read(self, request: Request) -> None:
        try:
            while entries := self._to_read(request):
                for entry in entries:
                    await self._read_one(entry)
                if self._to_read(request):
                    await asyncio.sleep(self._pauses.next(request))
        finally:
            self._pauses.forget(request)
            self._reading.discard(request)

    async def _read_one(self, entry: Entry) -> None:
        try:
            async with asyncio.timeout(self._options.read_timeout):
                live = await self._resolve(entry.kind, entry.key)
            self.learn(entry, live)
        except Exception as error:
            log.warning(
                "could not read an object that was written; trying again",
                request=str(entry.request),
                kind=entry.kind.KIND.kind,
                object=str(entry.key),
                error=repr(error),
                exc_info=not isinstance(error, (ApiError, TimeoutError, OSError)),  # else a defect: show where
            )

    def learn(self, entry: Entry, live: Resource | None) -> None:
        """Take in what a live read found for a noted write. Ignored when the write is no longer noted."""
        if entry not in self._entries.get(entry.request, ()):
            return
        if live is not None:
            self._cache.observe(live)
        match entry:
            case UnknownWrite():
                self._learn_unknown(entry, live)
            case PendingDelete():
                self._learn_deleted(entry, live)
            case PendingWrite():
                self._learn_written(entry, live)
        self._check(entry.request)

    def _learn_unknown(self, entry: UnknownWrite, live: Resource | None) -> None:
        self._drop(entry)
        if live is not None:
            self.wrote(entry.request, live)
            return
        for held in still_held(self._cache, entry.kind, entry.key):  # it is gone, and the watch will say so
            self._note(PendingDelete(entry.request, entry.kind, entry.key, held.metadata.uid))

    def _learn_deleted(self, entry: PendingDelete, live: Resource | None) -> None:
        if live is None or live.uid != entry.uid:
            self._observe_gone(entry)
        elif not live.metadata.deleting:
            log.warning("a deleted object is still there", kind=entry.kind.KIND.kind, object=str(entry.key))
            self._drop(entry)

    def _learn_written(self, entry: PendingWrite, live: Resource | None) -> None:
        self._drop(entry)
        if live is None:
            self._observe_gone(entry)
            return
        if live.metadata.rv < entry.obj.metadata.rv:
            # Only a cluster restored from a backup answers so: the write no longer exists.
            log.warning("the API server went back in time", kind=entry.kind.KIND.kind, object=str(entry.key))
        self.wrote(entry.request, live)

    def _observe_gone(self, entry: PendingDelete | PendingWrite) -> None:
        """The object of ``entry`` does not exist: take it out of the stores for good, as a UID never comes back."""
        uid = entry.uid if isinstance(entry, PendingDelete) else entry.obj.uid
        for held in tuple(still_held(self._cache, entry.kind, entry.key)):
            if held.metadata.uid == uid:
                self._cache.observe_deleted(in_last_version(held))

    def statistics(self) -> BarrierStatistics:
        """A record of the present state."""
        now = asyncio.get_running_loop().time() if self._parked else 0.0
        return BarrierStatistics(
            parked=len(self._parked),
            writes=sum(map(len, self._entries.values())),
            reading=len(self._reading),
            longest_wait_seconds=max((now - parked.since for parked in self._parked.values()), default=0.0),
        )
