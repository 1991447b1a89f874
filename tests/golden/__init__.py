"""Recorded answers of the upstream controller and of Go's encoder; see README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SCENARIOS", "Revision", "Scenario", "go", "scenario"]

_HERE = Path(__file__).parent
_GO = "go.json"

SCENARIOS = tuple(sorted(path.stem for path in _HERE.glob("*.json") if path.name != _GO))
"""Names of all recorded scenarios."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A recorded ControllerRevision; ``owner`` is the kind that owns it, ``data`` the bytes stored."""

    name: str
    owner: str
    labels: dict[str, str]
    revision: int
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What was applied, and what there was once everything had settled."""

    name: str
    shows: str
    input: tuple[dict[str, Any], ...]
    objects: tuple[dict[str, Any], ...]
    revisions: tuple[Revision, ...]

    def of(self, kind: str) -> tuple[dict[str, Any], ...]:
        """The settled objects of a kind."""
        return tuple(item for item in self.objects if item["kind"] == kind)

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The settled object of that kind and name."""
        return next(item for item in self.of(kind) if item["metadata"]["name"] == name)


def scenario(name: str) -> Scenario:
    """The scenario of that name; each call reads it afresh, so callers may change what they get."""
    found = json.loads((_HERE / f"{name}.json").read_text(encoding="utf-8"))
    return Scenario(
        name=name,
        shows=found["shows"],
        input=tuple(found["input"]),
        objects=tuple(found["objects"]),
        revisions=tuple(Revision(**item) for item in found["revisions"]),
    )


def go() -> dict[str, Any]:
    """``quantities``: pairs of text and canonical text; ``templates``: pod templates with their encoding."""
    found: dict[str, Any] = json.loads((_HERE / _GO).read_text(encoding="utf-8"))
    return found
