"""From a CustomResourceDefinition to a row of the kind table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from rbgctrl.api.meta import Kind
from rbgctrl.sim.celrules import RULES, Holds
from rbgctrl.sim.kinds import Column, Names, Row, Scale
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.schema import ANY, Schema
from rbgctrl.sim.status import not_implemented
from rbgctrl.sim.versions import version_of

__all__ = ["CRDS", "RULES", "established", "rows_of"]

CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
_META: Final = ("apiVersion", "kind", "metadata")


class _Rules(dict[str, Holds]):
    def __missing__(self, rule: str) -> Holds:
        raise not_implemented(f"the validation rule {rule!r}")


def rows_of(crd: Mapping[str, Any]) -> list[Row]:
    """A row for each served version, the storage version first.

    Raises:
        Refusal: 501, a schema has a rule that cannot be evaluated.
    """
    spec = crd["spec"]
    versions = sorted(spec.get("versions", ()), key=lambda version: not version.get("storage"))
    rows = [_row(spec, version) for version in versions]
    webhook = (spec.get("conversion") or {}).get("strategy") == "Webhook"
    for row in rows[1:]:
        row.version = version_of(row, rows[0], webhook=webhook)
    return [row for row, version in zip(rows, versions, strict=True) if version.get("served")]


def _row(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Row:
    names = spec["names"]
    source = version.get("schema", {}).get("openAPIV3Schema", {"x-kubernetes-preserve-unknown-fields": True})
    subresources = version.get("subresources") or {}
    kind: Kind[Any] = Kind(
        spec["group"], version["name"], names["kind"], names["plural"], spec.get("scope") == "Namespaced"
    )
    schema, validated = _schema(_Same(source))
    return Row(
        kind=kind,
        names=Names(
            singular=names.get("singular") or names["kind"].lower(),
            short=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
        ),
        schema=schema,
        custom=True,
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        generation=True,
        source=source,
        validated=validated,
        columns=tuple(_columns(version.get("additionalPrinterColumns") or ())),
        list_kind=names.get("listKind", ""),
        deprecation=_deprecation(kind, version),
    )


def _deprecation(kind: Kind[Any], version: Mapping[str, Any]) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{kind.api_version} {kind.kind} is deprecated"


class _Same:
    """A schema as a key of the cache: one object equals only itself, and none of those that are stored ever changes."""

    __slots__ = ("source",)

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.source = source

    def __hash__(self) -> int:
        return id(self.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.source is other.source


@lru_cache(maxsize=256)
def _schema(key: _Same) -> tuple[Schema, bool]:
    """A compiled schema, and whether it has rules; servers of a test run share the definitions they install."""
    schema = compile_schema(key.source, _Rules(RULES))
    for name in _META:
        schema.fields[name] = ANY  # looked after by the server itself
    return schema, b"x-kubernetes-validations" in orjson.dumps(key.source)


def _scale(source: Mapping[str, str] | None) -> Scale | None:
    if source is None:
        return None
    return Scale(
        spec=_path(source["specReplicasPath"]),
        status=_path(source["statusReplicasPath"]),
        selector=_path(source.get("labelSelectorPath", "")),
    )


def _path(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(".") if part)


def _columns(source: Any) -> list[Column]:
    return [
        Column(name=item["name"], path=item["jsonPath"], type=item["type"], priority=item.get("priority", 0))
        for item in source
    ]


def established(crd: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status of a definition that is served."""
    names = crd["spec"]["names"]
    accepted = {**names, "singular": names.get("singular") or names["kind"].lower()}
    accepted.setdefault("listKind", f"{names['kind']}List")
    conditions = [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    return {
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
            for kind, reason, message in conditions
        ],
        "acceptedNames": accepted,
        "storedVersions": [version["name"] for version in crd["spec"]["versions"] if version.get("storage")],
    }
