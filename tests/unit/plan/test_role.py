"""What holds of every RoleInstanceSet: its number, its status, and what is said when it cannot be carried out."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import ControllerRevision, Pod
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.graph import view
from rbgctrl.plan import role as plan
from rbgctrl.plan.model import Patch, Severity

from .sets import NAME, annotate, created, decide, deleted, instance_set, stalled, status, uids
from .world import World


@pytest.fixture
def world() -> World:
    return World()


def test_parallel_creates_every_missing_ordinal_in_one_pass(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(3))
    assert created(decide(world)) == ["engine-0", "engine-1", "engine-2"]


def test_the_revision_is_recorded_before_anything_refers_to_it(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1))
    first, second = decide(world).steps
    assert [item.kind for item in first] == [ControllerRevision]
    assert RoleInstance in [item.kind for item in second]


def test_ordered_ready_creates_one_at_a_time_and_waits_until_it_is_ready(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2, podManagementPolicy="OrderedReady"))
    assert created(decide(world)) == ["engine-0"]
    world.settle(kubelet=False)
    assert world.names(RoleInstance) == ["engine-0"]
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]


def test_every_instance_carries_its_own_ordinal_in_labels_and_templates(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(3))
    world.settle(kubelet=False)
    for ordinal in range(3):
        body = world.body(RoleInstance, f"engine-{ordinal}")
        template = body["spec"]["components"][0]["template"]
        for found in (body["metadata"]["labels"], template["metadata"]["labels"]):
            assert found[labels.ROLE_INSTANCE_INDEX] == str(ordinal)
            assert found[labels.STATEFUL_POD_NAME] == f"engine-{ordinal}"
        assert body["metadata"]["labels"][labels.ROLE_ID] == f"engine.engine.{ordinal}"


def test_scaling_down_removes_the_highest_ordinals_and_keeps_the_rest(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(4))
    world.settle()
    kept = world.body(RoleInstance, "engine-0")["metadata"]["uid"]
    world.put(RoleInstanceSet, instance_set(2))
    assert deleted(decide(world)) == ["engine-3", "engine-2"]
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]
    assert world.body(RoleInstance, "engine-0")["metadata"]["uid"] == kept


def test_scaling_to_zero_and_back_gives_the_same_names(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    world.put(RoleInstanceSet, instance_set(0))
    world.settle()
    assert world.names(RoleInstance) == []
    assert status(world)["replicas"] == 0
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]


def test_an_instance_deleted_by_hand_comes_back_with_its_identity(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    identity = world.body(RoleInstance, "engine-1")["metadata"]["labels"][labels.ROLE_ID]
    world.remove(RoleInstance, "engine-1")
    world.settle()
    assert world.body(RoleInstance, "engine-1")["metadata"]["labels"][labels.ROLE_ID] == identity


def test_a_terminating_instance_keeps_its_slot(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    world.body(RoleInstance, "engine-1")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    found = decide(world)
    assert created(found) == []
    assert deleted(found) == []


def test_an_instance_of_somebody_else_blocks_its_slot_and_is_never_touched(world: World) -> None:
    world.put(RoleInstance, {"metadata": {"name": "engine-1", "namespace": "ml"}, "spec": {"components": []}})
    world.put(RoleInstanceSet, instance_set(3))
    found = decide(world)
    assert created(found) == ["engine-0", "engine-2"]
    assert any(note.reason == "FailedCreate" and "engine-1" in note.message for note in found.notes)
    world.settle()
    assert "RoleInstance engine-1 exists and belongs to somebody else; remove it" in stalled(world)
    assert len([note for note in world.notes if note.reason == "FailedCreate"]) == 1, "told once"
    world.remove(RoleInstance, "engine-1")
    world.settle()
    assert stalled(world) == ""
    assert status(world)["readyReplicas"] == 3


def test_the_status_counts_what_there_is(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    told = status(world)
    for counter in ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"):
        assert told[counter] == 2, counter
    assert told["observedGeneration"] == 1
    assert told["labelSelector"] == "app=engine"
    assert told["currentRevision"] == told["updateRevision"]


def test_an_instance_is_available_only_after_min_ready_seconds(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1, minReadySeconds=30))
    world.settle()
    assert status(world)["readyReplicas"] == 1
    assert status(world)["availableReplicas"] == 0
    assert decide(world).requeue_after == 30
    world.pass_time(31)
    world.settle()
    assert status(world)["availableReplicas"] == 1
    assert decide(world).requeue_after is None


def test_a_changed_template_is_a_new_revision_and_what_is_not_updated_shows(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    world.put(RoleInstanceSet, instance_set(2, image="engine:2", updateStrategy={"paused": True}))
    world.settle()
    told = status(world)
    assert told["currentRevision"] != told["updateRevision"]
    assert (told["currentReplicas"], told["updatedReplicas"], told["expectedUpdatedReplicas"]) == (2, 0, 2)


def test_replicas_are_no_part_of_the_revision(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    before = status(world)["updateRevision"]
    world.put(RoleInstanceSet, instance_set(5))
    world.settle()
    assert status(world)["updateRevision"] == before


# What cannot be carried out -------------------------------------------------------------------------------------------


def _template(**component: Any) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
    return {"roleInstanceTemplate": {"components": [{"name": "main", "size": 1, "template": pod, **component}]}}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a pattern nobody knows": ({}, "'Sideways'"),
    "no components": ({"roleInstanceTemplate": {"components": []}}, "has no components"),
    "a template of another shape": ({"roleInstanceTemplate": {"components": "many"}}, "$.components"),
    "a template that is text": ({"roleInstanceTemplate": "text"}, "cannot be read"),
    "a size that is text": (_template(size="two"), "$.components[0].size"),
    "a negative size": (_template(size=-1), "components[0].size is -1"),
    "no containers": (_template(template={"spec": {}}), "template.spec.containers is missing"),
    "a pod template that is a list": (_template(template=[]), "components[0].template is no object"),
    "labels that are numbers": (
        _template(template={"metadata": {"labels": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}}),
        "metadata.labels is no map of strings",
    ),
    "a component with a name no pod can have": (_template(name="Main"), "'Main'"),
    "a limit that is no number": ({"updateStrategy": {"maxUnavailable": "some"}}, "updateStrategy.maxUnavailable"),
    "a partition that is no number": ({"updateStrategy": {"partition": "half"}}, "updateStrategy.partition"),
    "surge that is no number": ({"updateStrategy": {"maxSurge": "1.5%"}}, "updateStrategy.maxSurge"),
    "scaling with no number": ({"scaleStrategy": {"maxUnavailable": "x"}}, "scaleStrategy.maxUnavailable"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_a_condition_and_one_event_and_what_runs_stays(world: World, what: str) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    before = uids(world), uids(world, Pod)
    spec, words = FAULTS[what]
    world.put(RoleInstanceSet, instance_set(1, **spec))
    if what == "a pattern nobody knows":
        annotate(world, **{labels.INSTANCE_PATTERN: "Sideways"})
    world.settle()
    assert words in stalled(world)
    assert (uids(world), uids(world, Pod)) == before
    assert (status(world)["replicas"], status(world)["readyReplicas"]) == (2, 2)
    assert status(world)["observedGeneration"] == 2
    told = [note for note in world.notes if note.severity is Severity.WARNING]
    assert [note.message for note in told] == [stalled(world)]
    world.pass_time(3600)
    assert decide(world).empty
    annotate(world, **{labels.INSTANCE_PATTERN: "Stateful"})
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    assert stalled(world) == ""
    assert world.names(RoleInstance) == ["engine-0"]


@pytest.mark.parametrize(
    ("length", "stateless", "component", "words"),
    [
        (52, False, "m", ""),
        (53, False, "m", "53 characters, and 52 is the most"),
        (53, True, "m", ""),
        (63, True, "m" * 10, "its pods would have names like"),
        (52, False, "m" * 10, "component mmmmmmmmmm"),
    ],
)
def test_a_name_that_its_children_cannot_carry_is_said_before_anything_is_made(
    world: World, length: int, stateless: bool, component: str, words: str
) -> None:
    body = instance_set(1, stateless=stateless, **_template(name=component))
    body["metadata"]["name"] = "e" * length
    body["metadata"]["labels"] = {"app": "engine"}  # pods are named after their component
    world.put(RoleInstanceSet, body)
    world.settle()
    conditions = world.body(RoleInstanceSet, "e" * length)["status"].get("conditions") or [{"message": ""}]
    assert words in conditions[0]["message"]
    assert bool(world.names(RoleInstance)) is not bool(words)


def test_a_number_below_zero_means_none_or_is_a_fault(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1, minReadySeconds=-5, updateStrategy={"maxSurge": -1, "partition": -2}))
    world.settle()
    assert stalled(world) == ""
    assert status(world)["availableReplicas"] == 1


def test_a_set_that_cannot_be_read_gets_a_condition_and_nothing_else(world: World) -> None:
    metadata = ObjectMeta(name=NAME, namespace="ml", uid="u", generation=4)
    found = plan.unreadable(metadata, "spec.replicas: must be an integer", world.now)
    (action,) = found.actions
    assert isinstance(action, Patch)
    (condition,) = action.body["status"]["conditions"]  # type: ignore[call-overload]  # a mapping
    assert (condition["type"], condition["reason"]) == ("Stalled", "InvalidSpec")
    assert "spec.replicas: must be an integer; correct the field" in condition["message"]
    assert [note.reason for note in found.notes] == ["InvalidSpec"]


def test_a_refusal_is_a_condition_until_no_instance_is_missing(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1))

    def refuse(why: str) -> list[str]:
        node = view.role(world.sources, Key("ml", NAME))
        assert node is not None
        found = plan.refused(node, world.now, why)
        assert created(found) == []
        world.carry_out(found)
        return [note.message for note in found.notes]

    assert refuse("exceeded quota") == ["exceeded quota"]
    assert refuse("exceeded quota") == []
    (condition,) = status(world)["conditions"]
    assert (condition["type"], condition["message"]) == ("FailedScale", "exceeded quota")
    world.settle()
    assert status(world)["conditions"] == []


def test_a_refusal_to_change_instances_is_a_condition_until_it_is_through(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(2))
    world.settle()
    world.put(RoleInstanceSet, instance_set(1))
    assert deleted(decide(world)) == ["engine-1"]
    node = view.role(world.sources, Key("ml", NAME))
    assert node is not None
    world.carry_out(plan.refused(node, world.now, "a webhook says no"))
    again = [action for action in decide(world).actions if action.kind is RoleInstanceSet]
    assert not again, "the next attempt does not take it back, although no instance is missing"
    assert status(world)["conditions"][0]["message"] == "a webhook says no"
    world.settle()
    assert status(world)["conditions"] == []


def test_conditions_that_upstream_left_go_and_those_of_others_stay(world: World) -> None:
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    kept = {"type": "example.com/Mine", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "t"}
    left = [{**kept, "type": kind} for kind in ("FailedScale", "FailedUpdate")]
    world.body(RoleInstanceSet, NAME)["status"]["conditions"] = [*left, kept]
    world.settle()
    assert status(world)["conditions"] == [kept]


# Used by hand ---------------------------------------------------------------------------------------------------------


def test_a_set_used_without_a_group_works_too(world: World) -> None:
    body = instance_set(2)
    body["metadata"]["labels"] = {}
    world.put(RoleInstanceSet, body)
    world.settle()
    assert status(world)["readyReplicas"] == 2
    assert status(world)["labelSelector"] == "app=engine"
    assert world.names(Pod) == ["engine-0-main-0", "engine-1-main-0"]
    for ordinal, name in enumerate(world.names(Pod)):
        found = world.body(Pod, name)["metadata"]["labels"]
        assert found["app"] == "engine", "the selector of the scale subresource finds it"
        assert found[labels.ROLE_ID] == f"engine.engine.{ordinal}.main.0"


def test_a_label_of_the_template_wins_over_the_selector(world: World) -> None:
    pod = {"metadata": {"labels": {"app": "mine"}}, "spec": {"containers": [{"name": "main"}]}}
    world.put(RoleInstanceSet, instance_set(1, **_template(template=pod)))
    world.settle()
    assert world.body(Pod, "engine-0")["metadata"]["labels"]["app"] == "mine"


@pytest.mark.parametrize("stateless", [False, True])
def test_instances_are_born_with_annotations_of_their_set_and_the_ports_of_its_components(
    world: World, stateless: bool
) -> None:
    world.put(RoleInstanceSet, instance_set(1, stateless=stateless))
    annotate(
        world,
        **{
            labels.INSTANCE_GANG_SCHEDULING: "true",
            "main.http": "30001",
            "other.http": "30002",
            "example.com/main.http": "no",
            "note": "no",
        },
    )
    world.settle()
    (name,) = world.names(RoleInstance)
    born = world.body(RoleInstance, name)["metadata"]["annotations"]
    mine = {labels.OWNER_GENERATION, labels.INSTANCE_LIFECYCLE_TIMESTAMP}
    assert {key: value for key, value in born.items() if key not in mine} == {
        labels.INSTANCE_GANG_SCHEDULING: "true",
        "main.http": "30001",
    }


def test_old_revisions_go_and_those_in_use_stay(world: World) -> None:
    held = {"partition": 1, "maxUnavailable": 1}
    for version in range(1, 6):
        world.put(
            RoleInstanceSet, instance_set(2, image=f"engine:{version}", revisionHistoryLimit=1, updateStrategy=held)
        )
        world.settle()
    kept = {name for name in world.names(ControllerRevision) if name.startswith("engine-") and name.count("-") == 1}
    told = status(world)
    assert {told["currentRevision"], told["updateRevision"]} < kept
    assert len(kept) == 3
