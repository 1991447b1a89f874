"""Who an instance or pod is, whatever revision it runs and wherever it landed."""

from __future__ import annotations

from rbgctrl.api import labels, names
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet

__all__ = ["instance_role_id", "pod_role_id"]


def instance_role_id(owner: RoleInstanceSet, slot: int | str) -> str:
    """RoleID of an instance; a set that belongs to no group stands for both group and role.

    Args:
        owner: its set.
        slot: its ordinal, or the id of a stateless one.
    """
    group, role = _names(owner.metadata.labels, owner.metadata.name)
    return names.instance_role_id(group, role, slot)


def pod_role_id(instance: RoleInstance, component: str, index: int) -> str:
    """RoleID of a pod, from the labels its instance was born with."""
    own = instance.metadata.labels
    slot = own.get(labels.ROLE_INSTANCE_INDEX) or own.get(labels.ROLE_INSTANCE_ID) or ""
    controller = instance.metadata.controller()
    group, role = _names(own, controller.name if controller is not None else instance.metadata.name)
    return names.pod_role_id(group, role, slot or "0", component, index)


def _names(own: dict[str, str], fallback: str) -> tuple[str, str]:
    return own.get(labels.GROUP_NAME) or fallback, own.get(labels.ROLE_NAME) or fallback
