from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.graph.nodes import InstanceNode
from rbgctrl.plan import instance as plan
from rbgctrl.plan.model import Create, Delete, Patch, PatchType, Plan

from .world import World


@pytest.fixture
def world() -> World:
    return World()


def _component(name: str = "main", size: int = 1, service: str = "svc") -> dict[str, Any]:
    container = {"name": "main", "image": "engine:1", "env": [{"name": "MODE", "value": "x"}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {"name": name, "size": size, "serviceName": service, "template": template}


def _instance(*components: dict[str, Any], role_type: str = "Components", **spec: Any) -> dict[str, Any]:
    own = {
        labels.ROLE_TYPE: role_type,
        labels.GROUP_NAME: "llm",
        labels.ROLE_NAME: "engine",
        labels.ROLE_INSTANCE_INDEX: "0",
    }
    metadata = {"name": "llm-engine-0", "namespace": "ml", "labels": own}
    return {"metadata": metadata, "spec": {"components": list(components) or [_component()], **spec}}


def _node(world: World) -> InstanceNode:
    node = view.instance(world.sources, Key("ml", "llm-engine-0"))
    assert node is not None
    return node


def _decide(world: World) -> Plan:
    return plan.instance(_node(world), world.now)


def _of(found: Plan, kind: type) -> list[Any]:
    return [item for item in found.actions if isinstance(item, kind) and item.kind is Pod]


def _conditions(world: World) -> dict[str, dict[str, Any]]:
    status = world.body(RoleInstance, "llm-engine-0").get("status", {})
    return {item["type"]: item for item in status.get("conditions", [])}


def test_a_pod_carries_identity_gates_and_host_name(world: World) -> None:
    world.put(RoleInstance, _instance(role_type="PodTemplate"))
    world.settle(kubelet=False)
    pod = world.body(Pod, "llm-engine-0")
    found = pod["metadata"]["labels"]
    assert found[labels.ROLE_INSTANCE_NAME] == "llm-engine-0"
    assert found[labels.COMPONENT_NAME] == "main"
    assert found[labels.COMPONENT_ID] == "0"
    assert found[labels.ROLE_ID] == "llm.engine.0.main.0"
    assert found["app"] == "main"
    assert pod["spec"]["hostname"] == "llm-engine-0"
    assert pod["spec"]["subdomain"] == "svc"
    assert [gate["conditionType"] for gate in pod["spec"]["readinessGates"]] == [
        "InPlaceUpdateReady",
        "InstancePodReady",
    ]
    assert pod["spec"]["containers"][0]["env"] == [
        {"name": "RBG_ROLE_ID", "value": "llm.engine.0.main.0"},
        {"name": "MODE", "value": "x"},
    ]


def test_pods_are_named_by_the_role_type(world: World) -> None:
    world.put(RoleInstance, _instance(_component("leader"), _component("worker", 2), role_type="LeaderWorkerSet"))
    world.settle(kubelet=False)
    assert world.names(Pod) == ["llm-engine-0-0", "llm-engine-0-1", "llm-engine-0-2"]
    assert world.body(Pod, "llm-engine-0-2")["metadata"]["labels"][labels.COMPONENT_INDEX] == "2"


def test_no_gate_is_written_before_every_pod_is_up_and_then_both_in_one_patch(world: World) -> None:
    world.put(RoleInstance, _instance(_component(size=2)))
    world.settle(kubelet=False)
    world.run_pods(ready=lambda name: name.endswith("-0"))
    world.writes.clear()
    world.settle(kubelet=False)
    assert not [item for item in world.writes if item.kind is Pod]
    world.run_pods()
    patches = _of(_decide(world), Patch)
    assert sorted(item.key.name for item in patches) == ["llm-engine-0-main-0", "llm-engine-0-main-1"]
    for patch in patches:
        assert patch.type is PatchType.STRATEGIC
        told = {item["type"]: item["status"] for item in patch.body["status"]["conditions"]}
        assert told == {"InPlaceUpdateReady": "True", "InstancePodReady": "True", "Ready": "True"}


def test_one_pod_going_down_closes_the_gate_of_all_and_they_open_together(world: World) -> None:
    world.put(RoleInstance, _instance(_component(size=2)))
    world.settle()
    world.containers_ready("llm-engine-0-main-1", ready=False)
    world.settle()
    assert _conditions(world)["RoleInstanceReady"]["status"] == "False"
    for name in world.names(Pod):
        found = {item["type"]: item["status"] for item in world.body(Pod, name)["status"]["conditions"]}
        assert found["InstancePodReady"] == "False"
    world.containers_ready("llm-engine-0-main-1", ready=True)
    world.settle()
    assert _conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_ready_policy_none_opens_each_pod_alone(world: World) -> None:
    world.put(RoleInstance, _instance(_component(size=2), readyPolicy="None"))
    world.settle(kubelet=False)
    world.run_pods(ready=lambda name: name.endswith("-0"))
    assert [item.key.name for item in _of(_decide(world), Patch)] == ["llm-engine-0-main-0"]


def test_a_gate_of_the_users_keeps_ready_to_the_kubelet(world: World) -> None:
    component = _component()
    component["template"]["spec"]["readinessGates"] = [{"conditionType": "example.com/loaded"}]
    world.put(RoleInstance, _instance(component))
    world.settle(kubelet=False)
    world.run_pods()
    (patch,) = _of(_decide(world), Patch)
    assert "Ready" not in [item["type"] for item in patch.body["status"]["conditions"]]


def test_a_failed_pod_is_deleted_and_replaced_under_the_same_name_and_its_sibling_stays(world: World) -> None:
    world.put(RoleInstance, _instance(_component(size=2)))
    world.settle()
    old = world.body(Pod, "llm-engine-0-main-1")["metadata"]["uid"]
    sibling = world.body(Pod, "llm-engine-0-main-0")["metadata"]["uid"]
    world.pod_fails("llm-engine-0-main-1")
    found = _decide(world)
    assert [item.key.name for item in _of(found, Delete)] == ["llm-engine-0-main-1"]
    assert not _of(found, Create)
    world.settle()
    assert world.body(Pod, "llm-engine-0-main-1")["metadata"]["uid"] != old
    assert world.body(Pod, "llm-engine-0-main-0")["metadata"]["uid"] == sibling
    assert _conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_a_deleted_pod_comes_back_with_its_role_id(world: World) -> None:
    world.put(RoleInstance, _instance())
    world.settle()
    identity = world.body(Pod, "llm-engine-0-main-0")["metadata"]["labels"][labels.ROLE_ID]
    world.remove(Pod, "llm-engine-0-main-0")
    world.settle()
    assert world.body(Pod, "llm-engine-0-main-0")["metadata"]["labels"][labels.ROLE_ID] == identity


def test_a_terminating_pod_holds_its_name(world: World) -> None:
    world.put(RoleInstance, _instance())
    world.settle()
    world.body(Pod, "llm-engine-0-main-0")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    found = _decide(world)
    assert not _of(found, Create)
    assert not _of(found, Delete)
    assert not _of(found, Patch)


def test_pods_beyond_the_size_and_of_unknown_components_are_deleted(world: World) -> None:
    world.put(RoleInstance, _instance(_component(size=3), _component("extra")))
    world.settle()
    world.put(RoleInstance, _instance(_component(size=1)))
    doomed = sorted(item.key.name for item in _of(_decide(world), Delete))
    assert doomed == ["llm-engine-0-extra-0", "llm-engine-0-main-1", "llm-engine-0-main-2"]


def test_a_pod_of_somebody_else_blocks_its_name_and_is_never_touched(world: World) -> None:
    world.put(Pod, {"metadata": {"name": "llm-engine-0-main-0", "namespace": "ml"}, "spec": {}})
    world.put(RoleInstance, _instance(_component(size=2)))
    found = _decide(world)
    assert [item.key.name for item in _of(found, Create)] == ["llm-engine-0-main-1"]
    assert any("llm-engine-0-main-0" in note.message for note in found.notes)


def test_a_refusal_is_a_condition_until_the_pods_are_complete(world: World) -> None:
    world.put(RoleInstance, _instance())
    why = "create Pod ml/llm-engine-0-main-0: exceeded quota"
    world.carry_out(plan.refused(_node(world), world.now, why))
    assert _conditions(world)["FailedScale"]["message"] == why
    assert plan.refused(_node(world), world.now, why).empty, "the same refusal is told once"
    assert not [item for item in _decide(world).actions if item.kind is RoleInstance], "retrying does not flap it"
    world.settle()
    assert "FailedScale" not in _conditions(world)


def test_a_closed_gate_of_the_instance_keeps_it_not_ready(world: World) -> None:
    gate = "RoleInstanceCustomReady"
    world.put(RoleInstance, _instance(readinessGates=[{"conditionType": gate}]))
    world.settle()
    assert _conditions(world)["RoleInstanceReady"]["reason"] == "ReadinessGatesNotReady"
    assert _conditions(world)["RoleInstanceAllPodsReady"]["status"] == "True"
    world.body(RoleInstance, "llm-engine-0")["status"]["conditions"].append({"type": gate, "status": "True"})
    world.settle()
    assert _conditions(world)["RoleInstanceReady"]["status"] == "True"
    assert gate in _conditions(world), "conditions of others are kept"


def test_component_statuses_count_active_pods(world: World) -> None:
    world.put(RoleInstance, _instance(_component("leader"), _component("worker", 2)))
    world.settle()
    found = world.body(RoleInstance, "llm-engine-0")["status"]["componentStatuses"]
    assert [(item["name"], item["size"], item["readyReplicas"], item["scheduledReplicas"]) for item in found] == [
        ("leader", 1, 1, 1),
        ("worker", 2, 2, 2),
    ]


def test_an_instance_that_is_being_deleted_writes_nothing(world: World) -> None:
    world.put(RoleInstance, _instance())
    world.body(RoleInstance, "llm-engine-0")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert _decide(world).empty
