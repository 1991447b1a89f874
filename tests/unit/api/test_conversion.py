from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from golden import scenario
from rbgctrl.api import labels
from rbgctrl.api.conversion import CARRIERS, ConversionError, convert
from unit.api.conversions import V1, V2

_TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "registry.example/a:1"}]}}
_DELAYS = {"baseDelaySeconds": 30, "maxDelaySeconds": 600}
_SET = {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleInstanceSet"}


def _group(version: str, *roles: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> Any:
    metadata: dict[str, Any] = {"name": "g", "namespace": "n"}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": version, "kind": "RoleBasedGroup", "metadata": metadata, "spec": {"roles": [*roles], **spec}}


def _v2(**role: Any) -> Any:
    return _group(V2, {"name": "a", "replicas": 1, **role})


def _v1(**role: Any) -> Any:
    return _group(V1, {"name": "a", "replicas": 1, **role})


def _role(obj: Any) -> Any:
    return obj["spec"]["roles"][0]


def _carriers(obj: Any) -> set[str]:
    return set(CARRIERS) & set(obj["metadata"].get("annotations") or ())


# The contract's rules -------------------------------------------------------------------------------------------------


def test_the_recorded_v1alpha1_group_is_stored_as_upstream_stores_it() -> None:
    recorded = scenario("v1alpha1")
    given = copy.deepcopy(recorded.input[0])
    for role in given["spec"]["roles"]:  # what the schema of v1alpha1 fills in before the webhook is asked
        role.setdefault("workload", {"apiVersion": "apps/v1", "kind": "StatefulSet"})
        role.setdefault("minReadySeconds", 0)
    stored = convert(given, V2)
    assert _carriers(stored) == set()
    expected = recorded.one("RoleBasedGroup", "old")
    annotations = dict(expected["metadata"]["annotations"])
    del annotations[labels.DISCOVERY_MODE]  # the controller's own
    assert stored["metadata"]["annotations"] == annotations
    for role, wanted in zip(stored["spec"]["roles"], expected["spec"]["roles"], strict=True):
        template = {"spec": {"containers": [_plain(container) for container in _containers(wanted)]}}
        assert role == {**wanted, "standalonePattern": {"template": template}}


def _containers(role: Any) -> list[Any]:
    found: list[Any] = role["standalonePattern"]["template"]["spec"]["containers"]
    return found


def _plain(container: Any) -> Any:
    return {name: value for name, value in container.items() if value != {}}


def test_the_recorded_object_reads_as_the_v1alpha1_group_that_was_applied() -> None:
    recorded = scenario("v1alpha1")
    read = convert(recorded.one("RoleBasedGroup", "old"), V1)
    assert read["spec"]["podGroupPolicy"] == {"kubeScheduling": {"scheduleTimeoutSeconds": 90}}
    assert [role["workload"]["kind"] for role in read["spec"]["roles"]] == ["StatefulSet", "Deployment"]
    shown = set(read["metadata"]["annotations"])
    assert shown == {labels.DISCOVERY_MODE}
    assert all("annotations" not in role for role in read["spec"]["roles"])
    assert convert(read, V2) == recorded.one("RoleBasedGroup", "old")


def test_a_leader_worker_set_becomes_a_leader_worker_pattern_and_keeps_what_it_hides() -> None:
    role = {
        "workload": _SET,
        "leaderWorkerSet": {"size": 3, "patchLeaderTemplate": {}, "patchWorkerTemplate": {"spec": {"x": None}}},
        "templateRef": {"name": "base"},
        "templatePatch": {},
        "restartPolicy": "None",
        "components": [{"name": "c", "template": _TEMPLATE}],
    }
    stored = convert(_v1(**role), V2)
    assert _role(stored) == {
        "name": "a",
        "replicas": 1,
        "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET},
        "leaderWorkerPattern": {
            "size": 3,
            "leaderTemplatePatch": {},
            "workerTemplatePatch": {"spec": {"x": None}},
            "templateRef": {"name": "base", "patch": {}},
            "restartPolicyConfig": {"type": "None", **_DELAYS},
        },
        "podManagementPolicy": "Parallel",
    }
    assert convert(stored, V1) == _v1(**role)


def test_components_become_the_custom_pattern_and_a_template_beside_them_is_carried() -> None:
    role = {
        "workload": {"apiVersion": "apps/v1", "kind": "StatefulSet"},
        "components": [{"name": "c", "size": 2, "serviceName": "s", "template": {"opaque": [None]}}],
        "template": _TEMPLATE,
    }
    stored = convert(_v1(**role), V2)
    assert _role(stored)["customComponentsPattern"] == {
        "components": role["components"],
        "restartPolicyConfig": _DELAYS,
    }
    assert "standalonePattern" not in _role(stored)
    assert convert(stored, V1) == _v1(**role)


def test_a_restart_policy_of_a_standalone_role_has_no_effect_and_is_not_forgotten() -> None:
    given = _v1(workload=_SET, template=_TEMPLATE, restartPolicy="None")
    stored = convert(given, V2)
    assert _role(stored)["standalonePattern"] == {"template": _TEMPLATE}
    assert convert(stored, V1) == given


def test_without_a_restart_policy_the_defaults_are_stored_that_a_reader_would_see() -> None:
    stored = convert(_v1(workload=_SET, template=_TEMPLATE, leaderWorkerSet={}), V2)
    assert _role(stored)["leaderWorkerPattern"] == {"template": _TEMPLATE, "restartPolicyConfig": _DELAYS}
    native = _v2(leaderWorkerPattern={"template": _TEMPLATE})
    assert _edited(native) == _role(native)


@pytest.mark.parametrize(("old", "new"), [("Recreate", "RecreatePod"), ("InPlaceIfPossible", "InPlaceIfPossible")])
def test_recreate_means_recreate_in_both_versions(old: str, new: str) -> None:
    def rollout(kind: str) -> dict[str, Any]:
        return {"type": "RollingUpdate", "rollingUpdate": {"type": kind, "maxUnavailable": 1}}

    stored = convert(_v1(workload=_SET, rolloutStrategy=rollout(old)), V2)
    assert _role(stored)["rolloutStrategy"] == rollout(new)
    assert _carriers(stored) == set()
    assert _role(convert(stored, V1))["rolloutStrategy"] == rollout(old)


def test_what_upstream_stored_as_recreate_stays_as_it_is_until_somebody_changes_it() -> None:
    stored = _v2(rolloutStrategy={"type": "RollingUpdate", "rollingUpdate": {"type": "Recreate"}})
    assert convert(convert(stored, V1), V2) == stored


@pytest.mark.parametrize(
    ("policy", "annotations"),
    [
        ({"kubeScheduling": {}}, {labels.GROUP_GANG_SCHEDULING: "true"}),
        (
            {"volcanoScheduling": {"queue": "q", "priorityClassName": ""}},
            {labels.GROUP_GANG_SCHEDULING: "true", labels.GROUP_GANG_VOLCANO_QUEUE: "q"},
        ),
        (
            {"kubeScheduling": {"scheduleTimeoutSeconds": 7}, "volcanoScheduling": {"queue": "q"}},
            {labels.GROUP_GANG_SCHEDULING: "true", labels.GROUP_GANG_TIMEOUT: "7"},
        ),
        ({}, {}),
    ],
)
def test_a_pod_group_policy_becomes_gang_annotations_and_comes_back_whole(
    policy: dict[str, Any], annotations: dict[str, str]
) -> None:
    given = _group(V1, podGroupPolicy=policy)
    stored = convert(given, V2)
    found = dict(stored["metadata"]["annotations"])
    assert orjson.loads(found.pop(labels.CONVERSION_POD_GROUP_POLICY)) == policy
    assert found == annotations
    assert convert(stored, V1) == given


def test_coordination_travels_as_json_with_its_progression() -> None:
    coordination = [{"name": "c", "roles": ["a"], "strategy": {"scaling": {"progression": "OrderReady"}}}]
    stored = convert(_group(V1, coordination=coordination), V2)
    assert orjson.loads(stored["metadata"]["annotations"][labels.CONVERSION_COORDINATION]) == coordination
    assert convert(stored, V1)["spec"]["coordination"] == coordination


def test_the_old_exclusive_annotation_gets_its_new_name_beside_it() -> None:
    stored = convert(_group(V1, annotations={labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY: "zone"}), V2)
    assert stored["metadata"]["annotations"] == {
        labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY: "zone",
        labels.GROUP_EXCLUSIVE_TOPOLOGY: "zone",
    }
    assert convert(stored, V1)["metadata"]["annotations"] == {labels.V1ALPHA1_EXCLUSIVE_TOPOLOGY: "zone"}


def test_gang_and_exclusive_annotations_of_v1alpha2_users_stay_in_sight_and_in_force() -> None:
    native = {labels.GROUP_GANG_SCHEDULING: "true", labels.GROUP_EXCLUSIVE_TOPOLOGY: "zone"}
    read = convert(_group(V2, annotations=native), V1)
    assert read["metadata"]["annotations"] == native
    assert convert(read, V2)["metadata"]["annotations"] == native


def test_groups_of_a_set_get_coordination_and_gang_scheduling_too() -> None:
    policy, coordination = {"kubeScheduling": {"scheduleTimeoutSeconds": 5}}, [{"name": "c", "roles": []}]
    template = {"roles": [], "podGroupPolicy": policy, "coordination": coordination}
    given = {"apiVersion": V1, "kind": "RoleBasedGroupSet", "spec": {"replicas": 2, "template": template}}
    stored = convert(given, V2)
    assert stored["spec"]["groupTemplate"]["annotations"].keys() == {
        labels.CONVERSION_COORDINATION,
        labels.GROUP_GANG_SCHEDULING,
        labels.GROUP_GANG_TIMEOUT,
    }
    assert labels.CONVERSION_POD_GROUP_POLICY in stored["metadata"]["annotations"]
    assert convert(stored, V1) == {**given, "metadata": {}}


def test_labels_and_annotations_of_a_sets_groups_survive_a_v1alpha1_client() -> None:
    stored = {
        "apiVersion": V2,
        "kind": "RoleBasedGroupSet",
        "metadata": {"name": "s"},
        "spec": {"groupTemplate": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "spec": {"roles": []}}},
    }
    read = copy.deepcopy(convert(stored, V1))
    read["spec"]["replicas"] = 3
    assert convert(read, V2) == {**stored, "spec": {**stored["spec"], "replicas": 3}}  # type: ignore[dict-item]  # a plain dict


@pytest.mark.parametrize("kind", ["RoleBasedGroupScalingAdapter", "ClusterEngineRuntimeProfile"])
def test_kinds_that_are_the_same_in_both_versions_change_nothing_but_the_version(kind: str) -> None:
    obj = {"apiVersion": V1, "kind": kind, "spec": {"anything": [None]}}
    assert convert(obj, V2) == {**obj, "apiVersion": V2}


# What the client changed stays changed --------------------------------------------------------------------------------


_FULL = {
    "podManagementPolicy": "OrderedReady",
    "scalingAdapter": {"enable": True, "labels": {"l": "1"}},
    "instanceTopologyConstraint": {"topologyName": "t"},
    "surplus": {"x": 1},
    "leaderWorkerPattern": {
        "size": 2,
        "template": _TEMPLATE,
        "sharedServiceSelection": "LeaderOnly",
        "restartPolicyConfig": {"type": "None", "baseDelaySeconds": 1, "maxDelaySeconds": 2},
    },
    "customComponentsPattern": {"components": [{"name": "c", "template": _TEMPLATE, "labels": {"x": "y"}}]},
}


def _edited(stored: Any, **changes: Any) -> Any:
    """The stored role after a v1alpha1 client read it, changed fields of it (None removes) and wrote it back."""
    read = copy.deepcopy(convert(stored, V1))
    role = _role(read)
    for name, value in changes.items():
        role.pop(name, None)
        if value is not None:
            role[name] = value
    return _role(convert(read, V2))


def test_another_image_changes_nothing_else() -> None:
    other = {"spec": {"containers": [{"name": "c", "image": "registry.example/a:2"}]}}
    before = _role(_v2(**_FULL))
    assert _edited(_v2(**_FULL), template=other) == {
        **before,
        "leaderWorkerPattern": {**before["leaderWorkerPattern"], "template": other},
    }


def test_another_workload_drops_what_only_the_old_one_can_do() -> None:
    role = _edited(_v2(**_FULL), workload={"apiVersion": "apps/v1", "kind": "StatefulSet"})
    assert role["annotations"] == {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_STATEFUL_SET}
    assert "sharedServiceSelection" not in role["leaderWorkerPattern"]
    assert role["leaderWorkerPattern"]["restartPolicyConfig"]["maxDelaySeconds"] == 2


def test_another_pattern_brings_back_neither_the_old_one_nor_what_hid_behind_it() -> None:
    role = _edited(_v2(**_FULL), leaderWorkerSet=None)
    assert "leaderWorkerPattern" not in role
    assert "customComponentsPattern" not in role
    assert role["standalonePattern"] == {"template": _TEMPLATE}
    assert role["podManagementPolicy"] == "OrderedReady"


def test_components_of_the_client_win_over_carried_ones() -> None:
    role = _edited(_v2(**_FULL), leaderWorkerSet=None, components=[{"name": "c", "template": {}}])
    assert role["customComponentsPattern"] == {
        "components": [{"name": "c", "template": {}}],
        "restartPolicyConfig": {"type": "None", **_DELAYS},
    }


def test_a_new_restart_policy_keeps_its_delays_and_none_wins_over_the_deprecated_field() -> None:
    role = _edited(_v2(**_FULL), restartPolicy="RecreateRoleInstanceOnPodRestart")
    assert role["leaderWorkerPattern"]["restartPolicyConfig"] == {
        "type": "RecreateRoleInstanceOnPodRestart",
        "baseDelaySeconds": 1,
        "maxDelaySeconds": 2,
    }
    old = _v2(leaderWorkerPattern={"template": _TEMPLATE, "restartPolicy": "None"})
    assert _edited(old) == _role(old)
    assert _edited(old, restartPolicy=None)["leaderWorkerPattern"] == {"template": _TEMPLATE}


def test_an_adapter_that_is_removed_takes_its_labels_along_and_a_changed_one_keeps_them() -> None:
    assert "scalingAdapter" not in _edited(_v2(**_FULL), scalingAdapter=None)
    assert _edited(_v2(**_FULL), scalingAdapter={"enable": False})["scalingAdapter"] == {
        "enable": False,
        "labels": {"l": "1"},
    }


def test_a_role_annotation_of_the_client_does_not_add_the_workload_type() -> None:
    assert _edited(_v2(**_FULL), annotations={"x": "y"})["annotations"] == {"x": "y"}


def test_labels_of_components_follow_their_names() -> None:
    def component(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "template": _TEMPLATE, **more}

    stored = _v2(customComponentsPattern={"components": [component("a", labels={"x": "1"}), component("b", labels={})]})
    role = _edited(stored, components=[component("new"), component("a", size=2)])
    assert role["customComponentsPattern"]["components"] == [
        component("new"),
        component("a", size=2, labels={"x": "1"}),
    ]


def test_a_policy_that_the_client_removes_takes_its_annotations_along() -> None:
    stored = convert(_group(V1, podGroupPolicy={"kubeScheduling": {"scheduleTimeoutSeconds": 9}}), V2)
    read = copy.deepcopy(convert(stored, V1))
    del read["spec"]["podGroupPolicy"]
    assert "annotations" not in convert(read, V2)["metadata"]


def test_a_v1alpha2_client_that_changes_the_pattern_is_not_overruled_by_what_v1alpha1_carried() -> None:
    stored = convert(_v1(workload=_SET, template=_TEMPLATE, restartPolicy="None"), V2)
    _role(stored)["leaderWorkerPattern"] = {"size": 2, **_role(stored).pop("standalonePattern")}
    assert "restartPolicy" not in _role(convert(stored, V1))
    assert "restartPolicyConfig" not in _role(convert(convert(stored, V1), V2))["leaderWorkerPattern"]


def test_more_than_an_object_can_hold_in_annotations_is_left_behind_rather_than_stored() -> None:
    huge = {"spec": {"containers": [{"name": "c", "args": ["x" * 200_000]}]}}
    stored = convert(_v1(workload=_SET, components=[{"name": "c", "template": {}}], template=huge), V2)
    assert "annotations" not in stored["metadata"]


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "to", "words"),
    [
        ({"apiVersion": V1, "kind": "RoleBasedGroup", "spec": []}, V2, "spec: is a list; write an object"),
        (_group(V1, spec=1) | {"spec": {"roles": [1]}}, V2, r"spec.roles\[0\]: is a number"),
        (_v1(workload="Deployment"), V2, r"spec.roles\[0\].workload: is text"),
        (_v1(workload={"apiVersion": 1, "kind": "x"}), V2, r"spec.roles\[0\].workload.apiVersion: is a number"),
        (_v2(leaderWorkerPattern=True), V1, r"spec.roles\[0\].leaderWorkerPattern: is a truth value"),
        (_v2(), "workloads.x-k8s.io/v1", "desiredAPIVersion: 'workloads.x-k8s.io/v1' is unknown"),
        ({"apiVersion": V2, "kind": "CoordinatedPolicy"}, V1, "exists in one version only"),
        ({"apiVersion": "v1", "kind": "RoleBasedGroup"}, V1, "apiVersion: 'v1' is unknown"),
        ([], V1, "has to be a JSON object"),
    ],
)
def test_what_cannot_be_converted_says_which_field_and_why(obj: Any, to: str, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        convert(obj, to)


@pytest.mark.parametrize("text", ["{", "null", "[]", "1", '"x"'])
def test_an_unreadable_policy_annotation_stays_an_annotation_so_that_lists_can_be_read(text: str) -> None:
    stored = _group(V2, annotations={labels.CONVERSION_POD_GROUP_POLICY: text})
    read = convert(stored, V1)
    assert read["metadata"]["annotations"] == {labels.CONVERSION_POD_GROUP_POLICY: text}
    assert convert(read, V2) == stored
