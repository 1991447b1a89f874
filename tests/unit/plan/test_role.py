from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import ControllerRevision
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.graph import view
from rbgctrl.plan import role as plan
from rbgctrl.plan.model import Apply, Delete, Plan

from .world import World


@pytest.fixture
def world() -> World:
    return World()


def _set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
    return {
        "metadata": {"name": "engine", "namespace": "ml", "labels": {"app": "engine", labels.ROLE_TYPE: "PodTemplate"}},
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "engine"}},
            "roleInstanceTemplate": {"components": [{"name": "main", "size": 1, "template": template}]},
            **spec,
        },
    }


def _decide(world: World) -> Plan:
    node = view.role(world.sources, Key("ml", "engine"))
    assert node is not None
    return plan.role(node, world.now)


def _created(found: Plan) -> list[str]:
    return [item.key.name for item in found.actions if isinstance(item, Apply) and item.kind is RoleInstance]


def _deleted(found: Plan) -> list[str]:
    return [item.key.name for item in found.actions if isinstance(item, Delete) and item.kind is RoleInstance]


def _status(world: World) -> dict[str, Any]:
    status: dict[str, Any] = world.body(RoleInstanceSet, "engine")["status"]
    return status


def test_parallel_creates_every_missing_ordinal_in_one_pass(world: World) -> None:
    world.put(RoleInstanceSet, _set(3))
    assert _created(_decide(world)) == ["engine-0", "engine-1", "engine-2"]


def test_the_revision_is_recorded_before_anything_refers_to_it(world: World) -> None:
    world.put(RoleInstanceSet, _set(1))
    first, second = _decide(world).steps
    assert [item.kind for item in first] == [ControllerRevision]
    assert RoleInstance in [item.kind for item in second]


def test_ordered_ready_creates_one_at_a_time_and_waits_until_it_is_ready(world: World) -> None:
    world.put(RoleInstanceSet, _set(2, podManagementPolicy="OrderedReady"))
    assert _created(_decide(world)) == ["engine-0"]
    world.settle(kubelet=False)
    assert world.names(RoleInstance) == ["engine-0"]
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]


def test_every_instance_carries_its_own_ordinal_in_labels_and_templates(world: World) -> None:
    world.put(RoleInstanceSet, _set(3))
    world.settle(kubelet=False)
    for ordinal in range(3):
        body = world.body(RoleInstance, f"engine-{ordinal}")
        template = body["spec"]["components"][0]["template"]
        for found in (body["metadata"]["labels"], template["metadata"]["labels"]):
            assert found[labels.ROLE_INSTANCE_INDEX] == str(ordinal)
            assert found[labels.STATEFUL_POD_NAME] == f"engine-{ordinal}"
        assert body["metadata"]["labels"][labels.ROLE_ID] == f"engine.engine.{ordinal}"


def test_scaling_down_removes_the_highest_ordinals_and_keeps_the_rest(world: World) -> None:
    world.put(RoleInstanceSet, _set(4))
    world.settle()
    kept = world.body(RoleInstance, "engine-0")["metadata"]["uid"]
    world.put(RoleInstanceSet, _set(2))
    assert _deleted(_decide(world)) == ["engine-3", "engine-2"]
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]
    assert world.body(RoleInstance, "engine-0")["metadata"]["uid"] == kept


def test_scaling_to_zero_and_back_gives_the_same_names(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    world.put(RoleInstanceSet, _set(0))
    world.settle()
    assert world.names(RoleInstance) == []
    assert _status(world)["replicas"] == 0
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    assert world.names(RoleInstance) == ["engine-0", "engine-1"]


def test_an_instance_deleted_by_hand_comes_back_with_its_identity(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    identity = world.body(RoleInstance, "engine-1")["metadata"]["labels"][labels.ROLE_ID]
    world.remove(RoleInstance, "engine-1")
    world.settle()
    assert world.body(RoleInstance, "engine-1")["metadata"]["labels"][labels.ROLE_ID] == identity


def test_a_terminating_instance_keeps_its_slot(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    world.body(RoleInstance, "engine-1")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    found = _decide(world)
    assert _created(found) == []
    assert _deleted(found) == []


def test_an_instance_of_somebody_else_blocks_its_slot_and_is_never_touched(world: World) -> None:
    world.put(RoleInstance, {"metadata": {"name": "engine-1", "namespace": "ml"}, "spec": {"components": []}})
    world.put(RoleInstanceSet, _set(3))
    found = _decide(world)
    assert _created(found) == ["engine-0", "engine-2"]
    assert any(note.reason == "FailedCreate" and "engine-1" in note.message for note in found.notes)


def test_the_status_counts_what_there_is(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    status = _status(world)
    for counter in ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"):
        assert status[counter] == 2, counter
    assert status["observedGeneration"] == 1
    assert status["labelSelector"] == "app=engine"
    assert status["currentRevision"] == status["updateRevision"]


def test_an_instance_is_available_only_after_min_ready_seconds(world: World) -> None:
    world.put(RoleInstanceSet, _set(1, minReadySeconds=30))
    world.settle()
    assert _status(world)["readyReplicas"] == 1
    assert _status(world)["availableReplicas"] == 0
    assert _decide(world).requeue_after == 30
    world.pass_time(31)
    world.settle()
    assert _status(world)["availableReplicas"] == 1
    assert _decide(world).requeue_after is None


def test_a_changed_template_is_a_new_revision_and_shows_as_not_updated(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    changed = _set(2)
    changed["spec"]["roleInstanceTemplate"]["components"][0]["template"]["spec"]["containers"][0]["image"] = "engine:2"
    world.put(RoleInstanceSet, changed)
    world.settle()
    status = _status(world)
    assert status["currentRevision"] != status["updateRevision"]
    assert status["updatedReplicas"] == 0


def test_replicas_are_no_part_of_the_revision(world: World) -> None:
    world.put(RoleInstanceSet, _set(1))
    world.settle()
    before = _status(world)["updateRevision"]
    world.put(RoleInstanceSet, _set(5))
    world.settle()
    assert _status(world)["updateRevision"] == before


def test_an_unknown_instance_pattern_is_told_and_nothing_is_created(world: World) -> None:
    odd = _set(1)
    odd["metadata"]["annotations"] = {labels.INSTANCE_PATTERN: "Sideways"}
    world.put(RoleInstanceSet, odd)
    found = _decide(world)
    assert found.empty
    assert [note.reason for note in found.notes] == ["UnknownRoleInstancePattern"]


def test_a_set_used_without_a_group_works_too(world: World) -> None:
    world.put(RoleInstanceSet, _set(2))
    world.settle()
    assert _status(world)["readyReplicas"] == 2
