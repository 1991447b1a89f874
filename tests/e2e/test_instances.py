"""RoleInstances made by a user, under the real daemon on the real control plane: the essentials, and bad days."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually, set_node_down
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, pods
from e2e.support.instances import component, instance, instance_condition, instance_ready, instance_says, instance_set
from e2e.support.plugin import CRDS
from e2e.support.quota import tight_quota
from hack.controlplane import Api, Cluster, ClusterOptions
from rbgctrl.api import labels


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


@pytest.mark.usefixtures("running")
async def test_an_instance_without_any_label_becomes_ready_and_a_changed_spec_replaces_what_it_changes(
    api: Api, namespace: str
) -> None:
    await api.create(instance("mine", namespace, component("leader"), component("worker", 2)))
    await instance_ready(api, "mine", namespace)
    before = await pods(api, namespace)
    assert sorted(before) == ["mine-leader-0", "mine-worker-0", "mine-worker-1"]
    changed = component("worker", 2)
    changed["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "fast"}]
    spec = {"spec": instance("mine", namespace, component("leader"), changed)["spec"]}
    await api.merge(V1ALPHA2, "RoleInstance", "mine", spec, namespace=namespace)

    async def replaced() -> bool:
        found = await pods(api, namespace)
        same = {name for name, pod in found.items() if pod["metadata"]["uid"] == before[name]["metadata"]["uid"]}
        return len(found) == 3 and same == {"mine-leader-0"}

    await eventually(replaced, 30, what="the workers are replaced, the leader is not")
    await instance_ready(api, "mine", namespace)
    hashes = {
        pod["metadata"]["labels"][labels.CONTROLLER_REVISION_HASH] for pod in (await pods(api, namespace)).values()
    }
    assert len(hashes) == 1


@pytest.mark.usefixtures("running")
async def test_a_component_starts_only_after_the_one_it_depends_on(api: Api, namespace: str) -> None:
    held = component("leader", metadata={"annotations": {"fake-kubelet/hold": "yes"}})
    await api.create(instance("ord", namespace, held, component("worker", 2, after=("leader",))))
    await instance_says(api, "ord", namespace, "component worker waits for leader")
    assert sorted(await pods(api, namespace)) == ["ord-leader-0"]
    release = {"metadata": {"annotations": {"fake-kubelet/hold": None}}}
    await api.merge("v1", "Pod", "ord-leader-0", release, namespace=namespace)
    await instance_ready(api, "ord", namespace)
    assert sorted(await pods(api, namespace)) == ["ord-leader-0", "ord-worker-0", "ord-worker-1"]


async def _recreated(api: Api, namespace: str, **asked: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of a set before and after its instance was replaced."""
    await api.create(instance_set("home", namespace, **asked))
    await instance_ready(api, "home-0", namespace)

    async def recorded() -> bool:
        found = await api.get(V1ALPHA2, "RoleInstanceSet", "home", namespace)
        return "node.rbgctrl.io/home-0-main-0" in found["metadata"]["annotations"]

    await eventually(recorded, 20, what="the node is recorded")
    before = (await pods(api, namespace))["home-0-main-0"]
    await api.delete(V1ALPHA2, "RoleInstance", "home-0", namespace)

    async def replaced() -> dict[str, Any] | None:
        found = (await pods(api, namespace)).get("home-0-main-0")
        return found if found is not None and found["metadata"]["uid"] != before["metadata"]["uid"] else None

    await eventually(replaced, 30, what="the pod of the new instance is there")
    await instance_ready(api, "home-0", namespace)
    return before, (await pods(api, namespace))["home-0-main-0"]


@pytest.mark.usefixtures("running")
async def test_a_replaced_instance_must_return_to_its_node(api: Api, namespace: str) -> None:
    asked = {"INPLACE_SCHEDULING": "Required", "INPLACE_SCHEDULING_AVOID": "example.com/bad"}
    before, after = await _recreated(api, namespace, **asked)
    node = before["spec"]["nodeName"]
    hostname = (await api.get("v1", "Node", node))["metadata"]["labels"][labels.NODE_HOSTNAME]
    assert after["spec"]["nodeName"] == node
    required = after["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {
            "matchExpressions": [
                {"key": labels.NODE_HOSTNAME, "operator": "In", "values": [hostname]},
                {"key": "example.com/bad", "operator": "DoesNotExist"},
            ]
        }
    ]


@pytest.mark.usefixtures("running")
async def test_a_replaced_instance_prefers_the_nodes_of_its_component(api: Api, namespace: str) -> None:
    asked = {"INPLACE_SCHEDULING": "Preferred", "INPLACE_SCHEDULING_GRANULARITY": "Component"}
    before, after = await _recreated(api, namespace, **asked)
    hostname = (await api.get("v1", "Node", before["spec"]["nodeName"]))["metadata"]["labels"][labels.NODE_HOSTNAME]
    (term,) = after["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["weight"] == 100
    home = {"key": labels.NODE_HOSTNAME, "operator": "In", "values": [hostname]}
    assert term["preference"]["matchExpressions"] == [home]


@pytest.mark.usefixtures("running")
async def test_a_finalizer_that_holds_a_pod_is_named_and_the_pod_replaced_once_it_goes(
    api: Api, namespace: str
) -> None:
    await api.create(instance("held", namespace, component(metadata={"finalizers": ["example.com/hold"]})))
    await instance_ready(api, "held", namespace)
    old = (await pods(api, namespace))["held-main-0"]["metadata"]["uid"]
    await api.delete("v1", "Pod", "held-main-0", namespace)
    await instance_says(api, "held", namespace, "held-main-0 (terminating, held by finalizer example.com/hold")
    await api.merge("v1", "Pod", "held-main-0", {"metadata": {"finalizers": None}}, namespace=namespace)

    async def replaced() -> bool:
        found = (await pods(api, namespace)).get("held-main-0")
        return found is not None and found["metadata"]["uid"] != old

    await eventually(replaced, 30, what="the pod is replaced")
    await instance_ready(api, "held", namespace)
    await api.delete(V1ALPHA2, "RoleInstance", "held", namespace)
    await api.merge("v1", "Pod", "held-main-0", {"metadata": {"finalizers": None}}, namespace=namespace)


@pytest.mark.usefixtures("running")
async def test_a_pod_of_somebody_else_is_never_touched_and_what_needs_its_name_heals_when_it_goes(
    api: Api, namespace: str
) -> None:
    container = {"name": "main", "image": "registry.example/other:1"}
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine-main-0", "namespace": namespace},
        "spec": {"containers": [container]},
    }
    made = await api.create(stranger)
    await api.create(instance("mine", namespace, component(size=2)))
    said = await instance_says(api, "mine", namespace, "mine-main-0", "FailedScale")
    assert "belongs to no controller" in said
    found = await pods(api, namespace)
    assert found["mine-main-0"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert "mine-main-1" in found
    await api.delete("v1", "Pod", "mine-main-0", namespace, grace=0)
    await instance_ready(api, "mine", namespace)
    assert await instance_condition(api, "mine", namespace, "FailedScale") is None


@pytest.mark.usefixtures("running")
async def test_a_quota_that_refuses_pods_is_told_in_the_servers_words_and_heals(api: Api, namespace: str) -> None:
    async with tight_quota(api, namespace, pods="1"):
        await api.create(instance("many", namespace, component(size=3)))
        await instance_says(api, "many", namespace, "exceeded quota: tight", "FailedScale")
        assert len(await pods(api, namespace)) == 1, "what fits is created"
    await instance_ready(api, "many", namespace, 90)
    assert await instance_condition(api, "many", namespace, "FailedScale") is None


async def test_a_pod_on_a_lost_node_says_what_to_do_and_is_replaced_once_that_is_done(tmp_path: Path) -> None:
    options = ClusterOptions(nodes=3, crds=(CRDS,), gang=False)
    async with (
        Cluster(options, state=tmp_path / "cluster") as private,
        private.api() as api,
        daemon(private.kubeconfig, tmp_path / "rbgctrl"),
    ):
        await api.create(instance("lost", "default"))
        await instance_ready(api, "lost", "default")
        before = (await pods(api, "default"))["lost-main-0"]
        node = before["spec"]["nodeName"]
        await set_node_down(api, node)

        async def tainted() -> list[dict[str, Any]]:
            found = (await api.get("v1", "Node", node))["spec"].get("taints", [])
            return found if any(item["key"] == "node.kubernetes.io/not-ready" for item in found) else []

        taints = await eventually(tainted, 60, what="the node is not ready")
        private.kwok.pause()  # no kubelet confirms a deletion any more
        await api.delete("v1", "Pod", "lost-main-0", "default")
        said = await instance_says(api, "lost", "default", f"terminating on node {node}, which is not ready")
        assert "taint it with node.kubernetes.io/out-of-service" in said
        gone = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
        await api.merge("v1", "Node", node, {"spec": {"taints": [*taints, gone]}})

        async def replaced() -> bool:
            found = (await pods(api, "default")).get("lost-main-0")
            return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

        await eventually(replaced, 90, what="garbage collection removed the pod, and there is another one")
        private.kwok.resume()
        await instance_ready(api, "lost", "default", 90)
        assert (await pods(api, "default"))["lost-main-0"]["spec"]["nodeName"] != node
