"""Kubernetes quantities in the spelling Go gives them: ``1024Mi`` reads back as ``1Gi``, ``0.5`` as ``500m``.

Revisions hold resource quantities as Go re-encoded them, so equal bytes need the same spelling, including the
spellings Go is known to leave alone.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["canonical"]

_QUANTITY = re.compile(r"(?P<sign>[+-]?)(?P<num>[0-9]*)(?:\.(?P<denom>[0-9]*))?(?P<suffix>[a-zA-Z]*(?:[+-]?[0-9]+)?)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX: Final = {exponent: suffix for suffix, exponent in _BINARY.items()}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_NANO = 9
_INT64_DIGITS = 18
_INT64_MAX = 2**63 - 1
_EXPONENT_LIMIT = 4096


def canonical(text: str) -> str:
    """``text`` as Go prints it after parsing; returned unchanged when it is no quantity.

    Args:
        text: e.g. ``"1.5Gi"``, ``"250m"``, ``"1e3"``.
    """
    text = text.strip()
    match = _QUANTITY.fullmatch(text)
    if match is None or not text:
        return text
    suffix = match["suffix"]
    if suffix in _BINARY:
        return _binary(text, match, _BINARY[suffix])
    scientific = _EXPONENT.fullmatch(suffix)
    if scientific is not None and len(scientific[1]) < len(str(_EXPONENT_LIMIT)):
        return _decimal(text, match, int(scientific[1]), scientific=True)
    return _decimal(text, match, _DECIMAL[suffix], scientific=False) if suffix in _DECIMAL else text


def _parts(match: re.Match[str]) -> tuple[int, str, str]:
    """Sign, digits before the point as Go counts them, digits after it."""
    num = match["num"].lstrip("0") or "0"
    return -1 if match["sign"] == "-" else 1, num, match["denom"] or ""


def _binary(text: str, match: re.Match[str], exponent: int) -> str:
    sign, num, denom = _parts(match)
    value = int(num + denom)
    fits = 15 - len(num) - exponent * 3 // 10 - 1 >= 0
    if not denom and fits and value & 7 and value << exponent <= _INT64_MAX:
        return text  # nothing to reduce: Go keeps the spelling
    nanos = _round_up(value * 10**_NANO << exponent, 10 ** len(denom))
    nanos = min(nanos, _INT64_MAX * 10**_NANO)
    whole, rest = divmod(nanos, 10**_NANO)
    if rest or whole < 1 << 10:
        return _print_decimal(sign * nanos, -_NANO, scientific=False)
    power = 0
    while whole % 1024 == 0 and power < max(_BINARY_SUFFIX):
        whole //= 1024
        power += 10
    return f"{sign * whole}{_BINARY_SUFFIX[power] if power else ''}"


def _decimal(text: str, match: re.Match[str], exponent: int, *, scientific: bool) -> str:
    sign, num, denom = _parts(match)
    digits = num + denom
    scale = exponent - len(denom)
    if len(digits) <= _INT64_DIGITS and scale >= -_NANO:
        if scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0":
            return text  # nothing to reduce: Go keeps the spelling
        return _print_decimal(sign * int(digits), scale, scientific=scientific)
    if scale >= -_NANO:
        return _print_decimal(sign * int(digits), scale, scientific=scientific)
    nanos = _round_up(int(digits), 10 ** (-scale - _NANO))
    return _print_decimal(sign * nanos, -_NANO, scientific=scientific)


def _round_up(value: int, divisor: int) -> int:
    """A positive amount divided, rounded away from zero: who asks for a little gets a little."""
    return -(-value // divisor)


def _print_decimal(mantissa: int, exponent: int, *, scientific: bool) -> str:
    if mantissa == 0:
        return "0"
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    shift = exponent % 3
    mantissa *= 10**shift
    exponent -= shift
    if scientific:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX.get(exponent, '')}"
