"""What a role comes to once defaults that nobody stores are applied. Pure functions of the role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rbgctrl.api import labels
from rbgctrl.api.groups import (
    CustomComponentsPattern,
    LeaderWorkerPattern,
    RestartPolicyConfig,
    RestartPolicyType,
    RoleBasedGroupSpec,
    RoleSpec,
    SharedServiceSelection,
    TemplateRef,
)

__all__ = [
    "SUPPORTED_WORKLOAD_TYPES",
    "Pattern",
    "RestartPolicy",
    "Rollout",
    "group_size",
    "is_stateful",
    "pattern",
    "restart_policy",
    "role_type",
    "rolling_update",
    "shared_service_selection",
    "template_ref",
    "workload_type",
]

SUPPORTED_WORKLOAD_TYPES: Final = frozenset(
    (
        labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET,
        labels.WORKLOAD_TYPE_STATEFUL_SET,
        labels.WORKLOAD_TYPE_DEPLOYMENT,
        labels.WORKLOAD_TYPE_LEADER_WORKER_SET,
    )
)
"""What the contract knows; ``apiVersion/kind``."""

_BASE_DELAY_SECONDS = 30
_MAX_DELAY_SECONDS = 600
_IN_PLACE_IF_POSSIBLE = "InPlaceIfPossible"


class Pattern(StrEnum):
    """How the pods of an instance relate."""

    STANDALONE = "standalonePattern"
    LEADER_WORKER = "leaderWorkerPattern"
    CUSTOM = "customComponentsPattern"

    @property
    def short(self) -> str:
        """The word for it in the discovery file and on a terminal, e.g. ``LeaderWorker``."""
        return f"{self.value[0].upper()}{self.value[1:]}".removesuffix("Pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Effective restart policy; delays in seconds."""

    type: RestartPolicyType
    base_delay_seconds: int = _BASE_DELAY_SECONDS
    max_delay_seconds: int = _MAX_DELAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Effective rolling update: every field has a value.

    Attributes:
        type: ``InPlaceIfPossible`` unless the role says otherwise; anything but ``RecreatePod`` means the same.
        partition: ordinals below it stay old; number or percentage.
        max_unavailable: number or percentage.
        max_surge: number or percentage.
        paused: whether the update stands still.
        grace_period_seconds: before an in-place patch; None when the role does not say.
    """

    type: str = _IN_PLACE_IF_POSSIBLE
    partition: int | str = 0
    max_unavailable: int | str = 1
    max_surge: int | str = 0
    paused: bool = False
    grace_period_seconds: int | None = None


def workload_type(role: RoleSpec) -> str:
    """``apiVersion/kind`` of the workload behind the role, as written; RoleInstanceSet when nothing is."""
    return role.annotations.get(labels.ROLE_WORKLOAD_TYPE) or labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET


def is_stateful(role: RoleSpec) -> bool:
    """Whether the role's instances have ordinals; such roles are in the discovery file."""
    workload = workload_type(role)
    if workload == labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET:
        return role.annotations.get(labels.INSTANCE_PATTERN) != labels.PATTERN_STATELESS
    return workload != labels.WORKLOAD_TYPE_DEPLOYMENT


def pattern(role: RoleSpec) -> Pattern | None:
    """The pattern instances are built by; standalone before leader-worker before custom; None when none is set."""
    if role.standalone_pattern is not None:
        return Pattern.STANDALONE
    if role.leader_worker_pattern is not None:
        return Pattern.LEADER_WORKER
    return Pattern.CUSTOM if role.custom_components_pattern is not None else None


def role_type(role: RoleSpec) -> str:
    """Value of label ``labels.ROLE_TYPE``; Components when no pattern is set."""
    types = {
        Pattern.STANDALONE: labels.ROLE_TYPE_POD_TEMPLATE,
        Pattern.LEADER_WORKER: labels.ROLE_TYPE_LEADER_WORKER_SET,
    }
    found = pattern(role)
    return labels.ROLE_TYPE_COMPONENTS if found is None else types.get(found, labels.ROLE_TYPE_COMPONENTS)


def template_ref(role: RoleSpec) -> TemplateRef | None:
    """The reference to a role template of the pattern in use, if any."""
    source = role.standalone_pattern or role.leader_worker_pattern
    return source.template_ref if source is not None else None


def restart_policy(role: RoleSpec) -> RestartPolicy:
    """Effective restart policy: none for standalone roles, else what is written, else recreate the instance."""
    source: LeaderWorkerPattern | CustomComponentsPattern | None = None
    if pattern(role) is not Pattern.STANDALONE:
        source = role.leader_worker_pattern or role.custom_components_pattern
    if source is None:
        return RestartPolicy(type=RestartPolicyType.NONE)
    config: RestartPolicyConfig | None = source.restart_policy_config
    written = (config.type if config is not None else None) or source.restart_policy
    return RestartPolicy(
        type=written or RestartPolicyType.RECREATE_INSTANCE,
        base_delay_seconds=config.base_delay_seconds if config is not None else _BASE_DELAY_SECONDS,
        max_delay_seconds=config.max_delay_seconds if config is not None else _MAX_DELAY_SECONDS,
    )


def shared_service_selection(role: RoleSpec) -> SharedServiceSelection:
    """Which pods the headless Service selects: all, except leaders only for leader-worker RoleInstanceSets."""
    source = role.leader_worker_pattern
    if source is None or workload_type(role) != labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET:
        return SharedServiceSelection.ALL
    return source.shared_service_selection or SharedServiceSelection.LEADER_ONLY


def rolling_update(role: RoleSpec) -> Rollout:
    """Effective rolling update, with the defaults for a role that gives none."""
    strategy = role.rollout_strategy
    update = strategy.rolling_update if strategy is not None else None
    if update is None:
        return Rollout()
    in_place = update.in_place_update_strategy
    return Rollout(
        type=update.type or _IN_PLACE_IF_POSSIBLE,
        partition=update.partition,
        max_unavailable=update.max_unavailable,
        max_surge=update.max_surge,
        paused=update.paused,
        grace_period_seconds=(in_place.grace_period_seconds or 0) if in_place is not None else None,
    )


def group_size(spec: RoleBasedGroupSpec) -> int:
    """Pods a gang scheduler waits for; the sizes of custom components do not count."""
    return sum(
        role.replicas * (role.leader_worker_pattern.size if role.leader_worker_pattern is not None else 1)
        for role in spec.roles
    )
