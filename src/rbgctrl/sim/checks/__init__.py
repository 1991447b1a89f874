"""Promises that hold in every simulation, checked from outside on the history of the run."""

from __future__ import annotations

from rbgctrl.sim.checks.bounds import RULES, ChildRule, child_counts, leadership
from rbgctrl.sim.checks.timeline import Asked, Moment, Timeline
from rbgctrl.sim.checks.witness import Witness

__all__ = [
    "RULES",
    "Asked",
    "BrokenPromiseError",
    "ChildRule",
    "Moment",
    "Timeline",
    "Witness",
    "child_counts",
    "leadership",
]


class BrokenPromiseError(AssertionError):
    """A promise of the system was broken during a run; the message lists every case."""
