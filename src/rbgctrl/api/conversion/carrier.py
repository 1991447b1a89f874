"""What one version has no field for, as an annotation: found by comparing, put back where nothing speaks against it.

A carried change says where, what stood there and what should stand there. It is put back only where still the same
stands, in an object of the same name in its list, and while its condition holds: what a client of the other version
deleted, renamed or changed stays as the client left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

from rbgctrl.api.conversion.values import Obj, written

__all__ = ["Change", "Condition", "changes", "decode", "encode", "put_back"]

_MAPS: Final = frozenset(("annotations", "labels", "scalingAdapter", "restartPolicyConfig"))
"""Fields whose absence and emptiness are the same to whoever changes one entry of them."""
_NAMED: Final = frozenset(("roles", "components"))
"""Lists whose items are known by name."""
_ABSENT: Final = None

Condition = Callable[[Obj, list[str]], str]
"""``(role, path in it) -> text`` that has to be the same for a change to be put back; ``""`` for no condition."""


class Change(NamedTuple):
    """One difference.

    Attributes:
        at: names of the fields that lead there; of items of a list, their names.
        was: what stood there, None for nothing.
        wanted: what should stand there, None for nothing.
        when: text of the condition.
    """

    at: list[str]
    was: Any
    wanted: Any
    when: str = ""


# Finding --------------------------------------------------------------------------------------------------------------


def changes(base: Obj, wanted: Obj, roles: Sequence[str], condition: Condition) -> list[Change]:
    """What has to change in ``base`` to make it ``wanted``, in spec and annotations; nulls are absent.

    Args:
        base: an object.
        wanted: another.
        roles: path of the list of roles in both.
        condition: what changes in roles depend on.
    """
    found = [
        *_compare(_annotated(base), _annotated(wanted), ["metadata"]),
        *_compare({"spec": base.get("spec")}, {"spec": wanted.get("spec")}, []),
    ]
    return [change._replace(when=_when(base, change.at, roles, condition)) for change in found]


def _annotated(obj: Obj) -> Obj:
    return {"annotations": (obj.get("metadata") or {}).get("annotations") or None}  # the server stores no empty ones


def _compare(base: Obj, wanted: Obj, path: list[str]) -> Iterator[Change]:
    for name in sorted(base.keys() | wanted.keys()):
        left, right = base.get(name), wanted.get(name)
        if left is right or left == right:
            continue
        at = [*path, name]
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _compare(left, right, at)
        elif name in _MAPS and left is None and isinstance(right, dict):
            yield Change(at, _ABSENT, {})
            yield from _compare({}, right, at)
        elif name in _MAPS and right is None and isinstance(left, dict):
            yield from _compare(left, {}, at)
            yield Change(at, {}, _ABSENT)
        elif name in _NAMED and _names(left) is not None and _names(left) == _names(right):
            for old, new in zip(left or (), right or (), strict=True):
                yield from _compare(old, new, [*at, old["name"]])
        else:
            yield Change(at, left, right)


def _names(items: Any) -> list[str] | None:
    """The names of a list's items, in order; None when they do not tell the items apart."""
    if not isinstance(items, list):
        return None
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    proper = [name for name in names if isinstance(name, str)]
    return proper if len(set(proper)) == len(items) else None


def _when(obj: Obj, at: list[str], roles: Sequence[str], condition: Condition) -> str:
    depth = len(roles)
    if len(at) <= depth + 1 or tuple(at[:depth]) != tuple(roles):
        return ""
    role = _look(obj, at[: depth + 1])
    return condition(role, at[depth + 1 :]) if isinstance(role, dict) else ""


# Putting back ---------------------------------------------------------------------------------------------------------


def put_back(obj: Obj, carried: Sequence[Change], roles: Sequence[str], condition: Condition) -> Obj:
    """``obj`` with the changes that still fit; arguments as :func:`changes`. Never changes ``obj``."""
    made = obj
    for change in carried:
        if change.when and change.when != _when(obj, change.at, roles, condition):
            continue
        made = _changed(made, change.at, change)
    return made


def _changed(value: Any, at: list[str], change: Change) -> Any:
    name, rest = at[0], at[1:]
    if isinstance(value, list):
        items = [item.get("name") if isinstance(item, dict) else None for item in value]
        if items.count(name) != 1 or not rest:
            return value
        index = items.index(name)
        return [*value[:index], _changed(value[index], rest, change), *value[index + 1 :]]
    if not isinstance(value, dict):
        return value
    found = value.get(name)
    if rest:
        changed = _changed(found, rest, change)
        return value if changed is found else {**value, name: changed}
    if found != change.was:
        return value
    if change.wanted is None:
        return {key: item for key, item in value.items() if key != name}
    return {**value, name: change.wanted}


def _look(value: Any, at: Sequence[str]) -> Any:
    for name in at:
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, dict) and item.get("name") == name), None)
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


# As text --------------------------------------------------------------------------------------------------------------


def encode(carried: Sequence[Change]) -> str:
    """Changes as the value of an annotation.

    Raises:
        ConversionError: they hold what JSON cannot.
    """
    return written([_plain(change) for change in carried]).decode()


def _plain(change: Change) -> Obj:
    made: Obj = {"at": change.at}
    if change.was is not None:
        made["was"] = change.was
    if change.wanted is not None:
        made["is"] = change.wanted
    if change.when:
        made["when"] = change.when
    return made


def decode(text: object) -> list[Change]:
    """The changes in an annotation's value; none when it is not ours to read: a carrier is never a reason to fail."""
    try:
        found = orjson.loads(text) if isinstance(text, str) else ()
    except orjson.JSONDecodeError:
        return []
    if not isinstance(found, list):
        return []
    carried = [_change(item) for item in found]
    return [change for change in carried if change is not None] if None not in carried else []


def _change(item: Any) -> Change | None:
    at = item.get("at") if isinstance(item, dict) else None
    if not isinstance(at, list) or not all(isinstance(name, str) for name in at):
        return None
    if at[:1] != ["spec"] and at[:2] != ["metadata", "annotations"]:
        return None
    when = item.get("when", "")
    return Change(at, item.get("was"), item.get("is"), when if isinstance(when, str) else "")
