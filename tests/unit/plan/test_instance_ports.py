"""Ports for pods: none is given twice, none is forgotten, and the pods are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.api.instances import InstanceComponent, RoleInstance, RoleInstanceSet
from rbgctrl.plan.model import Create, Patch
from rbgctrl.plan.ports import PortRange, allocate, granted, role_ports

from .instances import (
    NAME,
    component,
    conditions,
    decide,
    environment,
    instance,
    message,
    of,
    owned,
    settle,
)
from .world import World

RANGE = PortRange(30000, 100)
HTTP = {"name": "http", "env": "HTTP_PORT", "annotationKey": "example.com/http"}


@pytest.fixture
def world() -> World:
    return World()


def _asking(name: str = "main", size: int = 1, **wanted: Any) -> dict[str, Any]:
    return component(name, size, PORT_ALLOCATOR=wanted or {"allocations": [HTTP]})


def _ports(world: World, name: str = NAME) -> dict[str, str]:
    found = world.body(RoleInstance, name)["metadata"]["annotations"]
    return {key: value for key, value in found.items() if "/" not in key}


@given(
    st.lists(st.text("abc", min_size=1, max_size=3), max_size=12),
    st.frozensets(st.integers(10, 25)),
    st.integers(1, 16),
    st.text(max_size=3),
)
def test_allocation_gives_every_key_a_free_port_of_the_range_or_says_that_there_is_none(
    keys: list[str], used: frozenset[int], size: int, seed: str
) -> None:
    span = PortRange(10, size)
    wanted = list(dict.fromkeys(keys))
    given_, exhausted = allocate(wanted, used, span, seed)
    assert sorted([*given_, *exhausted]) == sorted(wanted)
    assert len(set(given_.values())) == len(given_), "no two keys share one"
    assert not used.intersection(given_.values())
    assert all(10 <= port < 10 + size for port in given_.values())
    free = set(range(10, 10 + size)) - used
    assert len(given_) == min(len(free), len(wanted)), "as long as one is free it is given"
    assert allocate(wanted, used, span, seed) == (given_, exhausted)


def test_ports_are_written_on_the_instance_before_its_pods_are_created(world: World) -> None:
    world.put(RoleInstance, instance(_asking(size=2)))
    found = decide(world, ports=RANGE)
    _, second, third = found.steps
    (patch,) = second
    assert isinstance(patch, Patch)
    assert patch.uid == world.body(RoleInstance, NAME)["metadata"]["uid"]
    assert isinstance(patch.body, Mapping)
    written = patch.body["metadata"]["annotations"]
    assert set(written) == {f"{NAME}-main-0.http", f"{NAME}-main-1.http"}
    assert any(isinstance(action, Create) for action in third)
    assert granted(found.actions) == {int(value) for value in written.values()}


def test_a_pod_is_told_its_port_in_every_container_and_in_its_annotation(world: World) -> None:
    world.put(RoleInstance, instance(_asking()))
    settle(world, ports=RANGE)
    port = _ports(world)[f"{NAME}-main-0.http"]
    for field in ("containers", "initContainers"):
        assert environment(world, f"{NAME}-main-0", field)["HTTP_PORT"] == port
    assert world.body(Pod, f"{NAME}-main-0")["metadata"]["annotations"]["example.com/http"] == port
    assert decide(world, ports=RANGE).empty


def test_a_replaced_pod_keeps_its_port_and_a_recreated_instance_gives_it_back(world: World) -> None:
    world.put(RoleInstance, instance(_asking()))
    settle(world, ports=RANGE)
    before = _ports(world)
    world.remove(Pod, f"{NAME}-main-0")
    settle(world, ports=RANGE)
    assert _ports(world) == before
    assert environment(world, f"{NAME}-main-0")["HTTP_PORT"] == before[f"{NAME}-main-0.http"]
    world.remove(RoleInstance, NAME)
    world.put(RoleInstance, instance(_asking()))
    settle(world, ports=PortRange(int(before[f"{NAME}-main-0.http"]), 1))
    assert _ports(world) == before, "the only port there is could be given again"


def test_a_port_in_use_is_never_given(world: World) -> None:
    used = set(range(30000, 30100)) - {30042}
    world.put(RoleInstance, instance(_asking()))
    settle(world, ports=RANGE, used=used)
    assert list(_ports(world).values()) == ["30042"]


def test_an_exhausted_range_is_a_condition_that_heals_when_a_port_is_given_back(world: World) -> None:
    world.put(RoleInstance, instance(_asking(size=2), component("other")))
    settle(world, ports=PortRange(30000, 1))
    assert sorted(world.names(Pod)) == [f"{NAME}-main-0", f"{NAME}-other-0"], "the others are created"
    found = conditions(world)["FailedScale"]
    assert found["reason"] == "FailedCreate"
    assert f"no port of 30000 to 30000 is free for {NAME}-main-1.http" in found["message"]
    assert [note.message for note in world.notes if note.reason == "FailedCreate"] == [found["message"]]
    assert decide(world, ports=PortRange(30000, 1)).requeue_after == 30
    settle(world, ports=PortRange(30000, 2))
    assert "FailedScale" not in conditions(world)
    assert sorted(_ports(world).values()) == ["30000", "30001"]


def test_with_the_allocator_off_pods_run_without_ports_and_a_condition_says_so(world: World) -> None:
    world.put(RoleInstance, instance(_asking()))
    settle(world)
    assert conditions(world)["RoleInstanceReady"]["status"] == "True"
    assert "HTTP_PORT" not in environment(world, f"{NAME}-main-0")
    assert conditions(world)["InvalidComponents"]["reason"] == "PortAllocation"
    assert "--enable-port-allocator" in message(world, "InvalidComponents")


def test_with_the_allocator_off_ports_from_before_are_still_told(world: World) -> None:
    world.put(RoleInstance, instance(_asking(), annotations={f"{NAME}-main-0.http": "31000"}))
    settle(world)
    assert environment(world, f"{NAME}-main-0")["HTTP_PORT"] == "31000"
    assert "InvalidComponents" not in conditions(world)


def test_references_lead_to_the_first_pod_of_a_sibling(world: World) -> None:
    refer: dict[str, Any] = {"references": [{"env": "PEER_PORT", "from": "engine.leader.http"}]}
    world.put(RoleInstance, instance(_asking("leader"), _asking("worker", 2, **refer)))
    settle(world, ports=RANGE)
    port = _ports(world)[f"{NAME}-leader-0.http"]
    assert environment(world, f"{NAME}-worker-1")["PEER_PORT"] == port


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"references": [{"env": "P", "from": "leader.http"}]}, "is not <role>.<component>.<port>"),
        ({"references": [{"env": "P", "from": "engine.boss.http"}]}, "a port of boss, which is no component"),
        ({"references": [{"env": "P", "from": "engine.leader.grpc"}]}, "leader has no such port"),
        ({"allocations": [{"env": "P"}]}, "missing required field `name`"),
    ],
    ids=["malformed", "unknown component", "unknown port", "no name"],
)
def test_what_cannot_be_told_is_a_condition_and_holds_back_that_component_only(
    world: World, wanted: dict[str, Any], said: str
) -> None:
    world.put(RoleInstance, instance(_asking("leader"), _asking("worker", **wanted)))
    settle(world, ports=RANGE)
    assert world.names(Pod) == [f"{NAME}-leader-0"]
    assert said in message(world, "InvalidComponents")
    assert conditions(world)["InvalidComponents"]["reason"] == "PortAllocation"
    assert len([note for note in world.notes if note.reason == "InvalidComponents"]) == 1
    assert decide(world, ports=RANGE).empty


# Ports that a role shares ---------------------------------------------------------------------------------------------

SHARED: dict[str, Any] = {"allocations": [{"name": "rdv", "env": "RDV_PORT", "scope": "RoleScoped"}]}


def test_a_port_of_the_role_is_read_from_the_set_and_waited_for(world: World) -> None:
    world.put(RoleInstance, owned(world, instance(_asking(**SHARED))))
    settle(world, ports=RANGE)
    assert world.names(Pod) == []
    assert "port rdv of component main is not allocated: there is no annotation main.rdv" in message(
        world, "InvalidComponents"
    )
    world.body(RoleInstanceSet, "llm-engine")["metadata"]["annotations"] = {"main.rdv": "30007"}
    settle(world, ports=RANGE)
    assert environment(world, f"{NAME}-main-0")["RDV_PORT"] == "30007"
    assert _ports(world) == {}, "the set's port is not the instance's"


def test_an_instance_of_no_set_holds_the_port_that_its_pods_share(world: World) -> None:
    world.put(RoleInstance, instance(_asking(size=2, **SHARED)))
    settle(world, ports=RANGE)
    assert list(_ports(world)) == ["main.rdv"]
    told = {environment(world, name)["RDV_PORT"] for name in world.names(Pod)}
    assert told == set(_ports(world).values())


def _declared(*bodies: dict[str, Any]) -> list[InstanceComponent]:
    return [msgspec.convert({**body, "template": msgspec.Raw(b"{}")}, InstanceComponent) for body in bodies]


def test_ports_of_a_role_are_kept_and_new_ones_avoid_what_is_used() -> None:
    components = _declared(_asking(**SHARED), _asking("other", **SHARED), component("plain"))
    found = role_ports(components, {"main.rdv": "30001", "a/b": "c"}, {30001, 30000}, PortRange(30000, 3), "uid")
    assert dict(found.annotations) == {"main.rdv": "30001", "other.rdv": "30002"}
    assert found.exhausted == ()
    full = role_ports(components, {}, {30000}, PortRange(30000, 1), "uid")
    assert full.exhausted == ("main.rdv", "other.rdv")
    off = role_ports(components, {"main.rdv": "30001"}, (), None, "uid")
    assert dict(off.annotations) == {"main.rdv": "30001"}


def test_a_port_request_of_a_role_that_cannot_be_read_is_a_fault_of_its_component() -> None:
    broken = component("main")
    broken["annotations"] = {labels.PORT_ALLOCATOR: "{"}
    found = role_ports(_declared(broken, _asking("other", **SHARED)), {}, (), RANGE, "uid")
    assert list(found.faults) == ["main"]
    assert list(found.annotations) == ["other.rdv"]


def test_only_missing_pods_get_new_ports(world: World) -> None:
    world.put(RoleInstance, instance(component()))
    settle(world)
    world.put(RoleInstance, instance(_asking()))
    world.body(RoleInstance, NAME)["metadata"]["annotations"] = {}
    assert of(decide(world, ports=RANGE), Patch, RoleInstance) == [NAME], "the status only, until its pod is gone"
    assert not granted(decide(world, ports=RANGE).actions)
