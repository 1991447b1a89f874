"""JSON with the bytes of Go's ``encoding/json``: sorted keys, no spaces, HTML characters escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

__all__ = ["encode"]

_EXACT = 2**53
_PLAIN = re.compile(r"[ !#-%'-;=?-\[\]-~]*").fullmatch  # printable ASCII but for " & < > and the backslash
_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    | {chr(code): "\\ufffd" for code in range(0xD800, 0xE000)}  # halves of a surrogate pair, which UTF-8 cannot hold
)


def encode(value: Any) -> bytes:
    """``value`` as Go marshals it once it has been read into ``map[string]interface{}``.

    Numbers are float64 there, so whole numbers beyond 2**53 lose their last digits, as they do in Go.

    Args:
        value: JSON values; tuples are lists.

    Raises:
        TypeError: something that JSON has no value for, or a key that is no string.
        ValueError: NaN or an infinity.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts).encode()


def _write(value: Any, parts: list[str]) -> None:
    kind = type(value)  # the exact types first: asking whether something is a Mapping takes long
    if kind is str:
        parts.append(_string(value))
    elif kind is dict or isinstance(value, Mapping):
        _write_map(value, parts)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            parts.append("," if index else "[")
            _write(item, parts)
        parts.append("]" if value else "[]")
    elif value is None or kind is bool:
        parts.append(json.dumps(value))
    elif isinstance(value, str):
        parts.append(_string(value))
    elif isinstance(value, int | float):
        parts.append(_number(value))
    else:
        raise TypeError(f"{kind.__name__} is no JSON value")


def _write_map(value: Mapping[Any, Any], parts: list[str]) -> None:
    mark = "{"
    for key in sorted(value):
        if not isinstance(key, str):
            raise TypeError(f"{key!r} is no JSON key")
        parts.append(mark)
        parts.append(_key(key))
        _write(value[key], parts)
        mark = ","
    parts.append("}" if value else "{}")


@lru_cache(maxsize=4096)  # the same few over and over
def _key(text: str) -> str:
    return f"{_string(text)}:"


def _string(text: str) -> str:
    if _PLAIN(text):
        return f'"{text}"'
    return encode_basestring(text).translate(_ESCAPES)


def _number(value: float) -> str:
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return str(value)
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"{value} is no JSON number")
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        text = format(Decimal(repr(number)), "f")
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
