from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client import errors
from rbgctrl.client.client import Client
from rbgctrl.client.limiter import RateLimit, RateLimiter
from rbgctrl.client.observe import Exchange
from rbgctrl.client.retry import Retrying, RetryPolicy, repeatable
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb
from rbgctrl.sim.loop import run

KEY = Key("ns", "a")
CONNECT = errors.ConnectError("refused", reason="refused")
BUSY = errors.TooManyRequestsError(429)
DOWN = errors.UnavailableError(503)
COMING = errors.UnavailableError(503, retry_after=2)
FAILED = errors.InternalServerError(500)
GATEWAY = errors.InternalServerError(502)
LATE = errors.ServerTimeoutError(504, retry_after=1)

NEVER = [
    errors.CertificateError("untrusted"),
    errors.ConnectError("closed", reason="closed"),
    errors.UnknownOutcomeError("lost"),
    errors.ResponseError("html"),
    errors.ConfigError("plugin"),
    errors.BadRequestError(400),
    errors.UnauthorizedError(401),
    errors.ForbiddenError(403),
    errors.NotFoundError(404),
    errors.ConflictError(409),
    errors.AlreadyExistsError(409),
    errors.GoneError(410),
    errors.InvalidError(422),
]


class Server:
    """Raises the given errors in turn, then succeeds; notes when it was asked."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.times: list[float] = []

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.times.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        return ApiResponse(status=200, body=b'{"metadata":{"name":"a"}}')

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        raise self.failures.pop(0)
        yield

    async def close(self) -> None:
        pass


class Told:
    def __init__(self) -> None:
        self.codes: list[tuple[str, str]] = []

    def exchanged(self, exchange: Exchange) -> None:
        raise AssertionError

    def retried(self, request: ApiRequest, host: str, code: str) -> None:
        self.codes.append((host, code))

    def limited(self, request: ApiRequest, host: str, seconds: float) -> None:
        raise AssertionError


def client(server: Server, *, jitter: float = 1.0, **options: Any) -> Client:
    return Client(Retrying(server, jitter=lambda: jitter, **options))


@pytest.mark.parametrize("error", [CONNECT, BUSY, DOWN, COMING, FAILED, GATEWAY, LATE])
def test_a_read_is_repeated_when_that_may_help(error: Exception) -> None:
    server = Server(error, error)
    assert run(client(server).get(ConfigMap, KEY)).key.name == "a"
    assert len(server.times) == 3


@pytest.mark.parametrize("error", [CONNECT, BUSY, COMING])
@pytest.mark.parametrize("verb", ["patch", "delete", "apply", "replace"])
def test_a_write_is_repeated_when_it_surely_was_not_committed(verb: str, error: Exception) -> None:
    server = Server(error)
    body: dict[str, Any] = {} if verb == "delete" else {"body": {}}
    run(getattr(client(server), verb)(ConfigMap, KEY, **body))
    assert len(server.times) == 2


@pytest.mark.parametrize("error", [DOWN, FAILED, GATEWAY, LATE])
def test_a_write_that_may_have_been_committed_is_never_repeated(error: Exception) -> None:
    for verb in (Verb.CREATE, Verb.UPDATE, Verb.PATCH, Verb.APPLY, Verb.DELETE):
        assert not repeatable(ApiRequest(verb=verb, method="X", path="/"), error)
    server = Server(error)
    with pytest.raises(type(error)):
        run(client(server).delete(ConfigMap, KEY, uid="u"))
    assert len(server.times) == 1


@pytest.mark.parametrize("error", NEVER, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("verb", Verb)
def test_what_repeating_cannot_help_is_raised_at_once(verb: Verb, error: Exception) -> None:
    assert not repeatable(ApiRequest(verb=verb, method="X", path="/"), error)


def test_delays_double_and_are_half_random() -> None:
    for jitter, expected in ((1.0, [0.0, 0.1, 0.3, 0.7]), (0.0, [0.0, 0.05, 0.15, 0.35])):
        server = Server(CONNECT, CONNECT, CONNECT)
        run(client(server, jitter=jitter).get(ConfigMap, KEY))
        assert server.times == pytest.approx(expected)


def test_the_last_error_is_raised_after_four_attempts() -> None:
    last = errors.InternalServerError(500, message="the last")
    server = Server(CONNECT, BUSY, DOWN, last, CONNECT)
    with pytest.raises(errors.InternalServerError, match="the last") as caught:
        run(client(server).get(ConfigMap, KEY))
    assert caught.value is last
    assert len(server.times) == 4


def test_the_server_decides_how_long_to_wait() -> None:
    server = Server(errors.TooManyRequestsError(429, retry_after=7), errors.UnavailableError(503, retry_after=0))
    run(client(server, jitter=1.0).patch(ConfigMap, KEY, {}))
    assert server.times == pytest.approx([0, 7.1, 7.3])


def test_a_wait_that_would_be_too_long_is_an_error_at_once() -> None:
    server = Server(errors.TooManyRequestsError(429, retry_after=8), errors.TooManyRequestsError(429, retry_after=8))
    with pytest.raises(errors.TooManyRequestsError):
        run(client(server).get(ConfigMap, KEY))
    assert server.times == pytest.approx([0, 8.1])  # the second wait would have ended after 15 s


def test_time_spent_in_attempts_counts() -> None:
    class Slow(Server):
        async def send(self, request: ApiRequest) -> ApiResponse:
            await asyncio.sleep(10)
            return await super().send(request)

    server = Slow(CONNECT, CONNECT, CONNECT)
    with pytest.raises(errors.ConnectError):
        run(client(server).get(ConfigMap, KEY))
    assert server.times == pytest.approx([10, 20.1])


def test_a_later_error_that_must_not_be_repeated_ends_it() -> None:
    server = Server(CONNECT, errors.UnknownOutcomeError("lost"), CONNECT)
    with pytest.raises(errors.UnknownOutcomeError):
        run(client(server).patch(ConfigMap, KEY, {}))
    assert len(server.times) == 2


def test_a_crash_and_a_cancellation_pass_through() -> None:
    class Crash(BaseException):
        pass

    server = Server(CONNECT, Crash())
    with pytest.raises(Crash):
        run(client(server).get(ConfigMap, KEY))

    async def cancelled_while_waiting() -> None:
        task = asyncio.create_task(client(Server(COMING, COMING)).get(ConfigMap, KEY))
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(cancelled_while_waiting())


def test_the_observer_is_told_before_each_repetition() -> None:
    told = Told()
    run(client(Server(CONNECT, BUSY), observer=told, host="h:1").get(ConfigMap, KEY))
    assert told.codes == [("h:1", "<error>"), ("h:1", "429")]


def test_a_watch_is_opened_once() -> None:
    server = Server(CONNECT, CONNECT)

    async def watch() -> None:
        async with client(server).watch(ConfigMap, timeout_seconds=1):
            pass

    with pytest.raises(errors.ConnectError):
        run(watch())
    assert len(server.failures) == 1


def test_the_sleep_is_replaceable() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    policy = RetryPolicy(attempts=3, first_delay=1, longest_delay=1.5)
    asyncio.run(client(Server(CONNECT, CONNECT), policy=policy, sleep=sleep).get(ConfigMap, KEY))
    assert slept == [1, 1.5]


@given(
    st.lists(st.floats(min_value=0, max_value=3), max_size=30),
    st.floats(min_value=0.5, max_value=20),
    st.integers(min_value=1, max_value=8),
)
def test_a_limiter_lets_at_most_burst_plus_rate_pass_in_any_period(gaps: list[float], qps: float, burst: int) -> None:
    passed: list[float] = []

    async def main() -> None:
        limiter = RateLimiter(RateLimit(qps=qps, burst=burst))

        async def one() -> None:
            await limiter.wait()
            passed.append(asyncio.get_running_loop().time())

        async with asyncio.TaskGroup() as group:
            for gap in gaps:
                await asyncio.sleep(gap)
                group.create_task(one())

    run(main())
    assert passed == sorted(passed)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            allowed = burst + qps * (passed[last] - passed[first])
            assert last - first + 1 <= allowed + 1e-6


def test_a_limiter_says_how_long_it_held_a_request_up() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(RateLimit(qps=2, burst=2))
        return list(await asyncio.gather(*(limiter.wait() for _ in range(4))))

    assert run(main()) == [0, 0, 0.5, 1.0]


@pytest.mark.parametrize(("qps", "burst"), [(0, 1), (-1, 1), (5, 0)])
def test_a_limit_that_would_stop_everything_is_refused(qps: float, burst: int) -> None:
    with pytest.raises(ValueError, match="leave the limit out"):
        RateLimit(qps=qps, burst=burst)
