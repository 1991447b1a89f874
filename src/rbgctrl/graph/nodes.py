"""The object graph: Group > Role > Instance > Component > Pod, frozen, one value per reconcile.

Every reconciler and every view for people looks at the cluster through these types, so a question about a role is
answered in one place. Nodes hold cached objects; they never copy or change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.bindings import Binding
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.podgroups import PodGroup
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.workloads import Foreign, Workload

__all__ = ["ComponentNode", "GroupNode", "InstanceNode", "PodNode", "RoleNode", "SetNode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNode:
    """One pod of an instance.

    Attributes:
        pod: the cached pod.
        component: name of its component.
        index: 0-based id inside the component; -1 when the label is missing or not a number.
    """

    pod: Pod
    component: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentNode:
    """One component of an instance: the pods that exist, by id, against the size that is wanted."""

    name: str
    size: int
    pods: tuple[PodNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceNode:
    """A RoleInstance with its pods and revisions.

    Attributes:
        instance: the cached object.
        ordinal: number at the end of its name inside a stateful set; -1 for others.
        components: in the order of the spec.
        strays: pods it controls that belong to no component of its spec.
        revisions: its ControllerRevisions, oldest first.
        squatters: names its missing pods need that a pod of somebody else holds, and who controls that one.
        owner: the set that controls it, or None.
        slots: ordinals and ids of the instances of its set that exist, its own among them; filled in like ``bindings``.
        bindings: where pods of its set ran, if it asks for in-place scheduling.
        hosts: cluster nodes that matter to its pods, by name, None for one that is gone; None when nothing is known of
            nodes.
    """

    instance: RoleInstance
    ordinal: int = -1
    components: tuple[ComponentNode, ...] = ()
    strays: tuple[PodNode, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    squatters: Mapping[str, str] = field(default_factory=dict)
    owner: RoleInstanceSet | None = None
    slots: frozenset[str] = frozenset()
    bindings: tuple[Binding, ...] = ()
    hosts: Mapping[str, Node | None] | None = None

    @property
    def pods(self) -> tuple[PodNode, ...]:
        """Every pod it controls, component by component."""
        return tuple(pod for component in self.components for pod in component.pods) + self.strays


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNode:
    """A RoleInstanceSet with its instances (without their pods, unless asked for) and revisions.

    Attributes:
        set: the cached object.
        instances: instances it controls, by ordinal, then name.
        revisions: its ControllerRevisions, oldest first.
        squatters: ordinals whose instance name is held by an instance of somebody else.
        leaving: ordinals whose instance name is held by one of somebody else that goes away by itself.
        orphans: instances that nobody controls and that are the set's by name and labels: it may adopt them.
        orphan_revisions: ControllerRevisions that nobody controls and that are the set's by name and hash.
        spent: ids of stateless instances that were there and are gone, as far as anybody remembers.
    """

    set: RoleInstanceSet
    instances: tuple[InstanceNode, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    squatters: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    orphans: tuple[InstanceNode, ...] = ()
    orphan_revisions: tuple[ControllerRevision, ...] = ()
    spent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNode:
    """One role of a group: what is wanted and what there is.

    Attributes:
        name: role name.
        spec: the role in the group's spec.
        set: its RoleInstanceSet, or None; the instances are filled in, their pods only when asked for.
        other: its Deployment, StatefulSet or LeaderWorkerSet, or None.
        pods: pods of ``other``, by name.
        former: workloads of its name that are the group's, and of a kind that the role has no more.
        service: its headless Service, or None.
        adapter: the scaling adapter of its name, whoever owns it, or None.
        squatter: whether the workload's name is held by an object of somebody else.
        served: whether the cluster knows the kind of its workload.
    """

    name: str
    spec: RoleSpec
    set: SetNode | None = None
    other: Foreign | None = None
    pods: tuple[Pod, ...] = ()
    former: tuple[Workload, ...] = ()
    service: Service | None = None
    adapter: RoleBasedGroupScalingAdapter | None = None
    squatter: bool = False
    served: bool = True

    @property
    def workload(self) -> Workload | None:
        """Whatever stands behind the role."""
        return self.set.set if self.set is not None else self.other


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNode:
    """A RoleBasedGroup with everything it owns.

    Attributes:
        group: the cached object.
        roles: in the order of the spec.
        orphans: workloads it controls that no role of the spec asks for any more.
        adapters: scaling adapters it owns that no role of the spec asks for any more.
        config_map: its discovery ConfigMap, or None.
        pod_group: the PodGroup of its name, whoever owns it, or None.
        gangs: whether the cluster knows the kind of PodGroup that is written.
        profiles: engine runtime profiles that its roles name, those that exist.
        revisions: its ControllerRevisions, oldest first.
        nodes: cluster nodes that its pods are bound to, by name, as far as known.
    """

    group: RoleBasedGroup
    roles: tuple[RoleNode, ...] = ()
    orphans: tuple[Workload, ...] = ()
    adapters: tuple[RoleBasedGroupScalingAdapter, ...] = ()
    config_map: ConfigMap | None = None
    pod_group: PodGroup | None = None
    gangs: bool = True
    profiles: Mapping[str, ClusterEngineRuntimeProfile] = field(default_factory=dict)
    revisions: tuple[ControllerRevision, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)

    def role(self, name: str) -> RoleNode | None:
        """The role of that name."""
        for role in self.roles:
            if role.name == name:
                return role
        return None
