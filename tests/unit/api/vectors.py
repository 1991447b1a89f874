"""What tests of vectors share."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rbgctrl.api.meta import Resource

__all__ = ["at", "spec_model"]


def at(value: Any, path: str) -> Any:
    """What is at a dotted path, list indexes included; ``...`` when nothing is."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)]
        else:
            value = value.get(part, ...) if isinstance(value, dict) else ...
    return value


def spec_model(kind: type[Resource]) -> type[Any]:
    """Type of a kind's spec."""
    hint = get_type_hints(kind)["spec"]
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (option for option in get_args(hint) if option is not type(None))
    found: type[Any] = hint
    return found
