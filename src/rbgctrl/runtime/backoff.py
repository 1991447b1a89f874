"""How long to wait before a key is tried again: per key, exponential, spread, capped."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from rbgctrl.clock import Jitter, jitter

__all__ = ["Backoff"]

K = TypeVar("K", bound=Hashable)

_MOST_DOUBLINGS = 60  # 2**60 of anything is past every cap; keeps the arithmetic in small numbers


class Backoff(Generic[K]):
    """Delays of ``base`` x 2**n seconds after the n-th failure of a key, spread by ±``spread``, never above ``cap``.

    There is no limit across keys: one key's failures never delay another.

    Args:
        base: seconds after the first failure, before spreading.
        cap: no delay is longer, in seconds. The spread is kept at the cap: delays there lie in
            ``[cap * (1 - spread) / (1 + spread), cap]``.
        spread: share by which a delay is moved up or down at random, 0 to 1.
        jitter: source of randomness.
    """

    def __init__(
        self, *, base: float = 0.005, cap: float = 300.0, spread: float = 0.2, jitter: Jitter = jitter
    ) -> None:
        self._base = base
        self._cap = cap
        self._spread = spread
        self._jitter = jitter
        self._failures: dict[K, int] = {}

    def next(self, key: K) -> float:
        """Count one more failure of ``key`` and return the seconds to wait."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._base * 2.0 ** min(failures, _MOST_DOUBLINGS), self._cap / (1 + self._spread))
        return delay * (1 - self._spread + 2 * self._spread * self._jitter())

    def failures(self, key: K) -> int:
        """Failures of ``key`` since it was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key succeeded, or will not be tried again: start over."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)
