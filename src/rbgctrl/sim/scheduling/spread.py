"""Topology spread: the pod's own constraints, and the ones every pod behind a Service has by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor, log
from typing import Any, Final

from rbgctrl.sim.scheduling.demand import Demand, Reason, helpless
from rbgctrl.sim.scheduling.matching import label_test
from rbgctrl.sim.scheduling.state import HOSTNAME, ZONE, NodeInfo, State
from rbgctrl.sim.scheduling.terms import SpreadConstraint, spread_constraints

__all__ = ["Spread"]

_SKEWED: Final = Reason(("node(s) didn't match pod topology spread constraints",), helpless=False)
_UNLABELLED: Final = helpless("node(s) didn't match pod topology spread constraints (missing required label)")
_DEFAULTS: Final = ((HOSTNAME, 3), (ZONE, 5))


class Spread:
    """How evenly a pod must and should be spread over the cluster.

    Args:
        pod: the pod to place.
        demand: its rules about nodes.
        state: the cluster.
    """

    def __init__(self, pod: Mapping[str, Any], demand: Demand, state: State) -> None:
        self._demand = demand
        self._state = state
        metadata = pod["metadata"]
        self._namespace: str = metadata.get("namespace", "")
        self._labels: Mapping[str, str] = metadata.get("labels") or {}
        self._own = bool(pod["spec"].get("topologySpreadConstraints"))
        self._hard = spread_constraints(pod, hard=True) if self._own else ()
        self._soft = spread_constraints(pod, hard=False) if self._own else self._default()
        self._counts = [self._count(constraint, self._hard) for constraint in self._hard]

    @property
    def required(self) -> bool:
        """Whether some node may be excluded."""
        return bool(self._hard)

    def excludes(self, node: NodeInfo) -> Reason | None:
        """Why the pod cannot be on this node, or None."""
        for constraint, counts in zip(self._hard, self._counts, strict=True):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return _UNLABELLED
            least = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
            own = 1 if constraint.labels(self._labels) else 0
            if counts[value] + own - least > constraint.max_skew:
                return _SKEWED
        return None

    def scores(self, nodes: Sequence[NodeInfo]) -> list[int] | None:
        """A score from 0 to 100 for each node; None when there is nothing to prefer."""
        soft = self._soft
        if not soft:
            return None
        judged = [_labelled(node, soft) for node in nodes] if self._own else [True] * len(nodes)
        totals = [0.0] * len(nodes)
        for constraint in soft:
            key = constraint.topology_key
            places = [node.labels.get(key) for node in nodes]
            if key == HOSTNAME:
                counts, size = self._per_node(constraint), sum(judged)
                places = [None if place is None else node.name for node, place in zip(nodes, places, strict=True)]
            else:
                counts = self._count(constraint, soft if self._own else ())
                size = len({place or "" for place, counted in zip(places, judged, strict=True) if counted})
            weight, least = log(size + 2), float(constraint.max_skew - 1)
            parts: dict[str | None, float] = {place: found * weight + least for place, found in counts.items()}
            parts[None] = 0.0
            totals = [total + parts.get(place, least) for total, place in zip(totals, places, strict=True)]
        return _normalized([floor(total + 0.5) for total in totals], judged)

    def _default(self) -> tuple[SpreadConstraint, ...]:
        selector = self._state.service_labels((self._namespace, self._labels))
        if not selector:
            return ()
        test, hints = label_test({"matchLabels": selector}), tuple(selector.items())
        return tuple(
            SpreadConstraint(topology_key=key, max_skew=skew, hard=False, labels=test, hints=hints)
            for key, skew in _DEFAULTS
        )

    def _count(self, constraint: SpreadConstraint, labelled: Sequence[SpreadConstraint]) -> Counter[str]:
        """Pods in each domain; domains without pods are there with 0."""
        eligible = self._eligible(constraint, tuple(other.topology_key for other in labelled))
        counts: Counter[str] = Counter(dict.fromkeys(eligible.values(), 0))
        for pod in self._state.pods_in(self._namespace, constraint.hints):
            found = eligible.get(pod.node)
            if found is not None and not pod.terminating and constraint.labels(pod.labels):
                counts[found] += 1
        return counts

    def _eligible(self, constraint: SpreadConstraint, labelled: tuple[str, ...]) -> dict[str, str]:
        """The nodes that count, with their domains; the same for all pods of one demand until a node changes."""
        mark = (constraint.topology_key, constraint.honor_affinity, constraint.honor_taints, labelled)
        version, found = self._demand.domains.get(mark, (-1, {}))
        if version != self._state.version:
            found = {
                node.name: node.labels.get(constraint.topology_key, "")
                for node in self._state.order
                if all(key in node.labels for key in labelled) and self._included(constraint, node)
            }
            self._demand.domains[mark] = (self._state.version, found)
        return found

    def _per_node(self, constraint: SpreadConstraint) -> Counter[str]:
        return Counter(
            pod.node
            for pod in self._state.pods_in(self._namespace, constraint.hints)
            if not pod.terminating and constraint.labels(pod.labels)
        )

    def _included(self, constraint: SpreadConstraint, node: NodeInfo) -> bool:
        static = self._demand.static(node)
        if constraint.honor_affinity and not static.selected:
            return False
        return not (constraint.honor_taints and static.tainted)


def _labelled(node: NodeInfo, constraints: Sequence[SpreadConstraint]) -> bool:
    return all(constraint.topology_key in node.labels for constraint in constraints)


def _normalized(raw: list[int], judged: list[bool]) -> list[int]:
    found = [value for value, counts in zip(raw, judged, strict=True) if counts]
    low, high = min(found, default=0), max(found, default=0)
    if high == 0:
        return [100 if counts else 0 for counts in judged]
    return [100 * (high + low - value) // high if counts else 0 for value, counts in zip(raw, judged, strict=True)]
