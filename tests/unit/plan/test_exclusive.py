"""Exclusive topology: what templates say, and that a scheduler can satisfy it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.plan.exclusive import exclude
from rbgctrl.plan.workloads import components, leader_worker, pod_template
from unit.sim.scheduling import HOST, ZONE, Lab, pod

from .requests import request, template

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
OPTED_OUT = {"metadata": {"annotations": {labels.ROLE_DISABLE_EXCLUSIVE: "true"}}, **template()}
MINE = {"labelSelector": {"matchLabels": {"app": "mine"}}, "topologyKey": HOST}


def _affine(**kinds: Any) -> dict[str, Any]:
    return template(affinity={kind: {REQUIRED: terms} for kind, terms in kinds.items()})


def _keys(found: dict[str, Any], kind: str) -> list[str]:
    return [term["topologyKey"] for term in found["spec"]["affinity"][kind][REQUIRED]]


# What templates say ---------------------------------------------------------------------------------------------------


def test_pods_of_an_exclusive_group_carry_what_their_terms_select() -> None:
    built = exclude(template(), HOST, "digest")
    assert built["metadata"]["labels"] == {labels.GROUP_UNIQUE_HASH: "digest"}
    assert built["metadata"]["annotations"] == {labels.GROUP_EXCLUSIVE_TOPOLOGY: HOST}
    affinity = built["spec"]["affinity"]
    (together,) = affinity["podAffinity"][REQUIRED]
    (apart,) = affinity["podAntiAffinity"][REQUIRED]
    assert together["topologyKey"] == apart["topologyKey"] == HOST
    for term in (together, apart):
        assert {rule["key"] for rule in term["labelSelector"]["matchExpressions"]} == {labels.GROUP_UNIQUE_HASH}


def test_a_template_that_opts_out_or_a_group_that_does_not_ask_stays_as_it_is() -> None:
    assert exclude(OPTED_OUT, HOST, "digest") == OPTED_OUT
    assert exclude(template(), "", "digest") == template()


def test_terms_of_the_user_stay_and_ours_are_added() -> None:
    built = exclude(_affine(podAffinity=[MINE], nodeAffinity={"nodeSelectorTerms": []}), HOST, "digest")
    assert _keys(built, "podAffinity") == [HOST, HOST]
    assert _keys(built, "podAntiAffinity") == [HOST]
    assert built["spec"]["affinity"]["nodeAffinity"] == {REQUIRED: {"nodeSelectorTerms": []}}


def test_a_template_with_both_kinds_of_terms_for_the_key_decides_for_itself() -> None:
    own = _affine(podAffinity=[MINE], podAntiAffinity=[MINE])
    assert exclude(own, HOST, "digest") == own
    assert exclude(own, ZONE, "digest") != own, "for another key it does not"


def test_a_template_is_never_changed_in_place() -> None:
    own = _affine(podAffinity=[MINE])
    before = copy.deepcopy(own)
    exclude(own, HOST, "digest")
    assert own == before


ASKING = {labels.GROUP_EXCLUSIVE_TOPOLOGY: HOST}


@pytest.mark.parametrize("kind", [labels.WORKLOAD_TYPE_DEPLOYMENT, labels.WORKLOAD_TYPE_STATEFUL_SET])
def test_pods_of_other_workloads_are_exclusive_too(kind: str) -> None:
    role = {
        "name": "a",
        "annotations": {labels.ROLE_WORKLOAD_TYPE: kind},
        "standalonePattern": {"template": template()},
    }
    assert labels.GROUP_UNIQUE_HASH in pod_template(request(role, annotations=ASKING))["metadata"]["labels"]


def test_leaders_and_workers_are_exclusive() -> None:
    role: dict[str, Any] = {"name": "a", "leaderWorkerPattern": {"size": 2, "template": template()}}
    for built in components(request(role, annotations=ASKING)):
        assert labels.GROUP_UNIQUE_HASH in built["template"]["metadata"]["labels"]
    role["annotations"] = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET}
    for built in leader_worker(request(role, annotations=ASKING)):
        assert labels.GROUP_UNIQUE_HASH in built["metadata"]["labels"]


def test_a_group_that_is_not_exclusive_any_more_is_rendered_anew() -> None:
    role = {"name": "a", "standalonePattern": {"template": template()}}
    first = request(role, annotations=ASKING)
    assert "affinity" in components(first)[0]["template"]["spec"]
    later = request(role, rendered=first.rendered)
    assert "affinity" not in components(later)[0]["template"]["spec"]


# What a scheduler makes of it -----------------------------------------------------------------------------------------


def _pod(name: str, group: str, topology: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
    built = exclude(source or template(), topology, f"digest-of-{group}")
    found = pod(name, **built["spec"])
    found["metadata"]["labels"] = dict(built.get("metadata", {}).get("labels", {}))
    return found


def test_pods_of_a_group_share_a_domain_and_no_other_exclusive_group_gets_in() -> None:
    lab = Lab(4)
    first = {lab.place(_pod(f"a-{number}", "a", HOST)) for number in range(3)}
    second = {lab.place(_pod(f"b-{number}", "b", HOST)) for number in range(3)}
    assert len(first) == len(second) == 1
    assert first != second


def test_a_group_that_finds_no_domain_of_its_own_waits() -> None:
    lab = Lab(1)
    lab.place(_pod("a-0", "a", HOST))
    assert not lab.decide(_pod("b-0", "b", HOST)).node


def test_pods_that_are_not_exclusive_go_anywhere_and_draw_nobody() -> None:
    lab = Lab(2)
    where = lab.place(_pod("a-0", "a", HOST))
    (other,) = {"node-000", "node-001"} - {where}
    lab.bound(_pod("a-router", "a", HOST, OPTED_OUT), other)
    assert lab.place(_pod("a-1", "a", HOST)) == where
    assert lab.place(_pod("b-0", "b", HOST)) == other, "the opted-out pod of a is in nobody's way"
