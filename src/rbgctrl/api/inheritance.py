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


def inherited(entries: Sequence[Mapping[str, Any]], api_version: str, applier: str = "rbg") -> list[Any] | None:
    """``metadata.managedFields`` with what those writers own made the applier's.

    Entries of another ``apiVersion`` are dropped, because their paths may mean other fields; those of subresources and
    of anybody else stay as they are.

    Args:
        entries: ``metadata.managedFields`` as stored.
        api_version: the one we apply with, ``group/version``.
        applier: field manager we apply as.

    Returns:
        The new list, or None when there is nothing to change.
    """
    theirs = [item for item in entries if _theirs(item)]
    if not theirs:
        return None
    own = next((item for item in entries if _applied(item, api_version, applier)), None)
    fields: dict[str, Any] = dict(own["fieldsV1"]) if own is not None else {}
    for item in theirs:
        if item.get("apiVersion") == api_version:
            fields = _union(fields, item.get("fieldsV1") or {})
    times = sorted(item["time"] for item in (*theirs, *((own,) if own is not None else ())) if item.get("time"))
    merged = {
        "manager": applier,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **({"time": times[-1]} if times else {}),
    }
    return [merged, *(item for item in entries if item is not own and not _theirs(item))]


def _theirs(item: Mapping[str, Any]) -> bool:
    return item.get("operation") == "Update" and not item.get("subresource") and item.get("manager") in WRITERS


def _applied(item: Mapping[str, Any], api_version: str, applier: str) -> bool:
    wanted = (applier, "Apply", api_version, "")
    found = (item.get("manager"), item.get("operation"), item.get("apiVersion"), item.get("subresource", ""))
    return found == wanted


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _union(one.get(name) or {}, value) for name, value in other.items()}}
