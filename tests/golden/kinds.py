"""Objects of all kinds that must be accepted or refused, by the models and by every API server alike.

Those of RoleBasedGroup itself are in ``groups.py``, what is in pod templates in ``pods.py``; here is what the kinds
around it say, and what is ours in upstream's kinds.
"""

from __future__ import annotations

from typing import Any

from golden import pods
from golden.vectors import KindVector, no, of, stored
from rbgctrl.api import v1alpha1
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.placement import ClusterTopology, PlacementPolicy
from rbgctrl.api.policies import CoordinatedPolicy
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.warmups import RoleBasedGroupWarmup

__all__ = ["VECTORS", "KindVector"]


POD: dict[str, Any] = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
_ONE = {"roles": [{"name": "a"}]}


# Groups and what is around them ---------------------------------------------------------------------------------------


def _role(**fields: Any) -> Any:
    return {"roles": [{"name": "a", **fields}]}


_GROUPS = of(
    RoleBasedGroup,
    ("a topology constraint", _role(
        instanceTopologyConstraint={"topologyName": "t", "pack": {"required": "leaf", "preferred": "nvlink"}}),
        stored(roles__0__instanceTopologyConstraint__pack__required="leaf")),
    ("a topology constraint with an unknown field", _role(instanceTopologyConstraint={"pack": {"surplus": 1}}),
        {"strict": "pack.surplus"}),
    ("a level that is a number", _role(instanceTopologyConstraint={"pack": {"required": 1}}), no("required")),
    ("recovery of the group by restartPolicy", _role(leaderWorkerPattern={
        "template": POD, "restartPolicy": "RecreateRBGOnPodRestart"}),
        stored(roles__0__leaderWorkerPattern__restartPolicy="RecreateRBGOnPodRestart")),
    ("recovery of the group by restartPolicyConfig", _role(customComponentsPattern={
        "restartPolicyConfig": {"type": "RecreateRBGOnPodRestart"}}),
        stored(roles__0__customComponentsPattern__restartPolicyConfig__maxDelaySeconds=600)),
)  # fmt: skip
_SETS = of(
    RoleBasedGroupSet,
    ("no spec", None),
    ("no template", {"replicas": 1}, no("groupTemplate")),
    ("an empty template", {"groupTemplate": {}}, stored(replicas=1, groupTemplate={})),
    ("negative replicas", {"replicas": -1, "groupTemplate": {}}, no("replicas")),
    ("metadata in the template", {"groupTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": _ONE}},
        {"strict": "groupTemplate.metadata", "stored": {"groupTemplate.metadata": ...}}),
    ("labels of the groups", {"groupTemplate": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "spec": _ONE}},
        stored(groupTemplate__labels__a="b", groupTemplate__spec__roles__0__replicas=1)),
    ("an unknown key of a role", {"groupTemplate": {"spec": {"roles": [{"name": "a", "surplus": 1}]}}},
        stored(groupTemplate__spec__roles__0__surplus=1)),
    ("a spec without roles", {"groupTemplate": {"spec": {"roles": []}}}, no("roles")),
    ("two patterns", {"groupTemplate": {"spec": _role(standalonePattern={}, leaderWorkerPattern={})}},
        no("mutually exclusive")),
)  # fmt: skip
_TARGET = {"name": "llm", "role": "decode"}
_ADAPTERS = tuple(
    vector
    for kind in (RoleBasedGroupScalingAdapter, v1alpha1.RoleBasedGroupScalingAdapter)
    for vector in of(
        kind,
        ("no spec", None),
        ("no target", {"replicas": 1}, no("scaleTargetRef")),
        ("a target without a role", {"scaleTargetRef": {"name": "llm"}}, no("role")),
        ("no replicas", {"scaleTargetRef": _TARGET}, stored(replicas=...)),
        ("negative replicas", {"replicas": -1, "scaleTargetRef": _TARGET}, no("replicas")),
        ("replicas as text", {"replicas": "1", "scaleTargetRef": _TARGET}, no("replicas")),
    )
)
_PROFILES = tuple(
    vector
    for kind in (ClusterEngineRuntimeProfile, v1alpha1.ClusterEngineRuntimeProfile)
    for vector in of(
        kind,
        ("no spec", None),
        ("no update strategy", {"containers": [{"name": "c"}]}, stored(updateStrategy="NoUpdate")),
        ("another update strategy", {"updateStrategy": "RollingUpdate"}, stored(updateStrategy="RollingUpdate")),
        ("an unknown update strategy", {"updateStrategy": "Never"}, no("updateStrategy")),
        ("a container without a name", {"containers": [{"image": "i"}]}, no("name")),
        ("an init container without a name", {"initContainers": [{}]}, no("name")),
        ("a volume without a name", {"volumes": [{"emptyDir": {}}]}, no("name")),
        ("two containers of one name", {"containers": [{"name": "c"}, {"name": "c"}]}),
    )
)


# CoordinatedPolicy ----------------------------------------------------------------------------------------------------


def _rule(**strategy: Any) -> Any:
    return {"policies": [{"name": "a", "roles": ["x", "y"], "strategy": strategy}]}


def _recovery(**fields: Any) -> Any:
    return _rule(recovery=fields)


_POLICIES = of(
    CoordinatedPolicy,
    ("no spec", None),
    ("an empty strategy", _rule(), stored(policies__0__strategy={})),
    ("no policies", {"policies": []}, no("policies")),
    ("no strategy", {"policies": [{"name": "a", "roles": ["x"]}]}, no("strategy")),
    ("no name", {"policies": [{"roles": ["x"], "strategy": {}}]}, no("name")),
    ("an empty name", {"policies": [{"name": "", "roles": ["x"], "strategy": {}}]}, no("name")),
    ("no list of roles", {"policies": [{"name": "a", "strategy": {}}]}, no("roles")),
    ("no roles", {"policies": [{"name": "a", "roles": [], "strategy": {}}]}, no("roles")),
    ("two rules of one name", {"policies": [{"name": "a", "roles": ["x"], "strategy": {}}] * 2}, no("uplicate")),
    ("limits of a rollout", _rule(rollingUpdate={"maxSkew": "10%", "partition": 1, "maxUnavailable": "x"}),
        stored(policies__0__strategy__rollingUpdate__maxSkew="10%")),
    ("a skew that is a list", _rule(rollingUpdate={"maxSkew": []}), no("maxSkew")),
    ("a progression", _rule(scaling={"progression": "OrderReady"})),
    ("no progression", _rule(scaling={}), stored(policies__0__strategy__scaling={})),
    ("an unknown progression", _rule(scaling={"progression": "Fast"}), no("progression")),
    ("a ratio", _rule(scaling={"ratio": {"x": 1, "y": 2}, "rounding": "Down", "driver": "x"}),
        stored(policies__0__strategy__scaling__ratio={"x": 1, "y": 2})),
    ("a ratio of one", _rule(scaling={"ratio": {"x": 1}}), no("ratio")),
    ("a ratio with nothing of one", _rule(scaling={"ratio": {"x": 1, "y": 0}}), no("ratio")),
    ("an unknown rounding", _rule(scaling={"rounding": "Even"}), no("rounding")),
    ("scheduling", _rule(scheduling={"gang": {"minReplicas": 1}, "topologyConstraint": {"pack": {"required": "l"}}}),
        stored(policies__0__strategy__scheduling__gang__minReplicas=1)),
    ("a gang of none", _rule(scheduling={"gang": {"minReplicas": 0}}), no("minReplicas")),
    ("recovery by default", _recovery(), stored(policies__0__strategy__recovery={})),
    ("recovery in full", _recovery(
        scope="Pair", trigger=["PodFailed", "NodeLost"], action="RestartContainers", order="Parallel", maxRestarts=0,
        windowSeconds=60, backoff={"baseSeconds": 1, "maxSeconds": 1})),
    ("an unknown scope", _recovery(scope="Cluster"), no("scope")),
    ("an unknown trigger", _recovery(trigger=["Whim"]), no("trigger")),
    ("an unknown action", _recovery(action="Ignore"), no("action")),
    ("an unknown order", _recovery(order="Random"), no("order")),
    ("fewer than no restarts", _recovery(maxRestarts=-1), no("maxRestarts")),
    ("no window", _recovery(windowSeconds=0), no("windowSeconds")),
    ("a base over the default of the longest", _recovery(backoff={"baseSeconds": 700}), no("maxSeconds must be")),
    ("a longest under the default of the base", _recovery(backoff={"maxSeconds": 10}), no("maxSeconds must be")),
)  # fmt: skip


# RoleBasedGroupWarmup -------------------------------------------------------------------------------------------------

_PRELOAD = {"imagePreload": {"images": ["i"]}}
_NODES = {"nodeNames": ["n"], **_PRELOAD}


def _warm(**spec: Any) -> Any:
    return {"targetNodes": _NODES, **spec}


_WARMUPS = of(
    RoleBasedGroupWarmup,
    ("no spec", None, no("spec")),
    ("no target", {}, no("either targetNodes or targetRoleBasedGroup must be specified")),
    ("both targets", _warm(targetRoleBasedGroup={"name": "g", "roles": {"a": _PRELOAD}}), no("mutually exclusive")),
    ("nodes by name", _warm()),
    ("nodes by label", {"targetNodes": {"nodeSelector": {"a": "b"}, **_PRELOAD}}),
    ("nodes by nothing", {"targetNodes": _PRELOAD}, no("either nodeNames or nodeSelector must be specified")),
    ("nodes by both", {"targetNodes": {**_NODES, "nodeSelector": {"a": "b"}}}, no("mutually exclusive")),
    ("no names", {"targetNodes": {"nodeNames": [], **_PRELOAD}}, no("nodeNames")),
    ("no labels", {"targetNodes": {"nodeSelector": {}, **_PRELOAD}}, no("nodeSelector")),
    ("nothing to do", {"targetNodes": {"nodeNames": ["n"]}}, no("at least one of imagePreload")),
    ("no images", {"targetNodes": {"nodeNames": ["n"], "imagePreload": {"images": []}}}, no("images")),
    ("no list of images", {"targetNodes": {"nodeNames": ["n"], "imagePreload": {}}}, no("images")),
    ("a pull secret without a name", {"targetNodes": {
        "nodeNames": ["n"], "imagePreload": {"images": ["i"], "pullSecrets": [{}]}}},
        stored(targetNodes__imagePreload__pullSecrets=[{"name": ""}])),
    ("containers", {"targetNodes": {"nodeNames": ["n"], "customizedAction": {
        "containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "emptyDir": {}}]}}}),
    ("no containers", {"targetNodes": {"nodeNames": ["n"], "customizedAction": {"containers": []}}}, no("containers")),
    ("a group", {"targetRoleBasedGroup": {"name": "g", "roles": {"a": _PRELOAD}}}),
    ("a group without a name", {"targetRoleBasedGroup": {"name": "", "roles": {"a": _PRELOAD}}}, no("name")),
    ("a group without roles", {"targetRoleBasedGroup": {"name": "g", "roles": {}}}, no("roles")),
    ("a role without anything to do", {"targetRoleBasedGroup": {"name": "g", "roles": {"a": {}}}},
        no("at least one of imagePreload")),
    ("a limit of failed nodes alone", _warm(policies={"maxFailedNodes": 1}), no("backoffLimitPerNode must be set")),
    ("all limits", _warm(policies={
        "parallelism": 1, "backoffLimitPerNode": 0, "maxFailedNodes": 0, "globalTimeoutSeconds": 2**40,
        "ttlSecondsAfterFinished": 0})),
    ("no parallelism", _warm(policies={"parallelism": 0}), no("parallelism")),
    ("no time", _warm(policies={"globalTimeoutSeconds": 0}), no("globalTimeoutSeconds")),
    ("tolerations", _warm(tolerations=[{"operator": "Exists"}], paused=True)),
)  # fmt: skip


# The older version ----------------------------------------------------------------------------------------------------


def _old(**fields: Any) -> Any:
    return {"roles": [{"name": "a", **fields}]}


def _skew(skew: Any) -> Any:
    strategy = {"rollingUpdate": {"maxSkew": skew}}
    return {**_old(template=POD), "coordination": [{"name": "c", "roles": [], "strategy": strategy}]}


_INSTANCE_SET = {"apiVersion": "workloads.x-k8s.io/v1alpha1", "kind": "InstanceSet"}
_OLD = of(
    v1alpha1.RoleBasedGroup,
    ("no spec", None),
    ("a template", _old(template=POD),
        stored(roles__0__workload={"apiVersion": "apps/v1", "kind": "StatefulSet"}, roles__0__replicas=1)),
    ("no template", _old(), no("template or templateRef must be set for non-InstanceSet workloads")),
    ("no template for an InstanceSet", _old(workload=_INSTANCE_SET)),
    ("components of a RoleInstanceSet", _old(
        workload={"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleInstanceSet"},
        components=[{"name": "c", "template": {}}]), no("template or templateRef must be set")),
    ("template and templateRef", _old(template=POD, templateRef={"name": "t"}), no("mutually exclusive")),
    ("templateRef", _old(templateRef={"name": "t"}, templatePatch={}), stored(roles__0__templatePatch={})),
    ("templateRef of an InstanceSet", _old(templateRef={"name": "t"}, workload=_INSTANCE_SET),
        no("templateRef is not supported for InstanceSet workloads")),
    ("templateRef of a LeaderWorkerSet", _old(templateRef={"name": "t"}, workload={"kind": "LeaderWorkerSet"}),
        no("templateRef is not supported for LeaderWorkerSet workloads")),
    ("a templateRef that is no DNS label", _old(templateRef={"name": "T"}), no("templateRef.name")),
    ("an empty workload", _old(template=POD, workload={}), stored(roles__0__workload__kind="StatefulSet")),
    ("a workload without a version", _old(template=POD, workload={"apiVersion": "apps"}), no("workload.apiVersion")),
    ("a leader-worker set", _old(template=POD, leaderWorkerSet={"patchLeaderTemplate": {"a": None}}),
        stored(roles__0__leaderWorkerSet={"size": 1, "patchLeaderTemplate": {"a": None}})),
    ("a restart policy", _old(template=POD, restartPolicy="RecreateRBGOnPodRestart")),
    ("an unknown restart policy", _old(template=POD, restartPolicy="Always"), no("restartPolicy")),
    ("labels of a scaling adapter", _old(template=POD, scalingAdapter={"labels": {"a": "b"}}),
        {"strict": "scalingAdapter.labels", **stored(roles__0__scalingAdapter={"enable": False})}),
    ("an unknown key of a role", _old(template=POD, surplus=1), stored(roles__0__surplus=1)),
    ("gang scheduling", {**_old(template=POD), "podGroupPolicy": {"kubeScheduling": {}, "volcanoScheduling": {}}},
        stored(podGroupPolicy__kubeScheduling__scheduleTimeoutSeconds=60)),
    ("coordination", {**_old(template=POD), "coordination": [{"name": "", "roles": [], "strategy": {"scaling": {}}}]},
        stored(coordination__0__strategy__scaling__progression="OrderScheduled")),
    ("two coordinations of one name", {**_old(template=POD), "coordination": [{"name": "c", "roles": []}] * 2},
        no("uplicate")),
    ("a skew in percent", _skew("100%")),
    ("a skew that is a number", _skew(5), no("maxSkew")),
    ("a skew without a percent sign", _skew("5"), no("maxSkew")),
    ("a skew over all", _skew("101%"), no("maxSkew")),
    ("a template without containers", _old(template={"spec": {}}), no("containers")),
)  # fmt: skip
_OLD_SETS = of(
    v1alpha1.RoleBasedGroupSet,
    ("no spec", None),
    ("no template", {}, no("template")),
    (
        "a template",
        {"template": _old(template=POD)},
        stored(replicas=1, template__roles__0__workload__kind="StatefulSet"),
    ),
    ("a wrapper around the template", {"template": {"spec": _old(template=POD)}}, no("roles")),
    ("no template of a role", {"template": _old()}, no("must be set for non-InstanceSet")),
)


# Placement ------------------------------------------------------------------------------------------------------------


def _level(**fields: Any) -> Any:
    return {"levels": [{"name": "leaf", "keys": ["k"], **fields}]}


_TOPOLOGIES = of(
    ClusterTopology,
    ("no spec", None, no("spec")),
    ("no levels", {"levels": []}, no("levels")),
    ("a level by default", _level(), stored(levels__0={"name": "leaf", "keys": ["k"]})),
    ("two levels of one name", {"levels": [{"name": "a", "keys": ["k"]}] * 2}, no("uplicate")),
    ("a level without keys", _level(keys=[]), no("keys")),
    ("a level without a name", _level(name=""), no("name")),
    ("an unknown tier", _level(tier="wan"), no("tier")),
    ("all of a level", _level(
        tier="rdma", whenMissing="narrower", weight=40, requires=[{"resourcePrefix": "rdma/"}, {"label": "l"}])),
    ("an unknown way of missing", _level(whenMissing="wider"), no("whenMissing")),
    ("a negative weight", _level(weight=-1), no("weight")),
    ("a requirement of nothing", _level(requires=[{}]), no("exactly one of resourcePrefix and label")),
    ("a requirement of both", _level(requires=[{"resourcePrefix": "r", "label": "l"}]), no("exactly one of")),
    ("health", {**_level(), "nodeSelector": {"a": "b"}, "domainHealth": {
        "excludeTaints": ["t"], "maxUnknownShare": 0.05}}, stored(domainHealth__maxUnknownShare=0.05)),
    ("a share over one", {**_level(), "domainHealth": {"maxUnknownShare": 1.5}}, no("maxUnknownShare")),
    ("a share as text", {**_level(), "domainHealth": {"maxUnknownShare": "0.5"}}, no("maxUnknownShare")),
)  # fmt: skip
_PLACEMENTS = of(
    PlacementPolicy,
    ("no spec", None, no("spec")),
    ("nothing", {}),
    ("everything", {
        "selector": {"matchLabels": {"app": "x"}},
        "groupNames": ["g"],
        "topologyName": "default",
        "cells": [{
            "name": "pd", "roles": {"prefill": 1, "decode": 2}, "pack": {"required": "leaf"}, "remainder": "free"}],
        "roles": {"router": {"pack": {"preferred": "zone"}, "anchorTo": "pd"}},
        "spread": [{"level": "zone", "scope": "group", "maxSkew": 1}, {"level": "nvlink", "maxCells": 2}],
        "tenant": {"key": "namespace", "reserve": {"level": "l", "min": 2}, "limit": {"level": "l", "max": 12}},
        "unsatisfied": {"mode": "pending", "after": "120s"},
        "stickiness": {"mode": "node", "hold": "1h30m"},
    }),
    ("a cell without roles", {"cells": [{"name": "a", "roles": {}}]}, no("roles")),
    ("a cell with none of a role", {"cells": [{"name": "a", "roles": {"x": 0}}]}, no("roles")),
    ("two cells of one name", {"cells": [{"name": "a", "roles": {"x": 1}}] * 2}, no("uplicate")),
    ("an unknown remainder", {"cells": [{"name": "a", "roles": {"x": 1}, "remainder": "drop"}]}, no("remainder")),
    ("a spread without a level", {"spread": [{"maxSkew": 1}]}, no("level")),
    ("a spread over an unknown scope", {"spread": [{"level": "l", "scope": "rack"}]}, no("scope")),
    ("no skew", {"spread": [{"level": "l", "maxSkew": 0}]}, no("maxSkew")),
    ("a tenant without a key", {"tenant": {}}, no("key")),
    ("a time without a unit", {"unsatisfied": {"after": "120"}}, no("after")),
    ("an unknown stickiness", {"stickiness": {"mode": "glue"}}, no("mode")),
)  # fmt: skip


# Sets and instances ---------------------------------------------------------------------------------------------------


def _instance(**spec: Any) -> Any:
    return {"components": [{"name": "c", "template": {}}], **spec}


_INSTANCES = of(
    RoleInstanceSet,
    ("no spec", None),
    ("no template", {"replicas": 1}, no("roleInstanceTemplate")),
    ("negative replicas", {"roleInstanceTemplate": {}, "replicas": -1}, no("replicas")),
    ("any template", {"roleInstanceTemplate": 5}, stored(podManagementPolicy="Parallel", revisionHistoryLimit=10)),
    ("a negative history", {"roleInstanceTemplate": {}, "revisionHistoryLimit": -1}, no("revisionHistoryLimit")),
    ("an unknown order", {"roleInstanceTemplate": {}, "podManagementPolicy": "Serial"}, no("podManagementPolicy")),
    ("a hook", {"roleInstanceTemplate": {}, "lifecycle": {"preDelete": {"markPodNotReady": True}}}),
    ("deletions", {"roleInstanceTemplate": {}, "scaleStrategy": {
        "roleInstanceToDelete": ["x"], "maxUnavailable": "10%"}}),
) + of(
    RoleInstance,
    ("no spec", None),
    ("no components", {}, no("components")),
    ("a component without a template", {"components": [{"name": "c"}]}, no("template")),
    ("components of one name", {"components": [{"name": "c", "template": {}}] * 2}, stored(readyPolicy="AllPodReady")),
    ("an unknown ready policy", _instance(readyPolicy="Maybe"), stored(readyPolicy="Maybe")),
    ("an unknown restart policy", _instance(restartPolicy="Always"), no("restartPolicy")),
    ("a base over the default of the longest", _instance(restartPolicyConfig={"baseDelaySeconds": 700}),
        {"refused": "maxDelaySeconds must be", "server_only": True}),
    ("a restart policy without a type", _instance(restartPolicyConfig={}),
        stored(restartPolicyConfig={"baseDelaySeconds": 30, "maxDelaySeconds": 600})),
    ("a readiness gate", _instance(readinessGates=[{}]), no("conditionType")),
)  # fmt: skip

VECTORS = (
    *pods.VECTORS,
    *_GROUPS,
    *_SETS,
    *_ADAPTERS,
    *_PROFILES,
    *_POLICIES,
    *_WARMUPS,
    *_OLD,
    *_OLD_SETS,
    *_TOPOLOGIES,
    *_PLACEMENTS,
    *_INSTANCES,
)
