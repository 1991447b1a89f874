"""Engine runtimes: what a profile adds, which content of it counts, and what happens when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.templates import TemplateError
from rbgctrl.plan import runtimes
from rbgctrl.plan.workloads import WorkloadRequest, apply_set, components, fault, leader_worker

from .requests import container_names, decoded, profile, request, template, variables
from .world import World, group

SIDECAR = {"name": "sidecar", "image": "sidecar:1"}
Profiles = Mapping[str, ClusterEngineRuntimeProfile]


def _role(*asked: Mapping[str, Any], image: str = "engine:1", **container: Any) -> dict[str, Any]:
    source = template({"name": "main", "image": image, **container})
    return {"name": "a", "engineRuntimes": list(asked), "standalonePattern": {"template": source}}


def _template(asked: WorkloadRequest) -> dict[str, Any]:
    found: dict[str, Any] = components(asked)[0]["template"]
    return found


def _images(asked: WorkloadRequest) -> dict[str, str]:
    return {item["name"]: item["image"] for item in _template(asked)["spec"]["containers"]}


def _written(asked: WorkloadRequest) -> str:
    """What the workload has as pin after the request was carried out."""
    made = apply_set(asked, None)
    assert made is not None
    pinned: str = made.body["metadata"]["annotations"].get(labels.RUNTIME_PROFILES, "")
    return pinned


USES = {"profileName": "p"}
OLD: Profiles = {"p": profile("p", containers=[SIDECAR])}
NEW: Profiles = {"p": profile("p", generation=2, containers=[{**SIDECAR, "image": "sidecar:2"}])}
ROLLING: Profiles = {"p": profile("p", strategy="RollingUpdate", containers=[SIDECAR])}
ROLLED: Profiles = {
    "p": profile("p", strategy="RollingUpdate", generation=2, containers=[{**SIDECAR, "image": "sidecar:2"}])
}


# What is added --------------------------------------------------------------------------------------------------------


def test_a_profile_adds_containers_init_containers_and_volumes_after_those_of_the_role() -> None:
    given = profile("p", containers=[SIDECAR], initContainers=[{"name": "init"}], volumes=[{"name": "scratch"}])
    built = _template(request(_role(USES), profiles={"p": given}))
    assert container_names(built) == ["main", "sidecar"]
    assert container_names(built, "initContainers") == ["init"]
    assert [volume["name"] for volume in built["spec"]["volumes"]] == ["rbg-cluster-config", "scratch"]


def test_a_sidecar_gets_the_environment_but_not_the_discovery_file() -> None:
    built = _template(request(_role(USES), profiles=OLD))
    assert variables(built, 1) == variables(built, 0)
    assert "volumeMounts" not in built["spec"]["containers"][1]


def test_what_has_a_name_that_is_taken_is_left_out() -> None:
    source = template({"name": "sidecar", "image": "mine"}, volumes=[{"name": "scratch", "hostPath": {"path": "/"}}])
    role = {"name": "a", "engineRuntimes": [USES], "standalonePattern": {"template": source}}
    given = profile("p", containers=[SIDECAR], volumes=[{"name": "scratch", "emptyDir": {}}])
    asked = request(role, profiles={"p": given})
    assert _images(asked) == {"sidecar": "mine"}
    assert _template(asked)["spec"]["volumes"][0] == {"name": "scratch", "hostPath": {"path": "/"}}


def test_profiles_are_added_in_the_order_of_the_role_and_the_first_of_a_name_wins() -> None:
    profiles = {name: profile(name, containers=[{**SIDECAR, "image": name}, {"name": name}]) for name in ("p", "q")}
    asked = request(_role({"profileName": "q"}, USES), profiles=profiles)
    assert container_names(_template(asked)) == ["main", "sidecar", "q", "p"]
    assert _template(asked)["spec"]["containers"][1]["image"] == "q"


def test_env_and_args_of_an_override_are_appended_and_nothing_else_of_it_counts() -> None:
    given = profile("p", containers=[{**SIDECAR, "args": ["-a"], "env": [{"name": "A", "value": "1"}]}])
    override = {"name": "sidecar", "image": "x", "args": ["-b"], "env": [{"name": "B", "value": "2"}]}
    built = _template(request(_role({**USES, "containers": [override]}), profiles={"p": given}))
    sidecar = built["spec"]["containers"][1]
    assert (sidecar["image"], sidecar["args"]) == ("sidecar:1", ["-a", "-b"])
    assert variables(built, 1)[-2:] == ["A", "B"]


def test_an_override_of_what_the_profile_does_not_declare_changes_nothing() -> None:
    override = [{"name": "main", "args": ["-b"]}, {"name": "init", "args": ["-b"]}]
    given = profile("p", containers=[SIDECAR], initContainers=[{"name": "init"}])
    built = _template(request(_role({**USES, "containers": override}), profiles={"p": given}))
    assert "-b" not in str(built)


def test_only_the_containers_that_the_role_chooses_are_added() -> None:
    given = profile("p", containers=[SIDECAR, {"name": "other"}], initContainers=[{"name": "init"}])
    built = _template(request(_role({**USES, "injectContainers": ["other"]}), profiles={"p": given}))
    assert container_names(built) == ["main", "other"]
    assert container_names(built, "initContainers") == ["init"]


def test_workers_get_no_sidecars() -> None:
    pattern = {"size": 2, "template": template()}
    asked = {"name": "a", "engineRuntimes": [USES], "leaderWorkerPattern": pattern}
    leader, worker = components(request(asked, profiles=OLD))
    assert container_names(leader["template"]) == ["main", "sidecar"]
    assert container_names(worker["template"]) == ["main"]
    asked["annotations"] = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET}
    first, second = leader_worker(request(asked, profiles=OLD))
    assert (container_names(first), container_names(second)) == (["main", "sidecar"], ["main"])


def test_a_role_that_wants_what_there_is_not_is_a_fault_until_it_is_there() -> None:
    missing = fault(request(_role(USES)))
    assert str(missing) == "engine runtime profile p does not exist; create it, or correct engineRuntimes"
    chosen = _role({**USES, "injectContainers": ["ghost"]})
    assert str(fault(request(chosen, profiles=OLD))) == (
        "engine runtime profile p has no container ghost; correct injectContainers"
    )
    assert fault(request(_role(USES), profiles=OLD)) is None


# Which content counts -------------------------------------------------------------------------------------------------


def test_an_edited_profile_of_rolling_update_changes_the_template() -> None:
    assert _images(request(_role(USES), profiles=ROLLING))["sidecar"] == "sidecar:1"
    assert _images(request(_role(USES), profiles=ROLLED))["sidecar"] == "sidecar:2"
    assert _written(request(_role(USES), profiles=ROLLING)) == ""


def test_an_edited_profile_of_no_update_changes_nothing_also_after_a_restart() -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    later = request(_role(USES), profiles=NEW, pinned=pinned)
    assert _images(later)["sidecar"] == "sidecar:1"
    assert _written(later) == pinned


def test_a_new_image_of_the_role_brings_no_new_content_of_the_profile() -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    later = request(_role(USES, image="engine:2"), profiles=NEW, pinned=pinned)
    assert _images(later) == {"main": "engine:2", "sidecar": "sidecar:1"}


@pytest.mark.parametrize("more", [{"injectContainers": ["sidecar"]}, {"containers": [{"name": "sidecar"}]}])
def test_a_role_that_asks_for_something_else_of_a_profile_gets_its_content_of_today(more: dict[str, Any]) -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    later = request(_role({**USES, **more}), profiles=NEW, pinned=pinned)
    assert _images(later)["sidecar"] == "sidecar:2"
    assert _written(later) not in ("", pinned)


def test_a_further_profile_of_the_role_leaves_the_first_one_pinned() -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    both = {**NEW, "q": profile("q", containers=[{"name": "other", "image": "other:1"}])}
    later = request(_role(USES, {"profileName": "q"}), profiles=both, pinned=pinned)
    assert _images(later) == {"main": "engine:1", "sidecar": "sidecar:1", "other": "other:1"}


def test_a_profile_that_becomes_rolling_rolls_and_is_pinned_no_more() -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    later = request(_role(USES), profiles=ROLLED, pinned=pinned)
    assert _images(later)["sidecar"] == "sidecar:2"
    assert _written(later) == ""


def test_a_pin_that_is_no_longer_wanted_leaves_the_workload_although_the_template_is_the_same() -> None:
    made = apply_set(request(_role(USES), profiles=OLD), None)
    assert made is not None
    live = decoded(RoleInstanceSet, made.body)
    pinned = live.metadata.annotations[labels.RUNTIME_PROFILES]
    assert apply_set(request(_role(USES), profiles=OLD, pinned=pinned), live) is None
    change = apply_set(request(_role(USES), profiles=ROLLING, pinned=pinned), live)
    assert change is not None
    assert labels.RUNTIME_PROFILES not in change.body["metadata"]["annotations"]
    assert change.body["spec"] == made.body["spec"]


def test_pinned_content_stays_in_force_when_its_profile_is_deleted() -> None:
    pinned = _written(request(_role(USES), profiles=OLD))
    later = request(_role(USES), pinned=pinned)
    assert _images(later)["sidecar"] == "sidecar:1"
    assert _written(later) == pinned


@pytest.mark.parametrize("forged", ["{", "[]", '{"p":1}', '{"p":{"asked":"x","content":{"containers":[1]}}}'])
def test_a_pin_that_cannot_be_read_counts_as_none(forged: str) -> None:
    assert _images(request(_role(USES), profiles=NEW, pinned=forged))["sidecar"] == "sidecar:2"


def test_a_set_of_upstream_is_pinned_to_the_content_of_today_and_its_template_stays() -> None:
    made = apply_set(request(_role(USES), profiles=OLD), None)
    assert made is not None
    metadata = {**made.body["metadata"], "annotations": {labels.ROLE_SIZE: "1", labels.INSTANCE_PATTERN: "Stateful"}}
    live = decoded(RoleInstanceSet, {**made.body, "metadata": metadata})
    taken = apply_set(request(_role(USES), profiles=OLD), live)
    assert taken is not None
    assert taken.inherit
    assert taken.body["spec"] == made.body["spec"]
    assert labels.RUNTIME_PROFILES in taken.body["metadata"]["annotations"]


def test_content_that_no_annotation_can_hold_is_a_fault() -> None:
    big = profile("p", containers=[{**SIDECAR, "args": ["x" * runtimes.PINNED_MAX]}])
    with pytest.raises(TemplateError, match="engine runtime profiles p are too large to be kept as they are"):
        components(request(_role(USES), profiles={"p": big}))
    rolling = profile("p", strategy="RollingUpdate", containers=[{**SIDECAR, "args": ["x" * runtimes.PINNED_MAX]}])
    assert fault(request(_role(USES), profiles={"p": rolling})) is None


# What is remembered ---------------------------------------------------------------------------------------------------


def test_a_role_is_rendered_once_until_a_profile_of_its_changes() -> None:
    first = request(_role(USES), profiles=ROLLING)
    again = request(_role(USES), profiles=ROLLING, rendered=first.rendered)
    assert components(first) is components(again)
    edited = request(_role(USES), profiles=ROLLED, rendered=first.rendered)
    assert _images(edited)["sidecar"] == "sidecar:2"
    assert _images(first)["sidecar"] == "sidecar:1", "the same rendering, asked again with what was before"


def test_a_request_changes_none_of_its_inputs() -> None:
    before = msgspec.json.encode([OLD["p"].spec.wire() if OLD["p"].spec else None])
    override = {**USES, "containers": [{"name": "sidecar", "args": ["-v"], "env": [{"name": "B", "value": "2"}]}]}
    for _ in range(2):
        built = _template(request(_role(override), profiles=OLD))
        assert built["spec"]["containers"][1]["args"] == ["-v"]
    assert msgspec.json.encode([OLD["p"].spec.wire() if OLD["p"].spec else None]) == before


# From the profile to the pods -----------------------------------------------------------------------------------------


def _profile(strategy: str, image: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "p"},
        "spec": {"updateStrategy": strategy, "containers": [{**SIDECAR, "image": image}]},
    }


def _group(image: str = "engine:1") -> dict[str, Any]:
    plain = {"name": "b", "replicas": 1, "standalonePattern": {"template": template()}}
    return group("llm", {**_role(USES, image=image), "replicas": 2}, plain)


def _running(world: World) -> dict[str, str]:
    """Image of each sidecar by pod."""
    return {
        pod.metadata.name: container["image"]
        for pod in world.all(Pod)
        for container in world.body(Pod, pod.metadata.name)["spec"]["containers"]
        if container["name"] == "sidecar"
    }


def _uids(world: World) -> dict[str, str]:
    return {pod.metadata.name: pod.uid for pod in world.all(Pod)}


def test_a_missing_profile_stops_its_role_alone_and_when_it_appears_the_role_starts() -> None:
    world = World()
    world.put(RoleBasedGroup, _group())
    world.settle()
    assert world.names(Pod) == ["llm-b-0"]
    conditions = world.body(RoleBasedGroup, "llm")["status"]["conditions"]
    (ready,) = (item for item in conditions if item["type"] == "Ready")
    assert "role a: engine runtime profile p does not exist" in ready["message"]
    assert len([note for note in world.notes if "profile p" in note.message]) == 1
    world.put(ClusterEngineRuntimeProfile, _profile("NoUpdate", "sidecar:1"), "")
    world.settle()
    assert _running(world) == {"llm-a-0": "sidecar:1", "llm-a-1": "sidecar:1"}


def test_an_edit_of_a_rolling_profile_rolls_the_pods_that_have_it_and_no_others() -> None:
    world = World()
    world.put(ClusterEngineRuntimeProfile, _profile("RollingUpdate", "sidecar:1"), "")
    world.put(RoleBasedGroup, _group())
    world.settle()
    before = _uids(world)
    world.put(ClusterEngineRuntimeProfile, _profile("RollingUpdate", "sidecar:2"), "")
    world.settle()
    assert _running(world) == {"llm-a-0": "sidecar:2", "llm-a-1": "sidecar:2"}
    assert {name for name, uid in _uids(world).items() if before[name] == uid} == {"llm-b-0"}


def test_an_edit_of_a_pinned_profile_costs_no_write_and_pods_made_later_have_the_old_content() -> None:
    world = World()
    world.put(ClusterEngineRuntimeProfile, _profile("NoUpdate", "sidecar:1"), "")
    world.put(RoleBasedGroup, _group())
    world.settle()
    world.writes.clear()
    world.put(ClusterEngineRuntimeProfile, _profile("NoUpdate", "sidecar:2"), "")
    world.settle()
    assert world.writes == []
    world.put(RoleBasedGroup, _group(image="engine:2"))
    world.settle()
    assert _running(world) == {"llm-a-0": "sidecar:1", "llm-a-1": "sidecar:1"}
    images = {world.body(Pod, name)["spec"]["containers"][0]["image"] for name in ("llm-a-0", "llm-a-1")}
    assert images == {"engine:2"}
