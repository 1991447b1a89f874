"""Metrics of the webhooks, under the names Kubernetes controllers use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["WebhookMetrics"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CODES = ("200", "403", "500")


class WebhookMetrics:
    """Counts requests by path and outcome.

    Args:
        registry: where the metrics are registered.
        paths: what is served; their series start at 0.
    """

    def __init__(self, registry: CollectorRegistry, paths: tuple[str, ...]) -> None:
        self._total = Counter(
            "controller_runtime_webhook_requests_total",
            "Requests by outcome: 200, or the code the answer refuses with.",
            ["webhook", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "controller_runtime_webhook_latency_seconds",
            "How long an answer took.",
            ["webhook"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._flying = Gauge(
            "controller_runtime_webhook_requests_in_flight",
            "Requests being answered.",
            ["webhook"],
            registry=registry,
        )
        self._expiry = Gauge(
            "rbgctrl_webhook_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires, in seconds since 1970; 0 before there is one.",
            registry=registry,
        )
        for path in paths:
            self._seconds.labels(path)
            self._flying.labels(path)
            for code in _CODES:
                self._total.labels(path, code)

    @contextmanager
    def request(self, path: str, clock: Callable[[], float]) -> Iterator[Callable[[int], None]]:
        """Observe one request; call what it gives with the outcome's code. Without that it counts as 500."""
        outcome, start = [500], clock()
        self._flying.labels(path).inc()
        try:
            yield outcome.append
        finally:
            self._flying.labels(path).dec()
            self._seconds.labels(path).observe(clock() - start)
            self._total.labels(path, str(outcome[-1])).inc()

    def expiry(self, timestamp: float) -> None:
        """The certificate in use ends then."""
        self._expiry.set(timestamp)
