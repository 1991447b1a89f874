"""Waiting for a condition on the outside world, with a deadline and a message that says what was seen last."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from hack.controlplane.errors import DeadlineError

__all__ = ["eventually"]

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]],
    within: float = ...,
    *,
    what: str = ...,
    retry_on: tuple[type[Exception], ...] = ...,
    interval: float = ...,
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T],
    within: float = ...,
    *,
    what: str = ...,
    retry_on: tuple[type[Exception], ...] = ...,
    interval: float = ...,
) -> T: ...


async def eventually(
    probe: Callable[[], Any],
    within: float = 30.0,
    *,
    what: str = "",
    retry_on: tuple[type[Exception], ...] = (AssertionError,),
    interval: float = 0.05,
) -> Any:
    """Calls ``probe`` until it returns something true, and returns that.

    Args:
        probe: A function or coroutine function. A false result, and an exception of ``retry_on``, mean "not yet".
        within: Seconds until giving up.
        what: What is waited for, for the message.
        retry_on: Exceptions that mean "not yet"; any other is raised at once.
        interval: Seconds between two calls.

    Raises:
        DeadlineError: it did not come true in time; the last exception, if any, is its cause.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        cause: Exception | None = None
        result: Any = None
        try:
            answer = probe()
            result = await answer if inspect.isawaitable(answer) else answer
        except retry_on as error:
            cause = error
        if result:
            return result
        if loop.time() >= deadline:
            seen = f"{type(cause).__name__}: {cause}" if cause else repr(result)
            name = what or getattr(probe, "__qualname__", "the condition")
            raise DeadlineError(f"{name} did not come true within {within:g} s; last seen: {seen}") from cause
        await asyncio.sleep(interval)
