"""Runs of a reconciler, fenced off: nothing a run does reaches its worker or a later run but its outcome.

Runs of a worker share a task as long as they leave no trace in it; a task for each would cost several times what a run
costs that finds nothing to do. A trace is a cancellation that was not taken back (before Python 3.13, a ``TaskGroup``
whose child failed and an ``asyncio.timeout`` can leave one) or a context variable that was left changed. After such a
run the worker goes on in a new task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

__all__ = ["ReconcileTimeoutError", "Shift", "StrayCancellationError"]

T = TypeVar("T")
A = TypeVar("A")


class ReconcileTimeoutError(Exception):
    """A reconcile did not end within ``ControllerOptions.timeout`` and was cancelled; it is tried again.

    Its cause shows where it was waiting.
    """


class StrayCancellationError(Exception):
    """Something a reconciler awaited was cancelled though nobody cancelled the reconcile; it is tried again."""


class Shift:
    """One task of a worker, in which it makes runs until one of them leaves a trace.

    Args:
        timeout: seconds after which a run is cancelled; None for no limit.

    Attributes:
        over: a run has left a trace: the task must end now, without awaiting anything more.
    """

    def __init__(self, timeout: float | None) -> None:
        self.over = False
        self._timeout = timeout
        self._task: asyncio.Task[Any] | None = None
        self._deadline: float | None = None  # of the present run
        self._timer: asyncio.TimerHandle | None = None  # rings at the deadline of some run, rarely the present one's
        self._late = False
        self._interrupted = False

    async def serve(self, work: Callable[[Shift], Coroutine[Any, Any, bool]], name: str) -> bool:
        """Run ``work``, which calls :meth:`run` until the shift is :attr:`over`, in a task of its own.

        Between two runs it must await something, so that a cancellation which a run left pending strikes there.

        Returns:
            What ``work`` returned; False when such a cancellation ended it.

        Raises:
            CancelledError: the caller was cancelled; ``work`` was cancelled too and has ended.
            BaseException: ``work`` raised what is no ``Exception``.
        """
        task = self._task = asyncio.create_task(work(self), name=name)
        interrupt: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                interrupt, self._interrupted = error, True
                task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        more = False if task.cancelled() else task.result()
        if interrupt is not None:
            raise interrupt
        return more

    async def run(self, reconcile: Callable[[A], Coroutine[Any, Any, T]], argument: A) -> T | Exception:
        """Make one run, and return what came of it.

        Returns:
            Its result, or the exception it raised; a :class:`ReconcileTimeoutError` when it was late, unless it still
            returned a result.

        Raises:
            CancelledError: the shift was cancelled; the run has ended.
            BaseException: the run raised what is no ``Exception``.
        """
        context = copy_context()
        if self._timeout is not None:
            self._set_deadline(self._timeout)
        outcome: T | Exception
        try:
            outcome = await reconcile(argument)
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - from here on a failure is a value
            outcome = self._failure(error)
        finally:
            self._deadline = None
        if self._interrupted:  # whatever the run made of it
            raise asyncio.CancelledError
        if self._late or self._cancelled() or copy_context() != context:
            self.over = True
        return outcome

    def _failure(self, cause: asyncio.CancelledError | Exception) -> Exception:
        """What a run ended by ``cause`` has come to."""
        failure: Exception
        if self._late:
            failure = ReconcileTimeoutError(f"not finished after {self._timeout:g} s")
        elif isinstance(cause, asyncio.CancelledError):
            failure = StrayCancellationError("something the reconciler awaited was cancelled")
        else:
            return cause
        failure.__cause__ = cause
        return failure

    def _cancelled(self) -> bool:
        """Whether a cancellation of the task was not taken back."""
        return self._task is not None and self._task.cancelling() > 0

    # One timer for many runs: most end long before their time, and a timer for each would cost more than they do.

    def _set_deadline(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = deadline = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None or self._task is None:
            return
        loop = self._task.get_loop()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._ring)
            return
        self._late = True
        self._task.cancel()
