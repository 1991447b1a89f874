"""Rules about other pods: required and preferred affinity and anti-affinity, in both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.sim.scheduling.demand import Reason
from rbgctrl.sim.scheduling.state import BoundPod, NodeInfo, State
from rbgctrl.sim.scheduling.terms import AffinityTerm, PodSubject, affinity_terms

__all__ = ["Neighbours"]

Pair: TypeAlias = tuple[str, str]

_AFFINITY: Final = Reason(("node(s) didn't match pod affinity rules",), helpless=True)
_ANTI: Final = Reason(("node(s) didn't match pod anti-affinity rules",), helpless=False)
_EXISTING: Final = Reason(("node(s) didn't satisfy existing pods anti-affinity rules",), helpless=False)
_HARD_WEIGHT: Final = 1  # what another pod's required affinity counts in scoring


class Neighbours:
    """The rules of one pod about others, and of others about it, counted over the cluster.

    Args:
        pod: the pod to place.
        state: the cluster.
    """

    def __init__(self, pod: Mapping[str, Any], state: State) -> None:
        self._state = state
        metadata = pod["metadata"]
        self._subject: PodSubject = (metadata.get("namespace", ""), metadata.get("labels") or {})
        rules = pod["spec"].get("affinity") or {}
        own = "podAffinity" in rules or "podAntiAffinity" in rules
        self._affinity = affinity_terms(pod, "podAffinity", preferred=False) if own else ()
        self._anti = affinity_terms(pod, "podAntiAffinity", preferred=False) if own else ()
        self._preferred = affinity_terms(pod, "podAffinity", preferred=True) if own else ()
        self._preferred_anti = affinity_terms(pod, "podAntiAffinity", preferred=True) if own else ()
        self._existing = self._unwelcome() if state.picky else Counter()
        self._with = self._together() if self._affinity else Counter()
        self._without = self._apart() if self._anti else Counter()

    @property
    def required(self) -> bool:
        """Whether some node may be excluded."""
        return bool(self._affinity or self._anti or self._existing)

    def excludes(self, node: NodeInfo) -> Reason | None:
        """Why the pod cannot be on this node, or None."""
        if self._affinity and not self._welcome(node):
            return _AFFINITY
        labels = node.labels
        for term in self._anti:
            value = labels.get(term.topology_key)
            if value is not None and self._without[term.topology_key, value] > 0:
                return _ANTI
        if self._existing and any(self._existing[pair] > 0 for pair in labels.items()):
            return _EXISTING
        return None

    def _welcome(self, node: NodeInfo) -> bool:
        met = True
        for term in self._affinity:
            value = node.labels.get(term.topology_key)
            if value is None:
                return False
            met = met and self._with[term.topology_key, value] > 0
        # The first of a series that wants to be together has nobody to join yet.
        return met or (not self._with and self._all(self._affinity, self._subject))

    def _unwelcome(self) -> Counter[Pair]:
        counts: Counter[Pair] = Counter()
        for other in self._state.picky.values():
            for term in other.anti_affinity:
                if term.matches(self._subject, self._state.namespace_labels):
                    self._count(counts, other, term, 1)
        return counts

    def _together(self) -> Counter[Pair]:
        counts: Counter[Pair] = Counter()
        for other in self._candidates(self._affinity[0]):
            if self._all(self._affinity, other.subject):
                for term in self._affinity:
                    self._count(counts, other, term, 1)
        return counts

    def _apart(self) -> Counter[Pair]:
        counts: Counter[Pair] = Counter()
        for term in self._anti:
            for other in self._candidates(term):
                if term.matches(other.subject, self._state.namespace_labels):
                    self._count(counts, other, term, 1)
        return counts

    def _all(self, terms: Iterable[AffinityTerm], subject: PodSubject) -> bool:
        return all(term.matches(subject, self._state.namespace_labels) for term in terms)

    def _candidates(self, term: AffinityTerm) -> Iterable[BoundPod]:
        state = self._state
        everywhere = state.namespaces() if term.namespace_test is not None else ()
        for namespace in sorted({*term.namespaces, *everywhere}):
            yield from state.pods_in(namespace, term.hints)

    def _count(self, counts: Counter[Pair], other: BoundPod, term: AffinityTerm, by: int) -> None:
        node = self._state.known(other.node)
        value = node.labels.get(term.topology_key) if node is not None else None
        if value is not None:
            counts[term.topology_key, value] += by

    def scores(self, nodes: Iterable[NodeInfo]) -> list[int] | None:
        """A score from 0 to 100 for each node; None when there is nothing to prefer."""
        counts = self._likes()
        if not counts:
            return None
        raw = [sum(counts[pair] for pair in node.labels.items() if pair in counts) for node in nodes]
        low, high = min(raw), max(raw)
        if high == low:
            return [0] * len(raw)
        return [int(100 * ((value - low) / (high - low))) for value in raw]

    def _likes(self) -> Counter[Pair]:
        counts: Counter[Pair] = Counter()
        labels_of = self._state.namespace_labels
        for terms, sign in ((self._preferred, 1), (self._preferred_anti, -1)):
            for term in terms:
                for other in self._candidates(term):
                    if term.matches(other.subject, labels_of):
                        self._count(counts, other, term, sign * term.weight)
        for other in self._state.picky.values():
            for theirs, sign in ((other.affinity, 1), (other.preferred, 1), (other.preferred_anti, -1)):
                for term in theirs:
                    if term.matches(self._subject, labels_of):
                        self._count(counts, other, term, sign * (term.weight or _HARD_WEIGHT))
        return counts
