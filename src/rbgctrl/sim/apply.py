"""Server-side apply: merge a configuration in, hand over fields, drop what its author no longer mentions."""

from __future__ import annotations

from typing import Any

from rbgctrl.sim.fields import (
    Fields,
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
from rbgctrl.sim.managed import APPLY, UPDATE, Manager, entry_of, root_schema, sort_entries, stripped
from rbgctrl.sim.schema import ANY, Schema
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
    entries: list[Obj] = live["metadata"].get("managedFields") or _before_first(row, live, manager, now)
    mine = stripped(declared(schema, config) or {})
    others = [entry for entry in entries if not manager.wrote(entry)]
    own = next((entry for entry in entries if manager.wrote(entry)), None)
    result = merged(schema, live, config)
    last: Fields = own["fieldsV1"] if own is not None else {}
    if last:
        owned = mine
        for entry in others:
            owned = union(owned, entry["fieldsV1"])
        gone = difference(named(schema, last), named(schema, owned))
        if gone:
            # Metadata holds what nobody owns, the name for one: it never goes as a whole.
            metadata = {name: node for name, node in gone.pop("f:metadata", {}).items() if name != "."}
            result = without(schema, result, {**gone, "f:metadata": metadata} if metadata else gone)
    changed, removed = compared(schema, live, result)
    changed, removed = stripped(changed), stripped(removed)
    found = _disputed(others, changed, removed, force=force)
    if mine:
        # An apply that changes nothing leaves the time as it is, or unset when it is the first.
        time = now if changed or removed or "uid" not in live["metadata"] else (own or {}).get("time", "")
        found.append(entry_of(manager, mine, time))
    return result, sort_entries(found)


def _before_first(row: Row, live: Obj, manager: Manager, now: str) -> list[Obj]:
    """The entry of whoever wrote an object that nobody was recorded to own."""
    if "uid" not in live["metadata"]:
        return []
    present, _ = compared(root_schema(row), row.zero, live)
    fields = stripped(present)
    if row.status:
        fields.pop("f:status", None)
    return [entry_of(Manager("before-first-apply", UPDATE, manager.api_version), fields, now)] if fields else []


def _disputed(others: list[Obj], changed: Fields, removed: Fields, *, force: bool) -> list[Obj]:
    """The entries of others after the change; refuses it when they own some of it and it is not forced."""
    found: list[Obj] = []
    causes: list[Cause] = []
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
    using = f" using {entry['apiVersion']}" if entry["operation"] != APPLY else ""
    through = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    return Cause("FieldManagerConflict", f'conflict with "{entry["manager"]}"{through}{using}', path)


def _conflicts(causes: list[Cause]) -> Refusal:
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
        return Refusal(409, "Conflict", message, details={}, causes=causes)
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause.message.removeprefix("conflict "), []).append(cause.field)
    parts = [f"conflicts {who}:\n- " + "\n- ".join(paths) for who, paths in sorted(by_manager.items())]
    message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return Refusal(409, "Conflict", message, details={}, causes=causes)


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
    """Both lists in their own order where that is possible; where they disagree, the configuration's order wins."""
    items = schema.items or ANY
    present, wanted = keyed(schema, live), keyed(schema, config)
    if len(present) != len(live) or len(wanted) != len(config):  # duplicates cannot be told apart
        return config
    left, right = list(present), list(wanted)
    shared = [name for name in right if name in present]
    found: list[Any] = []
    done: set[str] = set()
    at, other = 0, 0
    while at < len(left) or other < len(right):
        if at < len(left):
            name = left[at]
            if name not in wanted:
                # The next thing both know decides whether this one's turn has come.
                found.append(present[name])
                at += 1
                continue
            if name in done or (other < len(right) and name != right[other] and shared and shared[0] != name):
                at += 1
                continue
        if other < len(right):
            name = right[other]
            found.append(merged(items, present[name], wanted[name]) if name in present else wanted[name])
            done.add(name)
            other += 1
            if shared and shared[0] == name:
                shared.pop(0)
    return found


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
