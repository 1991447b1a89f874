"""From a CustomResourceDefinition to a row of the kind table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from rbgctrl.api import labels
from rbgctrl.api.meta import Kind
from rbgctrl.sim.kinds import Column, Names, Row, Scale
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.schema import ANY, Schema
from rbgctrl.sim.status import not_implemented

__all__ = ["CRDS", "RULES", "established", "rows_of"]

CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


def _leader_only(role: Any) -> bool:
    pattern = role.get("leaderWorkerPattern") or {}
    if pattern.get("sharedServiceSelection") != "LeaderOnly":
        return True
    workload = (role.get("annotations") or {}).get(labels.ROLE_WORKLOAD_TYPE)
    return workload in (None, labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET)


RULES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "self.maxDelaySeconds >= self.baseDelaySeconds": lambda self: self["maxDelaySeconds"] >= self["baseDelaySeconds"],
    "!(has(self.template) && has(self.templateRef))": lambda self: not ("template" in self and "templateRef" in self),
    "!(has(self.standalonePattern) && has(self.leaderWorkerPattern))": (
        lambda self: not ("standalonePattern" in self and "leaderWorkerPattern" in self)
    ),
}
"""Cross-field rules by their text. A schema with a rule that is not here is refused, not half obeyed."""

_LEADER_ONLY_START: Final = "!has(self.leaderWorkerPattern) || !has(self.leaderWorkerPattern.sharedServiceSelection)"
_META: Final = ("apiVersion", "kind", "metadata")


class _Rules(dict[str, Callable[[Any], bool]]):
    def __missing__(self, rule: str) -> Callable[[Any], bool]:
        if rule.startswith(_LEADER_ONLY_START):
            return _leader_only
        raise not_implemented(f"the validation rule {rule!r}")


def rows_of(crd: Mapping[str, Any]) -> list[Row]:
    """A row for each served version, the storage version first.

    Raises:
        Refusal: 501, a schema has a rule that cannot be evaluated.
    """
    spec = crd["spec"]
    versions = [version for version in spec.get("versions", ()) if version.get("served")]
    return [_row(spec, version) for version in sorted(versions, key=lambda version: not version.get("storage"))]


def _row(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Row:
    names = spec["names"]
    source = version.get("schema", {}).get("openAPIV3Schema", {"x-kubernetes-preserve-unknown-fields": True})
    subresources = version.get("subresources") or {}
    kind: Kind[Any] = Kind(
        spec["group"], version["name"], names["kind"], names["plural"], spec.get("scope") == "Namespaced"
    )
    return Row(
        kind=kind,
        names=Names(
            singular=names.get("singular") or names["kind"].lower(),
            short=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
        ),
        schema=_schema(orjson.dumps(source)),
        custom=True,
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        generation=True,
        source=source,
        validated="x-kubernetes-validations" in str(source),
        columns=tuple(_columns(version.get("additionalPrinterColumns") or ())),
        list_kind=names.get("listKind", ""),
    )


@lru_cache(maxsize=64)
def _schema(source: bytes) -> Schema:
    """A compiled schema; the same definitions are installed in every server of a test run."""
    schema = compile_schema(orjson.loads(source), _Rules(RULES))
    for name in _META:
        schema.fields[name] = ANY  # looked after by the server itself
    return schema


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
