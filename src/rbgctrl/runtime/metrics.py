"""Prometheus metrics, under the names Kubernetes controllers use, so that existing dashboards and alerts work.

What is counted as it happens comes through the observers of the layers below; what can be read at any time (depths,
sizes, ages) is read when somebody scrapes, and costs nothing in between. Every label set that is known beforehand
starts at 0, so that ``rate()`` sees the first error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from rbgctrl.client.observe import ClientObserver, Exchange
from rbgctrl.client.transport import ApiRequest
from rbgctrl.informers.source import InformerObserver
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.observers import BarrierObserver, ControllerObserver, Outcome, QueueObserver
from rbgctrl.runtime.queue import QueueStatistics
from rbgctrl.runtime.recorder import RecorderStatistics
from rbgctrl.runtime.result import Priority
from rbgctrl.runtime.scraped import InformerNumbers, LineSizes, Measured, RecorderNumbers
from rbgctrl.version import __version__

__all__ = ["Metrics"]

K = TypeVar("K")
V = TypeVar("V")

_QUEUE_SECONDS = tuple(1e-8 * 10**power for power in range(12))
_RECONCILE_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
_REQUEST_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_BYTES = (64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)
_SHORT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_WAIT_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class _Children(dict[K, V]):
    """Children of a metric by what identifies them, made at first use; a lookup costs a dictionary access."""

    def __init__(self, make: Callable[[K], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: K) -> V:
        child = self[key] = self._make(key)
        return child


class Metrics:
    """All metrics of one manager, in a registry of their own.

    Args:
        registry: where they are registered; a new one by default. An embedder may add his own metrics to it.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.client: ClientObserver = _ClientMetrics(self.registry)
        sizes = LineSizes()
        self.registry.register(sizes)
        self.informers: InformerObserver = sizes
        self._queues = _QueueFamilies(self.registry)
        self._controllers = _ControllerFamilies(self.registry)
        self._barriers = _BarrierFamilies(self.registry)
        self._leader = Gauge(
            "leader_election_master_status",
            "Whether this process leads: 1 or 0.",
            ["name"],
            registry=self.registry,
        )
        self._lag = Histogram(
            "rbgctrl_loop_lag_seconds",
            "By how much a timer of the event loop was late.",
            buckets=_SHORT_SECONDS,
            registry=self.registry,
        )
        pauses = Histogram(
            "rbgctrl_gc_pause_seconds",
            "Time a garbage collection took.",
            ["generation"],
            buckets=_SHORT_SECONDS,
            registry=self.registry,
        )
        self._pauses = tuple(pauses.labels(str(generation)) for generation in range(3))
        build = Gauge("rbgctrl_build_info", "Always 1; the version is a label.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)

    # -- bound by the manager ----------------------------------------------------------------------------------------

    def controller(self, controller: Controller) -> None:
        """Observe a controller, its queue and its barrier from now on."""
        name = controller.name
        queue = controller.queue
        queue.observer = self._queues.bind(name, queue.statistics)
        controller.observer = self._controllers.bind(name, controller.options.workers)
        if controller.barrier is not None:
            self.barrier(name, controller.barrier)

    def barrier(self, name: str, barrier: Barrier) -> None:
        """Observe a barrier under the name of its controller."""
        barrier.observer = self._barriers.bind(name)

    def caches(self, informers: Callable[[], Iterable[Measured]]) -> None:
        """Read sizes, ages and counts of informers at each scrape."""
        self.registry.register(InformerNumbers(informers))

    def recorder(self, statistics: Callable[[], RecorderStatistics]) -> None:
        """Read what became of events at each scrape."""
        self.registry.register(RecorderNumbers(statistics))

    def election(self, name: str, leading: Callable[[], bool]) -> None:
        """Ask at each scrape whether this process leads."""
        self._leader.labels(name).set_function(lambda: float(leading()))

    def lag(self, seconds: float) -> None:
        """The loop was late."""
        self._lag.observe(seconds)

    def gc_pause(self, generation: int, seconds: float) -> None:
        """A collection ended."""
        self._pauses[generation].observe(seconds)

    # -- out ---------------------------------------------------------------------------------------------------------

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """The page for a scraper.

        Args:
            accept: its ``Accept`` header; decides between the text and the OpenMetrics format.

        Returns:
            Body and content type.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


class _QueueFamilies:
    """``workqueue_*``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["name", "controller"]

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, labels, buckets=_QUEUE_SECONDS, registry=registry)

        self.depth = Gauge("workqueue_depth", "Keys ready to run.", [*labels, "priority"], registry=registry)
        self.adds = Counter("workqueue_adds_total", "Keys that became ready.", labels, registry=registry)
        self.retries = Counter("workqueue_retries_total", "Keys scheduled for later.", labels, registry=registry)
        self.waited = histogram("workqueue_queue_duration_seconds", "How long a ready key waited for a worker.")
        self.worked = histogram("workqueue_work_duration_seconds", "How long a worker held a key.")
        self.unfinished = Gauge(
            "workqueue_unfinished_work_seconds",
            "How long work that is under way has been going on, summed over workers.",
            labels,
            registry=registry,
        )
        self.longest = Gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the longest work under way has been going on.",
            labels,
            registry=registry,
        )

    def bind(self, name: str, statistics: Callable[[], QueueStatistics]) -> QueueObserver:
        for priority in Priority:
            depth = self.depth.labels(name, name, str(priority.value))
            depth.set_function(lambda priority=priority: float(statistics().depth.get(priority, 0)))  # type: ignore[misc]  # a default is how a loop variable is kept
        self.unfinished.labels(name, name).set_function(lambda: statistics().unfinished_seconds)
        self.longest.labels(name, name).set_function(lambda: statistics().longest_running_seconds)
        return _QueueMetrics(self, name)


class _QueueMetrics(QueueObserver):
    def __init__(self, families: _QueueFamilies, name: str) -> None:
        self._adds = families.adds.labels(name, name)
        self._retries = families.retries.labels(name, name)
        self._waited = families.waited.labels(name, name)
        self._worked = families.worked.labels(name, name)

    def added(self, priority: Priority) -> None:  # noqa: ARG002 - depth by priority is read from the statistics
        self._adds.inc()

    def retried(self) -> None:
        self._retries.inc()

    def got(self, priority: Priority, waited: float) -> None:  # noqa: ARG002 - as above
        self._waited.observe(waited)

    def finished(self, seconds: float) -> None:
        self._worked.observe(seconds)


class _ControllerFamilies:
    """``controller_runtime_*``."""

    RESULTS = ("success", "error", "requeue", "requeue_after")

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(name, text, ["controller", *more], registry=registry)

        self.total = counter("controller_runtime_reconcile_total", "Reconciles by result.", "result")
        self.errors = counter("controller_runtime_reconcile_errors_total", "Reconciles that failed.")
        self.terminal = counter(
            "controller_runtime_terminal_reconcile_errors_total", "Reconciles that failed and are not repeated."
        )
        self.panics = counter("controller_runtime_reconcile_panics_total", "Reconciles that ended a worker.")
        self.timeouts = counter("controller_runtime_reconcile_timeouts_total", "Reconciles that took too long.")
        self.handlers = counter("rbgctrl_handler_failures_total", "Changes that woke nobody, because a handler raised.")
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long a reconcile took.",
            ["controller"],
            buckets=_RECONCILE_SECONDS,
            registry=registry,
        )
        self.workers = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers.", ["controller"], registry=registry
        )
        self.active = Gauge(
            "controller_runtime_active_workers", "Workers that reconcile now.", ["controller"], registry=registry
        )

    def bind(self, name: str, workers: int) -> ControllerObserver:
        self.workers.labels(name).set(workers)
        return _ControllerMetrics(self, name)


class _ControllerMetrics(ControllerObserver):
    def __init__(self, families: _ControllerFamilies, name: str) -> None:
        results = {result: families.total.labels(name, result) for result in families.RESULTS}
        errors, terminal = families.errors.labels(name), families.terminal.labels(name)
        panics, timeouts = families.panics.labels(name), families.timeouts.labels(name)
        self._counters = {
            Outcome.SUCCESS: (results["success"],),
            Outcome.REQUEUE_AFTER: (results["requeue_after"],),
            Outcome.ERROR: (results["error"], errors),
            Outcome.TERMINAL: (results["error"], errors, terminal),
            Outcome.TIMEOUT: (results["error"], errors, timeouts),
            Outcome.PANIC: (results["error"], errors, panics),
            Outcome.CANCELLED: (),
        }
        self._active = families.active.labels(name)
        self._seconds = families.seconds.labels(name)
        self._handlers = families.handlers.labels(name)

    def reconcile_started(self) -> None:
        self._active.inc()

    def reconcile_finished(self, outcome: Outcome, seconds: float) -> None:
        self._active.dec()
        self._seconds.observe(seconds)
        for counter in self._counters[outcome]:
            counter.inc()

    def handler_failed(self) -> None:
        self._handlers.inc()


class _BarrierFamilies:
    """``rbgctrl_barrier_*``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["controller"]
        self.parked = Gauge(
            "rbgctrl_barrier_parked", "Keys that wait for the cache to show their writes.", labels, registry=registry
        )
        self.waited = Histogram(
            "rbgctrl_barrier_wait_seconds",
            "How long a key was parked.",
            labels,
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        self.timeouts = Counter(
            "rbgctrl_barrier_timeouts_total",
            "Keys parked so long that their objects were read from the server.",
            labels,
            registry=registry,
        )

    def bind(self, name: str) -> BarrierObserver:
        return _BarrierMetrics(self, name)


class _BarrierMetrics(BarrierObserver):
    def __init__(self, families: _BarrierFamilies, name: str) -> None:
        self._parked = families.parked.labels(name)
        self._waited = families.waited.labels(name)
        self._timeouts = families.timeouts.labels(name)

    def parked(self) -> None:
        self._parked.inc()

    def woken(self, seconds: float) -> None:
        self._parked.dec()
        self._waited.observe(seconds)

    def timed_out(self) -> None:
        self._timeouts.inc()


class _ClientMetrics:
    """``rest_client_*``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, buckets: Iterable[float]) -> _Children[tuple[str, str], Any]:
            family = Histogram(name, text, ["verb", "host"], buckets=tuple(buckets), registry=registry)
            return _Children(lambda key: family.labels(*key))

        requests = Counter(
            "rest_client_requests_total", "HTTP requests by outcome.", ["code", "method", "host"], registry=registry
        )
        retries = Counter(
            "rest_client_request_retries_total", "Repetitions by cause.", ["code", "verb", "host"], registry=registry
        )
        self._requests: _Children[tuple[str, str, str], Counter] = _Children(lambda key: requests.labels(*key))
        self._retries: _Children[tuple[str, str, str], Counter] = _Children(lambda key: retries.labels(*key))
        self._seconds = histogram("rest_client_request_duration_seconds", "Latency of requests.", _REQUEST_SECONDS)
        self._sent = histogram("rest_client_request_size_bytes", "Size of request bodies.", _BYTES)
        self._received = histogram("rest_client_response_size_bytes", "Size of response bodies.", _BYTES)
        self._limited = histogram(
            "rest_client_rate_limiter_duration_seconds", "Time spent in the client-side limiter.", _REQUEST_SECONDS
        )

    def exchanged(self, exchange: Exchange) -> None:
        request, host = exchange.request, exchange.host
        self._requests[exchange.code, request.method, host].inc()
        verb = request.method, host
        self._seconds[verb].observe(exchange.seconds)
        self._sent[verb].observe(exchange.request_bytes)
        self._received[verb].observe(exchange.response_bytes)

    def retried(self, request: ApiRequest, host: str, code: str) -> None:
        self._retries[code, request.method, host].inc()

    def limited(self, request: ApiRequest, host: str, seconds: float) -> None:
        self._limited[request.method, host].observe(seconds)
