"""What is raised when a promise was broken."""

from __future__ import annotations

__all__ = ["BrokenPromiseError"]


class BrokenPromiseError(AssertionError):
    """A promise of the system was broken during a run; the message lists every case."""
