"""Which kinds the embedded API server has. A kind is a row of a table, not a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from rbgctrl.api.meta import Kind
from rbgctrl.sim.schema import ANY, Schema
from rbgctrl.sim.status import Cause
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.versions import Version

__all__ = ["Column", "KindTable", "Names", "Row", "Scale"]

Prepare: TypeAlias = Callable[[Obj, "Obj | None"], Obj]
"""Fills in what the server decides: ``(object as sent, object before or None) -> object``; never changes its input."""

Check: TypeAlias = Callable[[Obj, "Obj | None"], list[Cause]]
"""Rules beyond the schema: ``(object, object before or None) -> broken rules``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``kubectl get``.

    Attributes:
        name: heading.
        path: JSONPath as in a CustomResourceDefinition, e.g. ``.status.phase``.
        type: ``string``, ``integer``, ``date`` …
        priority: 0 for always, 1 for ``-o wide``.
        value: instead of a path: computes the cell from the object.
    """

    name: str
    path: str = ""
    type: str = "string"
    priority: int = 0
    value: Callable[[Obj], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where a kind keeps what its scale subresource shows; paths as tuples of field names."""

    spec: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What users may call a kind."""

    singular: str
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(slots=True, eq=False, kw_only=True)
class Row:
    """One kind.

    Attributes:
        kind: its address.
        names: what users may call it.
        schema: what its objects hold, and how they are merged.
        custom: defined by a CustomResourceDefinition: no strategic merge, a delete answers with a ``Status``.
        status: it has a status subresource, so a plain write leaves the status alone and the other way round.
        born_with_status: a status sent with a create is kept; only nodes, which register themselves.
        scale: it has a scale subresource.
        generation: the server counts changes of the spec in ``metadata.generation``.
        graceful: a delete waits for ``deletionGracePeriodSeconds``; only pods.
        returns_object: a delete that removes the object answers with it instead of a ``Status``.
        selectable: fields for field selectors, beside name and namespace.
        admit: last touches to a new object, of fields nobody owns: ``(object, present time) -> object``.
        readmit: the same for a changed object: ``(object, object before) -> object``.
        prepare: see :data:`Prepare`.
        check: see :data:`Check`.
        zero: the empty object as Go's types have it; decides which parents appear in managed fields.
        columns: for ``kubectl get``.
        source: the schema as OpenAPI, for documents; empty when there is none.
        put_creates: an update of what does not exist creates it.
        versioned: an update must say which version it is based on.
        validated: it has rules beside its schema, which are skipped when the schema is broken.
        version: how it is stored, when in another version than its own.
        deprecation: what to warn of in every answer; ``""`` for nothing.
    """

    kind: Kind[Any]
    names: Names
    schema: Schema = ANY
    custom: bool = False
    status: bool = False
    born_with_status: bool = False
    scale: Scale | None = None
    generation: bool = False
    graceful: bool = False
    returns_object: bool = False
    selectable: tuple[str, ...] = ()
    prepare: Prepare | None = None
    admit: Callable[[Obj, str], Obj] | None = None
    readmit: Callable[[Obj, Obj], Obj] | None = None
    check: Check | None = None
    zero: Obj = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    put_creates: bool = False
    versioned: bool = False
    validated: bool = False
    version: Version | None = None
    deprecation: str = ""
    resource: str = ""
    list_kind: str = ""
    fields: frozenset[str] = frozenset()
    type_prefix: bytes = b""

    def __post_init__(self) -> None:
        self.resource = self.kind.resource
        self.versioned = self.versioned or self.custom
        self.list_kind = self.list_kind or f"{self.kind.kind}List"
        self.type_prefix = orjson.dumps({"kind": self.kind.kind, "apiVersion": self.kind.api_version})[:-1] + b","
        self.fields = frozenset(("metadata.name", "metadata.namespace", *self.selectable))

    @property
    def subresources(self) -> tuple[str, ...]:
        """Names of the subresources."""
        return (*(("status",) if self.status else ()), *(("scale",) if self.scale else ()))

    def __repr__(self) -> str:
        return f"Row({self.resource})"


class KindTable:
    """Rows by their place in URLs."""

    def __init__(self, rows: tuple[Row, ...] = ()) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._by_resource: dict[str, list[Row]] = {}
        self._by_kind: dict[tuple[str, str], Row] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Add a row, or replace the one of the same address."""
        self._rows[row.kind.group, row.kind.version, row.kind.plural] = row
        self._index()

    def remove(self, group: str, plural: str) -> None:
        """Remove all versions of a resource."""
        for address in [address for address in self._rows if address[0] == group and address[2] == plural]:
            del self._rows[address]
        self._index()

    def find(self, group: str, version: str, plural: str) -> Row | None:
        """The row of an URL's parts."""
        return self._rows.get((group, version, plural))

    def resource(self, resource: str) -> Row:
        """The row of ``plural.group``; of several versions, the first added.

        Raises:
            KeyError: there is none.
        """
        return self._by_resource[resource][0]

    def of_kind(self, api_version: str, kind: str) -> Row | None:
        """The row of an object's own words, or of an owner reference."""
        return self._by_kind.get((api_version, kind))

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows.values()))

    def _index(self) -> None:
        self._by_resource = {}
        self._by_kind = {(row.kind.api_version, row.kind.kind): row for row in self._rows.values()}
        for row in self._rows.values():
            self._by_resource.setdefault(row.resource, []).append(row)

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Versions by API group, core (``""``) included, in order of addition."""
        found: dict[str, tuple[str, ...]] = {}
        for group, version, _ in self._rows:
            if version not in found.get(group, ()):
                found[group] = (*found.get(group, ()), version)
        return found
