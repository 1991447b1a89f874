"""Our objects against the ones the upstream controller made of the same manifest; each difference is spelled out."""

from __future__ import annotations

from typing import Any

import pytest

from golden import Scenario, scenario
from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Resource
from rbgctrl.plan.model import Create

from .world import World

NAMESPACE = "golden"
KINDS: dict[str, type[Resource]] = {
    "RoleBasedGroup": RoleBasedGroup,
    "RoleInstanceSet": RoleInstanceSet,
    "RoleInstance": RoleInstance,
    "Pod": Pod,
    "Service": Service,
    "ConfigMap": ConfigMap,
}
ROLE_ID = labels.ROLE_ID


@pytest.fixture(scope="module")
def recorded() -> Scenario:
    return scenario("standalone")


@pytest.fixture(scope="module")
def world(recorded: Scenario) -> World:
    built = World()
    # The stored object, as the API server defaulted it, is what a controller sees.
    stored = recorded.one("RoleBasedGroup", "chat")
    manifest = {"metadata": {key: stored["metadata"][key] for key in ("name", "labels")}, "spec": stored["spec"]}
    built.put(RoleBasedGroup, manifest, NAMESPACE)
    built.settle()
    built.pass_time(60)
    built.settle()
    return built


def _differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Paths at which the two differ; a zero value equals an absent field."""
    if isinstance(theirs, dict) or isinstance(ours, dict):
        theirs, ours = theirs or {}, ours or {}
        found = []
        for key in sorted({*theirs, *ours}):
            found += _differences(theirs.get(key), ours.get(key), f"{path}.{key}" if path else key)
        return found
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [
            item
            for index, pair in enumerate(zip(theirs, ours, strict=True))
            for item in _differences(*pair, f"{path}[{index}]")
        ]
    return [] if theirs == ours or (not theirs and not ours) else [path]


def _ours(world: World, kind: str, name: str) -> dict[str, Any]:
    body = dict(world.body(KINDS[kind], name, NAMESPACE))
    volatile = ("uid", "resourceVersion", "creationTimestamp", "generation")
    body["metadata"] = {key: value for key, value in body["metadata"].items() if key not in volatile}
    for reference in body["metadata"].get("ownerReferences", ()):
        reference["uid"] = f"<uid of {reference['kind']}/{reference['name']}>"
    for condition in body.get("status", {}).get("conditions", ()):
        condition.pop("lastTransitionTime", None)
    return body


STAMP = f"metadata.annotations.{labels.OWNER_GENERATION}"
ALLOWED: dict[str, set[str]] = {
    # We tell which pod of the set is not ready where upstream repeats one word; the recorded group is Ready either way.
    "RoleBasedGroup": set(),
    # Upstream never counts availability after minReadySeconds (its own status writes restart the clock).
    # The history limit is a default of the schema, which the API server fills in. The stamp fences against old views.
    "RoleInstanceSet": {"status.availableReplicas", "spec.revisionHistoryLimit", STAMP},
    # RoleID is ours. Upstream gives pods of one set the identity labels of the last ordinal; ours carry their own.
    "RoleInstance": {
        STAMP,
        f"metadata.labels.{ROLE_ID}",
        f"spec.components[0].template.metadata.labels.{labels.ROLE_INSTANCE_INDEX}",
        f"spec.components[0].template.metadata.labels.{labels.STATEFUL_POD_NAME}",
        "status.currentRevision",
        "status.updateRevision",
    },
    "Service": set(),
    # The label lets a controller watch only its own ConfigMaps.
    "ConfigMap": {f"metadata.labels.{labels.GROUP_NAME}"},
}


@pytest.mark.parametrize("kind", sorted(ALLOWED))
def test_objects_are_those_upstream_makes_but_for_documented_differences(
    world: World, recorded: Scenario, kind: str
) -> None:
    theirs = {item["metadata"]["name"]: item for item in recorded.of(kind)}
    assert sorted(theirs) == world.names(KINDS[kind])
    for name, body in theirs.items():
        body["metadata"].pop("generation", None)
        found = set(_differences(body, {"apiVersion": body["apiVersion"], "kind": kind, **_ours(world, kind, name)}))
        assert found <= ALLOWED[kind], name


def test_pods_are_those_upstream_makes_with_their_own_identity(world: World, recorded: Scenario) -> None:
    for theirs in recorded.of("Pod"):
        name = theirs["metadata"]["name"]
        ours = _ours(world, "Pod", name)
        container, other = ours["spec"]["containers"][0], theirs["spec"]["containers"][0]
        assert {"name": "RBG_ROLE_ID", "value": ours["metadata"]["labels"][ROLE_ID]} in container["env"]
        for variable in other["env"]:  # the API server fills this in
            variable.get("valueFrom", {}).get("fieldRef", {}).pop("apiVersion", None)
        assert [variable for variable in container["env"] if variable["name"] != "RBG_ROLE_ID"] == other["env"]
        for field in ("image", "volumeMounts", "name", "command", "args"):
            assert container.get(field) == other.get(field)
        for field in ("hostname", "subdomain", "readinessGates"):
            assert ours["spec"][field] == theirs["spec"][field]
        differing = set(_differences(theirs["metadata"]["labels"], ours["metadata"]["labels"]))
        identity = {labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME, labels.CONTROLLER_REVISION_HASH}
        assert differing <= {ROLE_ID, *identity}
        assert ours["metadata"]["labels"][labels.STATEFUL_POD_NAME] == name


def test_revisions_of_groups_and_sets_are_equal_to_the_byte(world: World, recorded: Scenario) -> None:
    shelf = world.shelves[ControllerRevision]
    ours = {key.name: body for key, body in shelf.objects.items()}
    for revision in recorded.revisions:
        if revision.owner == "RoleInstance" and not revision.name.startswith(("chat-router-0-", "chat-engine-2-")):
            continue  # carries the identity of another ordinal
        assert revision.name in ours
        body = ours[revision.name]
        assert body["revision"] == revision.revision
        assert body["metadata"]["labels"] == revision.labels


def test_the_recorded_revision_bytes_are_what_is_sent(world: World, recorded: Scenario) -> None:
    sent = {
        item.key.name: bytes(item.body["data"])
        for item in world.writes
        if isinstance(item, Create) and item.kind is ControllerRevision
    }
    wanted = {item.name: item.data.encode() for item in recorded.revisions if item.name in sent}
    assert len(wanted) >= 5
    assert {name: sent[name] for name in wanted} == wanted
