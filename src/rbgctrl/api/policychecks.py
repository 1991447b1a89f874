"""What is wrong with a CoordinatedPolicy that its schema cannot say. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rbgctrl.api import events, intstr
from rbgctrl.api.finding import Finding, Severity, shown
from rbgctrl.api.policies import CoordinatedPolicySpec, PolicyRule

__all__ = ["policy_findings"]

_HUNDRED: Final = 100


def policy_findings(spec: CoordinatedPolicySpec) -> Iterator[Finding]:
    """Everything wrong with the rules of a policy, in order. Which roles the group has is not known here."""
    for index, rule in enumerate(spec.policies):
        path = f"spec.policies[{index}]"
        yield from _strangers(rule, path)
        scaling, update = rule.strategy.scaling, rule.strategy.rolling_update
        if scaling is not None:
            yield from _percentage(f"{path}.strategy.scaling.maxSkew", scaling.max_skew, skew=True)
        if update is not None:
            field = f"{path}.strategy.rollingUpdate"
            yield from _percentage(f"{field}.maxSkew", update.max_skew, skew=True)
            yield from _percentage(f"{field}.partition", update.partition)
            yield from _percentage(f"{field}.maxUnavailable", update.max_unavailable)


def _strangers(rule: PolicyRule, path: str) -> Iterator[Finding]:
    for name in rule.strangers():
        place = f"{path}.strategy.scaling"
        message = f"{name} is no role of this rule; add it to {path}.roles, or remove it here"
        yield Finding(path=place, value=name, message=message, rule="policy-role")


def _percentage(path: str, value: int | str | None, *, skew: bool = False) -> Iterator[Finding]:
    """A limit; a skew is a percentage, and upstream fails or guesses where it is a number."""
    if value is None:
        return
    if isinstance(value, int):
        if skew:
            message = "is a number, which upstream does not understand; write a percentage such as 10%"
            yield _finding(path, value, message, severity=Severity.WARNING)
        return
    try:
        percent = intstr.percent(value)
    except intstr.IntOrStringError:
        yield _finding(path, value, f"invalid value {shown(value)}; write a percentage such as 10%")
        return
    if skew and not 0 <= percent <= _HUNDRED:
        yield _finding(path, value, f"is {shown(value)}; it must be between 0% and 100%")


def _finding(path: str, value: Any, message: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        path=path,
        value=value,
        message=message,
        severity=severity,
        reason=events.FAILED_CALCULATE_SCALING,
        rule="policy-limit",
    )
