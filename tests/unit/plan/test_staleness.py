"""The past is not acted on: an owner seen in an older generation than its children were made from."""

from __future__ import annotations

import copy

import pytest

from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.graph import view
from rbgctrl.plan import group as group_plan
from rbgctrl.plan import role as role_plan
from rbgctrl.plan.model import Apply
from rbgctrl.plan.staleness import behind

from .world import World, group, role


def _child(generation: str | None) -> ObjectMeta:
    return ObjectMeta(annotations={} if generation is None else {labels.OWNER_GENERATION: generation})


@pytest.mark.parametrize(
    ("stamps", "held_back"),
    [
        ([], False),
        ([None, None], False),
        (["4", "5"], False),
        (["4", "6"], True),
        ([None, "6"], True),
        (["six", "٦", ""], False),
    ],
    ids=["no children", "made by others", "older and equal", "newer", "newer among others'", "nonsense"],
)
def test_an_owner_is_behind_when_a_child_was_made_from_a_newer_generation(
    stamps: list[str | None], held_back: bool
) -> None:
    owner = ObjectMeta(generation=5)
    assert bool(behind(owner, [_child(stamp) for stamp in stamps])) is held_back


def _settled(*sizes: int) -> tuple[World, list[dict[str, object]]]:
    """A world in which a group took these sizes one after the other, and the group as it was stored each time."""
    world, past = World(), []
    for size in sizes:
        world.put(RoleBasedGroup, group("llm", role("a", size), role("b", 1)))
        world.settle()
        past.append(copy.deepcopy(world.body(RoleBasedGroup, "llm")))
    return world, past


def test_an_old_view_of_a_group_scales_nothing_down_and_deletes_nothing() -> None:
    world, past = _settled(1, 3)
    world.put(RoleBasedGroup, group("llm", role("a", 3), role("c", 1)))
    world.settle()
    for old in past:
        world.body(RoleBasedGroup, "llm").clear()
        world.body(RoleBasedGroup, "llm").update(copy.deepcopy(old))
        node = view.group(world.sources, Key("ml", "llm"))
        assert node is not None
        found = group_plan.group(node, world.now)
        assert found.empty
        assert "has been acted on already" in found.because


def test_an_old_view_of_a_set_deletes_no_instance() -> None:
    world, _ = _settled(1)
    old = copy.deepcopy(world.body(RoleInstanceSet, "llm-a"))
    world.put(RoleBasedGroup, group("llm", role("a", 3), role("b", 1)))
    world.settle()
    assert world.names(RoleInstance) == ["llm-a-0", "llm-a-1", "llm-a-2", "llm-b-0"]
    world.body(RoleInstanceSet, "llm-a").clear()
    world.body(RoleInstanceSet, "llm-a").update(old)
    node = view.role(world.sources, Key("ml", "llm-a"))
    assert node is not None
    assert role_plan.role(node, world.now).empty


def test_a_workload_is_only_changed_in_the_version_it_was_seen_in() -> None:
    world, _ = _settled(3)
    world.put(RoleBasedGroup, group("llm", role("a", 1), role("b", 1)))
    live = world.body(RoleInstanceSet, "llm-a")
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    (apply,) = [
        action
        for action in group_plan.group(node, world.now).actions
        if isinstance(action, Apply) and action.kind is RoleInstanceSet
    ]
    assert (apply.uid, apply.version) == (live["metadata"]["uid"], live["metadata"]["resourceVersion"])
    assert apply.body["metadata"]["annotations"][labels.OWNER_GENERATION] == "2"


def test_a_generation_that_changes_nothing_for_a_role_costs_no_write() -> None:
    world, _ = _settled(1)
    world.put(RoleBasedGroup, group("llm", role("a", 2), role("b", 1)))
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    applied = [action.key.name for action in group_plan.group(node, world.now).actions if isinstance(action, Apply)]
    assert "llm-a" in applied
    assert "llm-b" not in applied
