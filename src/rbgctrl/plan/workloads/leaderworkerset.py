"""A role as a LeaderWorkerSet: groups of a leader and its workers, run by that project's own controller."""

from __future__ import annotations

from rbgctrl.api import intstr, roles
from rbgctrl.api.patterns import RestartPolicyType
from rbgctrl.api.roles import Rollout
from rbgctrl.api.workloads import LeaderWorkerSet
from rbgctrl.plan.model import Apply
from rbgctrl.plan.workloads import common
from rbgctrl.plan.workloads.components import leader_worker
from rbgctrl.plan.workloads.request import WorkloadRequest

__all__ = ["apply"]


def apply(request: WorkloadRequest, live: LeaderWorkerSet | None) -> Apply | None:
    """The apply that makes the role's LeaderWorkerSet what it should be, or None when it already is."""
    leader, worker = leader_worker(request)
    pattern = request.role.leader_worker_pattern
    rollout = roles.rolling_update(request.role)
    recreate = roles.restart_policy(request.role).type is not RestartPolicyType.NONE
    body = {
        "apiVersion": LeaderWorkerSet.KIND.api_version,
        "kind": LeaderWorkerSet.KIND.kind,
        "metadata": common.metadata(request, leader, worker),
        "spec": {
            "replicas": request.replicas,
            "leaderWorkerTemplate": {
                "size": pattern.size if pattern is not None else 1,
                "restartPolicy": "RecreateGroupOnPodRestart" if recreate else "None",
                "leaderTemplate": leader,
                "workerTemplate": worker,
            },
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {
                    "partition": intstr.ceil(rollout.partition, request.replicas),
                    "maxUnavailable": _unavailable(rollout, request.replicas),
                    "maxSurge": rollout.max_surge,
                },
            },
        },
    }
    return common.apply(request, body, live, LeaderWorkerSet)


def _unavailable(rollout: Rollout, replicas: int) -> int | str:
    """The limit as written, or 1 for a share too small for one group, which its webhook refuses without a surge."""
    some = max(replicas, 1)
    nothing = not intstr.floor(rollout.max_unavailable, some) and not intstr.ceil(rollout.max_surge, some)
    return 1 if nothing else rollout.max_unavailable
