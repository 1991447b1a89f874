"""Leader election with a Lease, and the fence that keeps a former leader from writing.

Guarantees:
    * While :meth:`LeaseElector.fence` passes, no other elector of this kind (or of client-go) can hold the lease,
      whatever happened to this process in between: it compares the time passed since the last renewal *was sent* with
      a deadline that is shorter than what others wait, on a clock that keeps counting while the process is stopped.
    * The lease is given back only after the work done under it has ended.

Assumptions:
    * Clocks of different machines run at about the same speed. What they show does not matter: times inside the Lease
      are written for people and compared for equality only.
    * Identities are unique; the default one is.

Caveats:
    * A request that already left is past any fence. The gap between ``renew_deadline`` and ``duration`` is the time
      the server has to finish it before another leader can act.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from rbgctrl.api.core import Lease, LeaseSpec
from rbgctrl.api.meta import Key
from rbgctrl.client.client import Client
from rbgctrl.client.errors import ApiError, ConflictError, NotFoundError
from rbgctrl.clock import Jitter, Monotonic, Now, jitter, monotonic, new_id, rfc3339_micro, utcnow
from rbgctrl.runtime.fence import NotLeaderError
from rbgctrl.runtime.tasks import end

__all__ = ["LeaseElector", "LeaseLostError", "LeaseOptions", "LeaseStatistics"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

JITTER = 1.2
"""How much a retry may be stretched, as in client-go: up to 2.2 periods."""


class LeaseLostError(Exception):
    """The lease was not renewed in time or taken by another; the work under it was stopped. End the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """Times of an election, in seconds.

    Attributes:
        duration: how long others wait after the last renewal they saw; whole seconds. Default 15.
        renew_deadline: how long after its last renewal a leader goes on, shorter than ``duration``. Default 10.
        retry_period: between two renewals, or two looks at another's lease. Default 2.
        call_timeout: for each single request. Default 5.

    Raises:
        ValueError: the times contradict each other.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    call_timeout: float = 5.0

    def __post_init__(self) -> None:
        problems = (
            (self.duration < 1 or self.duration != int(self.duration), "duration must be whole seconds, at least 1"),
            (self.renew_deadline <= 0, "renew_deadline must be positive"),
            (self.retry_period <= 0, "retry_period must be positive"),
            (self.call_timeout <= 0, "call_timeout must be positive"),
            (self.duration <= self.renew_deadline, "duration must be longer than renew_deadline"),
            (self.renew_deadline <= JITTER * self.retry_period, f"renew_deadline must exceed {JITTER} × retry_period"),
        )
        for wrong, sentence in problems:
            if wrong:
                raise ValueError(sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStatistics:
    """State of an election.

    Attributes:
        leader: whether this process leads.
        holder: identity last seen in the lease, ``""`` for none.
        transitions: how often the lease changed hands.
        renewed_age: seconds since the last own renewal was sent, None before the first.
        renewals: own successful writes.
        failures: attempts that ended in an error.
        slow_paths: renewals that had to read the lease first.
    """

    leader: bool
    holder: str
    transitions: int
    renewed_age: float | None
    renewals: int
    failures: int
    slow_paths: int


class LeaseElector:
    """Takes a Lease, keeps it while work runs, and gives it back.

    Args:
        client: a client that is not fenced by this elector; a dedicated connection is taken from it, so that
            renewals never wait behind other requests.
        lease: namespace and name, or ``"namespace/name"``.
        identity: who we are, unique among all electors; default host name and random digits.
        options: times.
        now: wall clock, for the times people read in the Lease.
        monotonic: clock for durations; must go on while the process is stopped.
        jitter: spreads the attempts of several candidates.
    """

    def __init__(
        self,
        client: Client,
        lease: Key | str,
        *,
        identity: str = "",
        options: LeaseOptions = LeaseOptions(),
        now: Now = utcnow,
        monotonic: Monotonic = monotonic,
        jitter: Jitter = jitter,
    ) -> None:
        self.key = Key.parse(lease) if isinstance(lease, str) else lease
        if not self.key.namespace or not self.key.name:
            msg = f"a lease is named namespace/name, not {lease!r}"
            raise ValueError(msg)
        self.identity = identity or f"{socket.gethostname()}_{new_id()}"
        self.options = options
        self._given = client
        self._client = client  # the dedicated one while running
        self._now = now
        self._monotonic = monotonic
        self._jitter = jitter
        self._lease: Lease | None = None  # as the server last sent it
        self._seen: LeaseSpec | None = None  # the record whose validity is counted …
        self._seen_at = 0.0  # … from when we first saw it
        self._held = False
        self._renewed_at = 0.0  # when the renewal that succeeded last was sent
        self._wrote = False  # any write was sent: even one without an answer may have taken the lease
        self._stamps = 0
        self._renewals = self._failures = self._slow_paths = 0
        self._complaint = ""

    # -- what others ask ---------------------------------------------------------------------------------------------

    @property
    def is_leader(self) -> bool:
        """Whether work may go on right now; reads the clock, so it is never stale."""
        return self._held and self._monotonic() < self._renewed_at + self.options.renew_deadline

    def fence(self) -> None:
        """Pass, or refuse. Call it synchronously right before a write goes on the wire.

        Raises:
            NotLeaderError: the lease is not held, or its last renewal is too long ago.
        """
        if not self.is_leader:
            msg = f"{self.identity} does not hold the lease {self.key} (any more); the write was not sent"
            raise NotLeaderError(msg)

    def statistics(self) -> LeaseStatistics:
        """A snapshot of counters and state."""
        return LeaseStatistics(
            leader=self.is_leader,
            holder=self._holder,
            transitions=self._seen.lease_transitions or 0 if self._seen is not None else 0,
            renewed_age=self._monotonic() - self._renewed_at if self._renewals else None,
            renewals=self._renewals,
            failures=self._failures,
            slow_paths=self._slow_paths,
        )

    @property
    def lease(self) -> Lease | None:
        """The Lease as last seen; a subject for events."""
        return self._lease

    @property
    def _holder(self) -> str:
        return self._seen.holder_identity or "" if self._seen is not None else ""

    # -- the election ------------------------------------------------------------------------------------------------

    async def run(self, lead: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the lease, run ``lead`` under it, give the lease back.

        Flow: renewals go on until ``lead`` has ended, also while it shuts down. When this is cancelled, ``lead`` is
        cancelled and awaited first; a further cancellation is passed on to it.

        Args:
            lead: the work. Must end soon after being cancelled.

        Returns:
            What ``lead`` returned.

        Raises:
            LeaseLostError: the lease was lost; ``lead`` was cancelled and has ended. The lease is left to expire.
        """
        async with self._given.dedicated(limit=2) as self._client:
            try:
                await self._acquire()
                return await self._lead(lead)
            except LeaseLostError:
                self._wrote = False  # not ours to give back
                raise
            finally:
                await self._release()  # strictly after the work has ended

    async def _acquire(self) -> None:
        log.info("waiting for the lease", lease=str(self.key), identity=self.identity)
        while True:
            agreed = await self._attempt()
            if agreed and self.is_leader:  # an answer may come when it is worth nothing any more
                break
            await asyncio.sleep(self.options.retry_period * (1 + JITTER * self._jitter()))
        log.info("became the leader", lease=str(self.key), identity=self.identity)

    async def _lead(self, lead: Callable[[], Coroutine[Any, Any, T]]) -> T:
        work = asyncio.create_task(lead(), name="leading")
        renewal = asyncio.create_task(self._renew(), name="lease-renewal")
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(work)
            await end(renewal)
        if not renewal.cancelled():
            renewal.result()  # raises: a renewal never ends by itself otherwise
        return work.result()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, min(self.options.retry_period, self._remaining())))
            left = self._remaining()
            if left > 0:  # otherwise we were stopped for so long that an answer would be worth nothing
                try:
                    async with asyncio.timeout(left):
                        await self._attempt()
                except TimeoutError:
                    self._complain("no answer before the renew deadline")
            if not self.is_leader:
                self._held = False
                taken = self._holder not in ("", self.identity)
                why = f"{self._holder} holds it" if taken else "it was not renewed in time"
                msg = f"lost the lease {self.key}: {why}"
                raise LeaseLostError(msg)

    def _remaining(self) -> float:
        return self._renewed_at + self.options.renew_deadline - self._monotonic()

    # -- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self) -> bool:
        """Try once to take or keep the lease; True when the server agreed."""
        if self._held and self._lease is not None:
            try:
                await self._write(self._lease)
            except (ApiError, TimeoutError) as error:
                log.debug("renewal needs a fresh look", lease=str(self.key), error=str(error))
                self._slow_paths += 1
            else:
                return True
        try:
            return await self._look_and_write()
        except (ApiError, TimeoutError) as error:
            self._failures += 1
            self._complain(str(error) or type(error).__name__)
            return False

    async def _look_and_write(self) -> bool:
        asked = self._monotonic()
        try:
            lease = await self._call(self._client.get(Lease, self.key))
        except NotFoundError:
            await self._write(None)
            return True
        self._observe(lease)
        holder = lease.spec.holder_identity or ""
        if holder not in ("", self.identity):
            self._held = False
            # Unchanged as of ``asked`` at the latest: counting up to the answer would count our own delay as theirs.
            if asked < self._seen_at + self._validity(lease.spec):
                return False
        await self._write(lease)
        return True

    def _validity(self, spec: LeaseSpec) -> float:
        seconds = spec.lease_duration_seconds
        return self.options.duration if seconds is None else float(seconds)

    def _observe(self, lease: Lease) -> None:
        self._lease = lease
        if lease.spec == self._seen:
            return
        holder = lease.spec.holder_identity or ""
        if holder not in (self._holder, self.identity, ""):
            log.info("another process leads", lease=str(self.key), holder=holder)
        self._seen = lease.spec
        self._seen_at = self._monotonic()

    async def _write(self, lease: Lease | None) -> None:
        """Put our name into the lease we saw (None: create it), guarded by its resourceVersion."""
        previous = lease.spec if lease is not None else LeaseSpec()
        ours = previous.holder_identity == self.identity
        stamp = self._next_stamp()
        transitions = previous.lease_transitions or 0
        spec = LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=int(self.options.duration),
            acquire_time=previous.acquire_time if ours else stamp,
            renew_time=stamp,
            lease_transitions=transitions if ours or lease is None else transitions + 1,
        )
        body = _body(self.key, lease, spec)
        self._wrote = True
        sent = self._monotonic()  # others may count from any moment after this one
        if lease is None:
            stored = await self._call(self._client.create(Lease, body, self.key.namespace))
        else:
            stored = await self._call(self._client.replace(Lease, self.key, body))
        self._observe(stored)
        self._held = True
        self._renewed_at = sent
        self._renewals += 1
        self._complaint = ""

    async def _call(self, request: Awaitable[T]) -> T:
        async with asyncio.timeout(self.options.call_timeout):
            return await request

    def _next_stamp(self) -> str:
        """The time for people.

        Others see a renewal only if the record changes, so the last digits count writes: a wall clock that stands
        still or jumps back never repeats a recent stamp.
        """
        self._stamps = (self._stamps + 1) % 1000
        moment = self._now()
        return rfc3339_micro(moment.replace(microsecond=moment.microsecond // 1000 * 1000 + self._stamps))

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint:  # once, not every two seconds
            self._complaint = sentence
            log.warning("lease attempt failed", lease=str(self.key), error=sentence)

    async def _release(self) -> None:
        self._held = False  # from here the fence refuses
        if not self._wrote:
            return
        try:
            async with asyncio.timeout(self.options.call_timeout):
                await self._hand_back()
        except (ApiError, TimeoutError) as error:
            log.warning("lease not released, others wait until it expires", lease=str(self.key), error=str(error))

    async def _hand_back(self) -> None:
        for attempt in range(3):
            try:
                lease = await self._client.get(Lease, self.key)
            except NotFoundError:
                return
            if lease.spec.holder_identity != self.identity:
                self._observe(lease)
                return
            stamp = self._next_stamp()
            spec = LeaseSpec(
                holder_identity="",
                lease_duration_seconds=1,
                acquire_time=stamp,
                renew_time=stamp,
                lease_transitions=lease.spec.lease_transitions or 0,
            )
            try:
                self._observe(await self._client.replace(Lease, self.key, _body(self.key, lease, spec)))
            except ConflictError:
                if attempt == 2:
                    raise
            else:
                log.info("lease released", lease=str(self.key), identity=self.identity)
                return


def _body(key: Key, lease: Lease | None, spec: LeaseSpec) -> dict[str, Any]:
    """The whole object: metadata as the server sent it, so that labels of others stay and a conflict is noticed."""
    metadata = {"namespace": key.namespace, "name": key.name}
    if lease is not None:
        metadata = msgspec.to_builtins(lease.metadata)
    return {
        "apiVersion": Lease.KIND.api_version,
        "kind": Lease.KIND.kind,
        "metadata": metadata,
        "spec": msgspec.to_builtins(spec),
    }
