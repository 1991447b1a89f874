"""Numbers that may be percentages, resolved with integers only.

Binary fractions get percentages wrong (7 % of 100 rounds up to 8), so progress and limits never use floats.
"""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = ["HUNDRED_PERCENT", "IntOrStringError", "ceil", "floor", "legacy_floor", "percent"]

Value: TypeAlias = int | str

HUNDRED_PERCENT: Final = 100

_INT64: Final = 2**63
_DIGITS: Final = len(str(_INT64))


class IntOrStringError(ValueError):
    """A string is neither a number nor a percentage. Raised by every resolver of this module."""

    def __init__(self, value: str) -> None:
        super().__init__(f"invalid value {value!r}: neither an integer nor a percentage such as '25%'")
        self.value = value


def percent(value: str) -> int:
    """The number before the ``%``; negative ones and those over 100 are taken as they are.

    Raises:
        IntOrStringError: anything else than an integer of 64 bits followed by one ``%``.
    """
    if value.endswith("%"):
        number = _integer(value[:-1])
        if number is not None:
            return number
    raise IntOrStringError(value)


def ceil(value: Value, total: int) -> int:
    """``value`` itself, or that percentage of ``total`` rounded up.

    Raises:
        IntOrStringError: a string that is not a percentage.
    """
    return value if isinstance(value, int) else -(-percent(value) * total // HUNDRED_PERCENT)


def floor(value: Value, total: int) -> int:
    """``value`` itself, or that percentage of ``total`` rounded down.

    Raises:
        IntOrStringError: a string that is not a percentage.
    """
    return value if isinstance(value, int) else percent(value) * total // HUNDRED_PERCENT


def legacy_floor(value: Value, total: int) -> int:
    """As ``floor``, but a number without ``%`` is a percentage too, and every ``%`` in the string is ignored.

    Partitions of stateful sets have always been read this way.

    Raises:
        IntOrStringError: a string without a number.
    """
    if isinstance(value, int):
        return value
    number = _integer(value.replace("%", ""))
    if number is None:
        raise IntOrStringError(value)
    return number * total // HUNDRED_PERCENT


def _integer(text: str) -> int | None:
    """The integer, or None for what is none or has more than 64 bits."""
    sign, digits = (text[0], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    if not (digits.isascii() and digits.isdigit()):
        return None
    digits = digits.lstrip("0") or "0"
    if len(digits) > _DIGITS:  # reading thousands of digits takes time, and Python refuses to
        return None
    number = int(sign + digits)
    return number if -_INT64 <= number < _INT64 else None
