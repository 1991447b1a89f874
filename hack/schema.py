"""JSON schemas of our types in the form Kubernetes takes them: structural, inline, without titles and nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from pydantic import BaseModel

from rbgctrl.api.spec import TYPED

__all__ = ["Schema", "structural"]

Schema: TypeAlias = dict[str, Any]

_OPAQUE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_REQUIRED = "x-required"
"""Marks a field that has a default and is required all the same."""
_DROPPED = ("title", "$defs", "$ref", "anyOf", "required", _REQUIRED)


def structural(kind: type[Any], overrides: Mapping[str, Schema]) -> Schema:
    """The structural schema of a pydantic model or msgspec Struct; types of core/v1 stay marked, see ``spec.TYPED``.

    Args:
        kind: the type.
        overrides: type name to entries that take the place of the generated ones.

    Raises:
        ValueError: the type needs something that structural schemas cannot say.
    """
    if issubclass(kind, BaseModel):
        found: Schema = kind.model_json_schema(by_alias=True)
        struct = False
    else:
        found = msgspec.json.schema(kind, schema_hook=_raw)
        struct = True
    return _Converter(found.get("$defs", {}), overrides, struct=struct).convert(
        {**found, **overrides.get(kind.__name__, {})}
    )


def _raw(kind: type[Any]) -> Schema:
    if kind is msgspec.Raw:
        return {_OPAQUE: True}
    raise NotImplementedError(f"no schema for {kind}")


class _Converter:
    def __init__(self, defs: Mapping[str, Schema], overrides: Mapping[str, Schema], *, struct: bool) -> None:
        self._defs = defs
        self._overrides = overrides
        self._struct = struct

    def convert(self, schema: Schema) -> Schema:
        """``schema`` with references inlined and everything dropped that the server refuses."""
        schema = self._inline(schema)
        if TYPED in schema:
            return {key: schema[key] for key in ("description", TYPED) if key in schema}
        found = {key: value for key, value in schema.items() if key not in _DROPPED}
        if "default" in found and self._absent(found["default"]):
            del found["default"]
        if isinstance(found.get("additionalProperties"), bool):
            del found["additionalProperties"]
        elif "additionalProperties" in found:
            found["additionalProperties"] = self.convert(found["additionalProperties"])
        if "description" in found:
            found["description"] = found["description"].replace("``", "")
        if "enum" in found:
            found["type"] = "string"
        if "items" in found:
            found["items"] = self.convert(found["items"])
        if not found.get("properties", True):
            del found["properties"]  # the server does not store an empty map
        if "properties" in found:
            fields = {name: self._inline(field) for name, field in found["properties"].items()}
            required = {*schema.get("required", ()), *(name for name, field in fields.items() if _REQUIRED in field)}
            found["properties"] = {name: self.convert(field) for name, field in fields.items()}
            if required:
                found["required"] = sorted(required)
        if "type" not in found and _INT_OR_STRING not in found:
            found[_OPAQUE] = True
        return found

    def _absent(self, default: Any) -> bool:
        """Whether a default only says that the field may be missing: in a Struct every zero does."""
        return default in (None, [], {}) or (self._struct and not default)

    def _inline(self, schema: Schema) -> Schema:
        """``schema`` with what it refers to, or its only alternative to null, merged under its own entries."""
        while "$ref" in schema or "anyOf" in schema:
            own = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = {**self._defs[name], **self._overrides.get(name, {}), **own}
            else:
                schema = {**self._alternative(schema["anyOf"]), **own}
        return schema

    def _alternative(self, options: list[Schema]) -> Schema:
        options = [option for option in options if option.get("type") != "null"]
        if len(options) == 1:
            return options[0]
        if {option.get("type") for option in options} == {"integer", "string"}:
            return {_INT_OR_STRING: True}
        raise ValueError(f"structural schemas have no alternatives: {options}")
