"""What an instance says, and what heals by itself, when pods and nodes misbehave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.plan import instance as plan
from rbgctrl.plan.model import Create, Delete, Patch

from .instances import (
    NAME,
    add_node,
    component,
    conditions,
    decide,
    instance,
    message,
    node,
    of,
    settle,
    terminate,
    uids,
)
from .world import World

FIRST, SECOND = f"{NAME}-main-0", f"{NAME}-main-1"
GANG = {labels.INSTANCE_GANG_SCHEDULING: "true"}
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@pytest.fixture
def world() -> World:
    return World()


def _strange(world: World, name: str = FIRST) -> None:
    """A pod of somebody else."""
    world.put(ConfigMap, {"metadata": {"name": "other", "namespace": "ml"}})
    uid = world.body(ConfigMap, "other")["metadata"]["uid"]
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "other", "uid": uid, "controller": True}
    world.put(Pod, {"metadata": {"name": name, "namespace": "ml", "ownerReferences": [reference]}, "spec": {}})


# Pods -----------------------------------------------------------------------------------------------------------------


def test_a_pod_of_somebody_else_is_named_with_its_owner_never_touched_and_made_way_for(world: World) -> None:
    _strange(world)
    world.put(RoleInstance, instance(component(size=2)))
    settle(world)
    assert SECOND in world.names(Pod), "the other pod starts"
    found = conditions(world)["FailedScale"]
    assert found["message"].startswith(f"Pod {FIRST} exists and belongs to somebody else (Job other)")
    assert f"{FIRST} (its name is taken)" in message(world)
    assert [note.message for note in world.notes] == [found["message"]], "one Event"
    assert not [action for action in world.writes if action.key.name == FIRST]
    assert decide(world).empty
    world.remove(Pod, FIRST)
    settle(world)
    assert "FailedScale" not in conditions(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_the_pod_of_an_earlier_instance_of_this_name_is_waited_for_without_a_fault(world: World) -> None:
    kind = RoleInstance.KIND
    reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": NAME, "uid": "earlier", "controller": True}
    world.put(Pod, {"metadata": {"name": FIRST, "namespace": "ml", "ownerReferences": [reference]}, "spec": {}})
    world.put(RoleInstance, instance())
    world.pass_time(5)
    found = decide(world)
    assert of(found, Create) == []
    assert found.notes == ()
    (patch,) = [item for item in found.actions if isinstance(item, Patch) and item.kind is RoleInstance]
    assert isinstance(patch.body, Mapping)
    (ready, _) = patch.body["status"]["conditions"]
    assert "waits until the pod of an earlier instance of this name is gone" in ready["message"]


def test_a_pod_that_succeeded_is_replaced_like_one_that_failed(world: World) -> None:
    world.put(RoleInstance, instance(component(size=2)))
    settle(world)
    before = uids(world)
    world.body(Pod, FIRST)["status"] = {"phase": "Succeeded"}
    assert of(decide(world), Delete) == [FIRST]
    settle(world)
    after = uids(world)
    assert after[FIRST] != before[FIRST]
    assert after[SECOND] == before[SECOND]
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"
    assert [note.message for note in world.notes] == [f"replacing pod {FIRST}, which ended"]


def test_an_unschedulable_pod_says_what_the_scheduler_says(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world, kubelet=False)
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no GPU"}
    world.body(Pod, FIRST)["status"] = {"phase": "Pending", "conditions": [told]}
    settle(world, kubelet=False)
    assert message(world) == f"not ready: {FIRST} (not scheduled: 0/3 nodes: no GPU)"
    assert decide(world).empty
    world.body(Pod, FIRST)["status"] = {}
    settle(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_a_pod_that_does_not_get_ready_says_what_the_kubelet_says(world: World) -> None:
    world.put(RoleInstance, instance(component(size=2)))
    settle(world)
    told = {"type": "ContainersReady", "status": "False", "message": "containers with unready status: [main]"}
    world.containers_ready(FIRST, ready=False)
    world.body(Pod, FIRST)["status"]["conditions"][1].update(told)
    settle(world)
    assert f"{FIRST} (containers with unready status: [main])" in message(world)
    assert f"{SECOND} (waits for the other pods)" in message(world)


def test_a_finalizer_that_holds_a_pod_is_named_until_it_is_gone(world: World) -> None:
    add_node(world, "node-1")
    world.put(RoleInstance, instance(component(size=2)))
    settle(world)
    terminate(world, FIRST, finalizers=["example.com/hold"])
    settle(world)
    assert f"{FIRST} (terminating, held by finalizer example.com/hold" in message(world)
    assert of(decide(world), Create) == of(decide(world), Delete) == []
    world.remove(Pod, FIRST)
    settle(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"


def test_many_pods_with_the_same_reason_are_one_phrase(world: World) -> None:
    world.put(RoleInstance, instance(component(size=9)))
    settle(world, kubelet=False)
    world.pass_time(20)
    settle(world, kubelet=False)
    assert message(world).count("(") == 1
    assert "main-4 and 4 more (not scheduled yet)" in message(world)


# Nodes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("down", "on node node-1, which is not ready; if it is down for good, delete the Node or taint it with"),
        ("out of service", "on node node-1, which is out of service; pod garbage collection removes it"),
        ("deleted", "on node node-1, which does not exist any more; pod garbage collection removes it"),
        ("well", "(terminating)"),
    ],
)
def test_a_pod_that_is_stuck_on_a_node_says_on_which_and_what_to_do(world: World, state: str, said: str) -> None:
    add_node(world, "node-1")
    world.put(RoleInstance, instance())
    settle(world)
    if state == "deleted":
        world.remove(Node, "node-1", namespace="")
    elif state != "well":
        add_node(world, "node-1", ready=False, taint=OUT_OF_SERVICE if state == "out of service" else "")
    terminate(world, FIRST)
    settle(world)
    assert FIRST in message(world)
    assert said in message(world)
    assert of(decide(world), Create) == [], "its name is held, and it may still run"
    world.remove(Pod, FIRST)
    settle(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"


# A changed spec -------------------------------------------------------------------------------------------------------


def test_a_changed_spec_replaces_the_pods_of_the_components_it_changes_in_one_pass(world: World) -> None:
    world.put(RoleInstance, instance(component("a", 2), component("b", 2), component("c")))
    settle(world)
    before = uids(world)
    world.put(RoleInstance, instance(component("a", 2, image="e:2"), component("b", 2, image="e:2"), component("c")))
    found = decide(world)
    assert of(found, Delete) == [f"{NAME}-a-0", f"{NAME}-a-1", f"{NAME}-b-0", f"{NAME}-b-1"]
    assert f"{NAME}-c-0" in of(found, Patch), "only the label of its revision changes"
    settle(world)
    after = uids(world)
    assert after[f"{NAME}-c-0"] == before[f"{NAME}-c-0"]
    assert not set(before.values()) & {uid for name, uid in after.items() if "-c-" not in name}
    status = world.body(RoleInstance, NAME)["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert [item["updatedReadyReplicas"] for item in status["componentStatuses"]] == [2, 2, 1]


def test_a_changed_size_or_policy_replaces_nothing(world: World) -> None:
    world.put(RoleInstance, instance(component(size=2)))
    settle(world)
    before = uids(world)
    world.put(RoleInstance, instance(component(size=3), restartPolicyConfig={"type": "None"}))
    settle(world)
    assert before.items() <= uids(world).items()
    assert len(uids(world)) == 3


def test_a_changed_service_replaces_pods(world: World) -> None:
    world.put(RoleInstance, instance(component(service="a")))
    settle(world)
    world.put(RoleInstance, instance(component(service="b")))
    assert of(decide(world), Delete) == [FIRST]


def test_a_pod_whose_revision_is_gone_is_replaced_and_an_event_says_so(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    for name in world.names(ControllerRevision):
        world.remove(ControllerRevision, name)
    world.put(RoleInstance, instance(component(image="e:2")))
    settle(world)
    assert [note.reason for note in world.notes] == ["RevisionNotFound"]
    assert world.body(Pod, FIRST)["spec"]["containers"][0]["image"] == "e:2"


def test_a_lost_revision_that_is_still_wanted_is_recorded_again_and_replaces_nothing(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    before = uids(world)
    for name in world.names(ControllerRevision):
        world.remove(ControllerRevision, name)
    settle(world)
    assert uids(world) == before
    assert len(world.names(ControllerRevision)) == 1


def test_forth_and_back_before_the_pods_are_replaced_replaces_none(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    before = uids(world)
    world.put(RoleInstance, instance(component(image="e:2")))
    world.carry_out(type(decide(world))(steps=decide(world).steps[:1]))
    world.put(RoleInstance, instance())
    settle(world)
    assert uids(world) == before


def test_a_view_older_than_its_pods_is_not_acted_on(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    old = dict(world.body(RoleInstance, NAME))
    stale = {**old, "metadata": dict(old["metadata"]), "spec": old["spec"]}
    world.put(RoleInstance, instance(component(image="e:2")))
    settle(world)
    world.shelves[RoleInstance].edit(node(world).instance.key).update(stale)
    found = decide(world)
    assert found.empty
    assert "generation 2 has been acted on already" in found.because


def test_a_refused_replacement_is_a_failed_update_until_it_is_through(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world)
    world.put(RoleInstance, instance(component(image="e:2")))
    world.carry_out(plan.refused(node(world), world.now, "delete Pod: a webhook says no"))
    found = conditions(world)["FailedUpdate"]
    assert (found["reason"], found["message"]) == ("FailedUpdatePodReCreate", "delete Pod: a webhook says no")
    assert [note.reason for note in world.notes] == ["FailedUpdatePodReCreate"]
    settle(world)
    assert "FailedUpdate" not in conditions(world)


def test_a_refused_patch_of_a_pod_is_a_failed_update_until_it_is_through(world: World) -> None:
    world.put(RoleInstance, instance())
    settle(world, kubelet=False)
    world.run_pods()
    assert of(decide(world), Patch) == [FIRST], "the gates are to be opened"
    why = "patch Pod: a webhook says no"
    for attempt in range(3):
        found = plan.refused(node(world), world.now, why)
        assert found.empty is bool(attempt), "told once"
        world.carry_out(found)
        assert not of(decide(world), Patch, RoleInstance), "the next attempt does not take it back"
    assert conditions(world)["FailedUpdate"]["message"] == why
    settle(world)
    assert "FailedUpdate" not in conditions(world)


# All or nothing -------------------------------------------------------------------------------------------------------


def test_with_the_gang_annotation_one_outdated_pod_replaces_all_together(world: World) -> None:
    world.put(RoleInstance, instance(component("a"), component("b"), annotations=GANG))
    settle(world)
    before = uids(world)
    world.put(RoleInstance, instance(component("a", image="e:2"), component("b")))
    assert of(decide(world), Delete) == [f"{NAME}-a-0", f"{NAME}-b-0"]
    settle(world)
    assert not set(before.values()) & set(uids(world).values())
    assert [note.reason for note in world.notes] == ["ReCreateInstance"]


def test_with_the_gang_annotation_nothing_is_created_while_a_name_is_held_and_the_condition_says_by_whom(
    world: World,
) -> None:
    _strange(world)
    world.put(RoleInstance, instance(component(size=3), annotations=GANG))
    settle(world)
    assert world.names(Pod) == [FIRST]
    assert f"{SECOND}, {NAME}-main-2 (all or nothing: waits until pod {FIRST} is gone)" in message(world)
    assert "Job other" in message(world, "FailedScale")
    world.remove(Pod, FIRST)
    settle(world)
    assert len(world.names(Pod)) == 3
    terminate(world, SECOND)
    world.remove(Pod, FIRST)
    settle(world)
    assert f"{FIRST} (all or nothing: waits until pod {SECOND} is gone)" in message(world)


def test_a_failed_pod_of_such_an_instance_is_still_replaced_alone(world: World) -> None:
    world.put(RoleInstance, instance(component(size=2), annotations=GANG))
    settle(world)
    before = uids(world)
    world.pod_fails(FIRST)
    settle(world)
    assert uids(world)[SECOND] == before[SECOND]
    assert uids(world)[FIRST] != before[FIRST]


# Made by a user -------------------------------------------------------------------------------------------------------


def test_an_instance_without_any_label_works(world: World) -> None:
    world.put(RoleInstance, instance(component("engine", None), bare=True, name="mine"))
    settle(world)
    assert world.names(Pod) == ["mine-engine-0"]
    found = world.body(Pod, "mine-engine-0")
    assert found["metadata"]["labels"][labels.ROLE_ID] == "mine.mine.0.engine.0"
    assert found["metadata"]["labels"][labels.ROLE_INSTANCE_NAME] == "mine"
    assert conditions(world, "mine")["RoleInstanceReady"]["status"] == "True"


def test_without_a_service_a_pod_has_no_host_name(world: World) -> None:
    world.put(RoleInstance, instance(component(service="")))
    settle(world)
    assert "hostname" not in world.body(Pod, FIRST)["spec"]


@pytest.mark.parametrize(
    ("components", "role_type", "said"),
    [
        ([component(size=2)], "PodTemplate", f"two pods would be called {NAME}"),
        ([component("a"), component("a")], "Components", "two components are called a"),
    ],
    ids=["pods", "components"],
)
def test_names_that_meet_are_a_condition_and_no_endless_creation(
    world: World, components: list[dict[str, Any]], role_type: str, said: str
) -> None:
    world.put(RoleInstance, instance(*components, role_type=role_type))
    settle(world)
    assert len(world.names(Pod)) == 1
    assert said in message(world, "InvalidComponents")
    assert decide(world).empty


def test_with_ready_policy_none_there_is_no_condition_about_all_pods(world: World) -> None:
    world.put(RoleInstance, instance(component(size=2), readyPolicy="None"))
    settle(world)
    assert set(conditions(world)) == {"RoleInstanceReady"}
    world.containers_ready(FIRST, ready=False)
    world.writes.clear()
    settle(world)
    assert not [action for action in world.writes if action.kind is Pod], "nobody else is marked"


def test_the_gate_of_in_place_updates_is_open_when_nothing_is_updated(world: World) -> None:
    gate = "RoleInstanceInPlaceUpdateReady"
    world.put(RoleInstance, instance(readinessGates=[{"conditionType": gate}]))
    settle(world)
    assert conditions(world)[gate]["status"] == "True"
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"
    stored = world.body(RoleInstance, NAME)["status"]["conditions"]
    next(item for item in stored if item["type"] == gate)["status"] = "False"
    settle(world)
    assert conditions(world)[gate]["status"] == "False", "whoever closed it opens it"
    assert conditions(world)["RoleInstanceReady"]["reason"] == "InplaceUpdateNotReady"
