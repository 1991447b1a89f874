"""The object graph: Group > Role > Instance > Component > Pod, frozen, one value per reconcile.

Every reconciler and every view for people looks at the cluster through these types, so a question about a role is
answered in one place. Nodes hold cached objects; they never copy or change them.
"""

from __future__ import annotations

from dataclasses import dataclass

from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet

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
        squatters: names its missing pods need that a pod of somebody else holds.
    """

    instance: RoleInstance
    ordinal: int = -1
    components: tuple[ComponentNode, ...] = ()
    strays: tuple[PodNode, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    squatters: frozenset[str] = frozenset()

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
    """

    set: RoleInstanceSet
    instances: tuple[InstanceNode, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    squatters: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNode:
    """One role of a group: what is wanted and what there is.

    Attributes:
        name: role name.
        spec: the role in the group's spec.
        workload: its RoleInstanceSet, or None while there is none.
        service: its headless Service, or None.
        squatter: whether the workload's name is held by a set of somebody else.
    """

    name: str
    spec: RoleSpec
    workload: SetNode | None = None
    service: Service | None = None
    squatter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNode:
    """A RoleBasedGroup with everything it owns.

    Attributes:
        group: the cached object.
        roles: in the order of the spec.
        orphans: sets it controls that no role of the spec asks for any more.
        config_map: its discovery ConfigMap, or None.
        revisions: its ControllerRevisions, oldest first.
    """

    group: RoleBasedGroup
    roles: tuple[RoleNode, ...] = ()
    orphans: tuple[RoleInstanceSet, ...] = ()
    config_map: ConfigMap | None = None
    revisions: tuple[ControllerRevision, ...] = ()

    def role(self, name: str) -> RoleNode | None:
        """The role of that name."""
        for role in self.roles:
            if role.name == name:
                return role
        return None
