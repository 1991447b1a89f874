"""Builds the piece of the object graph that one reconcile looks at, from whatever can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rbgctrl.api import labels, names
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import InstanceComponent, RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.graph.nodes import ComponentNode, GroupNode, InstanceNode, PodNode, RoleNode, SetNode

__all__ = ["Reader", "Sources", "group", "instance", "role"]

R_co = TypeVar("R_co", bound=Resource, covariant=True)


class Reader(Protocol, Generic[R_co]):
    """Read access to the objects of one kind; the informers' stores satisfy it."""

    def get(self, key: Key) -> R_co | None:
        """The object of that key, or None."""
        ...

    def owned(self, uid: str) -> Sequence[R_co]:
        """Objects whose controller has that UID, sorted by key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where each kind is read from."""

    groups: Reader[RoleBasedGroup]
    sets: Reader[RoleInstanceSet]
    instances: Reader[RoleInstance]
    pods: Reader[Pod]
    services: Reader[Service]
    config_maps: Reader[ConfigMap]
    revisions: Reader[ControllerRevision]
    nodes: Reader[Node] | None = None


def group(sources: Sources, key: Key, *, deep: bool = False) -> GroupNode | None:
    """The group of that key with what it owns, or None when there is none.

    Args:
        sources: where to read.
        key: of the group.
        deep: also fill in instances and pods, which reconciling a group does not need.
    """
    found = sources.groups.get(key)
    if found is None:
        return None
    owned = {item.metadata.name: item for item in sources.sets.owned(found.uid)}
    roles = []
    for spec in found.spec.roles if found.spec else ():
        workload_key = Key(key.namespace, names.workload(key.name, spec.name))
        workload = owned.pop(workload_key.name, None)
        squatter = workload is None and sources.sets.get(workload_key) is not None
        node = None
        if workload is not None:
            node = _set(sources, workload, deep=True) if deep else SetNode(set=workload)
        service = _service(sources, key, spec.name)
        roles.append(RoleNode(name=spec.name, spec=spec, workload=node, service=service, squatter=squatter))
    return GroupNode(
        group=found,
        roles=tuple(roles),
        orphans=tuple(owned[name] for name in sorted(owned)),
        config_map=sources.config_maps.get(Key(key.namespace, names.discovery_config_map(key.name))),
        revisions=_revisions(sources, found.uid),
    )


def _service(sources: Sources, key: Key, role_name: str) -> Service | None:
    """The role's Service; one named like the workload (as old releases did) wins where it exists."""
    legacy = sources.services.get(Key(key.namespace, names.workload(key.name, role_name)))
    if legacy is not None and legacy.metadata.labels.get(labels.GROUP_NAME) == key.name:
        return legacy
    return sources.services.get(Key(key.namespace, names.service(key.name, role_name)))


def role(sources: Sources, key: Key) -> SetNode | None:
    """The RoleInstanceSet of that key with its instances, or None when there is none."""
    found = sources.sets.get(key)
    return None if found is None else _set(sources, found, deep=False)


def _set(sources: Sources, found: RoleInstanceSet, *, deep: bool) -> SetNode:
    own = sources.instances.owned(found.uid)
    instances = []
    for item in own:
        ordinal = names.instance_ordinal(found.metadata.name, item.metadata.name)
        ordinal = -1 if ordinal is None else ordinal
        instances.append(_instance(sources, item, ordinal) if deep else InstanceNode(instance=item, ordinal=ordinal))
    instances.sort(key=lambda node: (node.ordinal, node.instance.key))
    held = {node.ordinal for node in instances}
    squatters = frozenset(
        ordinal
        for ordinal in range(found.spec.replicas if found.spec and found.spec.replicas is not None else 1)
        if ordinal not in held
        and sources.instances.get(Key(found.key.namespace, names.instance(found.metadata.name, ordinal))) is not None
    )
    return SetNode(set=found, instances=tuple(instances), revisions=_revisions(sources, found.uid), squatters=squatters)


def instance(sources: Sources, key: Key) -> InstanceNode | None:
    """The RoleInstance of that key with its pods and revisions, or None when there is none."""
    found = sources.instances.get(key)
    return None if found is None else _instance(sources, found, -1)


def _instance(sources: Sources, found: RoleInstance, ordinal: int) -> InstanceNode:
    pods = [_pod(item) for item in sources.pods.owned(found.uid)]
    declared = found.spec.components if found.spec else ()
    known = {component.name for component in declared}
    components = tuple(
        ComponentNode(
            name=component.name,
            size=size_of(component),
            pods=tuple(
                sorted(
                    (pod for pod in pods if pod.component == component.name),
                    key=lambda pod: (pod.index, pod.pod.key),
                )
            ),
        )
        for component in declared
    )
    mine = {pod.pod.metadata.name for pod in pods}
    squatters = frozenset(
        name
        for component in declared
        for index in range(size_of(component))
        if (name := names.pod(found.metadata.name, component.name, index, role_type(found))) not in mine
        and sources.pods.get(Key(found.key.namespace, name)) is not None
    )
    return InstanceNode(
        instance=found,
        ordinal=ordinal,
        components=components,
        strays=tuple(pod for pod in pods if pod.component not in known),
        revisions=_revisions(sources, found.uid),
        squatters=squatters,
    )


def role_type(found: RoleInstance) -> str:
    """How the pods of an instance are named: its role-type label, ``Components`` when there is none."""
    return found.metadata.labels.get(labels.ROLE_TYPE, labels.ROLE_TYPE_COMPONENTS)


def size_of(component: InstanceComponent) -> int:
    """Pods a component wants; 1 when it does not say."""
    return 1 if component.size is None else component.size


def _pod(pod: Pod) -> PodNode:
    index = pod.metadata.labels.get(labels.COMPONENT_ID, "")
    return PodNode(
        pod=pod,
        component=pod.metadata.labels.get(labels.COMPONENT_NAME, ""),
        index=int(index) if index.isascii() and index.isdigit() else -1,
    )


def _revisions(sources: Sources, uid: str) -> tuple[ControllerRevision, ...]:
    return tuple(sorted(sources.revisions.owned(uid), key=lambda item: (item.revision, item.metadata.name)))
