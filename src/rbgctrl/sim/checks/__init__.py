"""Promises that hold in every simulation, checked from outside on the history of the run."""

from __future__ import annotations

from rbgctrl.sim.checks.bounds import RULES, ChildRule, child_counts, leadership, wanted_children
from rbgctrl.sim.checks.errors import BrokenPromiseError
from rbgctrl.sim.checks.riding import Riding, ride_along
from rbgctrl.sim.checks.timeline import Asked, Moment, Timeline
from rbgctrl.sim.checks.witness import Witness

__all__ = [
    "RULES",
    "Asked",
    "BrokenPromiseError",
    "ChildRule",
    "Moment",
    "Riding",
    "Timeline",
    "Witness",
    "child_counts",
    "leadership",
    "ride_along",
    "wanted_children",
]
