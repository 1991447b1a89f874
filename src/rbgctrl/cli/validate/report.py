"""What ``rbgctrl validate`` found, as values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api.finding import Severity

__all__ = ["Issue", "Report", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A text to check, and what people call it: a path, or ``stdin``."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that is wrong.

    Attributes:
        file: name of the source.
        line: where it is, from 1.
        severity: errors are refused by a cluster; warnings are accepted and do not do what they seem to.
        object: ``Kind name`` or ``Kind namespace/name``; ``""`` for the text itself.
        path: of the field; ``""`` for the object as a whole.
        message: what is wrong and what would be right.
        rule: short name of the broken rule.
    """

    file: str
    line: int
    severity: Severity
    object: str
    path: str
    message: str
    rule: str

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"severity": self.severity.value}


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that was found.

    Attributes:
        issues: by source, then by line.
        checked: objects of our kinds, by kind.
        skipped: other documents, by kind; nothing is said of them.
        strict: warnings count as errors.
    """

    issues: list[Issue] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    strict: bool = False

    @property
    def errors(self) -> int:
        """Number of errors."""
        return sum(issue.severity is Severity.ERROR for issue in self.issues)

    @property
    def warnings(self) -> int:
        """Number of warnings."""
        return len(self.issues) - self.errors

    @property
    def failed(self) -> bool:
        """Whether the manifests should not be applied."""
        return bool(self.errors or (self.strict and self.warnings))

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ok": not self.failed,
            "errors": self.errors,
            "warnings": self.warnings,
            "checked": dict(sorted(self.checked.items())),
            "skipped": dict(sorted(self.skipped.items())),
            "issues": [issue.json() for issue in self.issues],
        }
