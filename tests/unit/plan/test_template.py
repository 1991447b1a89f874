from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.plan.template import (
    add_environment,
    add_metadata,
    environment,
    leader_worker_environment,
    merge_environment,
    mount_discovery,
)


def _var(name: str, value: str = "x") -> dict[str, str]:
    return {"name": name, "value": value}


def _names(variables: list[Any]) -> list[str]:
    return [variable["name"] for variable in variables]


def test_injected_variables_come_before_the_users_so_that_those_can_refer_to_them() -> None:
    merged = merge_environment([_var("ADDRESS", "$(RBG_GROUP_NAME)")], [_var("RBG_GROUP_NAME")])
    assert _names(merged) == ["RBG_GROUP_NAME", "ADDRESS"]


def test_the_order_is_other_rbg_then_injected_then_pattern_then_users() -> None:
    existing = [_var("Z"), _var("RBG_LWP_SIZE"), _var("RBG_OTHER"), _var("RBG_GROUP_NAME", "forged"), _var("A")]
    merged = merge_environment(existing, [_var("RBG_GROUP_NAME", "llm")])
    assert _names(merged) == ["RBG_OTHER", "RBG_GROUP_NAME", "RBG_LWP_SIZE", "Z", "A"]
    assert merged[1]["value"] == "llm"


def test_of_two_variables_of_one_name_the_last_stays() -> None:
    assert merge_environment([_var("A", "1"), _var("B"), _var("A", "2")], []) == [_var("B"), _var("A", "2")]


def test_no_variable_carries_a_replica_count() -> None:
    rendered = str(environment("llm", "decode", stateful=True))
    assert "REPLICAS" not in rendered
    assert "SIZE" not in rendered


def test_a_stateless_role_has_no_index() -> None:
    assert "RBG_ROLE_INDEX" in _names(environment("llm", "decode", stateful=True))
    assert "RBG_ROLE_INDEX" not in _names(environment("llm", "decode", stateful=False))


def test_pods_of_other_workloads_are_told_only_what_their_labels_say() -> None:
    told = environment("llm", "decode", stateful=True, instances=False)
    assert _names(told) == ["RBG_GROUP_NAME", "RBG_ROLE_INDEX", "RBG_ROLE_NAME"]
    assert told[1]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"


def test_the_address_of_the_leader_comes_after_the_name_it_is_made_of() -> None:
    batches = (environment("llm", "decode", stateful=True), leader_worker_environment("s-llm-decode", "ml"))
    built = add_environment({"spec": {"containers": [{"name": "a", "env": [_var("MINE")]}]}}, *batches)
    found = built["spec"]["containers"][0]["env"]
    assert _names(found)[-4:] == ["RBG_LWP_LEADER_ADDRESS", "RBG_LWP_WORKER_INDEX", "RBG_LWP_GROUP_SIZE", "MINE"]
    assert _names(found).index("RBG_ROLE_INSTANCE_NAME") < _names(found).index("RBG_LWP_LEADER_ADDRESS")
    assert found[-4]["value"] == "$(RBG_ROLE_INSTANCE_NAME)-0.s-llm-decode.ml"


def test_the_discovery_file_is_mounted_into_containers_but_not_init_containers() -> None:
    template = {"spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "init"}]}}
    built = mount_discovery(template, "llm")
    assert [container["volumeMounts"][0]["mountPath"] for container in built["spec"]["containers"]] == ["/etc/rbg"] * 2
    assert built["spec"]["initContainers"] == [{"name": "init"}]
    assert built["spec"]["volumes"][0]["configMap"]["name"] == "llm"


def test_a_volume_and_a_mount_of_that_name_are_the_users_own() -> None:
    container = {"name": "a", "volumeMounts": [{"name": "rbg-cluster-config", "mountPath": "/mine"}]}
    template = {"spec": {"containers": [container], "volumes": [{"name": "rbg-cluster-config", "emptyDir": {}}]}}
    built = mount_discovery(template, "llm")
    assert built["spec"]["volumes"] == template["spec"]["volumes"]
    assert built["spec"]["containers"][0]["volumeMounts"] == container["volumeMounts"]


def test_labels_and_annotations_are_laid_over_those_of_the_user() -> None:
    template = {"metadata": {"labels": {"a": "theirs", "b": "theirs"}}}
    built = add_metadata(template, over_labels={"a": "ours"}, over_annotations={"c": "ours"})
    assert built["metadata"] == {"labels": {"a": "ours", "b": "theirs"}, "annotations": {"c": "ours"}}
    assert add_metadata({}, over_labels={}) == {"metadata": {}}


names = st.sampled_from(["A", "B", "RBG_X", "RBG_LWP_Y", "RBG_GROUP_NAME", "RBG_ROLE_NAME"])
batches = st.lists(st.builds(_var, names, st.text(max_size=3)), max_size=6)


@given(batches, batches)
def test_merging_twice_is_merging_once_and_names_are_unique(existing: list[Any], injected: list[Any]) -> None:
    once = merge_environment(existing, injected)
    assert len(_names(once)) == len(set(_names(once)))
    unique = merge_environment([], injected)
    assert merge_environment(once, unique) == merge_environment(merge_environment(once, unique), unique)


@given(batches)
def test_a_template_is_never_changed_in_place(existing: list[Any]) -> None:
    template = {"metadata": {"labels": {"u": "v"}}, "spec": {"containers": [{"name": "a", "env": existing}]}}
    before = copy.deepcopy(template)
    built = mount_discovery(template, "llm")
    add_environment(add_metadata(built, over_labels={"l": "v"}), [_var("RBG_GROUP_NAME")])
    assert template == before
