"""One object, judged as a cluster would: its schema and rules, then admission."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from rbgctrl.api import names
from rbgctrl.api.admission import AdmissionOptions, review
from rbgctrl.api.conversion import V1ALPHA1, V1ALPHA2, ConversionError, convert
from rbgctrl.api.finding import Severity, shown
from rbgctrl.cli.validate.item import Item, mapping
from rbgctrl.crds import documents as definitions
from rbgctrl.sim.crds import rows_of
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.schema import Found, admit

__all__ = ["judge", "ours"]

_METADATA: Final = frozenset(
    (
        *("annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers"),
        *("generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences"),
        *("resourceVersion", "selfLink", "uid"),
    )
)
_NAME_MAX: Final = 253
_UNKNOWN: Final = (
    "is an unknown field; kubectl refuses it, other clients lose it silently. Check its spelling and place"
)


@cache
def _rows() -> Mapping[tuple[str, str], Row]:
    """Our kinds by ``apiVersion`` and ``kind``."""
    rows = [row for definition in definitions() for row in rows_of(definition)]
    return {(row.kind.api_version, row.kind.kind): row for row in rows}


@cache
def _groups() -> frozenset[str]:
    return frozenset(row.kind.group for row in _rows().values())


def ours(item: Item) -> bool:
    """Whether the object says it is of one of our API groups, or of one of our kinds and of no group at all."""
    group = item.api_version.partition("/")[0]
    return group in _groups() or (not item.api_version and any(kind == item.kind for _, kind in _rows()))


def judge(item: Item, options: AdmissionOptions) -> None:
    """Say everything that is wrong with an object of ours, and find out what would be stored.

    Args:
        item: the object; gets issues and, when it would be stored, ``stored``.
        options: what the installation allows.
    """
    row = _rows().get((item.api_version, item.kind))
    if row is None:
        _no_kind(item)
        return
    _metadata(item, namespaced=row.kind.namespaced)
    body = {name: value for name, value in item.body.items() if name != "status"}  # a create drops it unseen
    found = Found()
    stored = admit(row.schema, body, found)
    if not found.blocked():
        found.evaluate()
    for place in found.unknown:
        item.error(place, _UNKNOWN, "unknown-field")
    for cause in found.causes:
        path = cause.message.rpartition(" in ")[2] if cause.field == "<nil>" else cause.field
        item.error(path, cause.message.removeprefix("Invalid value: "), "schema")
    sound = not found.causes
    if item.api_version == V1ALPHA1:
        try:
            stored = convert(stored, V1ALPHA2)
        except ConversionError as error:
            if sound:
                item.error("", str(error), "conversion")
            return
    _admission(item, stored, options, sound=sound)
    if sound:
        item.stored = stored


def _no_kind(item: Item) -> None:
    if not item.api_version:
        item.error("", f"has no apiVersion; add apiVersion: {_versions(item.kind)}", "kind")
    elif found := _versions(item.kind):
        item.error("apiVersion", f"{item.kind} is not served as {item.api_version}; write {found}", "kind")
    else:
        known = ", ".join(sorted({kind for _, kind in _rows()}))
        item.error("kind", f"{item.api_version} has no kind {shown(item.kind)}; known are {known}", "kind")


def _versions(kind: str) -> str:
    return " or ".join(version for version, name in _rows() if name == kind)


def _admission(item: Item, stored: dict[str, Any], options: AdmissionOptions, *, sound: bool) -> None:
    verdict = review(item.kind, stored, None, options, lambda _: None)
    told = any(issue.path in ("metadata", "metadata.name") for issue in item.issues)
    for severity, findings in ((Severity.ERROR, verdict.errors), (Severity.WARNING, verdict.warnings)):
        for finding in findings:
            if (finding.rule == "schema" and not sound) or (finding.rule == "name" and told):
                continue
            message = finding.sentence.removeprefix(f"{finding.path}: ")
            item.say(finding.path, message, finding.rule, severity)


# Metadata -------------------------------------------------------------------------------------------------------------


def _metadata(item: Item, *, namespaced: bool) -> None:
    found = item.body.get("metadata")
    if not isinstance(found, dict):
        item.error("metadata", "must be an object with a name", "metadata")
        return
    for key in found:
        if key not in _METADATA:
            item.error(f"metadata.{key}", _UNKNOWN, "unknown-field")
    for path, message in _identity(found, namespaced=namespaced):
        item.error(path, message, "metadata")
    for name in ("labels", "annotations"):
        for path, message in _texts(found.get(name), f"metadata.{name}", values=name == "labels"):
            item.error(path, message, "metadata")


def _identity(metadata: Mapping[str, Any], *, namespaced: bool) -> Iterator[tuple[str, str]]:
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name is None and prefix is None:
        yield "metadata.name", "is missing; an object needs a name"
    for field, text in (("name", name), ("generateName", prefix)):
        if text is None or (isinstance(text, str) and _is_name(f"{text}x" if field == "generateName" else text)):
            continue
        message = f"{shown(text)} is no name: write at most 253 lower-case letters, digits, '-' and '.'"
        yield f"metadata.{field}", message
    namespace = metadata.get("namespace")
    if namespace is None:
        return
    if not isinstance(namespace, str) or not names.is_dns_label(namespace):
        yield "metadata.namespace", f"{shown(namespace)} is no namespace: write lower-case letters, digits and '-'"
    elif not namespaced:
        yield "metadata.namespace", "the kind is cluster-scoped; remove the namespace"


def _is_name(text: str) -> bool:
    return len(text) <= _NAME_MAX and all(names.is_dns_label(part) for part in text.split("."))


def _texts(found: Any, path: str, *, values: bool) -> Iterator[tuple[str, str]]:
    if found is not None and not isinstance(found, dict):
        yield path, "must be an object of texts"
    for key, value in mapping(found).items():
        place = f"{path}[{key}]"
        if not names.is_qualified_name(key if values else key.lower()):
            yield place, f"{shown(key)} is no key: write letters, digits, '-', '_' and '.', after a domain and '/'"
        if not isinstance(value, str):
            yield place, f"is {shown(value)}; it must be text, so put it in quotes"
        elif values and not names.is_label_value(value):
            yield place, f"{shown(value)} is no label value: write at most 63 letters, digits, '-', '_' and '.'"
