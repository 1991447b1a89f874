"""The part of the discovery file that is ours: where every pod of every role is, and when it is written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.plan import topology as subject
from rbgctrl.plan.model import Apply

from .world import World, group, role

POD = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}


def leader_worker(name: str, replicas: int, selection: str | None = None, **annotations: str) -> dict[str, Any]:
    pattern: dict[str, Any] = {"size": 3, "template": POD}
    if selection:
        pattern["sharedServiceSelection"] = selection
    return {"name": name, "replicas": replicas, "leaderWorkerPattern": pattern, "annotations": annotations}


def kind(name: str, replicas: int, workload: str) -> dict[str, Any]:
    return role(name, replicas, annotations={labels.ROLE_WORKLOAD_TYPE: workload})


def settled(*roles: dict[str, Any]) -> World:
    world = World()
    world.put(RoleBasedGroup, group("llm", *roles))
    world.settle()
    world.pass_time(5)
    world.settle()
    return world


def file(world: World) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(world.body(ConfigMap, "llm")["data"][labels.CONFIG_FILE])
    return found


def roles_of(world: World) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in file(world)["topology"]["roles"]}


def pods(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pod["name"]: pod for instance in entry["instances"] for pod in instance["pods"]}


def test_the_keys_of_upstream_stay_and_come_first() -> None:
    world = settled(role("a", 2))
    text = world.body(ConfigMap, "llm")["data"][labels.CONFIG_FILE]
    assert list(yaml.safe_load(text)) == ["group", "roles", "topology"]
    assert file(world)["roles"]["a"]["instances"] == [{"address": "llm-a-0.s-llm-a"}, {"address": "llm-a-1.s-llm-a"}]


def test_every_pod_is_listed_with_the_name_labels_and_role_id_it_has() -> None:
    world = settled(role("a", 2), leader_worker("b", 2, "All"))
    for name in ("a", "b"):
        listed = pods(roles_of(world)[name])
        actual = [pod for pod in world.all(Pod) if pod.metadata.labels[labels.ROLE_NAME] == name]
        assert sorted(listed) == sorted(pod.metadata.name for pod in actual)
        for pod in actual:
            entry, own = listed[pod.metadata.name], pod.metadata.labels
            assert entry["roleId"] == own[labels.ROLE_ID]
            assert (entry["component"], str(entry["index"])) == (own[labels.COMPONENT_NAME], own[labels.COMPONENT_ID])
            assert entry["address"] == f"{pod.spec.hostname}.{pod.spec.subdomain}"
    for instance in world.all(RoleInstance):
        entry = next(
            item
            for listed in roles_of(world).values()
            for item in listed["instances"]
            if item["name"] == instance.metadata.name
        )
        assert entry["roleId"] == instance.metadata.labels[labels.ROLE_ID]
        assert str(entry["index"]) == instance.metadata.labels[labels.ROLE_INSTANCE_INDEX]


def test_a_worker_without_a_host_name_is_listed_by_its_address_once_it_has_one() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", leader_worker("b", 1)))
    world.settle(kubelet=False)
    assert "address" not in pods(roles_of(world)["b"])["llm-b-0-1"]
    world.settle()
    for number, pod in enumerate(world.all(Pod)):
        world.body(Pod, pod.metadata.name)["status"]["podIP"] = f"10.0.0.{number}"
    world.pass_time(5)
    world.settle()
    found = pods(roles_of(world)["b"])
    assert found["llm-b-0-0"]["address"] == "llm-b-0-0.s-llm-b"
    assert [found[f"llm-b-0-{place}"]["address"] for place in (1, 2)] == ["10.0.0.1", "10.0.0.2"]


def test_stateless_instances_are_listed_by_their_ids() -> None:
    stateless = role("c", 2, annotations={labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS})
    world = settled(role("a"), stateless)
    entry = roles_of(world)["c"]
    ids = {item.metadata.labels[labels.ROLE_INSTANCE_ID] for item in world.all(RoleInstance) if "-c-" in item.key.name}
    assert {item["id"] for item in entry["instances"]} == ids
    assert len(ids) == 2
    assert all("index" not in item for item in entry["instances"])
    assert all(pod["address"].endswith(".s-llm-c") for pod in pods(entry).values())


def test_ports_are_those_of_the_role_and_those_allocated_to_a_pod() -> None:
    world = settled(role("a", 1, servicePorts=[{"name": "gr-pc", "port": 9000}, {"port": 80}]))
    world.body(RoleInstance, "llm-a-0")["metadata"].setdefault("annotations", {})["llm-a-0.nccl"] = "30007"
    world.pass_time(5)
    world.settle()
    entry = roles_of(world)["a"]
    assert entry["ports"] == {"gr_pc": 9000, "port80": 80}
    assert pods(entry)["llm-a-0"]["ports"] == {"nccl": 30007}


def test_zone_and_nvlink_domain_follow_when_the_node_is_known() -> None:
    world = World()
    carried = {labels.NODE_ZONE: "zone-a", labels.NODE_NVLINK_DOMAIN: "fabric.0"}
    world.put(Node, {"metadata": {"name": "node-1", "labels": carried}}, namespace="")
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    world.pass_time(5)
    world.settle()
    pod = pods(roles_of(world)["a"])["llm-a-0"]
    assert (pod["zone"], pod["domain"]) == ("zone-a", "fabric.0")


def test_a_birth_writes_the_file_at_once_and_once_more_when_all_is_at_rest() -> None:
    world = World()
    world.put(Node, {"metadata": {"name": "node-1", "labels": {labels.NODE_ZONE: "zone-a"}}}, namespace="")
    world.put(RoleBasedGroup, group("llm", role("a", 4), leader_worker("b", 3)))
    world.settle()
    world.pass_time(5)
    world.settle()
    written = [item for item in world.writes if isinstance(item, Apply) and item.kind is ConfigMap]
    assert len(written) == 2


def test_scaling_is_in_the_file_at_once() -> None:
    world = settled(role("a", 1))
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle(kubelet=False)
    assert sorted(pods(roles_of(world)["a"])) == ["llm-a-0", "llm-a-1"]


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (labels.WORKLOAD_TYPE_STATEFUL_SET, {"llm-s-0": "llm-s-0.s-llm-s", "llm-s-1": "llm-s-1.s-llm-s"}),
        (labels.WORKLOAD_TYPE_LEADER_WORKER_SET, {"llm-s-0": "llm-s-0.llm-s", "llm-s-1": "llm-s-1.llm-s"}),
    ],
)
def test_workloads_with_ordinals_are_listed_before_their_pods_exist(workload: str, expected: dict[str, str]) -> None:
    body = kind("s", 2, workload)
    if workload == labels.WORKLOAD_TYPE_LEADER_WORKER_SET:
        body["leaderWorkerPattern"] = {"size": 1, **body.pop("standalonePattern")}
    world = settled(role("a"), body)
    assert {name: pod["address"] for name, pod in pods(roles_of(world)["s"]).items()} == expected


def test_the_workers_of_a_leader_worker_set_are_numbered_through() -> None:
    world = settled(
        role("a"), leader_worker("b", 1, **{labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET})
    )
    found = pods(roles_of(world)["b"])
    assert list(found) == ["llm-b-0", "llm-b-0-1", "llm-b-0-2"]
    assert found["llm-b-0-2"] | {"roleId": ""} == {
        "name": "llm-b-0-2",
        "component": "worker",
        "index": 1,
        "roleId": "",
        "address": "llm-b-0-2.llm-b",
    }


def test_a_file_that_would_not_fit_says_so_and_keeps_the_keys_of_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LIMIT", 300)
    world = settled(role("a", 3))
    assert file(world)["topology"] == {"version": 1, "omitted": "too large for a ConfigMap"}
    assert file(world)["roles"]["a"]["size"] == 3


def test_the_mode_of_a_group_never_flips_by_itself() -> None:
    world = settled(role("a"))
    del world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.DISCOVERY_MODE]
    world.settle()
    annotations = world.body(RoleBasedGroup, "llm")["metadata"]["annotations"]
    assert annotations[labels.DISCOVERY_MODE] == labels.DISCOVERY_REFINE
    annotations[labels.DISCOVERY_MODE] = labels.DISCOVERY_LEGACY
    world.remove(ConfigMap, "llm")
    world.settle()
    assert world.names(ConfigMap) == []
    assert (
        world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.DISCOVERY_MODE] == labels.DISCOVERY_LEGACY
    )


def test_the_text_is_the_same_for_the_same_group() -> None:
    world = settled(role("a", 2), leader_worker("b", 1))
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    wanted, services = {"a": 2, "b": 1}, {"a": "s-llm-a", "b": "s-llm-b"}
    first = subject.topology(node, wanted, services)
    assert first == subject.topology(node, wanted, services)
    assert first in world.body(ConfigMap, "llm")["data"][labels.CONFIG_FILE]
