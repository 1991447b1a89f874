"""Repeating requests that are safe to repeat, and no others.

Reads are repeated when the connection failed or the server is unwell. A write is repeated only when it surely was not
committed: the connection failed before it was sent, or the server turned it away (429, or 503 that says when to come
back). ``Retry-After`` is honoured; when the wait would be too long, the error is raised at once instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from rbgctrl.client.errors import (
    ApiError,
    ApiStatusError,
    CertificateError,
    ConnectError,
    InternalServerError,
    ServerTimeoutError,
    TooManyRequestsError,
    UnavailableError,
)
from rbgctrl.client.observe import ClientObserver, Silent
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Transport
from rbgctrl.clock import Jitter, jitter

__all__ = ["RetryPolicy", "Retrying", "repeatable"]

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long.

    Attributes:
        attempts: at most, the first included.
        seconds: from the first attempt to the start of the last, at most.
        first_delay: before the second attempt; doubles each time, half of it random.
        longest_delay: at most, unless the server asks for more.
    """

    attempts: int = 4
    seconds: float = 15.0
    first_delay: float = 0.1
    longest_delay: float = 5.0


def repeatable(request: ApiRequest, error: BaseException) -> bool:
    """Whether sending ``request`` again after ``error`` is safe and may help. A table, not a guess."""
    match error:
        case CertificateError():
            return False
        case ConnectError():
            return error.reason != "closed"
        case TooManyRequestsError():
            return True
        case UnavailableError() if request.verb.writes:
            return error.retry_after is not None
        case UnavailableError() | ServerTimeoutError() | InternalServerError():
            return not request.verb.writes
    return False


class Retrying:
    """A transport that repeats what is safe to repeat. Watches are opened once: their owner has its own backoff.

    Args:
        inner: the transport to wrap.
        policy: how often and how long.
        host: ``host:port``, for the observer.
        observer: told before each repetition.
        sleep: how to wait; replaced in tests.
        jitter: randomness of the delays.
    """

    def __init__(
        self,
        inner: Transport,
        policy: RetryPolicy | None = None,
        *,
        host: str = "",
        observer: ClientObserver | None = None,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = jitter,
    ) -> None:
        self.inner = inner
        self._policy = policy or RetryPolicy()
        self._host = host
        self._observer = observer or Silent()
        self._sleep = sleep
        self._jitter = jitter

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request, again if that is safe. Raises the last error."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await self.inner.send(request)
        except ApiError as error:  # the machinery below costs as much as a request, so only failures pay for it
            if not repeatable(request, error):
                raise
            return await self._again(request, error, started)

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch, once."""
        return self.inner.stream(request)

    async def close(self) -> None:
        """Close the transport inside."""
        await self.inner.close()

    async def _again(self, request: ApiRequest, failure: ApiError, started: float) -> ApiResponse:
        first: ApiError | None = failure

        async def attempt() -> ApiResponse:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self.inner.send(request)

        def enough(state: RetryCallState) -> bool:
            next_start = asyncio.get_running_loop().time() - started + state.upcoming_sleep
            return state.attempt_number >= self._policy.attempts or next_start > self._policy.seconds

        def tell(state: RetryCallState) -> None:
            error = _failure(state)
            code = str(error.status) if isinstance(error, ApiStatusError) else "<error>"
            self._observer.retried(request, self._host, code)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: repeatable(request, error)),
            wait=self._delay,
            stop=enough,
            before_sleep=tell,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(attempt)

    def _delay(self, state: RetryCallState) -> float:
        policy = self._policy
        delay = min(policy.first_delay * 2.0 ** (state.attempt_number - 1), policy.longest_delay)
        delay *= 0.5 + 0.5 * self._jitter()
        error = _failure(state)
        asked = error.retry_after if isinstance(error, ApiStatusError) else None
        # A little more than asked, so that all who were turned away do not come back in the same instant.
        return delay if asked is None else asked + delay


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
