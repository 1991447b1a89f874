"""Server-side apply: merge a configuration in, hand over fields, drop what its author no longer mentions."""

from __future__ import annotations

from typing import Any

from rbgctrl.sim.fields import (
    ANY,
    Fields,
    added,
    compared,
    declared,
    difference,
    intersection,
    is_keyed,
    item_key,
    keyed,
    leaves,
    named,
    union,
    value_key,
)
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.managed import APPLY, Manager, entry_of, root_schema, sort_entries, stripped
from rbgctrl.sim.schema import Schema
from rbgctrl.sim.status import Cause, Refusal
from rbgctrl.sim.storage import Obj

__all__ = ["applied", "merged", "without"]


def applied(row: Row, live: Obj, config: Obj, manager: Manager, *, force: bool, now: str) -> tuple[Obj, list[Obj]]:
    """``live`` after ``manager`` applied ``config``, and its ``managedFields``.

    Args:
        row: the kind.
        live: the object as it is; the kind's zero object when it is to be created.
        config: all fields the manager wants to own.
        manager: who; its operation is ``Apply``.
        force: take fields others own instead of refusing.
        now: time for entries that change.

    Raises:
        Refusal: 409, others own fields that would change.
    """
    schema = root_schema(row)
    entries: list[Obj] = live["metadata"].get("managedFields") or []
    mine = stripped(declared(schema, config))
    result = merged(schema, live, config)
    changed, removed = compared(schema, live, result)
    changed, removed = stripped(changed), stripped(removed)
    others = [entry for entry in entries if Manager.of(entry) != manager]
    own = next((entry for entry in entries if Manager.of(entry) == manager), None)
    kept = _disputed(row, others, changed, removed, force=force)
    last: Fields = own["fieldsV1"] if own is not None else {}
    if last:
        owned = mine
        for entry in kept:
            owned = union(owned, entry["fieldsV1"])
        gone = difference(named(schema, last), named(schema, owned))
        if gone:
            result = without(schema, result, gone)
    found = list(kept)
    if mine:
        found.append(own if own is not None and last == mine else entry_of(manager, mine, now))
    return result, sort_entries(found)


def _disputed(row: Row, others: list[Obj], changed: Fields, removed: Fields, *, force: bool) -> list[Obj]:
    """The entries of others after the change; refuses it when they own some of it and it is not forced."""
    found, causes = [], []
    for entry in others:
        fields: Fields = entry["fieldsV1"]
        lost = intersection(fields, changed) if changed else {}
        if lost and not force:
            causes.extend(_cause(entry, path) for path in leaves(lost))
        left = difference(fields, lost) if lost else fields
        left = difference(left, removed) if removed else left
        if left:
            found.append(entry if left == fields else {**entry, "fieldsV1": left})
    if causes:
        raise _conflicts(causes)
    return found


def _cause(entry: Obj, path: str) -> Cause:
    using = f' using {entry["apiVersion"]}' if entry["operation"] != APPLY else ""
    through = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    return Cause("FieldManagerConflict", f'conflict with "{entry["manager"]}"{through}{using}', path)


def _conflicts(causes: list[Cause]) -> Refusal:
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause.message, []).append(cause.field)
    parts = []
    for who, paths in by_manager.items():
        one = len(paths) == 1 and len(by_manager) == 1
        parts.append(f"{who}: {paths[0]}" if one or len(paths) == 1 else f"{who}:\n- " + "\n- ".join(paths))
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    joined = ("conflicts" + parts[0].removeprefix("conflict")) if len(causes) > 1 and len(parts) == 1 else "\n".join(parts)
    if len(parts) > 1:
        joined = "conflicts " + "\nconflicts ".join(part.removeprefix("conflict ") for part in parts)
    return Refusal(409, "Conflict", f"Apply failed with {count}: {joined}", details={}, causes=causes)


# Merging --------------------------------------------------------------------------------------------------------------


def merged(schema: Schema, live: Any, config: Any) -> Any:
    """``config`` over ``live``: objects and keyed lists are merged, everything else is replaced."""
    if isinstance(config, dict) and isinstance(live, dict) and not schema.atomic:
        found = dict(live)
        for name, item in config.items():
            found[name] = merged(schema.child(name), live[name], item) if name in live else item
        return found
    if isinstance(config, list) and isinstance(live, list) and is_keyed(schema, config) and is_keyed(schema, live):
        return _merged_list(schema, live, config)
    return live if live == config else config


def _merged_list(schema: Schema, live: list[Any], config: list[Any]) -> list[Any]:
    items = schema.items or ANY
    wanted = keyed(schema, config)
    present = keyed(schema, live)
    if len(present) != len(live):  # duplicates cannot be told apart
        return config
    found: list[Any] = []
    rest = list(present.items())
    for name, item in wanted.items():
        if name in present:
            # What stands before it in the live list and is not mentioned stays before it.
            while rest and rest[0][0] != name and rest[0][0] not in wanted:
                found.append(rest.pop(0)[1])
            rest = [entry for entry in rest if entry[0] != name]
            found.append(merged(items, present[name], item))
        else:
            found.append(item)
    return found + [item for name, item in rest if name not in wanted]


# Removing -------------------------------------------------------------------------------------------------------------


def without(schema: Schema, value: Any, gone: Fields) -> Any:
    """``value`` without the members of ``gone`` and all below them."""
    if isinstance(value, dict):
        found = {}
        for name, item in value.items():
            node = gone.get("f:" + name)
            if node is None:
                found[name] = item
            elif node and "." not in node:
                found[name] = without(schema.child(name), item, node)
        return found
    if isinstance(value, list) and is_keyed(schema, value):
        kept = []
        for item in value:
            name = value_key(item) if schema.list_type == "set" else item_key(schema, item)
            node = gone.get(name)
            if node is None:
                kept.append(item)
            elif node and "." not in node:
                kept.append(without(schema.items or ANY, item, node))
        return kept
    return value
