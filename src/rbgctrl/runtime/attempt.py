"""One run of a reconciler, fenced off: nothing it does reaches the worker but its outcome.

Each run is a task of its own. A worker that awaited the coroutine itself could not tell its own cancellation from one
the coroutine brought upon itself: before Python 3.13 a ``TaskGroup`` whose child failed leaves the surrounding task
marked as being cancelled. The cost is the same; the run gets its own logging context for free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["ReconcileTimeoutError", "StrayCancellationError", "attempt"]

T = TypeVar("T")


class ReconcileTimeoutError(Exception):
    """A reconcile did not end within ``ControllerOptions.timeout`` and was cancelled; it is tried again.

    Its cause shows where it was waiting.
    """


class StrayCancellationError(Exception):
    """Something a reconciler awaited was cancelled though nobody cancelled the reconcile; it is tried again."""


async def attempt(work: Coroutine[Any, Any, T], *, timeout: float | None, name: str) -> T | Exception:  # noqa: ASYNC109 - the caller's own timeout would be its cancellation
    """Run ``work`` to its end and return what came of it.

    Args:
        work: what to run.
        timeout: seconds after which it is cancelled; None for no limit.
        name: of its task.

    Returns:
        Its result, or the exception it raised; a :class:`ReconcileTimeoutError` when it was late, unless it still
        returned a result.

    Raises:
        CancelledError: the caller was cancelled; ``work`` was cancelled too and has ended.
        BaseException: ``work`` raised what is no ``Exception``.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    late, interrupt = False, None
    while not task.done():
        try:
            await _end_of(task, None if late or interrupt else timeout)
        except asyncio.CancelledError as error:
            interrupt = error
            task.cancel()
        else:
            if not task.done():
                late = True
                task.cancel()
    cause = _cancellation(task) if task.cancelled() else task.exception()
    if cause is not None and not isinstance(cause, asyncio.CancelledError | Exception):
        raise cause
    if interrupt is not None:
        raise interrupt
    if cause is None:
        return task.result()
    if late:
        failure: Exception = ReconcileTimeoutError(f"not finished after {timeout:g} s")
    elif isinstance(cause, asyncio.CancelledError):
        failure = StrayCancellationError("something the reconciler awaited was cancelled")
    else:
        return cause
    failure.__cause__ = cause
    return failure


def _cancellation(task: asyncio.Task[Any]) -> BaseException | None:
    """What ended a cancelled task, with the traceback of where it was."""
    try:
        task.result()
    except asyncio.CancelledError as error:
        return error
    return None


async def _end_of(task: asyncio.Task[Any], seconds: float | None) -> None:
    """Return when the task has ended or the time is up. As ``asyncio.wait``, at half the cost."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = None if seconds is None else loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        task.remove_done_callback(wake)
        if timer is not None:
            timer.cancel()
