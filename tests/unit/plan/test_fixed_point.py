"""Properties of all planners together, on generated groups and histories."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup

from .world import World, group, role

_ROLES = ("a", "b", "c")


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A group of one to three standalone roles whose dependencies point backwards, so it is never faulty."""
    chosen = _ROLES[: draw(st.integers(1, 3))]
    roles = []
    for index, name in enumerate(chosen):
        needs = draw(st.lists(st.sampled_from(chosen[:index]), unique=True)) if index else []
        policy = draw(st.sampled_from(["Parallel", "OrderedReady"]))
        image = draw(st.sampled_from(["engine:1", "engine:2"]))
        roles.append(role(name, draw(st.integers(0, 3)), *needs, image=image, podManagementPolicy=policy))
    return group("llm", *roles)


@settings(max_examples=12, deadline=None)
@given(st.lists(specs(), min_size=1, max_size=4))
def test_after_every_plan_is_carried_out_nothing_is_left_to_write(history: list[dict[str, Any]]) -> None:
    world = World()
    for spec in history:
        world.put(RoleBasedGroup, spec)
        world.settle()
    assert all(plan.empty for plan in world.plan_all())
    world.pass_time(86400)
    assert all(plan.empty for plan in world.plan_all()), "time alone changes nothing"


@settings(max_examples=12, deadline=None)
@given(specs())
def test_settled_means_the_wanted_pods_and_no_others(spec: dict[str, Any]) -> None:
    world = World()
    world.put(RoleBasedGroup, spec)
    world.settle()
    wanted = sorted(
        f"llm-{item['name']}-{index}" for item in spec["spec"]["roles"] for index in range(item["replicas"])
    )
    assert world.names(Pod) == wanted
    status = world.body(RoleBasedGroup, "llm")["status"]
    assert status["conditions"][0]["status"] == "True"


@settings(max_examples=12, deadline=None)
@given(specs(), st.randoms(use_true_random=False))
def test_the_order_in_which_objects_are_read_changes_no_plan(spec: dict[str, Any], shuffle: Any) -> None:
    world = World()
    world.put(RoleBasedGroup, spec)
    world.settle()
    world.put(RoleBasedGroup, group("llm", role("a", 2, image="engine:3")))
    straight = world.plan_all()
    for shelf in world.shelves.values():
        shelf.order = lambda keys: shuffle.sample(found := list(keys), len(found))
    assert world.plan_all() == straight


@settings(max_examples=12, deadline=None)
@given(specs(), specs())
def test_a_pod_never_changes_its_role_id_across_revisions_and_recreation(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    world = World()
    seen: dict[str, str] = {}
    for spec in (first, second):
        world.put(RoleBasedGroup, spec)
        world.settle()
        for name in world.names(Pod):
            identity = world.body(Pod, name)["metadata"]["labels"][labels.ROLE_ID]
            assert seen.setdefault(name, identity) == identity
        for name in world.names(Pod):
            world.remove(Pod, name)
        world.settle()
    assert len(set(seen.values())) == len(seen), "no two pods share one"


@settings(max_examples=12, deadline=None)
@given(specs(), specs())
def test_two_paths_to_one_spec_end_in_the_same_pods(first: dict[str, Any], last: dict[str, Any]) -> None:
    direct, detour = World(), World()
    direct.put(RoleBasedGroup, last)
    direct.settle()
    detour.put(RoleBasedGroup, first)
    detour.settle()
    detour.put(RoleBasedGroup, last)
    detour.settle()
    assert detour.names(Pod) == direct.names(Pod)
