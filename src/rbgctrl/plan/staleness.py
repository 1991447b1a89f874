"""Is what we see of an owner older than what its children were made from? Then it is not acted on.

Caches of different kinds do not move together: after a change of leader, or beside a slow watch, a controller may see
the children of today under the owner of yesterday. Each child therefore carries the generation of the owner's spec it
was made from, and whoever sees an owner behind its children waits for the rest of the story instead of undoing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.meta import ObjectMeta

__all__ = ["behind", "stamp_patch", "stamped"]


def behind(owner: ObjectMeta, children: Iterable[ObjectMeta]) -> str:
    """Why nothing may be decided on this view of ``owner``, or ``""``.

    Args:
        owner: as it is seen.
        children: what it controls; those without a stamp were made by somebody else and say nothing.
    """
    newest = max((_stamp(child) for child in children), default=0)
    if newest <= owner.generation:
        return ""
    return f"generation {newest} has been acted on already, and only {owner.generation} is seen yet"


def _stamp(child: ObjectMeta) -> int:
    text = child.annotations.get(labels.OWNER_GENERATION, "")
    return int(text) if text.isdecimal() and text.isascii() else 0


def stamped(body: dict[str, Any], owner: ObjectMeta) -> dict[str, Any]:
    """The body of a child with the generation of the owner it is made from."""
    metadata = body["metadata"]
    annotations = {**(metadata.get("annotations") or {}), labels.OWNER_GENERATION: str(owner.generation)}
    return {**body, "metadata": {**metadata, "annotations": annotations}}


def stamp_patch(owner: ObjectMeta) -> dict[str, Any]:
    """The part of a metadata patch that makes a child one of this owner's present generation."""
    return {"annotations": {labels.OWNER_GENERATION: str(owner.generation)}}
