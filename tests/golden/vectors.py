"""What a vector of any kind is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rbgctrl.api.meta import Resource

__all__ = ["KindVector", "no", "of", "stored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindVector:
    """One object.

    Attributes:
        name: what it shows.
        kind: its type.
        spec: the spec, or None to leave it out.
        refused: ``""`` when it must be accepted, else words the refusal contains.
        strict: words of the refusal when unknown fields are refused too.
        stored: dotted paths into the spec with the value that must be read back; ``...`` is nothing.
        server_only: it is about what models leave to the server.
    """

    name: str
    kind: type[Resource]
    spec: Any
    refused: str = ""
    strict: str = ""
    stored: dict[str, Any] | None = None
    server_only: bool = False

    @property
    def id(self) -> str:
        """For a test's name."""
        return f"{self.kind.KIND.kind} {self.kind.KIND.version}: {self.name}"


def of(kind: type[Resource], *rows: tuple[Any, ...]) -> tuple[KindVector, ...]:
    """Vectors of a kind from rows of name, spec and, if need be, further attributes."""
    return tuple(KindVector(name=name, kind=kind, spec=spec, **(more[0] if more else {})) for name, spec, *more in rows)


def no(words: str) -> dict[str, Any]:
    """It is refused with these words."""
    return {"refused": words}


def stored(**paths: Any) -> dict[str, Any]:
    """It is stored with these values; ``__`` stands for a dot."""
    return {"stored": {path.replace("__", "."): value for path, value in paths.items()}}
