"""A finalizer as a truth table: set up before work, cleaned up before the object goes.

**Flow.** Wrap what a reconciler would plan::

    plan = guard(banner, "example.com/banner", apply=lambda: paint(banner), cleanup=lambda: wipe(banner))

=====================  ====================================  =====================================
..                     not being deleted                     being deleted
=====================  ====================================  =====================================
**has the finalizer**  what ``apply`` plans                  what ``cleanup`` plans; once that is
                                                             nothing, the finalizer is removed
**has it not**         the finalizer is added, nothing else  nothing: cleaned up, or never ours
=====================  ====================================  =====================================

**Guarantees.** ``apply`` plans only for objects that will not vanish before ``cleanup`` has run to its end. Both
patches test the object's identity and the list they change, so they never drop another's finalizer.

**Assumptions.** ``cleanup`` plans the same work again until it is done (it decides from what is there), and a plan that
writes nothing and asks for no requeue means done. Adding or removing the finalizer is a change that wakes the key.

**Caveats.** Somebody may remove the finalizer by hand: then ``cleanup`` never runs. If the controller is uninstalled,
the object stays until somebody does.

**Errors.** A failed test is answered with 422 (:class:`~rbgctrl.client.errors.InvalidError`): look and decide again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from rbgctrl.api.meta import ObjectMeta, Resource
from rbgctrl.plan.model import Patch, PatchType, Plan

__all__ = ["Stage", "guard", "stage"]


class Stage(Enum):
    """Where an object is between birth and end, as seen by the owner of one finalizer."""

    UNGUARDED = "unguarded"
    LIVE = "live"
    ENDING = "ending"
    OVER = "over"


def stage(metadata: ObjectMeta, finalizer: str) -> Stage:
    """The row and column of the truth table."""
    match (finalizer in metadata.finalizers, metadata.deleting):
        case (True, False):
            return Stage.LIVE
        case (True, True):
            return Stage.ENDING
        case (False, False):
            return Stage.UNGUARDED
        case _:
            return Stage.OVER


def guard(obj: Resource, finalizer: str, *, apply: Callable[[], Plan], cleanup: Callable[[], Plan]) -> Plan:
    """The plan for an object whose end needs work.

    Args:
        obj: the object as observed.
        finalizer: ours, ``domain/name``.
        apply: plans the ordinary work; called only while the object is live and guarded.
        cleanup: plans what has to happen before the object goes; called only while it is being deleted.

    Returns:
        One of the four entries of the table.
    """
    match stage(obj.metadata, finalizer):
        case Stage.LIVE:
            return apply()
        case Stage.UNGUARDED:
            return Plan(steps=((_add(obj, finalizer),),), because=f"guard {obj.key} with the finalizer {finalizer}")
        case Stage.OVER:
            return Plan(because="it is being deleted and its cleanup is over")
        case Stage.ENDING:
            plan = cleanup()
            if plan.empty and plan.requeue_after is None:
                step = (_remove(obj, finalizer),)
                return Plan(steps=(step,), notes=plan.notes, because=f"cleanup of {obj.key} is complete")
            return plan


def _add(obj: Resource, finalizer: str) -> Patch:
    present = list(obj.metadata.finalizers)
    # A test for null passes when there is no list, and fails when somebody was faster.
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/finalizers", "value": present or None}]
    if present:
        operations.append({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer})
    else:
        operations.append({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]})
    return _patch(obj, operations, f"add the finalizer {finalizer}")


def _remove(obj: Resource, finalizer: str) -> Patch:
    path = f"/metadata/finalizers/{obj.metadata.finalizers.index(finalizer)}"
    operations = [{"op": "test", "path": path, "value": finalizer}, {"op": "remove", "path": path}]
    return _patch(obj, operations, f"remove the finalizer {finalizer}")


def _patch(obj: Resource, operations: list[dict[str, Any]], why: str) -> Patch:
    identity = {"op": "test", "path": "/metadata/uid", "value": obj.uid}
    body = (identity, *operations)
    return Patch(kind=type(obj), key=obj.key, body=body, uid=obj.uid, type=PatchType.JSON, why=why)
