"""Builds the piece of the object graph that one reconcile looks at, from whatever can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from rbgctrl.api import labels, names, roles
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.bindings import Binding, bindings, slot_of
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import GroupComponent, RoleBasedGroup, RoleSpec
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import InstanceComponent, RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.podgroups import PodGroup, SchedulerPluginsPodGroup
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.selectors import matches
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.api.workloads import FOREIGN_KINDS, Deployment, Foreign, LeaderWorkerSet, StatefulSet, Workload
from rbgctrl.graph.indexes import GROUP, ORPHANS, ROLE, group_value, role_value, set_value
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.nodes import ComponentNode, GroupNode, InstanceNode, PodNode, RoleNode, SetNode

__all__ = ["Reader", "Sources", "group", "instance", "pod_node", "role"]

R_co = TypeVar("R_co", bound=Resource, covariant=True)


class Reader(Protocol, Generic[R_co]):
    """Read access to the objects of one kind; the informers' stores satisfy it."""

    def get(self, key: Key) -> R_co | None:
        """The object of that key, or None."""
        ...

    def owned(self, uid: str) -> Sequence[R_co]:
        """Objects whose controller has that UID, sorted by key."""
        ...

    def by(self, name: str, value: str) -> Sequence[R_co]:
        """Objects that have ``value`` in an index of :mod:`rbgctrl.graph.indexes`, sorted by key."""
        ...


def _everything(_: type[Resource]) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where each kind is read from; what a view has no use for may be left out.

    Attributes:
        served: whether the cluster knows a kind; asked of those that not every cluster has.
        workload_pods: pods of workloads that are not ours.
        pod_group_kind: which of the two kinds ``pod_groups`` has.
        nodes: None when nothing is known of nodes.
    """

    groups: Reader[RoleBasedGroup]
    sets: Reader[RoleInstanceSet]
    instances: Reader[RoleInstance]
    pods: Reader[Pod]
    services: Reader[Service]
    config_maps: Reader[ConfigMap]
    revisions: Reader[ControllerRevision]
    deployments: Reader[Deployment] = field(default_factory=Memory[Deployment])
    stateful_sets: Reader[StatefulSet] = field(default_factory=Memory[StatefulSet])
    leader_worker_sets: Reader[LeaderWorkerSet] = field(default_factory=Memory[LeaderWorkerSet])
    pod_groups: Reader[PodGroup] = field(default_factory=Memory[PodGroup])
    adapters: Reader[RoleBasedGroupScalingAdapter] = field(default_factory=Memory[RoleBasedGroupScalingAdapter])
    profiles: Reader[ClusterEngineRuntimeProfile] = field(default_factory=Memory[ClusterEngineRuntimeProfile])
    group_sets: Reader[RoleBasedGroupSet] = field(default_factory=Memory[RoleBasedGroupSet])
    warmups: Reader[RoleBasedGroupWarmup] = field(default_factory=Memory[RoleBasedGroupWarmup])
    warmup_pods: Reader[Pod] = field(default_factory=Memory[Pod])
    workload_pods: Reader[Pod] = field(default_factory=Memory[Pod])
    nodes: Reader[Node] | None = None
    pod_group_kind: type[PodGroup] = SchedulerPluginsPodGroup
    served: Callable[[type[Resource]], bool] = _everything

    def foreign(self) -> tuple[tuple[type[Foreign], Reader[Foreign]], ...]:
        """The kinds of workloads that are not ours, each with where it is read."""
        return (
            (Deployment, self.deployments),
            (StatefulSet, self.stateful_sets),
            (LeaderWorkerSet, self.leader_worker_sets),
        )


def group(sources: Sources, key: Key, *, deep: bool = False) -> GroupNode | None:
    """The group of that key with what it owns, or None when there is none.

    Args:
        sources: where to read.
        key: of the group.
        deep: also fill in the pods of every instance.
    """
    found = sources.groups.get(key)
    if found is None:
        return None
    owned = _Owned(sources, found)
    declared = found.spec.roles if found.spec else ()
    built = tuple(_role(sources, owned, key, spec, deep=deep) for spec in declared)
    used = {runtime.profile_name for spec in declared for runtime in spec.engine_runtimes}
    profiles = {name: profile for name in sorted(used) if (profile := sources.profiles.get(Key("", name))) is not None}
    return GroupNode(
        group=found,
        roles=built,
        orphans=owned.left(),
        adapters=_stray_adapters(sources, found),
        config_map=sources.config_maps.get(Key(key.namespace, names.discovery_config_map(key.name))),
        pod_group=sources.pod_groups.get(Key(key.namespace, names.pod_group(key.name))),
        gangs=sources.served(sources.pod_group_kind),
        profiles=profiles,
        revisions=_revisions(sources, found.uid),
        nodes=_nodes(sources, built) if deep else {},
    )


class _Owned:
    """Workloads of every kind that a group controls; what is taken out belongs to a role."""

    def __init__(self, sources: Sources, found: RoleBasedGroup) -> None:
        sets = {item.metadata.name: item for item in sources.sets.owned(found.uid)}
        self._by_kind: dict[type[Resource], dict[str, Workload]] = {RoleInstanceSet: dict(sets)}
        for kind, reader in sources.foreign():
            self._by_kind[kind] = {item.metadata.name: item for item in reader.owned(found.uid)}

    def take(self, kind: type[Resource], name: str) -> Workload | None:
        return self._by_kind[kind].pop(name, None)

    def former(self, name: str) -> tuple[Workload, ...]:
        """Everything of that name that is left."""
        return tuple(item for held in self._by_kind.values() if (item := held.pop(name, None)) is not None)

    def left(self) -> tuple[Workload, ...]:
        return tuple(held[name] for held in self._by_kind.values() for name in sorted(held))


def _role(sources: Sources, owned: _Owned, key: Key, spec: RoleSpec, *, deep: bool) -> RoleNode:
    kind = FOREIGN_KINDS.get(roles.workload_type(spec), RoleInstanceSet)
    workload_key = Key(key.namespace, names.workload(key.name, spec.name))
    live = owned.take(kind, workload_key.name)
    return RoleNode(
        name=spec.name,
        spec=spec,
        set=_members(sources, live, deep=deep) if isinstance(live, RoleInstanceSet) else None,
        other=live if live is not None and not isinstance(live, RoleInstanceSet) else None,
        pods=_workload_pods(sources, key, spec.name, live),
        former=owned.former(workload_key.name),
        service=_service(sources, key, spec.name),
        adapter=sources.adapters.get(Key(key.namespace, names.adapter(key.name, spec.name))),
        squatter=live is None and _taken(sources, kind, workload_key),
        served=kind is RoleInstanceSet or sources.served(kind),
    )


def _members(sources: Sources, found: RoleInstanceSet, *, deep: bool) -> SetNode:
    """A set as its group sees it: which instances there are, with their pods when asked for, and nothing else."""
    instances = []
    for item in sources.instances.owned(found.uid):
        ordinal = names.instance_ordinal(found.metadata.name, item.metadata.name)
        components, strays = _components(sources, item) if deep else ((), ())
        ordinal = -1 if ordinal is None else ordinal
        instances.append(InstanceNode(instance=item, ordinal=ordinal, components=components, strays=strays))
    instances.sort(key=lambda node: (node.ordinal, node.instance.key))
    return SetNode(set=found, instances=tuple(instances))


def _workload_pods(sources: Sources, key: Key, role_name: str, live: Workload | None) -> tuple[Pod, ...]:
    """The pods of a workload that is not ours; two kinds have another controller in between, which is not watched."""
    if live is None or isinstance(live, RoleInstanceSet):
        return ()
    if isinstance(live, StatefulSet):
        return tuple(sources.workload_pods.owned(live.uid))
    between = "ReplicaSet" if isinstance(live, Deployment) else "StatefulSet"
    return tuple(
        pod
        for pod in sources.workload_pods.by(ROLE, role_value(key.namespace, key.name, role_name))
        if (owner := pod.metadata.controller()) is not None and owner.kind == between
    )


def _taken(sources: Sources, kind: type[Workload], key: Key) -> bool:
    if kind is RoleInstanceSet:
        return sources.sets.get(key) is not None
    return any(found is kind and reader.get(key) is not None for found, reader in sources.foreign())


def _stray_adapters(sources: Sources, found: RoleBasedGroup) -> tuple[RoleBasedGroupScalingAdapter, ...]:
    """Adapters that the group made, for roles that are gone."""
    expected = {names.adapter(found.key.name, spec.name) for spec in (found.spec.roles if found.spec else ())}
    return tuple(
        item
        for item in sources.adapters.by(GROUP, group_value(found.key.namespace, found.key.name))
        if item.metadata.name not in expected
        and any(owner.uid == found.uid for owner in item.metadata.owner_references)
    )


def _nodes(sources: Sources, built: Sequence[RoleNode]) -> Mapping[str, Node]:
    """The cluster nodes of every pod."""
    if sources.nodes is None:
        return {}
    used = {pod.pod.spec.node_name for role in built for pod in _pods(role)}
    return {name: node for name in sorted(used) if name and (node := sources.nodes.get(Key("", name))) is not None}


def _pods(role: RoleNode) -> Iterator[PodNode]:
    for item in role.set.instances if role.set is not None else ():
        yield from item.pods


def _service(sources: Sources, key: Key, role_name: str) -> Service | None:
    """The role's Service; one named like the workload (as old releases did) wins where it exists."""
    legacy = sources.services.get(Key(key.namespace, names.workload(key.name, role_name)))
    if legacy is not None and legacy.metadata.labels.get(labels.GROUP_NAME) == key.name:
        return legacy
    return sources.services.get(Key(key.namespace, names.service(key.name, role_name)))


def role(sources: Sources, key: Key) -> SetNode | None:
    """The RoleInstanceSet of that key with its instances, or None when there is none."""
    found = sources.sets.get(key)
    return None if found is None else _set(sources, found)


def _set(sources: Sources, found: RoleInstanceSet) -> SetNode:
    own = sources.instances.owned(found.uid)
    instances = []
    for item in own:
        ordinal = names.instance_ordinal(found.metadata.name, item.metadata.name)
        ordinal = -1 if ordinal is None else ordinal
        instances.append(InstanceNode(instance=item, ordinal=ordinal))
    instances.sort(key=lambda node: (node.ordinal, node.instance.key))
    orphans = _orphans(sources, found)
    held = {node.ordinal for node in (*instances, *orphans)}
    others = {
        ordinal: other
        for ordinal in range(found.spec.replicas if found.spec and found.spec.replicas is not None else 1)
        if ordinal not in held
        and (other := sources.instances.get(Key(found.key.namespace, names.instance(found.metadata.name, ordinal))))
    }
    leaving = frozenset(ordinal for ordinal, other in others.items() if _leaving(found, other))
    return SetNode(
        set=found,
        instances=tuple(instances),
        revisions=_revisions(sources, found.uid),
        squatters=frozenset(others) - leaving,
        leaving=leaving,
        orphans=orphans,
        orphan_revisions=tuple(
            item
            for item in sources.revisions.by(ORPHANS, set_value(found.key.namespace, found.metadata.name))
            if not item.metadata.deleting
        ),
    )


def _leaving(found: RoleInstanceSet, item: RoleInstance) -> bool:
    """Whether an instance goes away by itself: it was deleted, or belongs to an earlier set of that name."""
    owner = item.metadata.controller()
    namesake = owner is not None and (owner.kind, owner.name) == (found.KIND.kind, found.metadata.name)
    return item.metadata.deleting or namesake


def _orphans(sources: Sources, found: RoleInstanceSet) -> tuple[InstanceNode, ...]:
    name, selector = found.metadata.name, found.spec.selector if found.spec is not None else None
    return tuple(
        InstanceNode(instance=item, ordinal=ordinal)
        for item in sources.instances.by(ORPHANS, set_value(found.key.namespace, name))
        if not item.metadata.deleting
        and matches(selector, item.metadata.labels)
        and (ordinal := names.instance_ordinal(name, item.metadata.name)) is not None
    )


def instance(sources: Sources, key: Key) -> InstanceNode | None:
    """The RoleInstance of that key with its pods and revisions, or None when there is none."""
    found = sources.instances.get(key)
    return None if found is None else _instance(sources, found, -1)


def _components(sources: Sources, found: RoleInstance) -> tuple[tuple[ComponentNode, ...], tuple[PodNode, ...]]:
    """The components of an instance with their pods, and the pods that belong to none."""
    pods: dict[str, list[PodNode]] = {}
    for item in sources.pods.owned(found.uid):
        pod = pod_node(item)
        pods.setdefault(pod.component, []).append(pod)
    components = []
    for declared in found.spec.components if found.spec else ():
        mine = pods.pop(declared.name, [])
        mine.sort(key=lambda pod: (pod.index, pod.pod.key))
        components.append(ComponentNode(name=declared.name, size=size_of(declared), pods=tuple(mine)))
    return tuple(components), tuple(pod for stray in pods.values() for pod in stray)


def _instance(sources: Sources, found: RoleInstance, ordinal: int) -> InstanceNode:
    declared = found.spec.components if found.spec else ()
    components, strays = _components(sources, found)
    pods = [*(pod for component in components for pod in component.pods), *strays]
    mine = {pod.pod.metadata.name for pod in pods}
    squatters = {
        name: _holder(found, squatter)
        for component in declared
        for index in range(size_of(component))
        if (name := names.pod(found.metadata.name, component.name, index, role_type(found))) not in mine
        and (squatter := sources.pods.get(Key(found.key.namespace, name))) is not None
    }
    owner = _owner(sources, found)
    asks = bool(found.metadata.annotations.get(labels.INPLACE_SCHEDULING))
    remembered = bindings((owner or found).metadata.annotations) if asks else ()
    return InstanceNode(
        instance=found,
        ordinal=ordinal,
        components=components,
        strays=strays,
        revisions=_revisions(sources, found.uid),
        squatters=squatters,
        owner=owner,
        slots=_slots(sources, found, owner) if remembered else frozenset(),
        bindings=remembered,
        hosts=_hosts(sources, pods, remembered),
    )


def _holder(found: RoleInstance, squatter: Pod) -> str:
    """Who controls a pod; ``""`` for an earlier instance of the same name, whose pods go as it went."""
    controller = squatter.metadata.controller()
    if controller is None:
        return "nobody"
    earlier = controller.kind == found.KIND.kind and controller.name == found.metadata.name
    return "" if earlier else f"{controller.kind} {controller.name}"


def _owner(sources: Sources, found: RoleInstance) -> RoleInstanceSet | None:
    controller = found.metadata.controller()
    if controller is None or controller.kind != RoleInstanceSet.KIND.kind:
        return None
    owner = sources.sets.get(Key(found.key.namespace, controller.name))
    return owner if owner is not None and owner.uid == controller.uid else None


def _slots(sources: Sources, found: RoleInstance, owner: RoleInstanceSet | None) -> frozenset[str]:
    siblings = sources.instances.owned(owner.uid) if owner is not None else ()
    return frozenset((slot_of(found), *(slot_of(item) for item in siblings)))


def _hosts(
    sources: Sources, pods: Sequence[PodNode], remembered: Sequence[Binding]
) -> Mapping[str, Node | None] | None:
    """The cluster nodes of pods that are going away, of pods that wait for one, and of those that are remembered."""
    if sources.nodes is None:
        return None
    used = {item.node for item in remembered}
    used.update(pod.pod.spec.node_name for pod in pods if pod.pod.metadata.deleting)
    for pod in pods:
        used.update(pod.pod.metadata.annotations.get(labels.PINNED_NODES, "").split(","))
    return {name: sources.nodes.get(Key("", name)) for name in sorted(used) if name}


def role_type(found: RoleInstance) -> str:
    """How the pods of an instance are named: its role-type label, ``Components`` when there is none."""
    return found.metadata.labels.get(labels.ROLE_TYPE, labels.ROLE_TYPE_COMPONENTS)


def size_of(component: InstanceComponent | GroupComponent) -> int:
    """Pods a component wants; 1 when it does not say."""
    return 1 if component.size is None else component.size


def pod_node(pod: Pod) -> PodNode:
    """A pod with the component and the index that its labels name, if any."""
    index = pod.metadata.labels.get(labels.COMPONENT_ID, "")
    return PodNode(
        pod=pod,
        component=pod.metadata.labels.get(labels.COMPONENT_NAME, ""),
        index=int(index) if index.isascii() and index.isdigit() else -1,
    )


def _revisions(sources: Sources, uid: str) -> tuple[ControllerRevision, ...]:
    return tuple(sorted(sources.revisions.owned(uid), key=lambda item: (item.revision, item.metadata.name)))
