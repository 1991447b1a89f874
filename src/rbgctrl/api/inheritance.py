"""Fields that the reference controller wrote under other names than the one we apply with.

Server-side apply removes a field that is no longer applied only when nobody else owns it. What a controller once wrote
by create or update is owned by its process name, and would stay for ever. So these entries of ``managedFields`` are
merged into the applier's own one, as ``kubectl`` does when it moves from client-side to server-side apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["WRITERS", "inherited"]

WRITERS: Final = frozenset(("manager", "rbg", "Go-http-client"))
"""Field managers of the reference controller's creates and updates: its process name, its applier's name, and what a
Go client without a name is called."""


def inherited(
    entries: Sequence[Mapping[str, Any]],
    api_version: str,
    applier: str = "rbg",
    leave: Sequence[Sequence[str]] = (),
) -> list[Any] | None:
    """``metadata.managedFields`` with what those writers own made the applier's.

    Entries of another ``apiVersion`` are dropped, because their paths may mean other fields; those of subresources and
    of anybody else stay as they are.

    Args:
        entries: ``metadata.managedFields`` as stored.
        api_version: the one we apply with, ``group/version``.
        applier: field manager we apply as.
        leave: paths of field names that stay with whoever has them.

    Returns:
        The new list, or None when there is nothing to change.
    """
    paths = [tuple(f"f:{name}" for name in path) for path in leave]
    split = [(item, *_split(item.get("fieldsV1") or {}, paths)) for item in entries if _theirs(item)]
    theirs = [item for item, taken, _ in split if taken]
    if not theirs:
        return None
    own = next((item for item in entries if _applied(item, api_version, applier)), None)
    fields: dict[str, Any] = dict(own["fieldsV1"]) if own is not None else {}
    for item, taken, _ in split:
        if item.get("apiVersion") == api_version:
            fields = _union(fields, taken)
    times = sorted(item["time"] for item in (*theirs, *((own,) if own is not None else ())) if item.get("time"))
    merged = {
        "manager": applier,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **({"time": times[-1]} if times else {}),
    }
    kept = [{**item, "fieldsV1": left} for item, _, left in split if left]
    return [merged, *kept, *(item for item in entries if item is not own and not _theirs(item))]


def _split(fields: Mapping[str, Any], leave: Sequence[tuple[str, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields without those at the paths, and those alone."""
    taken, left = dict(fields), dict[str, Any]()
    for name in fields:
        below = [path[1:] for path in leave if path and path[0] == name]
        if not below:
            continue
        inner_taken, inner_left = ({}, fields[name]) if () in below else _split(fields[name] or {}, below)
        del taken[name]
        if inner_taken:
            taken[name] = inner_taken
        if () in below or inner_left:
            left[name] = inner_left
    return taken, left


def _theirs(item: Mapping[str, Any]) -> bool:
    return item.get("operation") == "Update" and not item.get("subresource") and item.get("manager") in WRITERS


def _applied(item: Mapping[str, Any], api_version: str, applier: str) -> bool:
    wanted = (applier, "Apply", api_version, "")
    found = (item.get("manager"), item.get("operation"), item.get("apiVersion"), item.get("subresource", ""))
    return found == wanted


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _union(one.get(name) or {}, value) for name, value in other.items()}}
