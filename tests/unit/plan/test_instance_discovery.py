"""Variables by which the pods of a component find those of another."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import RoleInstance

from .instances import NAME, component, conditions, decide, environment, instance, message, settle, uids
from .world import World


@pytest.fixture
def world() -> World:
    return World()


def _asking(name: str = "worker", **wanted: Any) -> dict[str, Any]:
    return component(name, COMPONENT_DISCOVERY=wanted)


def _address(of: str = "leader", index: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"env": "PEER", "component": of}
    return {"addressRefs": [found if index is None else {**found, "index": index}]}


def test_an_address_is_told_in_every_container_and_the_annotation_is_gone(world: World) -> None:
    world.put(RoleInstance, instance(component("leader", service="lead"), _asking(**_address())))
    settle(world)
    pod = f"{NAME}-worker-0"
    for field in ("containers", "initContainers"):
        assert environment(world, pod, field)["PEER"] == f"{NAME}-leader-0.lead.ml.svc.cluster.local"
    assert labels.COMPONENT_DISCOVERY not in world.body(Pod, pod)["metadata"]["annotations"]
    assert environment(world, pod)["MODE"] == "x"


@pytest.mark.parametrize(
    ("role_type", "of", "index", "pod"),
    [
        ("Components", "worker", 1, "worker-1"),
        ("LeaderWorkerSet", "leader", 0, "0"),
        ("LeaderWorkerSet", "worker", 1, "2"),
    ],
)
def test_addresses_follow_the_names_of_the_pods(world: World, role_type: str, of: str, index: int, pod: str) -> None:
    asking = component("leader", COMPONENT_DISCOVERY=_address(of, index))
    world.put(RoleInstance, instance(asking, component("worker", 2), role_type=role_type))
    settle(world)
    first = next(name for name in world.names(Pod) if name.endswith(("-leader-0", f"{NAME}-0")))
    assert environment(world, first)["PEER"] == f"{NAME}-{pod}.svc.ml.svc.cluster.local"
    assert f"{NAME}-{pod}" in world.names(Pod)


def test_a_standalone_pod_can_learn_its_own_address(world: World) -> None:
    world.put(RoleInstance, instance(_asking("main", **_address("main")), role_type="PodTemplate"))
    settle(world)
    assert environment(world, NAME)["PEER"] == f"{NAME}.svc.ml.svc.cluster.local"


def test_a_port_is_that_of_the_pod_else_that_of_its_component(world: World) -> None:
    wanted: dict[str, Any] = {
        "portRefs": [
            {"env": "HTTP", "component": "leader", "portName": "http"},
            {"env": "GRPC", "component": "leader", "portName": "grpc", "index": 1},
        ]
    }
    ports = {f"{NAME}-leader-0.http": "8000", "leader.http": "9", "leader.grpc": "8001"}
    world.put(RoleInstance, instance(component("leader", 2), _asking(**wanted), annotations=ports))
    settle(world)
    told = environment(world, f"{NAME}-worker-0")
    assert (told["HTTP"], told["GRPC"]) == ("8000", "8001")


def test_a_variable_of_the_user_may_refer_to_what_is_told(world: World) -> None:
    asking = _asking(**_address())
    asking["template"]["spec"]["containers"][0]["env"] = [{"name": "URL", "value": "http://$(PEER)"}]
    world.put(RoleInstance, instance(component("leader"), asking))
    settle(world)
    names = [item["name"] for item in world.body(Pod, f"{NAME}-worker-0")["spec"]["containers"][0]["env"]]
    assert names.index("PEER") < names.index("URL")


FAULTS = [
    (_address("boss"), "worker asks for the address of boss, which is no component"),
    (_address("silent"), "worker asks for the address of silent, which has no serviceName"),
    ({"portRefs": [{"env": "P", "component": "boss", "portName": "http"}]}, "a port of boss, which is no component"),
    ({"portRefs": [{"env": "P", "component": "leader", "portName": "x"}]}, "port x of leader, which has no such port"),
    ({"addressRefs": [{"component": "leader"}]}, "missing required field `env`"),
    ({"addressRefs": [{"env": "P", "component": "leader", "index": -1}]}, "Expected `int` >= 0"),
]


@pytest.mark.parametrize(("wanted", "said"), FAULTS)
def test_what_cannot_be_told_is_one_condition_and_one_event_and_the_rest_of_the_instance_runs(
    world: World, wanted: dict[str, Any], said: str
) -> None:
    siblings = (component("leader"), component("silent", service=""))
    world.put(RoleInstance, instance(*siblings, _asking(**wanted)))
    settle(world)
    assert world.names(Pod) == [f"{NAME}-leader-0", f"{NAME}-silent-0"]
    assert said in message(world, "InvalidComponents")
    assert len([note for note in world.notes if note.reason == "InvalidComponents"]) == 1
    assert decide(world).empty
    world.put(RoleInstance, instance(*siblings, component("worker")))
    settle(world)
    assert "InvalidComponents" not in conditions(world)
    assert f"{NAME}-worker-0" in world.names(Pod)


def test_pods_that_run_stay_when_their_component_is_changed_into_what_cannot_be_made(world: World) -> None:
    world.put(RoleInstance, instance(component("leader"), _asking(**_address())))
    settle(world)
    before = uids(world)
    world.put(RoleInstance, instance(component("leader"), _asking(**_address("boss"))))
    settle(world)
    assert uids(world) == before
    assert "those that run stay" in message(world, "InvalidComponents")
    world.put(RoleInstance, instance(component("leader", service="lead"), _asking(**_address("leader"))))
    settle(world)
    assert environment(world, f"{NAME}-worker-0")["PEER"].startswith(f"{NAME}-leader-0.lead.")


def test_no_revision_covers_what_is_told(world: World) -> None:
    """So that a port of another instance never replaces a pod."""
    wanted: dict[str, Any] = {"portRefs": [{"env": "HTTP", "component": "leader", "portName": "http"}]}
    ports = {f"{NAME}-leader-0.http": "8000"}
    world.put(RoleInstance, instance(component("leader"), _asking(**wanted), annotations=ports))
    settle(world)
    before = uids(world)
    world.body(RoleInstance, NAME)["metadata"]["annotations"][f"{NAME}-leader-0.http"] = "8001"
    settle(world)
    assert uids(world) == before
