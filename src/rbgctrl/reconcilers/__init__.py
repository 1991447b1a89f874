"""Wiring only: which snapshot, which planner, which triggers. Decisions live in :mod:`rbgctrl.plan`."""

from __future__ import annotations

from rbgctrl.reconcilers import group, groupset, instance, role, scaler, warmup
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.runtime.manager import Manager

__all__ = ["ReconcilerOptions", "add_all", "group", "groupset", "instance", "role", "scaler", "warmup"]


def add_all(manager: Manager, options: ReconcilerOptions | None = None) -> None:
    """Add every reconciler of the product to a manager.

    Args:
        manager: what runs them.
        options: what they are told; the defaults when None.
    """
    for part in (group, role, instance, scaler, groupset, warmup):
        part.add(manager, options=options)
