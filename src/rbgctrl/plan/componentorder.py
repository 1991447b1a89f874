"""In which order the components of an instance start and shrink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.components import StartOrder, annotation, parse
from rbgctrl.api.ordering import order
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan.podstate import serviceable
from rbgctrl.plan.slots import Slots

__all__ = ["FREE", "ComponentOrder", "component_order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentOrder:
    """What the components say of each other.

    Attributes:
        after: component to those it starts after.
        gates: component to those that must have shrunk before it does.
        held: component to what is wrong with its annotation; it is not started.
        faults: what is wrong without holding anything back.
    """

    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def waits(self, slots: Slots) -> dict[str, tuple[str, ...]]:
        """Components that must not start yet, each with those it waits for.

        A component is there when every pod it should have can serve; one of size 0 always is.
        """
        if not self.after:
            return {}
        there = {
            name
            for name, found in slots.by_component.items()
            if all(any(serviceable(pod.pod) for pod in slot.pods) for slot in found)
        }
        unmet = {name: tuple(item for item in needed if item not in there) for name, needed in self.after.items()}
        return {name: needed for name, needed in unmet.items() if needed}

    def keeps(self, node: InstanceNode) -> frozenset[str]:
        """Components whose surplus stays because another one has to shrink first."""
        if not self.gates:
            return frozenset()
        large = {item.name for item in node.components if any(pod.index >= item.size for pod in item.pods)}
        return frozenset(name for name, gates in self.gates.items() if large.intersection(gates))


FREE: Final = ComponentOrder()
"""No order at all."""


def component_order(slots: Slots) -> ComponentOrder:
    """Read the order from the annotations; a cycle means no order at all, as with the reference controller."""
    texts = {name: annotation(component, labels.COMPONENT_DEPENDS_ON) for name, component in slots.components.items()}
    if not any(texts.values()):
        return FREE
    held: dict[str, str] = {}
    faults: list[str] = []
    after: dict[str, list[str]] = {name: [] for name in texts}
    gates: dict[str, list[str]] = {name: [] for name in texts}
    for name, text in texts.items():
        found = parse(text, StartOrder) if text else StartOrder()
        if isinstance(found, str):
            held[name] = f"annotation {labels.COMPONENT_DEPENDS_ON} of component {name} cannot be read: {found}"
            continue
        for needed in found.start_after or ():
            if needed not in texts:
                held[name] = f"component {name} starts after {needed}, which is no component of this instance"
            else:
                after[name].append(needed)
                gates[needed].append(name)
        for needed in found.delete_after or ():
            if needed not in texts:
                faults.append(f"component {name} shrinks after {needed}, which is no component of this instance")
            else:
                gates[name].append(needed)
    for graph, verb in ((after, "start"), (gates, "shrink")):
        if cycle := order(graph).cycle:
            path = " -> ".join(cycle)
            faults.append(f"components {verb} after each other: {path}; all of them {verb} without order")
            return ComponentOrder(held=held, faults=tuple(faults))
    return ComponentOrder(
        after={name: tuple(dict.fromkeys(needed)) for name, needed in after.items() if needed},
        gates={name: tuple(dict.fromkeys(needed)) for name, needed in gates.items() if needed},
        held=held,
        faults=tuple(faults),
    )
