"""Several processes on one virtual event loop, each of which can be stopped and continued like with SIGSTOP.

While a process is stopped none of its tasks takes a step, but time passes and the server works on. A timer that fires
meanwhile takes effect when the process continues, as it does for a real one.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """A process. ``start`` its main coroutine; everything that one starts belongs to the process, too."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._running = asyncio.Event()
        self._running.set()

    @property
    def stopped(self) -> bool:
        return not self._running.is_set()

    def stop(self) -> None:
        self._running.clear()

    def go_on(self) -> None:
        self._running.set()

    def start(self, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_factory)
        context = contextvars.copy_context()
        context.run(_current.set, self)
        return context.run(loop.create_task, main)

    @types.coroutine
    def steps(self, coro: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Drive a coroutine, but not while the process is stopped."""
        error: BaseException | None = None
        while True:
            while self.stopped:
                try:
                    yield from self._running.wait().__await__()
                except asyncio.CancelledError as cancelled:
                    error = cancelled
            try:
                waits_for = coro.send(None) if error is None else coro.throw(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a coroutine's value has no type at run time
            error = None
            try:
                yield waits_for
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is the coroutine's to handle
                error = raised


def _factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    process = _current.get() if context is None else context.get(_current)
    return asyncio.Task(coro if process is None else _drive(process, coro), loop=loop, **options)


async def _drive(process: Process, coro: Coroutine[Any, Any, T]) -> T:
    return await process.steps(coro)
