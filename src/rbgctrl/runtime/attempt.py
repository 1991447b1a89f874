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
    worker = asyncio.current_task()
    assert worker is not None  # noqa: S101 - a coroutine runs in a task
    cancellations = worker.cancelling()
    loop = asyncio.get_running_loop()
    task = loop.create_task(work, name=name)
    late = False

    def expire() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = None if timeout is None else loop.call_later(timeout, expire)
    interrupt: BaseException | None = None
    try:
        # Cancelling a worker that waits here cancels the task, and the worker goes on only once that has ended.
        await task
    except asyncio.CancelledError as error:
        interrupt = error
    except Exception:  # noqa: BLE001, S110 - read from the task below, once it is known who was cancelled
        pass
    finally:
        if timer is not None:
            timer.cancel()
    if worker.cancelling() > cancellations:
        if task.done() and not task.cancelled():
            task.exception()  # seen; the cancellation is what counts
        raise interrupt or asyncio.CancelledError
    return _outcome(task, interrupt, timeout if late else None)


def _outcome(task: asyncio.Task[T], cancellation: BaseException | None, late: float | None) -> T | Exception:
    """What came of a task that has ended: cancelled as ``cancellation`` shows, or ``late`` by that timeout."""
    cause = (cancellation or _cancellation(task)) if task.cancelled() else task.exception()
    if cause is None:
        return task.result()
    if late is not None:
        failure: Exception = ReconcileTimeoutError(f"not finished after {late:g} s")
    elif isinstance(cause, asyncio.CancelledError):
        failure = StrayCancellationError("something the reconciler awaited was cancelled")
    elif isinstance(cause, Exception):
        return cause
    else:
        raise cause
    failure.__cause__ = cause
    return failure


def _cancellation(task: asyncio.Task[Any]) -> BaseException | None:
    """What ended a cancelled task, with the traceback of where it was."""
    try:
        task.result()
    except asyncio.CancelledError as error:
        return error
    return None
