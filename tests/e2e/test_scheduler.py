"""The embedded scheduler and kube-scheduler, asked the same: same reasons, same best nodes."""

from __future__ import annotations

import random  # noqa: TID251 - seeded
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually
from hack.controlplane import Api, Cluster, ClusterOptions
from hack.controlplane import nodes as hack_nodes
from rbgctrl.api.meta import Key
from rbgctrl.sim.scheduling import Demands, State, decide, rank

PODS = 60
APPS = ("llm", "db", "web")
KEYS = ("kubernetes.io/hostname", "topology.kubernetes.io/zone", "nvidia.com/gpu.clique")


def _nodes() -> list[dict[str, Any]]:
    made = hack_nodes.domain_nodes(12)
    made[3]["spec"]["taints"] = [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]
    made[4]["spec"]["taints"] = [{"key": "old", "value": "", "effect": "PreferNoSchedule"}]
    made[5]["metadata"]["labels"]["size"] = "7"
    made[6]["spec"]["unschedulable"] = True
    del made[7]["metadata"]["labels"]["nvidia.com/gpu.clique"]
    return made


def _selector(draw: random.Random) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": {"app": draw.choice(APPS)}}, "topologyKey": draw.choice(KEYS)}


def _node_term(draw: random.Random) -> dict[str, Any]:
    options: list[dict[str, Any]] = [
        {"key": KEYS[1], "operator": "In", "values": ["zone-a"]},
        {"key": KEYS[2], "operator": "NotIn", "values": ["fabric.0"]},
        {"key": KEYS[2], "operator": "Exists"},
        {"key": "size", "operator": "Gt", "values": ["3"]},
    ]
    return {"matchExpressions": draw.sample(options, draw.choice((1, 1, 2)))}


def _affinity(draw: random.Random) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    if draw.random() < 0.3:
        terms = [_node_term(draw) for _ in range(draw.choice((1, 2)))]
        if draw.random() < 0.3:
            names = [f"node-{draw.randrange(14):03d}" for _ in range(draw.choice((1, 2)))]
            terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]} for name in names]
        rules["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    if draw.random() < 0.3:
        preferred = [{"weight": draw.randrange(1, 100), "preference": _node_term(draw)} for _ in range(2)]
        rules.setdefault("nodeAffinity", {})["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    for kind, required in (("podAffinity", 0.15), ("podAntiAffinity", 0.12)):
        found: dict[str, Any] = {}
        if draw.random() < required:
            found["requiredDuringSchedulingIgnoredDuringExecution"] = [_selector(draw)]
        if draw.random() < 0.25:
            term = {"weight": draw.randrange(1, 100), "podAffinityTerm": _selector(draw)}
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [term]
        if found:
            rules[kind] = found
    return rules


def _pod(draw: random.Random, number: int) -> dict[str, Any]:
    app = draw.choice(APPS)
    requests: dict[str, str] = {}
    if draw.random() < 0.7:
        requests |= {"cpu": draw.choice(("1", "2500m", "4")), "memory": draw.choice(("1Gi", "16Gi"))}
    if draw.random() < 0.4:
        requests["nvidia.com/gpu"] = draw.choice(("1", "4", "8"))
    limits = {name: value for name, value in requests.items() if "/" in name}
    spec: dict[str, Any] = {
        "containers": [{"name": "main", "image": "x:1", "resources": {"requests": requests, "limits": limits}}]
    }
    if affinity := _affinity(draw):
        spec["affinity"] = affinity
    if draw.random() < 0.3:
        spec["tolerations"] = [{"key": "dedicated", "operator": "Exists"}]
    if draw.random() < 0.2:
        constraint = {"maxSkew": draw.choice((1, 2)), "topologyKey": draw.choice(KEYS[:2])}
        constraint["whenUnsatisfiable"] = draw.choice(("DoNotSchedule", "ScheduleAnyway"))
        spec["topologySpreadConstraints"] = [{**constraint, "labelSelector": {"matchLabels": {"app": app}}}]
    metadata = {"name": f"p{number:03d}", "namespace": "default", "labels": {"app": app}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def _state(api: Api) -> State:
    state = State()
    for node in await api.items("v1", "Node"):
        state.set_node(node)
    for service in await api.items("v1", "Service"):
        metadata = service["metadata"]
        state.set_service(Key(metadata["namespace"], metadata["name"]), service["spec"].get("selector"))
    for pod in await api.items("v1", "Pod"):
        if pod["spec"].get("nodeName"):
            state.set_pod(pod)
    return state


def _said(pod: Mapping[str, Any]) -> tuple[str, str]:
    """Where a pod went, or why nowhere; both empty while that is open."""
    if pod["spec"].get("nodeName"):
        return pod["spec"]["nodeName"], ""
    for found in (pod.get("status") or {}).get("conditions") or ():
        if found["type"] == "PodScheduled" and found["status"] == "False":
            return "", found["message"]
    return "", ""


@pytest.mark.parametrize("seed", [1, 2])
async def test_both_schedulers_give_the_same_reasons_and_find_the_same_nodes_best(tmp_path: Path, seed: int) -> None:
    draw, demands, bound = random.Random(seed), Demands(), 0  # noqa: S311 - not a secret
    async with Cluster(ClusterOptions(nodes=0, gang=False), state=tmp_path) as cluster, cluster.api() as api:
        await hack_nodes.add(api, _nodes())
        spec = {"clusterIP": "None", "selector": {"app": "llm"}}
        metadata = {"name": "llm", "namespace": "default"}
        await api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        for number in range(PODS):
            state = await _state(api)
            wanted = await api.create(_pod(draw, number))
            name = wanted["metadata"]["name"]

            async def decided(name: str = name) -> Any:
                found = _said(await api.get("v1", "Pod", name, "default"))
                return found if any(found) else None

            node, message = await eventually(decided, 30, what=f"{name} is decided about")
            if node:
                bound += 1
                scores = rank(wanted, state, demands)
                assert node in scores, (wanted["spec"], decide(wanted, state, demands, 0, lambda _: 0).message)
                assert scores[node] == max(scores.values()), (wanted["spec"], node, scores)
            else:
                assert decide(wanted, state, demands, 0, lambda _: 0).message == message, wanted["spec"]
                await api.delete("v1", "Pod", name, "default", grace=0)
    assert PODS / 3 < bound < PODS
