"""Pod affinity and topology spread, compiled: which other pods a rule is about, and over which node label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rbgctrl.sim.scheduling.matching import Labels, LabelTest, label_test

__all__ = ["AffinityTerm", "NamespaceLabels", "PodSubject", "SpreadConstraint", "affinity_terms", "spread_constraints"]

NamespaceLabels: TypeAlias = Callable[[str], Labels]
"""The labels of a namespace, by its name."""
PodSubject: TypeAlias = tuple[str, Labels]
"""Namespace and labels of a pod: all that rules about other pods look at."""


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One term of a pod's affinity or anti-affinity.

    Attributes:
        topology_key: the node label that says which nodes belong together.
        weight: of a preferred term; 0 for a required one.
        labels: whether the labels of a pod match.
        namespaces: where pods are looked for.
        namespace_test: further namespaces by their labels; None for none.
        hints: label values every matching pod has; for finding them fast.
    """

    topology_key: str
    weight: int
    labels: LabelTest
    namespaces: frozenset[str]
    namespace_test: LabelTest | None
    hints: tuple[tuple[str, str], ...] = ()

    def matches(self, subject: PodSubject, labels_of: NamespaceLabels) -> bool:
        """Whether a pod is meant by this term."""
        namespace, labels = subject
        here = namespace in self.namespaces or (
            self.namespace_test is not None and self.namespace_test(labels_of(namespace))
        )
        return here and self.labels(labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One of a pod's ``topologySpreadConstraints``.

    Attributes:
        topology_key: the node label that says which nodes belong together.
        max_skew: by how many pods two domains may differ.
        hard: whether it forbids (``DoNotSchedule``) or only prefers.
        labels: which pods are counted.
        hints: label values every counted pod has.
        min_domains: fewer domains than these count as an empty one.
        honor_affinity: leave out nodes that the pod's affinity excludes.
        honor_taints: leave out nodes whose taints the pod does not tolerate.
    """

    topology_key: str
    max_skew: int
    hard: bool
    labels: LabelTest
    hints: tuple[tuple[str, str], ...]
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


def affinity_terms(pod: Mapping[str, Any], kind: str, *, preferred: bool) -> tuple[AffinityTerm, ...]:
    """The terms of ``podAffinity`` or ``podAntiAffinity`` (``kind``) of a pod."""
    rules = (pod["spec"].get("affinity") or {}).get(kind) or {}
    if not preferred:
        found = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(_affinity_term(term, 0, pod) for term in found)
    found = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_affinity_term(entry["podAffinityTerm"], entry["weight"], pod) for entry in found)


def _affinity_term(term: Mapping[str, Any], weight: int, pod: Mapping[str, Any]) -> AffinityTerm:
    own: Labels = pod["metadata"].get("labels") or {}
    extra = [
        {"key": key, "operator": operator, "values": [own[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in own
    ]
    selector = term.get("labelSelector")
    by_label = term.get("namespaceSelector")
    names = frozenset(term.get("namespaces") or ())
    if not names and by_label is None:
        names = frozenset((pod["metadata"].get("namespace", ""),))
    return AffinityTerm(
        topology_key=term["topologyKey"],
        weight=weight,
        labels=label_test(selector, extra),
        namespaces=names,
        namespace_test=label_test(by_label) if by_label is not None else None,
        hints=_hints(selector, extra),
    )


def spread_constraints(pod: Mapping[str, Any], *, hard: bool) -> tuple[SpreadConstraint, ...]:
    """The pod's own constraints that forbid (``hard``), or those that prefer."""
    own: Labels = pod["metadata"].get("labels") or {}
    made = []
    for found in pod["spec"].get("topologySpreadConstraints") or ():
        if (found["whenUnsatisfiable"] == "DoNotSchedule") is not hard:
            continue
        keys = [key for key in found.get("matchLabelKeys") or () if key in own]
        extra = [{"key": key, "operator": "In", "values": [own[key]]} for key in keys]
        made.append(
            SpreadConstraint(
                topology_key=found["topologyKey"],
                max_skew=found["maxSkew"],
                hard=hard,
                labels=label_test(found.get("labelSelector"), extra),
                hints=_hints(found.get("labelSelector"), extra),
                min_domains=found.get("minDomains") or 1,
                honor_affinity=found.get("nodeAffinityPolicy", "Honor") == "Honor",
                honor_taints=found.get("nodeTaintsPolicy", "Ignore") == "Honor",
            )
        )
    return tuple(made)


def _hints(selector: Mapping[str, Any] | None, extra: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    selector = selector or {}
    expressions = (*(selector.get("matchExpressions") or ()), *extra)
    single = [
        (found["key"], found["values"][0])
        for found in expressions
        if found["operator"] == "In" and len(found.get("values") or ()) == 1
    ]
    return (*(selector.get("matchLabels") or {}).items(), *single)
