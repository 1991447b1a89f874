"""Building blocks of the pydantic models of kinds that people write.

The models read objects as the API server stores them: an explicit null is an absent field, unknown fields are
dropped, defaults of the schema are filled in. A default that only the controller assumes, and nobody stores, is a
``default_factory``; so is the emptiness of an absent list or map.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Protocol, TypeAlias

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
    "DNS_LABEL",
    "TYPED",
    "WITHOUT_NULLS",
    "Bool",
    "Container",
    "Count",
    "Int32",
    "Int64",
    "IntOrString",
    "Label",
    "Name",
    "Opaque",
    "OpaqueTemplate",
    "PodTemplate",
    "Positive",
    "PositiveLong",
    "Selector",
    "Share",
    "Spec",
    "StringMap",
    "Text",
    "Toleration",
    "Volume",
    "by_name",
    "not_empty",
    "rules",
    "unique",
]

_INT32 = 2**31
_INT64 = 2**63
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
TYPED = "x-typed"
"""Schema entry that names the type of core/v1 whose full schema the server is to have in its place."""


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
            known = _aliases(cls)
            return {name: value for name, value in data.items() if value is not None or name not in known}
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


@cache
def _aliases(kind: type[Spec]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in kind.model_fields.items())


def _wire(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.wire()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_wire(item) for item in value]
    if isinstance(value, dict) and any(isinstance(item, Spec) for item in value.values()):
        return {name: _wire(item) for name, item in value.items()}
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


def not_empty(items: Iterable[object], what: str) -> None:
    """Refuse an empty list or map that was given; ``what`` names it.

    Raises:
        ValueError: there is nothing in it.
    """
    if not any(True for _ in items):
        raise ValueError(f"{what}: must not be empty")


def _int_or_string(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be an integer or a string")  # noqa: TRY004 - pydantic reports only ValueError
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic reports only ValueError
    return value


def _without_nulls(value: object) -> object:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def _needs_name(item: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(item.get("name"), str):
        raise ValueError("a container or volume needs a name")  # noqa: TRY004 - pydantic reports only ValueError
    return item


def _needs_containers(template: dict[str, Any]) -> dict[str, Any]:
    """What a typed template insists on; everything else in it is left to the API server and the kubelet."""
    spec = template.get("spec")
    if spec is None:
        return template
    listed = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(listed, list):
        raise ValueError("spec.containers is required when spec is present")  # noqa: TRY004 - as above
    initial = spec.get("initContainers") or []
    if not isinstance(initial, list):
        raise ValueError("spec.initContainers must be a list")  # noqa: TRY004 - as above
    for container in [*listed, *initial]:
        if not isinstance(container, dict):
            raise ValueError("a container must be an object")  # noqa: TRY004 - pydantic reports only ValueError
        _needs_name(container)
    return template


_OPAQUE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}

by_name: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""Schema entries of a list that is a map by ``name``; :func:`unique` is the same for models."""

Text: TypeAlias = StrictStr
Bool: TypeAlias = StrictBool
WITHOUT_NULLS: Final = BeforeValidator(_without_nulls)
"""For maps: the server drops nulls among their values."""
StringMap: TypeAlias = Annotated[dict[StrictStr, StrictStr], WITHOUT_NULLS]
Int32: TypeAlias = Annotated[
    StrictInt, Field(ge=-_INT32, lt=_INT32), WithJsonSchema({"type": "integer", "format": "int32"})
]
Int64: TypeAlias = Annotated[
    StrictInt, Field(ge=-_INT64, lt=_INT64), WithJsonSchema({"type": "integer", "format": "int64"})
]
Count: TypeAlias = Annotated[
    StrictInt, Field(ge=0, lt=_INT32), WithJsonSchema({"type": "integer", "format": "int32", "minimum": 0})
]
Positive: TypeAlias = Annotated[
    StrictInt, Field(ge=1, lt=_INT32), WithJsonSchema({"type": "integer", "format": "int32", "minimum": 1})
]
PositiveLong: TypeAlias = Annotated[
    StrictInt, Field(ge=1, lt=_INT64), WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1})
]
Share: TypeAlias = Annotated[
    float,
    Field(ge=0, le=1),
    BeforeValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
"""A number from 0 to 1."""
Name: TypeAlias = Annotated[Text, Field(min_length=1)]
"""Any text but the empty one."""
Label: TypeAlias = Annotated[Text, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
"""A DNS label."""
IntOrString: TypeAlias = Annotated[
    int | str, BeforeValidator(_int_or_string), WithJsonSchema({"x-kubernetes-int-or-string": True})
]
Opaque: TypeAlias = Annotated[Any, WithJsonSchema(_OPAQUE)]
"""Any JSON value, kept as it is."""
OpaqueTemplate: TypeAlias = Annotated[dict[str, Any], WithJsonSchema(_OPAQUE)]
"""A pod template whose schema the server does not know."""
PodTemplate: TypeAlias = Annotated[
    dict[str, Any], AfterValidator(_needs_containers), WithJsonSchema({TYPED: "PodTemplateSpec"})
]
"""A pod template of which the server knows every field; the model looks at the containers' names only."""
Container: TypeAlias = Annotated[dict[str, Any], AfterValidator(_needs_name), WithJsonSchema({TYPED: "Container"})]
"""A core/v1 Container of which the server knows every field; the model looks at its name only."""
Volume: TypeAlias = Annotated[dict[str, Any], AfterValidator(_needs_name), WithJsonSchema({TYPED: "Volume"})]
"""A core/v1 Volume, as :data:`Container`."""
Toleration: TypeAlias = Annotated[dict[str, Any], WithJsonSchema({TYPED: "Toleration"})]
"""A core/v1 Toleration of which the server knows every field; the model looks at none."""
Selector: TypeAlias = Annotated[dict[str, Any], WithJsonSchema({TYPED: "LabelSelector"})]
"""A metav1.LabelSelector, as :data:`Toleration`."""
