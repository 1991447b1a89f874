"""Gang scheduling: the PodGroup that makes a scheduler wait until all pods of a group can start together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import labels, names, roles
from rbgctrl.api.groups import RoleBasedGroup, RoleSpec
from rbgctrl.api.meta import Key
from rbgctrl.api.podgroups import POD_GROUP_KINDS, GangScheduler, PodGroup, SchedulerPluginsPodGroup
from rbgctrl.graph.nodes import GroupNode
from rbgctrl.graph.view import size_of
from rbgctrl.plan.compare import contains, values
from rbgctrl.plan.model import Action, Apply, Delete
from rbgctrl.plan.revision import owner_reference

__all__ = ["Gang", "gang", "members", "wanted"]

_TIMEOUT_SECONDS: Final = 60
_COPIED: Final = {GangScheduler.SCHEDULER_PLUGINS: "scheduling.x-k8s.io/", GangScheduler.VOLCANO: "volcano.sh/"}
_PROJECT: Final = {GangScheduler.SCHEDULER_PLUGINS: "scheduler-plugins", GangScheduler.VOLCANO: "Volcano"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """What to do about a group's PodGroup.

    Attributes:
        actions: at most one write.
        blocked: why no pod may be created before somebody has done something, and what; ``""`` when nothing is wrong.
    """

    actions: tuple[Action, ...] = ()
    blocked: str = ""


def wanted(group: RoleBasedGroup) -> bool:
    """Whether all pods of the group are to be scheduled together."""
    return group.metadata.annotations.get(labels.GROUP_GANG_SCHEDULING) == "true"


def members(role: RoleSpec) -> int:
    """Pods of one instance of a role."""
    kind = roles.workload_type(role)
    if kind in (labels.WORKLOAD_TYPE_DEPLOYMENT, labels.WORKLOAD_TYPE_STATEFUL_SET):
        return 1
    pattern = roles.pattern(role)
    if pattern is roles.Pattern.LEADER_WORKER and role.leader_worker_pattern is not None:
        return max(role.leader_worker_pattern.size, 1)
    if pattern is roles.Pattern.CUSTOM and role.custom_components_pattern is not None:
        parts = role.custom_components_pattern.components
        return sum(max(size_of(part), 0) for part in parts)
    return 1


def gang(node: GroupNode, replicas: Mapping[str, int], started: Collection[str], scheduler: GangScheduler) -> Gang:
    """What to do about the PodGroup.

    It waits only for pods of roles that have started: one that waits for another role would otherwise keep that other
    role from ever being scheduled. When it starts, the number grows, and what runs already counts.

    Args:
        node: the group.
        replicas: role name to instances wanted.
        started: names of the roles that run or start now.
        scheduler: whose PodGroup it is.
    """
    group, live = node.group, node.pod_group
    controller = live.metadata.controller() if live is not None else None
    mine = controller is not None and controller.uid == group.uid
    if not wanted(group):
        if live is None or not mine or live.metadata.deleting:
            return Gang()
        why = "the group does not ask for gang scheduling any more"
        return Gang(actions=(Delete(kind=type(live), key=live.key, uid=live.uid, why=why),))
    if not node.gangs:
        return Gang(blocked=_unknown(scheduler))
    if live is not None and not mine:
        held = f"PodGroup {live.key.name} exists and belongs to somebody else"
        return Gang(blocked=f"{held}; remove it, or remove annotation {labels.GROUP_GANG_SCHEDULING}")
    least = sum(replicas[role.name] * members(role.spec) for role in node.roles if role.name in started)
    body = _body(group, least, scheduler)
    if live is not None and (live.metadata.deleting or _same(body, live)):
        return Gang()
    why = "there is no PodGroup yet" if live is None else "the PodGroup differs from the group"
    kind = POD_GROUP_KINDS[scheduler]
    apply = Apply(kind=kind, key=_key(group), body=body, uid=live.uid if live is not None else "", why=why)
    return Gang(actions=(apply,))


def _unknown(scheduler: GangScheduler) -> str:
    kind = POD_GROUP_KINDS[scheduler].KIND
    return (
        f"annotation {labels.GROUP_GANG_SCHEDULING} needs kind PodGroup of {kind.group}, which this cluster does not "
        f"know; install {_PROJECT[scheduler]} and the pods are created, or remove the annotation"
    )


def _key(group: RoleBasedGroup) -> Key:
    return Key(group.key.namespace, names.pod_group(group.key.name))


def _body(group: RoleBasedGroup, least: int, scheduler: GangScheduler) -> dict[str, Any]:
    kind = POD_GROUP_KINDS[scheduler].KIND
    own = group.metadata.annotations
    spec: dict[str, Any] = {"minMember": least}
    if scheduler is GangScheduler.SCHEDULER_PLUGINS:
        timeout = own.get(labels.GROUP_GANG_TIMEOUT, "")
        spec["scheduleTimeoutSeconds"] = int(timeout) if _number(timeout) else _TIMEOUT_SECONDS
    else:
        for field, key in (
            ("queue", labels.GROUP_GANG_VOLCANO_QUEUE),
            ("priorityClassName", labels.GROUP_GANG_VOLCANO_PRIORITY),
        ):
            if own.get(key):
                spec[field] = own[key]
    copied = {key: value for key, value in sorted(own.items()) if key.startswith(_COPIED[scheduler])}
    if copied:  # what the group no longer asks for would look like somebody else's
        copied[labels.ROLE_ANNOTATIONS] = ",".join(copied)
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": _key(group).name,
            "namespace": group.key.namespace,
            **({"annotations": copied} if copied else {}),
            "ownerReferences": [owner_reference(group)],
        },
        "spec": spec,
    }


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 31


def _same(body: Mapping[str, Any], live: PodGroup) -> bool:
    """Whether the object says what the group asks for, and nothing that the group asked for before."""
    spec = values(live.spec)
    optional = {"queue", "priorityClassName"} & {key for key, value in spec.items() if value}
    if isinstance(live, SchedulerPluginsPodGroup):
        optional = set()
    copied = body["metadata"].get("annotations", {})
    return (
        contains(body["spec"], spec)
        and optional <= body["spec"].keys()
        and copied.items() <= live.metadata.annotations.items()
        and copied.get(labels.ROLE_ANNOTATIONS) == live.metadata.annotations.get(labels.ROLE_ANNOTATIONS)
    )
