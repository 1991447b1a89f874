"""How every reconciler becomes a controller of a manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rbgctrl.client import ForbiddenError, InvalidError, fence_held
from rbgctrl.clock import Now
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers.options import ReconcilerOptions
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.executor import Executor, ForeignObjectError
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.predicates import differs
from rbgctrl.runtime.result import Reconciler, Request, Result

__all__ = ["REFUSALS", "carried_out", "controller", "owners"]

REFUSALS: Final = (InvalidError, ForbiddenError, ForeignObjectError)
"""What the API server, or the holder of a name, has against a write; anything else passes by itself."""

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


async def carried_out(
    executor: Executor, decided: Plan, request: Request, refused: Callable[[str], Plan | None]
) -> Result:
    """Carry out a plan; when something of it is refused, say so on the object before the error goes on.

    Args:
        executor: how to write.
        decided: the plan.
        request: what it is for.
        refused: what to say about a refusal, on the object as it is by then; None when it is gone.

    Raises:
        ApiError: what :meth:`Executor.apply` raises.
        ForeignObjectError: the same.
    """
    try:
        return await executor.apply(decided, request)
    except REFUSALS as error:
        if not fence_held(error) and (told := refused(str(error))) is not None:
            await executor.apply(told, request)
        raise


owners = differs(lambda obj: obj.metadata.owner_references, "owners")
"""Somebody else owns the object now, or nobody."""
