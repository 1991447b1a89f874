"""A group under the real daemon on the real control plane: life from nothing to deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from e2e.support import eventually, fail
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, condition, group, pods, role
from e2e.support.quota import tight_quota
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


@pytest.mark.usefixtures("running")
async def test_a_prefill_decode_group_becomes_ready_with_everything_the_contract_names(
    api: Api, namespace: str
) -> None:
    await api.create(group("llm", namespace, role("prefill", 2), role("decode", 3, "prefill")))
    await become_ready(api, "llm", namespace)
    found = await pods(api, namespace)
    assert sorted(found) == ["llm-decode-0", "llm-decode-1", "llm-decode-2", "llm-prefill-0", "llm-prefill-1"]
    for name, pod in found.items():
        carried = pod["metadata"]["labels"]
        ordinal = name.rpartition("-")[2]
        assert carried[labels.GROUP_NAME] == "llm"
        assert carried[labels.ROLE_INSTANCE_INDEX] == ordinal
        assert carried[labels.ROLE_ID] == f"llm.{carried[labels.ROLE_NAME]}.{ordinal}.{carried[labels.ROLE_NAME]}.0"
        assert pod["spec"]["hostname"] == name
        assert pod["spec"]["subdomain"] == f"s-llm-{carried[labels.ROLE_NAME]}"
        environment = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
        assert environment["RBG_ROLE_ID"] == carried[labels.ROLE_ID]
        assert environment["RBG_GROUP_NAME"] == "llm"
    config = yaml.safe_load((await api.get("v1", "ConfigMap", "llm", namespace))["data"]["config.yaml"])
    assert config["group"] == {"name": "llm", "roles": ["prefill", "decode"], "size": 2}
    assert config["roles"]["prefill"]["instances"][1]["address"] == "llm-prefill-1.s-llm-prefill"
    service = await api.get("v1", "Service", "s-llm-decode", namespace)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    status = (await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace))["status"]
    assert [(entry["name"], entry["readyReplicas"]) for entry in status["roleStatuses"]] == [
        ("prefill", 2),
        ("decode", 3),
    ]
    revisions = await api.items("apps/v1", "ControllerRevision", namespace)
    assert len(revisions) == 1 + 2 + 5


@pytest.mark.usefixtures("running")
async def test_a_role_starts_only_after_its_dependency_is_ready(api: Api, namespace: str) -> None:
    unschedulable = role("prefill", 1)
    unschedulable["standalonePattern"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
    await api.create(group("llm", namespace, unschedulable, role("decode", 1, "prefill"), role("router", 1)))

    async def waits() -> bool:
        found = await condition(api, "llm", namespace)
        return found is not None and "decode waits for prefill" in found["message"]

    await eventually(waits, 30, what="the condition says who waits for whom")
    await eventually(lambda: _names(api, namespace), 30, what="the independent role runs")
    assert "llm-decode-0" not in await pods(api, namespace)
    await api.merge(
        V1ALPHA2,
        "RoleBasedGroup",
        "llm",
        {"spec": group("llm", namespace, role("router", 1), role("decode", 1))["spec"]},
        namespace=namespace,
    )
    await become_ready(api, "llm", namespace)

    async def only_wanted() -> bool:
        return sorted(await pods(api, namespace)) == ["llm-decode-0", "llm-router-0"]

    await eventually(only_wanted, 30, what="the pods of the removed role are gone")


async def _names(api: Api, namespace: str) -> bool:
    return "llm-router-0" in await pods(api, namespace)


@pytest.mark.usefixtures("running")
async def test_scaling_keeps_the_pods_that_stay_and_removes_the_highest_ordinals(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("decode", 2)))
    await become_ready(api, "llm", namespace)
    before = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    await _scale(api, namespace, 4)
    after = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    assert sorted(after) == ["llm-decode-0", "llm-decode-1", "llm-decode-2", "llm-decode-3"]
    assert before.items() <= after.items()
    await _scale(api, namespace, 1)
    last = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    assert last == {"llm-decode-0": before["llm-decode-0"]}


async def _scale(api: Api, namespace: str, replicas: int) -> None:
    spec = group("llm", namespace, role("decode", replicas))["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)
    await become_ready(api, "llm", namespace)


@pytest.mark.usefixtures("running")
async def test_a_pod_that_is_lost_or_fails_comes_back_with_its_name_and_role_id(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("decode", 2)))
    await become_ready(api, "llm", namespace)
    before = await pods(api, namespace)
    await api.delete("v1", "Pod", "llm-decode-0", namespace)
    await fail(api, "llm-decode-1", namespace)

    async def replaced() -> bool:
        found = await pods(api, namespace)
        return len(found) == 2 and all(
            found[name]["metadata"]["uid"] != old["metadata"]["uid"] for name, old in before.items()
        )

    await eventually(replaced, 30, what="both pods are replaced")
    await become_ready(api, "llm", namespace)
    for name, pod in (await pods(api, namespace)).items():
        assert pod["metadata"]["labels"][labels.ROLE_ID] == before[name]["metadata"]["labels"][labels.ROLE_ID]


@pytest.mark.usefixtures("running")
async def test_owned_objects_deleted_or_edited_by_hand_are_restored_at_once(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("decode", 1)))
    await become_ready(api, "llm", namespace)
    await api.delete("v1", "Service", "s-llm-decode", namespace)
    await api.merge("v1", "ConfigMap", "llm", {"data": {"config.yaml": "forged"}}, namespace=namespace)

    async def restored() -> bool:
        config = await api.get("v1", "ConfigMap", "llm", namespace)
        service = await api.find("v1", "Service", "s-llm-decode", namespace)
        return service is not None and "llm-decode-0" in config["data"]["config.yaml"]

    await eventually(restored, 20, what="Service and ConfigMap are as they were")


@pytest.mark.usefixtures("running")
async def test_deleting_the_group_takes_everything_with_it(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("decode", 2)))
    await become_ready(api, "llm", namespace)
    await api.delete(V1ALPHA2, "RoleBasedGroup", "llm", namespace)

    async def gone() -> bool:
        left = [
            *await api.items("v1", "Pod", namespace),
            *await api.items(V1ALPHA2, "RoleInstance", namespace),
            *await api.items(V1ALPHA2, "RoleInstanceSet", namespace),
            *await api.items("v1", "Service", namespace),
            *await api.items("apps/v1", "ControllerRevision", namespace),
            *[item for item in await api.items("v1", "ConfigMap", namespace) if item["metadata"]["name"] == "llm"],
        ]
        return not left

    await eventually(gone, 60, what="nothing of the group is left")


async def test_a_settled_group_costs_no_request(cluster: Cluster, api: Api, namespace: str, running: Daemon) -> None:
    await api.create(group("llm", namespace, role("prefill", 2), role("decode", 2, "prefill")))
    await become_ready(api, "llm", namespace)
    await _settled(running)
    before = await running.metric("rest_client_requests_total")
    # What touches the group without changing what it wants must wake nobody to write.
    labelled = {"metadata": {"labels": {"team": "search"}}}
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", labelled, namespace=namespace)
    await api.merge("v1", "Pod", "llm-decode-0", labelled, namespace=namespace)
    await _settled(running)
    mark = await running.metric("rest_client_requests_total")
    assert mark == before
    assert cluster.audit_mark() > 0


async def _settled(running: Daemon) -> None:
    """Wait until the daemon sent nothing for longer than any status of its may wait."""
    seen = -1.0
    while True:
        now = await running.metric("rest_client_requests_total")
        if now == seen:
            return
        seen = now
        await asyncio.sleep(3)


@pytest.mark.usefixtures("running")
async def test_a_cycle_is_a_condition_and_one_event_delays_nobody_and_recovers_when_mended(
    api: Api, namespace: str
) -> None:
    await api.create(group("broken", namespace, role("a", 1, "c"), role("b", 1, "a"), role("c", 1, "b")))
    await api.create(group("healthy", namespace, role("a", 1)))
    await become_ready(api, "healthy", namespace)

    async def told() -> bool:
        found = await condition(api, "broken", namespace)
        return found is not None and found["reason"] == "InvalidRoleDependency"

    await eventually(told, 20, what="the cycle is a condition")
    found = await condition(api, "broken", namespace)
    assert found is not None
    assert "a -> c -> b -> a" in found["message"]
    assert not [name for name in await pods(api, namespace) if name.startswith("broken")]
    spec = group("broken", namespace, role("a", 1), role("b", 1, "a"), role("c", 1, "b"))["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "broken", {"spec": spec}, namespace=namespace)
    await become_ready(api, "broken", namespace)

    async def events() -> list[dict[str, object]]:
        return [
            item
            for item in await api.items("v1", "Event", namespace)
            if item["involvedObject"]["name"] == "broken" and item["reason"] == "InvalidRoleDependency"
        ]

    await eventually(events, 10, what="the Event is written")
    assert len(await events()) == 1


@pytest.mark.usefixtures("running")
async def test_an_unknown_dependency_is_named(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, role("decode", 1, "prefil"), role("prefill", 1)))

    async def told() -> bool:
        found = await condition(api, "llm", namespace)
        return found is not None and "role decode depends on prefil" in found["message"]

    await eventually(told, 20, what="the condition names the dependency")


@pytest.mark.usefixtures("running")
async def test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room(
    api: Api, namespace: str
) -> None:
    async with tight_quota(api, namespace, pods="0"):
        await api.create(group("llm", namespace, role("decode", 1)))

        async def refused() -> bool:
            found = await api.find(V1ALPHA2, "RoleInstance", "llm-decode-0", namespace)
            conditions = (found or {}).get("status", {}).get("conditions", ())
            return any(item["type"] == "FailedScale" and "quota" in item["message"] for item in conditions)

        await eventually(refused, 20, what="the refusal is a condition")
    await become_ready(api, "llm", namespace)
    found = await api.get(V1ALPHA2, "RoleInstance", "llm-decode-0", namespace)
    assert "FailedScale" not in [item["type"] for item in found["status"]["conditions"]]
