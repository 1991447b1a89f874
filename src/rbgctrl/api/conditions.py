"""Condition types, their reasons, and the readiness gates of pods and instances."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALL_REPLICAS_READY",
    "ALL_ROLES_READY",
    "AS_EXPECTED",
    "AT_LEAST_ONE_POD_NOT_READY",
    "BLOCKED",
    "COMPLETE",
    "COMPONENT_DISCOVERY",
    "COMPONENT_ORDER",
    "CONFLICTING_VOLUMES",
    "CONTAINERS_READY",
    "DEGRADED",
    "DUPLICATE_NAMES",
    "FAILED",
    "FAILED_SCALE",
    "FAILED_UPDATE",
    "FEATURE_NOT_ACTED_ON",
    "GROUPS_AS_WANTED",
    "GROUPS_HELD",
    "GROUPS_SCALING",
    "GROUP_NOT_FOUND",
    "INPLACE_UPDATE_NOT_READY",
    "INSTANCES_FAILING",
    "INSTANCE_ALL_PODS_READY",
    "INSTANCE_CUSTOM_READY",
    "INSTANCE_INPLACE_UPDATE_READY",
    "INSTANCE_READY",
    "INSTANCE_READY_KEY",
    "INVALID_COMPONENTS",
    "LIFECYCLE_AGENT",
    "NODE_NOT_FOUND",
    "NO_NODES_MATCHED",
    "NO_PODS_PLACED",
    "PLACED",
    "PLACEMENT_CONFIGURED",
    "PODS_NOT_READY",
    "PODS_READY",
    "POD_INPLACE_UPDATE_READY",
    "POD_INSTANCE_READY",
    "POD_READY",
    "POD_SCHEDULED",
    "PORT_ALLOCATION",
    "PROGRESSING",
    "READINESS_GATES_NOT_READY",
    "READY",
    "RECOVERING",
    "REFUSED",
    "REPLICAS_NOT_READY",
    "RESTARTING",
    "RESTART_POLICY_TRIGGERED",
    "ROLES_IN_MOTION",
    "ROLE_NOT_READY",
    "ROLLING_UPDATE_IN_PROGRESS",
    "SETTLED",
    "STALLED",
    "START_INPLACE_UPDATE",
    "START_INSTANCE_UPDATE",
    "VOLUME_CONFLICT",
    "WAITING_FOR_DEPENDENCIES",
]

# RoleBasedGroup -------------------------------------------------------------------------------------------------------

READY: Final = "Ready"
"""RoleBasedGroup: every role has the replicas it asks for and all of them are ready. Also a reason on RoleInstances."""
PROGRESSING: Final = "Progressing"
"""RoleBasedGroup: the controllers are at work on a role, or it waits; upstream declares it and never writes it."""
ALL_ROLES_READY: Final = "AllRolesReady"
"""Reason of ``READY`` True."""
ROLE_NOT_READY: Final = "RoleNotReady"
"""Reason of ``READY`` False."""

# RoleInstanceSet and RoleInstance -------------------------------------------------------------------------------------

FAILED_SCALE: Final = "FailedScale"
"""RoleInstanceSet, RoleInstance: creating or deleting children failed; the message says why."""
STALLED: Final = "Stalled"
"""RoleInstanceSet: something keeps it from what its spec asks for, and the message says what and what to do; ours.

Removed when nothing does.
"""
FAILED_UPDATE: Final = "FailedUpdate"
"""RoleInstanceSet, RoleInstance: updating children failed; the message says why."""
INVALID_COMPONENTS: Final = "InvalidComponents"
"""RoleInstance: what a component asks for cannot be done; the message says what, and what happens instead; ours.

Also the reason of its Event.
"""
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
COMPONENT_ORDER: Final = "ComponentOrder"
"""Reason of ``INVALID_COMPONENTS``: about which component starts or shrinks after which."""
COMPONENT_DISCOVERY: Final = "ComponentDiscovery"
"""Reason of ``INVALID_COMPONENTS``: about addresses and ports of siblings."""
PORT_ALLOCATION: Final = "PortAllocation"
"""Reason of ``INVALID_COMPONENTS``: about ports of its own."""
DUPLICATE_NAMES: Final = "DuplicateNames"
"""Reason of ``INVALID_COMPONENTS``: two pods would have the same name."""
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
AS_EXPECTED: Final = "AsExpected"
"""Reason of ``DEGRADED`` False."""
INSTANCES_FAILING: Final = "InstancesFailing"
"""Reason of ``DEGRADED`` True: pods of an instance cannot be made or changed; the message says why."""
REFUSED: Final = "Refused"
"""Reason of ``DEGRADED`` True: the API server refused a write; the message is its own."""
ROLES_IN_MOTION: Final = "RolesInMotion"
"""Reason of ``PROGRESSING`` True: roles are created, scaled or updated."""
SETTLED: Final = "Settled"
"""Reason of ``PROGRESSING`` False."""
WAITING_FOR_DEPENDENCIES: Final = "WaitingForDependencies"
"""Reason of ``PROGRESSING`` True: a role is not started yet; the message names what it waits for."""
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
GROUPS_AS_WANTED: Final = "GroupsAsWanted"
"""Reason of ``PROGRESSING`` False of a set: the groups exist at the newest template; ours."""
GROUPS_HELD: Final = "GroupsHeld"
"""Reason of ``PROGRESSING`` False of a set: the rest is held at a former template by the partition; ours."""
GROUPS_SCALING: Final = "GroupsScaling"
"""Reason of ``PROGRESSING`` True of a set: groups are missing, or too many; ours."""

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
BLOCKED: Final = "Blocked"
"""Warmup: something keeps pods from being made or placed; the message says what. Removed when nothing does; ours."""
GROUP_NOT_FOUND: Final = "GroupNotFound"
"""Reason of ``BLOCKED``: the target group does not exist."""
NO_PODS_PLACED: Final = "NoPodsPlaced"
"""Reason of ``BLOCKED``: no pod of the target roles has a node yet."""
NODE_NOT_FOUND: Final = "NodeNotFound"
"""Reason of ``BLOCKED``: nodes that are named do not exist."""
