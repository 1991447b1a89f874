"""From an object as sent to an object as stored: the rules every write goes through, whoever sends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rbgctrl.api.meta import Key
from rbgctrl.sim.call import Write
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.managed import after_write
from rbgctrl.sim.metadata import metadata_rules, settled_metadata
from rbgctrl.sim.schema import ANY, UNREADABLE, Found, Schema, admit
from rbgctrl.sim.status import (
    Cause,
    Refusal,
    UndecodableRefusal,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from rbgctrl.sim.storage import Obj, StoredEvent, path_of

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["Outcome", "change", "create", "record_or_404", "uid_conflict"]

MODIFIED_MEANWHILE: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
_SKIPPED: Final = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
    "<nil>",
)
_GO_GIVEN: Final = {"integer": "number", "number": "number", "boolean": "bool", "string": "string", "array": "array"}
_GO_WANTED: Final = {"string": "string", "integer": "int32", "boolean": "bool"}
_FOLDERS: Final = {"services": "services/specs", "nodes": "minions"}  # in the real one's database
_NOT_SPEC: Final = ("apiVersion", "kind", "metadata", "status")


class Outcome:
    """What a write came to.

    Attributes:
        obj: the object to answer with.
        event: the change that made it, with its bytes; None for a dry run or an object that is gone now.
        warnings: for ``Warning`` headers.
    """

    __slots__ = ("event", "obj", "warnings")

    def __init__(self, obj: Obj, event: StoredEvent | None = None, warnings: tuple[str, ...] = ()) -> None:
        self.obj = obj
        self.event = event
        self.warnings = warnings


def record_or_404(server: ApiServer, row: Row, key: Key) -> StoredEvent:
    """The stored object. Raises Refusal 404."""
    record = server.storage.record(row.resource, key)
    if record is None:
        raise not_found(row.resource, key.name)
    return record


# Create ---------------------------------------------------------------------------------------------------------------


def create(
    server: ApiServer, row: Row, namespace: str, obj: Obj, write: Write, *, entries: list[Obj] | None = None
) -> Outcome:
    """Store a new object.

    Args:
        server: where.
        row: its kind.
        namespace: where it lives; ``""`` for cluster-scoped kinds.
        obj: as sent, with metadata; not changed.
        write: how.
        entries: its managed fields, when they are known already.

    Raises:
        Refusal: 400, 403, 404 (no such namespace), 409, 422.
    """
    metadata = dict(obj["metadata"])
    if metadata.get("resourceVersion") not in (None, ""):
        raise Refusal(500, "", "resourceVersion should not be set on objects to be created")
    _check_namespace(server, row, namespace, metadata)
    found = Found()
    name = metadata.get("name") or _generated(server, metadata)
    metadata = settled_metadata(row, {**metadata, "name": name}, None, found)
    now = server.now_text()
    metadata.update(uid=server.draws.uid(), creationTimestamp=now)
    if row.generation:
        metadata["generation"] = 1
    obj = {**obj, "metadata": metadata}
    if row.status and not row.born_with_status:
        obj.pop("status", None)
        if not row.custom:
            obj["status"] = {}
    obj = _prepared(row, obj, None, write, found)
    obj = _checked(server, row, obj, None, write, found)
    key = Key(namespace if row.kind.namespaced else "", name)
    present = server.storage.get(row.resource, key)
    if present is not None:
        raise already_exists(row.resource, name, deleting="deletionTimestamp" in present["metadata"])
    if entries is None:
        entries = after_write(row, None, obj, write.manager, now)
    if entries:
        obj["metadata"]["managedFields"] = entries
    if row.admit is not None:
        obj = row.admit(obj, now)
    server.creating(row, obj, dry_run=write.dry_run)
    warnings = _warnings(write, found)
    if write.dry_run:
        return Outcome(obj, warnings=warnings)
    event = server.storage.commit(row.resource, key, obj)
    return Outcome(event.obj, event, warnings)


def _check_namespace(server: ApiServer, row: Row, namespace: str, metadata: Obj) -> None:
    if not row.kind.namespaced:
        return
    if not namespace:
        raise bad_request("an empty namespace may not be set during creation")
    found = server.storage.get("namespaces", Key("", namespace))
    if found is None:
        raise not_found("namespaces", namespace)
    if found["metadata"].get("deletionTimestamp"):
        message = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
        raise forbidden(row.resource, metadata.get("name", ""), message, [cause])


def _generated(server: ApiServer, metadata: Obj) -> str:
    prefix = metadata.get("generateName")
    if not prefix:
        return ""
    return f"{prefix[:58]}{server.draws.suffix()}"


# Change ---------------------------------------------------------------------------------------------------------------


def change(
    server: ApiServer,
    row: Row,
    key: Key,
    old: StoredEvent,
    obj: Obj,
    write: Write,
    *,
    entries: list[Obj] | None = None,
    unconditional_uid: bool = True,
    always: bool = False,
) -> Outcome:
    """Store a changed object.

    Args:
        server: where.
        row: its kind.
        key: which.
        old: its last change.
        obj: what it should become; not changed, may share parts with the old object.
        write: how; its manager's subresource says which half of the object may change.
        entries: its managed fields, when they are known already.
        unconditional_uid: a wrong uid is an invalid change (patches); else a failed precondition (updates).
        always: store it even when nothing changed.

    Raises:
        Refusal: 409, 422.
    """
    before = old.obj
    metadata = obj["metadata"]
    if entries is None and metadata.get("managedFields") == [{}] and not write.manager.subresource:
        entries = []  # how clients say that all ownership is to be forgotten
    _preconditions(row, key, metadata, before["metadata"], write.manager.subresource, patch=unconditional_uid)
    found = Found()
    metadata = settled_metadata(row, metadata, before["metadata"], found)
    obj = {name: before[name] if name in before and before[name] == item else item for name, item in obj.items()}
    obj = _half(row, {**obj, "metadata": metadata}, before, write.manager.subresource)
    wanted = _prepared(row, obj, before, write, found)
    readmitted = wanted if row.readmit is None else row.readmit(wanted, before)
    obj = _checked(server, row, readmitted, before, write, found)
    warnings = _warnings(write, found)
    if entries is None and wanted == before:
        return Outcome(before, old, warnings)
    if _bumps(row, obj, before):
        obj["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
    now = server.now_text()
    if entries is None:
        entries = after_write(row, before, wanted, write.manager, now)
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)
    if not always and (obj == before or _only_later(obj, before)):
        return Outcome(before, old, warnings)
    if write.dry_run:
        return Outcome(obj, warnings=warnings)
    if _finished(obj):
        server.storage.remove(row.resource, key)
        return Outcome(obj, warnings=warnings)
    event = server.storage.commit(row.resource, key, obj)
    return Outcome(event.obj, event, warnings)


def _preconditions(row: Row, key: Key, metadata: Obj, before: Obj, subresource: str, *, patch: bool) -> None:
    version = metadata.get("resourceVersion")
    if version not in (None, "", before["resourceVersion"]):
        raise conflict(row.resource, key.name, MODIFIED_MEANWHILE)
    uid = metadata.get("uid")
    if row.custom and subresource == "status":
        return
    if uid in (None, "", before["uid"]):
        return
    if not patch:
        raise uid_conflict(row, key, uid, before["uid"])
    cause = Cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
    raise invalid(row.kind.kind, row.kind.group, key.name, [cause, cause])


def uid_conflict(row: Row, key: Key, wanted: str, found: str) -> Refusal:
    """409 of an update of another object of that name, or of none."""
    place = f"{row.kind.group}/{row.kind.plural}" if row.custom else _FOLDERS.get(row.resource, row.kind.plural)
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{place}/{path_of(key)}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )
    return conflict(row.resource, key.name, why)


def _half(row: Row, obj: Obj, before: Obj, subresource: str) -> Obj:
    """``obj`` with the half that this endpoint may not touch as it was."""
    if subresource == "status":
        kept = {name: item for name, item in before.items() if name != "status"}
        if not row.custom:
            kept["metadata"] = {
                **obj["metadata"],
                **{name: before["metadata"][name] for name in ("ownerReferences",) if name in before["metadata"]},
            }
        else:
            kept["metadata"] = dict(before["metadata"])
        if "status" in obj:
            kept["status"] = obj["status"]
        return kept
    if not row.status:
        return obj
    obj.pop("status", None)
    if "status" in before:
        obj["status"] = before["status"]
    return obj


def _bumps(row: Row, obj: Obj, before: Obj) -> bool:
    if not row.generation:
        return False
    if row.kind.kind == "Deployment" and obj["metadata"].get("annotations") != before["metadata"].get("annotations"):
        return True
    if not row.custom:
        return bool(obj.get("spec") != before.get("spec"))
    names = obj.keys() | before.keys()
    return any(name not in _NOT_SPEC and obj.get(name) != before.get(name) for name in names)


def _only_later(obj: Obj, before: Obj) -> bool:
    """Whether nothing differs but the times in managed fields: then those stay, too."""
    present, past = obj["metadata"].get("managedFields") or (), before["metadata"].get("managedFields") or ()
    if len(present) != len(past):
        return False
    pairs = zip(present, past, strict=True)
    if any(left is not right and {**left, "time": ""} != {**right, "time": ""} for left, right in pairs):
        return False
    return bool({**obj, "metadata": {**obj["metadata"], "managedFields": past}} == before)


def _finished(obj: Obj) -> bool:
    """Whether nothing holds back an object that is being deleted any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if obj["kind"] == "Namespace" and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


# Both -----------------------------------------------------------------------------------------------------------------


def _prepared(row: Row, obj: Obj, before: Obj | None, write: Write, found: Found) -> Obj:
    """The object with its defaults, as its writer is said to have written it."""
    obj = _by_schema(row, obj, before, found)
    if found.causes and not row.custom:
        raise _wrong_type(row, found)
    if row.prepare is not None:
        obj = row.prepare(obj, before)
    if found.unknown and write.strict:
        listed = ", ".join(f'unknown field "{place}"' for place in sorted(found.unknown))
        raise UndecodableRefusal(row.kind.kind, row.kind.version, f"strict decoding error: {listed}")
    return obj


def _checked(server: ApiServer, row: Row, obj: Obj, before: Obj | None, write: Write, found: Found) -> Obj:
    """The object with metadata of its own; refused when it breaks a rule."""
    metadata = obj["metadata"]
    causes = metadata_rules(row, metadata, None if before is None else before["metadata"])
    causes += _schema_causes(row, found, causes, status=write.manager.subresource == "status")
    if row.check is not None:
        causes += row.check(obj, before)
    if not causes:
        for extra in server.admission:
            causes = causes + extra(row, obj, before)
    if causes:
        raise invalid(row.kind.kind, row.kind.group, metadata.get("name", ""), causes)
    return obj if obj["metadata"] is metadata and before is None else {**obj, "metadata": dict(metadata)}


def _schema_causes(row: Row, found: Found, metadata: list[Cause], *, status: bool) -> list[Cause]:
    """What the walk by schema found, and what its cross-field rules say where they can be asked."""
    blocked = found.blocked(metadata)
    if not blocked:
        found.evaluate()
    causes = [*found.causes, _SKIPPED] if blocked and row.validated else found.causes
    return [_relative(cause) for cause in causes] if status else causes


def _relative(cause: Cause) -> Cause:
    """A cause as it is worded when only the status was looked at."""
    message = cause.message.replace(f"{cause.field} in body", f"{cause.field.removeprefix('status.')} in body")
    return Cause(cause.reason, message, cause.field)


def _wrong_type(row: Row, found: Found) -> Refusal:
    """400 for a built-in object that does not fit Go's types."""
    cause = found.causes[0]
    if cause.reason == UNREADABLE:
        return UndecodableRefusal(row.kind.kind, row.kind.version, cause.message)
    steps = re.split(r"\.|\[\d+\]\.?", cause.field)
    owner, wanted, depth = _go_types(row.schema, [step for step in steps if step])
    given = _GO_GIVEN.get(cause.message.rpartition('"')[0].rpartition('"')[2], "object")
    field = ".".join([step for step in steps if step][:depth])
    return UndecodableRefusal(
        row.kind.kind,
        row.kind.version,
        f"json: cannot unmarshal {given} into Go struct field {owner}.{field} of type {wanted}",
    )


def _go_types(schema: Schema, steps: list[str]) -> tuple[str, str, int]:
    """The Go struct that holds the field at ``steps``, the value's Go type, and how many steps lead to the field."""
    owner = schema.name
    for depth, step in enumerate(steps):
        while schema.type == "array":
            schema = schema.items or ANY
        owner = schema.name or owner
        if schema.extra is not None and step not in schema.fields:
            return owner, _GO_WANTED.get(schema.extra.type, f"v1.{schema.extra.name}"), depth
        schema = schema.child(step)
    if schema.type == "array":
        item = (schema.items or ANY).name
        return owner, f"[]v1.{item}" if item else "[]string", len(steps)
    return owner, _GO_WANTED.get(schema.type, f"v1.{schema.name}"), len(steps)


def _by_schema(row: Row, obj: Obj, before: Obj | None, found: Found) -> Obj:
    """Admission by schema; parts that are the stored object's own have been through it."""
    schema = row.schema
    if not schema.type:
        return obj
    same = {name for name, item in obj.items() if item is before.get(name)} if before is not None else set()
    if not same:
        return _object(admit(schema, obj, found))
    changed = {name: item for name, item in obj.items() if name not in same}
    partly = _object(admit(schema, changed, found))
    found.causes[:] = [cause for cause in found.causes if cause.field not in same]  # required, and there
    for name in same:
        partly[name] = obj[name]
    return {name: partly[name] for name in (*(n for n in obj if n in partly), *(n for n in partly if n not in obj))}


def _object(value: Any) -> Obj:
    assert isinstance(value, dict)  # noqa: S101 - the walk of an object answers with an object
    return value


def _warnings(write: Write, found: Found) -> tuple[str, ...]:
    return tuple(f'unknown field "{place}"' for place in found.unknown) if write.warn else ()


def refuse_if_deleting(row: Row, key: Key) -> Refusal:
    """409 for writes to an object that goes away."""
    return conflict(row.resource, key.name, "object is being deleted")
