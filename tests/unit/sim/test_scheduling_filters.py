"""Where a pod cannot go, in the words of kube-scheduler 1.36 (recorded from a real one)."""

from __future__ import annotations

from typing import Any

import pytest

from unit.sim.scheduling import HOST, ZONE, Lab, affinity, gpus, on_label, on_name, pod, together


def real() -> Lab:
    """The cluster the messages were recorded on: eight nodes, one tainted, one cordoned."""
    lab = Lab(6)
    lab.node("node-006", clique="fabric.1", unschedulable=True)
    lab.node("node-007", clique="fabric.1", taints=[{"key": "dedicated", "value": "x", "effect": "NoSchedule"}])
    return lab


EDGES = "1 node(s) had untolerated taint(s), 1 node(s) were unschedulable"
TRIED = "no new claims to deallocate, preemption: 0/8 nodes are available:"
HELPLESS = f"{TRIED} 8 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"resources": gpus(16)}, f"{EDGES}, 6 Insufficient nvidia.com/gpu. {HELPLESS}"),
        (
            {"nodeSelector": {"no-such": "node"}},
            f"{EDGES}, 6 node(s) didn't match Pod's node affinity/selector. {HELPLESS}",
        ),
        ({"affinity": on_name("nope")}, f"8 node(s) didn't satisfy plugin(s) [NodeAffinity]. {HELPLESS}"),
        (
            {"affinity": on_name("node-001"), "resources": gpus(16)},
            f"1 Insufficient nvidia.com/gpu, 7 node(s) didn't satisfy plugin(s) [NodeAffinity]. {HELPLESS}",
        ),
        ({"affinity": together("b")}, f"{EDGES}, 6 node(s) didn't match pod affinity rules. {HELPLESS}"),
    ],
    ids=["too many GPUs", "a label no node has", "an unknown name", "a name and too many GPUs", "nobody to be with"],
)
def test_messages_are_those_of_the_real_scheduler(spec: dict[str, Any], message: str) -> None:
    assert real().decide(pod("a", **spec)).message == f"0/8 nodes are available: {message}"


def test_a_full_cluster_says_that_there_is_nobody_to_evict() -> None:
    lab = real()
    for number in range(6):
        lab.place(pod(f"g{number}", resources=gpus(8)))
    assert lab.decide(pod("a", resources=gpus(8))).message == (
        f"0/8 nodes are available: {EDGES}, 6 Insufficient nvidia.com/gpu. {TRIED} "
        "2 Preemption is not helpful for scheduling, 6 No preemption victims found for incoming pod."
    )


def test_the_anti_affinity_of_those_who_are_there_counts_too() -> None:
    lab = real()
    lab.place(pod("ok", labels={"app": "z"}, affinity=together("w", "topology.kubernetes.io/region", anti=True)))
    assert lab.why_not(pod("w", labels={"app": "w"})) == (
        f"0/8 nodes are available: {EDGES}, 6 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_an_empty_cluster_has_a_message_of_its_own() -> None:
    assert Lab().decide(pod("a")).message == "no nodes available to schedule pods"


def test_conflicting_names_are_told_before_any_node_is_looked_at() -> None:
    both = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in ("node-000", "node-001")]
    rules = affinity("nodeAffinity", {"nodeSelectorTerms": [{"matchFields": both}]})
    assert Lab(2).why_not(pod("a", affinity=rules)) == "0/2 nodes are available: pod affinity terms conflict."


# Resources ------------------------------------------------------------------------------------------------------------


def test_what_is_short_is_named_each_on_its_own() -> None:
    lab = Lab()
    lab.node("small", allocatable={"cpu": "1", "memory": "1Gi"})
    wanted = {"requests": {"cpu": "2", "memory": "2Gi"}}
    assert lab.why_not(pod("a", resources=wanted)) == (
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."
    )


def test_a_node_takes_only_so_many_pods() -> None:
    lab = Lab()
    lab.node("small", allocatable={"pods": "2"})
    lab.place(pod("a"))
    lab.place(pod("b"))
    assert lab.why_not(pod("c")) == "0/1 nodes are available: 1 Too many pods."


def test_what_a_pod_took_is_free_when_it_is_gone() -> None:
    lab = Lab(1)
    lab.place(pod("a", resources=gpus(8)))
    assert not lab.decide(pod("b", resources=gpus(1))).node
    lab.state.remove_pod("default/a")
    assert lab.decide(pod("b", resources=gpus(8))).node == "node-000"


def test_a_host_port_is_taken_once_for_each_node() -> None:
    lab = Lab(1)
    ports = [{"name": "main", "image": "x:1", "ports": [{"containerPort": 80, "hostPort": 8080}]}]
    lab.place(pod("a", containers=ports))
    assert lab.why_not(pod("b", containers=ports)) == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )
    other = [{"name": "main", "image": "x:1", "ports": [{"containerPort": 80, "hostPort": 8081}]}]
    assert lab.decide(pod("c", containers=other)).node


# Nodes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (on_label(ZONE, "In", "zone-b"), "b"),
        (on_label(ZONE, "NotIn", "zone-b"), "a"),
        (on_label("only-b", "Exists"), "b"),
        (on_label("only-b", "DoesNotExist"), "a"),
        (on_label("size", "Gt", "3"), "b"),
        (on_label("size", "Lt", "5"), "a"),
        (on_name("b", "c"), "b"),
        (affinity("nodeAffinity", {"nodeSelectorTerms": [{}]}), ""),
    ],
    ids=["in", "not in", "exists", "does not exist", "greater", "less", "names", "an empty term matches nothing"],
)
def test_required_node_affinity_has_all_operators(rules: dict[str, Any], wanted: str) -> None:
    lab = Lab()
    lab.node("a", zone="zone-a", labels={"size": "2"})
    lab.node("b", zone="zone-b", labels={"only-b": "", "size": "8"})
    assert lab.decide(pod("p", affinity=rules)).node == wanted


def test_terms_are_alternatives_and_expressions_in_one_are_not() -> None:
    lab = Lab()
    lab.node("a", zone="zone-a", labels={"disk": "fast"})
    lab.node("b", zone="zone-b", labels={"disk": "slow"})
    fast = {"key": "disk", "operator": "In", "values": ["fast"]}
    in_b = {"key": ZONE, "operator": "In", "values": ["zone-b"]}
    either = [{"matchExpressions": [fast]}, {"matchExpressions": [in_b]}]
    both = [{"matchExpressions": [fast, in_b]}]
    assert lab.decide(pod("p", affinity=affinity("nodeAffinity", {"nodeSelectorTerms": either}))).node
    assert not lab.decide(pod("p", affinity=affinity("nodeAffinity", {"nodeSelectorTerms": both}))).node


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Exists"}, True),
        ({"key": "dedicated", "value": "x"}, True),
        ({"key": "dedicated", "value": "y"}, False),
        ({"key": "dedicated", "value": "x", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_keeps_out_who_does_not_tolerate_it(toleration: dict[str, str], fits: bool) -> None:
    lab = Lab()
    lab.node("a", taints=[{"key": "dedicated", "value": "x", "effect": "NoSchedule"}])
    assert bool(lab.decide(pod("p", tolerations=[toleration])).node) is fits


def test_a_cordoned_node_takes_only_who_tolerates_that() -> None:
    lab = Lab()
    lab.node("a", unschedulable=True)
    assert not lab.decide(pod("p")).node
    tolerated = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]
    assert lab.decide(pod("p", tolerations=tolerated)).node == "a"


# Other pods -----------------------------------------------------------------------------------------------------------


def test_the_first_of_a_series_that_wants_to_be_together_is_let_in_and_the_rest_follow() -> None:
    lab = Lab(8)
    rules: dict[str, Any] = {"labels": {"app": "llm"}, "affinity": together("llm", "nvidia.com/gpu.clique")}
    first = lab.place(pod("a", **rules))
    domain = lab.state.nodes[first].labels["nvidia.com/gpu.clique"]
    for number in range(10):
        node = lab.place(pod(f"b{number}", **rules))
        assert lab.state.nodes[node].labels["nvidia.com/gpu.clique"] == domain


def test_who_wants_to_be_with_others_and_is_not_one_of_them_waits() -> None:
    lab = Lab(4)
    alone = pod("a", labels={"app": "web"}, affinity=together("db"))
    assert not lab.decide(alone).node
    node = lab.place(pod("db", labels={"app": "db"}))
    assert lab.decide(alone).node == node


def test_anti_affinity_spreads_until_every_domain_is_taken() -> None:
    lab = Lab(8)
    rules: dict[str, Any] = {"labels": {"app": "llm"}, "affinity": together("llm", ZONE, anti=True)}
    zones = {lab.state.nodes[lab.place(pod(f"p{number}", **rules))].labels[ZONE] for number in range(2)}
    assert zones == {"zone-a", "zone-b"}
    assert lab.why_not(pod("c", **rules)) == (
        "0/8 nodes are available: 8 node(s) didn't match pod anti-affinity rules."
    )


def test_rules_about_pods_stay_in_their_namespace_unless_they_name_others() -> None:
    lab = Lab(2)
    lab.state.set_namespace("blue", {"team": "blue"})
    node = lab.place(pod("db", "blue", labels={"app": "db"}))
    assert not lab.decide(pod("a", affinity=together("db"))).node
    assert lab.decide(pod("a", affinity=together("db", namespaces=["blue"]))).node == node
    by_label = together("db", namespaceSelector={"matchLabels": {"team": "blue"}})
    assert lab.decide(pod("a", affinity=by_label)).node == node
    everywhere = together("db", namespaceSelector={})
    assert lab.decide(pod("a", affinity=everywhere)).node == node


def test_a_node_without_the_topology_label_is_never_near_anybody() -> None:
    lab = Lab()
    lab.node("a", labels={"rack": "1"})
    lab.node("b")
    rules: dict[str, Any] = {"labels": {"app": "llm"}, "affinity": together("llm", "rack")}
    assert lab.place(pod("p", **rules)) == "a"


def test_a_hard_spread_keeps_domains_within_their_skew() -> None:
    lab = Lab(8)
    constraint = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "llm"}},
    }
    counts = {"zone-a": 0, "zone-b": 0}
    for number in range(6):
        node = lab.place(pod(f"p{number}", labels={"app": "llm"}, topologySpreadConstraints=[constraint]))
        counts[lab.state.nodes[node].labels[ZONE]] += 1
        assert abs(counts["zone-a"] - counts["zone-b"]) <= 1
    pinned = pod(
        "q",
        labels={"app": "llm"},
        topologySpreadConstraints=[{**constraint, "nodeAffinityPolicy": "Ignore"}],
        affinity=on_label(HOST, "In", "node-000"),
    )
    lab.place(pinned)
    assert lab.why_not({**pinned, "metadata": {**pinned["metadata"], "name": "r", "uid": "r"}}) == (
        "0/8 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
        "7 node(s) didn't match Pod's node affinity/selector."
    )
