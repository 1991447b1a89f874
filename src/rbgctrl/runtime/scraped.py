"""Metrics that are read when somebody scrapes, from the ``statistics()`` of what they are about.

An informer sees a line every few microseconds when a cluster is busy; a counter object would cost as much as the
informer itself, so it keeps plain integers and this module turns them into samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from rbgctrl.api.meta import Kind
from rbgctrl.informers.informer import InformerStatistics
from rbgctrl.runtime.recorder import RecorderStatistics

__all__ = ["InformerNumbers", "LineSizes", "Measured", "RecorderNumbers"]

_SCOPE = ("kind", "namespace", "selector")
_EVENTS = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
_RELISTS = ("start", "expired", "rewind", "unreadable", "refused")
_RESTARTS = ("ended", "short", "bookmark", "timeout", "reset")
_BYTES = (256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144, 1048576, 4194304)


class Measured(Protocol):
    """What is read of an informer."""

    @property
    def kind(self) -> type[Any]:
        """The kind it watches."""
        ...

    @property
    def namespace(self) -> str:
        """Its namespace, ``""`` for all."""
        ...

    @property
    def label_selector(self) -> str:
        """Its selector."""
        ...

    def statistics(self) -> InformerStatistics:
        """A snapshot."""
        ...


class _Undescribed(Collector):
    """Registering it reads nothing: what it is about may not run yet."""

    def describe(self) -> Iterable[Metric]:
        """No names beforehand."""
        return ()


class InformerNumbers(_Undescribed):
    """``rbgctrl_informer_*`` of a set of informers."""

    def __init__(self, informers: Callable[[], Iterable[Measured]]) -> None:
        self._informers = informers

    def collect(self) -> Iterator[Metric]:
        """One family each, samples for each informer."""
        objects = _gauge("objects", "Objects in the store.")
        invalid = _gauge("invalid_objects", "Objects in the store that do not decode as their kind.")
        version = _gauge("store_rv", "resourceVersion the store is complete up to.")
        synced = _gauge("synced", "Whether everything has been listed once: 1 or 0.")
        age = _gauge("last_event_age_seconds", "Time since the last line of the watch, bookmarks included.")
        events = _counter("events", "Lines of watches by type.", "type")
        relists = _counter("relists", "Full lists by reason.", "reason")
        restarts = _counter("watch_restarts", "Watches opened again, by reason.", "reason")
        for informer in self._informers():
            scope = (informer.kind.KIND.resource, informer.namespace, informer.label_selector)
            numbers = informer.statistics()
            objects.add_metric(scope, numbers.objects)
            invalid.add_metric(scope, numbers.invalid)
            version.add_metric(scope, numbers.rv)
            synced.add_metric(scope, float(numbers.synced))
            if numbers.last_event_age is not None:
                age.add_metric(scope, numbers.last_event_age)
            _count(events, scope, numbers.events, _EVENTS)
            _count(relists, scope, numbers.relists, _RELISTS)
            _count(restarts, scope, numbers.restarts, _RESTARTS)
        yield from (objects, invalid, version, synced, age, events, relists, restarts)


class _Sizes:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BYTES) + 1)
        self.total = 0


class LineSizes(_Undescribed):
    """``rbgctrl_informer_line_bytes{kind}``; observes informers, a line for well under a microsecond."""

    def __init__(self) -> None:
        self._kinds: dict[Kind[Any], _Sizes] = {}

    def event(self, kind: Kind[Any], event: str, size: int) -> None:  # noqa: ARG002 - types are counted by the informer
        """A line arrived."""
        sizes = self._kinds.get(kind)
        if sizes is None:
            sizes = self._kinds[kind] = _Sizes()
        sizes.counts[bisect_left(_BYTES, size)] += 1
        sizes.total += size

    def relisted(self, kind: Kind[Any], reason: str) -> None:
        """Counted by the informer."""

    def restarted(self, kind: Kind[Any], reason: str) -> None:
        """Counted by the informer."""

    def collect(self) -> Iterator[Metric]:
        """One family."""
        family = HistogramMetricFamily("rbgctrl_informer_line_bytes", "Size of the lines of watches.", labels=("kind",))
        for kind, sizes in sorted(self._kinds.items(), key=lambda item: item[0].resource):
            bounds = [*(str(float(bound)) for bound in _BYTES), "+Inf"]
            buckets = list(zip(bounds, accumulate(sizes.counts), strict=True))
            family.add_metric((kind.resource,), buckets, sizes.total)
        yield family


class RecorderNumbers(_Undescribed):
    """``rbgctrl_events_pending`` and ``rbgctrl_events_total{outcome}``."""

    def __init__(self, statistics: Callable[[], RecorderStatistics]) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[Metric]:
        """Two families."""
        numbers = self._statistics()
        yield GaugeMetricFamily("rbgctrl_events_pending", "Events waiting to be written.", value=numbers.pending)
        total = CounterMetricFamily("rbgctrl_events", "Events by what became of them.", labels=("outcome",))
        for outcome, count in sorted(numbers.outcomes.items()):
            total.add_metric((outcome,), count)
        yield total


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"rbgctrl_informer_{name}", text, labels=_SCOPE)


def _counter(name: str, text: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"rbgctrl_informer_{name}", text, labels=(*_SCOPE, label))


def _count(
    family: CounterMetricFamily, scope: tuple[str, ...], counts: Mapping[str, int], known: tuple[str, ...]
) -> None:
    for value in dict.fromkeys((*known, *sorted(counts))):  # known ones from the start, at 0
        family.add_metric((*scope, value), counts.get(value, 0))
