"""Roles whose workload is of another project: which module makes it, and how it makes way for another kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rbgctrl.api import roles
from rbgctrl.api.core import Pod
from rbgctrl.api.workloads import FOREIGN_KINDS, Deployment, Foreign, LeaderWorkerSet, StatefulSet, Workload
from rbgctrl.plan.model import Apply, Delete
from rbgctrl.plan.workloads import deployment, leaderworkerset, statefulset
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["apply", "has_service", "retire"]


def apply(request: WorkloadRequest, live: Foreign | None, pods: Sequence[Pod] = ()) -> Apply | None:
    """The apply that makes the role's workload what it should be, or None when it already is.

    Args:
        request: what is wanted; its role asks for one of :data:`~rbgctrl.api.workloads.FOREIGN_KINDS`.
        live: what there is, of that kind; nothing is done to one that is being deleted.
        pods: those of the workload; a StatefulSet is rolled by what they tell.
    """
    if live is not None and live.metadata.deleting:
        return None
    kind = FOREIGN_KINDS[roles.workload_type(request.role)]
    if kind is Deployment:
        return deployment.apply(request, live if isinstance(live, Deployment) else None)
    if kind is StatefulSet:
        return statefulset.apply(request, live if isinstance(live, StatefulSet) else None, pods)
    return leaderworkerset.apply(request, live if isinstance(live, LeaderWorkerSet) else None)


def has_service(kind: type[Workload]) -> bool:
    """Whether a role of that kind has a headless Service of ours.

    Pods of a Deployment have no names that last, and a LeaderWorkerSet brings a Service of its own.
    """
    return kind not in (Deployment, LeaderWorkerSet)


def retire(former: Iterable[Workload]) -> list[Delete]:
    """Deletes of what a role had before it asked for another kind.

    Each stays until its pods are gone, so that the names are free once it is: nothing of the new kind is made before.
    """
    return [
        Delete(
            kind=type(item),
            key=item.key,
            uid=item.uid,
            propagation="Foreground",
            why="the role has another kind of workload now",
        )
        for item in former
        if not item.metadata.deleting
    ]
