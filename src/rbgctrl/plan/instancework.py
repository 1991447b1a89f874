"""What happens to the pods of a RoleInstance in one pass: which go, which come, and why others have to wait."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Final

from rbgctrl.api import conditions, events, labels
from rbgctrl.api.components import asks
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Condition
from rbgctrl.graph.nodes import InstanceNode, PodNode
from rbgctrl.plan.componentdiscovery import Siblings, siblings_of
from rbgctrl.plan.componentorder import FREE, ComponentOrder, component_order
from rbgctrl.plan.model import Action, Create, Delete, Patch
from rbgctrl.plan.outdated import Verdict, relabel, verdicts
from rbgctrl.plan.pods import Additions, create_pod
from rbgctrl.plan.podstate import active
from rbgctrl.plan.ports import NOTHING, PortRange, instance_ports
from rbgctrl.plan.revision import Revision
from rbgctrl.plan.samenode import returning, unpinned
from rbgctrl.plan.slots import Slot, Slots
from rbgctrl.plan.words import listed, told

__all__ = ["ENDED", "FAILED", "OUTDATED", "TOGETHER", "UNKNOWN", "Work", "work"]

FAILED: Final = "the pod failed"
ENDED: Final = "the pod ended"
OUTDATED: Final = "the pod is not what the spec says"
UNKNOWN: Final = "the revision that the pod was made from is gone"
TOGETHER: Final = "the instance is replaced as a whole"
_SURPLUS: Final = "more pods than the component's size"
_STRAY: Final = "the pod belongs to no component"
_UNPINNED: Final = "none of the nodes that the pod may have is left"

_AGAIN: Final = 30.0
"""Seconds until another look for a port that is free: nobody tells when one is given back."""
_MOST: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one pass decides about pods; it deletes or creates, never both.

    Attributes:
        before: what must be written before pods are created.
        deletes: pods that go.
        creates: pods that come.
        relabels: pods that are what the spec says although it changed.
        faults: conditions that are True.
        waits: names of pods that cannot come yet, and why.
        requeue_after: when to look again although nothing changes.
    """

    before: tuple[Action, ...] = ()
    deletes: tuple[Delete, ...] = ()
    creates: tuple[Create, ...] = ()
    relabels: tuple[Patch, ...] = ()
    faults: tuple[Condition, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    requeue_after: float | None = None

    def over(self, *, busy: bool) -> tuple[str, ...]:
        """Conditions of which the cause is gone as far as pods are concerned.

        What was refused is told until it is through, or the condition would come and go with each attempt.

        Args:
            busy: whether this pass has something to write beside what is decided here.
        """
        found = [conditions.INVALID_COMPONENTS]
        if not self.creates and not self.deletes:
            found.append(conditions.FAILED_SCALE)
        replaced = any(item.why in (OUTDATED, UNKNOWN, TOGETHER) for item in self.deletes)
        if not self.relabels and not busy and not replaced:
            found.append(conditions.FAILED_UPDATE)
        kinds = {item.type for item in self.faults}
        return tuple(kind for kind in found if kind not in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the components ask for, and what is wrong with that.

    Attributes:
        order: who starts after whom.
        siblings: what they are told of each other and of ports.
        held: components of which no pod is created, with the reason and the message.
        notes: the same for what holds nothing back.
    """

    order: ComponentOrder
    siblings: Siblings
    held: Mapping[str, tuple[str, str]]
    notes: tuple[tuple[str, str], ...]


def work(node: InstanceNode, slots: Slots, revision: Revision, span: PortRange | None, used: Container[int]) -> Work:
    """Decide about the pods of an instance.

    Args:
        node: the instance.
        slots: the pods it should have.
        revision: of its spec.
        span: the ports there are; None when the allocator is off.
        used: ports that somebody has.
    """
    found = node.instance
    wishes = _wishes(node, slots, span, used)
    outdated = verdicts(node, revision)
    relabels = tuple(relabel(pod.pod, revision, found) for pod, verdict in outdated if verdict is Verdict.RELABEL)
    doomed = _doomed(node, wishes, {pod.pod.key: verdict for pod, verdict in outdated})
    deletes = tuple(
        Delete(kind=Pod, key=pod.pod.key, uid=pod.pod.uid, why=why)
        for pod, why in doomed
        if not pod.pod.metadata.deleting
    )
    coming = _Coming(node, slots, wishes, revision)
    if not deletes:
        coming.look()
    ports = wishes.siblings.ports
    exhausted = list(ports.exhausted)
    if exhausted and span is not None:
        coming.blocked.append(
            f"no port of {span} is free for {listed(exhausted, _MOST)}; delete what holds ports or give a wider "
            f"--port-range"
        )
    before = _port_patch(found, ports.fresh) if coming.creates else ()
    return Work(
        before=before,
        deletes=deletes,
        creates=tuple(coming.creates),
        relabels=relabels,
        faults=_faults(wishes, coming),
        waits=coming.waits,
        requeue_after=_AGAIN if exhausted else None,
    )


def _wishes(node: InstanceNode, slots: Slots, span: PortRange | None, used: Container[int]) -> _Wishes:
    found = node.instance
    if not any(asks(component) for component in slots.components.values()):
        siblings = Siblings(instance=found, slots=slots, ports=NOTHING)
        wrong = ((conditions.DUPLICATE_NAMES, slots.fault),) if slots.fault else ()
        return _Wishes(order=FREE, siblings=siblings, held={}, notes=wrong)
    ports = instance_ports(found, node.owner, slots, used, span)
    siblings = siblings_of(found, slots, ports)
    order = component_order(slots)
    held: dict[str, tuple[str, str]] = {}
    for name, fault in ports.faults.items():
        text = f"annotation {labels.PORT_ALLOCATOR} of component {name} cannot be read: {fault}"
        held[name] = (conditions.PORT_ALLOCATION, text)
    for name, found_wrong in siblings.faults.items():
        held.setdefault(name, found_wrong)
    for name, fault in order.held.items():
        held.setdefault(name, (conditions.COMPONENT_ORDER, fault))
    notes = [(conditions.COMPONENT_ORDER, fault) for fault in order.faults]
    if slots.fault:
        notes.append((conditions.DUPLICATE_NAMES, slots.fault))
    if ports.off:
        text = (
            f"component {listed(ports.off, _MOST)} asks for ports and runs without, because the port allocator is off; "
            f"start rbgctrl with --enable-port-allocator or remove the annotation"
        )
        notes.append((conditions.PORT_ALLOCATION, text))
    return _Wishes(order=order, siblings=siblings, held=held, notes=tuple(notes))


# Pods that go ---------------------------------------------------------------------------------------------------------


def _doomed(node: InstanceNode, wishes: _Wishes, outdated: Mapping[object, Verdict]) -> list[tuple[PodNode, str]]:
    """Pods that ended, that nobody asks for, and that are not what the spec says.

    A policy that restarts the whole instance when one pod fails belongs here, before anything is decided for one pod.
    """
    doomed: dict[str, tuple[PodNode, str]] = {pod.pod.uid: (pod, _STRAY) for pod in node.strays}
    keeps = wishes.order.keeps(node)
    for component in node.components:
        for pod in component.pods:
            verdict = outdated.get(pod.pod.key)
            if pod.pod.status.phase == "Failed":
                why = FAILED
            elif pod.pod.status.phase == "Succeeded":
                why = ENDED
            elif pod.index < 0 or (pod.index >= component.size and component.name not in keeps):
                why = _SURPLUS
            elif unpinned(pod.pod, node.hosts):
                why = _UNPINNED
            elif component.name not in wishes.held and verdict in (Verdict.RECREATE, Verdict.LOST):
                why = OUTDATED if verdict is Verdict.RECREATE else UNKNOWN
            else:
                continue
            doomed.setdefault(pod.pod.uid, (pod, why))
    if _as_a_whole(node.instance) and any(why in (OUTDATED, UNKNOWN) for _, why in doomed.values()):
        return [(pod, TOGETHER) for pod in node.pods if active(pod.pod)] + [
            (pod, why) for pod, why in doomed.values() if not active(pod.pod)
        ]
    return list(doomed.values())


def _as_a_whole(found: RoleInstance) -> bool:
    return found.metadata.annotations.get(labels.INSTANCE_GANG_SCHEDULING) == "true"


# Pods that come -------------------------------------------------------------------------------------------------------


class _Coming:
    """The pods to create, collected slot by slot."""

    def __init__(self, node: InstanceNode, slots: Slots, wishes: _Wishes, revision: Revision) -> None:
        self._node = node
        self._slots = slots
        self._wishes = wishes
        self._revision = revision
        self.creates: list[Create] = []
        self.waits: dict[str, str] = {}
        self.blocked: list[str] = []
        self.lacking: dict[str, str] = {}

    def look(self) -> None:
        """Go through all slots that have no pod; one that is terminating still holds its name."""
        if not any(self._slots.missing):
            return
        unmet = self._wishes.order.waits(self._slots)
        holder = self._held_name() if _as_a_whole(self._node.instance) else ""
        for name, found in self._slots.by_component.items():
            for slot in found:
                if slot.pods:
                    continue
                if slot.name in self._node.squatters:
                    self._squatted(slot.name)
                elif holder:
                    self.waits[slot.name] = f"all or nothing: waits until pod {holder} is gone"
                elif name in self._wishes.held:
                    self.waits[slot.name] = f"not created: see condition {conditions.INVALID_COMPONENTS}"
                elif name in unmet:
                    self.waits[slot.name] = f"component {name} waits for {', '.join(unmet[name])}"
                else:
                    self._create(slot)

    def _held_name(self) -> str:
        """A name that the instance needs and that is not free."""
        going = (slot.name for slot in self._slots if slot.pods and not any(active(pod.pod) for pod in slot.pods))
        return next(going, None) or min(self._node.squatters, default="")

    def _squatted(self, name: str) -> None:
        holder = self._node.squatters[name]
        if not holder:
            self.waits[name] = "waits until the pod of an earlier instance of this name is gone"
            return
        self.waits[name] = "its name is taken"
        self.blocked.append(
            f"Pod {name} exists and belongs to somebody else ({holder}); remove it so that the instance can start"
        )

    def _create(self, slot: Slot) -> None:
        told = self._wishes.siblings.told(slot)
        if told.lacks:
            self.waits[slot.name] = "waits for a port"
            if not any(key in self._wishes.siblings.ports.exhausted for key in _keys(self._wishes, slot)):
                self.lacking.setdefault(slot.component.name, told.lacks)
            return
        additions = Additions(variables=told.variables, annotations=told.annotations, to=returning(self._node, slot))
        found = self._node.instance
        self.creates.append(
            create_pod(found, slot.component, slot.index, self._slots.role_type, self._revision, additions)
        )


def _keys(wishes: _Wishes, slot: Slot) -> list[str]:
    return [key for _, key in wishes.siblings.ports.of_pod(slot)]


def _port_patch(found: RoleInstance, fresh: Mapping[str, str]) -> tuple[Action, ...]:
    if not fresh:
        return ()
    patch = Patch(
        kind=RoleInstance,
        key=found.key,
        uid=found.uid,
        body={"metadata": {"annotations": dict(fresh)}},
        why="pods need ports",
    )
    return (patch,)


# What is wrong --------------------------------------------------------------------------------------------------------


def _faults(wishes: _Wishes, coming: _Coming) -> tuple[Condition, ...]:
    found = []
    held = [*wishes.held.values(), *((conditions.PORT_ALLOCATION, text) for text in coming.lacking.values())]
    wrong = [*held, *wishes.notes]
    if wrong:
        message = "; ".join(text for _, text in wrong)
        names = sorted({*wishes.held, *coming.lacking})
        if names:
            message += f"; until that is mended, no pod of {listed(names, _MOST)} is created, and those that run stay"
        found.append(Condition(type=conditions.INVALID_COMPONENTS, status="True", reason=wrong[0][0], message=message))
    if coming.blocked:
        message = told(coming.blocked, _MOST)
        found.append(
            Condition(type=conditions.FAILED_SCALE, status="True", reason=events.FAILED_CREATE, message=message)
        )
    return tuple(found)
