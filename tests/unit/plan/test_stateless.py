"""Sets without ordinals: numbers, who goes first, hooks, and replacing what is outdated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api import labels, names
from rbgctrl.api.core import ControllerRevision, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.plan import role as plan

from .sets import NAME, created, decide, deleted, images, instance_set, patched, stalled, status, uids
from .world import World

OWNED = labels.ROLE_INSTANCE_OWNER
STATE = labels.INSTANCE_LIFECYCLE_STATE
DOOMED = labels.ROLE_INSTANCE_DELETE


@pytest.fixture
def world() -> World:
    return World()


def _set(replicas: int = 3, **more: Any) -> dict[str, Any]:
    return instance_set(replicas, stateless=True, **more)


def _settled(world: World, replicas: int = 3, **more: Any) -> list[str]:
    world.put(RoleInstanceSet, _set(replicas, **more))
    world.settle()
    return world.names(RoleInstance)


def _labels(world: World, name: str) -> dict[str, str]:
    found: dict[str, str] = world.body(RoleInstance, name)["metadata"]["labels"]
    return found


def _unready(world: World, *pods: str) -> None:
    for name in pods:
        world.containers_ready(name, ready=False)
    world.settle()


# Identity -------------------------------------------------------------------------------------------------------------


def test_instances_have_ids_that_follow_from_the_set_and_labels_of_upstream(world: World) -> None:
    found = _settled(world)
    body = world.body(RoleInstanceSet, NAME)
    digest = body["status"]["updateRevision"].rpartition("-")[2]
    uid = body["metadata"]["uid"]
    assert found == sorted(f"engine-{names.instance_id(uid, digest, str(number))}" for number in range(3))
    for name in found:
        made = world.body(RoleInstance, name)
        own = made["metadata"]["labels"]
        identity = name.removeprefix("engine-")
        assert own[labels.ROLE_INSTANCE_ID] == identity
        assert own[OWNED] == uid
        assert own[labels.CONTROLLER_REVISION_HASH] == digest
        assert own[STATE] == "Normal"
        assert own[labels.ROLE_ID] == f"engine.engine.{identity}"
        assert made["metadata"]["annotations"][labels.INSTANCE_LIFECYCLE_TIMESTAMP] == "2026-11-22T12:00:00Z"
        assert labels.ROLE_INSTANCE_INDEX not in own
        assert world.body(Pod, name)["metadata"]["labels"][labels.ROLE_ID] == f"engine.engine.{identity}.main.0"
    revision = world.body(ControllerRevision, body["status"]["updateRevision"])
    assert revision["metadata"]["labels"] == {labels.REVISION_HASH: digest, OWNED: uid}


def test_repeating_a_birth_whose_answer_was_lost_names_the_same_instances(world: World) -> None:
    world.put(RoleInstanceSet, _set(3))
    first = decide(world)
    second = decide(world)
    assert created(first) == created(second)
    applies = [step for step in first.steps[1] if step.key.name in created(first)]
    for action in (*first.steps[0], applies[1]):
        world._act(action)
    assert created(decide(world)) == [applies[0].key.name, applies[2].key.name]


def test_an_id_that_is_remembered_or_still_in_use_is_not_given_again(world: World) -> None:
    found = _settled(world, 2)
    gone = found[0]
    world.body(RoleInstance, gone)["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    (made,) = created(decide(world))
    assert made not in found
    world.remove(RoleInstance, gone)
    node = view.role(world.sources, Key("ml", NAME))
    assert node is not None
    spent = frozenset(name.removeprefix("engine-") for name in found)
    (again,) = created(plan.role(replace(node, spent=spent), world.now))
    assert again not in found


def test_a_name_is_cut_and_never_longer_than_a_label(world: World) -> None:
    body = _set(1)
    body["metadata"]["name"] = "e" * 63
    body["metadata"]["labels"][labels.ROLE_TYPE] = "PodTemplate"
    world.put(RoleInstanceSet, body)
    world.settle()
    (name,) = world.names(RoleInstance)
    assert len(name) == 63


def test_pods_are_found_by_the_selector_of_the_set(world: World) -> None:
    _settled(world)
    assert status(world)["labelSelector"] == "app=engine"
    assert all(world.body(Pod, name)["metadata"]["labels"]["app"] == "engine" for name in world.names(Pod))


def test_the_status_counts_as_upstream_does(world: World) -> None:
    _settled(world)
    told = status(world)
    counters = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "updatedReadyReplicas")
    assert [told[name] for name in counters] == [3, 3, 3, 3, 3]
    assert told["currentReplicas"] == 0
    assert told["expectedUpdatedReplicas"] == 3
    assert told["currentRevision"] == told["updateRevision"]


# Number ---------------------------------------------------------------------------------------------------------------


def test_one_that_is_going_away_does_not_count_and_its_replacement_does_not_wait(world: World) -> None:
    found = _settled(world, 2)
    world.body(RoleInstance, found[0])["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert len(created(decide(world))) == 1


def test_an_instance_of_another_owner_or_of_nobody_does_not_count(world: World) -> None:
    found = _settled(world, 2)
    del world.body(RoleInstance, found[0])["metadata"]["ownerReferences"]
    assert len(created(decide(world))) == 1


def test_scaling_in_takes_unready_ones_first_then_the_cheaper_then_the_younger(world: World) -> None:
    found = _settled(world, 4)
    cheap, young, broken, kept = found
    world.body(RoleInstance, cheap)["metadata"]["annotations"][labels.INSTANCE_DELETION_COST] = "-5"
    world.body(RoleInstance, young)["metadata"]["creationTimestamp"] = "2026-11-22T13:00:00Z"
    world.body(RoleInstance, kept)["metadata"]["annotations"][labels.INSTANCE_DELETION_COST] = "no number"
    _unready(world, broken)
    for replicas, victims in ((3, [broken]), (2, [broken, cheap]), (1, [broken, cheap, young])):
        world.put(RoleInstanceSet, _set(replicas))
        assert deleted(decide(world)) == victims


def test_scaling_in_takes_from_the_revision_that_has_too_many(world: World) -> None:
    _settled(world, 4)
    held = {"maxUnavailable": 4, "partition": 2}
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy=held))
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:1", "engine:2", "engine:2"]
    world.put(RoleInstanceSet, _set(2, image="engine:2", updateStrategy={**held, "partition": 1}))
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:2"]


def test_creation_pauses_at_the_limit_of_unavailable_ones_and_says_so_once(world: World) -> None:
    world.put(RoleInstanceSet, _set(5, scaleStrategy={"maxUnavailable": 2}))
    world.settle(kubelet=False)
    assert len(world.names(RoleInstance)) == 2
    told = [note for note in world.notes if note.reason == "ScaleUpLimited"]
    assert len(told) == 1
    assert "5 instances are missing and 2 are created now" in told[0].message
    world.settle()
    assert len(world.names(RoleInstance)) == 5


def test_an_instance_lost_is_replaced(world: World) -> None:
    found = _settled(world, 3)
    world.remove(RoleInstance, found[1])
    world.settle()
    assert len(world.names(RoleInstance)) == 3


# Wanted deletions -----------------------------------------------------------------------------------------------------


def test_an_instance_marked_for_deletion_goes_and_another_takes_its_place(world: World) -> None:
    found = _settled(world, 3)
    before = uids(world)
    _labels(world, found[0])[DOOMED] = ""
    assert deleted(decide(world)) == [found[0]]
    world.settle()
    after = uids(world)
    assert len(after) == 3
    assert before[found[0]] not in after.values()
    assert {before[found[1]], before[found[2]]} <= set(after.values())


def test_with_fewer_replicas_the_marked_one_is_the_one_that_goes(world: World) -> None:
    found = _settled(world, 3)
    _labels(world, found[1])[DOOMED] = "yes"
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    assert world.names(RoleInstance) == [found[0], found[2]]


def test_ready_ones_go_within_what_may_be_unavailable_and_unready_ones_at_once(world: World) -> None:
    found = _settled(world, 4)
    for name in found[:3]:
        _labels(world, name)[DOOMED] = ""
    assert len(deleted(decide(world))) == 1
    _unready(world)
    world = World()
    found = _settled(world, 4)
    world.containers_ready(found[0], ready=False)
    world.containers_ready(found[1], ready=False)
    for shown in world.plan_all():
        world.carry_out(shown)
    for name in found[:3]:
        _labels(world, name)[DOOMED] = ""
    assert set(deleted(decide(world))) == {found[0], found[1], found[2]}


def test_listed_names_are_deleted_and_names_of_what_is_gone_are_taken_off_the_list(world: World) -> None:
    found = _settled(world, 3)
    listed = {"roleInstanceToDelete": [found[0], "engine-never"]}
    world.put(RoleInstanceSet, _set(2, scaleStrategy=listed))
    pruned = patched(decide(world), RoleInstanceSet)[NAME]
    assert pruned["spec"] == {"scaleStrategy": {"roleInstanceToDelete": [found[0]]}}
    assert pruned["metadata"] == {"resourceVersion": world.body(RoleInstanceSet, NAME)["metadata"]["resourceVersion"]}
    world.settle()
    assert world.names(RoleInstance) == found[1:]
    assert world.body(RoleInstanceSet, NAME)["spec"]["scaleStrategy"] == {"roleInstanceToDelete": []}
    assert decide(world).empty


# Hooks ----------------------------------------------------------------------------------------------------------------


def _hooked(**hook: Any) -> dict[str, Any]:
    return {"preDelete": hook}


@pytest.mark.parametrize("kind", ["label", "finalizer"])
def test_a_hook_holds_an_instance_back_until_it_is_taken_away(world: World, kind: str) -> None:
    hook = {"labelsHandler": {"drain": "yes"}} if kind == "label" else {"finalizersHandler": ["example.com/drain"]}
    (only,) = _settled(world, 1, lifecycle=_hooked(**hook))
    metadata = world.body(RoleInstance, only)["metadata"]
    if kind == "label":
        metadata["labels"]["drain"] = "yes"
    else:
        metadata["finalizers"] = ["example.com/drain"]
    world.put(RoleInstanceSet, _set(0, lifecycle=_hooked(**hook)))
    world.pass_time(60)
    assert deleted(decide(world)) == []
    change = patched(decide(world))[only]["metadata"]
    assert change["labels"] == {STATE: "PreparingDelete"}
    assert change["annotations"] == {labels.INSTANCE_LIFECYCLE_TIMESTAMP: "2026-11-22T12:01:00Z"}
    world.settle()
    assert world.names(RoleInstance) == [only]
    assert decide(world).empty
    if kind == "label":
        _labels(world, only)["drain"] = "done"
    else:
        world.body(RoleInstance, only)["metadata"]["finalizers"] = []
    assert deleted(decide(world)) == [only]


def test_an_instance_that_is_needed_again_before_its_hook_let_it_go_is_kept(world: World) -> None:
    hook = _hooked(labelsHandler={"app": "engine"})
    found = _settled(world, 2, lifecycle=hook)
    world.put(RoleInstanceSet, _set(1, lifecycle=hook))
    world.settle()
    (waiting,) = [name for name in found if _labels(world, name)[STATE] == "PreparingDelete"]
    world.put(RoleInstanceSet, _set(2, lifecycle=hook))
    world.settle()
    assert world.names(RoleInstance) == found
    assert _labels(world, waiting)[STATE] == "Normal"


def test_one_whose_pods_were_taken_out_of_service_is_not_kept_but_replaced(world: World) -> None:
    hook = _hooked(labelsHandler={"app": "engine"}, markPodNotReady=True)
    found = _settled(world, 2, lifecycle=hook)
    world.put(RoleInstanceSet, _set(1, lifecycle=hook))
    world.settle()
    (waiting,) = [name for name in found if _labels(world, name)[STATE] == "PreparingDelete"]
    assert world.body(RoleInstance, waiting)["metadata"]["annotations"][labels.INSTANCE_HELD_BACK] == "true"
    gates = {item["type"]: item["status"] for item in world.body(Pod, waiting)["status"]["conditions"]}
    assert (gates["InstancePodReady"], gates["Ready"]) == ("False", "False")
    world.put(RoleInstanceSet, _set(2, lifecycle=hook))
    world.settle()
    assert _labels(world, waiting)[STATE] == "PreparingDelete"


def test_a_state_that_an_update_in_place_left_ends_when_the_instance_is_complete(world: World) -> None:
    (only,) = _settled(world, 1)
    _labels(world, only)[STATE] = "Updating"
    world.settle()
    assert _labels(world, only)[STATE] == "Normal"
    assert status(world)["availableReplicas"] == 1


# Updates --------------------------------------------------------------------------------------------------------------


def _play(world: World, passes: int) -> Iterable[dict[str, str]]:
    for _ in range(passes):
        for found in world.plan_all():
            world.carry_out(found)
        world.run_pods()
        yield images(world)


def test_outdated_instances_are_marked_and_replaced_by_new_ones_under_other_names(world: World) -> None:
    before = _settled(world, 3)
    world.put(RoleInstanceSet, _set(3, image="engine:2"))
    found = decide(world)
    (marked,) = patched(found)
    assert patched(found)[marked]["metadata"] == {"labels": {DOOMED: "true"}}
    assert [note.reason for note in found.notes] == ["SuccessfulUpdateInstanceReCreate"]
    assert all(len(state) >= 2 for state in _play(world, 40))
    world.settle()
    assert set(images(world).values()) == {"engine:2"}
    assert not set(before) & set(world.names(RoleInstance))
    assert status(world)["currentRevision"] == status(world)["updateRevision"]


def test_no_more_than_allowed_are_unavailable_and_unavailable_ones_go_first(world: World) -> None:
    found = _settled(world, 4)
    _unready(world, found[3])
    world.put(RoleInstanceSet, _set(4, image="engine:2"))
    assert list(patched(decide(world))) == [found[3]]
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy={"maxUnavailable": 2}))
    assert next(iter(patched(decide(world)))) == found[3]
    assert len(patched(decide(world))) == 2


def test_with_surge_a_new_one_comes_before_an_old_one_goes(world: World) -> None:
    strategy = {"maxUnavailable": 0, "maxSurge": 1}
    _settled(world, 3, updateStrategy=strategy)
    world.put(RoleInstanceSet, _set(3, image="engine:2", updateStrategy=strategy))
    sizes = {len(state) for state in _play(world, 60)}
    world.settle()
    assert sizes == {3, 4}
    assert list(images(world).values()) == ["engine:2"] * 3


def test_a_partition_holds_some_back_and_moves_them_back_when_it_grows(world: World) -> None:
    _settled(world, 4)
    half = {"maxUnavailable": 2, "partition": 2}
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy=half))
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:1", "engine:2", "engine:2"]
    assert status(world)["expectedUpdatedReplicas"] == 2
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy={**half, "partition": 3}))
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:1", "engine:1", "engine:2"]
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy={**half, "partition": 0}))
    world.settle()
    assert set(images(world).values()) == {"engine:2"}


def test_going_back_half_way_takes_back_all_of_them_whatever_the_partition(world: World) -> None:
    _settled(world, 4)
    half = {"maxUnavailable": 2, "partition": 2}
    world.put(RoleInstanceSet, _set(4, image="engine:2", updateStrategy=half))
    world.settle()
    world.put(RoleInstanceSet, _set(4, image="engine:1", updateStrategy=half))
    world.settle()
    assert set(images(world).values()) == {"engine:1"}


def test_nothing_stays_at_a_revision_in_between(world: World) -> None:
    _settled(world, 4)
    half = {"maxUnavailable": 4, "partition": 2}
    for image in ("engine:2", "engine:3"):
        world.put(RoleInstanceSet, _set(4, image=image, updateStrategy=half))
        world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:1", "engine:3", "engine:3"]


def test_paused_stops_updates_and_not_replacement(world: World) -> None:
    found = _settled(world, 2)
    paused = {"maxUnavailable": 1, "paused": True}
    world.put(RoleInstanceSet, _set(2, image="engine:2", updateStrategy=paused))
    world.settle()
    assert world.names(RoleInstance) == found
    world.remove(RoleInstance, found[0])
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:2"]


def test_limits_under_which_nothing_can_be_updated_are_said(world: World) -> None:
    never = {"maxUnavailable": 0}
    _settled(world, 2, updateStrategy=never)
    assert stalled(world) == ""
    world.put(RoleInstanceSet, _set(2, image="engine:2", updateStrategy=never))
    world.settle()
    assert "2 instances wait to be updated" in stalled(world)
    world.put(RoleInstanceSet, _set(2, image="engine:2", updateStrategy={"maxUnavailable": 1}))
    world.settle()
    assert stalled(world) == ""
    assert set(images(world).values()) == {"engine:2"}


def test_an_update_waits_until_the_new_ones_have_been_ready_for_long_enough(world: World) -> None:
    _settled(world, 2, minReadySeconds=30)
    world.pass_time(60)
    world.settle()
    world.put(RoleInstanceSet, _set(2, image="engine:2", minReadySeconds=30))
    world.settle()
    assert sorted(images(world).values()) == ["engine:1", "engine:2"]
    pause = decide(world).requeue_after
    assert pause is not None
    assert 0 < pause <= 30
    world.pass_time(pause)
    assert len(patched(decide(world))) == 1


steps = st.tuples(
    st.integers(0, 4), st.sampled_from(["engine:1", "engine:2", "engine:3"]), st.integers(0, 2), st.integers(0, 1)
)


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4), st.integers(0, 6))
def test_whatever_happens_half_way_all_end_at_the_last_template(
    history: list[tuple[int, str, int, int]], passes: int
) -> None:
    world = World()
    for replicas, image, unavailable, surge in history:
        strategy = {"maxUnavailable": max(unavailable, 1 - surge), "maxSurge": surge}
        world.put(RoleInstanceSet, _set(replicas, image=image, updateStrategy=strategy))
        for _ in _play(world, passes):
            assert len(world.names(RoleInstance)) <= max(item[0] for item in history) + 1
    world.settle(rounds=120)
    replicas, image, _, _ = history[-1]
    assert list(images(world).values()) == [image] * replicas
    assert decide(world).empty


# The pattern itself ---------------------------------------------------------------------------------------------------


def test_instances_of_the_other_pattern_go_first(world: World) -> None:
    stateful = instance_set(2)
    world.put(RoleInstanceSet, stateful)
    world.settle()
    world.body(RoleInstanceSet, NAME)["metadata"]["annotations"] = {labels.INSTANCE_PATTERN: "Stateless"}
    found = decide(world)
    assert deleted(found) == ["engine-0", "engine-1"]
    assert created(found) == []
    world.settle()
    assert len(world.names(RoleInstance)) == 2
    assert not {"engine-0", "engine-1"} & set(world.names(RoleInstance))
    world.body(RoleInstanceSet, NAME)["metadata"]["annotations"] = {}
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]
