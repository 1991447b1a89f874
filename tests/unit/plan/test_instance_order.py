"""In which order the components of an instance start and shrink."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api.core import Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.plan.model import Create, Delete

from .instances import component, conditions, decide, instance, message, of, settle, terminate
from .world import World


@pytest.fixture
def world() -> World:
    return World()


def _after(name: str, *needed: str, size: int = 1, **more: Any) -> dict[str, Any]:
    return component(name, size, COMPONENT_DEPENDS_ON={"startAfter": list(needed), **more})


def test_a_component_starts_once_every_pod_its_dependency_should_have_can_serve(world: World) -> None:
    world.put(RoleInstance, instance(component("leader", 2), _after("worker", "leader", size=2)))
    assert of(decide(world), Create) == ["llm-engine-0-leader-0", "llm-engine-0-leader-1"]
    settle(world, kubelet=False)
    assert "llm-engine-0-worker-0, llm-engine-0-worker-1 (component worker waits for leader)" in message(world)
    world.run_pods(ready=lambda name: name.endswith("leader-0"))
    assert of(decide(world), Create) == []
    world.run_pods()
    assert of(decide(world), Create) == ["llm-engine-0-worker-0", "llm-engine-0-worker-1"]
    settle(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"
    assert "waits" not in message(world)


def test_waiting_is_no_fault(world: World) -> None:
    world.put(RoleInstance, instance(component("leader"), _after("worker", "leader")))
    settle(world, kubelet=False)
    assert set(conditions(world)) == {"RoleInstanceReady", "RoleInstanceAllPodsReady"}
    assert world.notes == []


def test_a_dependency_that_has_fewer_pods_than_it_should_holds_back(world: World) -> None:
    world.put(RoleInstance, instance(component("leader", 2), _after("worker", "leader")))
    settle(world)
    world.remove(Pod, "llm-engine-0-leader-1")
    world.remove(Pod, "llm-engine-0-worker-0")
    assert of(decide(world), Create) == ["llm-engine-0-leader-1"]


def test_a_lost_worker_is_replaced_although_a_sibling_keeps_the_leader_from_being_ready(world: World) -> None:
    world.put(RoleInstance, instance(component("leader"), _after("worker", "leader", size=2)))
    settle(world)
    world.containers_ready("llm-engine-0-worker-0", ready=False)
    settle(world)
    closed = {item["type"]: item["status"] for item in world.body(Pod, "llm-engine-0-leader-0")["status"]["conditions"]}
    assert closed["Ready"] == "False"
    world.remove(Pod, "llm-engine-0-worker-1")
    assert of(decide(world), Create) == ["llm-engine-0-worker-1"]


def test_a_dependency_without_pods_holds_nothing_back(world: World) -> None:
    world.put(RoleInstance, instance(component("cache", 0), _after("worker", "cache")))
    assert of(decide(world), Create) == ["llm-engine-0-worker-0"]


def test_the_order_is_also_read_from_the_pod_template(world: World) -> None:
    worker = _after("worker", "leader")
    del worker["annotations"]
    world.put(RoleInstance, instance(component("leader"), worker))
    assert of(decide(world), Create) == ["llm-engine-0-leader-0"]


def test_chains_start_link_by_link(world: World) -> None:
    world.put(RoleInstance, instance(_after("c", "b"), _after("b", "a"), component("a")))
    order = []
    for _ in range(3):
        order += of(decide(world), Create)
        world.carry_out(decide(world))
        world.run_pods()
    assert order == ["llm-engine-0-a-0", "llm-engine-0-b-0", "llm-engine-0-c-0"]


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        (_after("worker", "lead"), "component worker starts after lead, which is no component of this instance"),
        (component("worker", COMPONENT_DEPENDS_ON=["leader"]), "of component worker cannot be read: Expected `object`"),
    ],
    ids=["unknown component", "no object"],
)
def test_an_order_that_cannot_be_followed_is_one_condition_and_one_event_and_holds_back_that_component_only(
    world: World, worker: dict[str, Any], said: str
) -> None:
    world.put(RoleInstance, instance(component("leader"), worker))
    settle(world)
    assert world.names(Pod) == ["llm-engine-0-leader-0"]
    found = conditions(world)["InvalidComponents"]
    assert (found["status"], found["reason"]) == ("True", "ComponentOrder")
    assert said in found["message"]
    assert "no pod of worker is created" in found["message"]
    assert "not created: see condition InvalidComponents" in message(world)
    assert [(note.reason, note.message) for note in world.notes] == [("InvalidComponents", found["message"])]
    assert decide(world).empty, "nobody tries again until somebody mends it"
    assert decide(world).requeue_after is None
    world.put(RoleInstance, instance(component("leader"), _after("worker", "leader")))
    settle(world)
    assert "InvalidComponents" not in conditions(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_a_cycle_is_named_and_everything_starts_without_order(world: World) -> None:
    world.put(RoleInstance, instance(_after("a", "b"), _after("b", "a"), component("c")))
    assert of(decide(world), Create) == ["llm-engine-0-a-0", "llm-engine-0-b-0", "llm-engine-0-c-0"]
    settle(world)
    assert "a -> b -> a" in message(world, "InvalidComponents")
    assert "without order" in message(world, "InvalidComponents")
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"
    assert len([note for note in world.notes if note.reason == "InvalidComponents"]) == 1


def test_what_starts_last_shrinks_first(world: World) -> None:
    world.put(RoleInstance, instance(component("leader", 2), _after("worker", "leader", size=2)))
    settle(world)
    world.put(RoleInstance, instance(component("leader", 1), _after("worker", "leader", size=1)))
    assert of(decide(world), Delete) == ["llm-engine-0-worker-1"]
    terminate(world, "llm-engine-0-worker-1")
    assert of(decide(world), Delete) == [], "it waits until the other one is really gone"
    world.remove(Pod, "llm-engine-0-worker-1")
    assert of(decide(world), Delete) == ["llm-engine-0-leader-1"]


def test_delete_after_orders_components_that_start_together(world: World) -> None:
    def shaped(size: int) -> dict[str, Any]:
        last = component("cache", size, COMPONENT_DEPENDS_ON={"deleteAfter": ["engine"]})
        return instance(last, component("engine", size))

    world.put(RoleInstance, shaped(2))
    settle(world)
    world.put(RoleInstance, shaped(1))
    assert of(decide(world), Delete) == ["llm-engine-0-engine-1"]
    settle(world)
    assert world.names(Pod) == ["llm-engine-0-cache-0", "llm-engine-0-engine-0"]
