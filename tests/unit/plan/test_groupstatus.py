"""Status a person can act on: what is going on, what is wrong, with which role, why, and what to do."""

from __future__ import annotations

from typing import Any

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.workloads import LeaderWorkerSet, StatefulSet
from rbgctrl.graph import view
from rbgctrl.plan import group as plan
from rbgctrl.plan.model import Delete, Patch

from .world import World, group, role

POD = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
STATEFUL_SET = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_STATEFUL_SET}
LEADER_WORKER_SET = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET}


def settled(*roles: dict[str, Any]) -> World:
    world = World()
    world.put(RoleBasedGroup, group("llm", *roles))
    world.settle()
    return world


def conditions(world: World) -> dict[str, dict[str, Any]]:
    return {item["type"]: item for item in world.body(RoleBasedGroup, "llm")["status"]["conditions"]}


def statuses(world: World) -> dict[str, str]:
    return {kind: item["status"] for kind, item in conditions(world).items()}


def counts(world: World) -> dict[str, tuple[int, int, int]]:
    return {
        item["name"]: (item.get("replicas", 0), item.get("readyReplicas", 0), item.get("updatedReplicas", 0))
        for item in world.body(RoleBasedGroup, "llm")["status"]["roleStatuses"]
    }


def test_a_group_that_serves_is_ready_settled_and_not_degraded() -> None:
    world = settled(role("a", 2), role("b", 1, "a"))
    assert statuses(world) == {"Ready": "True", "Progressing": "False", "Degraded": "False"}
    assert counts(world) == {"a": (2, 2, 2), "b": (1, 1, 1)}


def test_a_group_that_starts_is_progressing_and_says_which_role_waits_for_which() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 2), role("b", 1, "a")))
    world.settle(kubelet=False)
    world.pass_time(5)
    world.settle(kubelet=False)
    assert statuses(world) == {"Ready": "False", "Progressing": "True", "Degraded": "False"}
    found = conditions(world)["Progressing"]
    assert found["reason"] == "WaitingForDependencies"
    assert found["message"] == "a has 0 of 2 ready; b waits for a"


def test_what_was_settled_and_falls_ill_is_degraded_and_names_role_instance_and_pod() -> None:
    world = settled(role("a", 2), role("b"))
    world.containers_ready("llm-a-1", ready=False)
    world.settle()
    world.pass_time(5)
    world.settle()
    assert statuses(world) == {"Ready": "False", "Progressing": "False", "Degraded": "True"}
    found = conditions(world)["Degraded"]
    assert found["reason"] == "RoleNotReady"
    assert found["message"].startswith("role a has 1 of 2 ready: RoleInstance llm-a-1 ")
    assert "llm-a-1" in found["message"]
    world.containers_ready("llm-a-1", ready=True)
    world.settle()
    assert statuses(world) == {"Ready": "True", "Progressing": "False", "Degraded": "False"}


def test_a_new_template_is_progress_until_every_instance_has_it() -> None:
    world = settled(role("a", 2))
    world.put(RoleBasedGroup, group("llm", role("a", 2, image="engine:2")))
    world.settle(kubelet=False)
    world.pass_time(5)
    world.settle(kubelet=False)
    assert conditions(world)["Progressing"]["status"] == "True"
    assert "updated" in conditions(world)["Progressing"]["message"]
    world.settle()
    world.pass_time(5)
    world.settle()
    assert statuses(world) == {"Ready": "True", "Progressing": "False", "Degraded": "False"}
    assert counts(world) == {"a": (2, 2, 2)}


def test_roles_that_are_gone_leave_no_entry() -> None:
    world = settled(role("a"), role("b"))
    world.put(RoleBasedGroup, group("llm", role("b")))
    world.settle()
    assert counts(world) == {"b": (1, 1, 1)}


def test_transition_times_move_only_with_the_status() -> None:
    world = settled(role("a", 1))
    before = {kind: item["lastTransitionTime"] for kind, item in conditions(world).items()}
    world.pass_time(3600)
    world.put(RoleBasedGroup, group("llm", role("a", 2)))
    world.settle()
    world.pass_time(5)
    world.settle()
    after = conditions(world)
    assert after["Degraded"]["lastTransitionTime"] == before["Degraded"]
    assert after["Degraded"]["observedGeneration"] == 2
    assert after["Ready"]["lastTransitionTime"] > before["Ready"], "it was not ready in between"


def test_a_refusal_stays_until_nothing_is_left_to_write() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a")))
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    world.carry_out(plan.refused(node, world.now, "rolebasedgroup quota exceeded: used 3, limited 3"))
    assert conditions(world)["Degraded"]["reason"] == "Refused"
    assert "quota exceeded" in conditions(world)["Ready"]["message"]
    assert len(world.notes) == 1
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    again = plan.group(node, world.now)
    assert not [item for item in again.actions if isinstance(item, Patch) and item.subresource], "it is not flipped"
    assert not plan.refused(node, world.now, "rolebasedgroup quota exceeded: used 3, limited 3").notes, "told once"
    world.settle()
    assert statuses(world) == {"Ready": "True", "Progressing": "False", "Degraded": "False"}


def test_a_fault_of_one_role_is_told_once_and_stops_no_other() -> None:
    lost = {"name": "lost", "replicas": 1, "standalonePattern": {"templateRef": {"name": "ghost", "patch": {}}}}
    world = settled(lost, role("a"), role("sidecarred", engineRuntimes=[{"profileName": "nobody"}]))
    assert world.names(Pod) == ["llm-a-0"]
    found = conditions(world)["Degraded"]
    assert "role lost: " in found["message"]
    assert "ghost" in found["message"]
    assert "role sidecarred: " in found["message"]
    assert "nobody" in found["message"]
    assert len([note for note in world.notes if "ghost" in note.message]) == 1
    assert len([note for note in world.notes if "nobody" in note.message]) == 1


def test_a_role_whose_children_would_have_too_long_a_name_says_so_and_what_fits() -> None:
    long = "x" * 49
    world = settled(role("a"), role(long))
    found = conditions(world)["Degraded"]
    assert f"role {long}: " in found["message"]
    assert "52" in found["message"], "the limit is told"
    assert world.names(Pod) == ["llm-a-0"]
    world.put(RoleBasedGroup, group("llm", role("a"), role("short")))
    world.settle()
    assert world.names(Pod) == ["llm-a-0", "llm-short-0"]
    assert statuses(world)["Degraded"] == "False"


# Kinds of workloads ---------------------------------------------------------------------------------------------------


def test_a_role_that_changes_its_kind_waits_until_the_old_one_and_its_pods_are_gone() -> None:
    world = settled(role("a", annotations=STATEFUL_SET), role("b"))
    assert world.names(StatefulSet) == ["llm-a"]
    old = world.body(StatefulSet, "llm-a")
    world.put(RoleBasedGroup, group("llm", role("a"), role("b")))
    (deleted,) = [action for found in world.plan_all() for action in found.actions if isinstance(action, Delete)]
    assert (deleted.kind, deleted.propagation, deleted.uid) == (StatefulSet, "Foreground", old["metadata"]["uid"])
    leaving = {"deletionTimestamp": "2026-11-22T12:00:00Z", "finalizers": ["foregroundDeletion"]}
    world.body(StatefulSet, "llm-a")["metadata"] |= leaving
    world.settle()
    world.pass_time(5)
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-b"], "its pods still hold the names"
    message = conditions(world)["Progressing"]["message"]
    assert "a waits while StatefulSet llm-a is being deleted, held by finalizer foregroundDeletion" in message
    world.remove(StatefulSet, "llm-a")
    world.settle()
    assert world.names(RoleInstanceSet) == ["llm-a", "llm-b"]


def test_a_kind_that_the_cluster_does_not_know_stops_its_role_only_and_comes_to_life_later() -> None:
    world = World()
    world.absent.add(LeaderWorkerSet)
    leaders = {"name": "l", "replicas": 1, "annotations": LEADER_WORKER_SET, "leaderWorkerPattern": {"template": POD}}
    world.put(RoleBasedGroup, group("llm", role("a"), leaders))
    world.settle()
    assert world.names(Pod) == ["llm-a-0"]
    message = conditions(world)["Degraded"]["message"]
    assert message.startswith(
        "role l: this cluster does not know kind LeaderWorkerSet of leaderworkerset.x-k8s.io; install"
    )
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    assert plan.group(node, world.now).requeue_after == 10
    world.absent.clear()
    world.settle()
    assert world.names(LeaderWorkerSet) == ["llm-l"]


def test_deprecated_kinds_can_be_switched_off_and_what_runs_is_left_alone() -> None:
    world = settled(role("a", annotations=STATEFUL_SET))
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    off = plan.group(node, world.now, plan.Abilities(deprecated_workload_types=False))
    assert not [action for action in off.actions if action.kind is StatefulSet]
    assert "--enable-deprecated-workload-types=false" in off.notes[0].message


def test_an_unknown_kind_is_a_fault_of_its_role() -> None:
    world = settled(role("a"), role("odd", annotations={labels.ROLE_WORKLOAD_TYPE: "batch/v1/Job"}))
    assert "batch/v1/Job" in conditions(world)["Degraded"]["message"]
    assert world.names(Pod) == ["llm-a-0"]


def test_a_leftover_that_a_finalizer_holds_is_named() -> None:
    world = settled(role("a"), role("b"))
    world.put(RoleBasedGroup, group("llm", role("a")))
    body = world.body(RoleInstanceSet, "llm-b")
    body["metadata"] |= {"deletionTimestamp": "2026-11-22T12:00:00Z", "finalizers": ["example.com/hold"]}
    world.settle()
    world.pass_time(5)
    world.settle()
    found = conditions(world)
    assert found["Ready"]["status"] == "True"
    assert (
        "RoleInstanceSet llm-b is being deleted, held by finalizer example.com/hold" in found["Progressing"]["message"]
    )


def test_an_instance_whose_pods_are_refused_makes_the_group_degraded_in_the_words_of_the_server() -> None:
    world = settled(role("a"))
    body = world.body(RoleInstance, "llm-a-0")
    words = 'pods "llm-a-0" is forbidden: exceeded quota: gpu'
    body["status"]["conditions"].append({"type": "FailedScale", "status": "True", "message": words})
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    world.carry_out(plan.group(node, world.now))
    found = conditions(world)["Degraded"]
    assert found["reason"] == "InstancesFailing"
    assert found["message"] == f"role a: RoleInstance llm-a-0: {words}"
