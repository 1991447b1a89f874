"""Virtual time for asyncio: sleeping costs nothing, and a deadlock is an exception.

The event loop's selector jumps the clock to the next timer whenever nothing else can run. Real file descriptors are
still served, so a loopback server works, but a test that only waits for time finishes at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["DeadlockError", "VirtualLoop", "run", "virtual"]

P = ParamSpec("P")
T = TypeVar("T")


class DeadlockError(RuntimeError):
    """Nothing can ever run again: no timer, no ready callback, no file descriptor to wait for."""


class _JumpingSelector(selectors.DefaultSelector):
    """Answers a timed wait at once and moves the loop's clock forward instead, unless I/O is ready."""

    def __init__(self, io_grace: float) -> None:
        super().__init__()
        self.now = 0.0
        self.io_grace = io_grace

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        sockets = self.io_grace > 0 and len(self.get_map()) > 1
        ready = super().select(min(self.io_grace, timeout or 0.0) if sockets else 0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            if len(self.get_map()) <= 1:  # only the loop's own wake-up pipe
                msg = "every task waits for another and no timer is set"
                raise DeadlockError(msg)
            return super().select(None)
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` is virtual and starts at 0.

    Args:
        io_grace: real seconds to wait for open sockets before the clock jumps; enough for a server in the same loop.

    Attributes:
        virtual: True, for code that measures real time and has nothing to do here.
    """

    virtual = True

    def __init__(self, io_grace: float = 0.0) -> None:
        self._jumping = _JumpingSelector(io_grace)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


def run(main: Coroutine[Any, Any, T], *, io_grace: float = 0.0) -> T:
    """Run a coroutine to its end in virtual time; ``io_grace`` as of :class:`VirtualLoop`."""
    with asyncio.Runner(loop_factory=functools.partial(VirtualLoop, io_grace)) as runner:
        return runner.run(main)


def virtual(main: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Decorator: a coroutine function becomes a plain one that runs in virtual time, e.g. as a test of pytest."""

    @functools.wraps(main)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(main(*args, **kwargs))

    return call
