"""Hooks of stateless sets: what must happen to an instance before the set goes on with it.

Only the hook before a deletion is acted on. The states of an update in place are left behind once the instance is
complete again, as a controller that updates in place may have been at work before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.instances import LifecycleHook, RoleInstance
from rbgctrl.graph.view import size_of
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.members import current
from rbgctrl.plan.model import Patch

__all__ = ["held", "leaving", "left_over", "prepare_delete", "state", "take_back"]

_IN_PLACE = (labels.LIFECYCLE_PREPARING_UPDATE, labels.LIFECYCLE_UPDATING, labels.LIFECYCLE_UPDATED)


def state(item: RoleInstance) -> str:
    """Where an instance is in its life."""
    return item.metadata.labels.get(labels.INSTANCE_LIFECYCLE_STATE) or labels.LIFECYCLE_NORMAL


def leaving(item: RoleInstance) -> bool:
    """Whether it is to be deleted as soon as its hook lets it go."""
    return state(item) == labels.LIFECYCLE_PREPARING_DELETE


def held(item: RoleInstance, hook: LifecycleHook | None) -> bool:
    """Whether a hook holds an instance back: by any of its finalizers, or any of its labels with that value."""
    if hook is None:
        return False
    return any(name in item.metadata.finalizers for name in hook.finalizers_handler) or any(
        item.metadata.labels.get(key) == value for key, value in hook.labels_handler.items()
    )


def prepare_delete(item: RoleInstance, hook: LifecycleHook, now: datetime) -> Patch:
    """Announce the deletion, and take the pods out of service if the hook asks for it."""
    held_back = {labels.INSTANCE_HELD_BACK: "true"} if hook.mark_not_ready else {}
    return _move(
        item, labels.LIFECYCLE_PREPARING_DELETE, now, held_back, "the instance waits for its hook to be deleted"
    )


def take_back(item: RoleInstance, now: datetime) -> Patch:
    """Keep an instance after all."""
    served = {labels.INSTANCE_HELD_BACK: None} if labels.INSTANCE_HELD_BACK in item.metadata.annotations else {}
    return _move(item, labels.LIFECYCLE_NORMAL, now, served, "the instance is needed again")


def left_over(item: RoleInstance, now: datetime) -> Patch | None:
    """End an update in place that somebody else began, once the pods of the instance are complete."""
    if state(item) not in _IN_PLACE or item.metadata.deleting:
        return None
    sizes = {part.name: size_of(part) for part in item.spec.components} if item.spec is not None else {}
    told = item.status.component_statuses if item.status is not None else ()
    updated = {component.name: component.updated_replicas for component in told}
    if not current(item) or any(updated.get(name, 0) < size for name, size in sizes.items()):
        return None
    return _move(item, labels.LIFECYCLE_NORMAL, now, {}, "its update in place is over")


def _move(item: RoleInstance, to: str, now: datetime, annotations: dict[str, Any], why: str) -> Patch:
    metadata = {
        "labels": {labels.INSTANCE_LIFECYCLE_STATE: to},
        "annotations": {labels.INSTANCE_LIFECYCLE_TIMESTAMP: stamp(now), **annotations},
    }
    return Patch(kind=RoleInstance, key=item.key, uid=item.uid, body={"metadata": metadata}, why=why)
