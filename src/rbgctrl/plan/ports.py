"""Ports for pods: who gets which number, what is in use, and which variables tell.

A port is held by an annotation, ``<pod>.<port>`` on a RoleInstance or ``<component>.<port>`` on a RoleInstanceSet, for
as long as that object exists; so a restart of the controller forgets nothing, and deleting the object gives it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.components import PortAllocation, PortRequest, annotation, parse
from rbgctrl.api.instances import InstanceComponent, RoleInstance, RoleInstanceSet
from rbgctrl.api.portkeys import is_port_key, ports_in
from rbgctrl.plan.model import Action, Delete
from rbgctrl.plan.slots import Slot, Slots

__all__ = [
    "NOTHING",
    "NO_PORTS",
    "Allocation",
    "PortRange",
    "Ports",
    "allocate",
    "granted",
    "instance_ports",
    "role_ports",
    "shared",
]


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports ``start`` to ``start + size - 1``."""

    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.start} to {self.start + self.size - 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What was given.

    Attributes:
        annotations: new annotations, to be written before anybody uses the port.
        exhausted: keys for which no port is free.
        faults: requests that cannot be read, by component.
    """

    annotations: Mapping[str, str] = field(default_factory=dict)
    exhausted: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)


NO_PORTS: Final[Container[int]] = frozenset()
"""No port is in use."""


def allocate(
    wanted: Iterable[str], used: Container[int], span: PortRange, seed: str, own: Iterable[int] = ()
) -> tuple[dict[str, int], list[str]]:
    """A free port for each key, the same for the same arguments, and the keys for which there is none.

    Args:
        wanted: keys.
        used: ports that somebody has.
        span: the ports there are.
        seed: spreads the ports of different owners, e.g. the owner's UID.
        own: ports that the owner has already; not needed where ``used`` has them.
    """
    given: dict[str, int] = {}
    taken = set(own)
    exhausted = []
    for key in wanted:
        first = int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:8]) % span.size
        candidates = (span.start + (first + step) % span.size for step in range(span.size))
        port = next((found for found in candidates if found not in taken and found not in used), None)
        if port is None:
            exhausted.append(key)
        else:
            given[key] = port
            taken.add(port)
    return given, exhausted


def role_ports(
    components: Sequence[InstanceComponent],
    existing: Mapping[str, str],
    used: Container[int],
    span: PortRange | None,
    seed: str,
) -> Allocation:
    """Ports that all instances of a role share, for the annotations of its RoleInstanceSet.

    Args:
        components: of ``roleInstanceTemplate``.
        existing: annotations of the set as it is; what is there is kept.
        used: ports that somebody has, this set included.
        span: the ports there are; None when the allocator is off.
        seed: the group's UID and the role, say.

    Returns:
        Annotations to lay over the set's: those it has already and those that are new.
    """
    keys: list[str] = []
    faults: dict[str, str] = {}
    for component in components:
        request = _request(component)
        if isinstance(request, str):
            faults[component.name] = request
        else:
            keys += [f"{component.name}.{item.name}" for item in request.allocations or () if item.shared]
    keys = list(dict.fromkeys(keys))
    held = {key: existing[key] for key in keys if _held(existing, key)}
    missing = [key for key in keys if key not in held]
    if span is None or not missing:
        return Allocation(annotations=held, faults=faults)
    given, exhausted = allocate(missing, used, span, seed, ports_in(held))
    annotations = {**held, **{key: str(port) for key, port in given.items()}}
    return Allocation(annotations=annotations, exhausted=tuple(exhausted), faults=faults)


def shared(annotations: Mapping[str, str]) -> dict[str, str]:
    """The port annotations of a RoleInstanceSet, which its instances take over."""
    return {key: value for key, value in annotations.items() if is_port_key(key)}


def granted(actions: Iterable[Action]) -> frozenset[int]:
    """Every port that these actions give to somebody."""
    found: set[int] = set()
    for action in actions:
        if isinstance(action, Delete) or action.kind not in (RoleInstance, RoleInstanceSet):
            continue
        if isinstance(action.body, Mapping):
            metadata = action.body.get("metadata") or {}
            found.update(ports_in(metadata.get("annotations") or {}))
    return frozenset(found)


# One instance ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the pods of one instance are told of ports.

    Attributes:
        annotations: every port annotation that counts: the instance's, the set's, and new ones.
        fresh: the new ones, to be written on the instance before pods are created.
        requests: what each component asks for.
        off: components that ask for ports although the allocator is off, and have none from before.
        exhausted: keys for which no port is free.
        faults: requests that cannot be read, by component.
    """

    annotations: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, PortRequest] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    exhausted: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    def of_pod(self, slot: Slot) -> Iterator[tuple[PortAllocation, str]]:
        """Each allocation of a pod, with the key its port is held under."""
        request = self.requests.get(slot.component.name)
        for item in (request.allocations or ()) if request is not None else ():
            yield item, _key(slot, item)

    def lookup(self, pod: str, component: str, port: str) -> str:
        """The port of a pod, else that of its component, else ``""``."""
        return self.annotations.get(f"{pod}.{port}") or self.annotations.get(f"{component}.{port}", "")


NOTHING: Final = Ports()
"""Nobody asks for a port."""


def instance_ports(
    found: RoleInstance,
    owner: RoleInstanceSet | None,
    slots: Slots,
    used: Container[int],
    span: PortRange | None,
) -> Ports:
    """The ports of an instance, with new ones for pods that do not exist yet.

    Args:
        found: the instance.
        owner: the set that controls it; a port that is shared by a role is held there, or here when there is none.
        slots: its components and pods.
        used: ports that somebody has.
        span: the ports there are; None when the allocator is off.
    """
    requests: dict[str, PortRequest] = {}
    faults: dict[str, str] = {}
    for name, component in slots.components.items():
        request = _request(component)
        if isinstance(request, str):
            faults[name] = request
        elif request.allocations or request.references:
            requests[name] = request
    known = {**(shared(owner.metadata.annotations) if owner is not None else {}), **shared(found.metadata.annotations)}
    if not requests:
        return Ports(annotations=known, faults=faults)
    lacking: dict[str, str] = {}
    for slot in slots.missing if span is not None else slots:
        request = requests.get(slot.component.name, _SILENT)
        for item in request.allocations or ():
            key = _key(slot, item)
            if (owner is None or not item.shared) and not _held(known, key):
                lacking[key] = slot.component.name
    if span is None:
        return Ports(annotations=known, requests=requests, off=tuple(dict.fromkeys(lacking.values())), faults=faults)
    given, exhausted = allocate(lacking, used, span, found.uid, ports_in(known))
    fresh = {key: str(port) for key, port in given.items()}
    return Ports(
        annotations={**known, **fresh},
        fresh=fresh,
        requests=requests,
        exhausted=tuple(exhausted),
        faults=faults,
    )


_SILENT: Final = PortRequest()


def _key(slot: Slot, item: PortAllocation) -> str:
    return f"{slot.component.name if item.shared else slot.name}.{item.name}"


def _held(annotations: Mapping[str, str], key: str) -> bool:
    return any(ports_in({key: annotations.get(key, "")}))


def _request(component: InstanceComponent) -> PortRequest | str:
    text = annotation(component, labels.PORT_ALLOCATOR)
    return parse(text, PortRequest) if text else _SILENT
