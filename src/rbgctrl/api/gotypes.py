"""Values as Go's typed structs encode them: zero fields gone or forced, quantities respelled, in one table-driven walk.

A type is a row of fields, ``name:[mark]kind``:

* mark ``?`` (omitempty): left out when zero, except structs, which are never empty. Mark ``~`` (omitzero): left out
  when zero, structs too. No mark: always there.
* kind ``str``, ``int``, ``bool``, ``quantity``, ``intstr``, ``any`` (a JSON value kept as it is), or the name of a
  type; ``*`` before it for a pointer (null when absent, else never zero), ``[]`` for a list, ``{}`` for a map.

A value without the shape its kind says is passed through: judging it is the API server's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rbgctrl.api.podtypes import POD_TYPES
from rbgctrl.api.quantity import canonical

__all__ = ["GoTypes"]

_Encode: TypeAlias = Callable[[Any], Any]
_ZERO: Final[dict[str, Any]] = {"str": "", "int": 0, "bool": False, "quantity": "0", "intstr": 0, "any": None}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    encode: _Encode
    omitted: tuple[Any, ...]
    """Encoded values for which the field is left out."""


class GoTypes:
    """Encodes by the rows of ``PodTemplateSpec`` and below, and those of ``types``.

    Unknown fields of the types given are dropped, as Go does. Unknown fields of a pod template are kept: some servers
    check templates against a younger schema than this table, or against none.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self._encoders: dict[str, _Encode] = {}

    def encode(self, kind: str, value: Any) -> Any:
        """``value`` as Go encodes it when it is a ``kind``; the input is not changed."""
        return self._encoder(kind)(value)

    def _encoder(self, kind: str) -> _Encode:
        found = self._encoders.get(kind)
        if found is None:
            found = self._encoders[kind] = self._build(kind)
        return found

    def _build(self, kind: str) -> _Encode:
        if kind.startswith("*"):
            return _nullable(self._encoder(kind[1:]))
        if kind.startswith("[]"):
            return _list(self._encoder(kind[2:]))
        if kind.startswith("{}"):
            return _map(self._encoder(kind[2:]))
        if kind == "quantity":
            return _quantity
        if kind in _ZERO:
            return _scalar(_ZERO[kind])
        row = self._types.get(kind) or POD_TYPES[kind]
        return _struct(tuple(self._field(text) for text in row.split()), keep_unknown=kind not in self._types)

    def _field(self, text: str) -> _Field:
        name, _, kind = text.partition(":")
        mark, kind = (kind[0], kind[1:]) if kind[0] in "?~" else ("", kind)
        omitted: tuple[Any, ...] = ()
        if mark == "?":
            pointer = kind.startswith("*")
            omitted = (None,) if pointer else (None, "", 0, [], {}) if _can_be_empty(kind) else ()
        elif mark == "~":
            omitted = (None, "", 0, [], {})
        return _Field(name, self._encoder(kind), omitted)


def _can_be_empty(kind: str) -> bool:
    return kind.startswith(("[]", "{}")) or kind in ("str", "int", "bool", "any")


def _scalar(zero: Any) -> _Encode:
    return lambda value: zero if value is None else value


def _quantity(value: Any) -> Any:
    if value is None:
        return "0"
    return canonical(str(value)) if isinstance(value, str | int | float) else value


def _nullable(encode: _Encode) -> _Encode:
    return lambda value: None if value is None else encode(value)


def _list(encode: _Encode) -> _Encode:
    return lambda value: [encode(item) for item in value] if isinstance(value, list | tuple) else value


def _map(encode: _Encode) -> _Encode:
    def encode_map(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: encode(item) for key, item in value.items()}

    return encode_map


def _struct(fields: tuple[_Field, ...], *, keep_unknown: bool) -> _Encode:
    known = frozenset(field.name for field in fields)
    # Nearly all fields of a pod are absent nearly always, and most of those are left out.
    rows = tuple((field.name, field.encode, field.omitted, field.encode(None) not in field.omitted) for field in fields)

    def encode_struct(value: Any) -> Any:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            return value
        found = {}
        for name, encode, omitted, forced in rows:
            item = value.get(name)
            if item is None and not forced:
                continue
            encoded = encode(item)
            if encoded not in omitted:
                found[name] = encoded
        if keep_unknown:
            found.update((name, item) for name, item in value.items() if name not in known)
        return found

    return encode_struct
