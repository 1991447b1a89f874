"""Who owns which field: ``metadata.managedFields`` after a plain write.

Server-side apply builds on this in :mod:`rbgctrl.sim.apply`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from rbgctrl.sim.fields import Fields, compared, difference, union
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.schema import Schema
from rbgctrl.sim.storage import Obj

__all__ = [
    "APPLY",
    "UPDATE",
    "Manager",
    "after_write",
    "entry_of",
    "rewritten",
    "root_schema",
    "sort_entries",
    "stripped",
]

APPLY: Final = "Apply"
UPDATE: Final = "Update"

_SYSTEM_METADATA: Final = frozenset(
    (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "selfLink",
        "managedFields",
    )
)
_EMPTY: Final[Fields] = {}
_ALIKE: Final = frozenset(("f:spec", "f:status", "f:data"))


class Manager(NamedTuple):
    """A writer: who, how, through which subresource. Each has one entry in ``managedFields``."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def wrote(self, entry: Obj) -> bool:
        """Whether an entry is about this writer."""
        return bool(
            entry["manager"] == self.name
            and entry["operation"] == self.operation
            and entry["apiVersion"] == self.api_version
            and entry.get("subresource", "") == self.subresource
        )


def root_schema(row: Row) -> Schema:
    """Schema of whole objects of a kind, metadata included."""
    found = _roots.get(id(row.schema))
    if found is None or found[0] is not row.schema:
        root = Schema("object")
        root.fields = {**row.schema.fields, "metadata": METADATA}
        root.extra, root.open = row.schema.extra, row.schema.open
        found = _roots[id(row.schema)] = (row.schema, root)
    return found[1]


_roots: dict[int, tuple[Schema, Schema]] = {}


def _metadata_schema() -> Schema:
    owners, finalizers, metadata = Schema("array"), Schema("array"), Schema("object")
    owners.list_type, owners.keys = "map", ("uid",)
    owners.items = Schema("object")
    owners.items.atomic = owners.items.open = True
    finalizers.list_type, finalizers.items = "set", Schema("string")
    texts = Schema("object")
    texts.extra = Schema("string")
    metadata.fields = {"labels": texts, "annotations": texts, "ownerReferences": owners, "finalizers": finalizers}
    metadata.open = True
    return metadata


METADATA: Final = _metadata_schema()
"""How ``metadata`` is merged."""


def stripped(fields: Fields) -> Fields:
    """Without what nobody owns: type, identity and what the server itself writes."""
    found = {name: node for name, node in fields.items() if name not in ("f:apiVersion", "f:kind")}
    metadata = found.get("f:metadata")
    if metadata is not None:
        kept = {name: node for name, node in metadata.items() if name[2:] not in _SYSTEM_METADATA and name != "."}
        if kept:
            found["f:metadata"] = kept
        else:
            del found["f:metadata"]
    return found


def _within(fields: Fields, row: Row, subresource: str) -> Fields:
    """The part of a change its endpoint is responsible for."""
    if subresource == "status":
        keep = ("f:status",) if row.custom else ("f:status", "f:metadata")
        return {name: node for name, node in fields.items() if name in keep}
    if row.status and "f:status" in fields:
        return {name: node for name, node in fields.items() if name != "f:status"}
    return fields


def after_write(row: Row, old: Obj | None, new: Obj, manager: Manager, now: str) -> list[Obj]:
    """``managedFields`` of ``new`` after ``manager`` wrote it over ``old`` (None: created it)."""
    base = row.zero if old is None else old
    entries: list[Obj] = [] if old is None else old["metadata"].get("managedFields") or []
    if old is not None and not entries:
        return []  # ownership was forgotten, or nothing was ever owned: only an apply starts it again
    changed, removed = compared(root_schema(row), base, new)
    changed, removed = stripped(changed), stripped(removed)
    if not changed and not removed:
        return entries
    mine = _within(changed, row, manager.subresource)
    return rewritten(entries, manager, mine, taken=changed, removed=removed, now=now)


def rewritten(
    entries: list[Obj], manager: Manager, mine: Fields, *, taken: Fields, removed: Fields, now: str
) -> list[Obj]:
    """``managedFields`` after ``manager`` gained ``mine``, others lost ``taken``, and ``removed`` is gone for all."""
    found: list[Obj] = []
    own: Obj | None = None
    for entry in entries:
        fields: Fields = entry["fieldsV1"]
        if manager.wrote(entry):
            own = entry
            continue
        left = _minus(_minus(fields, taken), removed)
        if left:
            found.append(entry if left is fields else {**entry, "fieldsV1": left})
    before: Fields = own["fieldsV1"] if own is not None else _EMPTY
    after = _minus(union(before, mine), removed)
    if after:
        taken_over = own is None or bool(mine)
        found.append(entry_of(manager, after, now if taken_over else (own or {}).get("time", "")))
    return sort_entries(found)


def sort_entries(entries: list[Obj]) -> list[Obj]:
    """In the server's order: applies first, then by time."""
    return sorted(entries, key=_order)


def _minus(fields: Fields, other: Fields) -> Fields:
    """The difference; ``fields`` itself when nothing is taken away."""
    if not other or fields.keys().isdisjoint(other):
        return fields
    left = difference(fields, other)
    return fields if left == fields else left


def entry_of(manager: Manager, fields: Fields, now: str) -> Obj:
    """One entry of ``managedFields``."""
    entry: Obj = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        **({"time": now} if now else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": _shared(fields),
    }
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def _shared(fields: Fields) -> Fields:
    """``fields`` with the parts that thousands of objects have alike as one object in memory."""
    return {name: _one_of(node) if node and name in _ALIKE else node for name, node in fields.items()}


@lru_cache(maxsize=4096)
def _parsed(text: bytes) -> Fields:
    fields: Fields = orjson.loads(text)
    return fields


def _one_of(node: Fields) -> Fields:
    return _parsed(orjson.dumps(node))


def _order(entry: Obj) -> tuple[Any, ...]:
    return (
        entry["operation"],
        entry.get("time", ""),
        entry["manager"],
        entry["apiVersion"],
        entry.get("subresource", ""),
    )
