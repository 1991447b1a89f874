"""The pods an instance should have: a slot for each, with the pod that is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rbgctrl.api import names
from rbgctrl.api.instances import InstanceComponent
from rbgctrl.graph.nodes import InstanceNode, PodNode
from rbgctrl.graph.view import role_type, size_of

__all__ = ["Slot", "Slots", "slots_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for one pod.

    Attributes:
        component: as declared.
        index: 0-based id inside the component.
        name: of the pod.
        pods: the pod that is there; none, or more than one only by somebody else's doing.
    """

    component: InstanceComponent
    index: int
    name: str
    pods: tuple[PodNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """All of them, component by component.

    Attributes:
        role_type: how pods are named.
        components: as declared, by name.
        by_component: slots of each component.
        fault: components or pods that would have the name of another one, and so are left out.
    """

    role_type: str
    components: Mapping[str, InstanceComponent]
    by_component: Mapping[str, tuple[Slot, ...]]
    fault: str = ""

    def __iter__(self) -> Iterator[Slot]:
        for found in self.by_component.values():
            yield from found

    @property
    def missing(self) -> Iterator[Slot]:
        """Those without a pod."""
        return (slot for slot in self if not slot.pods)


def slots_of(node: InstanceNode) -> Slots:
    """The slots of an instance."""
    found = node.instance
    kind = role_type(found)
    components: dict[str, InstanceComponent] = {}
    by_component: dict[str, tuple[Slot, ...]] = {}
    taken: set[str] = set()
    fault = ""
    declared = found.spec.components if found.spec is not None else ()
    for component, live in zip(declared, node.components, strict=True):
        if component.name in components:
            fault = fault or f"two components are called {component.name}; the second one is left out"
            continue
        components[component.name] = component
        made = []
        for index in range(size_of(component)):
            name = names.pod(found.metadata.name, component.name, index, kind)
            if name in taken:
                fault = fault or f"two pods would be called {name}, as instances of role type {kind} name them"
                continue
            taken.add(name)
            pods = tuple(pod for pod in live.pods if pod.index == index)
            made.append(Slot(component=component, index=index, name=name, pods=pods))
        by_component[component.name] = tuple(made)
    return Slots(role_type=kind, components=components, by_component=by_component, fault=fault)
