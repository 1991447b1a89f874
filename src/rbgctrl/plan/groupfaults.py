"""What of a group cannot be carried out, as its spec and the kinds and profiles of the cluster tell."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rbgctrl.api import events, names, roles
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.ordering import Order, order
from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.api.validate import Finding, group_findings
from rbgctrl.api.workloads import FOREIGN_KINDS, WORKLOAD_KINDS
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan import replicas
from rbgctrl.plan.groupstatus import Fault
from rbgctrl.plan.ports import NO_PORTS, PortRange
from rbgctrl.plan.rendering import rendering
from rbgctrl.plan.workloads import WorkloadRequest, fault

__all__ = ["ALL_OF_IT", "Abilities", "faults", "group_fault", "ordering", "role_faults", "workload_requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What this installation was told it can do.

    Attributes:
        scheduler: whose PodGroups are written.
        deprecated_workload_types: whether roles of Deployments, StatefulSets and LeaderWorkerSets are run.
        ports: from which ports are given to roles that ask for some; None when the port allocator is off.
    """

    scheduler: GangScheduler = GangScheduler.SCHEDULER_PLUGINS
    deprecated_workload_types: bool = True
    ports: PortRange | None = None


ALL_OF_IT: Final = Abilities()


def faults(
    node: GroupNode, abilities: Abilities = ALL_OF_IT, used_ports: Container[int] = NO_PORTS
) -> tuple[Fault, ...]:
    """What cannot be carried out: one fault of the whole of it, or the first of each role.

    Args:
        node: the group.
        abilities: what this installation can do.
        used_ports: ports that somebody has.
    """
    if (whole := group_fault(node.group)) is not None:
        return (whole,)
    return role_faults(node, abilities, workload_requests(node, replicas.wanted(node), abilities, used_ports))


def workload_requests(
    node: GroupNode, wanted: Mapping[str, int], abilities: Abilities, used_ports: Container[int]
) -> dict[str, WorkloadRequest]:
    """What each role asks for, by its name.

    Args:
        node: a group without a fault of the whole.
        wanted: role name to instances wanted.
        abilities: what this installation can do.
        used_ports: ports that somebody has.
    """
    rendered = rendering(node.group)
    return {
        role.name: WorkloadRequest.of(
            node,
            role,
            replicas=wanted[role.name],
            rendered=rendered,
            service=_service_name(node, role),
            scheduler=abilities.scheduler,
            ports=abilities.ports,
            used_ports=used_ports,
        )
        for role in node.roles
    }


def ordering(group: RoleBasedGroup) -> Order:
    """In which order the roles of a group that has a spec may start."""
    rendered = rendering(group)
    return rendered.once(("order",), lambda: order({role.name: role.dependencies for role in rendered.spec.roles}))


def _findings(group: RoleBasedGroup) -> Sequence[Finding]:
    return rendering(group).once(
        ("findings",),
        lambda: [finding for finding in group_findings(group) if finding.is_error],
        of=group.metadata.annotations,
    )


def group_fault(group: RoleBasedGroup) -> Fault | None:
    """Why nothing of a group can be carried out."""
    if group.spec is None or not group.spec.roles:
        message = "the group has no roles; add at least one under spec.roles"
        return Fault(role="", reason=events.INVALID_SPEC, message=message)
    if found := ordering(group).fault:
        return Fault(role="", reason=events.INVALID_ROLE_DEPENDENCY, message=found)
    for finding in _findings(group):
        if not finding.role:
            return Fault(role="", reason=finding.reason, message=str(finding))
    return None


def role_faults(node: GroupNode, abilities: Abilities, requests: Mapping[str, WorkloadRequest]) -> tuple[Fault, ...]:
    """The first fault of each role, by name."""
    faults = {
        finding.role: Fault(role=finding.role, reason=finding.reason, message=str(finding))
        for finding in reversed(_findings(node.group))
    }
    for role in node.roles:
        why = _obstacle(node.group, role, abilities)
        if why and (role.squatter or role.name not in faults):
            faults[role.name] = Fault(role=role.name, reason=events.FAILED_RECONCILE_WORKLOAD, message=why)
        elif role.name not in faults and (error := fault(requests[role.name])) is not None:
            faults[role.name] = Fault(role=role.name, reason=error.reason, message=str(error))
    return tuple(faults[name] for name in sorted(faults))


def _obstacle(group: RoleBasedGroup, role: RoleNode, abilities: Abilities) -> str:
    """Why the role cannot be run although nothing is wrong with it, and what to do; ``""`` when it can."""
    wanted = roles.workload_type(role.spec)
    kind = WORKLOAD_KINDS.get(wanted)
    if kind is None:
        return f"workload type {wanted} is unknown; use one of {', '.join(WORKLOAD_KINDS)}"
    if role.squatter:
        name = names.workload(group.key.name, role.name)
        return f"{kind.KIND.kind} {name} belongs to somebody else; remove it or rename the role"
    if wanted in FOREIGN_KINDS and not abilities.deprecated_workload_types:
        switch = "--enable-deprecated-workload-types=false"
        return f"workload type {wanted} is switched off by {switch}; use RoleInstanceSet"
    if not role.served and role.workload is None:
        known = f"this cluster does not know kind {kind.KIND.kind} of {kind.KIND.group}"
        return f"{known}; install it, and the role starts by itself"
    return ""


def _service_name(node: GroupNode, role: RoleNode) -> str:
    return role.service.metadata.name if role.service is not None else names.service(node.group.key.name, role.name)
