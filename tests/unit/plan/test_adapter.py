"""Scaling adapters: that they exist, what they are bound to, and who decides about replicas."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import events, labels
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import adapters, view
from rbgctrl.plan import adapter as plan
from rbgctrl.plan import replicas
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.model import Apply, Delete, Patch, PatchType, Plan

from .world import World, group, role

ADAPTER = RoleBasedGroupScalingAdapter
SCALED: dict[str, Any] = {"scalingAdapter": {"enable": True}}


def settled(*roles: dict[str, Any]) -> World:
    world = World()
    world.put(RoleBasedGroup, group("llm", *roles))
    world.settle()
    return world


def found(world: World, name: str = "llm-decode") -> dict[str, Any]:
    return world.shelves[ADAPTER].objects[Key("ml", name)]


def scale(world: World, asked: int | None, name: str = "llm-decode") -> None:
    """As an autoscaler does through the scale subresource."""
    body = world.body(ADAPTER, name)
    body["spec"]["replicas"] = asked
    body["metadata"]["generation"] += 1


def in_spec(world: World, index: int = 0) -> int:
    return int(world.shelves[RoleBasedGroup].objects[Key("ml", "llm")]["spec"]["roles"][index]["replicas"])


def decided(world: World, name: str = "llm-decode", told: str = "") -> Plan:
    node = adapters.adapter(world.sources, Key("ml", name))
    assert node is not None
    return plan.adapter(node, world.now, told)


def existence(world: World) -> list[Any]:
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    return plan.existence(node)


def reasons(world: World) -> list[str]:
    ours = (events.SUCCESSFUL_BOUND, events.SUCCESSFUL_SCALE, events.REPLICAS_OVERRIDDEN)
    return [note.reason for note in world.notes if note.reason in (*ours, events.FAILED_GET_ROLE, events.NOT_BOUND)]


# Existence ------------------------------------------------------------------------------------------------------------


def test_a_role_that_asks_for_an_adapter_gets_one_with_exactly_the_contracts_fields() -> None:
    world = World()
    further = {"hpa": "yes", labels.ROLE_NAME: "forged"}
    world.put(RoleBasedGroup, group("llm", role("decode", 2, scalingAdapter={"enable": True, "labels": further})))
    assert not existence(world), "not before there is a workload"
    world.settle()
    live = found(world)
    assert live["metadata"]["labels"] == {"hpa": "yes", labels.GROUP_NAME: "llm", labels.ROLE_NAME: "decode"}
    (owner,) = live["metadata"]["ownerReferences"]
    assert owner["kind"] == "RoleBasedGroup"
    assert owner["blockOwnerDeletion"] is True
    assert "controller" not in owner
    created = next(action for action in world.writes if isinstance(action, Apply) and action.kind is ADAPTER)
    assert created.body["spec"] == {"scaleTargetRef": {"name": "llm", "role": "decode"}}, "no replicas"


def test_a_role_that_asks_for_none_gets_none() -> None:
    assert not settled(role("decode"), role("prefill", scalingAdapter={"enable": False})).names(ADAPTER)


def test_labels_are_forced_to_exactly_the_wanted_ones_and_the_target_is_restored() -> None:
    world = settled(role("decode", scalingAdapter={"enable": True, "labels": {"tier": "gold"}}))
    live = world.body(ADAPTER, "llm-decode")
    live["metadata"]["labels"] = {"tier": "lead", "extra": "1", labels.GROUP_NAME: "llm"}
    live["spec"]["scaleTargetRef"] = {"name": "llm", "role": "prefill"}
    (mended,) = existence(world)
    assert isinstance(mended, Patch)
    world.settle()
    live = found(world)
    assert live["metadata"]["labels"] == {"tier": "gold", labels.GROUP_NAME: "llm", labels.ROLE_NAME: "decode"}
    assert live["spec"]["scaleTargetRef"] == {"name": "llm", "role": "decode"}
    assert live["spec"]["replicas"] == 1, "what is not the group's stays"


@pytest.mark.parametrize("roles", [(role("decode", 2),), (role("prefill"),)], ids=["disabled", "role gone"])
def test_an_adapter_that_no_role_asks_for_any_more_goes(roles: tuple[dict[str, Any], ...]) -> None:
    world = settled(role("decode", 2, **SCALED))
    assert world.names(ADAPTER) == ["llm-decode"]
    world.put(RoleBasedGroup, group("llm", *roles))
    (gone,) = existence(world)
    assert isinstance(gone, Delete)
    assert gone.uid == found(world)["metadata"]["uid"]
    world.settle()
    assert not world.names(ADAPTER)


def test_somebody_elses_adapter_is_neither_touched_nor_deleted_and_says_why_it_scales_nothing() -> None:
    world = World()
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "uid-theirs"}
    world.put(
        ADAPTER,
        {
            "metadata": {"name": "llm-decode", "ownerReferences": [owner]},
            "spec": {"replicas": 7, "scaleTargetRef": {"name": "llm", "role": "decode"}},
        },
    )
    world.shelves[Pod].objects[Key("ml", "theirs")] = {"metadata": {"name": "theirs", "uid": "uid-theirs"}, "spec": {}}
    before = dict(found(world))
    world.put(RoleBasedGroup, group("llm", role("decode", 2, **SCALED)))
    assert not existence(world)
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    assert "belongs to ConfigMap theirs; remove it" in plan.foreign(node.group, node.roles[0])
    assert replicas.wanted(node) == {"decode": 2}
    (note,) = decided(world).notes
    assert (note.reason, note.subject.key.name) == (events.NOT_BOUND, "llm-decode")
    assert "belongs to ConfigMap theirs" in note.message
    world.put(RoleBasedGroup, group("llm", role("decode", 2)))
    assert not existence(world), "not even when the role asks for none"
    assert found(world)["spec"] == before["spec"]


def test_an_adapter_of_a_former_group_of_that_name_is_left_to_the_garbage_collector() -> None:
    world = settled(role("decode", 2, **SCALED))
    world.body(RoleBasedGroup, "llm")["metadata"]["uid"] = "uid-reborn"
    assert not existence(world)
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    assert plan.foreign(node.group, node.roles[0]) == ""
    assert decided(world).empty
    assert not decided(world).notes


def test_an_adapter_made_by_hand_for_the_role_is_taken_over_and_bound() -> None:
    world = World()
    target = {"scaleTargetRef": {"name": "llm", "role": "decode"}}
    world.put(ADAPTER, {"metadata": {"name": "llm-decode"}, "spec": {"replicas": 9, **target}})
    world.put(RoleBasedGroup, group("llm", role("decode", 2, **SCALED)))
    assert decided(world).empty, "it waits for its group"
    assert not decided(world).notes
    world.settle()
    live = found(world)
    assert [owner["kind"] for owner in live["metadata"]["ownerReferences"]] == ["RoleBasedGroup"]
    assert live["spec"]["replicas"] == 2, "binding takes the role's replicas over"
    assert live["status"]["phase"] == "Bound"


def test_an_adapter_deleted_by_hand_comes_back_bound_with_the_current_replicas() -> None:
    world = settled(role("decode", 2, **SCALED))
    scale(world, 4)
    world.settle()
    world.remove(ADAPTER, "llm-decode")
    world.settle()
    assert found(world)["spec"]["replicas"] == 4
    assert found(world)["status"]["phase"] == "Bound"
    assert len(world.names(Pod)) == 4


# Binding and mirroring ------------------------------------------------------------------------------------------------


def test_a_new_adapter_takes_over_the_replicas_of_its_role_and_mirrors_what_is_ready() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("decode", 3, **SCALED)))
    world.settle(kubelet=False)
    live = found(world)
    assert live["spec"]["replicas"] == 3
    assert live["status"] == {
        "phase": "Bound",
        "replicas": 3,
        "readyReplicas": 0,
        "selector": ",".join(
            f"{key}={value}"
            for key, value in sorted(
                world.body(RoleInstanceSet, "llm-decode")["spec"]["selector"]["matchLabels"].items()
            )
        ),
    }
    world.settle()
    assert found(world)["status"]["readyReplicas"] == 3
    assert reasons(world) == [events.SUCCESSFUL_BOUND]


def test_binding_overwrites_nothing_that_an_autoscaler_wrote_meanwhile() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("decode", 3, **SCALED)))
    while not world.names(ADAPTER):
        for each in world.plan_all():
            world.carry_out(each)
    first, _ = decided(world).steps
    (replicas_patch,) = first
    assert isinstance(replicas_patch, Patch)
    assert replicas_patch.type is PatchType.JSON
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": found(world)["metadata"]["resourceVersion"]}
    assert version in replicas_patch.body
    scale(world, 3)
    ((status,),) = decided(world).steps
    assert isinstance(status, Patch)
    assert status.subresource == "status"
    assert version in status.body, "nor may an old view wipe the status of one that is bound"


def test_an_adapter_whose_replicas_were_removed_takes_those_of_its_role_again_in_silence() -> None:
    world = settled(role("decode", 3, **SCALED))
    world.notes.clear()
    world.body(ADAPTER, "llm-decode")["spec"].pop("replicas")
    world.settle()
    assert found(world)["spec"]["replicas"] == 3
    assert not world.notes


def test_a_bound_adapter_at_rest_costs_no_write() -> None:
    world = settled(role("decode", 3, **SCALED))
    world.pass_time(86400)
    assert all(each.empty and not each.notes for each in world.plan_all())


def test_the_selector_is_kept_current() -> None:
    world = settled(role("decode", 1, **SCALED))
    before = found(world)["status"]["selector"]
    world.body(RoleInstanceSet, "llm-decode")["spec"]["selector"]["matchLabels"]["generation"] = "two"
    ((mirrored,),) = decided(world).steps
    assert isinstance(mirrored, Patch)
    assert mirrored.body == {"status": {"selector": f"generation=two,{before}"}}


TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}


@pytest.mark.parametrize(
    ("pattern", "ending"),
    [
        ({"standalonePattern": {"template": TEMPLATE}}, f"{labels.ROLE_NAME}=decode"),
        ({"leaderWorkerPattern": {"size": 3, "template": TEMPLATE}}, f",{labels.COMPONENT_INDEX}=0"),
        (
            {
                "customComponentsPattern": {
                    "components": [
                        {"name": "spare", "size": 0, "template": TEMPLATE},
                        {"name": "engine", "size": 2, "template": TEMPLATE},
                    ]
                }
            },
            f",{labels.COMPONENT_NAME}=engine,{labels.COMPONENT_ID}=0",
        ),
    ],
    ids=["standalone", "leader-worker", "components"],
)
def test_the_selector_counts_one_pod_for_each_instance(pattern: dict[str, Any], ending: str) -> None:
    declared = {"name": "decode", "replicas": 1, **pattern, **SCALED}
    world = World()
    world.put(RoleBasedGroup, group("llm", declared))
    owner = {"kind": "RoleBasedGroup", "uid": world.body(RoleBasedGroup, "llm")["metadata"]["uid"], "controller": True}
    common = {labels.GROUP_NAME: "llm", labels.ROLE_NAME: "decode"}
    world.put(
        RoleInstanceSet,
        {
            "metadata": {"name": "llm-decode", "ownerReferences": [owner]},
            "spec": {"selector": {"matchLabels": common}, "roleInstanceTemplate": {"components": []}},
        },
    )
    for action in existence(world):
        world.carry_out(Plan(steps=((action,),)))
    world.carry_out(decided(world))
    assert found(world)["status"]["selector"].endswith(ending)
    assert found(world)["status"]["selector"].startswith(f"{labels.GROUP_NAME}=llm,{labels.ROLE_NAME}=decode")


# Scaling --------------------------------------------------------------------------------------------------------------


def test_scaling_the_adapter_scales_the_role_and_says_so_once() -> None:
    world = settled(role("prefill"), role("decode", 1, **SCALED))
    world.notes.clear()
    world.pass_time(3600)
    asked_at = stamp(world.now)
    scale(world, 3)
    world.settle()
    assert in_spec(world, 1) == 3
    assert sum(name.startswith("llm-decode") for name in world.names(Pod)) == 3
    status = found(world)["status"]
    assert (status["replicas"], status["readyReplicas"]) == (3, 3)
    assert status["lastScaleTime"] == asked_at
    assert reasons(world) == [events.SUCCESSFUL_SCALE]


def test_only_the_one_number_is_written_and_only_where_the_role_still_is() -> None:
    world = settled(role("prefill"), role("decode", 1, **SCALED))
    scale(world, 3)
    first, second = decided(world).steps
    (asked,), (written,) = first, second
    assert isinstance(asked, Patch)
    assert asked.kind is ADAPTER
    assert isinstance(asked.body, tuple)
    assert asked.body[1]["path"] == "/metadata/resourceVersion", "decided on what the adapter still is"
    assert isinstance(written, Patch)
    assert written.kind is RoleBasedGroup
    assert written.body == (
        {"op": "test", "path": "/metadata/uid", "value": world.body(RoleBasedGroup, "llm")["metadata"]["uid"]},
        {"op": "test", "path": "/spec/roles/1/name", "value": "decode"},
        {"op": "add", "path": "/spec/roles/1/replicas", "value": 3},
    )


def test_a_manifest_without_replicas_changes_nothing_that_runs_and_is_told_once() -> None:
    world = settled(role("decode", 1, **SCALED))
    scale(world, 3)
    world.settle()
    pods = {name: world.body(Pod, name)["metadata"]["uid"] for name in world.names(Pod)}
    scaled_at = found(world)["status"]["lastScaleTime"]
    world.notes.clear()
    world.put(RoleBasedGroup, group("llm", role("decode", 1, **SCALED)))
    assert wanted(world) == 3
    world.settle()
    assert {name: world.body(Pod, name)["metadata"]["uid"] for name in world.names(Pod)} == pods
    assert in_spec(world) == 3
    assert found(world)["status"]["lastScaleTime"] == scaled_at
    assert reasons(world) == [events.REPLICAS_OVERRIDDEN]
    (note,) = [note for note in world.notes if note.reason == events.REPLICAS_OVERRIDDEN]
    assert note.subject.kind == "RoleBasedGroup"
    assert note.message == "role decode was set to 1 replicas; adapter llm-decode keeps it at 3"


def test_a_role_can_be_scaled_to_nothing_and_back() -> None:
    world = settled(role("decode", 2, **SCALED))
    for asked in (0, 1):
        scale(world, asked)
        world.settle()
        assert len(world.names(Pod)) == asked
        assert in_spec(world) == asked


def wanted(world: World) -> int:
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    return replicas.wanted(node)["decode"]


def test_the_spec_alone_counts_before_the_adapter_is_bound_and_when_the_role_asks_for_none() -> None:
    world = settled(role("decode", 2, **SCALED))
    world.put(RoleBasedGroup, group("llm", role("decode", 4, **SCALED)))
    assert wanted(world) == 2
    world.body(ADAPTER, "llm-decode")["status"]["phase"] = "NotBound"
    assert wanted(world) == 4
    world.body(ADAPTER, "llm-decode")["status"]["phase"] = "Bound"
    world.put(RoleBasedGroup, group("llm", role("decode", 4)))
    assert wanted(world) == 4


def test_where_adapter_and_spec_disagree_the_workload_stays_as_it_is_until_they_agree() -> None:
    world = settled(role("decode", 2, **SCALED))
    scale(world, 5)
    assert wanted(world) == 2
    world.carry_out(decided(world))
    assert wanted(world) == 5
    world.put(RoleBasedGroup, group("llm", role("decode", 4, **SCALED)))
    assert wanted(world) == 2, "an old spec, or one that somebody reset, takes nothing away"
    world.remove(RoleInstanceSet, "llm-decode")
    assert wanted(world) == 5, "the adapter decides about what is made anew"


def test_a_refusal_is_an_event_that_names_the_role_and_the_number() -> None:
    world = settled(role("decode", 2, **SCALED))
    scale(world, 5)
    node = adapters.adapter(world.sources, Key("ml", "llm-decode"))
    assert node is not None
    refused = plan.refused(node, "denied by policy")
    assert refused.empty
    (note,) = refused.notes
    assert (note.reason, note.message) == (events.FAILED_SCALE, "role decode cannot be scaled to 5: denied by policy")


# Not bound ------------------------------------------------------------------------------------------------------------


def test_an_adapter_without_its_group_or_role_says_so_once_and_is_bound_when_the_role_appears() -> None:
    world = World()
    target = {"scaleTargetRef": {"name": "llm", "role": "decode"}}
    world.put(ADAPTER, {"metadata": {"name": "llm-decode"}, "spec": target})
    world.settle()
    assert found(world)["status"] == {"phase": "NotBound"}
    world.put(RoleBasedGroup, group("llm", role("prefill")))
    world.settle()
    assert reasons(world) == [events.FAILED_GET_ROLE]
    assert "there is no RoleBasedGroup llm in namespace ml; create it" in world.notes[0].message
    (note,) = decided(world, told=world.notes[0].message).notes
    assert "RoleBasedGroup llm has no role decode; add it" in note.message
    assert not decided(world, told=note.message).notes
    world.put(RoleBasedGroup, group("llm", role("prefill"), role("decode", 2, **SCALED)))
    world.settle()
    assert found(world)["status"]["phase"] == "Bound"
    assert found(world)["spec"]["replicas"] == 2


def test_an_adapter_of_another_name_scales_nothing_and_names_the_one_that_does() -> None:
    world = settled(role("decode", 2, **SCALED))
    target = {"scaleTargetRef": {"name": "llm", "role": "decode"}}
    world.put(ADAPTER, {"metadata": {"name": "mine"}, "spec": {"replicas": 9, **target}})
    world.settle()
    assert found(world, "mine")["status"] == {"phase": "NotBound"}
    assert in_spec(world) == 2
    (note,) = [note for note in world.notes if note.reason == events.NOT_BOUND]
    assert note.message == "role decode of llm is scaled by the adapter llm-decode; scale that one, remove this"


def test_an_adapter_for_a_role_that_does_not_ask_for_one_names_the_switch() -> None:
    world = settled(role("decode", 2))
    target = {"scaleTargetRef": {"name": "llm", "role": "decode"}}
    world.put(ADAPTER, {"metadata": {"name": "llm-decode"}, "spec": {"replicas": 9, **target}})
    world.settle()
    assert world.names(ADAPTER) == ["llm-decode"], "it is not the group's to delete"
    assert found(world)["status"] == {"phase": "NotBound"}
    assert len(world.names(Pod)) == 2
    (note,) = [note for note in world.notes if note.reason == events.NOT_BOUND]
    assert "set scalingAdapter.enable on it" in note.message


def test_what_is_being_deleted_is_left_alone() -> None:
    world = settled(role("decode", 2, **SCALED))
    scale(world, 5)
    world.body(RoleBasedGroup, "llm")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert decided(world).empty
    world.body(ADAPTER, "llm-decode")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert decided(world).empty
    del world.body(RoleBasedGroup, "llm")["metadata"]["deletionTimestamp"]
    assert not existence(world)
