"""Sets with ordinals: replacing outdated instances, holding some back, and claiming what is theirs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api import labels
from rbgctrl.api.core import ControllerRevision, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.plan.members import UNREADY_FOR
from rbgctrl.plan.model import Severity

from .sets import NAME, created, decide, deleted, images, instance_set, patched, stalled, status, uids
from .world import World


@pytest.fixture
def world() -> World:
    return World()


def _settled(world: World, replicas: int = 3, **more: Any) -> None:
    world.put(RoleInstanceSet, instance_set(replicas, **more))
    world.settle()


def _carry_out(world: World) -> list[str]:
    """One pass; returns what it deleted."""
    found = decide(world)
    world.carry_out(found)
    return deleted(found)


# Rollout --------------------------------------------------------------------------------------------------------------


def test_a_changed_template_replaces_one_after_the_other_from_the_highest_ordinal_down(world: World) -> None:
    _settled(world)
    world.put(RoleInstanceSet, instance_set(image="engine:2"))
    assert _carry_out(world) == ["engine-2"]
    assert _carry_out(world) == [], "its place is empty until it is made anew and ready"
    world.settle()
    assert images(world) == {"engine-0": "engine:2", "engine-1": "engine:2", "engine-2": "engine:2"}
    told = [note.message for note in world.notes if "anew" in note.message]
    assert [message.split()[2] for message in told] == ["engine-2", "engine-1", "engine-0"]


def test_while_it_rolls_no_more_than_allowed_are_not_ready(world: World) -> None:
    _settled(world, 5, updateStrategy={"maxUnavailable": 2})
    world.put(RoleInstanceSet, instance_set(5, image="engine:2", updateStrategy={"maxUnavailable": 2}))
    least = 5
    for _ in range(60):
        for plan in world.plan_all():
            world.carry_out(plan)
        world.run_pods()
        ready = sum(
            any(
                item["type"] == "RoleInstanceReady" and item["status"] == "True"
                for item in body["status"]["conditions"]
            )
            for name in world.names(RoleInstance)
            if "status" in (body := world.body(RoleInstance, name))
        )
        least = min(least, ready)
    assert least == 3
    assert set(images(world).values()) == {"engine:2"}


def test_a_rollout_waits_until_each_has_been_ready_for_long_enough_to_the_second(world: World) -> None:
    _settled(world, 2, minReadySeconds=30)
    world.pass_time(60)
    world.put(RoleInstanceSet, instance_set(2, image="engine:2", minReadySeconds=30))
    world.settle()
    assert images(world) == {"engine-0": "engine:1", "engine-1": "engine:2"}
    pause = decide(world).requeue_after
    assert pause is not None
    assert 0 < pause <= 30
    world.pass_time(pause - 0.001)
    assert deleted(decide(world)) == []
    world.pass_time(0.001)
    assert deleted(decide(world)) == ["engine-0"]


def test_two_edits_in_a_row_end_at_the_last_one_everywhere(world: World) -> None:
    _settled(world, 4)
    world.put(RoleInstanceSet, instance_set(4, image="engine:2"))
    _carry_out(world)
    _carry_out(world)
    world.put(RoleInstanceSet, instance_set(4, image="engine:3"))
    world.settle()
    assert set(images(world).values()) == {"engine:3"}
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


def test_going_back_half_way_takes_back_what_was_replaced_and_leaves_the_rest(world: World) -> None:
    _settled(world, 3)
    before = uids(world)
    world.put(RoleInstanceSet, instance_set(3, image="engine:2"))
    for _ in range(4):
        _carry_out(world)
    assert images(world)["engine-2"] == "engine:2"
    world.put(RoleInstanceSet, instance_set(3, image="engine:1"))
    world.settle()
    assert set(images(world).values()) == {"engine:1"}
    after = uids(world)
    assert (after["engine-0"], after["engine-1"]) == (before["engine-0"], before["engine-1"])
    assert after["engine-2"] != before["engine-2"]


def test_a_paused_rollout_replaces_nothing_but_what_is_lost_comes_back_new(world: World) -> None:
    paused = {"maxUnavailable": 1, "paused": True}
    _settled(world, 3)
    world.put(RoleInstanceSet, instance_set(4, image="engine:2", updateStrategy=paused))
    world.settle()
    new = {"engine-0": "engine:1", "engine-1": "engine:1", "engine-2": "engine:1", "engine-3": "engine:2"}
    assert images(world) == new
    assert status(world)["updatedReplicas"] == 1
    world.remove(RoleInstance, "engine-1")
    world.settle()
    assert images(world) == {**new, "engine-1": "engine:2"}
    world.put(RoleInstanceSet, instance_set(4, image="engine:2"))
    world.settle()
    assert set(images(world).values()) == {"engine:2"}


def test_below_the_partition_nothing_is_replaced_and_what_is_lost_comes_back_as_it_was(world: World) -> None:
    _settled(world, 4)
    first = status(world)["currentRevision"]
    held = {"maxUnavailable": 1, "partition": 2}
    world.put(RoleInstanceSet, instance_set(4, image="engine:2", updateStrategy=held))
    world.settle()
    half = {"engine-0": "engine:1", "engine-1": "engine:1", "engine-2": "engine:2", "engine-3": "engine:2"}
    assert images(world) == half
    told = status(world)
    assert (told["expectedUpdatedReplicas"], told["updatedReplicas"], told["currentReplicas"]) == (2, 2, 2)
    assert told["currentRevision"] == first != told["updateRevision"]
    world.remove(RoleInstance, "engine-0")
    world.remove(RoleInstance, "engine-3")
    world.settle()
    assert images(world) == half
    label = world.body(RoleInstance, "engine-0")["metadata"]["labels"][labels.CONTROLLER_REVISION_HASH]
    assert label == first
    world.put(RoleInstanceSet, instance_set(4, image="engine:2", updateStrategy={"maxUnavailable": 1}))
    world.settle()
    assert set(images(world).values()) == {"engine:2"}
    assert status(world)["currentRevision"] == told["updateRevision"]


def test_what_comes_back_below_the_partition_is_the_same_to_the_byte(world: World) -> None:
    _settled(world, 2)
    before = world.body(RoleInstance, "engine-0")["spec"]
    world.put(RoleInstanceSet, instance_set(2, image="engine:2", updateStrategy={"partition": 2}))
    world.settle()
    pod = world.body(Pod, "engine-0")["spec"]
    world.remove(RoleInstance, "engine-0")
    world.settle()
    after = world.body(RoleInstance, "engine-0")["spec"]
    assert _plain(after) == _plain(before)
    assert _plain(world.body(Pod, "engine-0")["spec"]) == _plain(pod)


def _plain(value: Any) -> Any:
    """Without fields that hold nothing."""
    if isinstance(value, dict):
        return {key: found for key, item in value.items() if (found := _plain(item)) not in ({}, [], None)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def test_a_revision_that_is_lost_is_replaced_by_the_newest(world: World) -> None:
    _settled(world, 2)
    first = status(world)["currentRevision"]
    world.put(RoleInstanceSet, instance_set(2, image="engine:2", updateStrategy={"partition": 1}))
    world.settle()
    world.remove(ControllerRevision, first)
    world.remove(RoleInstance, "engine-0")
    world.settle()
    assert set(images(world).values()) == {"engine:2"}


def test_a_bad_revision_is_left_behind_although_what_it_made_never_gets_ready(world: World) -> None:
    _settled(world, 3)
    world.put(RoleInstanceSet, instance_set(3, image="broken"))
    for _ in range(12):
        for plan in world.plan_all():
            world.carry_out(plan)
    assert images(world) == {"engine-0": "engine:1", "engine-1": "engine:1", "engine-2": "broken"}
    world.put(RoleInstanceSet, instance_set(3, image="engine:3"))
    world.settle()
    world.pass_time(UNREADY_FOR)
    world.settle()
    assert set(images(world).values()) == {"engine:3"}


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_set_born_broken_is_mended_by_its_template(world: World, policy: str) -> None:
    world.put(RoleInstanceSet, instance_set(3, image="broken", podManagementPolicy=policy))
    world.settle(kubelet=False)
    world.put(RoleInstanceSet, instance_set(3, podManagementPolicy=policy))
    world.pass_time(UNREADY_FOR)
    world.settle(kubelet=False)
    world.settle()
    world.pass_time(UNREADY_FOR)
    world.settle()
    assert images(world) == {"engine-0": "engine:1", "engine-1": "engine:1", "engine-2": "engine:1"}


def test_ordered_ready_rolls_although_an_instance_in_the_middle_is_broken(world: World) -> None:
    _settled(world, 4, podManagementPolicy="OrderedReady")
    world.containers_ready("engine-1", ready=False)
    world.settle()
    world.put(RoleInstanceSet, instance_set(4, image="engine:2", podManagementPolicy="OrderedReady"))
    assert deleted(decide(world)) == ["engine-1"], "it is the one that may be down"
    world.settle()
    assert set(images(world).values()) == {"engine:2"}


def test_with_a_limit_that_counts_on_extra_instances_one_is_replaced_at_a_time(world: World) -> None:
    strategy = {"maxUnavailable": 0, "maxSurge": 1}
    _settled(world, 3, updateStrategy=strategy)
    world.put(RoleInstanceSet, instance_set(3, image="engine:2", updateStrategy=strategy))
    assert deleted(decide(world)) == ["engine-2"]
    world.settle()
    assert set(images(world).values()) == {"engine:2"}
    assert world.names(RoleInstance) == ["engine-0", "engine-1", "engine-2"]


def test_a_strategy_of_in_place_only_recreates_too(world: World) -> None:
    strategy = {"type": "InPlaceOnly", "maxUnavailable": 1}
    _settled(world, 2, updateStrategy=strategy)
    before = uids(world)
    world.put(RoleInstanceSet, instance_set(2, image="engine:2", updateStrategy=strategy))
    world.settle()
    assert set(images(world).values()) == {"engine:2"}
    assert not set(before.values()) & set(uids(world).values())


def test_scaling_while_it_rolls_ends_with_the_right_number_at_the_right_revision(world: World) -> None:
    _settled(world, 3)
    world.put(RoleInstanceSet, instance_set(3, image="engine:2"))
    _carry_out(world)
    world.put(RoleInstanceSet, instance_set(5, image="engine:2"))
    world.settle()
    world.put(RoleInstanceSet, instance_set(2, image="engine:3"))
    world.settle()
    assert images(world) == {"engine-0": "engine:3", "engine-1": "engine:3"}


def test_revisions_are_told_apart_by_their_hash_whatever_the_label_holds(world: World) -> None:
    _settled(world, 2)
    full = status(world)["currentRevision"]
    stored = world.body(RoleInstance, "engine-0")["metadata"]["labels"]
    assert stored[labels.CONTROLLER_REVISION_HASH] == full
    stored[labels.CONTROLLER_REVISION_HASH] = full.rpartition("-")[2]
    assert decide(world).empty


steps = st.tuples(st.integers(0, 4), st.sampled_from(["engine:1", "engine:2", "engine:3"]), st.integers(0, 4))


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4), st.sampled_from(["OrderedReady", "Parallel"]), st.integers(0, 6))
def test_whatever_happens_half_way_everything_from_the_partition_up_ends_at_the_last_template(
    history: list[tuple[int, str, int]], policy: str, passes: int
) -> None:
    world = World()
    for replicas, image, partition in history:
        strategy = {"maxUnavailable": 1, "partition": partition}
        world.put(
            RoleInstanceSet,
            instance_set(replicas, image=image, podManagementPolicy=policy, updateStrategy=strategy),
        )
        for _ in range(passes):
            for plan in world.plan_all():
                world.carry_out(plan)
    for _ in range(3):
        world.settle(rounds=80)
        world.pass_time(UNREADY_FOR)
    replicas, image, partition = history[-1]
    found = images(world)
    assert sorted(found) == [f"engine-{ordinal}" for ordinal in range(replicas)]
    assert {found[f"engine-{ordinal}"] for ordinal in range(partition, replicas)} <= {image}
    assert decide(world).empty


# Ownership ------------------------------------------------------------------------------------------------------------


def _orphan(world: World, name: str) -> None:
    del world.body(RoleInstance, name)["metadata"]["ownerReferences"]


def test_an_instance_that_nobody_controls_and_that_is_selected_is_adopted_as_it_is(world: World) -> None:
    _settled(world, 2)
    before = uids(world)
    _orphan(world, "engine-1")
    world.body(RoleInstance, "engine-1")["metadata"]["annotations"][labels.OWNER_GENERATION] = "7"
    found = decide(world)
    assert created(found) == deleted(found) == []
    metadata = patched(found)["engine-1"]["metadata"]
    stored = world.body(RoleInstance, "engine-1")["metadata"]
    assert metadata["resourceVersion"] == stored["resourceVersion"], "nothing may have changed since it was read"
    (owner,) = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (world.body(RoleInstanceSet, NAME)["metadata"]["uid"], True)
    world.settle()
    assert uids(world) == before
    assert status(world)["replicas"] == 2
    world.put(RoleInstanceSet, instance_set(3))
    world.settle()
    assert len(world.names(RoleInstance)) == 3, "the stamp of its former owner stops nobody"


def test_revisions_that_a_former_set_left_behind_are_adopted_and_not_made_again(world: World) -> None:
    _settled(world, 1)
    name = status(world)["updateRevision"]
    del world.body(ControllerRevision, name)["metadata"]["ownerReferences"]
    _orphan(world, "engine-0")
    world.remove(RoleInstanceSet, NAME)
    world.put(RoleInstanceSet, instance_set(1))
    before = uids(world)
    found = decide(world)
    (patch,) = found.steps[0]
    assert patch.key.name == name
    world.settle()
    assert uids(world) == before
    assert status(world)["updateRevision"] == name
    owner = world.body(ControllerRevision, name)["metadata"]["ownerReferences"][0]
    assert owner["uid"] == world.body(RoleInstanceSet, NAME)["metadata"]["uid"]


def test_other_owners_of_an_adopted_instance_stay(world: World) -> None:
    _settled(world, 1)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
    world.body(RoleInstance, "engine-0")["metadata"]["ownerReferences"] = [other]
    owners = patched(decide(world))["engine-0"]["metadata"]["ownerReferences"]
    assert owners[0] == other
    assert [item.get("controller", False) for item in owners] == [False, True]


@pytest.mark.parametrize("why", ["not selected", "another name", "going away", "no selector"])
def test_an_instance_is_not_adopted_without_reason(world: World, why: str) -> None:
    _settled(world, 1)
    _orphan(world, "engine-0")
    body = world.body(RoleInstance, "engine-0")
    if why == "not selected":
        body["metadata"]["labels"]["app"] = "other"
    elif why == "going away":
        body["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    elif why == "no selector":
        del world.body(RoleInstanceSet, NAME)["spec"]["selector"]
    else:
        moved = {**body, "metadata": {**body["metadata"], "name": "engine-00"}}
        world.remove(RoleInstance, "engine-0")
        world.put(RoleInstance, moved)
    assert patched(decide(world)) == {}


def test_an_adopted_instance_beyond_the_wanted_number_is_removed(world: World) -> None:
    _settled(world, 3)
    _orphan(world, "engine-2")
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    assert world.names(RoleInstance) == ["engine-0"]


def test_an_instance_that_is_not_selected_any_more_is_released_untouched_and_its_name_is_missed(world: World) -> None:
    _settled(world, 2)
    before = uids(world)
    world.body(RoleInstance, "engine-1")["metadata"]["labels"]["app"] = "taken-out"
    found = decide(world)
    assert created(found) == deleted(found) == []
    assert patched(found)["engine-1"]["metadata"]["ownerReferences"] == []
    world.settle()
    assert uids(world) == before
    assert status(world)["replicas"] == 1
    assert "RoleInstance engine-1 exists and belongs to somebody else" in stalled(world)
    world.body(RoleInstance, "engine-1")["metadata"]["labels"]["app"] = "engine"
    world.settle()
    assert uids(world) == before
    assert status(world)["replicas"] == 2
    assert stalled(world) == ""


def test_expressions_select_too(world: World) -> None:
    selector = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["old"]}]}
    _settled(world, 1, selector=selector)
    assert status(world)["labelSelector"] == "tier notin (old)"
    assert decide(world).empty
    world.body(RoleInstance, "engine-0")["metadata"]["labels"]["tier"] = "old"
    assert "engine-0" in patched(decide(world))


@pytest.mark.parametrize("why", ["of an earlier set", "deleted"])
def test_a_name_that_is_about_to_be_free_is_waited_for_without_a_word(world: World, why: str) -> None:
    reference = {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleInstanceSet", "name": NAME, "uid": "old"}
    owners = [{**reference, "controller": True}] if why == "of an earlier set" else []
    body: dict[str, Any] = {"metadata": {"name": "engine-0", "ownerReferences": owners}, "spec": {"components": []}}
    world.put(RoleInstance, body)
    if why == "deleted":
        world.body(RoleInstance, "engine-0")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    world.put(RoleInstanceSet, instance_set(2))
    found = decide(world)
    assert created(found) == ["engine-1"]
    assert not [note for note in found.notes if note.severity is Severity.WARNING]
    world.remove(RoleInstance, "engine-0")
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]


# What does not go away ------------------------------------------------------------------------------------------------


def test_an_instance_that_does_not_go_away_holds_its_slot_is_named_and_others_go_on(world: World) -> None:
    _settled(world, 3)
    world.body(RoleInstance, "engine-1")["metadata"]["finalizers"] = ["example.com/hold"]
    world.put(RoleInstanceSet, instance_set(4, image="engine:2", updateStrategy={"maxUnavailable": 2}))
    world.settle()
    found = images(world)
    assert found["engine-1"] == "engine:1"
    assert {found[name] for name in ("engine-0", "engine-2", "engine-3")} == {"engine:2"}
    assert stalled(world) == "", "not at once: most things go away by themselves"
    pause = decide(world).requeue_after
    assert pause is not None
    world.pass_time(pause - 1)
    assert decide(world).empty
    world.pass_time(1)
    world.settle()
    message = stalled(world)
    assert "RoleInstance engine-1 was deleted at 2026-11-22T12:0" in message
    assert "finalizer example.com/hold" in message
    told = [note for note in world.notes if note.severity is Severity.WARNING and "engine-1" in note.message]
    assert [note.reason for note in told] == ["FailedDelete"]
    world.pass_time(3600)
    assert decide(world).empty
    world.remove(RoleInstance, "engine-1")
    world.settle()
    assert images(world)["engine-1"] == "engine:2"
    assert stalled(world) == ""
