"""Pods of recorded RoleInstances against those the upstream controller made of them, and taking over what it left."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from golden import SCENARIOS, scenario
from rbgctrl.api import labels
from rbgctrl.api.core import ControllerRevision, Pod
from rbgctrl.api.instances import RoleInstance
from rbgctrl.api.meta import Key

from .instances import decide, settle
from .world import World

NAMESPACE = "ml"
# Upstream has no RoleID, and gives the pods of a set the ordinal labels of one of them.
OURS = (labels.ROLE_ID, labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME)


def _recorded(name: str) -> list[dict[str, Any]]:
    return [item for item in scenario(name).objects if item["kind"] == "RoleInstance"]


# In ``rich`` no pod came to be: its pods ask for a service account that nobody made.
WITH_INSTANCES = [name for name in SCENARIOS if _recorded(name) and name != "rich"]


def _born(name: str) -> World:
    """The recorded instances, as their set made them, and the pods we make."""
    world = World()
    for item in _recorded(name):
        metadata = {key: item["metadata"].get(key) or {} for key in ("labels", "annotations")}
        metadata["annotations"].pop(labels.INPLACE_SCHEDULING, None)
        body = {"metadata": {**metadata, "name": item["metadata"]["name"]}, "spec": item["spec"]}
        world.put(RoleInstance, body)
    settle(world)
    world.pass_time(60)
    settle(world)
    return world


def _pods(name: str, world: World) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Recorded pods of instances beside ours, by name."""
    theirs = {
        item["metadata"]["name"]: item
        for item in scenario(name).of("Pod")
        if labels.ROLE_INSTANCE_NAME in item["metadata"].get("labels", {})
    }
    assert sorted(theirs) == world.names(Pod)
    return {pod: (item, world.body(Pod, pod)) for pod, item in theirs.items()}


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_pods_have_the_recorded_names_labels_hosts_and_gates(name: str) -> None:
    for theirs, ours in _pods(name, _born(name)).values():
        own = {key: value for key, value in ours["metadata"]["labels"].items() if key not in OURS}
        recorded = {key: value for key, value in theirs["metadata"]["labels"].items() if key not in OURS}
        assert own == recorded, "the hash of the revision included"
        told = {key: value for key, value in ours["metadata"]["annotations"].items() if key != labels.OWNER_GENERATION}
        assert told == (theirs["metadata"].get("annotations") or {})
        for field in ("hostname", "subdomain", "readinessGates"):
            assert ours["spec"].get(field) == theirs["spec"].get(field)


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_every_pod_has_the_ordinal_of_its_own_instance(name: str) -> None:
    world = _born(name)
    for item in world.all(Pod):
        instance = world.body(RoleInstance, item.metadata.labels[labels.ROLE_INSTANCE_NAME])["metadata"]["labels"]
        for key in (labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME):
            assert item.metadata.labels.get(key) == instance.get(key)


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_containers_have_the_recorded_variables_and_the_role_id(name: str) -> None:
    for theirs, ours in _pods(name, _born(name)).values():
        for mine, other in zip(ours["spec"]["containers"], theirs["spec"]["containers"], strict=True):
            for variable in other.get("env", ()):  # the API server fills this in
                variable.get("valueFrom", {}).get("fieldRef", {}).pop("apiVersion", None)
            assert [item for item in mine["env"] if item["name"] != labels.ENV_ROLE_ID] == other.get("env", [])
            assert labels.ENV_ROLE_ID in [item["name"] for item in mine["env"]]


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_statuses_are_the_recorded_ones(name: str) -> None:
    world = _born(name)
    for item in _recorded(name):
        ours, theirs = world.body(RoleInstance, item["metadata"]["name"])["status"], item["status"]
        if theirs["conditions"][0]["status"] != "True":
            continue  # recorded with an affinity that no node meets
        for field in ("componentStatuses", "currentRevision", "updateRevision", "observedGeneration"):
            assert ours[field] == theirs[field]
        told = {(entry["type"], entry["status"], entry.get("reason", "")) for entry in ours["conditions"]}
        assert told == {(entry["type"], entry["status"], entry.get("reason", "")) for entry in theirs["conditions"]}


def _as_upstream_left_it(name: str) -> World:
    """The recorded instances, revisions and pods, and nothing of ours."""
    world = _born(name)
    kind = RoleInstance.KIND
    world.shelves[ControllerRevision].objects.clear()
    for pod, (theirs, ours) in _pods(name, world).items():
        body = {**theirs, "metadata": {**theirs["metadata"], "ownerReferences": ours["metadata"]["ownerReferences"]}}
        world.shelves[Pod].objects.pop(Key(NAMESPACE, pod))
        world.put(Pod, body)
    for item in scenario(name).revisions:
        if item.owner != kind.kind:
            continue
        instance = item.labels[labels.ROLE_INSTANCE_NAME]
        uid = world.body(RoleInstance, instance)["metadata"]["uid"]
        reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": instance, "uid": uid}
        metadata = {"name": item.name, "labels": item.labels, "ownerReferences": [{**reference, "controller": True}]}
        data = msgspec.json.decode(item.data)
        world.put(ControllerRevision, {"metadata": metadata, "revision": item.revision, "data": data})
    return world


@pytest.mark.parametrize("name", WITH_INSTANCES)
def test_taking_over_records_no_revision_and_touches_no_pod(name: str) -> None:
    world = _as_upstream_left_it(name)
    for instance in world.names(RoleInstance):
        found = decide(world, instance)
        assert [action for action in found.actions if action.kind is ControllerRevision] == []
        touched = [action for action in found.actions if action.kind is Pod]
        assert {getattr(action, "subresource", "") for action in touched} <= {"status"}, "readiness is not recorded"
