"""What the workloads of other projects have in common: how they are labelled, compared and applied."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from rbgctrl.api import labels
from rbgctrl.api.meta import LabelSelector
from rbgctrl.api.workloads import Foreign
from rbgctrl.plan.compare import contains, fields, values
from rbgctrl.plan.model import Apply
from rbgctrl.plan.staleness import stamped
from rbgctrl.plan.workloads.request import WorkloadRequest, keeps_pins
from rbgctrl.plan.workloads.request import metadata as request_metadata

__all__ = ["apply", "fingerprint", "holds", "metadata", "selected", "selector"]

_SELECTOR = LabelSelector()


def fingerprint(*templates: Mapping[str, Any]) -> str:
    """A short hash of pod templates; it tells that a field went away, which comparing fields cannot."""
    return hashlib.sha256(msgspec.json.encode(templates, order="deterministic")).hexdigest()[:16]


def metadata(request: WorkloadRequest, *templates: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata`` of the role's workload, which is made of ``templates``.

    Raises:
        TemplateError: as :attr:`WorkloadRequest.runtimes`.
    """
    built = request_metadata(request)
    built["annotations"][labels.TEMPLATE_HASH] = fingerprint(*templates)
    return built


def selector(request: WorkloadRequest, live: LabelSelector | None) -> dict[str, Any]:
    """The selector of the role's pods; that of an existing workload stays, since it cannot be changed."""
    if live is None or live == _SELECTOR:
        return {"matchLabels": request.common}
    kept: dict[str, Any] = {"matchLabels": live.match_labels}
    if live.match_expressions:
        kept["matchExpressions"] = list(live.match_expressions)
    return kept


def selected(template: dict[str, Any], live: LabelSelector | None) -> dict[str, Any]:
    """The template with the labels that an existing workload selects its pods by, which an older release chose."""
    if live is None:
        return template
    found = template.get("metadata") or {}
    own = found.get("labels") or {}
    missing = {key: value for key, value in live.match_labels.items() if key not in own}
    return {**template, "metadata": {**found, "labels": {**own, **missing}}} if missing else template


def apply(request: WorkloadRequest, body: dict[str, Any], live: Foreign | None, kind: type[Foreign]) -> Apply | None:
    """The apply of ``body``, or None when ``live`` is that already."""
    if live is None:
        stamp = stamped(body, request.group.metadata)
        return Apply(kind=kind, key=request.key, body=stamp, why="the role has no workload yet")
    if holds(live.metadata, body["metadata"]) and holds(live.spec, body["spec"]) and keeps_pins(request):
        return None
    # With its version: what is decided on an old view of the group must not scale down or roll back what came after.
    return Apply(
        kind=kind,
        key=request.key,
        body=stamped(body, request.group.metadata),  # after comparing: a generation that changes nothing is no change
        uid=live.uid,
        version=live.metadata.resource_version,
        inherit=labels.OWNER_GENERATION not in live.metadata.annotations,  # the reference controller made it
        why="the workload differs from the role",
    )


def holds(live: msgspec.Struct, wanted: Mapping[str, Any]) -> bool:
    """Whether the fields of ``wanted`` have those values in ``live``; what the server filled in is not looked at."""
    return all(
        contains(wanted[encoded], _plain(getattr(live, name)))
        for name, encoded in fields(type(live))
        if encoded in wanted
    )


def _plain(value: Any) -> Any:
    return _decoded(bytes(value)) if isinstance(value, msgspec.Raw) else values(value)


@lru_cache(maxsize=4096)  # a template is compared far more often than it changes
def _decoded(raw: bytes) -> Any:
    return msgspec.json.decode(raw)
