"""What happens to the lines of one watch: faults of single events and of the whole stream, for either carrier.

Flow: a pump reads the server's lines, lets the rules decide on each, and queues what comes of it with the time it is
due; the consumer gets them in that order and at that time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeAlias

from rbgctrl.client.errors import ApiError
from rbgctrl.sim.chaos.faults import (
    AnyFault,
    Discard,
    Duplicate,
    End,
    Ending,
    Hold,
    Lag,
    Pad,
    Reorder,
    Replay,
    Say,
    Silence,
    Swallow,
    Truncate,
)
from rbgctrl.sim.chaos.match import Call, Frame, read_frame
from rbgctrl.sim.chaos.rules import Rules

__all__ = ["Cut", "Frames", "Hang", "Out"]


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream ends, after ``data``, which is no whole line."""

    data: bytes
    how: Ending


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more arrives, and the stream does not end."""


Out: TypeAlias = bytes | Cut | Hang
_Item: TypeAlias = bytes | Cut | Hang | ApiError

_REMEMBERED = 1000
_CHANGES = frozenset(("ADDED", "MODIFIED", "DELETED"))


@dataclass(slots=True)
class _Held:
    frame: Frame
    line: bytes
    fault: Reorder | Swallow
    until: float

    def overtaken(self, other: Frame) -> bool:
        """Whether ``other`` is the event this one waits for."""
        if other.event not in _CHANGES:
            return False
        same = other.uid == self.frame.uid
        return same if isinstance(self.fault, Swallow) or self.fault.same else not same


class Frames:
    """The lines of a watch after the faults: iterate; a :class:`Cut` or :class:`Hang` is the last.

    Use it as an async context manager, which ends the pump. Errors of the source are raised when their turn comes.

    Args:
        lines: the server's.
        call: the request that opened the watch.
        rules: what decides.
        opening: faults that struck the request itself.
    """

    def __init__(
        self, lines: AsyncIterator[bytes], call: Call, rules: Rules, opening: tuple[AnyFault, ...] = ()
    ) -> None:
        self._lines = lines
        self._call = call
        self._rules = rules
        self._lag = sum(fault.seconds for fault in opening if isinstance(fault, Lag))
        self._opening = opening
        self._due = 0.0
        self._held: list[_Held] = []
        self._told: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._queue: asyncio.Queue[tuple[float, _Item]] = asyncio.Queue()
        self._pump_task: asyncio.Task[None] | None = None
        self._clock: Callable[[], float] = asyncio.get_running_loop().time

    async def __aenter__(self) -> Self:
        self._pump_task = asyncio.create_task(self._pump(), name=f"chaos {self._call}")
        return self

    async def __aexit__(self, *_: object) -> None:
        task, self._pump_task = self._pump_task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Out:
        due, item = await self._queue.get()
        if (wait := due - self._clock()) > 0:
            await asyncio.sleep(wait)
        if isinstance(item, ApiError):
            raise item
        return item

    # The pump

    async def _pump(self) -> None:
        for fault in self._opening:
            if isinstance(fault, Silence | End | Say):
                self._finish(fault)
                return
        reading: asyncio.Task[bytes | None] | None = None
        try:
            while True:
                if reading is None and not self._held:
                    line = await _following(self._lines)
                else:
                    reading = reading or asyncio.create_task(_following(self._lines))
                    if not await self._ready(reading):
                        continue
                    line, reading = reading.result(), None
                if line is None:
                    self._release()
                    self._put(Cut(b"", Ending.CLEAN))
                    return
                if not self._take(line):
                    return
        except ApiError as error:
            self._release()
            self._put(error)
        finally:
            if reading is not None and not reading.done():
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    async def _ready(self, reading: asyncio.Task[bytes | None]) -> bool:
        """Wait for the next line, or until an event has been held back for long enough; True when a line is there."""
        until = min((held.until for held in self._held), default=None)
        timeout = None if until is None else max(0.0, until - self._clock())
        done, _ = await asyncio.wait({reading}, timeout=timeout)
        if not done:
            self._release(self._clock())
        return bool(done)

    def _take(self, line: bytes) -> bool:
        """Let one line suffer what was ordered for it; False when it was the last."""
        frame = read_frame(line)
        struck = self._rules.on_frame(self._call, frame)
        for fault in struck:
            if isinstance(fault, Silence | End | Say | Truncate):
                self._finish(fault, line)
                return False
        if frame.event not in _CHANGES:
            self._release()  # a bookmark promises that everything up to it has been told; no server breaks that
        for fault in struck:
            if isinstance(fault, Discard):
                return True
            if isinstance(fault, Reorder | Swallow):
                self._held.append(_Held(frame, line, fault, self._clock() + fault.patience))
                return True
        self._deliver(frame, line, struck)
        return True

    def _deliver(self, frame: Frame, line: bytes, struck: tuple[AnyFault, ...]) -> None:
        overtaken = [held for held in self._held if held.overtaken(frame)]
        self._held = [held for held in self._held if held not in overtaken]
        copies = 1
        for fault in struck:
            match fault:
                case Pad(size=size):
                    line = b"{" + b" " * size + line[1:]
                case Hold(seconds=seconds):
                    self._due = max(self._due, self._clock() + self._lag) + seconds
                case Duplicate(copies=more):
                    copies += more
        for _ in range(copies):
            self._put(line)
        for held in overtaken:
            if isinstance(held.fault, Reorder):
                self._tell(held.line)
        if frame.event in _CHANGES:
            self._told.append(line)
        for fault in struck:
            if isinstance(fault, Replay):
                for old in list(self._told)[-fault.events :]:
                    self._put(old)

    def _release(self, now: float | None = None) -> None:
        """Tell the events held back for too long, or all."""
        ready = [held for held in self._held if now is None or held.until <= now]
        self._held = [held for held in self._held if held not in ready]
        for held in ready:
            self._tell(held.line)

    def _tell(self, line: bytes) -> None:
        self._told.append(line)
        self._put(line)

    def _finish(self, fault: AnyFault, line: bytes = b"") -> None:
        self._release()
        match fault:
            case Silence():
                self._put(Hang())
            case Say():
                self._put(fault.line())
                self._put(Cut(b"", Ending.CLEAN))
            case Truncate(how=how):
                self._put(Cut(line[: max(1, len(line) // 2)], how))
            case End(how=how):
                self._put(Cut(b"", how))

    def _put(self, item: _Item) -> None:
        self._due = max(self._due, self._clock() + self._lag)
        self._queue.put_nowait((self._due, item))


async def _following(lines: AsyncIterator[bytes]) -> bytes | None:
    """The next line, None at the end."""
    return await anext(lines, None)
