"""Reading JSON values that may be anything, with one error that says where and what."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import orjson

__all__ = ["ConversionError", "Obj", "mapping", "present", "sequence", "text", "written"]

Obj: TypeAlias = dict[str, Any]


class ConversionError(Exception):
    """An object cannot be converted; the text says which field is wrong and what to do.

    Attributes:
        path: the field, e.g. ``spec.roles[1].workload``; ``""`` for the object as a whole.
    """

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}" if path else message)


def mapping(container: Obj, name: str, path: str) -> Obj | None:
    """The object at ``name``; None when it is absent or null.

    Raises:
        ConversionError: it is something else.
    """
    value = container.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise ConversionError(f"{path}{name}", f"is {_kind(value)}; write an object, or leave it out")


def sequence(container: Obj, name: str, path: str) -> list[Obj] | None:
    """The list of objects at ``name``; None when it is absent or null.

    Raises:
        ConversionError: it is no list, or one of its items is no object.
    """
    value = container.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise ConversionError(f"{path}{name}", f"is {_kind(value)}; write a list, or leave it out")
    for index, item in enumerate(value):
        if not isinstance(item, dict):
            raise ConversionError(f"{path}{name}[{index}]", f"is {_kind(item)}; write an object")
    return value


def text(container: Obj, name: str, path: str) -> str:
    """The string at ``name``; ``""`` when it is absent or null.

    Raises:
        ConversionError: it is something else.
    """
    value = container.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise ConversionError(f"{path}{name}", f"is {_kind(value)}; write text, or leave it out")


def present(container: Obj, *names: str) -> Obj:
    """Those of the fields that are there and not null."""
    return {name: container[name] for name in names if container.get(name) is not None}


def written(value: Any) -> bytes:
    """A value as JSON.

    Raises:
        ConversionError: it is nested almost a thousand levels deep, or holds what JSON cannot.
    """
    try:
        return orjson.dumps(value)
    except TypeError:  # also when it is nested deeper than that library goes
        try:
            return msgspec.json.encode(value)
        except (TypeError, OverflowError, RecursionError) as error:
            raise ConversionError("", f"cannot be written as JSON ({error}); simplify it") from error


def _kind(value: object) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
