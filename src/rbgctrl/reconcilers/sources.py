"""The informers all reconcilers read from, asked for once so that they share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rbgctrl.api import labels
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Resource
from rbgctrl.api.podgroups import POD_GROUP_KINDS, PodGroup
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet
from rbgctrl.graph.indexes import indexes
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.view import Reader, Sources
from rbgctrl.informers import Cache, Informer
from rbgctrl.reconcilers.options import ReconcilerOptions

__all__ = ["Informers"]

R = TypeVar("R", bound=Resource)


class Informers:
    """One informer per kind; made twice from one cache, they are the same ones.

    Built-in kinds are narrowed to what carries our labels, so a large cluster's other objects are never held. Kinds
    that not every cluster knows are optional: nothing waits for them.
    """

    def __init__(self, cache: Cache, options: ReconcilerOptions | None = None) -> None:
        self.options = options or ReconcilerOptions()
        self._cache = cache
        self.groups: Informer[RoleBasedGroup] = self._informer(RoleBasedGroup)
        self.sets: Informer[RoleInstanceSet] = self._informer(RoleInstanceSet)
        self.instances: Informer[RoleInstance] = self._informer(RoleInstance)
        self.pods: Informer[Pod] = self._informer(Pod, labels.ROLE_INSTANCE_NAME)
        self.services: Informer[Service] = self._informer(Service, labels.GROUP_NAME)
        self.config_maps: Informer[ConfigMap] = self._informer(ConfigMap, labels.GROUP_NAME)
        self.revisions: Informer[ControllerRevision] = self._informer(ControllerRevision)
        self.nodes: Informer[Node] = self._informer(Node)
        self.adapters: Informer[RoleBasedGroupScalingAdapter] = self._informer(RoleBasedGroupScalingAdapter)
        self.profiles: Informer[ClusterEngineRuntimeProfile] = self._informer(ClusterEngineRuntimeProfile)
        self.group_sets: Informer[RoleBasedGroupSet] = self._informer(RoleBasedGroupSet)
        self.warmups: Informer[RoleBasedGroupWarmup] = self._informer(RoleBasedGroupWarmup)
        self.warmup_pods: Informer[Pod] = self._informer(Pod, labels.WARMUP_NAME)
        self.pod_groups: Informer[PodGroup] = self._informer(POD_GROUP_KINDS[self.options.scheduler], optional=True)
        self.deployments: Informer[Deployment] | None = None
        self.stateful_sets: Informer[StatefulSet] | None = None
        self.leader_worker_sets: Informer[LeaderWorkerSet] | None = None
        self.workload_pods: Informer[Pod] | None = None
        if self.options.deprecated_workload_types:
            self.deployments = self._informer(Deployment, labels.GROUP_NAME)
            self.stateful_sets = self._informer(StatefulSet, labels.GROUP_NAME)
            self.leader_worker_sets = self._informer(LeaderWorkerSet, labels.GROUP_NAME, optional=True)
            self.workload_pods = self._informer(Pod, f"{labels.GROUP_NAME},!{labels.ROLE_INSTANCE_NAME}")

    def _informer(self, kind: type[R], selector: str = "", *, optional: bool = False) -> Informer[R]:
        found = self._cache.informer(kind, selector=selector, optional=optional)
        for name, values in indexes(kind).items():
            found.store.add_index(name, values)
        return found

    @property
    def sources(self) -> Sources:
        """The stores behind the informers."""
        optional: Mapping[type[Any], Informer[Any] | None] = {
            LeaderWorkerSet: self.leader_worker_sets,
            self.pod_groups.kind: self.pod_groups,
            Deployment: self.deployments,
            StatefulSet: self.stateful_sets,
        }
        return Sources(
            groups=self.groups.store,
            sets=self.sets.store,
            instances=self.instances.store,
            pods=self.pods.store,
            services=self.services.store,
            config_maps=self.config_maps.store,
            revisions=self.revisions.store,
            deployments=_store(self.deployments),
            stateful_sets=_store(self.stateful_sets),
            leader_worker_sets=_store(self.leader_worker_sets),
            pod_groups=self.pod_groups.store,
            adapters=self.adapters.store,
            profiles=self.profiles.store,
            group_sets=self.group_sets.store,
            warmups=self.warmups.store,
            warmup_pods=self.warmup_pods.store,
            workload_pods=_store(self.workload_pods),
            nodes=self.nodes.store,
            pod_group_kind=self.pod_groups.kind,
            served=lambda kind: (found := optional.get(kind)) is not None and found.served,
        )


def _store(informer: Informer[R] | None) -> Reader[R]:
    return informer.store if informer is not None else Memory[R]()
