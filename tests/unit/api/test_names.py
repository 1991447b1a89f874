from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden import SCENARIOS, scenario
from rbgctrl.api import labels, names

_DNS_LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
_ROLE = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,47}[a-z0-9])?", fullmatch=True)
_ANY = st.text(min_size=1, max_size=80)


@given(_DNS_LABEL, _ROLE)
def test_names_of_workloads_and_services_are_dns_labels_for_every_valid_group_and_role(group: str, role: str) -> None:
    for name in (names.workload(group, role), names.service(group, role)):
        assert names.is_dns_label(name)
    assert names.is_label_value(names.group_uid("ns", group))


@given(_DNS_LABEL, st.integers(0, 10**6))
def test_an_ordinal_is_read_back_from_the_name_it_made(parent: str, ordinal: int) -> None:
    assert names.instance_ordinal(parent, names.instance(parent, ordinal)) == ordinal


@pytest.mark.parametrize("name", ["s", "s-", "s-x", "s-1x", "s-01", "s--1", "t-1", "s-1-1", "s-²"])
def test_a_name_that_is_not_of_the_set_has_no_ordinal(name: str) -> None:
    assert names.instance_ordinal("s", name) is None


def test_a_long_name_is_cut_and_loses_its_trailing_dashes() -> None:
    group = "g" * 40
    assert names.workload(group, "r" * 22) == f"{group}-{'r' * 22}"
    assert names.workload(group, "r" * 23) == f"{group}-{'r' * 22}"
    assert names.workload("g" * 61, "-" + "r") == "g" * 61
    assert names.service("g" * 61, "r") == f"s-{'g' * 61}"
    assert names.adapter(group, "r" * 30) == f"{group}-{'r' * 30}"


@given(_DNS_LABEL, st.lists(st.text(), min_size=1, max_size=3))
def test_a_stateless_name_is_a_dns_label_and_the_same_for_the_same_seed(parent: str, seed: list[str]) -> None:
    identity = names.instance_id(*seed)
    assert identity == names.instance_id(*seed)
    assert re.fullmatch(f"[{names.ALPHABET}]{{5}}", identity)
    assert names.is_dns_label(names.stateless_instance(parent, identity))


def test_pods_are_named_by_the_role_type_of_their_instance() -> None:
    assert names.pod("i", "c", 0, labels.ROLE_TYPE_POD_TEMPLATE) == "i"
    assert names.pod("i", "leader", 0, labels.ROLE_TYPE_LEADER_WORKER_SET) == "i-0"
    assert names.pod("i", "worker", 0, labels.ROLE_TYPE_LEADER_WORKER_SET) == "i-1"
    assert names.pod("i", "c", 2, labels.ROLE_TYPE_COMPONENTS) == "i-c-2"
    assert names.pod("i", "c", 2, "") == "i-c-2"


def test_fixed_names_and_vectors() -> None:
    assert names.group_uid("ml", "llm") == "26b0a0edada839b26bf296191ecf0aaae8e525a0"
    assert names.safe_encode("2166136261") == "65bb57b6b5"
    assert names.leader_address("s-llm-prefill", "ml") == "$(RBG_ROLE_INSTANCE_NAME)-0.s-llm-prefill.ml"
    assert names.instance_address("llm-prefill", 1, "s-llm-prefill") == "llm-prefill-1.s-llm-prefill"
    assert names.group_revision("g" * 250, "h", 3) == f"{'g' * 220}-h-3"
    assert names.revision("p" * 250, "h") == f"{'p' * 223}-h"
    assert names.short_hash("a-b-84c5f") == "84c5f"
    assert names.group_in_set("fleet", 0) == "fleet-0"
    assert names.discovery_config_map("g") == names.pod_group("g") == names.policy("g") == "g"
    assert labels.role_revision("prefill") == "rbg.workloads.x-k8s.io/role-revision-prefill"
    assert names.ROLE_NAME_MAX == 49


@pytest.mark.parametrize("name", SCENARIOS)
def test_recorded_objects_carry_the_names_computed_from_their_labels(name: str) -> None:
    recorded = scenario(name)
    for item in recorded.of("RoleInstanceSet"):
        tags = item["metadata"]["labels"]
        group, role = tags[labels.GROUP_NAME], tags[labels.ROLE_NAME]
        assert item["metadata"]["name"] == names.workload(group, role)
        assert tags[labels.GROUP_UID] == names.group_uid("golden", group)
        assert recorded.one("Service", names.service(group, role))
    for item in recorded.of("Pod"):
        tags = item["metadata"]["labels"]
        if labels.ROLE_INSTANCE_NAME not in tags:
            continue
        instance = recorded.one("RoleInstance", tags[labels.ROLE_INSTANCE_NAME])["metadata"]
        kind = instance["labels"].get(labels.ROLE_TYPE, "")
        index = int(tags[labels.COMPONENT_ID])
        component = tags[labels.COMPONENT_NAME]
        assert item["metadata"]["name"] == names.pod(instance["name"], component, index, kind)
        if labels.COMPONENT_INDEX in tags:
            assert tags[labels.COMPONENT_INDEX] == str(names.component_index(component, index))


def test_a_role_id_reads_like_what_it_names() -> None:
    assert names.instance_role_id("llm", "prefill", 2) == "llm.prefill.2"
    assert names.pod_role_id("llm", "prefill", 2, "leader", 0) == "llm.prefill.2.leader.0"


@given(_ANY, _ANY, st.integers(0, 10**9) | _ANY, _ANY, st.integers(0, 10**6))
def test_a_role_id_is_a_label_value_whatever_the_names_are(
    group: str, role: str, slot: int | str, component: str, index: int
) -> None:
    assert names.is_label_value(names.instance_role_id(group, role, slot))
    assert names.is_label_value(names.pod_role_id(group, role, slot, component, index))


_PART = st.text(alphabet="ab.-_A", min_size=1, max_size=4) | st.text(alphabet="ab", min_size=30, max_size=32)
_PARTS = st.tuples(_PART, _PART, _PART) | st.tuples(_PART, _PART, _PART, _PART, st.integers(0, 3))


@given(_PARTS, _PARTS)
def test_two_identities_share_a_role_id_only_when_they_are_one(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    def role_id(parts: tuple[str, ...]) -> str:
        if len(parts) == 3:
            return names.instance_role_id(*parts)
        return names.pod_role_id(parts[0], parts[1], parts[2], parts[3], int(parts[4]))

    assert (role_id(one) == role_id(other)) == (one == other)
