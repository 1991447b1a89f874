"""Scaling adapters under the real daemon on the real control plane, as autoscalers and people with kubectl use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.kubectl import kubectl
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

ADAPTER = "RoleBasedGroupScalingAdapter"
SCALED: dict[str, Any] = {"scalingAdapter": {"enable": True}}
TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}}


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


async def scale(api: Api, namespace: str, name: str, replicas: int) -> None:
    """As an autoscaler does."""
    path = await api.path(V1ALPHA2, ADAPTER, namespace, name)
    body = {"spec": {"replicas": replicas}}
    await api.request("PATCH", f"{path}/scale", body=body, content_type="application/merge-patch+json")


async def become_bound(api: Api, namespace: str, name: str, replicas: int, within: float = 60.0) -> dict[str, Any]:
    """The adapter once it is bound, has the role at these replicas, and all of them are ready."""

    async def bound() -> dict[str, Any]:
        found = await api.find(V1ALPHA2, ADAPTER, name, namespace) or {}
        status = found.get("status", {})
        settled = (status.get("phase"), status.get("replicas"), status.get("readyReplicas"))
        return found if settled == ("Bound", replicas, replicas) else {}

    found: dict[str, Any] = await eventually(bound, within, what=f"{name} is bound with {replicas} ready")
    return found


async def told(api: Api, namespace: str, name: str, reason: str) -> list[str]:
    """Messages of the Events about an object that have the reason."""
    return [
        item["message"]
        for item in await api.items("v1", "Event", namespace)
        if item["involvedObject"]["name"] == name and item["reason"] == reason
    ]


@pytest.mark.usefixtures("running")
async def test_a_manifest_that_is_applied_again_without_replicas_leaves_the_workload_as_it_was_scaled(
    api: Api, kubeconfig: Path, namespace: str
) -> None:
    declared = role("decode", 1, **SCALED)
    del declared["replicas"]
    manifest = yaml.safe_dump(group("llm", namespace, declared, role("router", 1)))
    await kubectl(kubeconfig, "apply", "-f", "-", stdin=manifest)
    await become_bound(api, namespace, "llm-decode", 1)
    await kubectl(kubeconfig, "scale", "-n", namespace, "rbgsa/llm-decode", "--replicas=3")
    await become_bound(api, namespace, "llm-decode", 3)
    await become_ready(api, "llm", namespace)
    before = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    assert sorted(before) == ["llm-decode-0", "llm-decode-1", "llm-decode-2", "llm-router-0"]
    workload = await api.get(V1ALPHA2, "RoleInstanceSet", "llm-decode", namespace)
    shown = (await kubectl(kubeconfig, "get", "-n", namespace, "rbgsa", "-o", "wide")).splitlines()
    assert shown[0].split() == ["NAME", "PHASE", "REPLICAS", "READY_REPLICAS", "AGE", "GROUP", "ROLE"]
    assert shown[1].split()[:4] == ["llm-decode", "Bound", "3", "3"]
    assert shown[1].split()[-2:] == ["llm", "decode"]

    assert "configured" in await kubectl(kubeconfig, "apply", "-f", "-", stdin=manifest)

    async def restored() -> bool:
        found = await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace)
        return bool(found["spec"]["roles"][0]["replicas"] == 3)

    await eventually(restored, 30, what="the group says what the adapter wants")
    await become_ready(api, "llm", namespace)
    after = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    assert after == before
    same = await api.get(V1ALPHA2, "RoleInstanceSet", "llm-decode", namespace)
    assert same["metadata"]["generation"] == workload["metadata"]["generation"], "not even for a moment"
    await eventually(
        lambda: told(api, namespace, "llm", "ReplicasOverriddenByAdapter"), 20, what="an Event says who decided"
    )
    assert len(await told(api, namespace, "llm", "ReplicasOverriddenByAdapter")) == 1


ROLES: dict[str, dict[str, Any]] = {
    "standalone": {"standalonePattern": {"template": TEMPLATE}},
    "stateless": {
        "standalonePattern": {"template": TEMPLATE},
        "annotations": {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS},
    },
    "leader-worker": {"leaderWorkerPattern": {"size": 3, "template": TEMPLATE}},
    "components": {
        "customComponentsPattern": {
            "components": [
                {"name": "engine", "size": 2, "template": TEMPLATE},
                {"name": "cache", "size": 1, "template": TEMPLATE},
            ]
        }
    },
    "deployment": {
        "standalonePattern": {"template": TEMPLATE},
        "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_DEPLOYMENT},
    },
    "stateful-set": {
        "standalonePattern": {"template": TEMPLATE},
        "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_STATEFUL_SET},
    },
    "leader-worker-set": {
        "leaderWorkerPattern": {"size": 2, "template": TEMPLATE},
        "annotations": {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET},
    },
}


async def counted(api: Api, namespace: str, kind: str, replicas: int) -> None:
    """The scale subresource selects one pod for each instance, of this role only."""
    path = await api.path(V1ALPHA2, ADAPTER, namespace, f"llm-{kind}")
    seen = await api.request("GET", f"{path}/scale")
    assert (seen["spec"]["replicas"], seen["status"]["replicas"]) == (replicas, replicas)
    chosen = await api.items("v1", "Pod", namespace, selector=seen["status"]["selector"])
    alive = [item["metadata"] for item in chosen if "deletionTimestamp" not in item["metadata"]]
    assert {item["labels"][labels.ROLE_NAME] for item in alive} == {kind}
    assert len(alive) == replicas, [item["name"] for item in alive]


@pytest.mark.parametrize("kind", ROLES)
@pytest.mark.usefixtures("running")
async def test_an_autoscaler_counts_instances_whatever_they_are_made_of(api: Api, namespace: str, kind: str) -> None:
    declared = {"name": kind, "replicas": 2, **ROLES[kind], **SCALED}
    await api.create(group("llm", namespace, declared, role("other", 1)))
    await become_bound(api, namespace, f"llm-{kind}", 2)
    await counted(api, namespace, kind, 2)
    await scale(api, namespace, f"llm-{kind}", 3)
    await become_bound(api, namespace, f"llm-{kind}", 3)
    await counted(api, namespace, kind, 3)


@pytest.mark.usefixtures("running")
async def test_an_adapter_deleted_by_hand_comes_back_at_once_bound_with_the_replicas_there_are(
    api: Api, namespace: str
) -> None:
    await api.create(group("llm", namespace, role("decode", 1, **SCALED)))
    first = await become_bound(api, namespace, "llm-decode", 1)
    await scale(api, namespace, "llm-decode", 2)
    await become_bound(api, namespace, "llm-decode", 2)
    before = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    await api.delete(V1ALPHA2, ADAPTER, "llm-decode", namespace)
    again = await become_bound(api, namespace, "llm-decode", 2)
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()} == before
    await eventually(lambda: told(api, namespace, "llm-decode", "SuccessfulScale"), 20, what="the scaling is an Event")
    assert len(await told(api, namespace, "llm-decode", "SuccessfulScale")) == 1


@pytest.mark.usefixtures("running")
async def test_a_role_that_is_not_to_be_scaled_any_more_keeps_its_replicas_and_loses_its_adapter(
    api: Api, namespace: str
) -> None:
    await api.create(group("llm", namespace, role("decode", 1, **SCALED)))
    await become_bound(api, namespace, "llm-decode", 1)
    await scale(api, namespace, "llm-decode", 2)
    await become_bound(api, namespace, "llm-decode", 2)
    spec = group("llm", namespace, role("decode", 2))["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)

    async def gone() -> bool:
        return await api.find(V1ALPHA2, ADAPTER, "llm-decode", namespace) is None

    await eventually(gone, 30, what="the adapter is gone")
    await become_ready(api, "llm", namespace)
    assert sorted(await pods(api, namespace)) == ["llm-decode-0", "llm-decode-1"]


@pytest.mark.usefixtures("running")
async def test_an_adapter_made_by_hand_says_why_it_scales_nothing_and_is_bound_when_its_role_appears(
    api: Api, namespace: str
) -> None:
    def adapter(name: str, target: str, wanted: str) -> dict[str, Any]:
        spec = {"replicas": 5, "scaleTargetRef": {"name": target, "role": wanted}}
        return {
            "apiVersion": V1ALPHA2,
            "kind": ADAPTER,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }

    await api.create(adapter("llm-decode", "llm", "decode"))
    await api.create(adapter("mine", "llm", "decode"))

    async def unbound() -> bool:
        found = [await api.get(V1ALPHA2, ADAPTER, name, namespace) for name in ("llm-decode", "mine")]
        return all(item.get("status", {}).get("phase") == "NotBound" for item in found)

    await eventually(unbound, 30, what="both say that they are not bound")
    await api.create(group("llm", namespace, role("decode", 1, **SCALED)))
    await become_bound(api, namespace, "llm-decode", 1)
    assert (await api.get(V1ALPHA2, ADAPTER, "mine", namespace))["status"]["phase"] == "NotBound"
    await eventually(lambda: told(api, namespace, "mine", "NotBound"), 20, what="an Event names the adapter to scale")
    (message,) = await told(api, namespace, "mine", "NotBound")
    assert "scaled by the adapter llm-decode" in message
    assert sorted(await pods(api, namespace)) == ["llm-decode-0"]
