"""PodGroups: the right number of pods, no dead lock with dependencies, kept current, nobody else's touched."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.podgroups import GangScheduler, SchedulerPluginsPodGroup, VolcanoPodGroup
from rbgctrl.graph import view
from rbgctrl.plan.gang import gang, members
from rbgctrl.plan.model import Apply, Delete

from .world import World, group, role

POD = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
GANG = {labels.GROUP_GANG_SCHEDULING: "true"}


def leader_worker(name: str, replicas: int, size: int, *needs: str) -> dict[str, Any]:
    pattern = {"size": size, "template": POD}
    return {"name": name, "replicas": replicas, "leaderWorkerPattern": pattern, "dependencies": list(needs)}


def components(name: str, replicas: int, **sizes: int) -> dict[str, Any]:
    parts = [{"name": part, "size": size, "template": POD} for part, size in sizes.items()]
    return {"name": name, "replicas": replicas, "customComponentsPattern": {"components": parts}}


def ganged(*roles: dict[str, Any], **annotations: str) -> dict[str, Any]:
    body = group("llm", *roles)
    body["metadata"]["annotations"] = {**GANG, **annotations}
    return body


def settled(body: dict[str, Any]) -> World:
    world = World()
    world.put(RoleBasedGroup, body)
    world.settle()
    return world


def least(world: World) -> int:
    return int(world.body(SchedulerPluginsPodGroup, "llm")["spec"]["minMember"])


def test_every_pod_of_every_pattern_is_counted() -> None:
    world = settled(ganged(role("a", 2), leader_worker("b", 2, 3), components("c", 2, main=1, side=2)))
    assert least(world) == 2 + 2 * 3 + 2 * 3


def test_it_waits_for_no_pod_of_a_role_that_waits_for_another() -> None:
    world = World()
    world.put(RoleBasedGroup, ganged(role("a", 2), leader_worker("b", 2, 3, "a")))
    world.settle(kubelet=False)
    assert least(world) == 2, "role b is not started: its pods would be waited for in vain"
    world.settle()
    assert least(world) == 2 + 6


def test_it_exists_before_any_workload_is_made() -> None:
    world = World()
    world.put(RoleBasedGroup, ganged(role("a")))
    world.settle()
    kinds = [item.kind for item in world.writes if isinstance(item, Apply)]
    assert kinds.index(SchedulerPluginsPodGroup) < kinds.index(RoleInstanceSet)


def test_scaling_and_annotations_reach_it_and_an_unchanged_group_writes_nothing() -> None:
    world = settled(ganged(role("a"), **{labels.GROUP_GANG_TIMEOUT: "120", "scheduling.x-k8s.io/x": "1"}))
    body = world.body(SchedulerPluginsPodGroup, "llm")
    assert body["spec"] == {"minMember": 1, "scheduleTimeoutSeconds": 120}
    assert body["metadata"]["annotations"]["scheduling.x-k8s.io/x"] == "1"
    written = len(world.writes)
    world.settle()
    assert len(world.writes) == written
    world.put(RoleBasedGroup, group("llm", role("a", 3)))
    stored = world.body(RoleBasedGroup, "llm")["metadata"]["annotations"]
    stored[labels.GROUP_GANG_TIMEOUT] = "nonsense"
    stored["scheduling.x-k8s.io/x"] = "2"
    world.settle()
    assert world.body(SchedulerPluginsPodGroup, "llm")["spec"] == {"minMember": 3, "scheduleTimeoutSeconds": 60}
    assert world.body(SchedulerPluginsPodGroup, "llm")["metadata"]["annotations"]["scheduling.x-k8s.io/x"] == "2"


def test_it_goes_with_the_annotation() -> None:
    world = settled(ganged(role("a")))
    del world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.GROUP_GANG_SCHEDULING]
    world.settle()
    assert world.names(SchedulerPluginsPodGroup) == []


def test_one_of_somebody_else_is_not_touched_and_no_pod_starts_without() -> None:
    world = World()
    world.put(SchedulerPluginsPodGroup, {"metadata": {"name": "llm"}, "spec": {"minMember": 99}})
    world.put(RoleBasedGroup, ganged(role("a")))
    world.settle()
    assert least(world) == 99
    assert world.names(RoleInstanceSet) == []
    ready = world.body(RoleBasedGroup, "llm")["status"]["conditions"][0]
    assert ready["reason"] == "FailedReconcilePodGroup"
    assert "belongs to somebody else; remove it" in ready["message"]
    world.remove(SchedulerPluginsPodGroup, "llm")
    world.settle()
    assert least(world) == 1
    assert world.body(RoleBasedGroup, "llm")["status"]["conditions"][0]["status"] == "True"


def test_a_cluster_without_the_kind_is_said_and_everything_starts_once_it_is_there() -> None:
    world = World()
    world.absent.add(SchedulerPluginsPodGroup)
    world.put(RoleBasedGroup, ganged(role("a")))
    world.settle()
    assert world.names(RoleInstanceSet) == []
    assert "install scheduler-plugins" in world.body(RoleBasedGroup, "llm")["status"]["conditions"][0]["message"]
    world.absent.clear()
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-a"]


def test_volcano_gets_its_own_kind_queue_and_priority() -> None:
    world = World()
    asked = {labels.GROUP_GANG_VOLCANO_QUEUE: "gold", labels.GROUP_GANG_VOLCANO_PRIORITY: "high", "volcano.sh/x": "1"}
    world.put(RoleBasedGroup, ganged(role("a", 4), **asked))
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    (apply,) = gang(node, {"a": 4}, {"a"}, GangScheduler.VOLCANO).actions
    assert isinstance(apply, Apply)
    assert apply.kind is VolcanoPodGroup
    assert apply.body["spec"] == {"minMember": 4, "queue": "gold", "priorityClassName": "high"}
    assert apply.body["metadata"]["annotations"]["volcano.sh/x"] == "1"


@pytest.mark.parametrize(
    ("kind", "pods"),
    [
        (labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET, 4),
        (labels.WORKLOAD_TYPE_LEADER_WORKER_SET, 4),
        (labels.WORKLOAD_TYPE_STATEFUL_SET, 1),
        (labels.WORKLOAD_TYPE_DEPLOYMENT, 1),
    ],
)
def test_a_workload_that_only_takes_the_template_has_one_pod_for_each_replica(kind: str, pods: int) -> None:
    world = World()
    body = leader_worker("a", 1, 4)
    body["annotations"] = {labels.ROLE_WORKLOAD_TYPE: kind}
    world.put(RoleBasedGroup, group("llm", body))
    node = view.group(world.sources, Key("ml", "llm"))
    assert node is not None
    assert members(node.roles[0].spec) == pods


def test_a_pod_group_that_was_made_for_another_group_of_that_name_is_not_deleted() -> None:
    world = settled(group("llm", role("a")))
    world.put(SchedulerPluginsPodGroup, {"metadata": {"name": "llm"}, "spec": {"minMember": 1}})
    world.settle()
    assert not [item for item in world.writes if isinstance(item, Delete)]
