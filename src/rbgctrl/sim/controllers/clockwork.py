"""When controllers of the embedded cluster run: soon, later, and never again once the cluster has stopped."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["Agenda", "Clockwork", "Timer"]

K = TypeVar("K", bound=Hashable)

_BATCH = 32  # keys of one agenda between two turns of the loop, so that a server in real time stays responsive


class Timer:
    """Something that is going to happen; cancel it when it must not."""

    __slots__ = ("_clockwork", "_handle", "background")

    def __init__(self, clockwork: Clockwork, *, background: bool) -> None:
        self._clockwork = clockwork
        self._handle: asyncio.TimerHandle | None = None
        self.background = background

    def start(self, seconds: float, run: Callable[[], None]) -> None:
        """Run ``run`` after ``seconds``."""
        self._handle = self._clockwork.loop.call_later(seconds, run)

    @property
    def due(self) -> float:
        """When it happens, in loop time."""
        return self._handle.when() if self._handle is not None else 0.0

    def cancel(self) -> None:
        """Let it not happen; does nothing when it did."""
        if self._handle is not None:
            self._handle.cancel()
        self._clockwork.forget(self)


class Clockwork:
    """Every callback and timer of a cluster's controllers, so that they can be counted, stopped, and their errors kept.

    Args:
        loop: the loop they run on.

    Attributes:
        errors: what callbacks raised: always a defect of a controller, never lost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.errors: list[Exception] = []
        self.stopped = False
        self._soon = 0
        self._timers: set[Timer] = set()

    def soon(self, run: Callable[[], None]) -> None:
        """Run on the loop's next turn."""
        if self.stopped:
            return
        self._soon += 1

        def call() -> None:
            self._soon -= 1
            self._call(run)

        self.loop.call_soon(call)

    def later(self, seconds: float, run: Callable[[], None], *, background: bool = False) -> Timer:
        """Run after ``seconds``; ``background`` if nobody who waits for the cluster to settle waits for this."""
        timer = Timer(self, background=background)

        def call() -> None:
            self._timers.discard(timer)
            self._call(run)

        if not self.stopped:
            self._timers.add(timer)
            timer.start(seconds, call)
        return timer

    def forget(self, timer: Timer) -> None:
        """Count it no longer."""
        self._timers.discard(timer)

    @property
    def busy(self) -> bool:
        """Whether something is going to happen by itself, apart from what runs in the background."""
        return self._soon > 0 or any(not timer.background for timer in self._timers)

    @property
    def next_due(self) -> float:
        """When the next thing happens that is not in the background, in loop time; infinite when nothing does."""
        return min((timer.due for timer in self._timers if not timer.background), default=math.inf)

    def stop(self) -> None:
        """Nothing happens any more."""
        self.stopped = True
        for timer in tuple(self._timers):
            timer.cancel()

    def _call(self, run: Callable[[], None]) -> None:
        if self.stopped:
            return
        try:
            run()
        except Exception as error:  # noqa: BLE001 - kept, and raised by the cluster
            self.errors.append(error)


class Agenda(Generic[K]):
    """What one controller has to look at: each key once, soon after it was added, in order.

    Args:
        clockwork: when.
        look: looks at one key.
    """

    def __init__(self, clockwork: Clockwork, look: Callable[[K], Any]) -> None:
        self._clockwork = clockwork
        self._look = look
        self._keys: dict[K, None] = {}
        self._later: dict[K, Timer] = {}
        self._woken = False

    def add(self, key: K) -> None:
        """Look at a key soon."""
        self._keys[key] = None
        if not self._woken:
            self._woken = True
            self._clockwork.soon(self._run)

    def add_after(self, key: K, seconds: float, *, background: bool = False) -> None:
        """Look at a key after ``seconds``, unless an earlier moment is set already."""
        timer = self._later.get(key)
        if timer is not None:
            if timer.due <= self._clockwork.loop.time() + seconds:
                return
            timer.cancel()

        def ring() -> None:
            self._later.pop(key, None)
            self.add(key)

        self._later[key] = self._clockwork.later(seconds, ring, background=background)

    def drop(self, key: K) -> None:
        """Do not look at a key, neither soon nor later."""
        self._keys.pop(key, None)
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _run(self) -> None:
        self._woken = False
        for _ in range(_BATCH):
            if not self._keys:
                return
            key = next(iter(self._keys))
            del self._keys[key]
            try:
                self._look(key)
            except Exception:
                self._wake()
                raise
        self._wake()

    def _wake(self) -> None:
        if self._keys and not self._woken:
            self._woken = True
            self._clockwork.soon(self._run)
