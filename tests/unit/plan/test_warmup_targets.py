"""Which nodes a warmup is about, what keeps it from them, and what it says while it is at work."""

from __future__ import annotations

import pytest

from rbgctrl.api import labels, names
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.graph import warmups as view
from rbgctrl.plan import warmup as plan
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Create, Plan

from .warmups import (
    PRELOAD,
    all_become,
    become,
    condition,
    counters,
    decide,
    manifest,
    nodes,
    of_group,
    on,
    status,
    step,
    step_once,
    told,
)
from .world import World, group, role

# Which nodes ----------------------------------------------------------------------------------------------------------


def test_the_targets_follow_the_nodes_that_match_now() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    nodes(world, "n3")
    step(world)
    assert on(world) == ["n1", "n2", "n3"]
    become(world, names.warmup_pod("w", "n2", 0), "Running", node="n2")
    world.body(Node, "n2", "")["metadata"]["labels"] = {"pool": "cpu"}
    world.pass_time(10)
    step(world)
    assert on(world) == ["n1", "n2", "n3"], "what has begun on a node that is still there is let finish"
    assert counters(world) == (2, 3, 0, 0)


def test_the_pod_of_a_node_that_is_gone_goes_and_the_others_complete_it() -> None:
    world = World()
    nodes(world, "n1", "n2", "n3")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    become(world, names.warmup_pod("w", "n1", 0), "Running", node="n1")
    world.remove(Node, "n1", namespace="")
    world.remove(Node, "n2", namespace="")
    step(world)
    assert on(world) == ["n3"], "neither the bound one nor the one that never will be is waited for"
    all_become(world, "Succeeded")
    step(world)
    assert (status(world)["phase"], counters(world)) == ("Completed", (1, 0, 1, 0))


def test_nodes_by_name_each_once_and_one_that_does_not_exist_is_named() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(spec={"targetNodes": {"nodeNames": ["n9", "n1", "n9"], **PRELOAD}}))
    step(world)
    assert on(world) == ["n1", "n9"]
    blocked = condition(world, "Blocked")
    assert blocked is not None
    assert (blocked["reason"], "n9" in blocked["message"]) == ("NodeNotFound", True)
    nodes(world, "n9")
    step(world)
    assert condition(world, "Blocked") is None


def test_the_nodes_of_a_group_are_those_of_the_pods_of_each_role_with_the_actions_of_all_its_roles() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("prefill", 2), role("decode", 2), role("router")))
    world.settle()
    for name, node in (("prefill-0", "n1"), ("prefill-1", "n2"), ("decode-0", "n2"), ("decode-1", "n3")):
        world.body(Pod, f"llm-{name}")["spec"]["nodeName"] = node
    world.body(Pod, "llm-router-0")["spec"]["nodeName"] = "n4"
    world.body(Pod, "llm-decode-1")["metadata"]["deletionTimestamp"] = stamp(world.now)
    nodes(world, "n1", "n2", "n3", "n4")
    images = {"prefill": ["base:1", "prefill:1"], "decode": ["decode:1", "base:1"]}
    roles = {name: {"imagePreload": {"images": found}} for name, found in images.items()}
    world.put(RoleBasedGroupWarmup, manifest(spec=of_group(**roles)))
    creates = [action for action in step(world).actions if isinstance(action, Create)]
    made = {
        create.body["metadata"]["labels"][labels.WARMUP_NODE]: [
            container["image"] for container in create.body["spec"]["containers"]
        ]
        for create in creates
    }
    assert made == {"n1": ["base:1", "prefill:1"], "n2": ["decode:1", "base:1", "prefill:1"]}


def test_a_group_that_is_missing_is_a_condition_and_it_begins_when_its_pods_have_nodes() -> None:
    world = World()
    nodes(world, "node-1")
    world.put(RoleBasedGroupWarmup, manifest(spec=of_group(prefill=PRELOAD), globalTimeoutSeconds=5))
    assert step(world).requeue_after is None, "nothing polls, and time does not run before it began"
    blocked = condition(world, "Blocked")
    assert blocked is not None
    assert (blocked["reason"], "llm" in blocked["message"]) == ("GroupNotFound", True)
    assert (status(world)["phase"], told(world)) == ("", ["GroupNotFound"])
    world.put(RoleBasedGroup, group("llm", role("prefill", 1)))
    step(world)
    blocked = condition(world, "Blocked")
    assert blocked is not None
    assert (blocked["reason"], "prefill" in blocked["message"]) == ("NoPodsPlaced", True)
    world.settle()
    assert condition(world, "Blocked") is None
    assert (status(world)["phase"], counters(world)) == ("Running", (1, 1, 0, 0))


def test_a_group_whose_roles_want_no_pods_has_no_nodes_to_warm() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("prefill", 0), role("decode", 1)))
    world.put(RoleBasedGroupWarmup, manifest(spec=of_group(prefill=PRELOAD, typo=PRELOAD)))
    step(world)
    complete = condition(world, "Complete")
    assert complete is not None
    assert complete["reason"] == "NoNodesMatched"


def test_pods_that_upstream_made_count_and_are_not_made_again() -> None:
    world = World()
    nodes(world, "n1", "n2", "n3")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    for number, phase in (("n1", "Running"), ("n2", "Succeeded")):
        name = names.warmup_pod("w", number, 0)
        body = world.shelves[Pod].objects.pop(Key("ml", name))
        body["metadata"]["name"] = f"w-8tn{number}"
        world.put(Pod, body)
        become(world, f"w-8tn{number}", phase)
    step(world)
    assert on(world) == ["n1", "n3"]
    assert counters(world) == (3, 2, 1, 0)


# Refusals, and what else goes wrong -----------------------------------------------------------------------------------


def _refused(world: World, why: str) -> Plan:
    node = view.warmup(world.sources, Key("ml", "w"))
    assert node is not None
    made = plan.refused(node, world.now, why)
    world.carry_out(made)
    return made


def test_a_refusal_is_a_condition_and_one_event_is_tried_again_and_goes_away() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest())
    assert _refused(world, "exceeded quota").requeue_after == 1
    blocked = condition(world, "Blocked")
    assert blocked is not None
    assert (blocked["reason"], blocked["message"]) == ("FailedCreatePod", "exceeded quota")
    assert (status(world)["phase"], "startTime" in status(world)) == ("", False)
    for passed, pause in ((1, 1), (9, 10), (1000, 60)):
        world.pass_time(passed)
        again = _refused(world, "exceeded quota")
        assert (again.empty, again.requeue_after) == (True, pause)
    assert told(world) == ["FailedCreatePod"]
    step(world)
    assert condition(world, "Blocked") is None
    assert on(world) == ["n1"]


def test_a_refusal_does_not_outlast_its_time() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=30, parallelism=1))
    step(world)
    all_become(world, "Succeeded")
    _refused(world, "exceeded quota")
    world.pass_time(25)
    assert _refused(world, "exceeded quota").requeue_after == 5
    world.pass_time(5)
    step(world)
    assert status(world)["phase"] == "Failed"
    assert condition(world, "Blocked") is None


def test_one_that_is_being_deleted_is_left_alone() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest())
    world.body(RoleBasedGroupWarmup, "w")["metadata"]["deletionTimestamp"] = stamp(world.now)
    assert decide(world).empty
    node = view.warmup(world.sources, Key("ml", "w"))
    assert node is not None
    assert plan.refused(node, world.now, "exceeded quota").empty


def test_one_that_cannot_be_read_is_told_so() -> None:
    world = World()
    found = plan.unreadable(
        ObjectMeta(name="w", namespace="ml", uid="u"), "spec.policies.parallelism: must be an integer", world.now
    )
    assert "parallelism" in str(found.actions[0])
    assert found.notes[0].reason == "InvalidSpec"


def test_volumes_that_two_roles_declare_differently_are_a_condition_and_one_event() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("prefill"), role("decode")))
    world.settle()
    nodes(world, "node-1")
    tool = {"name": "tool", "image": "tool:1"}
    roles = {
        name: {"customizedAction": {"containers": [tool], "volumes": [{"name": "cache", "hostPath": {"path": name}}]}}
        for name in ("prefill", "decode")
    }
    world.put(RoleBasedGroupWarmup, manifest(spec=of_group(**roles)))
    step(world)
    all_become(world, "Succeeded")
    step(world)
    conflict = condition(world, "VolumeConflict")
    assert conflict is not None
    assert (conflict["reason"], "cache" in conflict["message"]) == ("ConflictingVolumeDefinitions", True)
    assert told(world).count("VolumeConflict") == 1
    assert status(world)["phase"] == "Completed"


# Counters of many -----------------------------------------------------------------------------------------------------


def test_counters_of_a_large_one_in_motion_are_written_in_tenths_and_when_it_rests() -> None:
    world = World()
    nodes(world, *(f"n{number:02}" for number in range(40)))
    world.put(RoleBasedGroupWarmup, manifest(parallelism=40))
    step(world)
    written = []
    for number in range(40):
        become(world, names.warmup_pod("w", f"n{number:02}", 0), "Succeeded")
        world.pass_time(0.5)
        written += [action for action in step_once(world).actions if not isinstance(action, Create)]
    assert len(written) <= 11
    assert status(world)["phase"] == "Completed"


def test_a_lone_change_is_written_once_nothing_moves() -> None:
    world = World()
    nodes(world, *(f"n{number:02}" for number in range(40)))
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    world.pass_time(60)
    become(world, names.warmup_pod("w", "n07", 0), "Succeeded")
    waiting = decide(world)
    assert (waiting.empty, waiting.requeue_after) == (True, 2)
    world.pass_time(2)
    step(world)
    assert counters(world) == (40, 39, 1, 0)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_a_small_one_costs_a_pod_for_each_node_and_few_statuses(size: int) -> None:
    world = World()
    nodes(world, *(f"n{number}" for number in range(size)))
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    all_become(world, "Running")
    step(world)
    all_become(world, "Succeeded")
    step(world)
    assert len(world.writes) == size + 2
