"""Names, labels and values of the metrics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.client.observe import Exchange
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.informers.informer import InformerStatistics
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.metrics import Metrics
from rbgctrl.runtime.observers import Outcome
from rbgctrl.runtime.recorder import RecorderStatistics
from rbgctrl.runtime.result import DONE, Priority, Request, Result
from rbgctrl.sim.loop import run


class Nothing:
    async def reconcile(self, request: Request) -> Result:
        return DONE


class EmptyCache:
    def find(self, kind: type[Any]) -> tuple[Any, ...]:
        return ()

    def observe(self, obj: Any) -> None: ...

    def observe_deleted(self, obj: Any) -> None: ...


async def unresolved(*_: Any) -> None: ...


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, content_type = metrics.expose()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def controller(name: str = "roleinstance", barrier: Barrier | None = None) -> Controller:
    return Controller(name, Nothing(), options=ControllerOptions(workers=7), barrier=barrier)


EXPECTED = {
    "workqueue_depth": ("controller", "name", "priority"),
    "workqueue_adds_total": ("controller", "name"),
    "workqueue_retries_total": ("controller", "name"),
    "workqueue_queue_duration_seconds_count": ("controller", "name"),
    "workqueue_work_duration_seconds_count": ("controller", "name"),
    "workqueue_unfinished_work_seconds": ("controller", "name"),
    "workqueue_longest_running_processor_seconds": ("controller", "name"),
    "controller_runtime_reconcile_total": ("controller", "result"),
    "controller_runtime_reconcile_errors_total": ("controller",),
    "controller_runtime_terminal_reconcile_errors_total": ("controller",),
    "controller_runtime_reconcile_panics_total": ("controller",),
    "controller_runtime_reconcile_timeouts_total": ("controller",),
    "controller_runtime_reconcile_time_seconds_count": ("controller",),
    "controller_runtime_max_concurrent_reconciles": ("controller",),
    "controller_runtime_active_workers": ("controller",),
    "rest_client_requests_total": ("code", "host", "method"),
    "rest_client_request_duration_seconds_count": ("host", "verb"),
    "rest_client_request_retries_total": ("code", "host", "verb"),
    "rest_client_request_size_bytes_count": ("host", "verb"),
    "rest_client_response_size_bytes_count": ("host", "verb"),
    "rest_client_rate_limiter_duration_seconds_count": ("host", "verb"),
    "leader_election_master_status": ("name",),
    "rbgctrl_informer_objects": ("kind", "namespace", "selector"),
    "rbgctrl_informer_store_rv": ("kind", "namespace", "selector"),
    "rbgctrl_informer_events_total": ("kind", "namespace", "selector", "type"),
    "rbgctrl_informer_relists_total": ("kind", "namespace", "reason", "selector"),
    "rbgctrl_informer_watch_restarts_total": ("kind", "namespace", "reason", "selector"),
    "rbgctrl_informer_last_event_age_seconds": ("kind", "namespace", "selector"),
    "rbgctrl_informer_line_bytes_count": ("kind",),
    "rbgctrl_barrier_parked": ("controller",),
    "rbgctrl_barrier_wait_seconds_count": ("controller",),
    "rbgctrl_barrier_timeouts_total": ("controller",),
    "rbgctrl_loop_lag_seconds_count": (),
    "rbgctrl_gc_pause_seconds_count": ("generation",),
    "rbgctrl_events_total": ("outcome",),
}


@dataclass
class FakeInformer:
    kind: type[Any] = ConfigMap
    namespace: str = "ns"
    label_selector: str = "app=x"
    events: dict[str, int] = field(default_factory=lambda: {"ADDED": 5})

    def statistics(self) -> InformerStatistics:
        return InformerStatistics(
            objects=3,
            invalid=1,
            rv=42,
            synced=True,
            lines=9,
            last_event_age=1.5,
            events=self.events,
            relists={"start": 1, "odd": 2},
            restarts={},
            failures={},
            error="",
        )


def populated() -> Metrics:
    metrics = Metrics()
    metrics.controller(controller(barrier=Barrier(EmptyCache(), unresolved)))
    request = ApiRequest(verb=Verb.APPLY, method="PATCH", path="/x")
    exchange = Exchange(request=request, host="h:1", code="200", seconds=0.1, request_bytes=10, response_bytes=20)
    metrics.client.exchanged(exchange)
    metrics.client.retried(request, "h:1", "429")
    metrics.client.limited(request, "h:1", 0.5)
    metrics.election("rbg-controller", lambda: True)
    metrics.caches(lambda: [FakeInformer()])
    metrics.informers.event(Pod.KIND, "ADDED", 4000)
    metrics.recorder(lambda: RecorderStatistics(pending=2, outcomes={"created": 4}))
    return metrics


def test_names_and_labels_are_the_agreed_ones() -> None:
    async def main() -> None:
        found: dict[str, tuple[str, ...]] = {}
        for name, labels in samples(populated()):
            found[name] = tuple(label for label, _ in labels)
        missing = {name: labels for name, labels in EXPECTED.items() if found.get(name) != labels}
        assert not missing

    run(main())


def test_what_is_known_beforehand_starts_at_zero() -> None:
    metrics = Metrics()
    metrics.controller(controller())
    for result in ("success", "error", "requeue", "requeue_after"):
        assert value(metrics, "controller_runtime_reconcile_total", controller="roleinstance", result=result) == 0
    assert value(metrics, "controller_runtime_reconcile_errors_total", controller="roleinstance") == 0
    assert value(metrics, "workqueue_retries_total", name="roleinstance", controller="roleinstance") == 0
    for priority in Priority:
        labels = {"name": "roleinstance", "controller": "roleinstance", "priority": str(priority.value)}
        assert value(metrics, "workqueue_depth", **labels) == 0
    assert value(metrics, "controller_runtime_max_concurrent_reconciles", controller="roleinstance") == 7
    assert value(metrics, "rbgctrl_gc_pause_seconds_count", generation="2") == 0


@pytest.mark.parametrize(
    ("outcome", "result", "more"),
    [
        (Outcome.SUCCESS, "success", ""),
        (Outcome.REQUEUE_AFTER, "requeue_after", ""),
        (Outcome.ERROR, "error", ""),
        (Outcome.TERMINAL, "error", "controller_runtime_terminal_reconcile_errors_total"),
        (Outcome.TIMEOUT, "error", "controller_runtime_reconcile_timeouts_total"),
        (Outcome.PANIC, "error", "controller_runtime_reconcile_panics_total"),
        (Outcome.CANCELLED, "", ""),
    ],
)
def test_outcomes_are_counted_as_controller_runtime_counts_them(outcome: Outcome, result: str, more: str) -> None:
    metrics = Metrics()
    one = controller()
    metrics.controller(one)
    before = samples(metrics)
    one.observer.reconcile_started()
    assert value(metrics, "controller_runtime_active_workers", controller=one.name) == 1
    one.observer.reconcile_finished(outcome, 0.5)
    changed = {
        name: dict(labels).get("result", "")
        for (name, labels), number in samples(metrics).items()
        if number != before[name, labels] and name.endswith("_total") and not name.startswith("process_")
    }
    expected = {"controller_runtime_reconcile_total": result} if result else {}
    if result == "error":
        expected["controller_runtime_reconcile_errors_total"] = ""
    if more:
        expected[more] = ""
    assert changed == expected
    assert value(metrics, "controller_runtime_active_workers", controller=one.name) == 0
    assert value(metrics, "controller_runtime_reconcile_time_seconds_count", controller=one.name) == 1


def test_a_queue_is_measured_from_add_to_done() -> None:
    async def main() -> None:
        metrics = Metrics()
        one = controller()
        metrics.controller(one)
        labels = {"name": one.name, "controller": one.name}
        one.queue.add(Request("ns", "a"), priority=Priority.LOW)
        one.queue.add(Request("ns", "b"))
        low = str(Priority.LOW.value)
        assert value(metrics, "workqueue_depth", **labels, priority=low) == 1
        await asyncio.sleep(2)
        request, _ = await one.queue.get()
        await asyncio.sleep(3)
        assert value(metrics, "workqueue_unfinished_work_seconds", **labels) == 3
        assert value(metrics, "workqueue_longest_running_processor_seconds", **labels) == 3
        one.queue.done(request)
        assert value(metrics, "workqueue_adds_total", **labels) == 2
        assert value(metrics, "workqueue_queue_duration_seconds_sum", **labels) == 2
        assert value(metrics, "workqueue_work_duration_seconds_sum", **labels) == 3
        one.queue.add_rate_limited(request)
        assert value(metrics, "workqueue_retries_total", **labels) == 1

    run(main())


def test_a_barrier_is_measured() -> None:
    metrics = Metrics()
    barrier = Barrier(EmptyCache(), unresolved)
    metrics.controller(controller(barrier=barrier))
    barrier.observer.parked()
    assert value(metrics, "rbgctrl_barrier_parked", controller="roleinstance") == 1
    barrier.observer.timed_out()
    barrier.observer.woken(0.25)
    assert value(metrics, "rbgctrl_barrier_parked", controller="roleinstance") == 0
    assert value(metrics, "rbgctrl_barrier_wait_seconds_sum", controller="roleinstance") == 0.25
    assert value(metrics, "rbgctrl_barrier_timeouts_total", controller="roleinstance") == 1


def test_informers_are_read_at_each_scrape_with_known_reasons_from_the_start() -> None:
    metrics = Metrics()
    informer = FakeInformer()
    metrics.caches(lambda: [informer])
    scope = {"kind": "configmaps", "namespace": "ns", "selector": "app=x"}
    assert value(metrics, "rbgctrl_informer_objects", **scope) == 3
    assert value(metrics, "rbgctrl_informer_store_rv", **scope) == 42
    assert value(metrics, "rbgctrl_informer_last_event_age_seconds", **scope) == 1.5
    assert value(metrics, "rbgctrl_informer_events_total", **scope, type="ADDED") == 5
    assert value(metrics, "rbgctrl_informer_events_total", **scope, type="DELETED") == 0
    assert value(metrics, "rbgctrl_informer_relists_total", **scope, reason="expired") == 0
    assert value(metrics, "rbgctrl_informer_relists_total", **scope, reason="odd") == 2
    informer.events = {"ADDED": 6}
    assert value(metrics, "rbgctrl_informer_events_total", **scope, type="ADDED") == 6


def test_line_sizes_are_a_cumulative_histogram() -> None:
    metrics = Metrics()
    for size in (100, 256, 257, 10_000_000):
        metrics.informers.event(Pod.KIND, "MODIFIED", size)
    assert value(metrics, "rbgctrl_informer_line_bytes_bucket", kind="pods", le="256.0") == 2
    assert value(metrics, "rbgctrl_informer_line_bytes_bucket", kind="pods", le="512.0") == 3
    assert value(metrics, "rbgctrl_informer_line_bytes_bucket", kind="pods", le="+Inf") == 4
    assert value(metrics, "rbgctrl_informer_line_bytes_count", kind="pods") == 4
    assert value(metrics, "rbgctrl_informer_line_bytes_sum", kind="pods") == 10_000_613


def test_leadership_is_asked_at_each_scrape() -> None:
    metrics = Metrics()
    leading = [False]
    metrics.election("rbg-controller", lambda: leading[0])
    assert value(metrics, "leader_election_master_status", name="rbg-controller") == 0
    leading[0] = True
    assert value(metrics, "leader_election_master_status", name="rbg-controller") == 1


def test_two_managers_in_one_process_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.controller(controller())
    other.controller(controller())
    one.lag(0.1)
    assert value(one, "rbgctrl_loop_lag_seconds_count") == 1
    assert value(other, "rbgctrl_loop_lag_seconds_count") == 0


def test_a_scraper_that_asks_for_openmetrics_gets_it() -> None:
    body, content_type = Metrics().expose("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
