"""What a RoleInstance says about itself: counters, conditions, and when a change of them may wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from rbgctrl.api import conditions
from rbgctrl.api.instances import ComponentStatus, RoleInstance, RoleInstanceStatus
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import ComponentNode, InstanceNode
from rbgctrl.plan.conditions import acted_on, changes, differs, find, merge
from rbgctrl.plan.model import Action
from rbgctrl.plan.outdated import at
from rbgctrl.plan.patience import PATIENCE, moments, rest, youth
from rbgctrl.plan.podstate import STARTING, active, pod_ready, trouble
from rbgctrl.plan.revision import Revision
from rbgctrl.plan.slots import Slots
from rbgctrl.plan.statuspatch import status_patch
from rbgctrl.plan.words import listed

__all__ = ["Outlook", "news", "status"]

_MOST_NAMES = 5
_MOST_REASONS = 4
_BEING_CREATED = "being created"
_ORDINARY = frozenset((_BEING_CREATED, *STARTING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a pass found out that the pods themselves do not show.

    Attributes:
        conditions: faults, each a condition that is True.
        over: types of conditions of which the cause is known to be gone.
        waits: names of pods that are not there yet, and why.
        turning: whether the pass writes the readiness of pods, after which there is something else to say.
    """

    conditions: tuple[Condition, ...] = ()
    over: tuple[str, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    turning: bool = False


def news(found: RoleInstance, outlook: Outlook) -> tuple[Condition, ...]:
    """The faults that the stored status does not tell of, so that each is an Event once."""
    stored = found.status.conditions if found.status is not None else ()
    told = {(item.type, item.reason, item.message) for item in stored}
    return tuple(item for item in outlook.conditions if (item.type, item.reason, item.message) not in told)


def status(
    node: InstanceNode, slots: Slots, revision: Revision, now: datetime, outlook: Outlook
) -> tuple[tuple[Action, ...], float | None]:
    """The status patch, if any, and when to look again if it may wait.

    Args:
        node: the instance.
        slots: the pods it should have.
        revision: of its spec.
        now: the present.
        outlook: what else is to be said.
    """
    found = node.instance
    stored = found.status or RoleInstanceStatus()
    running = [pod.pod for pod in node.pods if active(pod.pod)]
    size = sum(component.size for component in node.components)
    settled = len(running) == size and all(at(pod, revision) for pod in running)
    fresh = msgspec.structs.replace(
        stored,
        observed_generation=found.metadata.generation,
        component_statuses=tuple(_component_status(component, revision) for component in node.components),
        conditions=merge(stored.conditions, _conditions(node, slots, outlook), now, drop=_over(node, outlook)),
        current_revision=revision.name if settled or not stored.current_revision else stored.current_revision,
        update_revision=revision.name,
        collision_count=revision.collisions,
    )
    if not differs(found.status, fresh):
        return (), None
    born = found.metadata.creation_timestamp
    if found.status is None and _starting(node, slots, outlook) and (pause := youth(born, now)) is not None:
        return (), pause
    if _may_wait(found.status, fresh):
        pause = PATIENCE if outlook.turning else rest(_movements(node), now, born)
        if pause is not None:
            return (), pause
    changed = changes(found.status, fresh)
    return (status_patch(RoleInstance, found.metadata, changed, whole=found.status is None),), None


def _over(node: InstanceNode, outlook: Outlook) -> tuple[str, ...]:
    alone = _alone(node.instance)
    return (*outlook.over, conditions.INSTANCE_ALL_PODS_READY) if alone else outlook.over


def _alone(found: RoleInstance) -> bool:
    return found.spec is not None and found.spec.ready_policy == "None"


def _component_status(component: ComponentNode, revision: Revision) -> ComponentStatus:
    running = [pod.pod for pod in component.pods if active(pod.pod)]
    ready = [pod for pod in running if pod_ready(pod)]
    updated = [pod for pod in running if at(pod, revision)]
    return ComponentStatus(
        name=component.name,
        size=len(running),
        ready_replicas=len(ready),
        available_replicas=len(ready),
        scheduled_replicas=sum(1 for pod in running if pod.spec.node_name),
        updated_replicas=len(updated),
        updated_ready_replicas=sum(1 for pod in ready if at(pod, revision)),
    )


def _may_wait(stored: RoleInstanceStatus | None, fresh: RoleInstanceStatus) -> bool:
    """Whether only counters and wording moved: not what others act on."""
    if stored is None:
        return not any(item.true for item in fresh.conditions)
    return (
        acted_on(fresh.conditions) == acted_on(stored.conditions)
        and stored.observed_generation == fresh.observed_generation
    )


def _starting(node: InstanceNode, slots: Slots, outlook: Outlook) -> bool:
    """Whether pods are missing, and for no other reason than that starting takes its time."""
    reasons = set(_reasons(node, slots, outlook))
    return bool(reasons) and reasons <= _ORDINARY and not outlook.conditions


def _movements(node: InstanceNode) -> Iterator[str | None]:
    """When the instance or one of its pods last changed visibly."""
    yield node.instance.metadata.creation_timestamp
    for pod in node.pods:
        yield from moments(pod.pod.metadata, pod.pod.status.conditions)


def _conditions(node: InstanceNode, slots: Slots, outlook: Outlook) -> list[Condition]:
    message = _not_ready(node, slots, outlook)
    if message:
        ready = _condition(conditions.INSTANCE_READY, "False", conditions.PODS_NOT_READY, message)
        everybody = _condition(
            conditions.INSTANCE_ALL_PODS_READY, "False", conditions.AT_LEAST_ONE_POD_NOT_READY, message
        )
    else:
        ready = _instance_ready(node.instance)
        everybody = _condition(conditions.INSTANCE_ALL_PODS_READY, "True", conditions.PODS_READY, "Ready")
    found = [ready, *(() if _alone(node.instance) else (everybody,)), *outlook.conditions]
    if _never_updated(node.instance):
        found.append(_condition(conditions.INSTANCE_INPLACE_UPDATE_READY, "True", "", ""))
    return found


def _never_updated(found: RoleInstance) -> bool:
    """Whether it has the gate of in-place updates and nobody has started one."""
    gate = conditions.INSTANCE_INPLACE_UPDATE_READY
    gates = found.spec.readiness_gates if found.spec is not None else ()
    return any(item.condition_type == gate for item in gates) and found.condition(gate) is None


def _not_ready(node: InstanceNode, slots: Slots, outlook: Outlook) -> str:
    """Which pods are not ready, and why, those with the same reason together; ``""`` when all are."""
    found = _reasons(node, slots, outlook)
    told = [f"{listed(pods, _MOST_NAMES)} ({why})" for why, pods in found.items()]
    left = sum(len(pods) for pods in list(found.values())[_MOST_REASONS:])
    more = [f"{left} more"] if left else []
    return f"not ready: {', '.join((*told[:_MOST_REASONS], *more))}" if told else ""


def _reasons(node: InstanceNode, slots: Slots, outlook: Outlook) -> dict[str, list[str]]:
    """Names of pods that are not ready, by reason."""
    found: dict[str, list[str]] = {}
    for slot in slots:
        if any(pod_ready(pod.pod) for pod in slot.pods):
            continue
        pod = next(iter(slot.pods), None)
        why = trouble(pod.pod, node.hosts) if pod is not None else outlook.waits.get(slot.name, _BEING_CREATED)
        found.setdefault(why, []).append(slot.name)
    return found


def _instance_ready(found: RoleInstance) -> Condition:
    """Ready once all pods are, unless a gate of the instance itself is closed."""
    stored = found.status.conditions if found.status is not None else ()
    for gate in found.spec.readiness_gates if found.spec is not None else ():
        opened = find(stored, gate.condition_type)
        updating = gate.condition_type == conditions.INSTANCE_INPLACE_UPDATE_READY
        if not (opened.true if opened is not None else updating):
            reason = conditions.INPLACE_UPDATE_NOT_READY if updating else conditions.READINESS_GATES_NOT_READY
            return _condition(conditions.INSTANCE_READY, "False", reason, f"gate {gate.condition_type} is not True")
    return _condition(conditions.INSTANCE_READY, "True", "Ready", "")


def _condition(kind: str, status: str, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message)
