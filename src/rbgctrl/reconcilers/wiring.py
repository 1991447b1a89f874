"""How every reconciler becomes a controller of a manager."""

from __future__ import annotations

from collections.abc import Callable

from rbgctrl.client import InvalidError
from rbgctrl.clock import Now
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.predicates import Predicate
from rbgctrl.runtime.result import Reconciler

__all__ = ["controller", "outdated", "owners"]

Build = Callable[[Informers, Executor, Now], Reconciler]


def controller(
    manager: Manager,
    name: str,
    component: str,
    build: Build,
    options: ReconcilerOptions | None,
) -> tuple[Controller, Informers]:
    """Make a controller with its executor and barrier and add it to ``manager``; its watches are up to the caller.

    Args:
        manager: what runs it.
        name: of the controller, in metrics and logs.
        component: under which name its Events are reported.
        build: makes the reconciler from where to read, how to write, and the wall clock.
        options: what all reconcilers of the manager were told; the defaults when None.
    """
    options = options or ReconcilerOptions()
    informers = Informers(manager.cache, options)
    executor, barrier = manager.executor(component)
    made = Controller(
        name,
        build(informers, executor, manager.now),
        options=manager.controller_options(options.workers),
        barrier=barrier,
        jitter=manager.jitter,
    )
    manager.add(made)
    return made, informers


def outdated(error: Exception) -> bool:
    """Whether a test in a JSON patch failed: what was decided on is not what is there, and nobody refused anything."""
    return isinstance(error, InvalidError) and not error.causes


owners = Predicate(
    lambda change: (
        change.old is None
        or change.new is None
        or change.old.metadata.owner_references != change.new.metadata.owner_references
    ),
    name="owners",
)
"""Somebody else owns the object now, or nobody."""
