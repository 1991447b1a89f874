"""What becomes of nodes and of the pods on them."""

from __future__ import annotations

import asyncio
from typing import Any

from rbgctrl.api.core import Node, Pod
from rbgctrl.api.meta import Key
from rbgctrl.sim import ClusterOptions, EmbeddedCluster, NodeOptions, virtual
from unit.sim.clusters import condition, create_pod, get, names, pod_of, ready


def options(**lifecycle: Any) -> ClusterOptions:
    return ClusterOptions(nodes=2, lifecycle=NodeOptions(**lifecycle))


def node(cluster: EmbeddedCluster, name: str) -> dict[str, Any]:
    return get(cluster, "nodes", name, "")


def taints(cluster: EmbeddedCluster, name: str) -> list[tuple[str, str]]:
    return [(item["key"].rpartition("/")[2], item["effect"]) for item in node(cluster, name)["spec"].get("taints", ())]


def pinned(name: str, to: str, **rest: Any) -> dict[str, Any]:
    return {"name": name, "nodeSelector": {"kubernetes.io/hostname": to}, **rest}


@virtual
async def test_nodes_are_ready_from_the_start_and_keep_what_their_manifest_says() -> None:
    async with EmbeddedCluster(ClusterOptions(nodes=8)) as cluster:
        found = [node(cluster, f"node-{number:03d}") for number in range(8)]
        assert all(ready(one) for one in found)
        assert {one["status"]["allocatable"]["nvidia.com/gpu"] for one in found} == {"8"}
        assert [one["metadata"]["labels"]["nvidia.com/gpu.clique"] for one in found] == [
            *["fabric.0"] * 4,
            *["fabric.1"] * 4,
        ]
        assert len({one["status"]["addresses"][0]["address"] for one in found}) == 8


@virtual
async def test_a_lost_node_is_unknown_then_tainted_then_emptied_but_its_pods_stay_until_it_is_back() -> None:
    async with EmbeddedCluster(options(grace=50)) as cluster:
        create_pod(cluster, **pinned("a", "node-000"))
        create_pod(cluster, **pinned("b", "node-001"))
        await cluster.settle()
        cluster.kill_node("node-000")
        await asyncio.sleep(49)
        assert ready(node(cluster, "node-000"))
        await asyncio.sleep(2)
        assert condition(node(cluster, "node-000"), "Ready")["reason"] == "NodeStatusUnknown"
        assert taints(cluster, "node-000") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
        assert not ready(pod_of(cluster, "a"))
        assert "deletionTimestamp" not in pod_of(cluster, "a")["metadata"]
        await asyncio.sleep(300)
        lost = pod_of(cluster, "a")
        assert "deletionTimestamp" in lost["metadata"]
        assert condition(lost, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
        await asyncio.sleep(3600)
        assert pod_of(cluster, "a")["metadata"]["uid"] == lost["metadata"]["uid"]
        assert ready(pod_of(cluster, "b"))
        cluster.revive_node("node-000")
        await cluster.settle()
        assert names(cluster, "pods") == ["b"]
        assert ready(node(cluster, "node-000"))
        assert taints(cluster, "node-000") == []


@virtual
async def test_who_tolerates_a_lost_node_for_longer_stays_for_longer() -> None:
    tolerated = [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 3600}]
    async with EmbeddedCluster(options(grace=50)) as cluster:
        create_pod(cluster, **pinned("patient", "node-000", tolerations=tolerated))
        create_pod(cluster, **pinned("faithful", "node-000", tolerations=[{"operator": "Exists"}]))
        await cluster.settle()
        cluster.kill_node("node-000")
        await asyncio.sleep(50 + 3590)
        assert names(cluster, "pods") == ["faithful", "patient"]
        await asyncio.sleep(20)
        assert names(cluster, "pods") == ["faithful"]


@virtual
async def test_a_node_that_is_back_in_time_loses_nothing_but_its_containers_were_restarted() -> None:
    async with EmbeddedCluster(options(grace=50)) as cluster:
        create_pod(cluster, **pinned("a", "node-000"))
        await cluster.settle()
        cluster.kill_node("node-000")
        await asyncio.sleep(120)
        assert not ready(pod_of(cluster, "a"))
        cluster.revive_node("node-000")
        await asyncio.sleep(24 * 3600)
        pod = pod_of(cluster, "a")
        assert ready(pod)
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 1


@virtual
async def test_a_restarted_kubelet_does_later_what_was_due_meanwhile() -> None:
    async with EmbeddedCluster(options()) as cluster, cluster.client() as client:
        create_pod(cluster, **pinned("a", "node-000"))
        await cluster.settle()
        cluster.restart_kubelet("node-000", seconds=20)
        await client.delete(Pod, Key("default", "a"))
        create_pod(cluster, **pinned("b", "node-000"))
        await asyncio.sleep(19)
        assert "deletionTimestamp" in pod_of(cluster, "a")["metadata"]
        assert pod_of(cluster, "b")["status"]["phase"] == "Pending"
        await cluster.settle()
        assert names(cluster, "pods") == ["b"]
        assert ready(pod_of(cluster, "b"))
        assert ready(node(cluster, "node-000"))


@virtual
async def test_the_pods_of_a_deleted_node_are_collected() -> None:
    async with EmbeddedCluster(options(collect=40)) as cluster:
        create_pod(cluster, **pinned("a", "node-000"))
        await cluster.settle()
        cluster.kill_node("node-000")
        cluster.remove_node("node-000")
        await asyncio.sleep(39)
        assert names(cluster, "pods") == ["a"]
        await cluster.settle()
        assert cluster.server.storage.list("pods") == []


@virtual
async def test_a_cordoned_node_takes_nobody_and_a_drained_one_keeps_nobody() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, **pinned("a", "node-000"))
        await cluster.settle()
        cluster.cordon("node-001")
        create_pod(cluster, **pinned("b", "node-001"))
        await asyncio.sleep(60)
        assert taints(cluster, "node-001") == [("unschedulable", "NoSchedule")]
        assert not pod_of(cluster, "b")["spec"].get("nodeName")
        cluster.cordon("node-001", unschedulable=False)
        await asyncio.sleep(60)
        assert ready(pod_of(cluster, "b"))
        cluster.drain("node-000")
        await cluster.settle()
        assert names(cluster, "pods") == ["b"]


@virtual
async def test_a_node_taken_down_by_annotation_is_not_ready_until_the_annotation_goes() -> None:
    async with EmbeddedCluster(options()) as cluster, cluster.client() as client:
        await client.patch(Node, Key("", "node-000"), {"metadata": {"annotations": {"fake-kubelet/down": "yes"}}})
        await cluster.settle()
        assert condition(node(cluster, "node-000"), "Ready")["status"] == "False"
        assert taints(cluster, "node-000") == [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]
        await client.patch(Node, Key("", "node-000"), {"metadata": {"annotations": {"fake-kubelet/down": None}}})
        await cluster.settle()
        assert ready(node(cluster, "node-000"))
        assert taints(cluster, "node-000") == []
