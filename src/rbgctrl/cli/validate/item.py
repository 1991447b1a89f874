"""One object of a manifest, with what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api.finding import Severity
from rbgctrl.cli.validate.nodes import Node
from rbgctrl.cli.validate.report import Issue

__all__ = ["Item", "mapping", "sequence"]


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` where it is an object, else an empty one: manifests hold anything."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """``value`` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


@dataclass(slots=True, kw_only=True)
class Item:
    """One object.

    Attributes:
        file: name of its source.
        node: where it is.
        body: what is written.
        stored: what a cluster would store, in the storage version; None when it would not.
        issues: what is wrong with it.
    """

    file: str
    node: Node
    body: dict[str, Any]
    stored: dict[str, Any] | None = None
    issues: list[Issue] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``kind``, or ``""``."""
        found = self.body.get("kind")
        return found if isinstance(found, str) else ""

    @property
    def api_version(self) -> str:
        """``apiVersion``, or ``""``."""
        found = self.body.get("apiVersion")
        return found if isinstance(found, str) else ""

    @property
    def namespace(self) -> str:
        """Its namespace; ``""`` when none is written."""
        found = mapping(self.body.get("metadata")).get("namespace")
        return found if isinstance(found, str) else ""

    @property
    def name(self) -> str:
        """Its name; ``""`` when it has none yet."""
        found = mapping(self.body.get("metadata")).get("name")
        return found if isinstance(found, str) else ""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as it would be stored, or ``{}``."""
        return mapping((self.stored or {}).get("spec"))

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}".strip()

    def error(self, path: str, message: str, rule: str) -> None:
        """Say that a cluster would refuse it."""
        self.say(path, message, rule, Severity.ERROR)

    def warn(self, path: str, message: str, rule: str) -> None:
        """Say that it does not do what it seems to."""
        self.say(path, message, rule, Severity.WARNING)

    def say(self, path: str, message: str, rule: str, severity: Severity) -> None:
        """Say something about the field at ``path``."""
        self.issues.append(
            Issue(
                file=self.file,
                line=self.node.place(path),
                severity=severity,
                object=str(self),
                path=path,
                message=message,
                rule=rule,
            )
        )
