"""How planners put lists of things into a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rbgctrl.plan.model import Action

__all__ = ["because", "listed", "told"]


def listed(names: Sequence[str], most: int) -> str:
    """``a, b and 3 more``: the first ``most`` of them, and how many there are beside."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def told(sentences: Sequence[str], most: int) -> str:
    """The same of whole sentences: ``one; two; and 3 more``."""
    more = len(sentences) - most
    return "; ".join(sentences[:most]) + (f"; and {more} more" if more > 0 else "")


def because(steps: Iterable[Iterable[Action]]) -> str:
    """Why a plan writes what it writes: each reason once, for the log."""
    return (
        "; ".join(dict.fromkeys(action.why for step in steps for action in step if action.why))
        or "everything is as wanted"
    )
