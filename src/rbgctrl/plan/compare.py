"""Would applying this body change anything? Compared before sending, because an unchanged object costs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

__all__ = ["contains", "fields", "values"]

_PLAIN = frozenset((str, int, bool, float, type(None)))  # most of what is compared; asking an ABC costs ten times more


def contains(wanted: Any, live: Any) -> bool:
    """Whether every field of ``wanted`` has that value in ``live``.

    Objects may hold more fields than wanted (defaults, other writers); lists must match item by item. A wanted zero
    value (``0``, ``False``, ``""``, empty) equals an absent field, as the server may leave it out.
    """
    if type(wanted) in _PLAIN:
        return bool(wanted == live)
    if isinstance(wanted, Mapping):
        return (not wanted and live is None) or (
            isinstance(live, Mapping) and all(_field(value, live.get(name)) for name, value in wanted.items())
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str | bytes):
        return (
            isinstance(live, Sequence)
            and len(wanted) == len(live)
            and all(contains(item, found) for item, found in zip(wanted, live, strict=True))
        )
    return bool(wanted == live)


def _field(wanted: Any, live: Any) -> bool:
    if live is None and not wanted:
        return True
    return contains(wanted, live)


@cache  # msgspec evaluates every annotation anew at each call
def fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The fields of a Struct as (attribute, name on the wire)."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(kind))


def values(item: Any) -> Any:
    """A Struct as JSON values with every field spelled out but None, unlike the encoder, which omits defaults."""
    if type(item) in _PLAIN:
        return item
    if isinstance(item, msgspec.Struct):
        return {
            encoded: values(found) for name, encoded in fields(type(item)) if (found := getattr(item, name)) is not None
        }
    if isinstance(item, msgspec.Raw):
        return msgspec.json.decode(item)
    if isinstance(item, tuple):
        return [values(found) for found in item]
    if isinstance(item, Mapping):
        return {key: values(found) for key, found in item.items()}
    return item
