"""What the product's reconcilers can be told beyond the objects themselves."""

from __future__ import annotations

from dataclasses import dataclass

from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.plan.ports import PortRange

__all__ = ["ReconcilerOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerOptions:
    """The same values for every reconciler of a process.

    Attributes:
        workers: concurrent reconciles of each controller.
        scheduler: whose PodGroups are written for groups that ask for gang scheduling.
        deprecated_workload_types: whether roles of Deployments, StatefulSets and LeaderWorkerSets are run; without,
            such objects are not even looked at, and the controller needs no permission for them.
        ports: from which ports are allocated to pods that ask for one; None when the port allocator is off.
    """

    workers: int = 10
    scheduler: GangScheduler = GangScheduler.SCHEDULER_PLUGINS
    deprecated_workload_types: bool = True
    ports: PortRange | None = None
