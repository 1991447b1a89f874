"""Label selectors of objects, judged against labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbgctrl.api.meta import LabelSelector

__all__ = ["matches"]


def matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether labels match a selector; one that is absent or says nothing matches nothing.

    For whoever claims objects, "everything" is never what was meant. So is a rule with an operator nobody knows.
    """
    if selector is None or not (selector.match_labels or selector.match_expressions):
        return False
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(rule, labels) for rule in selector.match_expressions
    )


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(rule.get("key", "")), rule.get("values") or ()
    match rule.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
