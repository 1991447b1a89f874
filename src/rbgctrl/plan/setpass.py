"""What one pass over a RoleInstanceSet decides, whatever its pattern."""

from __future__ import annotations

from dataclasses import dataclass

from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan.model import Action, Severity
from rbgctrl.plan.setfaults import Trouble

__all__ = ["Pass", "Told", "soonest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An Event about the set."""

    reason: str
    message: str
    severity: Severity = Severity.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass: what to write, and what there is to say about the set.

    Attributes:
        counted: instances that the status counts.
        actions: sent together.
        silent: whether the status waits for the next pass, which follows at once.
        complete: whether no instance is missing, so that an earlier refusal to make one is over.
        notes: Events.
        troubles: what keeps the set from what is asked for.
        available: how many instances are available.
        current: name of the revision before the running update.
        expected: instances that are to reach the update revision.
        count_current: whether instances at the current revision are counted.
        look_again: seconds until something is to be decided although nothing changes; None when not.
    """

    counted: tuple[InstanceNode, ...]
    actions: tuple[Action, ...] = ()
    silent: bool = False
    complete: bool = True
    notes: tuple[Told, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    available: int = 0
    current: str = ""
    expected: int = 0
    count_current: bool = True
    look_again: float | None = None


def soonest(*moments: float | None) -> float | None:
    """The least of them, None entries left out."""
    return min((moment for moment in moments if moment is not None), default=None)
