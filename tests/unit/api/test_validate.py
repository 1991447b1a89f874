from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import SCENARIOS, scenario
from golden.groups import VECTORS
from rbgctrl.api import events, labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook
from rbgctrl.api.validate import Finding, Severity, group_findings

_POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
_STANDALONE = {"standalonePattern": {"template": _POD}}


def _group(*roles: dict[str, Any], name: str = "g", templates: Any = None) -> RoleBasedGroup:
    listed = [{"name": "abcdef"[index], **role} for index, role in enumerate(roles)]
    spec = {"roles": listed, "roleTemplates": templates}
    return msgspec.convert({"metadata": {"name": name}, "spec": spec}, RoleBasedGroup, dec_hook=dec_hook)


def _findings(*roles: dict[str, Any], **group: Any) -> dict[str, Finding]:
    return {finding.path: finding for finding in group_findings(_group(*roles, **group))}


def _only(*roles: dict[str, Any], **group: Any) -> Finding:
    found = group_findings(_group(*roles, **group))
    assert len(found) == 1, [str(item) for item in found]
    return found[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_recorded_group_that_ran_is_found_sound(name: str) -> None:
    for stored in scenario(name).of("RoleBasedGroup"):
        assert group_findings(msgspec.convert(stored, RoleBasedGroup, dec_hook=dec_hook)) == ()


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused], ids=lambda v: v.name)
def test_whatever_decodes_is_judged_without_raising(vector: Any) -> None:
    body = {"metadata": {"name": "g"}, **({} if vector.spec is None else {"spec": vector.spec})}
    for finding in group_findings(msgspec.convert(body, RoleBasedGroup, dec_hook=dec_hook)):
        assert str(finding).startswith(finding.path)


def test_a_group_without_a_spec_has_one_fault_of_its_own() -> None:
    found = group_findings(msgspec.convert({"metadata": {"name": "g"}}, RoleBasedGroup))
    assert [(item.path, item.role, item.is_error) for item in found] == [("spec", "", True)]


@pytest.mark.parametrize(
    ("field", "entry", "value"),
    [
        ("labels", {"no key!": "x"}, "no key!"),
        ("labels", {"": "x"}, ""),
        ("labels", {"a/b/c": "x"}, "a/b/c"),
        ("labels", {"Example.com/a": "x"}, "Example.com/a"),
        ("labels", {"example..com/a": "x"}, "example..com/a"),
        ("labels", {"a" * 64: "x"}, "a" * 64),
        ("labels", {"team": "no value!"}, "no value!"),
        ("labels", {"team": "x" * 64}, "x" * 64),
        ("annotations", {"no key!": "x"}, "no key!"),
        ("annotations", {"/a": "x"}, "/a"),
    ],
)
def test_a_label_or_annotation_that_no_object_can_carry_is_refused(field: str, entry: Any, value: str) -> None:
    found = _only({**_STANDALONE, field: entry})
    assert (found.path, found.value, found.role) == (f"spec.roles[0].{field}[{next(iter(entry))}]", value, "a")


def test_labels_of_an_adapter_count_where_there_is_one() -> None:
    adapter = {"labels": {"no key!": "x"}}
    assert not _findings({**_STANDALONE, "scalingAdapter": adapter})
    found = _only({**_STANDALONE, "scalingAdapter": {**adapter, "enable": True}})
    assert (found.path, found.value, found.role) == ("spec.roles[0].scalingAdapter.labels[no key!]", "no key!", "a")


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize("entry", [{"a": ""}, {"example.com/A_b.c-1": "x"}, {"a" * 63: "9"}, {"a." * 100 + "b/c": "x"}])
def test_what_objects_can_carry_is_taken(field: str, entry: Any) -> None:
    assert not _findings({**_STANDALONE, field: entry})
    assert not _findings({**_STANDALONE, "annotations": {"Example.com/a": "what you like: {}"}})


@pytest.mark.parametrize("name", ["a.b", "A", "a" * 64])
def test_a_group_name_must_be_a_dns_label(name: str) -> None:
    assert _findings(_STANDALONE, name=name)["metadata.name"].value == name


@pytest.mark.parametrize(
    ("group", "name", "words"),
    [("g", "r" * 50, "may have 49"), ("g", "Up", "DNS label"), ("g", "a.b", "DNS label"), ("grp", "r" * 49, "have 52")],
)
def test_a_role_name_that_its_children_cannot_carry_is_refused(group: str, name: str, words: str) -> None:
    finding = _only({**_STANDALONE, "name": name}, name=group)
    assert finding.path == "spec.roles[0].name"
    assert re.search(words, finding.message)
    assert finding.role == name


def test_the_longest_pod_name_counts_surge_and_component() -> None:
    leader = {"name": "r" * 40, "leaderWorkerPattern": {"size": 9, "template": _POD}, "replicas": 9}
    assert group_findings(_group(leader, name="g" * 11)) == ()
    stateless = {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}
    component = {"name": "c" * 17, "size": 2, "template": _POD}
    custom = {"annotations": stateless, "customComponentsPattern": {"components": [component]}}
    assert group_findings(_group({**custom, "name": "r" * 20}, name="g" * 16)) == ()
    assert "would have 64 of" in _only({**custom, "name": "r" * 21}, name="g" * 16).message


def test_two_roles_whose_children_would_share_a_name_are_refused() -> None:
    stateless = {**_STANDALONE, "annotations": {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}}
    found = group_findings(_group({**stateless, "name": "same-a"}, {**stateless, "name": "same-b"}, name="g" * 58))
    assert any("rename one role" in finding.message and finding.role == "same-b" for finding in found)


def test_an_unknown_dependency_is_named() -> None:
    finding = _only({**_STANDALONE, "dependencies": ["b", "nobody"]}, _STANDALONE)
    assert (finding.path, finding.value) == ("spec.roles[0].dependencies[1]", "nobody")
    assert finding.reason == events.INVALID_ROLE_DEPENDENCY


def test_workload_types_and_instance_patterns_must_be_known() -> None:
    finding = _only({**_STANDALONE, "annotations": {labels.ROLE_WORKLOAD_TYPE: "batch/v1/Job"}})
    assert "unsupported workload type: batch/v1/Job" in finding.message
    finding = _only({**_STANDALONE, "annotations": {labels.INSTANCE_PATTERN: "Sometimes"}})
    assert finding.reason == events.UNKNOWN_INSTANCE_PATTERN


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ({}, ""),
        ({"standalonePattern": {}}, ".standalonePattern"),
        ({"leaderWorkerPattern": {}}, ".leaderWorkerPattern"),
        (
            {"standalonePattern": {"template": {"spec": {"containers": []}}}},
            ".standalonePattern.template.spec.containers",
        ),
        ({"standalonePattern": {"template": {}}}, ".standalonePattern.template.spec.containers"),
        ({"leaderWorkerPattern": {"size": 0, "template": _POD}}, ".leaderWorkerPattern.size"),
        (
            {"standalonePattern": {"templateRef": {"name": "nobody", "patch": {}}}},
            ".standalonePattern.templateRef.name",
        ),
        ({"standalonePattern": {"templateRef": {"name": "t"}}}, ".standalonePattern.templateRef.patch"),
        (
            {
                "leaderWorkerPattern": {"templateRef": {"name": "t", "patch": {}}},
                "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET},
            },
            ".leaderWorkerPattern.templateRef",
        ),
        ({"customComponentsPattern": {}}, ".customComponentsPattern.components"),
    ],
)
def test_a_role_without_a_usable_template_is_refused_at_the_field_that_lacks_it(role: Any, path: str) -> None:
    finding = _only(role, templates=[{"name": "t", "template": _POD}])
    assert finding.path == f"spec.roles[0]{path}"
    assert finding.is_error


def test_a_role_template_needs_a_container() -> None:
    finding = _only(_STANDALONE, templates=[{"name": "t", "template": {}}])
    assert (finding.reason, finding.role) == (events.INVALID_ROLE_TEMPLATES, "")


def test_components_need_distinct_names_and_sizes_that_make_sense() -> None:
    components = [
        {"name": "x", "template": _POD},
        {"name": "x", "template": _POD},
        {"name": "", "template": _POD},
        {"name": "y", "size": -1, "template": {}},
    ]
    paths = sorted(_findings({"customComponentsPattern": {"components": components}}))
    field = "spec.roles[0].customComponentsPattern.components"
    assert paths == [
        f"{field}[1].name",
        f"{field}[2].name",
        f"{field}[3].size",
        f"{field}[3].template.spec.containers",
    ]


def test_a_pattern_that_is_not_used_is_only_warned_about() -> None:
    finding = _only({**_STANDALONE, "customComponentsPattern": {}})
    assert finding.severity is Severity.WARNING


def _rollout(replicas: Any = 4, **update: Any) -> dict[str, Any]:
    return {**_STANDALONE, "replicas": replicas, "rolloutStrategy": {"rollingUpdate": update}}


def test_a_rollout_that_can_never_move_is_refused() -> None:
    assert "cannot both be 0" in _only(_rollout(maxUnavailable=0)).message
    assert "cannot both be 0" in _only(_rollout(maxUnavailable="0%", maxSurge="0%")).message
    assert group_findings(_group(_rollout(maxUnavailable=0, maxSurge=1))) == ()
    assert group_findings(_group(_rollout(replicas=0, maxUnavailable=0))) == ()


def test_a_limit_below_one_replica_runs_as_rounded_up_and_is_only_warned_about() -> None:
    assert _only(_rollout(maxUnavailable="10%")).severity is Severity.WARNING
    assert group_findings(_group(_rollout(maxUnavailable="10%", maxSurge=1))) == ()
    assert group_findings(_group(_rollout(replicas=10, maxUnavailable="10%"))) == ()


@pytest.mark.parametrize("field", ["maxSurge", "maxUnavailable", "partition"])
def test_a_limit_that_is_neither_number_nor_percentage_is_refused(field: str) -> None:
    finding = _only(_rollout(**{field: "5"}))
    assert finding.path == f"spec.roles[0].rolloutStrategy.rollingUpdate.{field}"
    assert "invalid value '5'" in finding.message


def test_rollouts_that_are_odd_but_work_are_warned_about() -> None:
    for update in ({"partition": 4}, {"partition": "100%"}, {"type": "Recreate"}, {"maxSurge": -1}):
        assert _only(_rollout(**update)).severity is Severity.WARNING


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=4)
)
def test_no_template_makes_a_check_raise(template: Any) -> None:
    group_findings(_group({"customComponentsPattern": {"components": [{"name": "x", "template": {"spec": template}}]}}))
