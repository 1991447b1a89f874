"""What a workload says about itself, whatever its kind: how many are wanted, there, ready, at the latest template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import LabelSelector
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet, Workload

__all__ = ["Observed", "asked_for", "observe", "selector_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One workload as seen.

    Attributes:
        wanted: instances its spec asks for.
        needed: instances the role needs; fewer than wanted while a rollout has extra ones.
        replicas: instances that exist.
        ready_replicas: instances that are ready.
        updated_replicas: instances at the latest template.
        current: whether the counters belong to the latest spec.
        deleting: whether the workload is on its way out.
        selector: of its pods, in the API's syntax; ``""`` when not known yet.
    """

    wanted: int
    needed: int
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    current: bool = False
    deleting: bool = False
    selector: str = ""

    @property
    def ready(self) -> bool:
        """Whether what depends on it may start."""
        return self.current and not self.deleting and self.ready_replicas >= self.needed


def observe(workload: Workload) -> Observed:
    """What ``workload`` says about itself."""
    if isinstance(workload, RoleInstanceSet):
        return _set(workload)
    if isinstance(workload, LeaderWorkerSet):
        return _leader_worker_set(workload)
    return _apps(workload)


def _set(found: RoleInstanceSet) -> Observed:
    spec, status = found.spec, found.status
    wanted = _default(spec.replicas if spec is not None else None)
    deleting = found.metadata.deleting
    if status is None:
        return Observed(wanted=wanted, needed=wanted, deleting=deleting)
    return Observed(
        wanted=wanted,
        needed=wanted,
        replicas=status.replicas,
        ready_replicas=status.ready_replicas,
        updated_replicas=status.updated_replicas,
        current=status.observed_generation >= found.metadata.generation,
        deleting=deleting,
        selector=status.label_selector,
    )


def _apps(found: Deployment | StatefulSet) -> Observed:
    wanted = _default(found.spec.replicas)
    status = found.status
    return Observed(
        wanted=wanted,
        needed=min(wanted, _size(found)) if isinstance(found, StatefulSet) else wanted,
        replicas=status.replicas,
        ready_replicas=status.ready_replicas,
        updated_replicas=status.updated_replicas,
        current=status.observed_generation >= found.metadata.generation,
        deleting=found.metadata.deleting,
        selector=selector_text(found.spec.selector),
    )


def _leader_worker_set(found: LeaderWorkerSet) -> Observed:
    wanted, status = _default(found.spec.replicas), found.status
    return Observed(
        wanted=wanted,
        needed=wanted,
        replicas=status.replicas,
        ready_replicas=status.ready_replicas,
        updated_replicas=status.updated_replicas,
        # It observes no generation; but until its controller has looked at all, no 0 of 0 means anything.
        current=bool(status.hpa_pod_selector or status.conditions or status.replicas),
        deleting=found.metadata.deleting,
        selector=status.hpa_pod_selector,
    )


def _default(replicas: int | None) -> int:
    return 1 if replicas is None else replicas


def _size(found: StatefulSet) -> int:
    """Replicas without the extra ones for a rollout."""
    asked = asked_for(found)
    return _default(found.spec.replicas) if asked is None else asked


def asked_for(found: StatefulSet) -> int | None:
    """What the role asked for when the object was last written; None when nobody knows."""
    text = found.metadata.annotations.get(labels.ROLE_SIZE, "")
    return int(text) if text.isascii() and text.isdigit() else None


def selector_text(selector: LabelSelector) -> str:
    """A selector in the API's syntax, sorted by key."""
    terms = [(key, f"{key}={value}") for key, value in selector.match_labels.items()]
    terms += [(str(rule.get("key", "")), _term(rule)) for rule in selector.match_expressions]
    return ",".join(text for _, text in sorted(terms))


def _term(rule: Mapping[str, Any]) -> str:
    key, values = rule.get("key", ""), ",".join(sorted(rule.get("values") or ()))
    match rule.get("operator"):
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "DoesNotExist":
            return f"!{key}"
    return str(key)
