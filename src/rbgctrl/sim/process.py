"""Several processes in one event loop: each can be killed or frozen as a whole, as by SIGKILL and SIGSTOP.

A process is every task started from within it, however deep. Killed, they end without a chance to write another word,
provided their transport is dead; frozen, none of them takes a step, while time and the others go on.

Example::

    process = Process("rbgctrl-0")
    process.start(manager.run)
    process.freeze()
    await asyncio.sleep(30)
    process.thaw()
    await process.kill()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, TypeVar

__all__ = ["Process"]

T = TypeVar("T")

_current: ContextVar[Process | None] = ContextVar("rbgctrl_sim_process", default=None)
_MOST_ROUNDS = 1000


class Process:
    """A part of the program that lives and dies as one.

    Args:
        name: for messages.

    Attributes:
        main: the task of what was started; None before.
        frozen: whether its tasks take no steps.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.main: asyncio.Task[Any] | None = None
        self._killed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.frozen = False
        self._stopped: list[asyncio.Future[None]] = []

    @property
    def running(self) -> bool:
        """Whether what was started has not ended."""
        return self.main is not None and not self.main.done()

    def start(self, main: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Run ``main`` in this process; call it on the loop."""
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not _make_task:
            loop.set_task_factory(_make_task)
        token = _current.set(self)
        try:
            task = loop.create_task(main(), name=self.name)
        finally:
            _current.reset(token)
        self.main = task
        return task

    def freeze(self) -> None:
        """Let no task of it take another step, until thawed."""
        self.frozen = True

    def thaw(self) -> None:
        """Let its tasks go on: to them, everything that happened meanwhile happens now."""
        self.frozen = False
        waiting, self._stopped = self._stopped, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def kill(self) -> None:
        """End all of its tasks in this instant of virtual time; call it from outside.

        Raises:
            RuntimeError: some task swallows every cancellation.
        """
        self._killed = True
        self.thaw()
        for _ in range(_MOST_ROUNDS):
            alive = [task for task in self._tasks if not task.done()]
            if not alive:
                return
            for task in alive:
                task.cancel()
            await asyncio.sleep(0)
        left = ", ".join(sorted(task.get_name() for task in self._tasks if not task.done()))
        msg = f"process {self.name} survives being killed: {left}"
        raise RuntimeError(msg)

    def halt(self) -> asyncio.Future[None]:
        """What a task waits for that may not take its next step."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped.append(future)
        return future

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take in a task that was started from within."""
        self._tasks.add(task)
        task.add_done_callback(self._bury)

    def _bury(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if self._killed and not task.cancelled():
            task.exception()  # looked at: what a dying process raised is nobody's business


class _Gate(Coroutine[Any, Any, Any]):
    """A coroutine that takes no step while its process is frozen. What was to come then comes at the thaw."""

    __slots__ = ("_coro", "_process", "_step")

    def __init__(self, coro: Coroutine[Any, Any, Any], process: Process) -> None:
        self._coro = coro
        self._process = process
        self._step: Callable[[], Any] | None = None

    def send(self, value: Any) -> Any:
        """Take the next step, or the one that has been waiting."""
        if self._process.frozen:
            self._step = self._step or (lambda: self._coro.send(value))
            return self._halt()
        step, self._step = self._step, None
        return self._coro.send(value) if step is None else step()

    def throw(self, error: Any, *more: Any) -> Any:
        """As :meth:`send`: a cancellation replaces the step that has been waiting."""
        if self._process.frozen:
            self._step = lambda: self._coro.throw(error, *more)
            return self._halt()
        self._step = None
        return self._coro.throw(error, *more)

    def close(self) -> None:
        """End it."""
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError("a task runs it; nobody awaits it")

    def _halt(self) -> Any:
        future = self._process.halt()
        future._asyncio_future_blocking = True  # noqa: SLF001 - how a task is told to wait
        return future


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None, **more: Any
) -> asyncio.Task[Any]:
    process = context.get(_current) if context is not None else _current.get()
    if process is None:
        return asyncio.Task(coro, loop=loop, context=context, **more)
    task: asyncio.Task[Any] = asyncio.Task(_Gate(coro, process), loop=loop, context=context, **more)
    process.adopt(task)
    return task
