from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from golden.groups import VECTORS
from rbgctrl.api import labels
from rbgctrl.api.admission import AdmissionOptions, Verdict, review

_POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
_STANDALONE = {"standalonePattern": {"template": _POD}}
_STATELESS = {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}
_OLD_TYPES = (
    labels.WORKLOAD_TYPE_STATEFUL_SET,
    labels.WORKLOAD_TYPE_DEPLOYMENT,
    labels.WORKLOAD_TYPE_LEADER_WORKER_SET,
)
_DEPENDS_ON = labels.COMPONENT_DEPENDS_ON
_CLOSED = AdmissionOptions(deprecated_workload_types=False)
_ADDED_BY_US = {"components may share a name", "any text as a limit"}
"""Vectors that the schema accepts and admission does not."""


def _group(*roles: Mapping[str, Any], name: str = "g", **spec: Any) -> dict[str, Any]:
    listed = [{"name": "abcdef"[index], **role} for index, role in enumerate(roles)]
    return {"metadata": {"name": name}, "spec": {"roles": listed, **spec}}


def _set(group: Mapping[str, Any], name: str = "s", replicas: Any = 2) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "groupTemplate": {"spec": group["spec"]}}}


def _nobody(name: str) -> int | None:
    return None


def _review(
    new: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    kind: str = "RoleBasedGroup",
    options: AdmissionOptions | None = None,
) -> Verdict:
    return review(kind, new, old, options or AdmissionOptions(), _nobody)


def _paths(verdict: Verdict) -> list[str]:
    return [finding.path for finding in verdict.errors]


def _rollout(replicas: int = 4, **update: Any) -> dict[str, Any]:
    return {**_STANDALONE, "replicas": replicas, "rolloutStrategy": {"rollingUpdate": update}}


_FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a name that is no DNS label": (_group(_STANDALONE, name="a.b"), "metadata.name", "DNS label"),
    "a name of 64 characters": (
        _group({**_STANDALONE, "annotations": _STATELESS}, name="a" * 64),
        "metadata.name",
        "at most 63",
    ),
    "a reference to nothing": (
        _group({"standalonePattern": {"templateRef": {"name": "ghost", "patch": {}}}}),
        "spec.roles[0].standalonePattern.templateRef.name",
        "ghost is no entry of spec.roleTemplates",
    ),
    "an unknown dependency": (
        _group({**_STANDALONE, "dependencies": ["ghost"]}),
        "spec.roles[0].dependencies[0]",
        "ghost is no role",
    ),
    "a cycle": (
        _group(
            {**_STANDALONE, "dependencies": ["b"]},
            {**_STANDALONE, "dependencies": ["c"]},
            {**_STANDALONE, "dependencies": ["a"]},
        ),
        "spec.roles[0].dependencies[0]",
        "a -> b -> c -> a",
    ),
    "a role that waits for itself": (
        _group({**_STANDALONE, "dependencies": ["a"]}),
        "spec.roles[0].dependencies[0]",
        "a -> a",
    ),
    "a role name over the limit of label keys": (
        _group({**_STANDALONE, "name": "r" * 50}),
        "spec.roles[0].name",
        "may have 49",
    ),
    "a role name that no object can carry": (_group({**_STANDALONE, "name": "Up"}), "spec.roles[0].name", "DNS label"),
    "a workload name over the limit of revisions": (
        _group({**_STANDALONE, "name": "r" * 49}, name="grp"),
        "spec.roles[0].name",
        "has 53 characters",
    ),
    "children that share a name once it is cut": (
        _group(
            {**_STANDALONE, "name": "same-a", "annotations": _STATELESS},
            {**_STANDALONE, "name": "same-b", "annotations": _STATELESS},
            name="g" * 58,
        ),
        "spec.roles[1].name",
        "rename one role",
    ),
    "a pod name over the limit": (
        _group(
            {
                "name": "r" * 21,
                "annotations": _STATELESS,
                "customComponentsPattern": {"components": [{"name": "c" * 17, "template": _POD}]},
            },
            name="g" * 16,
        ),
        "spec.roles[0].name",
        "of at most 63",
    ),
    "two components of one name": (
        _group({"customComponentsPattern": {"components": [{"name": "x", "template": _POD}] * 2}}),
        "spec.roles[0].customComponentsPattern.components[1].name",
        "rename one",
    ),
    "a component that wants the address of nobody": (
        _group(
            {
                "customComponentsPattern": {
                    "components": [
                        {
                            "name": "x",
                            "template": _POD,
                            "annotations": {labels.COMPONENT_DISCOVERY: '{"addressRefs":[{"component":"ghost"}]}'},
                        }
                    ]
                }
            }
        ),
        f"spec.roles[0].customComponentsPattern.components[0].annotations[{labels.COMPONENT_DISCOVERY}]",
        "ghost is no component",
    ),
    "a component annotation that is no JSON": (
        _group(
            {
                "customComponentsPattern": {
                    "components": [
                        {
                            "name": "x",
                            "template": {**_POD, "metadata": {"annotations": {labels.COMPONENT_DEPENDS_ON: "{"}}},
                        }
                    ]
                }
            }
        ),
        f"spec.roles[0].customComponentsPattern.components[0].template.metadata.annotations[{_DEPENDS_ON}]",
        "is no JSON",
    ),
    "a label that no object can carry": (
        _group({**_STANDALONE, "labels": {"no key!": "x"}}),
        "spec.roles[0].labels[no key!]",
        "is no key",
    ),
    "an unknown instance pattern": (
        _group({**_STANDALONE, "annotations": {labels.INSTANCE_PATTERN: "Sometimes"}}),
        f"spec.roles[0].annotations[{labels.INSTANCE_PATTERN}]",
        "neither Stateful nor Stateless",
    ),
    "a role template without a container": (
        _group(_STANDALONE, roleTemplates=[{"name": "t", "template": {}}]),
        "spec.roleTemplates[0].template.spec.containers",
        "at least one container",
    ),
    "a templateRef of a LeaderWorkerSet": (
        _group(
            {
                "leaderWorkerPattern": {"templateRef": {"name": "t", "patch": {}}},
                "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET},
            },
            roleTemplates=[{"name": "t", "template": _POD}],
        ),
        "spec.roles[0].leaderWorkerPattern.templateRef",
        "write the template inline",
    ),
    "a surge that is no number": (
        _group(_rollout(maxSurge="5")),
        "spec.roles[0].rolloutStrategy.rollingUpdate.maxSurge",
        "invalid value '5'",
    ),
    "a limit of more than 32 bits": (
        _group(_rollout(partition=2**31)),
        "spec.roles[0].rolloutStrategy.rollingUpdate.partition",
        "invalid value 2147483648",
    ),
    "no unavailable and no surge": (
        _group(_rollout(maxUnavailable=0)),
        "spec.roles[0].rolloutStrategy.rollingUpdate",
        "cannot both be 0",
    ),
    "unavailable below one replica and no surge": (
        _group(_rollout(maxUnavailable="10%")),
        "spec.roles[0].rolloutStrategy.rollingUpdate.maxUnavailable",
        "less than one of 4 replicas",
    ),
    "a partition of all replicas": (
        _group(_rollout(replicas=2, partition=2)),
        "spec.roles[0].rolloutStrategy.rollingUpdate.partition",
        "less than that",
    ),
    "a partition of every percent": (
        _group(_rollout(partition="100%")),
        "spec.roles[0].rolloutStrategy.rollingUpdate.partition",
        "less than that",
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_can_never_run_is_refused_on_creation_at_its_place_and_says_what_would_be_right(fault: str) -> None:
    body, path, words = _FAULTS[fault]
    verdict = _review(body)
    assert _paths(verdict) == [path], verdict.message
    assert words in verdict.message
    assert verdict.message.startswith(f"{path}: ")


@pytest.mark.parametrize("fault", [name for name in _FAULTS if "64" not in name])  # there, every role collides
def test_an_object_that_already_has_a_fault_may_keep_it_and_is_warned(fault: str) -> None:
    old, path, _ = _FAULTS[fault]
    new = copy.deepcopy(old)
    # Places move when roles are added, faults do not.
    new["spec"]["roles"].insert(0, {"name": "z", **_STANDALONE, "annotations": _STATELESS})
    verdict = _review(new, old)
    assert verdict.allowed, verdict.message
    assert {finding.path.rpartition("]")[2] for finding in verdict.warnings} >= {path.rpartition("]")[2]}


@pytest.mark.parametrize("fault", [name for name in _FAULTS if "no DNS label" not in name and "64" not in name])
def test_a_fault_that_an_update_brings_in_is_refused(fault: str) -> None:
    new, path, _ = _FAULTS[fault]
    old = {**copy.deepcopy(new), "spec": _group(_STANDALONE)["spec"]}
    old["spec"]["roles"][0]["name"] = "before"
    assert _paths(_review(new, old)) == [path]


@pytest.mark.parametrize("fault", _FAULTS)
def test_metadata_status_and_finalizers_change_freely_whatever_else_is_wrong(fault: str) -> None:
    old, _, _ = _FAULTS[fault]
    new = copy.deepcopy(old)
    new["metadata"] |= {"annotations": {"note": "x"}, "finalizers": ["a/b"]}
    new["status"] = {"roleStatuses": []}
    assert _review(new, old).allowed
    assert _review(new, old, options=_CLOSED).allowed
    gone = copy.deepcopy(new)
    gone["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": []}
    gone["spec"] = {"roles": "nonsense"}
    assert _review(gone, new) == Verdict()


def test_both_kinds_of_gang_scheduling_are_refused_on_creation_and_not_in_a_change_of_metadata() -> None:
    plain = _group(_STANDALONE)
    both = copy.deepcopy(plain)
    both["metadata"]["annotations"] = {labels.GROUP_GANG_SCHEDULING: "true", labels.INSTANCE_GANG_SCHEDULING: "true"}
    verdict = _review(both)
    assert _paths(verdict) == [f"metadata.annotations[{labels.INSTANCE_GANG_SCHEDULING}]"]
    assert labels.GROUP_GANG_SCHEDULING in verdict.message
    changed = _review(both, plain)
    assert changed.allowed
    assert [finding.rule for finding in changed.warnings] == ["gang-conflict"]


_INCOMPLETE = {
    "a role with only a name": ({"roles": [{"name": "a"}]}, "no-pattern"),
    "no spec": (None, "no-spec"),
    "a pattern without a template": ({"roles": [{"name": "a", "standalonePattern": {}}]}, "no-template"),
    "a templateRef without patch": (
        {
            "roles": [{"name": "a", "standalonePattern": {"templateRef": {"name": "t"}}}],
            "roleTemplates": [{"name": "t", "template": _POD}],
        },
        "no-patch",
    ),
    "a second pattern": ({"roles": [{"name": "a", **_STANDALONE, "customComponentsPattern": {}}]}, "two-patterns"),
    "a field of v1alpha1 in a role": ({"roles": [{"name": "a", **_STANDALONE, "workload": {}}]}, "unknown-field"),
    "an unknown field in a role": ({"roles": [{"name": "a", **_STANDALONE, "replica": 1}]}, "unknown-field"),
    "an unknown workload type": (
        {"roles": [{"name": "a", **_STANDALONE, "annotations": {labels.ROLE_WORKLOAD_TYPE: "batch/v1/Job"}}]},
        "workload-type",
    ),
    "a component without a container": (
        {"roles": [{"name": "a", "customComponentsPattern": {"components": [{"name": "x", "template": {}}]}}]},
        "no-containers",
    ),
    "no components": ({"roles": [{"name": "a", "customComponentsPattern": {}}]}, "no-components"),
    "a leader-worker size of 0": (
        {"roles": [{"name": "a", "leaderWorkerPattern": {"size": 0, "template": _POD}}]},
        "size",
    ),
    "nonsense as a limit of a role without replicas": (
        {"roles": [{"name": "a", **_rollout(0, maxSurge="x")}]},
        "limit",
    ),
    "two restart policies": (
        {
            "roles": [
                {
                    "name": "a",
                    "leaderWorkerPattern": {
                        "template": _POD,
                        "restartPolicy": "None",
                        "restartPolicyConfig": {"type": "RecreateRoleInstanceOnPodRestart"},
                    },
                }
            ]
        },
        "restart-policy",
    ),
}


@pytest.mark.parametrize("case", _INCOMPLETE)
def test_what_upstream_accepts_although_it_is_incomplete_or_odd_is_accepted_with_a_warning(case: str) -> None:
    spec, rule = _INCOMPLETE[case]
    verdict = _review({"metadata": {"name": "g"}, **({} if spec is None else {"spec": spec})})
    assert verdict.allowed, verdict.message
    assert rule in [finding.rule for finding in verdict.warnings]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_every_vector_of_the_schema_is_judged_alike(vector: Any) -> None:
    body = {"metadata": {"name": "g"}, **({} if vector.spec is None else {"spec": vector.spec})}
    body = copy.deepcopy(body)
    if "templateRef" in vector.name or "patch" in vector.name:
        spec = body.get("spec") or {}
        spec.setdefault("roleTemplates", [{"name": "base", "template": _POD}])
    assert _review(body).allowed is not (bool(vector.refused) or vector.name in _ADDED_BY_US)


def test_every_fault_is_told_at_once() -> None:
    body = _group({**_rollout(maxSurge="x"), "dependencies": ["ghost"]}, {**_STANDALONE, "name": "Up"}, name="a.b")
    verdict = _review(body)
    assert len(verdict.errors) == 4
    assert all(finding.path in verdict.message for finding in verdict.errors)


def test_a_refusal_names_the_value() -> None:
    verdict = _review(_group({**_STANDALONE, "name": "Up"}))
    assert '"Up"' in verdict.message


def test_a_second_fault_of_the_same_kind_is_new() -> None:
    old = _group({**_STANDALONE, "dependencies": ["ghost"]})
    new = _group({**_STANDALONE, "dependencies": ["b", "spirit", "ghost"]}, _STANDALONE)
    verdict = _review(new, old)
    assert [finding.value for finding in verdict.errors] == ["spirit"]
    assert [finding.value for finding in verdict.warnings] == ["ghost"]


def test_scaling_below_the_partition_passes_and_moving_the_partition_does_not() -> None:
    old = _group(_rollout(replicas=4, partition=3))
    assert _review(_group(_rollout(replicas=2, partition=3)), old).allowed
    assert not _review(_group(_rollout(replicas=4, partition=4)), old).allowed
    percent = _group(_rollout(replicas=10, maxUnavailable="10%"))
    assert _review(_group(_rollout(replicas=4, maxUnavailable="10%")), percent).allowed
    idle = _group(_rollout(replicas=0, maxUnavailable=0))
    assert not _review(_group(_rollout(replicas=1, maxUnavailable=0)), idle).allowed


# Adapters -------------------------------------------------------------------------------------------------------------


def _adapted(replicas: int, *, enable: bool = True) -> dict[str, Any]:
    return _group({**_STANDALONE, "replicas": replicas, "scalingAdapter": {"enable": enable}})


@pytest.mark.parametrize(
    ("old", "new", "wanted", "refused"),
    [
        (_adapted(1), _adapted(2), 3, True),
        (_adapted(1), _adapted(3), 3, False),
        (_adapted(1), _adapted(2), None, False),
        (_adapted(1), _adapted(2, enable=False), 3, False),
        (_adapted(1, enable=False), _adapted(2), 3, True),
        (_adapted(1), _adapted(1), 3, False),
        (_group({**_STANDALONE, "name": "other"}), _adapted(2), 3, False),
    ],
)
def test_replicas_that_an_adapter_decides_about_change_only_to_what_it_says(
    old: dict[str, Any], new: dict[str, Any], wanted: int | None, refused: bool
) -> None:
    asked: list[str] = []

    def adapter(name: str) -> int | None:
        asked.append(name)
        return wanted

    verdict = review("RoleBasedGroup", new, old, AdmissionOptions(), adapter)
    assert _paths(verdict) == (["spec.roles[0].replicas"] if refused else [])
    if refused:
        assert 'ScalingAdapter "g-a" has spec.replicas 3' in verdict.message
    assert asked in ([], ["g-a"])


def test_a_new_group_asks_for_no_adapter() -> None:
    def adapter(name: str) -> int | None:
        raise AssertionError(name)

    assert review("RoleBasedGroup", _adapted(2), None, AdmissionOptions(), adapter).allowed


# Deprecated types, sets, policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _OLD_TYPES)
def test_deprecated_workload_types_are_refused_where_they_are_not_enabled(kind: str) -> None:
    body = _group(_STANDALONE, {**_STANDALONE, "annotations": {labels.ROLE_WORKLOAD_TYPE: kind}})
    place = f"roles[1].annotations[{labels.ROLE_WORKLOAD_TYPE}]"
    assert _review(body).allowed
    verdict = _review(body, options=_CLOSED)
    assert _paths(verdict) == [f"spec.{place}"]
    assert "deprecated and not enabled on this cluster" in verdict.message
    assert "v1alpha1 means StatefulSet" in verdict.message
    assert _paths(_review(_set(body), kind="RoleBasedGroupSet", options=_CLOSED)) == [
        f"spec.groupTemplate.spec.{place}"
    ]
    changed = _group({**_STANDALONE, "replicas": 2}, body["spec"]["roles"][1])
    assert _review(changed, body, options=_CLOSED).allowed


@pytest.mark.parametrize("fault", [name for name in _FAULTS if "no DNS label" not in name and "64" not in name])
def test_the_groups_of_a_set_are_judged_before_they_exist(fault: str) -> None:
    group, path, _ = _FAULTS[fault]
    verdict = _review(_set(group, name=group["metadata"]["name"][:-2] or "g", replicas=1), kind="RoleBasedGroupSet")
    if group["metadata"]["name"] == "g" and "name" not in path:
        assert _paths(verdict) == [path.replace("spec.", "spec.groupTemplate.spec.", 1)]
    else:
        assert all(found.startswith("spec.groupTemplate.spec.") for found in _paths(verdict))


def test_the_last_group_of_a_set_has_the_longest_name() -> None:
    group = _group({**_STANDALONE, "name": "r" * 48})
    assert _review(_set(group, name="s", replicas=10), kind="RoleBasedGroupSet").allowed
    assert not _review(_set(group, name="s", replicas=11), kind="RoleBasedGroupSet").allowed
    assert _paths(_review(_set(_group(_STANDALONE), name="a.b"), kind="RoleBasedGroupSet")) == ["metadata.name"]


def test_a_role_that_only_a_set_could_have_wrong_may_stay_wrong() -> None:
    bad = _set(_group({**_STANDALONE, "dependencies": ["ghost"]}))
    more = _set(_group({**_STANDALONE, "dependencies": ["ghost"]}), replicas=3)
    assert _review(more, bad, kind="RoleBasedGroupSet").allowed


def test_a_rule_about_strangers_is_refused() -> None:
    rule = {"name": "x", "roles": ["a", "b"], "strategy": {"scaling": {"ratio": {"a": 1, "ghost": 2}}}}
    verdict = _review({"metadata": {"name": "g"}, "spec": {"policies": [rule]}}, kind="CoordinatedPolicy")
    assert _paths(verdict) == ["spec.policies[0].strategy.scaling"]
    assert "ghost is no role of this rule" in verdict.message


@pytest.mark.parametrize(("skew", "allowed"), [("10%", True), (5, True), ("5", False), ("abc", False), ("101%", False)])
def test_a_skew_is_a_percentage(skew: Any, allowed: bool) -> None:
    rule = {"name": "x", "roles": ["a"], "strategy": {"scaling": {"maxSkew": skew}}}
    body = {"metadata": {"name": "g"}, "spec": {"policies": [rule]}}
    assert _review(body, kind="CoordinatedPolicy").allowed is allowed


def test_kinds_without_rules_pass() -> None:
    assert _review({"spec": 1}, kind="RoleInstance") == Verdict()


def test_a_name_that_will_be_generated_counts_with_its_suffix() -> None:
    body = _group({**_STANDALONE, "name": "r" * 48})
    body["metadata"] = {"generateName": "x"}
    assert "has 55 characters" in _review(body).message
