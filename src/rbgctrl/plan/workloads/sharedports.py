"""Ports that all instances of a role share; they are held by annotations of its RoleInstanceSet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rbgctrl.api import labels
from rbgctrl.api.components import annotation
from rbgctrl.api.instances import InstanceComponent
from rbgctrl.api.templates import TemplateError
from rbgctrl.plan.ports import role_ports
from rbgctrl.plan.workloads.components import components
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["shared_ports"]


def shared_ports(request: WorkloadRequest) -> Mapping[str, str]:
    """The annotations of the set: those it has already, and new ones.

    Raises:
        TemplateError: no port is free, or the role does not say what its pods are.
    """
    asking = request.rendered.once(
        ("ports", request.role.name), lambda: _asking(components(request)), of=request.version
    )
    if not asking:
        return {}
    seed = f"{request.group.uid}/{request.role.name}"
    given = role_ports(asking, request.held, request.used_ports, request.ports, seed)
    if given.exhausted:
        raise TemplateError(f"no port of {request.ports} is free for {given.exhausted[0]}; widen --port-range")
    return given.annotations


def _asking(built: Sequence[Mapping[str, Any]]) -> tuple[InstanceComponent, ...]:
    """The components with a request for ports, as the set's instances will have them."""
    declared = (
        InstanceComponent(
            name=component["name"],
            template=msgspec.Raw(msgspec.json.encode(component["template"])),
            annotations=component.get("annotations") or {},
        )
        for component in built
    )
    return tuple(component for component in declared if annotation(component, labels.PORT_ALLOCATOR))
