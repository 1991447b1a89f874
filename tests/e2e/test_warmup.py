"""Warmups under the real daemon on the real control plane: every way they end, and what they wait for.

The images say what becomes of a pod: see the stages of the fake kubelet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.quota import tight_quota
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

KIND = "RoleBasedGroupWarmup"
ENDS = "registry.example/engine:1"
FAILS = "registry.example/fails:1"
NEVER_ENDS = "registry.example/never-ends:1"


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


def warmup(name: str, namespace: str, target: dict[str, Any], **policies: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    spec = {**target, "policies": policies} if policies else target
    return {"apiVersion": V1ALPHA2, "kind": KIND, "metadata": metadata, "spec": spec}


def on_nodes(*names: str, image: str = ENDS) -> dict[str, Any]:
    return {"targetNodes": {"nodeNames": list(names), "imagePreload": {"images": [image]}}}


async def status(api: Api, name: str, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(V1ALPHA2, KIND, name, namespace)).get("status", {})
    return found


async def reached(api: Api, name: str, namespace: str, phase: str, within: float = 40.0) -> dict[str, Any]:
    """The status once the phase is reached."""

    async def there() -> dict[str, Any]:
        found = await status(api, name, namespace)
        return found if found.get("phase") == phase else {}

    found: dict[str, Any] = await eventually(there, within, what=f"{name} is {phase}")
    return found


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((item for item in found.get("conditions", ()) if item["type"] == kind), {})


@pytest.mark.usefixtures("running")
async def test_every_node_gets_its_pod_and_success_is_complete(api: Api, namespace: str) -> None:
    await api.create(warmup("w", namespace, on_nodes("node-000", "node-001", "node-002"), parallelism=2))
    found = await reached(api, "w", namespace, "Completed")
    counters = {name: found[name] for name in ("desired", "active", "succeeded", "failed")}
    assert counters == {"desired": 3, "active": 0, "succeeded": 3, "failed": 0}
    assert condition(found, "Complete")["reason"] == "WarmupCompleted"
    assert found["startTime"] <= found["completionTime"]
    made = await pods(api, namespace)
    assert sorted(pod["spec"]["nodeName"] for pod in made.values()) == ["node-000", "node-001", "node-002"]
    for pod in made.values():
        assert pod["metadata"]["labels"][labels.WARMUP_NODE] == pod["spec"]["nodeName"]


@pytest.mark.usefixtures("running")
async def test_one_that_takes_too_long_fails_when_its_time_is_over_and_its_pods_go(api: Api, namespace: str) -> None:
    await api.create(warmup("w", namespace, on_nodes("node-000", "node-001", image=NEVER_ENDS), globalTimeoutSeconds=4))
    assert (await reached(api, "w", namespace, "Running"))["active"] == 2
    found = await reached(api, "w", namespace, "Failed")
    assert condition(found, "Failed")["reason"] == "GlobalTimeoutExceeded"
    assert (found["active"], found["succeeded"]) == (0, 0)

    async def stopped() -> bool:
        return not await pods(api, namespace)

    await eventually(stopped, 40, what="no pod is left")


@pytest.mark.usefixtures("running")
async def test_a_node_whose_retries_are_exhausted_counts_as_failed(api: Api, namespace: str) -> None:
    await api.create(warmup("tolerant", namespace, on_nodes("node-000", image=FAILS), backoffLimitPerNode=1))
    limits = {"backoffLimitPerNode": 1, "maxFailedNodes": 0}
    await api.create(warmup("strict", namespace, on_nodes("node-001", image=FAILS), **limits))
    found = await reached(api, "tolerant", namespace, "Completed")
    assert (found["succeeded"], found["failed"]) == (0, 1)
    found = await reached(api, "strict", namespace, "Failed")
    assert condition(found, "Failed")["reason"] == "MaxFailedNodesExceeded"
    attempts = [pod["status"]["phase"] for pod in (await pods(api, namespace)).values()]
    assert attempts == ["Failed"] * 4, "two attempts each"


@pytest.mark.usefixtures("running")
async def test_without_a_node_it_is_complete_at_once(api: Api, namespace: str) -> None:
    target = {"targetNodes": {"nodeSelector": {"no-such": "label"}, "imagePreload": {"images": [ENDS]}}}
    await api.create(warmup("w", namespace, target))
    found = await reached(api, "w", namespace, "Completed")
    assert condition(found, "Complete")["reason"] == "NoNodesMatched"
    assert await pods(api, namespace) == {}


@pytest.mark.usefixtures("running")
async def test_after_its_time_to_live_it_is_gone_with_its_pods(api: Api, namespace: str) -> None:
    await api.create(warmup("w", namespace, on_nodes("node-000"), ttlSecondsAfterFinished=3))
    await reached(api, "w", namespace, "Completed")

    async def gone() -> bool:
        return await api.find(V1ALPHA2, KIND, "w", namespace) is None and not await pods(api, namespace)

    await eventually(gone, 60, what="neither warmup nor pods are left")


@pytest.mark.usefixtures("running")
async def test_a_pause_starts_nothing_new_until_it_ends(api: Api, namespace: str) -> None:
    manifest = warmup("w", namespace, on_nodes("node-000", "node-001"))
    manifest["spec"]["paused"] = True
    await api.create(manifest)
    await reached(api, "w", namespace, "Paused")
    assert await pods(api, namespace) == {}
    await api.merge(V1ALPHA2, KIND, "w", {"spec": {"paused": False}}, namespace=namespace)
    assert (await reached(api, "w", namespace, "Completed"))["succeeded"] == 2


@pytest.mark.usefixtures("running")
async def test_a_group_that_is_missing_is_waited_for_and_its_nodes_are_warmed_up(api: Api, namespace: str) -> None:
    roles = {"decode": {"imagePreload": {"images": [ENDS]}}}
    await api.create(warmup("w", namespace, {"targetRoleBasedGroup": {"name": "llm", "roles": roles}}))

    async def waiting() -> bool:
        return condition(await status(api, "w", namespace), "Blocked").get("reason") == "GroupNotFound"

    await eventually(waiting, 30, what="it says what it waits for")
    await api.create(group("llm", namespace, role("decode", 3)))
    await become_ready(api, "llm", namespace)
    found = await reached(api, "w", namespace, "Completed")
    assert "Blocked" not in [item["type"] for item in found["conditions"]]
    made = await pods(api, namespace)
    placed = {pod["spec"]["nodeName"] for name, pod in made.items() if name.startswith("llm-")}
    warm = {pod["spec"]["nodeName"] for name, pod in made.items() if name.startswith("w-")}
    assert warm == placed
    assert found["succeeded"] == len(placed)


@pytest.mark.usefixtures("running")
async def test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room(
    api: Api, namespace: str
) -> None:
    async with tight_quota(api, namespace, pods="0"):
        await api.create(warmup("w", namespace, on_nodes("node-000")))

        async def refused() -> bool:
            found = condition(await status(api, "w", namespace), "Blocked")
            return found.get("reason") == "FailedCreatePod" and "quota" in found["message"]

        await eventually(refused, 20, what="the refusal is a condition")
    found = await reached(api, "w", namespace, "Completed", 90)
    assert condition(found, "Blocked") == {}
