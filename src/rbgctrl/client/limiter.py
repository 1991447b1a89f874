"""A client-side limit of requests per second, for those who want one; off by default."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["RateLimit", "RateLimiter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A token bucket: ``burst`` requests at once, then ``qps`` a second. Raises ValueError unless both are positive."""

    qps: float
    burst: int

    def __post_init__(self) -> None:
        if self.qps <= 0 or self.burst < 1:
            raise ValueError("qps must be positive and burst at least 1; leave the limit out for none")


class RateLimiter:
    """Lets requests pass in the order they came, each at its own moment."""

    def __init__(self, limit: RateLimit, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._interval = 1.0 / limit.qps
        self._slack = self._interval * (limit.burst - 1)
        self._sleep = sleep
        self._next = float("-inf")

    async def wait(self) -> float:
        """Wait for the turn; returns the seconds waited."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now - self._slack)
        self._next = turn + self._interval
        delay = turn - now
        if delay <= 0:
            return 0.0
        await self._sleep(delay)
        return delay
