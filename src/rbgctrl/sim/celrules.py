"""Tests of the cross-field rules in our CustomResourceDefinitions, by their text in CEL.

A definition with a rule that is not here is refused, not half obeyed. A rule reads a value as it is stored: with its
defaults, and without nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.api import labels

__all__ = ["RULES", "Holds"]

Holds: TypeAlias = Callable[[Any], bool]


def _leader_only(role: Any) -> bool:
    pattern = role.get("leaderWorkerPattern") or {}
    if pattern.get("sharedServiceSelection") != "LeaderOnly":
        return True
    workload = (role.get("annotations") or {}).get(labels.ROLE_WORKLOAD_TYPE)
    return workload in (None, labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET)


def _either(one: str, other: str) -> tuple[str, Holds]:
    return f"has(self.{one}) || has(self.{other})", lambda self: one in self or other in self


def _not_both(one: str, other: str) -> tuple[str, Holds]:
    return f"!(has(self.{one}) && has(self.{other}))", lambda self: not (one in self and other in self)


def _no_reference(kind: str) -> tuple[str, Holds]:
    rule = f"!has(self.templateRef) || self.workload.kind != '{kind}'"
    return rule, lambda self: "templateRef" not in self or self["workload"]["kind"] != kind


RULES: Final[Mapping[str, Holds]] = {
    "!has(self.leaderWorkerPattern) || !has(self.leaderWorkerPattern.sharedServiceSelection)"
    " || self.leaderWorkerPattern.sharedServiceSelection != 'LeaderOnly'"
    f" || !has(self.annotations) || !('{labels.ROLE_WORKLOAD_TYPE}' in self.annotations)"
    f" || self.annotations['{labels.ROLE_WORKLOAD_TYPE}'] == '{labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET}'": _leader_only,
    "self.maxDelaySeconds >= self.baseDelaySeconds": lambda self: self["maxDelaySeconds"] >= self["baseDelaySeconds"],
    "(has(self.maxSeconds) ? self.maxSeconds : 600) >= (has(self.baseSeconds) ? self.baseSeconds : 30)": (
        lambda self: self.get("maxSeconds", 600) >= self.get("baseSeconds", 30)
    ),
    "!has(self.maxFailedNodes) || has(self.backoffLimitPerNode)": (
        lambda self: "maxFailedNodes" not in self or "backoffLimitPerNode" in self
    ),
    "has(self.resourcePrefix) != has(self.label)": lambda self: ("resourcePrefix" in self) != ("label" in self),
    "self.workload.kind == 'InstanceSet' || has(self.template) || has(self.templateRef)": (
        lambda self: self["workload"]["kind"] == "InstanceSet" or "template" in self or "templateRef" in self
    ),
    **dict(
        (
            _no_reference("InstanceSet"),
            _no_reference("LeaderWorkerSet"),
            _not_both("template", "templateRef"),
            _not_both("standalonePattern", "leaderWorkerPattern"),
            _not_both("targetNodes", "targetRoleBasedGroup"),
            _not_both("nodeNames", "nodeSelector"),
            _either("targetNodes", "targetRoleBasedGroup"),
            _either("nodeNames", "nodeSelector"),
            _either("imagePreload", "customizedAction"),
        )
    ),
}
