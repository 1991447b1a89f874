"""Wiring only: which snapshot, which planner, which triggers. Decisions live in :mod:`rbgctrl.plan`."""

from __future__ import annotations

from rbgctrl.reconcilers import group, instance, role
from rbgctrl.runtime.manager import Manager

__all__ = ["add_all", "group", "instance", "role"]


def add_all(manager: Manager, *, workers: int = 10) -> None:
    """Add every reconciler of the product to a manager.

    Args:
        manager: what runs them.
        workers: concurrent reconciles per controller.
    """
    group.add(manager, workers=workers)
    role.add(manager, workers=workers)
    instance.add(manager, workers=workers)
