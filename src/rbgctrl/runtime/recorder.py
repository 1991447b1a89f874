"""Records Events about objects, for ``kubectl describe``, without ever getting in a reconcile's way.

Guarantees:
    * :meth:`Recorder.event` neither waits nor raises, whatever the API server does.
    * Memory is bounded: pending writes, series and budgets are, and what does not fit is counted and dropped.
    * A burst of equal events is one write; see :mod:`rbgctrl.runtime.correlator` for the rules.

Caveats: Events are best effort. Those still pending when the process dies, or when it may not write any more, are lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol, overload

import structlog

from rbgctrl.api.core import Event
from rbgctrl.api.meta import Key
from rbgctrl.client.client import Client
from rbgctrl.client.errors import (
    AlreadyExistsError,
    ConnectError,
    NotFoundError,
    TooManyRequestsError,
    outcome_unknown,
)
from rbgctrl.clock import Now, rfc3339, utcnow
from rbgctrl.plan.model import Note, Severity, Subject
from rbgctrl.runtime.correlator import Correlator, CorrelatorOptions, Occurrence, Series

__all__ = ["EventSink", "Recorder", "RecorderOptions", "RecorderStatistics"]

log = structlog.get_logger(__name__)

MESSAGE_BYTES = 1024  # what the API allows
REASON_BYTES = 128


class EventSink(Protocol):
    """Where events go."""

    @overload
    def event(self, note: Note) -> None: ...

    @overload
    def event(self, subject: Subject, severity: Severity, reason: str, message: str, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """How events are written.

    Attributes:
        window: seconds a new event waits for equal ones before it is written. Default 1.
        pending: most series waiting to be written; more are dropped. Default 1000.
        in_flight: most writes at once. Default 4.
        call_timeout: seconds for one write. Default 10.
        attempts: how often a write is tried while the server is unavailable. Default 5.
        correlator: rules of aggregation and budget.
    """

    window: float = 1.0
    pending: int = 1000
    in_flight: int = 4
    call_timeout: float = 10.0
    attempts: int = 5
    correlator: CorrelatorOptions = field(default_factory=CorrelatorOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderStatistics:
    """What became of events.

    Attributes:
        pending: series waiting to be written.
        outcomes: ``created``, ``updated`` (writes that succeeded), ``failed`` (writes given up), ``over_budget`` (not
            written yet because the subject used up its budget), ``overflow`` (dropped, too many pending), ``broken``
            (reports that could not be understood).
    """

    pending: int
    outcomes: dict[str, int]


class _Named:
    """Records under another component name, through the same queue."""

    def __init__(self, recorder: Recorder, component: str) -> None:
        self._recorder = recorder
        self._component = component

    @overload
    def event(self, note: Note) -> None: ...

    @overload
    def event(self, subject: Subject, severity: Severity, reason: str, message: str, /) -> None: ...

    def event(self, note: Note | Subject, *rest: Any) -> None:
        """Record an event; see :meth:`Recorder.event`."""
        self._recorder.report(self._component, note, *rest)


class Recorder:
    """Collects events and writes them in the background.

    Args:
        client: where Events are written.
        component: the default reporter; :meth:`named` gives others.
        options: limits.
        now: wall clock for the Events' timestamps.
    """

    OUTCOMES = ("created", "updated", "failed", "over_budget", "overflow", "broken")

    def __init__(
        self,
        client: Client,
        component: str = "RoleBasedGroup",
        *,
        options: RecorderOptions = RecorderOptions(),
        now: Now = utcnow,
    ) -> None:
        self._client = client
        self._component = component
        self._options = options
        self._now = now
        self._correlator = Correlator(options.correlator)
        self._pending: dict[Series, None] = {}  # ordered, each series once
        self._wake = asyncio.Event()
        self._outcomes: Counter[str] = Counter(dict.fromkeys(self.OUTCOMES, 0))
        self._writing = asyncio.Lock()

    @overload
    def event(self, note: Note) -> None: ...

    @overload
    def event(self, subject: Subject, severity: Severity, reason: str, message: str, /) -> None: ...

    def event(self, note: Note | Subject, *rest: Any) -> None:
        """Record that something happened: a Note, or subject, severity, reason and message.

        Returns at once and never raises. ``reason`` is one CamelCase word; ``message`` is cut to 1024 bytes. Must be
        called on the event loop.
        """
        self.report(self._component, note, *rest)

    def named(self, component: str) -> EventSink:
        """A sink that reports as another component and shares everything else."""
        return _Named(self, component)

    def report(self, component: str, what: Note | Subject, *rest: Any) -> None:
        """:meth:`event` for a component."""
        try:
            subject, severity, reason, message = (
                (what.subject, what.severity, what.reason, what.message) if isinstance(what, Note) else (what, *rest)
            )
            reason, message = _cut(reason, REASON_BYTES), _cut(message, MESSAGE_BYTES)
            self._enqueue(Occurrence(component, subject, Severity(severity), reason, message))
        except Exception as error:  # noqa: BLE001 - an event must never break what it reports about
            self._outcomes["broken"] += 1
            log.warning("event not understood", error=f"{type(error).__name__}: {error}")

    def statistics(self) -> RecorderStatistics:
        """A snapshot of counters."""
        return RecorderStatistics(pending=len(self._pending), outcomes=dict(self._outcomes))

    async def run(self) -> None:
        """Write events until cancelled. Pending ones stay for :meth:`flush`."""
        pause = self._options.window
        while True:
            await self._wake.wait()
            await asyncio.sleep(pause)  # equal events of the meantime join
            trouble = await self._write_pending()
            pause = min(pause * 2, 30.0) if trouble else self._options.window

    async def flush(self, within: float) -> int:
        """Write what is pending, for at most ``within`` seconds.

        Returns:
            How many events are left unwritten; they are dropped.
        """
        try:
            async with asyncio.timeout(within):
                while self._pending and not await self._write_pending():
                    pass
        except TimeoutError:
            pass
        left = len(self._pending)
        self._pending.clear()
        self._outcomes["failed"] += left
        if left:
            log.warning("events not written", left=left)
        return left

    # -- inside ------------------------------------------------------------------------------------------------------

    def _enqueue(self, occurrence: Occurrence) -> None:
        at = asyncio.get_running_loop().time()
        series = self._correlator.observe(occurrence, at, rfc3339(self._now()))
        if series in self._pending:
            return
        if len(self._pending) >= self._options.pending:
            self._outcomes["overflow"] += 1
            return
        self._pending[series] = None
        self._wake.set()

    async def _write_pending(self) -> bool:
        """Write what is pending now; True when the server was unavailable for some of it."""
        async with self._writing:
            batch, self._pending = list(self._pending), {}
            self._wake.clear()
            slots = asyncio.Semaphore(self._options.in_flight)
            left = dict.fromkeys(batch)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._write_one(series, slots, left)) for series in batch]
            finally:
                for series in left:  # not finished, because we were interrupted
                    self._put_back(series)
            return any(task.result() for task in tasks)

    async def _write_one(self, series: Series, slots: asyncio.Semaphore, left: dict[Series, None]) -> bool:
        async with slots:
            trouble = await self._write(series)
            del left[series]
            if trouble:
                self._put_back(series)
            return trouble

    def _put_back(self, series: Series) -> None:
        self._pending[series] = None
        self._wake.set()

    async def _write(self, series: Series) -> bool:
        """Write one series; True when it is worth trying again later."""
        if series.attempts == 0 and not self._correlator.allow(series, asyncio.get_running_loop().time()):
            self._outcomes["over_budget"] += 1
            return False
        try:
            async with asyncio.timeout(self._options.call_timeout):
                await self._send(series)
        except Exception as error:  # noqa: BLE001 - nothing about an event may stop the recorder
            log.debug("event not written", name=series.name, error=f"{type(error).__name__}: {error}")
            series.attempts += 1
            if _may_help(error) and series.attempts < self._options.attempts:
                return True
            self._outcomes["failed"] += 1
        series.attempts = 0
        return False

    async def _send(self, series: Series) -> None:
        if series.stored and await self._update(series):
            return
        try:
            await self._client.create(Event, _body(series), _namespace(series.occurrence.subject))
        except AlreadyExistsError:  # an earlier answer was lost; the count may have grown since
            await self._update(series)
        else:
            self._outcomes["created"] += 1
        series.stored = True

    async def _update(self, series: Series) -> bool:
        """Bring count, time and message up to date; False when the Event is gone: the server keeps it for an hour."""
        key = Key(_namespace(series.occurrence.subject), series.name)
        body = {"count": series.count, "lastTimestamp": series.last, "message": series.occurrence.message}
        try:
            await self._client.patch(Event, key, body)
        except NotFoundError:
            series.stored = False
            return False
        self._outcomes["updated"] += 1
        return True


def _may_help(error: Exception) -> bool:
    """Whether the same write may succeed later: nothing reached the server, or the server was not well."""
    if isinstance(error, TimeoutError | ConnectError | TooManyRequestsError):
        return True
    return outcome_unknown(error) or getattr(error, "status", 0) >= 500


def _namespace(subject: Subject) -> str:
    return subject.key.namespace or "default"


def _body(series: Series) -> dict[str, Any]:
    occurrence = series.occurrence
    subject = occurrence.subject
    return {
        "metadata": {"name": series.name, "namespace": _namespace(subject)},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "name": subject.key.name,
            "namespace": subject.key.namespace,
            "uid": subject.uid,
        },
        "type": occurrence.severity.value,
        "reason": occurrence.reason,
        "message": occurrence.message,
        "count": series.count,
        "firstTimestamp": series.first,
        "lastTimestamp": series.last,
        "source": {"component": occurrence.component},
        "reportingComponent": occurrence.component,
        "reportingInstance": "",
    }


def _cut(text: str, limit: int) -> str:
    """At most ``limit`` bytes of UTF-8, whole characters."""
    data = text.encode()
    if len(data) <= limit:
        return text
    return data[: limit - 3].decode(errors="ignore") + "..."
