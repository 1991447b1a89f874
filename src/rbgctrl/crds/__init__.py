"""The CustomResourceDefinitions this controller needs, as shipped with it.

The files are generated from the models in ``rbgctrl.api``; ``config/crd`` holds the same ones as YAML for kustomize.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import msgspec

from rbgctrl.api.spec import TYPED

__all__ = ["documents", "inlined", "render", "shared", "text"]

_PLAIN: Final = re.compile(r"[A-Za-z/.][A-Za-z0-9/_.()'=,;-]*(?: [A-Za-z0-9/_.()'=,;-]+)*")
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def text() -> str:
    """All CRDs as one YAML stream, ready for ``kubectl apply --server-side -f -``."""
    return "".join(f"---\n{render(document)}" for document in shared())


def documents() -> tuple[dict[str, Any], ...]:
    """All CRDs as JSON values, each fresh for the caller to change; none where the installation lacks its files."""
    return tuple(msgspec.json.decode(content) for content in _encoded())


@cache
def shared() -> tuple[dict[str, Any], ...]:
    """As :func:`documents`, but always the same values, and parts of them in many places: never change them."""
    found = sorted((item for item in files(__name__).iterdir() if "_" in item.name), key=lambda item: item.name)
    return tuple(inlined(msgspec.json.decode(item.read_bytes())) for item in found if item.name.endswith(".json"))


@cache
def _encoded() -> tuple[bytes, ...]:
    return tuple(msgspec.json.encode(document) for document in shared())


# Types of core/v1 -----------------------------------------------------------------------------------------------------


def inlined(node: Any) -> Any:
    """A schema, or what holds one, with types of core/v1 in the place of their names.

    Args:
        node: JSON value; a type is named by an entry ``rbgctrl.api.spec.TYPED``.

    Raises:
        KeyError: there is no such type.
    """
    if isinstance(node, list):
        return [inlined(item) for item in node]
    if not isinstance(node, dict):
        return node
    if TYPED not in node:
        return {key: inlined(value) for key, value in node.items()}
    own = {key: value for key, value in node.items() if key != TYPED}
    return {**_type(node[TYPED]), **own} if own else _type(node[TYPED])


@cache
def _type(name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", inlined(_types()[name]))


@cache
def _types() -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.json.decode(files(__name__).joinpath("types.json").read_bytes()))


# YAML -----------------------------------------------------------------------------------------------------------------


def render(value: Any) -> str:
    """A JSON value as YAML in block style, keys sorted: much faster than the library, and with no alias ever."""
    lines: list[str] = []
    _write(value, "", lines)
    return "".join(f"{line}\n" for line in lines)


def _write(value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            _entry(f"{indent}{_scalar(key)}:", value[key], f"{indent}  ", lines)
    else:
        for item in value:
            if isinstance(item, dict) and item:
                start = len(lines)
                _write(item, f"{indent}  ", lines)
                lines[start] = f"{indent}- {lines[start][len(indent) + 2 :]}"
            else:
                lines.append(f"{indent}- {_scalar(item)}")


def _entry(start: str, value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict | list) and value:
        lines.append(start)
        _write(value, indent.removesuffix("  ") if isinstance(value, list) else indent, lines)
    else:
        lines.append(f"{start} {_scalar(value)}")


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return msgspec.json.encode(value).decode()
