"""Groups with workloads of other projects: what is seen of them, and how one kind makes way for another."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet, Workload
from rbgctrl.graph import view
from rbgctrl.graph.nodes import RoleNode
from rbgctrl.plan import group as group_plan
from rbgctrl.plan.model import Apply, Delete, Plan
from rbgctrl.plan.workloads import foreign

from .foreign import of_type
from .requests import template
from .world import World, group, role

FOREIGN = (Deployment, StatefulSet, LeaderWorkerSet)


def backed(kind: type[Any], name: str = "a", replicas: int = 1, *dependencies: str) -> dict[str, Any]:
    found = role(name, replicas, *dependencies)
    if kind is LeaderWorkerSet:
        del found["standalonePattern"]
        found["leaderWorkerPattern"] = {"size": 2, "template": template()}
    return found if kind is RoleInstanceSet else {**found, "annotations": of_type(kind)}


def world(*roles: dict[str, Any]) -> World:
    made = World()
    made.put(RoleBasedGroup, group("llm", *roles))
    made.settle()
    return made


def node(made: World, name: str = "a") -> RoleNode:
    found = view.group(made.sources, Key("ml", "llm"))
    assert found is not None
    seen = found.role(name)
    assert seen is not None
    return seen


def plan(made: World) -> Plan:
    found = view.group(made.sources, Key("ml", "llm"))
    assert found is not None
    return group_plan.group(found, made.now)


def workload_writes(made: Plan) -> list[tuple[str, str]]:
    kinds = {"Deployment", "StatefulSet", "LeaderWorkerSet", "RoleInstanceSet"}
    return [
        (type(action).__name__, action.kind.KIND.kind)
        for action in made.actions
        if isinstance(action, Apply | Delete) and action.kind.KIND.kind in kinds
    ]


def add_pod(made: World, name: str, owner: dict[str, str], **more: str) -> None:
    own = {labels.GROUP_NAME: "llm", labels.ROLE_NAME: "a", **more}
    reference = {"apiVersion": "apps/v1", "controller": True, "name": "x", **owner}
    made.put(Pod, {"metadata": {"name": name, "labels": own, "ownerReferences": [reference]}, "spec": {}})


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_a_role_gets_the_workload_it_asks_for_and_then_rest(kind: type[Resource]) -> None:
    made = world(backed(kind))
    assert made.names(kind) == ["llm-a"]
    assert made.names(RoleInstanceSet) == []
    assert isinstance(node(made).workload, kind)
    assert plan(made).empty


def test_pods_of_a_stateful_set_are_those_it_controls() -> None:
    made = world(backed(StatefulSet))
    uid = made.body(StatefulSet, "llm-a")["metadata"]["uid"]
    add_pod(made, "llm-a-0", {"kind": "StatefulSet", "uid": uid})
    add_pod(made, "llm-a-1", {"kind": "StatefulSet", "uid": "of-somebody-else"})
    assert [pod.metadata.name for pod in node(made).pods] == ["llm-a-0"]


@pytest.mark.parametrize(("kind", "between"), [(Deployment, "ReplicaSet"), (LeaderWorkerSet, "StatefulSet")])
def test_pods_behind_another_controller_are_found_by_their_labels(kind: type[Resource], between: str) -> None:
    made = world(backed(kind))
    add_pod(made, "mine", {"kind": between, "uid": "rs"})
    add_pod(made, "of-another-kind", {"kind": "RoleInstance", "uid": "ri"})
    add_pod(made, "of-another-role", {"kind": between, "uid": "rs"}, **{labels.ROLE_NAME: "b"})
    assert [pod.metadata.name for pod in node(made).pods] == ["mine"]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_a_dependant_starts_once_the_workload_is_ready(kind: type[Resource]) -> None:
    made = world(backed(kind, "a", 2), role("b", 1, "a"))
    assert "llm-b" not in made.names(RoleInstanceSet)
    status = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2, "hpaPodSelector": "x=y"}
    made.body(kind, "llm-a")["status"] = status
    made.settle()
    assert "llm-b" not in made.names(RoleInstanceSet)
    made.body(kind, "llm-a")["status"] = {**status, "readyReplicas": 2}
    made.settle()
    assert "llm-b" in made.names(RoleInstanceSet)


CHANGES = [
    (StatefulSet, RoleInstanceSet),
    (RoleInstanceSet, StatefulSet),
    (Deployment, StatefulSet),
    (LeaderWorkerSet, Deployment),
]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=lambda kind: kind.__name__)
def test_a_new_kind_waits_until_the_old_one_is_gone_with_its_pods(old: type[Resource], new: type[Resource]) -> None:
    made = world(backed(old), role("other"))
    made.put(RoleBasedGroup, group("llm", backed(new), role("other", 2)))
    first = plan(made)
    assert workload_writes(first) == [("Delete", old.KIND.kind), ("Apply", "RoleInstanceSet")]
    (delete,) = (action for action in first.actions if isinstance(action, Delete))
    assert delete.propagation == "Foreground"
    assert delete.uid == made.body(old, "llm-a")["metadata"]["uid"]
    made.body(old, "llm-a")["metadata"] |= {
        "deletionTimestamp": "2026-11-22T12:00:00Z",
        "finalizers": ["foregroundDeletion"],
    }
    waiting = plan(made)
    assert workload_writes(waiting) == [("Apply", "RoleInstanceSet")]  # the other role goes on
    made.carry_out(waiting)
    assert workload_writes(plan(made)) == []
    made.remove(old, "llm-a")
    assert ("Apply", new.KIND.kind) in workload_writes(plan(made))
    made.settle()
    assert isinstance(node(made).workload, new)
    assert plan(made).empty


def test_what_is_on_its_way_out_is_not_deleted_again() -> None:
    made = world(backed(StatefulSet), backed(Deployment, "b"))
    made.body(StatefulSet, "llm-a")["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    former: list[Workload] = [*made.all(StatefulSet), *made.all(Deployment)]
    assert [delete.key.name for delete in foreign.retire(former)] == ["llm-b"]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_the_workload_of_a_role_that_is_gone_goes(kind: type[Resource]) -> None:
    made = world(backed(kind), role("b"))
    made.put(RoleBasedGroup, group("llm", role("b")))
    made.settle()
    assert made.names(kind) == []


def test_a_kind_that_the_cluster_does_not_know_stops_its_role_alone() -> None:
    made = World()
    made.absent.add(LeaderWorkerSet)
    made.put(RoleBasedGroup, group("llm", backed(LeaderWorkerSet), role("b")))
    made.settle()
    assert made.names(LeaderWorkerSet) == []
    assert made.names(RoleInstanceSet) == ["llm-b"]
    (ready,) = (item for item in made.body(RoleBasedGroup, "llm")["status"]["conditions"] if item["type"] == "Ready")
    assert "does not know kind LeaderWorkerSet" in ready["message"]
    made.absent.clear()
    made.settle()
    assert made.names(LeaderWorkerSet) == ["llm-a"]
