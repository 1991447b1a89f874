"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902). Pure: the target is never changed, what stays is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PatchError", "PatchTestError", "json_patch", "merge_patch"]


class PatchError(Exception):
    """The patch is malformed or does not fit the target."""


class PatchTestError(PatchError):
    """A ``test`` operation did not hold."""


def merge_patch(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` merged in: objects field by field, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, item in patch.items():
        if item is None:
            result.pop(name, None)
        elif isinstance(item, dict):
            result[name] = merge_patch(result.get(name), item)
        else:
            result[name] = item
    return result


def json_patch(target: Any, operations: Sequence[Any]) -> Any:
    """``target`` after all operations, in order.

    Raises:
        PatchTestError: a test does not hold.
        PatchError: an operation is malformed or names a place that does not exist.
    """
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError("an operation is an object")
        target = _perform(target, operation)
    return target


def _perform(target: Any, operation: Mapping[str, Any]) -> Any:
    if not isinstance(operation.get("path"), str):
        raise PatchError("operation without a path")
    path = _steps(operation["path"])
    match operation.get("op"):
        case "add":
            return _add(target, path, _value(operation))
        case "remove":
            return _remove(target, path)
        case "replace":
            get(target, path)
            return _add(_remove(target, path), path, _value(operation)) if path else _value(operation)
        case "move":
            source = _steps(str(operation.get("from", "")))
            return _add(_remove(target, source), path, get(target, source))
        case "copy":
            return _add(target, path, get(target, _steps(str(operation.get("from", "")))))
        case "test":
            found = get(target, path, absent_is_none=True)
            if not _same(found, operation.get("value")):
                raise PatchTestError(f"testing path {operation['path']} failed")
            return target
    raise PatchError(f"Unexpected kind: {operation.get('op')}")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError(f"operation {operation.get('op')!r} without a value")
    return operation["value"]


def _same(left: Any, right: Any) -> bool:
    # True == 1 in Python, not in JSON.
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(item, right[name]) for name, item in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(one, other) for one, other in zip(left, right, strict=True))
    return bool(left == right)


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise PatchError(f"path {pointer!r} does not start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def get(target: Any, path: Sequence[str], *, absent_is_none: bool = False) -> Any:
    """The value at ``path``. Raises PatchError when there is none, unless that counts as null."""
    for step in path:
        if isinstance(target, dict) and step in target:
            target = target[step]
        elif isinstance(target, list):
            target = target[_index(step, len(target) - 1)]
        elif absent_is_none:
            return None
        else:
            raise PatchError(f"path /{'/'.join(path)} does not exist")
    return target


def _index(step: str, last: int) -> int:
    if not step.isdigit() or (step != "0" and step.startswith("0")):
        raise PatchError(f"{step!r} is no index")
    if int(step) > last:
        raise PatchError(f"Unable to access invalid index: {step}: invalid index referenced")
    return int(step)


def _add(target: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(target, dict):
        if rest and step not in target:
            raise PatchError(f"add operation does not apply: doc is missing path: {step}: missing value")
        return {**target, step: _add(target[step], rest, value) if rest else value}
    if isinstance(target, list):
        if rest:
            index = _index(step, len(target) - 1)
            return [*target[:index], _add(target[index], rest, value), *target[index + 1 :]]
        index = len(target) if step == "-" else _index(step, len(target))
        return [*target[:index], value, *target[index:]]
    raise PatchError(f"add operation does not apply: doc is missing path: {step}: missing value")


def _remove(target: Any, path: Sequence[str]) -> Any:
    if not path:
        return None
    step, rest = path[0], path[1:]
    if isinstance(target, dict) and step in target:
        if rest:
            return {**target, step: _remove(target[step], rest)}
        return {name: item for name, item in target.items() if name != step}
    if isinstance(target, list):
        index = _index(step, len(target) - 1)
        middle = [_remove(target[index], rest)] if rest else []
        return [*target[:index], *middle, *target[index + 1 :]]
    raise PatchError(f"remove operation does not apply: doc is missing path: {step}: missing value")
