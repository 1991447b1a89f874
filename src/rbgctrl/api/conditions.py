"""Condition types, their reasons, and the readiness gates of pods and instances."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALL_REPLICAS_READY",
    "ALL_ROLES_READY",
    "AT_LEAST_ONE_POD_NOT_READY",
    "COMPLETE",
    "CONFLICTING_VOLUMES",
    "CONTAINERS_READY",
    "DEGRADED",
    "FAILED",
    "FAILED_SCALE",
    "FAILED_UPDATE",
    "FEATURE_NOT_ACTED_ON",
    "INPLACE_UPDATE_NOT_READY",
    "INSTANCE_ALL_PODS_READY",
    "INSTANCE_CUSTOM_READY",
    "INSTANCE_INPLACE_UPDATE_READY",
    "INSTANCE_READY",
    "INSTANCE_READY_KEY",
    "LIFECYCLE_AGENT",
    "NO_NODES_MATCHED",
    "PLACED",
    "PLACEMENT_CONFIGURED",
    "PODS_NOT_READY",
    "PODS_READY",
    "POD_INPLACE_UPDATE_READY",
    "POD_INSTANCE_READY",
    "POD_READY",
    "POD_SCHEDULED",
    "PROGRESSING",
    "READINESS_GATES_NOT_READY",
    "READY",
    "RECOVERING",
    "REPLICAS_NOT_READY",
    "RESTARTING",
    "RESTART_POLICY_TRIGGERED",
    "ROLE_NOT_READY",
    "ROLLING_UPDATE_IN_PROGRESS",
    "START_INPLACE_UPDATE",
    "START_INSTANCE_UPDATE",
    "VOLUME_CONFLICT",
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

# RoleBasedGroup: declared, and ours -----------------------------------------------------------------------------------

ROLLING_UPDATE_IN_PROGRESS: Final = "RollingUpdateInProgress"
"""RoleBasedGroup: declared upstream and never written."""
FEATURE_NOT_ACTED_ON: Final = "FeatureNotActedOn"
"""Reason of ``Degraded``: a field or annotation is accepted, but this version does nothing with it."""
DEGRADED: Final = "Degraded"
"""RoleBasedGroup: serves with less than it should; ours."""
RECOVERING: Final = "Recovering"
"""RoleBasedGroup, RoleInstance: linked recovery is under way; ours."""
PLACED: Final = "Placed"
"""RoleBasedGroup: every instance has its place; ours."""
PLACEMENT_CONFIGURED: Final = "PlacementConfigured"
"""RoleBasedGroup: the placement policy and topology can be used; ours."""

# RoleBasedGroupSet ----------------------------------------------------------------------------------------------------

ALL_REPLICAS_READY: Final = "AllReplicasReady"
"""Reason of ``READY`` True of a set."""
REPLICAS_NOT_READY: Final = "ReplicasNotReady"
"""Reason of ``READY`` False of a set."""

# RoleBasedGroupWarmup -------------------------------------------------------------------------------------------------

COMPLETE: Final = "Complete"
"""Warmup: every node is warm, or none was asked for."""
FAILED: Final = "Failed"
"""Warmup: gave up."""
VOLUME_CONFLICT: Final = "VolumeConflict"
"""Warmup: two actions declare one volume differently."""
NO_NODES_MATCHED: Final = "NoNodesMatched"
"""Reason of ``COMPLETE``: there was no node to warm."""
CONFLICTING_VOLUMES: Final = "ConflictingVolumeDefinitions"
"""Reason of ``VOLUME_CONFLICT``."""
