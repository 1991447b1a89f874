"""Selectors in objects (not in text): labels, node selector terms, taints and tolerations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

__all__ = [
    "EXECUTE",
    "NO_SCHEDULE",
    "PREFER_NO_SCHEDULE",
    "NodeTest",
    "label_test",
    "node_terms",
    "tolerates",
    "toleration",
    "untolerated",
]

NO_SCHEDULE: Final = "NoSchedule"
PREFER_NO_SCHEDULE: Final = "PreferNoSchedule"
EXECUTE: Final = "NoExecute"

Labels: TypeAlias = Mapping[str, str]
LabelTest: TypeAlias = Callable[[Labels], bool]
NodeTest: TypeAlias = Callable[[str, Labels], bool]
"""Whether a node, given by its name and labels, is meant."""


def label_test(selector: Mapping[str, Any] | None, extra: Sequence[Mapping[str, Any]] = ()) -> LabelTest:
    """A test for a ``metav1.LabelSelector``: none selects nothing, an empty one everything.

    Args:
        selector: the selector.
        extra: further ``matchExpressions`` that must hold, too.
    """
    if selector is None:
        return lambda _labels: False
    wanted = tuple((selector.get("matchLabels") or {}).items())
    tests = [_requirement(found) for found in (*(selector.get("matchExpressions") or ()), *extra)]
    if not tests:
        return lambda labels: all(labels.get(key) == value for key, value in wanted)
    return lambda labels: all(labels.get(key) == value for key, value in wanted) and all(test(labels) for test in tests)


def node_terms(terms: Iterable[Mapping[str, Any]]) -> NodeTest:
    """A test for ``nodeSelectorTerms``: one of them must hold as a whole; an empty term never does."""
    tests = [_term(term) for term in terms]
    if len(tests) == 1:
        return tests[0]
    return lambda name, labels: any(test(name, labels) for test in tests)


def _term(term: Mapping[str, Any]) -> NodeTest:
    by_label = [_requirement(found) for found in term.get("matchExpressions") or ()]
    by_field = [_requirement(found) for found in term.get("matchFields") or ()]
    if not by_label and not by_field:
        return lambda _name, _labels: False
    return lambda name, labels: (
        all(test(labels) for test in by_label) and all(test({"metadata.name": name}) for test in by_field)
    )


def _requirement(found: Mapping[str, Any]) -> LabelTest:
    key, operator = found["key"], found["operator"]
    values = frozenset(found.get("values") or ())
    match operator:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case "Gt" | "Lt":
            limit, greater = int(next(iter(values))), operator == "Gt"
            return lambda labels: _compares(labels.get(key), limit, greater=greater)
    return lambda _labels: False


def _compares(text: str | None, limit: int, *, greater: bool) -> bool:
    try:
        value = int(text or "")
    except ValueError:
        return False
    return value > limit if greater else value < limit


def toleration(tolerations: Sequence[Mapping[str, Any]], taint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first toleration that tolerates ``taint``, or None."""
    return next((found for found in tolerations if tolerates(found, taint)), None)


def tolerates(found: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether one toleration tolerates one taint."""
    if found.get("effect") and found["effect"] != taint.get("effect"):
        return False
    if found.get("key") and found["key"] != taint["key"]:
        return False
    if found.get("operator", "Equal") == "Exists":
        return True
    return bool(found.get("key")) and found.get("value", "") == taint.get("value", "")


def untolerated(
    taints: Sequence[Mapping[str, Any]], tolerations: Sequence[Mapping[str, Any]], effects: tuple[str, ...]
) -> list[Mapping[str, Any]]:
    """The taints of these effects that no toleration tolerates."""
    return [taint for taint in taints if taint.get("effect") in effects and toleration(tolerations, taint) is None]
