"""Warmups from the start to the end: how many at a time, how often, how long, and pauses."""

from __future__ import annotations

from typing import Any

from golden import scenario
from rbgctrl.api import labels, names
from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.graph import warmups as view
from rbgctrl.plan import warmup as plan
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Create, Delete, Plan

from .warmups import (
    all_become,
    become,
    condition,
    counters,
    decide,
    manifest,
    nodes,
    on,
    status,
    step,
    step_once,
    told,
)
from .world import World

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
