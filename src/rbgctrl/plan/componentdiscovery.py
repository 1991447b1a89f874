"""Variables by which the pods of one component find those of another: addresses, and ports by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rbgctrl.api import conditions, labels, names
from rbgctrl.api.components import ComponentDiscovery, annotation, parse
from rbgctrl.api.instances import InstanceComponent, RoleInstance
from rbgctrl.plan.ports import Ports
from rbgctrl.plan.slots import Slot, Slots

__all__ = ["Siblings", "Told", "siblings_of"]

_DOMAIN: Final = "svc.cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a pod is told beyond its template.

    Attributes:
        variables: name to value.
        annotations: for the pod.
        lacks: a port that is not there, so that the pod cannot be told of it; ``""`` when nothing is missing.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """What the components of an instance ask of each other.

    Attributes:
        instance: whose components they are.
        slots: its pods.
        ports: what is known of their ports.
        requests: what each component wants to know.
        faults: what cannot be told to a component, whatever happens, with the reason; its pods are not created.
    """

    instance: RoleInstance
    slots: Slots
    ports: Ports
    requests: Mapping[str, ComponentDiscovery] = field(default_factory=dict)
    faults: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def told(self, slot: Slot) -> Told:
        """What the pod of a slot is told."""
        name, ports = slot.component.name, self.ports
        variables: dict[str, str] = {}
        annotations: dict[str, str] = {}
        for item, key in ports.of_pod(slot):
            value = ports.annotations.get(key, "")
            if value:
                variables[item.env] = value
                if item.annotation_key:
                    annotations[item.annotation_key] = value
            elif name not in ports.off:
                return Told(
                    lacks=f"port {item.name} of component {name} is not allocated: there is no annotation {key}"
                )
        request = ports.requests.get(name)
        for reference in (request.references or ()) if request is not None else ():
            component, port = reference.target or ("", "")
            value = self._port(component, 0, port)
            if not value:
                return Told(lacks=f"component {name} refers to {reference.source}, and {component} has no such port")
            variables[reference.env] = value
        wanted = self.requests.get(name, _NOTHING)
        for address in wanted.address_refs or ():
            variables[address.env] = self._address(self.slots.components[address.component], address.index)
        for found in wanted.port_refs or ():
            value = self._port(found.component, found.index, found.port_name)
            if not value:
                why = f"component {name} asks for port {found.port_name} of {found.component}, which has no such port"
                return Told(lacks=why)
            variables[found.env] = value
        return Told(variables=variables, annotations=annotations)

    def _address(self, sibling: InstanceComponent, index: int) -> str:
        return f"{self._pod(sibling.name, index)}.{sibling.service_name}.{self.instance.key.namespace}.{_DOMAIN}"

    def _port(self, component: str, index: int, port: str) -> str:
        return self.ports.lookup(self._pod(component, index), component, port)

    def _pod(self, component: str, index: int) -> str:
        return names.pod(self.instance.metadata.name, component, index, self.slots.role_type)


_NOTHING: Final = ComponentDiscovery()


def siblings_of(found: RoleInstance, slots: Slots, ports: Ports) -> Siblings:
    """Read what the components of an instance want to know of each other."""
    requests: dict[str, ComponentDiscovery] = {}
    faults: dict[str, tuple[str, str]] = {}
    for name, component in slots.components.items():
        if fault := _references(name, slots, ports):
            faults[name] = (conditions.PORT_ALLOCATION, fault)
        text = annotation(component, labels.COMPONENT_DISCOVERY)
        if not text:
            continue
        wanted = parse(text, ComponentDiscovery)
        if isinstance(wanted, str):
            fault = f"annotation {labels.COMPONENT_DISCOVERY} of component {name} cannot be read: {wanted}"
        else:
            fault = _unknown(name, wanted, slots)
        if fault:
            faults[name] = (conditions.COMPONENT_DISCOVERY, fault)
        elif not isinstance(wanted, str):
            requests[name] = wanted
    return Siblings(instance=found, slots=slots, ports=ports, requests=requests, faults=faults)


def _unknown(name: str, wanted: ComponentDiscovery, slots: Slots) -> str:
    for reference in wanted.address_refs or ():
        sibling = slots.components.get(reference.component)
        if sibling is None:
            return f"component {name} asks for the address of {reference.component}, which is no component"
        if not sibling.service_name:
            return f"component {name} asks for the address of {sibling.name}, which has no serviceName"
    for port in wanted.port_refs or ():
        if port.component not in slots.components:
            return f"component {name} asks for a port of {port.component}, which is no component"
    return ""


def _references(name: str, slots: Slots, ports: Ports) -> str:
    request = ports.requests.get(name)
    for reference in (request.references or ()) if request is not None else ():
        if reference.target is None:
            return f"port reference {reference.source!r} of component {name} is not <role>.<component>.<port>"
        if reference.target[0] not in slots.components:
            return f"component {name} refers to a port of {reference.target[0]}, which is no component"
    return ""
