"""Group sets: their groups, what is left to others, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest

from golden import scenario
from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.graph import groupsets as view
from rbgctrl.plan import groupset as plan
from rbgctrl.plan.model import Apply, Delete, Patch

from .groupsets import applied, born, condition, decide, image, manifest, status
from .world import World, role

# Birth and size -------------------------------------------------------------------------------------------------------


def test_a_set_makes_its_groups_from_the_template_and_is_ready_when_they_are() -> None:
    world = World()
    world.put(
        RoleBasedGroupSet, manifest(2, role("a"), role("b"), labels={"team": "search"}, annotations={"note": "x"})
    )
    world.settle(kubelet=False)
    assert world.names(RoleBasedGroup) == ["s-0", "s-1"]
    assert condition(world, "Ready")["reason"] == "ReplicasNotReady"
    child = world.body(RoleBasedGroup, "s-1")["metadata"]
    assert child["labels"] == {"team": "search", labels.GROUPSET_NAME: "s", labels.GROUPSET_INDEX: "1"}
    assert child["annotations"]["note"] == "x"
    assert child["ownerReferences"] == [
        {
            "apiVersion": "workloads.x-k8s.io/v1alpha2",
            "kind": "RoleBasedGroupSet",
            "name": "s",
            "uid": world.body(RoleBasedGroupSet, "s")["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    world.settle()
    assert condition(world, "Ready")["reason"] == "AllReplicasReady"
    assert condition(world, "Progressing")["reason"] == "GroupsAsWanted"
    assert status(world) == (1, 2, 2)
    assert decide(world).empty


def test_role_templates_reach_the_groups() -> None:
    world = World()
    template = {"spec": {"containers": [{"name": "main", "image": "base:1"}]}}
    user = {"name": "a", "replicas": 1, "standalonePattern": {"templateRef": {"name": "base", "patch": {}}}}
    spec = {"roles": [user], "roleTemplates": [{"name": "base", "template": template}]}
    world.put(RoleBasedGroupSet, manifest(1, spec=spec))
    world.settle()
    assert world.body(RoleBasedGroup, "s-0")["spec"]["roleTemplates"] == spec["roleTemplates"]
    assert condition(world, "Ready")["status"] == "True"


def test_every_apply_is_by_a_manager_of_its_own_and_one_to_what_exists_is_fenced() -> None:
    world = World()
    born(world, 1)
    world.put(RoleBasedGroupSet, manifest(2, role("a", image="engine:2")))
    first, second = (action for action in decide(world).actions if isinstance(action, Apply))
    assert {first.manager, second.manager} == {"rbg-groupset"}
    new, old = (first, second) if first.key.name == "s-1" else (second, first)
    live = world.body(RoleBasedGroup, "s-0")["metadata"]
    assert (old.uid, old.version) == (live["uid"], live["resourceVersion"])
    assert (new.uid, new.adopt) == ("", False)


def test_scaling_in_deletes_the_highest_indexes_and_scaling_writes_to_nobody_else() -> None:
    world = World()
    born(world, 4)
    kept = {name: world.body(RoleBasedGroup, name)["metadata"]["uid"] for name in ("s-0", "s-1")}
    before = len(world.writes)
    world.put(RoleBasedGroupSet, manifest(2))
    world.settle()
    written = [action for action in world.writes[before:] if action.kind is RoleBasedGroup]
    assert sorted(action.key.name for action in written if isinstance(action, Delete)) == ["s-2", "s-3"]
    assert not [action for action in written if not isinstance(action, Delete)]
    assert {name: world.body(RoleBasedGroup, name)["metadata"]["uid"] for name in world.names(RoleBasedGroup)} == kept


@pytest.mark.parametrize("index", [None, "x", "-1", "01"])
def test_a_group_without_an_index_is_deleted_and_made_anew(index: str | None) -> None:
    world = World()
    born(world, 2)
    old = world.body(RoleBasedGroup, "s-1")["metadata"]
    if index is None:
        del old["labels"][labels.GROUPSET_INDEX]
    else:
        old["labels"][labels.GROUPSET_INDEX] = index
    world.settle()
    new = world.body(RoleBasedGroup, "s-1")["metadata"]
    assert new["uid"] != old["uid"]
    assert new["labels"][labels.GROUPSET_INDEX] == "1"


def test_an_index_that_another_group_has_is_set_right_and_nothing_is_deleted() -> None:
    world = World()
    born(world, 2)
    uid = world.body(RoleBasedGroup, "s-1")["metadata"]["uid"]
    world.body(RoleBasedGroup, "s-1")["metadata"]["labels"][labels.GROUPSET_INDEX] = "0"
    world.settle()
    found = world.body(RoleBasedGroup, "s-1")["metadata"]
    assert (found["uid"], found["labels"][labels.GROUPSET_INDEX]) == (uid, "1")


def test_a_group_of_somebody_else_holds_its_name_and_is_never_touched() -> None:
    world = World()
    world.put(RoleBasedGroup, {"metadata": {"name": "s-1"}, "spec": {"roles": [role("mine")]}})
    world.settle()
    theirs = {key: value for key, value in world.body(RoleBasedGroup, "s-1").items() if key != "status"}
    born(world, 3)
    assert {key: value for key, value in world.body(RoleBasedGroup, "s-1").items() if key != "status"} == theirs
    ready = condition(world, "Ready")
    assert (ready["status"], ready["reason"], "s-1" in ready["message"]) == ("False", "FailedCreate", True)
    assert world.names(RoleBasedGroup) == ["s-0", "s-1", "s-2"], "the others are there"
    assert sum("s-1 exists" in note.message for note in world.notes) == 1
    world.remove(RoleBasedGroup, "s-1")
    world.settle()
    assert condition(world, "Ready")["status"] == "True"


def test_a_group_that_is_being_deleted_is_waited_for() -> None:
    world = World()
    born(world, 2)
    world.body(RoleBasedGroup, "s-1")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    made = decide(world)
    assert [action for action in made.actions if action.kind is RoleBasedGroup] == []
    world.carry_out(made)
    assert condition(world, "Progressing")["reason"] == "GroupsScaling"
    world.remove(RoleBasedGroup, "s-1")
    world.settle()
    assert condition(world, "Ready")["status"] == "True"


# What belongs to others -----------------------------------------------------------------------------------------------


def test_what_others_write_on_a_group_stays_and_costs_no_write() -> None:
    world = World()
    born(world, 1)
    found = world.body(RoleBasedGroup, "s-0")
    assert found["metadata"]["annotations"][labels.DISCOVERY_MODE] == "refine"
    found["metadata"]["annotations"]["theirs"] = "x"
    found["metadata"]["labels"]["theirs"] = "x"
    assert decide(world).empty
    world.put(RoleBasedGroupSet, manifest(1, role("a", image="engine:2"), labels={"team": "search"}))
    (apply,) = (action for action in decide(world).actions if isinstance(action, Apply))
    assert labels.DISCOVERY_MODE not in apply.body["metadata"]["annotations"]
    world.settle()
    assert world.body(RoleBasedGroup, "s-0")["metadata"]["annotations"][labels.DISCOVERY_MODE] == "refine"


def test_what_the_template_says_is_restored_when_it_is_changed_on_a_group() -> None:
    world = World()
    born(world, 1, labels={"team": "search"})
    found = world.body(RoleBasedGroup, "s-0")
    found["metadata"]["labels"]["team"] = "other"
    found["spec"]["roles"][0]["standalonePattern"]["template"]["spec"]["containers"][0]["image"] = "forged:1"
    found["metadata"]["generation"] += 1
    world.settle()
    assert world.body(RoleBasedGroup, "s-0")["metadata"]["labels"]["team"] == "search"
    assert image(world, "s-0") == "engine:1"


@pytest.mark.parametrize("part", ["labels", "annotations", "dependencies", "role"])
def test_what_the_template_no_longer_says_is_no_longer_applied(part: str) -> None:
    """The API server takes away what an applier leaves out; here is shown that it is left out, once."""
    world = World()
    fields: dict[str, Any] = {part: {"team": "search"}} if part in ("labels", "annotations") else {}
    roles = [role("a"), role("b", 1, *(["a"] if part == "dependencies" else []))]
    born(world, 1, *roles, **fields)
    kept = [role("a")] if part == "role" else [role("a"), role("b")]
    world.put(RoleBasedGroupSet, manifest(1, *kept))
    made = decide(world)
    (apply,) = (action for action in made.actions if isinstance(action, Apply))
    assert "search" not in str(apply.body)
    assert "dependencies" not in str(apply.body)
    assert [item["name"] for item in apply.body["spec"]["roles"]] == [item["name"] for item in kept]
    world.carry_out(made)
    assert applied(decide(world)) == []


def test_roles_in_another_order_are_the_same_template() -> None:
    world = World()
    born(world, 2, role("a"), role("b"))
    world.put(RoleBasedGroupSet, manifest(2, role("b"), role("a")))
    assert applied(decide(world)) == []


def test_replicas_of_a_scaled_role_are_its_adapters_and_all_else_is_the_templates() -> None:
    world = World()
    scaled: dict[str, Any] = {"scalingAdapter": {"enable": True}}
    born(world, 1, role("a", 2, **scaled), role("b", 1))
    assert [item["replicas"] for item in world.body(RoleBasedGroup, "s-0")["spec"]["roles"]] == [2, 1]
    live = world.body(RoleBasedGroup, "s-0")
    live["spec"]["roles"][0]["replicas"] = 7
    live["spec"]["roles"][1]["replicas"] = 9
    live["metadata"]["generation"] += 1
    (apply,) = (action for action in decide(world).actions if isinstance(action, Apply))
    assert [item["replicas"] for item in apply.body["spec"]["roles"]] == [7, 1]
    live["spec"]["roles"][1]["replicas"] = 1
    world.body(RoleBasedGroup, "s-0")
    assert applied(decide(world)) == [], "what only the adapter changed costs nothing"
    world.put(RoleBasedGroupSet, manifest(1, role("a", 3, image="engine:2", **scaled), role("b", 1)))
    world.carry_out(decide(world))
    assert world.body(RoleBasedGroup, "s-0")["spec"]["roles"][0]["replicas"] == 7
    assert image(world, "s-0") == "engine:2"
    world.put(RoleBasedGroupSet, manifest(1, role("a", 3), role("b", 1)))
    world.carry_out(decide(world))
    assert world.body(RoleBasedGroup, "s-0")["spec"]["roles"][0]["replicas"] == 3


# Taking over ----------------------------------------------------------------------------------------------------------


def _recorded() -> World:
    """The world as the reference controller left it."""
    recorded = scenario("set")
    world = World()
    for kind in (RoleBasedGroupSet, RoleBasedGroup):
        for body in recorded.of(kind.KIND.kind):
            world.put(kind, body)
    owner = recorded.of("RoleBasedGroupSet")[0]["metadata"]["name"]
    uid = world.body(RoleBasedGroupSet, owner)["metadata"]["uid"]
    for name in world.names(RoleBasedGroup):
        for reference in world.body(RoleBasedGroup, name)["metadata"]["ownerReferences"]:
            reference["uid"] = uid
    return world


def test_groups_that_upstream_made_are_left_as_they_are() -> None:
    world = _recorded()
    (name,) = world.names(RoleBasedGroupSet)
    assert world.names(RoleBasedGroup)
    made = decide(world, name)
    assert [action for action in made.actions if not isinstance(action, Patch)] == []


def test_groups_that_upstream_made_become_ours_with_their_first_change_but_not_the_discovery_mode() -> None:
    world = _recorded()
    (name,) = world.names(RoleBasedGroupSet)
    body = world.body(RoleBasedGroupSet, name)
    body["spec"]["groupTemplate"]["labels"] = {"team": "search"}
    body["metadata"]["generation"] += 1
    applies = [action for action in decide(world, name).actions if isinstance(action, Apply)]
    assert len(applies) == len(world.names(RoleBasedGroup))
    assert all(apply.inherit for apply in applies)
    assert all(apply.leave == (("metadata", "annotations", labels.DISCOVERY_MODE),) for apply in applies)
    world.carry_out(decide(world, name))
    body["spec"]["groupTemplate"]["labels"] = {"team": "other"}
    body = world.body(RoleBasedGroupSet, name)
    assert not any(action.inherit for action in decide(world, name).actions if isinstance(action, Apply))


def test_a_group_of_upstream_with_something_more_is_set_right() -> None:
    world = _recorded()
    (name,) = world.names(RoleBasedGroupSet)
    first = world.names(RoleBasedGroup)[0]
    world.body(RoleBasedGroup, first)["metadata"]["labels"]["taken-out-of-the-template"] = "since"
    assert applied(decide(world, name)) == [first]


# Faults ---------------------------------------------------------------------------------------------------------------


def test_a_template_that_can_never_run_is_a_condition_and_one_event_and_what_runs_stays() -> None:
    world = World()
    born(world, 2)
    world.put(RoleBasedGroupSet, manifest(3, role("a", 1, "nobody")))
    world.settle()
    world.settle()
    assert world.names(RoleBasedGroup) == ["s-0", "s-1"]
    ready = condition(world, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidRoleDependency")
    assert "spec.groupTemplate.spec.roles[0].dependencies[0]" in ready["message"]
    assert condition(world, "Progressing")["status"] == "False"
    assert [note.reason for note in world.notes if note.subject.kind == "RoleBasedGroupSet"] == [
        "InvalidRoleDependency"
    ]
    world.put(RoleBasedGroupSet, manifest(1, role("a", 1, "nobody")))
    world.settle()
    assert world.names(RoleBasedGroup) == ["s-0"], "too many are too many all the same"
    world.put(RoleBasedGroupSet, manifest(3))
    world.settle()
    assert condition(world, "Ready")["status"] == "True"


@pytest.mark.parametrize("body", [{"replicas": 1, "groupTemplate": {}}, None])
def test_a_set_without_a_template_says_so(body: Any) -> None:
    world = World()
    world.put(RoleBasedGroupSet, {"metadata": {"name": "s"}, **({"spec": body} if body else {})})
    world.settle()
    assert condition(world, "Ready")["reason"] == "InvalidSpec"
    assert "groupTemplate.spec" in condition(world, "Ready")["message"]


def test_a_name_too_long_for_its_groups_or_their_roles_is_a_condition() -> None:
    for name in ("s" * 62, "s" * 50):
        world = World()
        world.put(RoleBasedGroupSet, manifest(11, name=name))
        world.settle()
        assert world.names(RoleBasedGroup) == []
        assert condition(world, "Ready", name)["status"] == "False"


def test_a_refusal_is_a_condition_and_one_event_and_goes_away() -> None:
    world = World()
    world.put(RoleBasedGroupSet, manifest(1))
    for _ in range(2):
        node = view.group_set(world.sources, Key("ml", "s"))
        assert node is not None
        world.carry_out(plan.refused(node, world.now, "denied the request"))
    assert condition(world, "Ready")["reason"] == "Refused"
    assert [note.message for note in world.notes] == ["denied the request"]
    world.settle()
    assert condition(world, "Ready")["status"] == "True"


def test_one_that_is_being_deleted_is_left_alone() -> None:
    world = World()
    world.put(RoleBasedGroupSet, manifest(1))
    world.body(RoleBasedGroupSet, "s")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert decide(world).empty
    node = view.group_set(world.sources, Key("ml", "s"))
    assert node is not None
    assert plan.refused(node, world.now, "denied").empty


def test_an_old_view_of_a_set_undoes_nothing() -> None:
    world = World()
    born(world, 1)
    world.put(RoleBasedGroupSet, manifest(3, role("a", image="engine:2")))
    world.settle()
    stale = world.body(RoleBasedGroupSet, "s")
    stale["metadata"]["generation"] = 1
    stale["spec"] = manifest(1)["spec"]
    made = decide(world)
    assert made.empty
    assert "generation 2" in made.because


def test_one_that_cannot_be_read_is_told_so() -> None:
    metadata = ObjectMeta(name="s", namespace="ml", uid="u", generation=4)
    found = plan.unreadable(metadata, "spec.replicas: must be an integer", World().now)
    (patch,) = found.actions
    assert isinstance(patch, Patch)
    assert patch.uid == "u"
    assert "must be an integer" in str(patch.body)
    assert found.notes[0].reason == "InvalidSpec"


def test_a_birth_costs_one_write_for_each_group_and_few_statuses() -> None:
    world = World()
    born(world, 5)
    own = [action for action in world.writes if action.kind is RoleBasedGroupSet]
    made = [action for action in world.writes if action.kind is RoleBasedGroup and isinstance(action, Apply)]
    assert len(made) == 5
    assert len(own) <= 3
