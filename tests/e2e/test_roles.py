"""Roles of every pattern under the real daemon: what their pods are, how they find each other, where they go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, condition, group, pods, role
from e2e.support.quota import tight_quota
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

POD = {"spec": {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}}
ZONE = "topology.kubernetes.io/zone"
POD_GROUP = "scheduling.x-k8s.io/v1alpha1"


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


def leader_worker(name: str, replicas: int, size: int, **pattern: Any) -> dict[str, Any]:
    return {"name": name, "replicas": replicas, "leaderWorkerPattern": {"size": size, "template": POD, **pattern}}


def components(name: str, replicas: int, **more: Any) -> dict[str, Any]:
    parts = [{"name": "main", "size": 1, "template": POD}, {"name": "side", "size": 2, "template": POD}]
    return {"name": name, "replicas": replicas, "customComponentsPattern": {"components": parts}, **more}


def annotated(body: dict[str, Any], **annotations: str) -> dict[str, Any]:
    body["metadata"]["annotations"] = annotations
    return body


async def topology(api: Api, namespace: str) -> dict[str, dict[str, Any]]:
    """Role name to the pods that the discovery file lists, by name."""
    found = yaml.safe_load((await api.get("v1", "ConfigMap", "llm", namespace))["data"]["config.yaml"])
    return {
        item["name"]: {pod["name"]: pod for instance in item["instances"] for pod in instance["pods"]}
        for item in found["topology"]["roles"]
    }


@pytest.mark.usefixtures("running")
async def test_every_pattern_comes_to_life_and_the_discovery_file_lists_every_pod_as_it_is(
    api: Api, namespace: str
) -> None:
    stateless = components("tools", 2, annotations={labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS})
    everyone = leader_worker("decode", 1, 2, sharedServiceSelection="All")
    roles = (role("router"), leader_worker("prefill", 2, 3), everyone, components("store", 1), stateless)
    await api.create(group("llm", namespace, *roles))
    await become_ready(api, "llm", namespace)
    found = await pods(api, namespace)
    assert len(found) == 1 + 2 * 3 + 2 + 3 + 2 * 3

    async def complete() -> bool:
        listed = {name: pod for entries in (await topology(api, namespace)).values() for name, pod in entries.items()}
        return listed.keys() == found.keys() and all("address" in pod and "zone" in pod for pod in listed.values())

    await eventually(complete, 30, what="the file lists all pods with address and zone")
    for name, entries in (await topology(api, namespace)).items():
        for entry in entries.values():
            pod = found[entry["name"]]
            carried, spec = pod["metadata"]["labels"], pod["spec"]
            assert carried[labels.ROLE_NAME] == name
            assert entry["roleId"] == carried[labels.ROLE_ID]
            assert entry["component"] == carried[labels.COMPONENT_NAME]
            resolvable = f"{spec['hostname']}.{spec['subdomain']}" if "subdomain" in spec else pod["status"]["podIP"]
            assert entry["address"] == resolvable
            node = await api.get("v1", "Node", spec["nodeName"])
            assert entry["zone"] == node["metadata"]["labels"][ZONE]


@pytest.mark.usefixtures("running")
async def test_addresses_in_the_file_are_those_the_cluster_resolves(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("router", 2), leader_worker("decode", 2, 2)))
    await become_ready(api, "llm", namespace)

    async def resolved() -> set[str]:
        names = set()
        for piece in await api.items("discovery.k8s.io/v1", "EndpointSlice", namespace):
            service = piece["metadata"]["labels"]["kubernetes.io/service-name"]
            names |= {f"{end['hostname']}.{service}" for end in piece.get("endpoints") or () if end.get("hostname")}
        return names

    async def all_of_them() -> bool:
        listed = [
            pod.get("address", "") for entries in (await topology(api, namespace)).values() for pod in entries.values()
        ]
        return {address for address in listed if ".s-llm-" in address} == await resolved()

    await eventually(all_of_them, 30, what="every host name of the file is an endpoint, and every endpoint is listed")
    assert len(await resolved()) == 2 + 2, "two routers, and the leaders only"


@pytest.mark.usefixtures("running")
async def test_the_selection_of_the_shared_service_changes_its_selector_and_the_host_names_of_workers(
    api: Api, namespace: str
) -> None:
    await api.create(group("llm", namespace, leader_worker("decode", 1, 2)))
    await become_ready(api, "llm", namespace)
    service = await api.get("v1", "Service", "s-llm-decode", namespace)
    assert service["spec"]["selector"][labels.COMPONENT_NAME] == "leader"
    before = await pods(api, namespace)
    assert "hostname" not in before["llm-decode-0-1"]["spec"]
    for selection, expected in (("All", "llm-decode-0-1"), ("LeaderOnly", None)):
        spec = group("llm", namespace, leader_worker("decode", 1, 2, sharedServiceSelection=selection))["spec"]
        await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)

        async def rolled(hostname: str | None = expected, old: dict[str, Any] = before) -> bool:
            now = (await pods(api, namespace)).get("llm-decode-0-1")
            if now is None or now["metadata"]["uid"] == old["llm-decode-0-1"]["metadata"]["uid"]:
                return False
            return bool(now["spec"].get("hostname") == hostname)

        await eventually(rolled, 60, what=f"the worker is another one, selection {selection}")
        await become_ready(api, "llm", namespace)
        before = await pods(api, namespace)
        service = await api.get("v1", "Service", "s-llm-decode", namespace)
        assert (labels.COMPONENT_NAME in service["spec"]["selector"]) is (selection == "LeaderOnly")


@pytest.mark.usefixtures("running")
async def test_groups_with_exclusive_topology_each_get_a_domain_of_their_own(api: Api, namespace: str) -> None:
    for name in ("one", "two"):
        body = annotated(group(name, namespace, role("a", 2)), **{labels.GROUP_EXCLUSIVE_TOPOLOGY: ZONE})
        await api.create(body)
        await become_ready(api, name, namespace)
    zones: dict[str, set[str]] = {"one": set(), "two": set()}
    for pod in (await pods(api, namespace)).values():
        node = await api.get("v1", "Node", pod["spec"]["nodeName"])
        zones[pod["metadata"]["labels"][labels.GROUP_NAME]].add(node["metadata"]["labels"][ZONE])
        terms = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (wanted,) = terms[0]["labelSelector"]["matchExpressions"]
        assert pod["metadata"]["labels"][wanted["key"]] in wanted["values"]
    assert [len(found) for found in zones.values()] == [1, 1]
    assert zones["one"] != zones["two"]


@pytest.mark.usefixtures("running")
async def test_a_gang_has_a_pod_group_that_grows_with_the_roles_that_start(api: Api, namespace: str) -> None:
    waits = {**leader_worker("decode", 2, 2), "dependencies": ["prefill"]}
    body = group("llm", namespace, role("prefill", 2), waits)
    await api.create(annotated(body, **{labels.GROUP_GANG_SCHEDULING: "true"}))
    await become_ready(api, "llm", namespace)
    found = await api.get(POD_GROUP, "PodGroup", "llm", namespace)
    assert found["spec"] == {"minMember": 6, "scheduleTimeoutSeconds": 60}
    for pod in (await pods(api, namespace)).values():
        assert pod["metadata"]["labels"][labels.GANG_POD_GROUP] == "llm"
    off = {"metadata": {"annotations": {labels.GROUP_GANG_SCHEDULING: None}}}
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", off, namespace=namespace)

    async def gone() -> bool:
        return await api.find(POD_GROUP, "PodGroup", "llm", namespace) is None

    await eventually(gone, 30, what="the PodGroup goes with the annotation")


@pytest.mark.usefixtures("running")
async def test_a_missing_profile_stops_its_role_only_and_one_that_comes_is_used(api: Api, namespace: str) -> None:
    profile = f"sidecar-{namespace}"[:60]
    runtimes = [{"profileName": profile}]
    await api.create(group("llm", namespace, role("plain"), role("engine", engineRuntimes=runtimes)))

    async def told() -> bool:
        found = await condition(api, "llm", namespace, "Degraded")
        return found is not None and "role engine: " in found["message"] and profile in found["message"]

    await eventually(told, 30, what="the condition names the role and the profile")
    await eventually(lambda: _runs(api, namespace, "llm-plain-0"), 30, what="the other role runs")
    container = {"name": "sidecar", "image": "registry.example/sidecar:1"}
    body = {
        "apiVersion": V1ALPHA2,
        "kind": "ClusterEngineRuntimeProfile",
        "metadata": {"name": profile},
        "spec": {"updateStrategy": "RollingUpdate", "containers": [container]},
    }
    await api.create(body)
    try:
        await become_ready(api, "llm", namespace)
        assert await _images(api, namespace) == ["registry.example/engine:1", "registry.example/sidecar:1"]
        newer = {"spec": {"containers": [{**container, "image": "registry.example/sidecar:2"}]}}
        await api.merge(V1ALPHA2, "ClusterEngineRuntimeProfile", profile, newer)

        async def rolled() -> bool:
            return "registry.example/sidecar:2" in await _images(api, namespace)

        await eventually(rolled, 60, what="an edited profile rolls out")
    finally:
        await api.delete(V1ALPHA2, "ClusterEngineRuntimeProfile", profile)


async def _runs(api: Api, namespace: str, name: str) -> bool:
    return name in await pods(api, namespace)


async def _images(api: Api, namespace: str) -> list[str]:
    pod = (await pods(api, namespace)).get("llm-engine-0")
    return [item["image"] for item in pod["spec"]["containers"]] if pod is not None else []


@pytest.mark.usefixtures("running")
async def test_a_quota_that_refuses_an_object_of_the_group_is_said_and_clears_when_there_is_room(
    api: Api, namespace: str
) -> None:
    async with tight_quota(api, namespace, count_services="0"):
        await api.create(group("llm", namespace, role("a"), role("b")))

        async def refused() -> bool:
            found = await condition(api, "llm", namespace, "Degraded")
            return found is not None and found["reason"] == "Refused" and "exceeded quota: tight" in found["message"]

        await eventually(refused, 30, what="the refusal is a condition, in the words of the server")
        await eventually(lambda: _runs(api, namespace, "llm-b-0"), 30, what="pods run all the same")
    await become_ready(api, "llm", namespace, within=120)
    found = await condition(api, "llm", namespace, "Degraded")
    assert found is not None
    assert found["status"] == "False"
