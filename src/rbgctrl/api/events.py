"""Event reasons and the component names that report them."""

from __future__ import annotations

from typing import Final

__all__ = [
    "COMPONENT_GROUP",
    "COMPONENT_INSTANCE",
    "COMPONENT_SET",
    "COMPONENT_STATEFUL_SET",
    "COMPONENT_STATELESS_SET",
    "DEPENDENCY_NOT_MET",
    "FAILED_CHECK_ROLE_DEPENDENCY",
    "FAILED_CREATE",
    "FAILED_CREATE_REVISION",
    "FAILED_DELETE",
    "FAILED_RECONCILE_DISCOVERY",
    "FAILED_RECONCILE_WORKLOAD",
    "FAILED_UPDATE",
    "FAILED_UPDATE_INSTANCE_IN_PLACE",
    "FAILED_UPDATE_INSTANCE_RECREATE",
    "FAILED_UPDATE_POD_IN_PLACE",
    "FAILED_UPDATE_POD_RECREATE",
    "FAILED_UPDATE_STATUS",
    "INVALID_ROLE_DEPENDENCY",
    "INVALID_ROLE_TEMPLATES",
    "INVALID_SPEC",
    "INVALID_TEMPLATE_REF",
    "RECREATE_INSTANCE",
    "REVISION_NOT_FOUND",
    "SCALE_UP_LIMITED",
    "SUCCEED",
    "SUCCEED_CREATE_REVISION",
    "SUCCESSFUL_CREATE",
    "SUCCESSFUL_DELETE",
    "SUCCESSFUL_UPDATE",
    "SUCCESSFUL_UPDATE_INSTANCE_IN_PLACE",
    "SUCCESSFUL_UPDATE_INSTANCE_RECREATE",
    "SUCCESSFUL_UPDATE_POD_IN_PLACE",
    "UNKNOWN_INSTANCE_PATTERN",
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
