from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Condition, Key, ObjectMeta
from rbgctrl.graph import view
from rbgctrl.plan import group as plan
from rbgctrl.plan.conditions import find
from rbgctrl.plan.model import Apply, Delete, Patch

from .world import NOW, World, group, role


@pytest.fixture
def world() -> World:
    return World()


def _ready(world: World, name: str = "llm") -> Condition:
    status = world.sources.groups.get(Key("ml", name)).status  # type: ignore[union-attr]  # put by the test
    found = find(status.conditions if status else (), "Ready")
    assert found is not None
    return found


def test_a_group_becomes_ready_with_everything_it_owns(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("prefill", 2), role("decode", 1, "prefill")))
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-decode", "llm-prefill"]
    assert world.names(Service) == ["s-llm-decode", "s-llm-prefill"]
    assert world.names(RoleInstance) == ["llm-decode-0", "llm-prefill-0", "llm-prefill-1"]
    assert world.names(Pod) == ["llm-decode-0", "llm-prefill-0", "llm-prefill-1"]
    assert world.names(ConfigMap) == ["llm"]
    assert _ready(world).true
    assert world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.DISCOVERY_MODE] == "refine"


def test_a_role_is_created_only_when_its_dependencies_are_ready(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("prefill", 2), role("decode", 1, "prefill")))
    world.settle(kubelet=False)
    assert world.names(RoleInstanceSet) == ["llm-prefill"]
    assert "decode waits for prefill" in _ready(world).message
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-decode", "llm-prefill"]


def test_a_dependency_that_fails_later_holds_back_nothing_that_runs(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("prefill", 1), role("decode", 1, "prefill")))
    world.settle()
    world.containers_ready("llm-prefill-0", ready=False)
    world.settle()
    world.put(RoleBasedGroup, group("llm", role("prefill", 1), role("decode", 3, "prefill")))
    world.settle()
    assert world.body(RoleInstanceSet, "llm-decode")["spec"]["replicas"] == 3


def test_independent_branches_start_although_another_waits(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", 1), role("b", 1, "a"), role("c", 1)))
    world.settle(kubelet=False)
    assert world.names(RoleInstanceSet) == ["llm-a", "llm-c"]


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ([role("a", 1, "b"), role("b", 1, "a")], "a -> b -> a"),
        ([role("a", 1, "ghost")], "role a depends on ghost"),
    ],
)
def test_faulty_dependencies_are_a_condition_and_one_event_and_mending_recovers(
    world: World, roles: list[dict[str, object]], words: str
) -> None:
    world.put(RoleBasedGroup, group("llm", *roles))
    world.settle()
    world.settle()
    condition = _ready(world)
    assert (condition.status, condition.reason) == ("False", "InvalidRoleDependency")
    assert words in condition.message
    assert [note.reason for note in world.notes] == ["InvalidRoleDependency"]
    assert world.names(RoleInstanceSet) == []
    world.put(RoleBasedGroup, group("llm", role("a", 1), role("b", 1, "a")))
    world.settle()
    assert _ready(world).true


def test_a_fault_that_appears_later_touches_nothing_that_runs(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle()
    before = world.names(Pod)
    world.put(RoleBasedGroup, group("llm", role("a", 2, "a")))
    world.settle()
    assert world.names(Pod) == before
    assert _ready(world).reason == "InvalidRoleDependency"


def test_a_group_without_spec_is_a_condition(world: World) -> None:
    world.put(RoleBasedGroup, {"metadata": {"name": "llm"}})
    world.settle()
    assert _ready(world).reason == "InvalidSpec"


def test_a_role_this_build_cannot_run_leaves_the_others_running(world: World) -> None:
    odd = {"name": "odd", "replicas": 1, "leaderWorkerPattern": {"size": 2}}
    world.put(RoleBasedGroup, group("llm", role("a", 1), odd))
    world.settle()
    assert world.names(Pod) == ["llm-a-0"]
    assert "role odd" in _ready(world).message
    assert len([note for note in world.notes if "odd" in note.message]) == 1


def test_scaling_changes_the_set_the_service_and_the_discovery_file_but_no_template(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", 1)))
    world.settle()
    template = world.body(RoleInstanceSet, "llm-a")["spec"]["roleInstanceTemplate"]
    world.put(RoleBasedGroup, group("llm", role("a", 3)))
    world.settle()
    assert world.body(RoleInstanceSet, "llm-a")["spec"]["roleInstanceTemplate"] == template
    assert world.body(Service, "s-llm-a")["metadata"]["annotations"][labels.ROLE_SIZE] == "3"
    assert "llm-a-2.s-llm-a" in world.body(ConfigMap, "llm")["data"]["config.yaml"]
    assert world.names(Pod) == ["llm-a-0", "llm-a-1", "llm-a-2"]
    assert len(world.names(ControllerRevision)) == 1 + 1 + 3


def test_a_role_that_is_gone_from_the_spec_takes_its_workload_with_it(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a"), role("b")))
    world.settle()
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-a"]
    assert world.names(Pod) == ["llm-a-0"]
    status = world.body(RoleBasedGroup, "llm")["status"]
    assert [entry["name"] for entry in status["roleStatuses"]] == ["a"]


@pytest.mark.parametrize("kind", [Service, ConfigMap])
def test_an_owned_object_deleted_by_hand_is_restored(world: World, kind: type[Service | ConfigMap]) -> None:
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    name = world.names(kind)[0]
    world.remove(kind, name)
    world.settle()
    assert world.names(kind) == [name]


def test_a_discovery_file_edited_by_hand_is_restored(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    wanted = dict(world.body(ConfigMap, "llm")["data"])
    world.body(ConfigMap, "llm")["data"]["config.yaml"] = "forged"
    world.settle()
    assert world.body(ConfigMap, "llm")["data"] == wanted


def test_a_group_of_an_older_release_keeps_its_own_discovery_file(world: World) -> None:
    manifest = group("llm", role("a"))
    manifest["status"] = {"observedGeneration": 1, "roleStatuses": []}
    world.put(RoleBasedGroup, manifest)
    world.settle()
    assert world.names(ConfigMap) == []
    assert world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.DISCOVERY_MODE] == "legacy"


def test_a_group_born_with_a_fault_is_no_group_of_an_older_release(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", 1, "b"), role("b", 1, "a")))
    world.settle()
    assert _ready(world).reason == "InvalidRoleDependency"
    world.put(RoleBasedGroup, group("llm", role("a"), role("b", 1, "a")))
    world.settle()
    assert world.names(ConfigMap) == ["llm"], "its pods mount it"
    assert world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.DISCOVERY_MODE] == "refine"


def test_an_annotation_that_a_role_loses_leaves_its_service_and_one_of_somebody_else_stays(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", annotations={"team": "", "tier": "1"})))
    world.settle()
    found = world.body(Service, "s-llm-a")["metadata"]["annotations"]
    assert (found["team"], found["tier"]) == ("", "1"), "also one without a value"
    world.sources.services.edit(Key("ml", "s-llm-a"))["metadata"]["annotations"]["theirs"] = "x"  # type: ignore[attr-defined]  # a shelf
    assert all(made.empty for made in world.plan_all())
    for left in ({"tier": "1"}, {}):
        world.put(RoleBasedGroup, group("llm", role("a", annotations=left)))
        node = view.group(world.sources, Key("ml", "llm"))
        assert node is not None
        actions = [item for item in plan.group(node, NOW).actions if isinstance(item, Apply)]
        (told,) = (item.body["metadata"]["annotations"] for item in actions if item.kind is Service)
        assert told.keys() & {"team", "tier", "theirs"} == left.keys()


def test_the_discovery_mode_is_written_before_any_status(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a")))
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    first, *later = plan.group(node, NOW + timedelta(minutes=1)).steps
    assert [(type(action), action.kind) for action in first] == [(Patch, RoleBasedGroup)]
    assert any(isinstance(action, Patch) and action.subresource == "status" for step in later for action in step)


def test_a_workload_of_somebody_else_is_never_touched(world: World) -> None:
    foreign = {"metadata": {"name": "llm-a", "namespace": "ml"}, "spec": {"roleInstanceTemplate": {"components": []}}}
    world.put(RoleInstanceSet, foreign)
    before = msgspec.json.encode(world.body(RoleInstanceSet, "llm-a"))
    node_writes = len(world.writes)
    world.put(RoleBasedGroup, group("llm", role("a"), role("b")))
    for _ in range(3):
        for item in world.plan_all()[:1]:
            world.carry_out(item)
    assert msgspec.json.encode(world.body(RoleInstanceSet, "llm-a")) == before
    assert len(world.writes) > node_writes
    assert "belongs to somebody else" in _ready(world).message


def test_a_deleting_group_writes_nothing(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.body(RoleBasedGroup, "llm")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    assert plan.group(node, NOW).empty


def test_every_change_of_the_spec_is_a_revision_and_only_five_are_kept(world: World) -> None:
    for version in range(8):
        world.put(RoleBasedGroup, group("llm", role("a", image=f"engine:{version}")))
        world.settle()
    own = [item for item in world.all(ControllerRevision) if labels.GROUP_REVISION in item.metadata.labels]
    assert sorted(item.revision for item in own) == [4, 5, 6, 7, 8]


def test_a_return_to_an_older_spec_is_a_new_revision(world: World) -> None:
    for image in ("a", "b", "a"):
        world.put(RoleBasedGroup, group("llm", role("a", image=image)))
        world.settle()
    own = [item for item in world.all(ControllerRevision) if labels.GROUP_REVISION in item.metadata.labels]
    assert sorted(item.revision for item in own) == [1, 2, 3]


def test_an_object_that_cannot_be_read_gets_a_condition_and_nothing_else() -> None:
    metadata = ObjectMeta(name="llm", namespace="ml", uid="u", generation=4)
    found = plan.unreadable(metadata, "spec.roles[0].replicas: must be an integer", NOW)
    (action,) = found.actions
    assert isinstance(action, Patch)
    assert action.subresource == "status"
    assert action.uid == "u"
    assert "spec.roles[0].replicas" in str(action.body)
    assert [note.reason for note in found.notes] == ["InvalidSpec"]


def test_every_apply_and_delete_of_an_existing_object_is_fenced_by_its_uid(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a"), role("b")))
    world.settle()
    world.writes.clear()
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle()
    existing = {"llm", "llm-a", "s-llm-a", "llm-b"}
    fenced = [item for item in world.writes if isinstance(item, Apply | Delete) and item.key.name in existing]
    assert fenced
    assert all(item.uid for item in fenced)


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "a topology constraint": ({"instanceTopologyConstraint": {"pack": {"required": "leaf"}}}, "instanceTopology"),
    "a placement annotation": (
        {"annotations": {"placement.rbgctrl.io/pack": "required:leaf"}},
        "placement.rbgctrl.io/pack",
    ),
    "a restart on demand": ({"annotations": {labels.RESTARTED_AT: "2026-01-01T00:00:00Z"}}, labels.RESTARTED_AT),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_is_ours_in_a_role_and_not_acted_on_yet_is_said(world: World, what: str) -> None:
    fields, words = ASKED[what]
    world.put(RoleBasedGroup, group("llm", role("a", **fields)))
    world.settle()
    conditions = {item["type"]: item for item in world.body(RoleBasedGroup, "llm")["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert conditions["Degraded"]["reason"] == "FeatureNotActedOn"
    assert words in conditions["Degraded"]["message"]
    assert conditions["Degraded"]["message"].endswith("of role a")


def test_recovery_of_the_whole_group_and_annotations_of_the_group_are_said_too(world: World) -> None:
    pattern = {"template": {"spec": {"containers": [{"name": "c"}]}}, "restartPolicy": "RecreateRBGOnPodRestart"}
    body = group("llm", {"name": "a", "replicas": 1, "leaderWorkerPattern": pattern})
    body["metadata"]["annotations"] = {"placement.rbgctrl.io/plan": "on", labels.RESTARTED_AT: "2026-01-01T00:00:00Z"}
    world.put(RoleBasedGroup, body)
    world.settle()
    conditions = {item["type"]: item for item in world.body(RoleBasedGroup, "llm")["status"]["conditions"]}
    message = conditions["Degraded"]["message"]
    for words in ("restart policy RecreateRBGOnPodRestart of role a", "placement.rbgctrl.io/plan", labels.RESTARTED_AT):
        assert words in message


def test_what_is_accepted_but_not_acted_on_is_said_in_a_condition_until_it_is_gone(world: World) -> None:
    world.put(RoleBasedGroup, group("llm", role("a", instanceTopologyConstraint={"pack": {"required": "rack"}})))
    world.settle()
    conditions = {item["type"]: item for item in world.body(RoleBasedGroup, "llm")["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert conditions["Degraded"]["status"] == "True"
    assert "instanceTopologyConstraint of role a" in conditions["Degraded"]["message"]
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    conditions = {item["type"]: item["status"] for item in world.body(RoleBasedGroup, "llm")["status"]["conditions"]}
    assert conditions == {"Ready": "True", "Progressing": "False", "Degraded": "False"}


def _as_upstream_made(world: World) -> dict[str, Any]:
    """The set, without our stamp and with something in its template that we do not make."""
    body = world.body(RoleInstanceSet, "llm-a")
    del body["metadata"]["annotations"][labels.OWNER_GENERATION]
    component = body["spec"]["roleInstanceTemplate"]["components"][0]
    component["template"]["spec"]["containers"].append({"name": "sidecar", "image": "sidecar:1", "resources": {}})
    return body


def test_the_first_apply_to_what_upstream_made_takes_its_fields_over_and_no_later_one_does(world: World) -> None:
    annotated = role("a", annotations={"x.example/y": "1"})
    world.put(RoleBasedGroup, group("llm", annotated))
    world.settle()
    assert not [item for item in world.writes if isinstance(item, Apply) and item.inherit], "what we made is ours"
    _as_upstream_made(world)
    del world.body(Service, "s-llm-a")["metadata"]["annotations"][labels.ROLE_ANNOTATIONS]
    world.settle()
    for kind in (RoleInstanceSet, Service):
        (first,) = [item for item in world.writes if isinstance(item, Apply) and item.kind is kind and item.inherit]
        assert first.uid
    world.put(RoleBasedGroup, group("llm", role("a", 3, annotations={"x.example/y": "2"})))
    world.settle()
    assert len([item for item in world.writes if isinstance(item, Apply) and item.inherit]) == 2
