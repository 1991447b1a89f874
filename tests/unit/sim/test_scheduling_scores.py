"""Which of the nodes that fit a pod gets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rbgctrl.sim.scheduling import nodes_to_find
from rbgctrl.sim.scheduling.amounts import amount, scored_requests, total_requests
from unit.sim.scheduling import HOST, ZONE, Lab, gpus, pod


def cpu(amount: str) -> dict[str, Any]:
    return {"requests": {"cpu": amount}}


# What is asked for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole", "milli"),
    [
        ("1", 1, 1000),
        ("250m", 1, 250),
        ("1.5Gi", 1610612736, 1610612736000),
        ("1e3", 1000, 10**6),
        ("2k", 2000, 2 * 10**6),
    ],
)
def test_quantities_are_rounded_up_to_whole_units(text: str, whole: int, milli: int) -> None:
    assert amount(text) == whole
    assert amount(text, milli=True) == milli


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="'much' is not a quantity"):
        amount("much")


def test_containers_and_side_cars_add_up_and_of_init_containers_the_largest_counts() -> None:
    found = pod("a", containers=[{"name": "a", "resources": cpu("1")}, {"name": "b", "resources": cpu("2")}])
    found["spec"]["initContainers"] = [
        {"name": "side", "restartPolicy": "Always", "resources": cpu("500m")},
        {"name": "big", "resources": cpu("4")},
        {"name": "small", "resources": cpu("1")},
    ]
    assert total_requests(found) == {"cpu": 4500}
    found["spec"]["initContainers"][1]["resources"] = cpu("1")
    assert total_requests(found) == {"cpu": 3500}
    assert total_requests({**found, "spec": {**found["spec"], "overhead": {"cpu": "100m"}}}) == {"cpu": 3600}


def test_a_limit_is_a_request_and_nothing_counts_as_a_little() -> None:
    assert total_requests(pod("a", resources=gpus(8))) == {"nvidia.com/gpu": 8}
    assert scored_requests(pod("a")) == (100, 200 * 2**20)


# Preferences ----------------------------------------------------------------------------------------------------------


def test_the_emptier_node_is_taken() -> None:
    lab = Lab(2)
    lab.bound(pod("a", resources=cpu("32")), "node-000")
    assert lab.decide(pod("b", resources=cpu("1"))).node == "node-001"


def test_gpus_do_not_count_as_load() -> None:
    lab = Lab(2)
    lab.bound(pod("a", resources={"limits": {"nvidia.com/gpu": "7"}}), "node-000")
    lab.bound(pod("b", resources=cpu("1")), "node-001")
    assert lab.decide(pod("c", resources=gpus(1))).node == "node-000"


def test_a_preferred_node_label_beats_a_little_less_load() -> None:
    lab = Lab(4)
    lab.bound(pod("a", resources=cpu("8")), "node-002")
    term = {"weight": 10, "preference": {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["node-002"]}]}}
    rules = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert lab.decide(pod("b", resources=cpu("1"), affinity=rules)).node == "node-002"


def test_preferred_affinity_draws_and_preferred_anti_affinity_pushes() -> None:
    lab = Lab(8)
    lab.bound(pod("a", labels={"app": "llm"}, resources=cpu("4")), "node-003")
    term = {"labelSelector": {"matchLabels": {"app": "llm"}}, "topologyKey": HOST}
    weighted = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}
    assert lab.decide(pod("b", affinity={"podAffinity": weighted})).node == "node-003"
    for draw in range(8):
        lab.draw = draw
        assert lab.decide(pod("b", affinity={"podAntiAffinity": weighted})).node != "node-003"


def test_the_required_affinity_of_others_draws_whom_they_want() -> None:
    lab = Lab(8)
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": ZONE}
    wants = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    lab.bound(pod("a", labels={"app": "web"}, affinity=wants), "node-001")
    for draw in range(8):
        lab.draw = draw
        node = lab.decide(pod("db", labels={"app": "db"})).node
        assert lab.state.nodes[node].labels[ZONE] == "zone-a"


def test_a_soft_taint_is_avoided() -> None:
    lab = Lab(1)
    lab.node("soft", taints=[{"key": "old", "effect": "PreferNoSchedule"}])
    lab.bound(pod("a", resources=cpu("32")), "node-000")
    assert lab.decide(pod("b", resources=cpu("1"))).node == "node-000"


def test_pods_behind_a_service_are_spread_by_default() -> None:
    lab = Lab(8)
    lab.service("llm", app="llm")
    nodes = Counter(lab.place(pod(f"p{number}", labels={"app": "llm"}, resources=cpu("1"))) for number in range(8))
    assert len(nodes) == 8


def test_equals_are_drawn() -> None:
    picked = set()
    for draw in range(4):
        lab = Lab(4, draw=draw)
        picked.add(lab.decide(pod("a")).node)
    assert len(picked) == 4


# Large clusters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "found"), [(1, 1), (99, 99), (100, 100), (200, 100), (250, 120), (1000, 420), (5000, 500), (10000, 500)]
)
def test_large_clusters_are_sampled(nodes: int, found: int) -> None:
    assert nodes_to_find(nodes) == found


def test_a_preferred_node_outside_the_sample_is_missed_and_a_required_one_is_not() -> None:
    lab = Lab(400)
    last = lab.state.order[-1].name
    values = [{"key": HOST, "operator": "In", "values": [last]}]
    preferred = [{"weight": 100, "preference": {"matchExpressions": values}}]
    soft = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    hard = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": values}]}}
    assert lab.decide(pod("a", affinity=soft)).node != last
    lab.start = 0
    assert lab.decide(pod("a", affinity=soft), sampling=False).node == last
    lab.start = 0
    assert lab.decide(pod("b", affinity={"nodeAffinity": hard})).node == last


def test_each_search_begins_where_the_last_one_ended() -> None:
    lab = Lab(400)
    lab.decide(pod("a"))
    assert lab.start == nodes_to_find(400)
    lab.decide(pod("b"))
    assert lab.start == 2 * nodes_to_find(400)


def test_nodes_are_looked_at_zone_by_zone_in_turn() -> None:
    lab = Lab(16)
    zones = [node.labels[ZONE] for node in lab.state.order]
    assert zones == ["zone-a", "zone-b"] * 8
