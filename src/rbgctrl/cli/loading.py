"""Reads the live objects behind a view: lists limited to a group's labels, or informers that follow them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rbgctrl.api import labels, roles
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.workloads import FOREIGN_KINDS, Deployment, LeaderWorkerSet, StatefulSet
from rbgctrl.cli.summary import node_names, summarize, unreadable
from rbgctrl.cli.views import GroupView
from rbgctrl.client.client import Client
from rbgctrl.client.decode import Invalid
from rbgctrl.client.errors import ForbiddenError, NotFoundError
from rbgctrl.graph import view
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.view import Sources
from rbgctrl.plan.replicas import scalable

__all__ = ["FURTHER", "Further", "NodeBook", "Scope", "build", "load", "needed", "sources"]

_MANY_NODES: Final = 32
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which groups to look at.

    Attributes:
        namespace: ``""`` for all.
        name: of the one group; ``""`` for all, and then without instances and pods.
    """

    namespace: str
    name: str = ""

    @property
    def deep(self) -> bool:
        """Whether instances and pods are looked at."""
        return bool(self.name)

    @property
    def field_selector(self) -> str:
        """Selects the groups."""
        return f"metadata.name={self.name}" if self.name else ""

    @property
    def label_selector(self) -> str:
        """Selects what belongs to the groups."""
        return f"{labels.GROUP_NAME}={self.name}" if self.name else labels.GROUP_NAME


@dataclass(slots=True)
class NodeBook:
    """What is known of cluster nodes: each is read once, when a pod is first seen on it.

    Attributes:
        client: where to read.
        nodes: those read so far, by name.
        forbidden: nodes may not be read; a view then does without.
    """

    client: Client
    nodes: dict[str, Node] = field(default_factory=dict)
    forbidden: bool = False
    _asked: set[str] = field(default_factory=set)

    async def learn(self, names: Iterable[str]) -> None:
        """Read the nodes of these names that were not asked for before."""
        missing = sorted(set(names) - self._asked)
        self._asked.update(missing)
        if not missing or self.forbidden:
            return
        try:
            if len(missing) > _MANY_NODES:
                self.nodes.update({node.key.name: node for node in (await self.client.list(Node)).items})
                return
            for start in range(0, len(missing), _AT_ONCE):
                found = await asyncio.gather(*map(self._read, missing[start : start + _AT_ONCE]))
                self.nodes.update({node.key.name: node for node in found if node is not None})
        except ForbiddenError:
            self.forbidden = True

    async def _read(self, name: str) -> Node | None:
        try:
            return await self.client.get(Node, Key("", name))
        except NotFoundError:  # deleted under its pods
            return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be found out."""
        return ("you may not read nodes, so their domains and zones are not shown",) if self.forbidden else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """Kinds that are read only when a group asks for them; a cluster, or a user's rights, may lack them.

    Attributes:
        absent: kinds that the cluster does not know.
    """

    adapters: view.Reader[RoleBasedGroupScalingAdapter] = field(default_factory=Memory[RoleBasedGroupScalingAdapter])
    deployments: view.Reader[Deployment] = field(default_factory=Memory[Deployment])
    stateful_sets: view.Reader[StatefulSet] = field(default_factory=Memory[StatefulSet])
    leader_worker_sets: view.Reader[LeaderWorkerSet] = field(default_factory=Memory[LeaderWorkerSet])
    absent: Collection[type[Resource]] = ()


FURTHER: Final[Mapping[type[Resource], str]] = {
    RoleBasedGroupScalingAdapter: "adapters",
    Deployment: "deployments",
    StatefulSet: "stateful_sets",
    LeaderWorkerSet: "leader_worker_sets",
}
"""The kinds of :class:`Further` with their names there."""


def needed(groups: Iterable[RoleBasedGroup]) -> tuple[type[Resource], ...]:
    """Kinds of :class:`Further` that roles of the groups ask for."""
    declared = [role for group in groups if group.spec is not None for role in group.spec.roles]
    found: set[type[Resource] | None] = {FOREIGN_KINDS.get(roles.workload_type(role)) for role in declared}
    if any(scalable(role) for role in declared):
        found.add(RoleBasedGroupScalingAdapter)
    return tuple(kind for kind in FURTHER if kind in found)


def sources(
    groups: view.Reader[RoleBasedGroup],
    sets: view.Reader[RoleInstanceSet],
    instances: view.Reader[RoleInstance] | None = None,
    pods: view.Reader[Pod] | None = None,
    further: Further | None = None,
) -> Sources:
    """Sources of the object graph for views, which show neither Services nor discovery files nor revisions."""
    further = Further() if further is None else further
    return Sources(
        groups=groups,
        sets=sets,
        instances=instances if instances is not None else Memory[RoleInstance](),
        pods=pods if pods is not None else Memory[Pod](),
        workload_pods=pods if pods is not None else Memory[Pod](),
        adapters=further.adapters,
        deployments=further.deployments,
        stateful_sets=further.stateful_sets,
        leader_worker_sets=further.leader_worker_sets,
        served=lambda kind: kind not in further.absent,
        services=Memory[Service](),
        config_maps=Memory[ConfigMap](),
        revisions=Memory[ControllerRevision](),
    )


def build(
    found: Sources,
    keys: Iterable[Key],
    broken: Iterable[Invalid],
    nodes: Mapping[str, Node],
    *,
    deep: bool,
    notes: Iterable[str] = (),
) -> tuple[GroupView, ...]:
    """Views of groups, sorted by key.

    Args:
        found: where to read.
        keys: of the groups.
        broken: groups that do not decode.
        nodes: cluster nodes by name, as far as known.
        deep: include instances and pods.
        notes: what could not be found out.
    """
    views = [
        summarize(node, nodes, deep=deep, notes=notes)
        for key in keys
        if (node := view.group(found, key, deep=deep)) is not None
    ]
    views += [unreadable(item.key.name, item.key.namespace, item.uid, item.error) for item in broken]
    return tuple(sorted(views, key=lambda item: (item.namespace, item.name)))


async def load(client: Client, scope: Scope, book: NodeBook) -> tuple[GroupView, ...]:
    """The groups as they are now.

    Raises:
        NotFoundError: the cluster does not know the kind.
        ApiError: as described in :mod:`rbgctrl.client.errors`.
    """
    groups, sets = await asyncio.gather(
        client.list(RoleBasedGroup, scope.namespace, field_selector=scope.field_selector),
        client.list(RoleInstanceSet, scope.namespace, label_selector=scope.label_selector),
    )
    keys = [item.key for item in groups.items]
    if not scope.deep or not keys:
        further, notes = await _further(client, scope, groups.items)
        flat = sources(Memory(groups.items), Memory(sets.items), further=further)
        return build(flat, keys, groups.invalid, {}, deep=False, notes=notes)
    instances, pods, (further, notes) = await asyncio.gather(
        client.list(RoleInstance, scope.namespace, label_selector=scope.label_selector),
        client.list(Pod, scope.namespace, label_selector=scope.label_selector),
        _further(client, scope, groups.items),
    )
    found = sources(
        Memory(groups.items), Memory(sets.items), Memory(instances.items), Memory(pods.items), further=further
    )
    graphs = [graph for key in keys if (graph := view.group(found, key, deep=True)) is not None]
    await book.learn(node_names(graphs))
    return build(found, keys, groups.invalid, book.nodes, deep=True, notes=(*book.notes, *notes))


async def _further(client: Client, scope: Scope, groups: Iterable[RoleBasedGroup]) -> tuple[Further, tuple[str, ...]]:
    """What the groups ask for beyond our own workloads, and notes about what could not be read."""
    kinds = needed(groups)
    answers = await asyncio.gather(*(_read(client, scope, kind) for kind in kinds))
    found: dict[str, Memory[Any]] = {}
    absent, notes = [], []
    for kind, answer in zip(kinds, answers, strict=True):
        if isinstance(answer, Memory):
            found[FURTHER[kind]] = answer
        elif isinstance(answer, NotFoundError):
            absent.append(kind)
        else:
            notes.append(f"you may not read {kind.KIND.plural}, so what they say is not shown")
    return Further(**found, absent=tuple(absent)), tuple(notes)


async def _read(client: Client, scope: Scope, kind: type[Resource]) -> Memory[Any] | NotFoundError | ForbiddenError:
    try:
        return Memory((await client.list(kind, scope.namespace, label_selector=scope.label_selector)).items)
    except (NotFoundError, ForbiddenError) as error:
        return error
