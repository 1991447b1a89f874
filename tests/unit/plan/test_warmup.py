"""Warmups: which nodes, how many at a time, how often, how long, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest

from golden import scenario
from rbgctrl.api import labels, names
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.graph import warmups as view
from rbgctrl.plan import warmup as plan
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Create, Delete, Plan

from .world import World, group, role

PRELOAD = {"imagePreload": {"images": ["registry.example/a:1"]}}
SPREAD = {"pool": "gpu"}


def nodes(world: World, *found: str, **carried: str) -> None:
    for name in found:
        own = {"kubernetes.io/hostname": name, **(carried or SPREAD)}
        world.put(Node, {"metadata": {"name": name, "labels": own}}, namespace="")


def manifest(name: str = "w", *, spec: dict[str, Any] | None = None, **policies: Any) -> dict[str, Any]:
    body = spec or {"targetNodes": {"nodeSelector": SPREAD, **PRELOAD}}
    return {"metadata": {"name": name}, "spec": {**body, **({"policies": policies} if policies else {})}}


def of_group(**roles: Any) -> dict[str, Any]:
    return {"targetRoleBasedGroup": {"name": "llm", "roles": roles}}


def decide(world: World, name: str = "w") -> Plan:
    node = view.warmup(world.sources, Key("ml", name))
    assert node is not None
    return plan.warmup(node, world.now)


def step(world: World, name: str = "w") -> Plan:
    """What is decided now, carried out; a second look must find nothing to write."""
    made = decide(world, name)
    world.carry_out(made)
    if name in world.names(RoleBasedGroupWarmup):
        assert decide(world, name).empty, decide(world, name).because
    return made


def become(world: World, pod: str, phase: str, *, node: str = "") -> None:
    body = world.body(Pod, pod)
    moved = {"type": "Ready", "status": "False", "lastTransitionTime": stamp(world.now)}
    body["status"] = {"phase": phase, "conditions": [moved]}
    if node:
        body["spec"]["nodeName"] = node


def all_become(world: World, phase: str) -> None:
    for pod in world.all(Pod):
        if pod.status.phase not in ("Succeeded", "Failed"):
            become(world, pod.metadata.name, phase)


def status(world: World, name: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = world.body(RoleBasedGroupWarmup, name).get("status", {})
    return found


def counters(world: World) -> tuple[int, int, int, int]:
    found = status(world)
    return found["desired"], found["active"], found["succeeded"], found["failed"]


def condition(world: World, kind: str, name: str = "w") -> dict[str, Any] | None:
    return next((item for item in status(world, name).get("conditions", ()) if item["type"] == kind), None)


def told(world: World) -> list[str]:
    return [note.reason for note in world.notes]


def on(world: World) -> list[str]:
    """Nodes of the pods that are at work."""
    return [
        pod.metadata.labels[labels.WARMUP_NODE]
        for pod in world.all(Pod)
        if pod.status.phase not in ("Succeeded", "Failed")
    ]


# From the start to the end --------------------------------------------------------------------------------------------


def test_each_node_of_a_selector_gets_one_pod_and_the_end_is_told_once() -> None:
    world = World()
    nodes(world, "n1", "n2")
    nodes(world, "other", pool="cpu")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    assert on(world) == ["n1", "n2"]
    assert (status(world)["phase"], counters(world)) == ("Running", (2, 2, 0, 0))
    assert status(world)["startTime"] == stamp(world.now)
    all_become(world, "Running")
    world.pass_time(30)
    assert decide(world).empty, "that a pod runs changes no counter"
    all_become(world, "Succeeded")
    step(world)
    assert (status(world)["phase"], counters(world)) == ("Completed", (2, 0, 2, 0))
    assert status(world)["completionTime"] == stamp(world.now)
    complete = condition(world, "Complete")
    assert complete is not None
    assert (complete["reason"], complete["message"]) == ("WarmupCompleted", "2/2 nodes warmed up successfully")
    assert told(world) == ["CreatedPod", "WarmupStarted", "WarmupCompleted"]
    world.pass_time(10**6)
    assert decide(world) == Plan(because="the warmup has ended")


def test_the_pod_is_the_one_upstream_makes_but_for_its_name() -> None:
    recorded = scenario("warmup")
    theirs = recorded.of("Pod")[0]
    world = World()
    stored = recorded.one("RoleBasedGroupWarmup", "preload")
    world.put(RoleBasedGroupWarmup, {"metadata": {"name": "preload"}, "spec": stored["spec"]}, "golden")
    nodes(world, "node-0")
    node = view.warmup(world.sources, Key("golden", "preload"))
    assert node is not None
    (create,) = plan.warmup(node, world.now).steps[0]
    assert isinstance(create, Create)
    ours: dict[str, Any] = dict(create.body)
    assert ours["metadata"]["labels"] == {**theirs["metadata"]["labels"], labels.WARMUP_UID: node.warmup.uid}
    (owner,) = theirs["metadata"]["ownerReferences"]
    assert ours["metadata"]["ownerReferences"] == [{**owner, "uid": node.warmup.uid}]
    assert set(ours["metadata"]) == set(theirs["metadata"]) - {"generateName", "generation"}
    filled_in = ("resources", "terminationMessagePath", "terminationMessagePolicy")
    for container in theirs["spec"]["containers"]:
        for key in filled_in:
            container.pop(key)
    for key in ("securityContext", "terminationGracePeriodSeconds"):
        theirs["spec"].pop(key)
    assert ours["spec"] == theirs["spec"]


def test_the_status_at_the_end_is_the_one_upstream_writes() -> None:
    recorded = scenario("warmup")
    stored = recorded.one("RoleBasedGroupWarmup", "preload")
    world = World()
    nodes(world, "node-0")
    world.put(RoleBasedGroupWarmup, {"metadata": {"name": "preload"}, "spec": stored["spec"]})
    step(world, "preload")
    all_become(world, "Succeeded")
    step(world, "preload")
    ours = dict(status(world, "preload"))
    assert ours.pop("startTime") == ours.pop("completionTime")
    for item in ours["conditions"]:
        item.pop("lastTransitionTime")
    assert ours == stored["status"]


def test_without_a_node_it_is_complete_at_once() -> None:
    world = World()
    nodes(world, "n1", pool="cpu")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    assert (status(world)["phase"], counters(world)) == ("Completed", (0, 0, 0, 0))
    complete = condition(world, "Complete")
    assert complete is not None
    assert complete["reason"] == "NoNodesMatched"
    assert world.all(Pod) == []


def test_the_same_view_seen_twice_asks_for_the_same_pods() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest())
    first, second = decide(world), decide(world)
    assert first == second
    world.carry_out(first)
    all_become(world, "Failed")
    world.pass_time(5)
    again = [action.key for action in decide(world).actions if isinstance(action, Create)]
    assert again == [action.key for action in decide(world).actions if isinstance(action, Create)]
    assert not set(again) & {pod.key for pod in world.all(Pod)}


# How many, how often --------------------------------------------------------------------------------------------------


def test_no_more_nodes_than_parallelism_are_at_work_and_they_go_by_name() -> None:
    world = World()
    nodes(world, "n3", "n1", "n2", "n4", "n5")
    world.put(RoleBasedGroupWarmup, manifest(parallelism=2))
    step(world)
    assert on(world) == ["n1", "n2"]
    become(world, names.warmup_pod("w", "n1", 0), "Succeeded")
    step(world)
    assert on(world) == ["n2", "n3"]
    for _ in range(5):
        all_become(world, "Succeeded")
        step(world)
    assert (status(world)["phase"], counters(world)) == ("Completed", (5, 0, 5, 0))


def test_a_failed_pod_is_tried_again_under_another_name_after_a_pause_that_doubles() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest())
    step(world)
    for attempt, pause in enumerate((1, 2, 4)):
        name = names.warmup_pod("w", "n1", attempt)
        become(world, name, "Failed")
        world.pass_time(pause - 0.5)
        step(world)
        assert on(world) == []
        assert decide(world).requeue_after == 0.5
        world.pass_time(0.5)
        step(world)
        assert on(world) == ["n1"]
    assert len(world.all(Pod)) == 4


def test_a_node_that_failed_too_often_is_given_up_and_the_rest_is_complete() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest(backoffLimitPerNode=1))
    step(world)
    become(world, names.warmup_pod("w", "n1", 0), "Succeeded")
    for attempt in range(2):
        become(world, names.warmup_pod("w", "n2", attempt), "Failed")
        world.pass_time(2)
        step(world)
    assert (status(world)["phase"], counters(world)) == ("Completed", (2, 0, 1, 1))
    complete = condition(world, "Complete")
    assert complete is not None
    assert complete["message"] == "1/2 nodes warmed up successfully, 1 failed: n2"


def test_more_failed_nodes_than_allowed_end_it_and_stop_what_runs() -> None:
    world = World()
    nodes(world, "n1", "n2", "n3")
    world.put(RoleBasedGroupWarmup, manifest(backoffLimitPerNode=0, maxFailedNodes=1))
    step(world)
    become(world, names.warmup_pod("w", "n1", 0), "Failed")
    step(world)
    assert status(world)["phase"] == "Running", "one may fail"
    become(world, names.warmup_pod("w", "n3", 0), "Failed")
    step(world)
    assert on(world) == []
    assert (status(world)["phase"], counters(world)) == ("Failed", (3, 0, 0, 2))
    failed = condition(world, "Failed")
    assert failed is not None
    assert failed["reason"] == "MaxFailedNodesExceeded"
    assert "n1, n3" in failed["message"]
    assert told(world)[-2:] == ["MaxFailedNodesExceeded", "WarmupFailed"]


def test_a_pod_that_is_deleted_is_no_failed_attempt() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(backoffLimitPerNode=0, maxFailedNodes=0))
    step(world)
    name = names.warmup_pod("w", "n1", 0)
    world.body(Pod, name)["metadata"]["deletionTimestamp"] = stamp(world.now)
    step(world)
    assert names.warmup_pod("w", "n1", 1) in world.names(Pod), "one that is going does not hold it up"
    world.remove(Pod, name)
    world.remove(Pod, names.warmup_pod("w", "n1", 1))
    step(world)
    assert world.names(Pod) == [name]
    assert status(world)["phase"] == "Running"


# How long -------------------------------------------------------------------------------------------------------------


def test_it_fails_exactly_when_its_time_is_over_and_stops_what_runs() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=90))
    assert step(world).requeue_after == 90
    world.pass_time(30)
    become(world, names.warmup_pod("w", "n1", 0), "Succeeded")
    assert step(world).requeue_after == 60
    world.pass_time(59)
    assert decide(world).requeue_after == 1
    world.pass_time(1)
    step(world)
    assert on(world) == []
    failed = condition(world, "Failed")
    assert failed is not None
    assert failed["reason"] == "GlobalTimeoutExceeded"
    assert (status(world)["phase"], counters(world)) == ("Failed", (2, 0, 1, 0))
    assert told(world)[-2:] == ["GlobalTimeoutExceeded", "WarmupFailed"]


def test_a_failed_one_that_still_has_a_pod_stops_it() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=1))
    step(world)
    world.pass_time(1)
    made = decide(world)
    late = [action for action in made.actions if not isinstance(action, Delete)]
    world.carry_out(Plan(steps=(tuple(late),)))
    assert status(world)["phase"] == "Failed"
    assert on(world) == ["n1"]
    step(world)
    assert on(world) == []


def test_what_succeeded_in_time_is_complete_although_nobody_looked_until_later() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=10))
    step(world)
    all_become(world, "Succeeded")
    world.pass_time(100)
    step(world)
    assert status(world)["phase"] == "Completed"


def test_after_its_time_to_live_it_is_deleted_by_uid_and_told() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(ttlSecondsAfterFinished=3600))
    step(world)
    all_become(world, "Succeeded")
    assert step(world).requeue_after == 3600
    world.pass_time(3599)
    assert step(world).requeue_after == 1
    world.pass_time(1)
    uid = world.body(RoleBasedGroupWarmup, "w")["metadata"]["uid"]
    (delete,) = decide(world).actions
    assert isinstance(delete, Delete)
    assert delete.uid == uid
    step(world)
    assert world.names(RoleBasedGroupWarmup) == []
    assert world.names(Pod) == []
    assert told(world)[-1] == "TTLExpired"


def test_a_time_to_live_of_zero_is_over_at_the_end() -> None:
    world = World()
    world.put(RoleBasedGroupWarmup, manifest(ttlSecondsAfterFinished=0))
    assert step_once(world).requeue_after == 0
    step(world)
    assert world.names(RoleBasedGroupWarmup) == []


def step_once(world: World) -> Plan:
    made = decide(world)
    world.carry_out(made)
    return made


# Pauses ---------------------------------------------------------------------------------------------------------------


def test_a_pause_lets_what_runs_go_on_and_starts_nothing() -> None:
    world = World()
    nodes(world, "n1", "n2")
    world.put(RoleBasedGroupWarmup, manifest(parallelism=1))
    step(world)
    _pause(world, paused=True)
    step(world)
    assert (status(world)["phase"], on(world)) == ("Paused", ["n1"])
    all_become(world, "Succeeded")
    step(world)
    assert (status(world)["phase"], counters(world)) == ("Paused", (2, 0, 1, 0))
    _pause(world, paused=False)
    step(world)
    assert (status(world)["phase"], on(world)) == ("Running", ["n2"])
    assert told(world) == ["CreatedPod", "WarmupStarted", "Paused", "CreatedPod", "Resumed"]


def test_one_that_is_born_paused_waits_and_its_time_counts_only_from_its_first_pod() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=10))
    _pause(world, paused=True)
    assert step(world).requeue_after is None
    assert status(world)["phase"] == "Paused"
    world.pass_time(1000)
    _pause(world, paused=False)
    step(world)
    assert (status(world)["phase"], on(world)) == ("Running", ["n1"])


def test_its_time_runs_on_during_a_pause() -> None:
    world = World()
    nodes(world, "n1")
    world.put(RoleBasedGroupWarmup, manifest(globalTimeoutSeconds=10))
    step(world)
    _pause(world, paused=True)
    step(world)
    world.pass_time(10)
    step(world)
    assert status(world)["phase"] == "Failed"
    assert on(world) == []


def _pause(world: World, *, paused: bool) -> None:
    body = world.body(RoleBasedGroupWarmup, "w")
    body["spec"]["paused"] = paused
    body["metadata"]["generation"] += 1


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
