"""PodGroups: how a gang scheduler is told that pods start together or not at all. Two projects have one each."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from rbgctrl.api.meta import Kind, Resource, Value

__all__ = ["POD_GROUP_KINDS", "GangScheduler", "PodGroup", "SchedulerPluginsPodGroup", "VolcanoPodGroup"]


class GangScheduler(StrEnum):
    """Whose PodGroups are written; the value of flag ``--scheduler-name``."""

    SCHEDULER_PLUGINS = "scheduler-plugins"
    VOLCANO = "volcano"


class SchedulerPluginsPodGroupSpec(Value, frozen=True, gc=False):
    """``spec`` of the scheduler-plugins PodGroup."""

    min_member: int = 0
    schedule_timeout_seconds: int | None = None


class SchedulerPluginsPodGroup(Resource, frozen=True, gc=False):
    """A scheduling.x-k8s.io/v1alpha1 PodGroup of the scheduler-plugins project."""

    KIND: ClassVar[Kind[SchedulerPluginsPodGroup]] = Kind("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups")

    spec: SchedulerPluginsPodGroupSpec = SchedulerPluginsPodGroupSpec()


class VolcanoPodGroupSpec(Value, frozen=True, gc=False):
    """``spec`` of the Volcano PodGroup."""

    min_member: int = 0
    queue: str = ""
    priority_class_name: str = ""


class VolcanoPodGroup(Resource, frozen=True, gc=False):
    """A scheduling.volcano.sh/v1beta1 PodGroup."""

    KIND: ClassVar[Kind[VolcanoPodGroup]] = Kind("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups")

    spec: VolcanoPodGroupSpec = VolcanoPodGroupSpec()


PodGroup: TypeAlias = SchedulerPluginsPodGroup | VolcanoPodGroup
"""Either of them."""

POD_GROUP_KINDS: Final[dict[GangScheduler, type[PodGroup]]] = {
    GangScheduler.SCHEDULER_PLUGINS: SchedulerPluginsPodGroup,
    GangScheduler.VOLCANO: VolcanoPodGroup,
}
"""The kind each scheduler reads."""
