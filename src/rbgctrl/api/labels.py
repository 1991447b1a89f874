"""Every label, annotation and environment variable of the contract, each with who writes it and what it means.

Keys are an API: pods, templates and revisions of running installations carry them. Names of objects are in
``names.py``, condition types in ``conditions.py``, event reasons in ``events.py``.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "APPS_POD_INDEX",
    "COMPONENT_DEPENDS_ON",
    "COMPONENT_DISCOVERY",
    "COMPONENT_ID",
    "COMPONENT_INDEX",
    "COMPONENT_NAME",
    "COMPONENT_SIZE",
    "CONFIG_FILE",
    "CONFIG_MOUNT_PATH",
    "CONFIG_VOLUME",
    "CONTROLLER_REVISION_HASH",
    "CONVERSION_COORDINATION",
    "CONVERSION_POD_GROUP_POLICY",
    "CONVERSION_V1ALPHA1_FIELDS",
    "CONVERSION_V1ALPHA2_FIELDS",
    "DISCOVERY_LEGACY",
    "DISCOVERY_MODE",
    "DISCOVERY_REFINE",
    "ENV_COMPONENT_INDEX",
    "ENV_COMPONENT_NAME",
    "ENV_GROUP_NAME",
    "ENV_LWP_GROUP_SIZE",
    "ENV_LWP_LEADER_ADDRESS",
    "ENV_LWP_PREFIX",
    "ENV_LWP_WORKER_INDEX",
    "ENV_PREFIX",
    "ENV_ROLE_ID",
    "ENV_ROLE_INDEX",
    "ENV_ROLE_INSTANCE_NAME",
    "ENV_ROLE_NAME",
    "FIELD_MANAGER",
    "GANG_POD_GROUP",
    "GANG_VOLCANO_GROUP",
    "GROUPSET_INDEX",
    "GROUPSET_MANAGER",
    "GROUPSET_MAX_UNAVAILABLE",
    "GROUPSET_NAME",
    "GROUPSET_PARTITION",
    "GROUPSET_TEMPLATE",
    "GROUP_EXCLUSIVE_TOPOLOGY",
    "GROUP_GANG_SCHEDULING",
    "GROUP_GANG_TIMEOUT",
    "GROUP_GANG_VOLCANO_PRIORITY",
    "GROUP_GANG_VOLCANO_QUEUE",
    "GROUP_NAME",
    "GROUP_REVISION",
    "GROUP_UID",
    "GROUP_UNIQUE_HASH",
    "INPLACE_GRACE_SECONDS",
    "INPLACE_SCHEDULING",
    "INPLACE_SCHEDULING_AVOID",
    "INPLACE_SCHEDULING_GRANULARITY",
    "INPLACE_UPDATE_GRACE",
    "INPLACE_UPDATE_STATE",
    "INSTANCE_DELETION_COST",
    "INSTANCE_GANG_SCHEDULING",
    "INSTANCE_HELD_BACK",
    "INSTANCE_LIFECYCLE_STATE",
    "INSTANCE_LIFECYCLE_TIMESTAMP",
    "INSTANCE_PATTERN",
    "LEADER_COMPONENT",
    "LIFECYCLE_NORMAL",
    "LIFECYCLE_PREPARING_DELETE",
    "LIFECYCLE_PREPARING_UPDATE",
    "LIFECYCLE_UPDATED",
    "LIFECYCLE_UPDATING",
    "NODE_HOSTNAME",
    "NODE_NVLINK_DOMAIN",
    "NODE_ZONE",
    "OWNER_GENERATION",
    "PATTERN_STATEFUL",
    "PATTERN_STATELESS",
    "PINNED_NODES",
    "PORT_ALLOCATOR",
    "PREFIX",
    "PREFIX_NODE",
    "PREFIX_OURS",
    "PREFIX_PLACEMENT",
    "PREFIX_V1ALPHA1",
    "RBG_OWNER_UID",
    "RESTARTED_AT",
    "RESTART_TRIGGER_IGNORE",
    "RESTART_TRIGGER_POLICY",
    "REVISION_HASH",
    "ROLE_ANNOTATIONS",
    "ROLE_DISABLE_EXCLUSIVE",
    "ROLE_ID",
    "ROLE_INSTANCE_DELETE",
    "ROLE_INSTANCE_ID",
    "ROLE_INSTANCE_INDEX",
    "ROLE_INSTANCE_NAME",
    "ROLE_INSTANCE_OWNER",
    "ROLE_NAME",
    "ROLE_REVISION_PREFIX",
    "ROLE_SIZE",
    "ROLE_TYPE",
    "ROLE_TYPE_COMPONENTS",
    "ROLE_TYPE_LEADER_WORKER_SET",
    "ROLE_TYPE_POD_TEMPLATE",
    "ROLE_WORKLOAD_TYPE",
    "RUNTIME_CONTAINERS_META",
    "RUNTIME_PROFILES",
    "STATEFUL_POD_NAME",
    "TEMPLATE_HASH",
    "V1ALPHA1_EXCLUSIVE_TOPOLOGY",
    "WARMUP_NAME",
    "WARMUP_NODE",
    "WARMUP_UID",
    "WORKER_COMPONENT",
    "WORKLOAD_TYPE_DEPLOYMENT",
    "WORKLOAD_TYPE_LEADER_WORKER_SET",
    "WORKLOAD_TYPE_ROLE_INSTANCE_SET",
    "WORKLOAD_TYPE_STATEFUL_SET",
    "role_revision",
]

# Prefixes -------------------------------------------------------------------------------------------------------------

PREFIX: Final = "rbg.workloads.x-k8s.io/"
"""Family of almost every v1alpha2 label and annotation."""
PREFIX_V1ALPHA1: Final = "rolebasedgroup.workloads.x-k8s.io/"
"""Family of v1alpha1; three component annotations still use it."""
PREFIX_OURS: Final = "rbgctrl.io/"
"""Family of what this controller adds to the contract."""
PREFIX_NODE: Final = "node.rbgctrl.io/"
"""Family of the annotations that remember where a pod ran, followed by its name; see ``bindings.py``. Ours."""
PREFIX_PLACEMENT: Final = "placement.rbgctrl.io/"
"""Family of placement annotations and labels."""
FIELD_MANAGER: Final = "rbg"
"""Server-side apply field manager of nearly every apply, the same as upstream's so that ownership carries over."""
GROUPSET_MANAGER: Final = "rbg-groupset"
"""Field manager of what a RoleBasedGroupSet applies to its groups; not ``FIELD_MANAGER``, which writes there, too."""

# Labels: group and role -----------------------------------------------------------------------------------------------

GROUP_NAME: Final = PREFIX + "group-name"
"""Workload, headless Service, RoleInstance, Pod, adapter, revisions: name of the RoleBasedGroup."""
ROLE_NAME: Final = PREFIX + "role-name"
"""Workload, headless Service, RoleInstance, Pod, adapter: name of the role."""
GROUP_UID: Final = PREFIX + "group-uid"
"""Workload, Service, RoleInstance, Pod: SHA-1 of ``namespace/name`` of the group; not the object's UID."""
GROUP_UNIQUE_HASH: Final = PREFIX + "group-unique-hash"
"""Pod: same value as ``GROUP_UID``; what exclusive-topology affinity terms select. Upstream never sets it; we do."""
ROLE_REVISION_PREFIX: Final = PREFIX + "role-revision-"
"""Workload and RoleInstance: followed by the role's name; the value is the role hash. See ``role_revision``."""
GROUP_REVISION: Final = PREFIX + "group-revision"
"""Group ControllerRevision: hash of its data."""
ROLE_TYPE: Final = PREFIX + "role-type"
"""RoleInstanceSet, RoleInstance: ``PodTemplate``, ``LeaderWorkerSet`` or ``Components``; decides pod names."""
ROLE_TYPE_POD_TEMPLATE: Final = "PodTemplate"
"""Value of ``ROLE_TYPE``: standalone, one pod named like its instance."""
ROLE_TYPE_LEADER_WORKER_SET: Final = "LeaderWorkerSet"
"""Value of ``ROLE_TYPE``: leader and workers, pods numbered through."""
ROLE_TYPE_COMPONENTS: Final = "Components"
"""Value of ``ROLE_TYPE``: custom components, pods named after their component; also when the label is missing."""
RBG_OWNER_UID: Final = PREFIX + "rbg-owner-uid"
"""RoleInstanceSet, RoleInstance: UID of the group object; only with in-place scheduling."""
ROLE_ID: Final = PREFIX + "role-id"
"""RoleInstance, Pod: the stable identity across revisions, nodes and restarts; ours, set at creation."""
OWNER_GENERATION: Final = PREFIX_OURS + "owner-generation"
"""RoleInstanceSet, RoleInstance, annotation: generation of the owner's spec it was made from or last changed for.

Who sees the owner in an older generation looks at the past, and must not act on it.
"""
RUNTIME_PROFILES: Final = PREFIX_OURS + "runtime-profiles"
"""Workload, annotation: JSON of the NoUpdate engine runtime profiles as its pods got them; absent if there are none."""
ROLE_ANNOTATIONS: Final = PREFIX_OURS + "role-annotations"
"""Service, PodGroup, annotation: keys of the annotations it has from its role or group, sorted, with commas.

Absent if it has none.
"""
GROUPSET_NAME: Final = PREFIX + "groupset-name"
"""RoleBasedGroup: name of the RoleBasedGroupSet it belongs to."""
GROUPSET_INDEX: Final = PREFIX + "groupset-index"
"""RoleBasedGroup: decimal index inside its set; missing or malformed means the set deletes it."""
TEMPLATE_HASH: Final = PREFIX_OURS + "template-hash"
"""Deployment, StatefulSet, LeaderWorkerSet, annotation: hash of the pod templates they were last applied with."""
GROUPSET_TEMPLATE: Final = PREFIX_OURS + "group-template"
"""RoleBasedGroup of a set, annotation: hash of the group template it was made from or last changed to."""

# Labels: instance and pod ---------------------------------------------------------------------------------------------

ROLE_INSTANCE_NAME: Final = PREFIX + "role-instance-name"
"""Pod, RoleInstance ControllerRevision: name of the RoleInstance."""
ROLE_INSTANCE_INDEX: Final = PREFIX + "role-instance-index"
"""Stateful RoleInstance, its component templates and pods: the ordinal."""
ROLE_INSTANCE_ID: Final = PREFIX + "role-instance-id"
"""Stateless RoleInstance: its five-character id."""
ROLE_INSTANCE_OWNER: Final = PREFIX + "role-instance-owner"
"""Stateless RoleInstance and revisions of its set: UID of the RoleInstanceSet."""
ROLE_INSTANCE_DELETE: Final = PREFIX + "role-instance-delete"
"""RoleInstance: presence asks a stateless set to delete this instance first."""
INSTANCE_LIFECYCLE_STATE: Final = PREFIX + "role-instance-lifecycle-state"
"""Stateless RoleInstance: Normal, PreparingUpdate, Updating, Updated or PreparingDelete."""
LIFECYCLE_NORMAL: Final = "Normal"
"""Value of ``INSTANCE_LIFECYCLE_STATE``: nothing is done to it."""
LIFECYCLE_PREPARING_DELETE: Final = "PreparingDelete"
"""Value of ``INSTANCE_LIFECYCLE_STATE``: to be deleted once its hook lets it go."""
LIFECYCLE_PREPARING_UPDATE: Final = "PreparingUpdate"
"""Value of ``INSTANCE_LIFECYCLE_STATE``: to be updated in place once its hook lets it go."""
LIFECYCLE_UPDATING: Final = "Updating"
"""Value of ``INSTANCE_LIFECYCLE_STATE``: being updated in place."""
LIFECYCLE_UPDATED: Final = "Updated"
"""Value of ``INSTANCE_LIFECYCLE_STATE``: updated in place, and its hook not back yet."""
STATEFUL_POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
"""Stateful RoleInstance, its component templates and pods: the name of the RoleInstance, not of the pod."""
COMPONENT_NAME: Final = PREFIX + "component-name"
"""Pod: name of its component."""
COMPONENT_ID: Final = PREFIX + "component-id"
"""Pod: index inside its component, from 0."""
COMPONENT_INDEX: Final = PREFIX + "component-index"
"""Pod of a leader-worker role: 0 for the leader, id + 1 for a worker."""
COMPONENT_SIZE: Final = PREFIX + "component-size"
"""Pod template: 1 for standalone, the size of the whole group for leader-worker, the component's size otherwise."""
CONTROLLER_REVISION_HASH: Final = "controller-revision-hash"
"""Pod and stateless RoleInstance: short hash of the revision; stateful RoleInstance: full revision name."""
REVISION_HASH: Final = "controller.kubernetes.io/hash"
"""ControllerRevision of a RoleInstanceSet or RoleInstance: its hash."""
APPS_POD_INDEX: Final = "apps.kubernetes.io/pod-index"
"""Pod of a StatefulSet: its ordinal, set by Kubernetes; source of ``RBG_ROLE_INDEX`` there."""
GANG_POD_GROUP: Final = "pod-group.scheduling.sigs.k8s.io/name"
"""Pod template under scheduler-plugins gang scheduling: name of the PodGroup."""
WARMUP_NAME: Final = "workloads.x-k8s.io/warmup-name"
"""Warmup pod: name of the RoleBasedGroupWarmup."""
WARMUP_UID: Final = "workloads.x-k8s.io/warmup-uid"
"""Warmup pod: UID of the RoleBasedGroupWarmup."""
WARMUP_NODE: Final = "workloads.x-k8s.io/node-name"
"""Warmup pod: the node it warms."""

# Labels of nodes ------------------------------------------------------------------------------------------------------

NODE_HOSTNAME: Final = "kubernetes.io/hostname"
"""Node: its host name, which need not be the node's name."""
NODE_ZONE: Final = "topology.kubernetes.io/zone"
"""Node: the zone."""
NODE_NVLINK_DOMAIN: Final = "nvidia.com/gpu.clique"
"""Node: the NVLink domain, as NVIDIA's GPU feature discovery reports it."""

# Annotations on a RoleBasedGroup --------------------------------------------------------------------------------------

GROUP_EXCLUSIVE_TOPOLOGY: Final = PREFIX + "group-exclusive-topology"
"""Set by users: topology key; one group per domain. Copied to pod templates."""
GROUP_GANG_SCHEDULING: Final = PREFIX + "group-gang-scheduling"
"""Set by users: exactly ``true`` asks for a PodGroup over the whole group."""
GROUP_GANG_TIMEOUT: Final = PREFIX + "group-gang-scheduling-timeout"
"""Set by users: seconds, default 60; scheduler-plugins only."""
GROUP_GANG_VOLCANO_QUEUE: Final = PREFIX + "group-gang-scheduling-volcano-queue"
"""Set by users: Volcano queue."""
GROUP_GANG_VOLCANO_PRIORITY: Final = PREFIX + "group-gang-scheduling-volcano-priority"
"""Set by users: Volcano priority class."""
DISCOVERY_MODE: Final = PREFIX + "discovery-config-mode"
"""Set by the controller: ``refine`` (one ConfigMap per group) or ``legacy`` (left alone)."""
DISCOVERY_REFINE: Final = "refine"
"""Value of ``DISCOVERY_MODE``: the controller maintains the discovery ConfigMap."""
DISCOVERY_LEGACY: Final = "legacy"
"""Value of ``DISCOVERY_MODE``: the group predates the shared ConfigMap."""
CONVERSION_COORDINATION: Final = "conversion.workloads.x-k8s.io/v1alpha1-coordination"
"""Set by conversion: JSON of v1alpha1 ``spec.coordination``."""
CONVERSION_POD_GROUP_POLICY: Final = "conversion.workloads.x-k8s.io/v1alpha1-pod-group-policy"
"""Set by conversion: JSON of v1alpha1 ``spec.podGroupPolicy``."""
CONVERSION_V1ALPHA1_FIELDS: Final = "conversion.workloads.x-k8s.io/v1alpha1-fields"
"""Set by conversion on stored v1alpha2 objects: what v1alpha1 clients wrote that v1alpha2 has no field for. Ours."""
CONVERSION_V1ALPHA2_FIELDS: Final = "conversion.workloads.x-k8s.io/v1alpha2-fields"
"""Set by conversion on objects read as v1alpha1: what v1alpha1 has no field for; never stored. Ours."""
V1ALPHA1_EXCLUSIVE_TOPOLOGY: Final = PREFIX_V1ALPHA1 + "exclusive-topology"
"""Set by v1alpha1 users; conversion translates it to ``GROUP_EXCLUSIVE_TOPOLOGY``."""

# Annotations on a RoleBasedGroupSet -----------------------------------------------------------------------------------

GROUPSET_MAX_UNAVAILABLE: Final = PREFIX_OURS + "max-unavailable"
"""Set by users: groups that may be unready while a new template is rolled out, number or percentage; absent: all."""
GROUPSET_PARTITION: Final = PREFIX_OURS + "partition"
"""Set by users: groups with a lower index keep their template, number or percentage; absent: 0."""

# Annotations on a role (and copied to its workload) -------------------------------------------------------------------

ROLE_WORKLOAD_TYPE: Final = PREFIX + "role-workload-type"
"""Set by users or conversion: ``apiVersion/kind`` of the backing workload; default RoleInstanceSet."""
WORKLOAD_TYPE_ROLE_INSTANCE_SET: Final = "workloads.x-k8s.io/v1alpha2/RoleInstanceSet"
"""Value of ``ROLE_WORKLOAD_TYPE``: our own workload; the default."""
WORKLOAD_TYPE_DEPLOYMENT: Final = "apps/v1/Deployment"
"""Value of ``ROLE_WORKLOAD_TYPE``; deprecated upstream."""
WORKLOAD_TYPE_STATEFUL_SET: Final = "apps/v1/StatefulSet"
"""Value of ``ROLE_WORKLOAD_TYPE``; deprecated upstream."""
WORKLOAD_TYPE_LEADER_WORKER_SET: Final = "leaderworkerset.x-k8s.io/v1/LeaderWorkerSet"
"""Value of ``ROLE_WORKLOAD_TYPE``; deprecated upstream."""
INSTANCE_PATTERN: Final = PREFIX + "role-instance-pattern"
"""Set by users: ``Stateful`` (default, ordinals) or ``Stateless`` (random ids)."""
PATTERN_STATEFUL: Final = "Stateful"
"""Value of ``INSTANCE_PATTERN``: instances have ordinals; the default."""
PATTERN_STATELESS: Final = "Stateless"
"""Value of ``INSTANCE_PATTERN``: instances have random ids."""
INSTANCE_GANG_SCHEDULING: Final = PREFIX + "role-instance-gang-scheduling"
"""Set by users: ``true`` makes an instance all-or-nothing on recreation. Copied to RoleInstances."""
INPLACE_SCHEDULING: Final = PREFIX + "role-inplace-scheduling"
"""Set by users: ``Preferred`` or ``Required`` return to the previous node. Copied to RoleInstances."""
INPLACE_SCHEDULING_GRANULARITY: Final = PREFIX + "role-inplace-scheduling-granularity"
"""Set by users: ``Pod`` or ``Component``. Copied to RoleInstances."""
INPLACE_SCHEDULING_AVOID: Final = PREFIX + "role-inplace-scheduling-avoid"
"""Set by users: comma-separated node label keys to stay away from. Copied to RoleInstances."""
ROLE_SIZE: Final = PREFIX + "role-size"
"""Set by the controller on workload and Service: replicas it applied, decimal."""
INPLACE_GRACE_SECONDS: Final = PREFIX + "inplace-update-grace-period-seconds"
"""Set by the controller on RoleInstanceSet and RoleInstance: seconds between NotReady and the in-place patch."""

# Annotations on pod templates and components --------------------------------------------------------------------------

ROLE_DISABLE_EXCLUSIVE: Final = PREFIX + "role-disable-exclusive"
"""Set by users on a pod template: any non-empty value skips exclusive-topology affinity."""
RESTART_TRIGGER_POLICY: Final = PREFIX + "restart-trigger-policy"
"""Set by users on a pod template or component: ``Ignore`` exempts the pod from the restart policy."""
RESTART_TRIGGER_IGNORE: Final = "Ignore"
"""Value of ``RESTART_TRIGGER_POLICY``; anything else means inherit."""
PORT_ALLOCATOR: Final = PREFIX_V1ALPHA1 + "port-allocator"
"""Set by users on a component or pod template: JSON of ports to allocate and reference."""
COMPONENT_DISCOVERY: Final = PREFIX_V1ALPHA1 + "component-discovery"
"""Set by users on a component: JSON of addresses and ports of sibling components wanted as environment."""
COMPONENT_DEPENDS_ON: Final = PREFIX_V1ALPHA1 + "component-depends-on"
"""Set by users on a component: JSON of components to start after and delete after."""
GANG_VOLCANO_GROUP: Final = "scheduling.k8s.io/group-name"
"""Set by the controller on pod templates under Volcano: name of the PodGroup."""

# Annotations on instances and pods ------------------------------------------------------------------------------------

INSTANCE_LIFECYCLE_TIMESTAMP: Final = PREFIX + "role-instance-lifecycle-timestamp"
"""Set by the controller on stateless RoleInstances: RFC 3339 time of the last lifecycle change."""
INSTANCE_HELD_BACK: Final = PREFIX_OURS + "held-back"
"""Set by the controller on a stateless RoleInstance: ``true`` while a lifecycle hook wants its pods not ready. Ours."""
INPLACE_UPDATE_STATE: Final = PREFIX + "inplace-update-state"
"""Set by the controller on RoleInstance and Pod: JSON about the running in-place update."""
INPLACE_UPDATE_GRACE: Final = PREFIX + "inplace-update-grace"
"""Set by the controller on Pod: JSON of the in-place update that waits for its grace period."""
RUNTIME_CONTAINERS_META: Final = "workloads.x-k8s.io/runtime-containers-meta"
"""Set by an optional node agent on Pod: container hashes that prove an in-place update happened."""
INSTANCE_DELETION_COST: Final = "controller.kubernetes.io/instance-deletion-cost"
"""Set by users on a stateless RoleInstance: int32; lower is deleted first."""
PINNED_NODES: Final = PREFIX_OURS + "pinned-nodes"
"""Set by the controller on Pod: names of the nodes of which it must have one, sorted, with commas. Ours.

Once none of them is left, a pod that waits for one is made anew.
"""
RESTARTED_AT: Final = PREFIX_OURS + "restarted-at"
"""Set by users on group, role or RoleInstance: RFC 3339; a new value restarts once. Ours."""

# Environment of every regular container -------------------------------------------------------------------------------

ENV_PREFIX: Final = "RBG_"
"""Prefix of every injected variable."""
ENV_LWP_PREFIX: Final = "RBG_LWP_"
"""Prefix of the variables of leader-worker roles; they sort after the other injected ones."""
ENV_GROUP_NAME: Final = "RBG_GROUP_NAME"
"""Name of the group, literal."""
ENV_ROLE_NAME: Final = "RBG_ROLE_NAME"
"""Name of the role, literal."""
ENV_ROLE_INDEX: Final = "RBG_ROLE_INDEX"
"""Stateful roles: ordinal of the instance, from a label."""
ENV_ROLE_INSTANCE_NAME: Final = "RBG_ROLE_INSTANCE_NAME"
"""Name of the RoleInstance, from a label."""
ENV_COMPONENT_NAME: Final = "RBG_COMPONENT_NAME"
"""Name of the component, from a label."""
ENV_COMPONENT_INDEX: Final = "RBG_COMPONENT_INDEX"
"""Index inside the component, from label ``COMPONENT_ID`` (sic)."""
ENV_LWP_LEADER_ADDRESS: Final = "RBG_LWP_LEADER_ADDRESS"
"""Leader-worker roles: DNS name of the leader's pod."""
ENV_LWP_WORKER_INDEX: Final = "RBG_LWP_WORKER_INDEX"
"""Leader-worker roles: 0 for the leader, from label ``COMPONENT_INDEX``."""
ENV_LWP_GROUP_SIZE: Final = "RBG_LWP_GROUP_SIZE"
"""Leader-worker roles: pods of the instance, from label ``COMPONENT_SIZE``."""
ENV_ROLE_ID: Final = "RBG_ROLE_ID"
"""The pod's RoleID; ours, added when the pod is created, outside every template."""

# Discovery volume and component names ---------------------------------------------------------------------------------

CONFIG_VOLUME: Final = "rbg-cluster-config"
"""Name of the volume with the discovery file."""
CONFIG_MOUNT_PATH: Final = "/etc/rbg"
"""Where the discovery volume is mounted, read-only."""
CONFIG_FILE: Final = "config.yaml"
"""ConfigMap key and file name of the discovery file."""
LEADER_COMPONENT: Final = "leader"
"""Component name of the leader of a leader-worker role."""
WORKER_COMPONENT: Final = "worker"
"""Component name of the workers of a leader-worker role."""


def role_revision(role: str) -> str:
    """Label key that carries the hash of ``role``; valid up to 49 characters of role name."""
    return ROLE_REVISION_PREFIX + role
