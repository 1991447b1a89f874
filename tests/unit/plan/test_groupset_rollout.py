"""How a new template reaches the groups of a set."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Resource
from rbgctrl.graph import view as views
from rbgctrl.plan import group as group_plan
from rbgctrl.plan import instance as instance_plan
from rbgctrl.plan import role as role_plan
from rbgctrl.plan.model import Plan

from .groupsets import annotate, applied, born, condition, decide, image, manifest, status
from .world import World, role

# Rolling out ----------------------------------------------------------------------------------------------------------


def test_without_annotations_all_groups_change_at_once() -> None:
    world = World()
    born(world, 3)
    world.put(RoleBasedGroupSet, manifest(3, role("a", image="engine:2")))
    assert applied(decide(world)) == ["s-2", "s-1", "s-0"]


def _disturbed(world: World) -> list[str]:
    """Groups whose pods are not all there, at the group's image, and ready: judged from outside."""
    found = []
    for name in world.names(RoleBasedGroup):
        wanted = world.body(RoleBasedGroup, name)["spec"]["roles"][0]["replicas"]
        pods = [pod for pod in world.all(Pod) if pod.metadata.labels[labels.GROUP_NAME] == name]
        current = {
            pod.key for pod in pods if [item.image for item in pod.spec.containers or ()] == [image(world, name)]
        }
        good = [pod for pod in pods if pod.is_true("Ready") and pod.key in current]
        if not len(good) == len(pods) == wanted:
            found.append(name)
    return found


OTHERS: tuple[tuple[type[Resource], Any, Any], ...] = (
    (RoleBasedGroup, views.group, group_plan.group),
    (RoleInstanceSet, views.role, role_plan.role),
    (RoleInstance, views.instance, instance_plan.instance),
)


def _roll(world: World) -> tuple[list[str], int]:
    """Let everything act, one object at a time and the set after each: the order of groups, and the most disturbed."""
    order: list[str] = []
    most = 0

    def act(made: Plan) -> bool:
        nonlocal most
        order.extend(applied(made))
        acted = world.carry_out(made)
        most = max(most, len(_disturbed(world))) if acted else most
        return acted

    for _ in range(200):
        acted, pauses = act(decide(world)), []
        for kind, build, choose in OTHERS:
            for key in sorted(world.shelves[kind].objects):
                node = build(world.sources, key)
                made = choose(node, world.now) if node is not None else Plan()
                pauses += [made.requeue_after] if made.requeue_after else []
                acted = act(made) or acted
                acted = act(decide(world)) or acted
        if not (world.run_pods() or acted):
            pauses += [pause] if (pause := decide(world).requeue_after) else []
            if not pauses:
                return order, most
            world.pass_time(min(pauses))
    raise AssertionError("it does not come to rest")


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("2", 2), ("50%", 2), ("100%", 4)])
def test_no_more_groups_than_max_unavailable_are_disturbed_and_the_highest_index_is_first(
    limit: str, most: int
) -> None:
    world = World()
    born(world, 4, role("a", 2))
    annotate(world, max_unavailable=limit)
    world.put(RoleBasedGroupSet, manifest(4, role("a", 2, image="engine:2")))
    order, seen = _roll(world)
    assert order == ["s-3", "s-2", "s-1", "s-0"]
    assert 1 <= seen <= most
    assert {image(world, name) for name in world.names(RoleBasedGroup)} == {"engine:2"}
    assert condition(world, "Ready")["status"] == "True"
    assert condition(world, "Progressing")["reason"] == "GroupsAsWanted"


def test_groups_below_the_partition_keep_their_template_until_it_is_lowered() -> None:
    world = World()
    born(world, 4)
    annotate(world, partition="3")
    world.put(RoleBasedGroupSet, manifest(4, role("a", image="engine:2")))
    order, _ = _roll(world)
    assert order == ["s-3"]
    progressing = condition(world, "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "GroupsHeld")
    assert "s-0, s-1, s-2" in progressing["message"]
    assert condition(world, "Ready")["status"] == "True"
    annotate(world, partition="25%")
    order, _ = _roll(world)
    assert order == ["s-2", "s-1"]
    annotate(world)
    order, _ = _roll(world)
    assert order == ["s-0"]


def test_a_group_that_is_not_ready_costs_nothing_and_is_mended_whatever_waits() -> None:
    world = World()
    born(world, 3)
    annotate(world, max_unavailable="1")
    world.containers_ready("s-0-a-0", ready=False)
    world.settle()
    assert condition(world, "Ready")["message"] == "2 of 3 groups are ready; not ready: s-0"
    world.put(RoleBasedGroupSet, manifest(3, role("a", image="engine:2")))
    assert applied(decide(world)) == ["s-0"], "the budget is spent on it, so the others wait and it is repaired"


def test_a_group_whose_spec_was_not_looked_at_yet_is_not_ready() -> None:
    world = World()
    born(world, 2)
    annotate(world, max_unavailable="1")
    world.body(RoleBasedGroup, "s-1")["metadata"]["generation"] += 1
    world.put(RoleBasedGroupSet, manifest(2, role("a", image="engine:2")))
    made = decide(world)
    assert applied(made) == ["s-1"]
    world.carry_out(made)
    assert status(world) == (2, 2, 1)
    assert applied(decide(world)) == []


@pytest.mark.parametrize(
    ("annotation", "value"),
    [("max_unavailable", "0"), ("max_unavailable", "some"), ("partition", "-1"), ("partition", "x%")],
)
def test_an_annotation_that_makes_no_sense_holds_updates_and_nothing_else(annotation: str, value: str) -> None:
    world = World()
    born(world, 2)
    annotate(world, **{annotation: value})
    world.put(RoleBasedGroupSet, manifest(3, role("a", image="engine:2")))
    world.settle()
    assert [image(world, name) for name in world.names(RoleBasedGroup)] == ["engine:1", "engine:1", "engine:2"]
    ready = condition(world, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert value in ready["message"]
    annotate(world)
    world.settle()
    assert condition(world, "Ready")["status"] == "True"
    assert image(world, "s-0") == "engine:2"
