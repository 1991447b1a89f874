"""The annotations by which components of an instance ask for order, addresses and ports, as values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from rbgctrl.api import labels
from rbgctrl.api.instances import InstanceComponent
from rbgctrl.api.meta import Value

__all__ = [
    "POD_SCOPED",
    "ROLE_SCOPED",
    "AddressRef",
    "ComponentDiscovery",
    "PortAllocation",
    "PortRef",
    "PortReference",
    "PortRequest",
    "StartOrder",
    "annotation",
    "asks",
    "parse",
    "template_annotations",
]

V = TypeVar("V", bound=Value)
Name = Annotated[str, Meta(min_length=1)]
Index = Annotated[int, Meta(ge=0)]

POD_SCOPED: Final = "PodScoped"
"""Every pod has a port of its own; the default."""
ROLE_SCOPED: Final = "RoleScoped"
"""All pods of a component, in all instances of the role, share one."""


class StartOrder(Value, frozen=True, gc=False):
    """``labels.COMPONENT_DEPENDS_ON``: names of components."""

    start_after: tuple[Name, ...] | None = ()
    delete_after: tuple[Name, ...] | None = ()


class AddressRef(Value, frozen=True, gc=False):
    """A variable with the address of a sibling's pod."""

    env: Name
    component: Name
    index: Index = 0


class PortRef(Value, frozen=True, gc=False):
    """A variable with a port of a sibling's pod."""

    env: Name
    component: Name
    port_name: Name
    index: Index = 0


class ComponentDiscovery(Value, frozen=True, gc=False):
    """``labels.COMPONENT_DISCOVERY``."""

    address_refs: tuple[AddressRef, ...] | None = ()
    port_refs: tuple[PortRef, ...] | None = ()


class PortAllocation(Value, frozen=True, gc=False):
    """A port that is allocated and told in a variable, and in an annotation if it has a key."""

    name: Name
    env: Name
    annotation_key: str = ""
    scope: Literal["PodScoped", "RoleScoped", ""] = ""

    @property
    def shared(self) -> bool:
        """Whether the pods of the component share it."""
        return self.scope == ROLE_SCOPED


class PortReference(Value, frozen=True, gc=False):
    """A variable with a port that another component has; ``source`` is ``<role>.<component>.<port>``."""

    env: Name
    source: Name = msgspec.field(name="from")

    @property
    def target(self) -> tuple[str, str] | None:
        """Component and port; None when it has another form. The role is that of the instance, whatever it says."""
        parts = self.source.split(".")
        return (parts[1], parts[2]) if len(parts) == 3 and all(parts) else None


class PortRequest(Value, frozen=True, gc=False):
    """``labels.PORT_ALLOCATOR``."""

    allocations: tuple[PortAllocation, ...] | None = ()
    references: tuple[PortReference, ...] | None = ()


def parse(text: str, kind: type[V]) -> V | str:
    """The annotation as a value, or what is wrong with it."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return str(error)


def annotation(component: InstanceComponent, key: str) -> str:
    """An annotation of a component, else of its pod template, else ``""``."""
    found = component.annotations.get(key)
    return found if found is not None else template_annotations(component.template).get(key, "")


def asks(component: InstanceComponent) -> bool:
    """Whether a component says anything about its siblings or ports; most do not."""
    return _FAMILY in bytes(component.template) or any(
        key.startswith(labels.PREFIX_V1ALPHA1) for key in component.annotations
    )


def template_annotations(template: msgspec.Raw) -> Mapping[str, str]:
    """Those annotations of a pod template that are about components; the others are not even parsed."""
    data = bytes(template)
    return _template_annotations(data) if _FAMILY in data else {}


_FAMILY: Final = labels.PREFIX_V1ALPHA1.encode()


class _Metadata(Value, frozen=True, gc=False):
    annotations: dict[str, str] | None = None


class _Template(Value, frozen=True, gc=False):
    metadata: _Metadata | None = None


@lru_cache(maxsize=512)  # by content, and asked on every pass
def _template_annotations(data: bytes) -> Mapping[str, str]:
    metadata = msgspec.json.decode(data, type=_Template).metadata
    found = (metadata.annotations if metadata is not None else None) or {}
    return {key: value for key, value in found.items() if key.startswith(labels.PREFIX_V1ALPHA1)}
