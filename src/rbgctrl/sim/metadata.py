"""``metadata``: what clients may write, what only the server may, and what is refused."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import orjson

from rbgctrl.sim.kinds import Row
from rbgctrl.sim.schema import Found
from rbgctrl.sim.status import Cause, UndecodableRefusal
from rbgctrl.sim.storage import Obj

__all__ = [
    "LABEL_KEY_MESSAGE",
    "LABEL_MESSAGE",
    "LABEL_VALUE_MESSAGE",
    "OMITTED_WHEN_EMPTY",
    "is_label_key",
    "is_label_value",
    "metadata_rules",
    "settled_metadata",
]

_KNOWN: Final = frozenset(
    (
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
    )
)
_SERVERS: Final = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
OMITTED_WHEN_EMPTY: Final = ("labels", "annotations", "ownerReferences", "finalizers", "generateName")
_LABEL_VALUE: Final = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LABEL_NAME: Final = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_NAME_MAX: Final = 253
_LABEL_MAX: Final = 63
_ANNOTATIONS_MAX: Final = 256 * 1024
_SUBDOMAIN_MESSAGE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_MESSAGE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_VALUE_MESSAGE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LABEL_KEY_MESSAGE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def settled_metadata(row: Row, metadata: Obj, before: Obj | None, found: Found) -> Obj:
    """Fresh ``metadata`` with what only the server writes as it was, and without what it does not know.

    Args:
        row: the kind.
        metadata: as sent.
        before: as stored; None for a new object.
        found: collects unknown fields.

    Raises:
        Refusal: 400, labels or the like are of a wrong type.
    """
    kept = dict(metadata)
    for name in metadata.keys() - _KNOWN:
        found.unknown.append(f"metadata.{name}")
        del kept[name]
    for name in _SERVERS:
        kept.pop(name, None)
        if before is not None and name in before:
            kept[name] = before[name]
    for name in OMITTED_WHEN_EMPTY:
        if name in kept and not kept[name]:
            del kept[name]
    _check_types(row, kept)
    return kept


def _check_types(row: Row, metadata: Obj) -> None:
    for name in ("labels", "annotations"):
        values = metadata.get(name)
        if values is None:
            continue
        if not isinstance(values, dict):
            raise _undecodable(row, f"metadata.{name}", values)
        for key in [key for key, value in values.items() if value is None]:
            metadata[name] = values = {**values, key: ""}
        if not all(isinstance(value, str) for value in values.values()):
            raise _undecodable(row, f"metadata.{name}", next(v for v in values.values() if not isinstance(v, str)))
    for name in ("ownerReferences", "finalizers"):
        if name in metadata and not isinstance(metadata[name], list):
            raise _undecodable(row, f"metadata.{name}", metadata[name])


def _undecodable(row: Row, field: str, value: Any) -> Exception:
    kind = row.kind
    given = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else type(value).__name__
    why = f"json: cannot unmarshal {given} into Go struct field ObjectMeta.{field} of type string"
    return UndecodableRefusal(kind.kind, kind.version, why)


def metadata_rules(row: Row, metadata: Obj, before: Obj | None) -> list[Cause]:
    """What is wrong with settled metadata."""
    found: list[Cause] = []
    if before is None:
        found.extend(_name(row, metadata))
    if before is None or metadata.get("labels") is not before.get("labels"):
        for key, value in (metadata.get("labels") or {}).items():
            found.extend(_label(key, value))
    if before is None or metadata.get("annotations") is not before.get("annotations"):
        found.extend(_annotations(metadata.get("annotations") or {}))
    if before is None or metadata.get("ownerReferences") is not before.get("ownerReferences"):
        found.extend(_owners(metadata.get("ownerReferences") or []))
    found.extend(_finalizers(metadata, before))
    return found


def _invalid(field: str, value: Any, message: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(value).decode()}: {message}", field)


def _name(row: Row, metadata: Obj) -> list[Cause]:
    name = metadata.get("name")
    if not name:
        message = "Required value: name or generateName is required"
        return [Cause("FieldValueRequired", message, "metadata.name")]
    if row.kind.kind in ("Service", "Namespace"):
        pattern, limit, message = _LABEL, _LABEL_MAX, LABEL_MESSAGE
    else:
        pattern, limit, message = _SUBDOMAIN, _NAME_MAX, _SUBDOMAIN_MESSAGE
    if len(name) > limit:
        return [_invalid("metadata.name", name, f"must be no more than {limit} bytes")]
    return [] if pattern.match(name) else [_invalid("metadata.name", name, message)]


def is_label_key(key: str) -> bool:
    """Whether ``key`` may be the key of a label, but for its length."""
    prefix, slash, name = key.rpartition("/")
    return bool(_LABEL_NAME.match(name)) and (not slash or bool(_SUBDOMAIN.match(prefix)))


def is_label_value(value: str) -> bool:
    """Whether ``value`` may be the value of a label, but for its length."""
    return bool(_LABEL_VALUE.match(value))


@lru_cache(maxsize=65536)
def _label(key: str, value: str) -> tuple[Cause, ...]:
    found = []
    if len(key.rpartition("/")[2]) > _LABEL_MAX:
        found.append(_invalid("metadata.labels", key, f"name part must be no more than {_LABEL_MAX} bytes"))
    elif not is_label_key(key):
        found.append(_invalid("metadata.labels", key, LABEL_KEY_MESSAGE))
    if len(value) > _LABEL_MAX:
        found.append(_invalid("metadata.labels", value, f"must be no more than {_LABEL_MAX} bytes"))
    elif not is_label_value(value):
        found.append(_invalid("metadata.labels", value, LABEL_VALUE_MESSAGE))
    return tuple(found)


def _annotations(values: dict[str, str]) -> list[Cause]:
    found = []
    for key in values:
        prefix, slash, name = key.lower().rpartition("/")
        if not _LABEL_NAME.match(name) or len(name) > _LABEL_MAX or (slash and not _SUBDOMAIN.match(prefix)):
            found.append(_invalid("metadata.annotations", key, LABEL_KEY_MESSAGE))
    if sum(len(key) + len(value) for key, value in values.items()) > _ANNOTATIONS_MAX:
        message = f"Too long: may not be more than {_ANNOTATIONS_MAX} bytes"
        found.append(Cause("FieldValueTooLong", message, "metadata.annotations"))
    return found


def _owners(references: list[Obj]) -> list[Cause]:
    found = []
    controllers = []
    for reference in references:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(field):
                place = f"metadata.ownerReferences.{field}"
                found.append(_invalid(place, "", "must not be empty"))
        if reference.get("controller"):
            controllers.append(reference)
    if len(controllers) > 1:
        names = " and ".join(f"{item.get('kind')}/{item.get('name')}" for item in controllers[:2])
        message = f'Only one reference can have Controller set to true. Found "true" in references for {names}'
        found.append(_invalid("metadata.ownerReferences", references, message))
    return found


def _finalizers(metadata: Obj, before: Obj | None) -> list[Cause]:
    present = metadata.get("finalizers") or []
    if not present or (before is not None and present is before.get("finalizers")):
        return []
    found = []
    for index, name in enumerate(present):
        if not is_label_key(name):
            found.append(_invalid("metadata.finalizers", name, LABEL_KEY_MESSAGE))
        elif "/" not in name and name not in ("orphan", "foregroundDeletion", "kubernetes") and before is None:
            message = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(_invalid(f"metadata.finalizers[{index}]", name, message))
    if before is not None and before.get("deletionTimestamp"):
        new = [name for name in present if name not in (before.get("finalizers") or [])]
        if new:
            listed = "[]string{" + ", ".join(f'"{name}"' for name in new) + "}"
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"{listed}"
            )
            found += [Cause("FieldValueForbidden", message, "metadata.finalizers")] * 2  # checked twice, said twice
    return found
