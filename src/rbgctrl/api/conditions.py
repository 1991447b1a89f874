"""Condition types, their reasons, and the readiness gates of pods and instances."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALL_ROLES_READY",
    "AT_LEAST_ONE_POD_NOT_READY",
    "CONTAINERS_READY",
    "FAILED_SCALE",
    "FAILED_UPDATE",
    "INPLACE_UPDATE_NOT_READY",
    "INSTANCE_ALL_PODS_READY",
    "INSTANCE_CUSTOM_READY",
    "INSTANCE_INPLACE_UPDATE_READY",
    "INSTANCE_READY",
    "INSTANCE_READY_KEY",
    "LIFECYCLE_AGENT",
    "PODS_NOT_READY",
    "PODS_READY",
    "POD_INPLACE_UPDATE_READY",
    "POD_INSTANCE_READY",
    "POD_READY",
    "POD_SCHEDULED",
    "PROGRESSING",
    "READINESS_GATES_NOT_READY",
    "READY",
    "RESTARTING",
    "RESTART_POLICY_TRIGGERED",
    "ROLE_NOT_READY",
    "START_INPLACE_UPDATE",
    "START_INSTANCE_UPDATE",
]

# RoleBasedGroup -------------------------------------------------------------------------------------------------------

READY: Final = "Ready"
"""RoleBasedGroup: every role has the replicas it asks for and all of them are ready. Also a reason on RoleInstances."""
PROGRESSING: Final = "Progressing"
"""RoleBasedGroup: some role is being created, scaled or updated; upstream declares it and never writes it."""
ALL_ROLES_READY: Final = "AllRolesReady"
"""Reason of ``READY`` True."""
ROLE_NOT_READY: Final = "RoleNotReady"
"""Reason of ``READY`` False."""

# RoleInstanceSet and RoleInstance -------------------------------------------------------------------------------------

FAILED_SCALE: Final = "FailedScale"
"""RoleInstanceSet, RoleInstance: creating or deleting children failed; the message says why."""
FAILED_UPDATE: Final = "FailedUpdate"
"""RoleInstanceSet, RoleInstance: updating children failed; the message says why."""
INSTANCE_READY: Final = "RoleInstanceReady"
"""RoleInstance: its pods are ready and its readiness gates are True."""
INSTANCE_ALL_PODS_READY: Final = "RoleInstanceAllPodsReady"
"""RoleInstance: every expected pod exists and is Ready; only with readyPolicy AllPodReady."""
INSTANCE_INPLACE_UPDATE_READY: Final = "RoleInstanceInPlaceUpdateReady"
"""RoleInstance condition and readiness gate: no in-place update is running."""
INSTANCE_CUSTOM_READY: Final = "RoleInstanceCustomReady"
"""RoleInstance condition and readiness gate of lifecycle hooks."""
RESTARTING: Final = "Restarting"
"""RoleInstance: being recreated by its restart policy; removed when Ready."""
RESTART_POLICY_TRIGGERED: Final = "RestartPolicyTriggered"
"""Reason of ``RESTARTING``."""
PODS_READY: Final = "PodsReady"
"""Reason of ``INSTANCE_ALL_PODS_READY`` True."""
AT_LEAST_ONE_POD_NOT_READY: Final = "AtLeastOnePodNotReady"
"""Reason of ``INSTANCE_ALL_PODS_READY`` False."""
PODS_NOT_READY: Final = "PodsNotReady"
"""Reason of ``INSTANCE_READY`` False: pods."""
INPLACE_UPDATE_NOT_READY: Final = "InplaceUpdateNotReady"
"""Reason of ``INSTANCE_READY`` False: an in-place update is running."""
READINESS_GATES_NOT_READY: Final = "ReadinessGatesNotReady"
"""Reason of ``INSTANCE_READY`` or a pod's ``POD_READY`` False: a gate is not True."""

# Pod ------------------------------------------------------------------------------------------------------------------

POD_READY: Final = "Ready"
"""Pod: Kubernetes' own condition; rewritten when gates change."""
POD_SCHEDULED: Final = "PodScheduled"
"""Pod: bound to a node."""
CONTAINERS_READY: Final = "ContainersReady"
"""Pod: all containers pass their probes; set by the kubelet."""
POD_INPLACE_UPDATE_READY: Final = "InPlaceUpdateReady"
"""Pod condition and readiness gate: no in-place update of this pod is running."""
POD_INSTANCE_READY: Final = "InstancePodReady"
"""Pod condition and readiness gate: the whole instance is ready to serve."""
START_INPLACE_UPDATE: Final = "StartInPlaceUpdate"
"""Reason of an in-place gate False."""
START_INSTANCE_UPDATE: Final = "StartInstanceUpdate"
"""Reason of ``POD_INSTANCE_READY`` False while its instance is updated in place."""
LIFECYCLE_AGENT: Final = "Lifecycle"
"""``userAgent`` in the JSON message of ``POD_INSTANCE_READY``."""
INSTANCE_READY_KEY: Final = "InstanceReady"
"""``key`` in the JSON message of ``POD_INSTANCE_READY``."""
