"""What this version can run of a group, judged by its spec and by what the cluster has for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from rbgctrl import crds
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec
from rbgctrl.api.hooks import dec_hook
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.workloads import LeaderWorkerSet
from rbgctrl.graph import view
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.nodes import GroupNode
from rbgctrl.plan.groupfaults import faults
from rbgctrl.sim.crds import rows_of
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.schema import Found, admit

__all__ = ["Verdict", "admitted", "group_row", "verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with a group.

    Attributes:
        refused: why the API server does not take it, or ``""``.
        fault: why nothing of it can be carried out, or ``""``.
        faults: by role, why that role cannot be carried out while the others can.
    """

    refused: str = ""
    fault: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def runnable(self) -> bool:
        """Whether this version can run the whole group."""
        return not (self.refused or self.fault or self.faults)


@cache
def group_row() -> Row:
    """The embedded server's table row of RoleBasedGroups, as shipped."""
    (found,) = [row for crd in crds.shared() for row in rows_of(crd) if row.kind == RoleBasedGroup.KIND]
    return found


def admitted(body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A group as it is stored, with defaults, and why the server refuses it, or ``""``."""
    found = Found()
    stored = admit(group_row().schema, dict(body), found)
    if not found.causes:
        found.evaluate()
    return stored, "; ".join(f"{cause.field}: {cause.message}" for cause in found.causes)


def verdict(body: Mapping[str, Any], profiles: Iterable[ClusterEngineRuntimeProfile] = ()) -> Verdict:
    """Judge a group.

    Args:
        body: as applied or as stored.
        profiles: the engine runtime profiles there are.
    """
    stored, refused = admitted(body)
    if refused:
        return Verdict(refused=refused)
    try:
        group = msgspec.convert(stored, RoleBasedGroup, dec_hook=dec_hook, strict=False)
    except msgspec.ValidationError as error:
        return Verdict(fault=f"cannot be read: {error}")
    if group.spec is None:
        return Verdict(fault="has no spec")
    if fault := _dependencies(group.spec):
        return Verdict(fault=fault)
    found = {fault.role: str(fault) for fault in faults(_alone(group, profiles))}
    return Verdict(fault=found[""]) if "" in found else Verdict(faults=found)


def _alone(group: RoleBasedGroup, profiles: Iterable[ClusterEngineRuntimeProfile]) -> GroupNode:
    """A group of which nothing has been made yet."""
    sources = view.Sources(
        groups=Memory([group]),
        sets=Memory(),
        instances=Memory(),
        pods=Memory(),
        services=Memory(),
        config_maps=Memory(),
        revisions=Memory(),
        profiles=Memory(profiles),
        served=lambda kind: kind is not LeaderWorkerSet,  # which nobody looks after on the embedded cluster
    )
    found = view.group(sources, group.key)
    assert found is not None  # noqa: S101 - it was put there
    return found


def _dependencies(spec: RoleBasedGroupSpec) -> str:
    """Found anew, not by the planner that is being judged."""
    needs = {role.name: set(role.dependencies) for role in spec.roles}
    if unknown := sorted(set().union(*needs.values()) - needs.keys()):
        return f"depends on {', '.join(unknown)}"
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return f"cycle: {error.args[1]}"
    return ""
