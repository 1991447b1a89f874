"""The control plane of hack/ keeps its promises to the tests that run on it."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import yaml

from e2e.support import container, crash, eventually, fail, is_ready, pod, restart_container
from hack.controlplane import Api, Cluster
from hack.controlplane.errors import HttpError
from hack.controlplane.lws import example

GATE = "example.com/gate"


async def _ready(api: Api, name: str, namespace: str) -> bool:
    return is_ready(await api.find("v1", "Pod", name, namespace))


async def _phase(api: Api, name: str, namespace: str, phase: str) -> bool:
    return bool((await api.get("v1", "Pod", name, namespace))["status"].get("phase") == phase)


async def _set_gate(api: Api, name: str, namespace: str, status: str) -> None:
    found = await api.get("v1", "Pod", name, namespace)
    conditions = [c for c in found["status"]["conditions"] if c["type"] != GATE]
    patch = {"status": {"conditions": [*conditions, {"type": GATE, "status": status}]}}
    await api.merge("v1", "Pod", name, patch, namespace=namespace, subresource="status")


async def test_a_pod_is_scheduled_and_becomes_ready(api: Api, namespace: str) -> None:
    await api.create(pod("one", namespace))
    await eventually(lambda: _ready(api, "one", namespace))
    found = await api.get("v1", "Pod", "one", namespace)
    assert found["spec"]["nodeName"]
    assert found["status"]["podIP"]


async def test_a_pod_that_wants_more_devices_than_a_node_has_stays_pending(api: Api, namespace: str) -> None:
    limits = {"limits": {"nvidia.com/gpu": "9"}}
    await api.create(pod("big", namespace, containers=[{"name": "main", "image": "i", "resources": limits}]))

    async def refused() -> bool:
        found = await api.get("v1", "Pod", "big", namespace)
        return any(c.get("reason") == "Unschedulable" for c in found["status"].get("conditions") or ())

    await eventually(refused)


async def test_ready_follows_a_readiness_gate_open_closed_and_open_again(api: Api, namespace: str) -> None:
    await api.create(pod("gated", namespace, readinessGates=[{"conditionType": GATE}]))
    await eventually(lambda: _phase(api, "gated", namespace, "Running"))
    assert not await _ready(api, "gated", namespace)
    for status, expected in (("True", True), ("False", False), ("True", True)):
        await _set_gate(api, "gated", namespace, status)

        async def follows(expected: bool = expected) -> bool:
            return await _ready(api, "gated", namespace) is expected

        await eventually(follows, what=f"Ready {expected} after the gate became {status}")


async def test_an_image_changed_in_place_restarts_only_that_container_once(api: Api, namespace: str) -> None:
    both = [{"name": "main", "image": "example/server:v1"}, {"name": "side", "image": "example/side:v1"}]
    uid = (await api.create(pod("two", namespace, containers=both)))["metadata"]["uid"]
    await eventually(lambda: _ready(api, "two", namespace))
    both[0]["image"] = "example/server:v2"
    await api.merge("v1", "Pod", "two", {"spec": {"containers": both}}, namespace=namespace)

    async def changed() -> bool:
        return bool(container(await api.get("v1", "Pod", "two", namespace))["imageID"] == "example/server:v2")

    await eventually(changed)
    found = await api.get("v1", "Pod", "two", namespace)
    assert found["metadata"]["uid"] == uid
    assert container(found)["restartCount"] == 1
    assert container(found, "side")["restartCount"] == 0
    assert is_ready(found)


@pytest.mark.parametrize(
    ("image", "phase"),
    [("example/job:v1", "Succeeded"), ("example/fails:v1", "Failed"), ("example/never-ends", "Running")],
)
async def test_a_pod_that_is_not_restarted_ends_as_its_image_says(
    api: Api, namespace: str, image: str, phase: str
) -> None:
    await api.create(pod("job", namespace, image=image, restartPolicy="Never"))
    await eventually(lambda: _phase(api, "job", namespace, phase))


async def test_a_held_pod_starts_when_it_is_let_go(api: Api, namespace: str) -> None:
    await api.create(pod("held", namespace, annotations={"fake-kubelet/hold": "yes"}))
    await api.create(pod("after", namespace))
    await eventually(lambda: _ready(api, "after", namespace))
    assert await _phase(api, "held", namespace, "Pending")
    patch = {"metadata": {"annotations": {"fake-kubelet/hold": None}}}
    await api.merge("v1", "Pod", "held", patch, namespace=namespace)
    await eventually(lambda: _ready(api, "held", namespace))


async def test_failures_written_by_a_test_stay_as_written(api: Api, namespace: str) -> None:
    for name in ("failed", "crashed", "restarted"):
        await api.create(pod(name, namespace))
        await eventually(partial(_ready, api, name, namespace))
    await fail(api, "failed", namespace)
    await crash(api, "crashed", namespace)
    await restart_container(api, "restarted", namespace)
    assert await _phase(api, "failed", namespace, "Failed")
    assert not await _ready(api, "crashed", namespace)
    restarted = await api.get("v1", "Pod", "restarted", namespace)
    assert is_ready(restarted)
    assert container(restarted)["restartCount"] == 1


async def test_the_lws_controller_makes_the_pods_of_a_leader_worker_set(api: Api, namespace: str) -> None:
    await api.create(example("group", namespace, replicas=2, size=3))

    async def names() -> bool:
        found = await api.items("v1", "Pod", namespace, "leaderworkerset.sigs.k8s.io/name=group")
        expected = {f"group-{g}" for g in (0, 1)} | {f"group-{g}-{w}" for g in (0, 1) for w in (1, 2)}
        return {p["metadata"]["name"] for p in found if is_ready(p)} == expected

    await eventually(names, 60.0)


async def test_the_lws_webhook_refuses_an_invalid_object(api: Api, namespace: str) -> None:
    with pytest.raises(HttpError) as refused:
        await api.create(example("bad", namespace, replicas=-1))
    assert refused.value.status in {403, 422}


@pytest.mark.parametrize("group", ["scheduling.x-k8s.io/v1alpha1", "scheduling.volcano.sh/v1beta1"])
async def test_gangs_can_be_declared_to_both_schedulers(api: Api, namespace: str, group: str) -> None:
    spec = {"minMember": 3}
    await api.create(
        {"apiVersion": group, "kind": "PodGroup", "metadata": {"name": "g", "namespace": namespace}, "spec": spec}
    )
    assert (await api.get(group, "PodGroup", "g", namespace))["spec"]["minMember"] == 3


async def test_nodes_carry_devices_domains_and_zones(api: Api, cluster: Cluster) -> None:
    found = await api.items("v1", "Node")
    assert len(found) == cluster.options.nodes
    domains: dict[str, set[str]] = {}
    for node in found:
        labels = node["metadata"]["labels"]
        assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
        assert labels["kubernetes.io/hostname"] == node["metadata"]["name"]
        domains.setdefault(labels["nvidia.com/gpu.clique"], set()).add(labels["topology.kubernetes.io/zone"])
    assert len(domains) == cluster.options.nodes // 4
    assert all(len(zones) == 1 for zones in domains.values())


async def test_the_kubeconfig_makes_clients_verify_the_server(kubeconfig: Path) -> None:
    config = await asyncio.to_thread(kubeconfig.read_text)
    [entry] = yaml.safe_load(config)["clusters"]
    assert set(entry["cluster"]) == {"server", "certificate-authority-data"}
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(entry["cluster"]["server"], ssl=ssl.create_default_context())


async def test_nobody_may_do_nothing(cluster: Cluster, namespace: str) -> None:
    async with cluster.api("nobody") as nobody:
        with pytest.raises(HttpError) as refused:
            await nobody.items("v1", "Pod", namespace)
    assert refused.value.status == 403


async def test_a_service_account_may_what_its_role_says_and_no_more(cluster: Cluster, api: Api, namespace: str) -> None:
    meta = {"name": "reader", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", **meta}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    await api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    await api.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules})
    reference = {"apiGroup": rbac, "kind": "Role", "name": "reader"}
    await api.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [subject],
            "roleRef": reference,
        }
    )
    config = yaml.safe_load((await cluster.service_account_kubeconfig(namespace, "reader")).read_text())
    async with Api(cluster.url, cluster.ca_pem, config["users"][0]["user"]["token"]) as reader:

        async def allowed() -> bool:
            return await reader.items("v1", "Pod", namespace) == []

        await eventually(allowed, retry_on=(HttpError,))  # the authorizer learns of a binding by watching
        with pytest.raises(HttpError) as refused:
            await reader.create(pod("p", namespace))
    assert refused.value.status == 403


async def test_the_audit_log_tells_who_wrote_what(cluster: Cluster, namespace: str) -> None:
    mark = cluster.audit_mark()
    async with cluster.api(agent="somebody/1.0") as somebody:
        await somebody.create(pod("one", namespace))
        await somebody.get("v1", "Pod", "one", namespace)

    def writes() -> list[tuple[str, str, int]]:
        events = cluster.audit_events(after=mark, user="admin", agent="somebody/")
        return [(e.verb, e.resource, e.code) for e in events if e.is_write]

    await eventually(writes)
    assert writes() == [("create", "pods", 201)]
