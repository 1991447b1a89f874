"""Event reasons and the component names that report them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "COMPONENT_ADAPTER",
    "COMPONENT_GROUP",
    "COMPONENT_GROUP_SET",
    "COMPONENT_INSTANCE",
    "COMPONENT_SET",
    "COMPONENT_STATEFUL_SET",
    "COMPONENT_STATELESS_SET",
    "COMPONENT_WARMUP",
    "DELETE_REVISION_ERROR",
    "DELETE_ROLE_ERROR",
    "DEPENDENCY_NOT_MET",
    "FAILED_CALCULATE_SCALING",
    "FAILED_CHECK_ROLE_DEPENDENCY",
    "FAILED_CREATE",
    "FAILED_CREATE_ADAPTER",
    "FAILED_CREATE_REVISION",
    "FAILED_DELETE",
    "FAILED_GET_ROLE",
    "FAILED_RECONCILE_DISCOVERY",
    "FAILED_RECONCILE_POD_GROUP",
    "FAILED_RECONCILE_WORKLOAD",
    "FAILED_SCALE",
    "FAILED_UPDATE",
    "FAILED_UPDATE_INSTANCE_IN_PLACE",
    "FAILED_UPDATE_INSTANCE_RECREATE",
    "FAILED_UPDATE_POD_IN_PLACE",
    "FAILED_UPDATE_POD_RECREATE",
    "FAILED_UPDATE_STATUS",
    "INVALID_GANG_ANNOTATIONS",
    "INVALID_ROLE_DEPENDENCY",
    "INVALID_ROLE_TEMPLATES",
    "INVALID_SPEC",
    "INVALID_TEMPLATE_REF",
    "NOT_BOUND",
    "RECREATE_INSTANCE",
    "REPLICAS_OVERRIDDEN",
    "REVISION_NOT_FOUND",
    "SCALE_UP_LIMITED",
    "SUCCEED",
    "SUCCEED_CREATE_REVISION",
    "SUCCESSFUL_BOUND",
    "SUCCESSFUL_CREATE",
    "SUCCESSFUL_DELETE",
    "SUCCESSFUL_SCALE",
    "SUCCESSFUL_UPDATE",
    "SUCCESSFUL_UPDATE_INSTANCE_IN_PLACE",
    "SUCCESSFUL_UPDATE_INSTANCE_RECREATE",
    "SUCCESSFUL_UPDATE_POD_IN_PLACE",
    "UNKNOWN_INSTANCE_PATTERN",
    "WARMUP_COMPLETED",
    "WARMUP_CREATED_POD",
    "WARMUP_FAILED",
    "WARMUP_FAILED_CREATE_POD",
    "WARMUP_MAX_FAILED_NODES",
    "WARMUP_PAUSED",
    "WARMUP_RESUMED",
    "WARMUP_STARTED",
    "WARMUP_TIMEOUT",
    "WARMUP_TTL_EXPIRED",
    "WARMUP_VOLUME_CONFLICT",
]

# Source components ----------------------------------------------------------------------------------------------------

COMPONENT_GROUP: Final = "RoleBasedGroup"
"""Reports about RoleBasedGroups."""
COMPONENT_SET: Final = "roleinstanceset-controller"
"""Reports about RoleInstanceSets of either pattern."""
COMPONENT_STATEFUL_SET: Final = "stateful-instanceset-controller"
"""Reports about stateful RoleInstanceSets."""
COMPONENT_STATELESS_SET: Final = "instanceset-controller"
"""Reports about stateless RoleInstanceSets."""
COMPONENT_INSTANCE: Final = "instance-controller"
"""Reports about RoleInstances."""
COMPONENT_ADAPTER: Final = "RoleBasedGroupScalingAdapter"
"""Reports about scaling adapters."""
COMPONENT_GROUP_SET: Final = "rbgset-controller"
"""Reports about RoleBasedGroupSets."""
COMPONENT_WARMUP: Final = "rbg-warmup-controller"
"""Reports about warmups."""

# RoleBasedGroup -------------------------------------------------------------------------------------------------------

SUCCEED: Final = "Succeed"
"""Normal: a reconcile changed something and finished."""
SUCCEED_CREATE_REVISION: Final = "SucceedCreateRevision"
"""Normal: a new group revision was stored."""
FAILED_CREATE_REVISION: Final = "FailedCreateRevision"
"""Warning: a group revision could not be stored."""
INVALID_SPEC: Final = "InvalidSpec"
"""Warning: the object does not decode or breaks a rule that has no reason of its own; ours."""
INVALID_ROLE_TEMPLATES: Final = "InvalidRoleTemplates"
"""Warning: a roleTemplate is malformed."""
INVALID_TEMPLATE_REF: Final = "InvalidTemplateRef"
"""Warning: a templateRef names nothing or lacks its patch."""
INVALID_ROLE_DEPENDENCY: Final = "InvalidRoleDependency"
"""Warning: a dependency is unknown or part of a cycle."""
FAILED_CHECK_ROLE_DEPENDENCY: Final = "FailedCheckRoleDependency"
"""Warning: a dependency's workload could not be read."""
DEPENDENCY_NOT_MET: Final = "DependencyNotMet"
"""Warning: a role waits for a dependency."""
FAILED_RECONCILE_WORKLOAD: Final = "FailedReconcileWorkload"
"""Warning: a role's workload could not be built or written."""
FAILED_RECONCILE_DISCOVERY: Final = "FailedReconcileDiscoveryConfigMap"
"""Warning: the discovery ConfigMap could not be written."""
FAILED_UPDATE_STATUS: Final = "FailedUpdateStatus"
"""Warning: the group's status could not be written."""

# RoleInstanceSet and RoleInstance -------------------------------------------------------------------------------------

UNKNOWN_INSTANCE_PATTERN: Final = "UnknownRoleInstancePattern"
"""Warning: the instance pattern annotation has a value nobody knows."""
SUCCESSFUL_CREATE: Final = "SuccessfulCreate"
"""Normal: a child was created."""
SUCCESSFUL_DELETE: Final = "SuccessfulDelete"
"""Normal: a child was deleted."""
SUCCESSFUL_UPDATE: Final = "SuccessfulUpdate"
"""Normal: a child was updated."""
FAILED_CREATE: Final = "FailedCreate"
"""Warning: a child could not be created."""
FAILED_DELETE: Final = "FailedDelete"
"""Warning: a child could not be deleted."""
FAILED_UPDATE: Final = "FailedUpdate"
"""Warning: a child could not be updated."""
SUCCESSFUL_UPDATE_INSTANCE_IN_PLACE: Final = "SuccessfulUpdateInstanceInPlace"
"""Normal, stateless: an instance is updated in place."""
SUCCESSFUL_UPDATE_INSTANCE_RECREATE: Final = "SuccessfulUpdateInstanceReCreate"
"""Normal, stateless: an instance is recreated for an update."""
FAILED_UPDATE_INSTANCE_IN_PLACE: Final = "FailedUpdateInstanceInPlace"
"""Warning, stateless: an in-place update failed."""
FAILED_UPDATE_INSTANCE_RECREATE: Final = "FailedUpdateInstanceReCreate"
"""Warning, stateless: a recreate for an update failed."""
SCALE_UP_LIMITED: Final = "ScaleUpLimited"
"""Warning, stateless: scaleStrategy.maxUnavailable throttles creation."""
SUCCESSFUL_UPDATE_POD_IN_PLACE: Final = "SuccessfulUpdatePodInPlace"
"""Normal: a pod is updated in place."""
FAILED_UPDATE_POD_IN_PLACE: Final = "FailedUpdatePodInPlace"
"""Warning: an in-place update of a pod failed."""
FAILED_UPDATE_POD_RECREATE: Final = "FailedUpdatePodReCreate"
"""Warning: a pod could not be deleted for an update."""
RECREATE_INSTANCE: Final = "ReCreateInstance"
"""Normal: all pods of an instance are replaced together."""
REVISION_NOT_FOUND: Final = "RevisionNotFound"
"""Warning: the revision an instance refers to is gone."""

# RoleBasedGroup: adapters, coordination, gangs ------------------------------------------------------------------------

INVALID_GANG_ANNOTATIONS: Final = "InvalidGangSchedulingAnnotations"
"""Warning: group and role-instance gang scheduling exclude each other."""
FAILED_RECONCILE_POD_GROUP: Final = "FailedReconcilePodGroup"
"""Warning: the PodGroup could not be written."""
FAILED_CALCULATE_SCALING: Final = "FailedCalculateScaling"
"""Warning: a CoordinatedPolicy cannot be applied."""
FAILED_CREATE_ADAPTER: Final = "FailedCreateScalingAdapter"
"""Warning: a scaling adapter could not be created."""
REPLICAS_OVERRIDDEN: Final = "ReplicasOverriddenByAdapter"
"""Warning: the adapter's replicas count instead of the role's."""
DELETE_ROLE_ERROR: Final = "delete role error"
"""Warning: a workload that no role asks for could not be deleted (spelt with spaces upstream)."""
DELETE_REVISION_ERROR: Final = "delete expired revision error"
"""Warning: an old revision could not be deleted (spelt with spaces upstream)."""

# RoleBasedGroupScalingAdapter -----------------------------------------------------------------------------------------

SUCCESSFUL_BOUND: Final = "SuccessfulBound"
"""Normal: the adapter found its role."""
SUCCESSFUL_SCALE: Final = "SuccessfulScale"
"""Normal: the role was scaled."""
FAILED_SCALE: Final = "FailedScale"
"""Warning: the role could not be scaled."""
FAILED_GET_ROLE: Final = "FailedGetRBGRole"
"""Warning: the adapter's role does not exist."""
NOT_BOUND: Final = "NotBound"
"""Warning: the adapter's role exists and is not the adapter's to scale."""

# RoleBasedGroupWarmup -------------------------------------------------------------------------------------------------

WARMUP_STARTED: Final = "WarmupStarted"
"""Normal: the first pods were created."""
WARMUP_CREATED_POD: Final = "CreatedPod"
"""Normal: a warmup pod was created."""
WARMUP_FAILED_CREATE_POD: Final = "FailedCreatePod"
"""Warning: a warmup pod could not be created."""
WARMUP_PAUSED: Final = "Paused"
"""Normal: no new pods until resumed."""
WARMUP_RESUMED: Final = "Resumed"
"""Normal: goes on after a pause."""
WARMUP_COMPLETED: Final = "WarmupCompleted"
"""Normal: every node is warm. Also a condition reason."""
WARMUP_FAILED: Final = "WarmupFailed"
"""Warning: gave up."""
WARMUP_TIMEOUT: Final = "GlobalTimeoutExceeded"
"""Warning: ran longer than allowed. Also a condition reason."""
WARMUP_MAX_FAILED_NODES: Final = "MaxFailedNodesExceeded"
"""Warning: more nodes failed than allowed. Also a condition reason."""
WARMUP_VOLUME_CONFLICT: Final = "VolumeConflict"
"""Warning: two actions declare one volume differently. Also a condition type."""
WARMUP_TTL_EXPIRED: Final = "TTLExpired"
"""Normal: the finished object is deleted."""
