"""Building blocks of the pydantic models of kinds that people write.

The models read objects as the API server stores them: an explicit null is an absent field, unknown fields are
dropped, defaults of the schema are filled in. A default that only the controller assumes, and nobody stores, is a
``default_factory``; so is the emptiness of an absent list or map.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

__all__ = [
    "Bool",
    "Container",
    "Int32",
    "IntOrString",
    "Opaque",
    "OpaqueTemplate",
    "PodTemplate",
    "Spec",
    "StringMap",
    "Text",
    "rules",
    "unique",
]

_INT32 = 2**31


class Spec(BaseModel):
    """Base of the models: frozen, nulls absent, unknown fields dropped.

    Attributes are snake_case, the wire and the constructor's keywords camelCase.
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=False,  # a snake_case key of a manifest is an unknown key
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data

    def wire(self) -> dict[str, Any]:
        """The object as JSON values: schema defaults included; absent fields and assumed defaults left out."""
        found: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is None or (field.default_factory is not None and name not in self.model_fields_set):
                continue
            found[field.alias or name] = _wire(value)
        return {**found, **(self.model_extra or {})}


def _wire(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.wire()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_wire(item) for item in value]
    return value


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Schema entry for what a model's validators check, in CEL for the server: pairs of rule and message."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def unique(items: Iterable[_Named], what: str) -> None:
    """Refuse two items of one name, as the server does in lists that are maps.

    Raises:
        ValueError: a name occurs twice; ``what`` names the list.
    """
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise ValueError(f"{what}: duplicate name {item.name!r}")
        seen.add(item.name)


def _int_or_string(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be an integer or a string")  # noqa: TRY004 - pydantic reports only ValueError
    return value


def _needs_name(container: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(container.get("name"), str):
        raise ValueError("a container needs a name")  # noqa: TRY004 - pydantic reports only ValueError
    return container


def _needs_containers(template: dict[str, Any]) -> dict[str, Any]:
    """What a typed template insists on; everything else in it is left to the API server and the kubelet."""
    spec = template.get("spec")
    if spec is None:
        return template
    listed = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(listed, list):
        raise ValueError("spec.containers is required when spec is present")  # noqa: TRY004 - as above
    for container in [*listed, *(spec.get("initContainers") or [])]:
        if not isinstance(container, dict):
            raise ValueError("a container must be an object")  # noqa: TRY004 - pydantic reports only ValueError
        _needs_name(container)
    return template


_OPAQUE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
_PORT: dict[str, Any] = {
    "type": "object",
    "required": ["containerPort"],
    "properties": {
        "containerPort": {"type": "integer", "format": "int32"},
        "protocol": {"type": "string", "default": "TCP"},
    },
    **_OPAQUE,
}
_CONTAINER: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "ports": {"type": "array", "items": _PORT}},
    **_OPAQUE,
}
_CONTAINERS: dict[str, Any] = {"type": "array", "items": _CONTAINER}
_POD_SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["containers"],
    "properties": {"containers": _CONTAINERS, "initContainers": _CONTAINERS},
    **_OPAQUE,
}
_TEMPLATE: dict[str, Any] = {
    "type": "object",
    "properties": {"metadata": {"type": "object", **_OPAQUE}, "spec": _POD_SPEC},
}

Text: TypeAlias = StrictStr
Bool: TypeAlias = StrictBool
StringMap: TypeAlias = dict[StrictStr, StrictStr]
Int32: TypeAlias = Annotated[
    StrictInt, Field(ge=-_INT32, lt=_INT32), WithJsonSchema({"type": "integer", "format": "int32"})
]
IntOrString: TypeAlias = Annotated[
    int | str, BeforeValidator(_int_or_string), WithJsonSchema({"x-kubernetes-int-or-string": True})
]
Opaque: TypeAlias = Annotated[Any, WithJsonSchema(_OPAQUE)]
"""Any JSON value, kept as it is."""
OpaqueTemplate: TypeAlias = Annotated[dict[str, Any], WithJsonSchema(_OPAQUE)]
"""A pod template whose schema the server does not know."""
PodTemplate: TypeAlias = Annotated[dict[str, Any], AfterValidator(_needs_containers), WithJsonSchema(_TEMPLATE)]
"""A pod template of which the server checks the containers."""
Container: TypeAlias = Annotated[dict[str, Any], AfterValidator(_needs_name), WithJsonSchema(_CONTAINER)]
"""A core/v1 container."""
