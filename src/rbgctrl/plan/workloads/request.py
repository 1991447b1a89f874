"""What a role's workload depends on, and what workloads of all kinds have in common."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.meta import Key
from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan import runtimes
from rbgctrl.plan.ports import NO_PORTS, PortRange
from rbgctrl.plan.rendering import Rendering
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.runtimes import NOTHING, Runtimes
from rbgctrl.plan.template import common_labels

__all__ = ["WorkloadRequest", "keeps_pins", "metadata"]

_TRUE = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRequest:
    """Everything a role's workload depends on.

    Attributes:
        group: the group the role belongs to.
        role: the role.
        replicas: instances wanted now.
        rendered: what the group's spec comes to.
        service: name of its headless Service.
        profiles: engine runtime profiles that exist, by name.
        scheduler: whose PodGroups gangs are made of.
        held: annotations of the workload as it is; what it holds on to is written there.
        ports: those that may be given to roles; None when the allocator is off.
        used_ports: those that somebody has.
    """

    group: RoleBasedGroup
    role: RoleSpec
    replicas: int
    rendered: Rendering
    service: str
    profiles: Mapping[str, ClusterEngineRuntimeProfile] = field(default_factory=dict)
    scheduler: GangScheduler = GangScheduler.SCHEDULER_PLUGINS
    held: Mapping[str, str] = field(default_factory=dict)
    ports: PortRange | None = None
    used_ports: Container[int] = NO_PORTS

    @classmethod
    def of(
        cls,
        node: GroupNode,
        role: RoleNode,
        *,
        replicas: int,
        rendered: Rendering,
        service: str,
        scheduler: GangScheduler = GangScheduler.SCHEDULER_PLUGINS,
        ports: PortRange | None = None,
        used_ports: Container[int] = NO_PORTS,
    ) -> WorkloadRequest:
        """The request for a role of a group as it is."""
        live = role.workload
        return cls(
            group=node.group,
            role=role.spec,
            replicas=replicas,
            rendered=rendered,
            service=service,
            profiles=node.profiles,
            scheduler=scheduler,
            held=live.metadata.annotations if live is not None else {},
            ports=ports,
            used_ports=used_ports,
        )

    @property
    def key(self) -> Key:
        """Of the workload."""
        return Key(self.group.key.namespace, names.workload(self.group.key.name, self.role.name))

    @property
    def common(self) -> dict[str, str]:
        """The three labels that name the role."""
        return common_labels(self.group.key.namespace, self.group.key.name, self.role.name)

    @property
    def pinned(self) -> str:
        """The content of engine runtime profiles that stays, as the workload has it."""
        return self.held.get(labels.RUNTIME_PROFILES, "")

    @property
    def topology(self) -> str:
        """Node label key of the domains that the group wants for itself, or ``""``."""
        return self.group.metadata.annotations.get(labels.GROUP_EXCLUSIVE_TOPOLOGY, "")

    @property
    def gang(self) -> bool:
        """Whether the group's pods are to be scheduled together or not at all."""
        return self.group.metadata.annotations.get(labels.GROUP_GANG_SCHEDULING) == _TRUE

    @property
    def version(self) -> tuple[object, ...]:
        """What pod templates depend on besides the spec, cheap to compare."""
        asked = runtimes.version(self.role, self.profiles, self.pinned) if self.role.engine_runtimes else ()
        return (self.service, self.topology, self.gang, self.scheduler, asked)

    @property
    def runtimes(self) -> Runtimes:
        """What its engine runtimes come to.

        Raises:
            TemplateError: a profile is missing, or does not have what the role asks for.
        """
        if not self.role.engine_runtimes:
            return NOTHING
        return self.rendered.once(
            ("runtimes", self.role.name),
            lambda: runtimes.resolve(self.role, self.profiles, self.pinned),
            of=runtimes.version(self.role, self.profiles, self.pinned),
        )


def metadata(request: WorkloadRequest) -> dict[str, Any]:
    """Metadata of the workload, whatever its kind; labels and annotations are there to be added to.

    Raises:
        TemplateError: as :attr:`WorkloadRequest.runtimes`.
    """
    role, owner = request.role, request.group
    annotations = {**role.annotations, labels.ROLE_SIZE: str(request.replicas)}
    if request.runtimes.annotation:
        annotations[labels.RUNTIME_PROFILES] = request.runtimes.annotation
    return {
        "name": request.key.name,
        "namespace": request.key.namespace,
        "labels": {
            **role.labels,
            **request.common,
            labels.role_revision(role.name): request.rendered.hashes[role.name],
        },
        "annotations": annotations,
        "ownerReferences": [owner_reference(owner)],
    }


def keeps_pins(request: WorkloadRequest) -> bool:
    """Whether the workload has just the annotation of pinned profiles that it should; one too many would come back."""
    return request.pinned == request.runtimes.annotation
