"""Workloads of other projects that can stand behind a role, and what all kinds of workloads have in common.

Only what is read: counters, the fields we set (their templates as the JSON the server sent), and who owns them.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

import msgspec

from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Condition, Kind, LabelSelector, Resource, Value

__all__ = [
    "FOREIGN_KINDS",
    "WORKLOAD_KINDS",
    "Deployment",
    "Foreign",
    "LeaderWorkerSet",
    "StatefulSet",
    "Workload",
]

_NOTHING = msgspec.Raw(b"null")


class DeploymentSpec(Value, frozen=True, gc=False):
    """``spec`` of a Deployment."""

    replicas: int | None = None
    selector: LabelSelector = LabelSelector()
    template: msgspec.Raw = _NOTHING
    strategy: msgspec.Raw = _NOTHING


class DeploymentStatus(Value, frozen=True, gc=False):
    """``status`` of a Deployment."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Deployment(Resource, frozen=True, gc=False):
    """An apps/v1 Deployment."""

    KIND: ClassVar[Kind[Deployment]] = Kind("apps", "v1", "Deployment", "deployments")

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class StatefulSetRollingUpdate(Value, frozen=True, gc=False):
    """``spec.updateStrategy.rollingUpdate`` of a StatefulSet."""

    partition: int = 0


class StatefulSetUpdateStrategy(Value, frozen=True, gc=False):
    """``spec.updateStrategy`` of a StatefulSet."""

    type: str = ""
    rolling_update: StatefulSetRollingUpdate = StatefulSetRollingUpdate()


class StatefulSetSpec(Value, frozen=True, gc=False):
    """``spec`` of a StatefulSet."""

    replicas: int | None = None
    selector: LabelSelector = LabelSelector()
    service_name: str = ""
    pod_management_policy: str = ""
    min_ready_seconds: int = 0
    template: msgspec.Raw = _NOTHING
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()


class StatefulSetStatus(Value, frozen=True, gc=False):
    """``status`` of a StatefulSet."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""


class StatefulSet(Resource, frozen=True, gc=False):
    """An apps/v1 StatefulSet."""

    KIND: ClassVar[Kind[StatefulSet]] = Kind("apps", "v1", "StatefulSet", "statefulsets")

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class LeaderWorkerSetSpec(Value, frozen=True, gc=False):
    """``spec`` of a LeaderWorkerSet."""

    replicas: int | None = None
    startup_policy: str = ""
    leader_worker_template: msgspec.Raw = _NOTHING
    rollout_strategy: msgspec.Raw = _NOTHING
    network_config: msgspec.Raw = _NOTHING


class LeaderWorkerSetStatus(Value, frozen=True, gc=False):
    """``status`` of a LeaderWorkerSet; it has no observed generation."""

    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    hpa_pod_selector: str = ""
    conditions: tuple[Condition, ...] = ()


class LeaderWorkerSet(Resource, frozen=True, gc=False):
    """A leaderworkerset.x-k8s.io/v1 LeaderWorkerSet, of release 0.7 or later."""

    KIND: ClassVar[Kind[LeaderWorkerSet]] = Kind(
        "leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", "leaderworkersets"
    )

    spec: LeaderWorkerSetSpec = LeaderWorkerSetSpec()
    status: LeaderWorkerSetStatus = LeaderWorkerSetStatus()


Foreign: TypeAlias = Deployment | StatefulSet | LeaderWorkerSet
"""A workload that another project's controller looks after."""

Workload: TypeAlias = RoleInstanceSet | Foreign
"""Whatever stands behind a role."""

FOREIGN_KINDS: Final[dict[str, type[Foreign]]] = {
    labels.WORKLOAD_TYPE_DEPLOYMENT: Deployment,
    labels.WORKLOAD_TYPE_STATEFUL_SET: StatefulSet,
    labels.WORKLOAD_TYPE_LEADER_WORKER_SET: LeaderWorkerSet,
}
"""Value of the role's workload type to kind."""

WORKLOAD_KINDS: Final[dict[str, type[Workload]]] = {
    labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET: RoleInstanceSet,
    **FOREIGN_KINDS,
}
"""Value of the role's workload type to kind, our own included."""
