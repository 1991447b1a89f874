"""Detaching ``msgspec.Raw`` fields from the buffer they were decoded from.

A decoded ``Raw`` points into its whole input, so a 200-byte subtree of a cached object would keep a 4 KB line or a
20 MB list alive. The places of ``Raw`` fields are found once per type; copying costs only those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

__all__ = ["Copier", "raw_copier"]

Copier: TypeAlias = Callable[[Any], Any]
"""Takes a decoded value and returns it detached; Structs are changed in place and returned."""


def raw_copier(kind: type[msgspec.Struct]) -> Copier | None:
    """How to detach every ``Raw`` inside a freshly decoded ``kind``, or None when it has none.

    Only for values nobody else has seen yet: frozen Structs are completed in place.
    """
    return _for(inspect.type_info(kind), {})


def _for(info: inspect.Type, known: dict[type, Copier | None]) -> Copier | None:
    match info:
        case inspect.RawType():
            return msgspec.Raw.copy
        case inspect.StructType():
            return _for_struct(info, known)
        case inspect.VarTupleType() | inspect.ListType():
            return _for_sequence(info, known)
        case inspect.DictType():
            return _for_dict(info, known)
        case inspect.UnionType():
            return _for_union(info, known)
        case inspect.Metadata():
            return _for(info.type, known)
    return None


def _for_struct(info: inspect.StructType, known: dict[type, Copier | None]) -> Copier | None:
    cls = info.cls
    if cls in known:
        return known[cls]

    fields: tuple[tuple[str, Copier], ...] = ()

    def copy(value: Any) -> Any:
        for name, copier in fields:
            old = getattr(value, name)
            new = copier(old)
            if new is not old:
                msgspec.structs.force_setattr(value, name, new)
        return value

    known[cls] = copy  # what a type that contains itself finds while its own fields are being looked at
    found = [(field.name, _for(field.type, known)) for field in info.fields]
    fields = tuple((name, copier) for name, copier in found if copier is not None)
    known[cls] = copy if fields else None
    return known[cls]


def _for_sequence(info: inspect.VarTupleType | inspect.ListType, known: dict[type, Copier | None]) -> Copier | None:
    copier = _for(info.item_type, known)
    if copier is None:
        return None
    kind: type = tuple if isinstance(info, inspect.VarTupleType) else list
    return lambda values: kind([copier(value) for value in values])


def _for_dict(info: inspect.DictType, known: dict[type, Copier | None]) -> Copier | None:
    copier = _for(info.value_type, known)
    if copier is None:
        return None
    return lambda values: {name: copier(value) for name, value in values.items()}


def _for_union(info: inspect.UnionType, known: dict[type, Copier | None]) -> Copier | None:
    """A union cannot hold ``Raw`` itself (msgspec does not decode it), but Structs and collections that do."""
    copiers: dict[type, Copier] = {}
    for member in info.types:
        copier = _for(member, known)
        if copier is not None:
            copiers[_python_type(member)] = copier
    if not copiers:
        return None
    return lambda value: copiers[type(value)](value) if type(value) in copiers else value


def _python_type(info: inspect.Type) -> type:
    match info:
        case inspect.StructType():
            return info.cls
        case inspect.VarTupleType():
            return tuple
        case inspect.ListType():
            return list
        case _:
            return dict
