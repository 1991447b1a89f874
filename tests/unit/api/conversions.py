"""Drawn groups and sets of both versions, as an API server may hold them, odd ones included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rbgctrl.api import labels

__all__ = ["V1", "V2", "group_v1", "group_v2", "set_v1", "set_v2", "v1_roles", "v2_roles", "with_roles_v2"]

V1 = "workloads.x-k8s.io/v1alpha1"
V2 = "workloads.x-k8s.io/v1alpha2"

_WORD = st.sampled_from(("a", "b", "c", "prefill", "decode"))
_MAP = st.dictionaries(_WORD, st.sampled_from(("1", "2", "")), max_size=2)
_TEMPLATE = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({"containers": st.just([{"name": "c", "image": "registry.example/a:1"}])})},
    optional={"metadata": st.fixed_dictionaries({"labels": _MAP})},
)
_PATCH = st.sampled_from(({}, {"spec": {"hostNetwork": None}}, {"spec": {"nodeName": "n"}}))
_COUNT = st.integers(0, 4)
_RESTART = st.sampled_from(("None", "RecreateRoleInstanceOnPodRestart", ""))
_UPDATE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(("Recreate", "RecreatePod", "InPlaceIfPossible", "")),
        "partition": st.sampled_from((0, "10%")),
        "paused": st.booleans(),
    },
)
_ROLLOUT = st.fixed_dictionaries({"type": st.just("RollingUpdate")}, optional={"rollingUpdate": _UPDATE})
_TYPES = st.sampled_from(
    (labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET, labels.WORKLOAD_TYPE_DEPLOYMENT, "Deployment", "", "apps/v1/", "a/b/C")
)
_SAME: dict[str, st.SearchStrategy[Any]] = {
    "labels": _MAP,
    "replicas": _COUNT,
    "dependencies": st.lists(_WORD, max_size=2),
    "servicePorts": st.just([{"name": "http", "port": 80}]),
    "engineRuntimes": st.just([{"profileName": "p", "containers": [{"name": "c"}]}]),
    "minReadySeconds": _COUNT,
    "rolloutStrategy": _ROLLOUT,
}
_UNKNOWN: dict[str, st.SearchStrategy[Any]] = {"surplus": st.sampled_from((1, "x", {"y": [1, {"z": False}]}, []))}
_POLICIES = {labels.CONVERSION_POD_GROUP_POLICY, labels.CONVERSION_COORDINATION}


def _annotations(*keys: str) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(("x", "rbgctrl.io/restarted-at", *keys)), st.just("1"), max_size=3)


def _named(items: st.SearchStrategy[dict[str, Any]], size: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(items, max_size=size, unique_by=lambda item: item["name"])


def _optional(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


# v1alpha2 -------------------------------------------------------------------------------------------------------------

_REF_V2 = st.fixed_dictionaries({"name": _WORD}, optional={"patch": _PATCH})
_SOURCE_V2: dict[str, st.SearchStrategy[Any]] = {"template": _TEMPLATE, "templateRef": _REF_V2}
_CONFIG = _optional({"type": _RESTART, "baseDelaySeconds": _COUNT, "maxDelaySeconds": _COUNT})
_POLICY: dict[str, st.SearchStrategy[Any]] = {"restartPolicy": _RESTART, "restartPolicyConfig": _CONFIG}
_COMPONENT_V2 = st.fixed_dictionaries(
    {"name": _WORD, "template": _TEMPLATE},
    optional={"size": _COUNT, "serviceName": _WORD, "labels": _MAP, "annotations": _MAP},
)
_LEADER_WORKER = _optional(
    {
        **_SOURCE_V2,
        **_POLICY,
        "size": _COUNT,
        "leaderTemplatePatch": _PATCH,
        "workerTemplatePatch": _PATCH,
        "sharedServiceSelection": st.sampled_from(("All", "LeaderOnly")),
    }
)
_CUSTOM = _optional({"components": st.one_of(_named(_COMPONENT_V2, 3), st.lists(_COMPONENT_V2, max_size=3)), **_POLICY})


@st.composite
def _typed(draw: st.DrawFn) -> dict[str, str]:
    found = draw(_annotations())
    if draw(st.booleans()):
        found[labels.ROLE_WORKLOAD_TYPE] = draw(_TYPES)
    return found


_ROLE_V2 = st.fixed_dictionaries(
    {"name": _WORD},
    optional={
        **_SAME,
        **_UNKNOWN,
        "annotations": _typed(),
        "podManagementPolicy": st.sampled_from(("Parallel", "OrderedReady")),
        "scalingAdapter": _optional({"enable": st.booleans(), "labels": _MAP}),
        "instanceTopologyConstraint": st.just({"topologyName": "t", "pack": {"required": "rack"}}),
        "standalonePattern": _optional(_SOURCE_V2),
        "leaderWorkerPattern": _LEADER_WORKER,
        "customComponentsPattern": _CUSTOM,
        # Kept by the server although v1alpha2 has no such field, and named like one that v1alpha1 has.
        "template": _TEMPLATE,
        "restartPolicy": _RESTART,
        "workload": st.just({"apiVersion": "apps/v1", "kind": "Deployment"}),
    },
)

# v1alpha1 -------------------------------------------------------------------------------------------------------------

_COMPONENT_V1 = st.fixed_dictionaries(
    {"name": _WORD, "template": _TEMPLATE}, optional={"size": _COUNT, "serviceName": _WORD}
)
_WORKLOAD = st.sampled_from(
    (
        {"apiVersion": "apps/v1", "kind": "StatefulSet"},
        {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleInstanceSet"},
        {"apiVersion": "workloads.x-k8s.io/v1alpha1", "kind": "InstanceSet"},
        {"kind": "Deployment"},
        {},
    )
)
_ROLE_V1 = st.fixed_dictionaries(
    {"name": _WORD},
    optional={
        **_SAME,
        **_UNKNOWN,
        "annotations": _typed(),
        "restartPolicy": _RESTART,
        "workload": _WORKLOAD,
        "template": _TEMPLATE,
        "templateRef": st.fixed_dictionaries({"name": _WORD}),
        "templatePatch": _PATCH,
        "leaderWorkerSet": _optional({"size": _COUNT, "patchLeaderTemplate": _PATCH, "patchWorkerTemplate": _PATCH}),
        "components": st.one_of(_named(_COMPONENT_V1, 3), st.lists(_COMPONENT_V1, max_size=3)),
        "scalingAdapter": _optional({"enable": st.booleans()}),
        # The same the other way round.
        "podManagementPolicy": st.just("OrderedReady"),
        "standalonePattern": st.just({"template": {}}),
    },
)
_GANG = _optional(
    {
        "kubeScheduling": _optional({"scheduleTimeoutSeconds": st.integers(1, 90)}),
        "volcanoScheduling": _optional({"queue": _WORD, "priorityClassName": _WORD}),
    }
)
_COORDINATION = _named(
    st.fixed_dictionaries(
        {"name": _WORD, "roles": st.lists(_WORD, max_size=2)},
        optional={
            "strategy": _optional(
                {
                    "rollingUpdate": _optional({"maxSkew": st.just("10%"), "partition": st.just("50%")}),
                    "scaling": _optional({"progression": st.just("OrderReady")}),
                }
            )
        },
    ),
    2,
)

# Objects --------------------------------------------------------------------------------------------------------------


@st.composite
def _metadata(draw: st.DrawFn, *, version: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "g", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    annotations = draw(_annotations(labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY, labels.GROUP_EXCLUSIVE_TOPOLOGY, _TIMEOUT))
    if draw(st.booleans()):
        annotations[labels.GROUP_EXCLUSIVE_TOPOLOGY] = "zone"
    if draw(st.booleans()):
        annotations[labels.GROUP_GANG_SCHEDULING] = draw(st.sampled_from(("true", "false")))
    if version == V2 and draw(st.booleans()):
        texts = ('{"kubeScheduling": {"scheduleTimeoutSeconds": 5}}', "{}", "null", "{", "[]", '[{"name": "a"}]', "1")
        annotations[draw(st.sampled_from(sorted(_POLICIES)))] = draw(st.sampled_from(texts))
    if annotations:
        made["annotations"] = annotations
    return made


_TIMEOUT = labels.GROUP_GANG_TIMEOUT
_STATUS = st.sampled_from(
    ({"roleStatuses": [{"name": "a", "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}]}, None)
)
_TEMPLATES = st.just([{"name": "base", "template": {"spec": {"containers": []}}}])
_ANY_ROLES_V2 = st.one_of(_named(_ROLE_V2, 3), st.lists(_ROLE_V2, max_size=2))
_ANY_ROLES_V1 = st.one_of(_named(_ROLE_V1, 3), st.lists(_ROLE_V1, max_size=2))
_SPEC_V2 = _optional({"roles": _ANY_ROLES_V2, "roleTemplates": _TEMPLATES, "surplus": st.just({"x": 1})})
_SPEC_V1 = _optional(
    {"roles": _ANY_ROLES_V1, "roleTemplates": _TEMPLATES, "podGroupPolicy": _GANG, "coordination": _COORDINATION}
)


@st.composite
def _object(draw: st.DrawFn, kind: str, version: str, spec: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": draw(_metadata(version=version))}
    if draw(st.integers(0, 9)):
        made["spec"] = draw(spec)
    status = draw(_STATUS)
    return made if status is None else {**made, "status": status}


_SOME_ROLES = st.lists(_ROLE_V2, min_size=1, max_size=3, unique_by=lambda role: role["name"])
_FULL_SPEC = st.fixed_dictionaries({"roles": _SOME_ROLES}, optional={"roleTemplates": _TEMPLATES})

group_v1 = _object("RoleBasedGroup", V1, _SPEC_V1)
group_v2 = _object("RoleBasedGroup", V2, _SPEC_V2)
set_v1 = _object("RoleBasedGroupSet", V1, _optional({"replicas": _COUNT, "template": _SPEC_V1, "surplus": st.just(1)}))
set_v2 = _object(
    "RoleBasedGroupSet",
    V2,
    _optional(
        {
            "replicas": _COUNT,
            "groupTemplate": _optional(
                {"labels": _MAP, "annotations": _annotations(*_POLICIES, _TIMEOUT), "spec": _SPEC_V2}
            ),
        }
    ),
)

with_roles_v2 = st.one_of(
    _object("RoleBasedGroup", V2, _FULL_SPEC),
    _object(
        "RoleBasedGroupSet",
        V2,
        st.fixed_dictionaries({"groupTemplate": st.fixed_dictionaries({"spec": _FULL_SPEC})}),
    ),
).filter(lambda obj: "spec" in obj)


def v1_roles(obj: dict[str, Any]) -> list[dict[str, Any]]:
    """The roles of a v1alpha1 group or set."""
    spec = obj.get("spec") or {}
    found = spec.get("roles") if obj["kind"] == "RoleBasedGroup" else (spec.get("template") or {}).get("roles")
    return found or []


def v2_roles(obj: dict[str, Any]) -> list[dict[str, Any]]:
    """The roles of a v1alpha2 group or set."""
    spec = obj.get("spec") or {}
    if obj["kind"] == "RoleBasedGroup":
        return spec.get("roles") or []
    return ((spec.get("groupTemplate") or {}).get("spec") or {}).get("roles") or []
