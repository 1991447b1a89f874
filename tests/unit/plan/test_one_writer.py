"""The table of docs/design/0004-one-writer-per-field.md against what planners do."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rbgctrl.api import labels
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ControllerRevision, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.graph import adapters, groupsets, view, warmups
from rbgctrl.plan import adapter as adapter_plan
from rbgctrl.plan import group as group_plan
from rbgctrl.plan import groupset as groupset_plan
from rbgctrl.plan import instance as instance_plan
from rbgctrl.plan import role as role_plan
from rbgctrl.plan import warmup as warmup_plan
from rbgctrl.plan.model import Action, Apply, Create, Delete, Patch, PatchType, Plan
from rbgctrl.plan.ports import PortRange

from . import instances, sets
from .world import World, group, role

DOCUMENT = Path(__file__).parents[3] / "docs" / "design" / "0004-one-writer-per-field.md"
PLANNERS = {
    "adapter": adapter_plan,
    "group": group_plan,
    "groupset": groupset_plan,
    "role": role_plan,
    "instance": instance_plan,
    "warmup": warmup_plan,
}
ENTRIES = {
    "adapter": ("adapter", "refused"),
    "group": ("group", "refused", "unreadable"),
    "groupset": ("group_set", "refused", "unreadable"),
    "role": ("refused", "role", "unreadable"),
    "instance": ("instance", "refused"),
    "warmup": ("refused", "unreadable", "warmup"),
}
EXISTENCE = "existence"


class Row(NamedTuple):
    """Who may write what; ``field`` stands for everything below it, too."""

    kind: str
    field: str
    writer: str


class Write(NamedTuple):
    """What a planner wrote."""

    planner: str
    kind: str
    field: str


def rows() -> tuple[Row, ...]:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = lines.index("| Kind | Field | Writer | How |") + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        kind, field, writer, _ = (cell.strip() for cell in line.strip("|").split("|"))
        found.append(Row(kind, field, writer))
    return tuple(found)


def below(field: str, other: str) -> bool:
    """Whether ``field`` is ``other`` or part of it."""
    return field == other or field.startswith((f"{other}.", f"{other}["))


def covering(table: Iterable[Row], kind: str, field: str) -> list[Row]:
    """The rows about a field, the narrowest first; ``<...>`` in a row stands for any name."""
    found = [row for row in table if row.kind == kind and below(field, row.field)]
    named = [row for row in table if row.kind == kind and "<" in row.field and _pattern(row.field).fullmatch(field)]
    return [*named, *sorted(found, key=lambda row: -len(row.field))]


def _pattern(field: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, re.split(r"<[a-z]+>", field))))


# What an action writes ------------------------------------------------------------------------------------------------


def fields(action: Action) -> Iterator[str]:
    match action:
        case Delete():
            yield EXISTENCE
        case Create(body=body) | Apply(body=body, uid=""):
            yield EXISTENCE
            yield from _named(body)
        case Apply(body=body):
            yield from _named(body)
        case Patch(body=tuple() as operations, type=PatchType.JSON):
            for operation in operations:
                if operation["op"] != "test":
                    yield re.sub(r"\.\d+", "[]", operation["path"].strip("/").replace("/", "."))
        case Patch(body=Mapping() as body, type=PatchType.STRATEGIC):
            assert set(body) == {"status"}
            for condition in body["status"]["conditions"]:
                yield f"status.conditions[{condition['type']}]"
        case Patch(body=Mapping() as body, subresource="status"):
            yield from body
        case Patch(body=Mapping() as body, subresource=""):
            yield from _paths(body)
        case _:
            raise AssertionError(f"teach this test to read {action}")


def _named(body: Mapping[str, Any]) -> Iterator[str]:
    for field, value in body.items():
        if field == "spec" and isinstance(value, Mapping) and value:
            yield from (f"spec.{part}" for part in value)
        elif field not in ("apiVersion", "kind"):
            yield field


def _paths(body: Mapping[str, Any]) -> Iterator[str]:
    for field, value in body.items():
        if field != "metadata":
            yield from _leaves(field, value)
            continue
        for part, entries in value.items():
            if isinstance(entries, Mapping):
                yield from (f"metadata.{part}[{key}]" for key in entries)
            elif part != "resourceVersion":  # a fence
                yield f"metadata.{part}"


def _leaves(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield path
        return
    for field, item in value.items():
        yield from _leaves(f"{path}.{field}", item)


def kind_of(action: Action, node: Any) -> str:
    """The kind; that of a revision, and of the pod of a warmup, with that of its owner."""
    name = action.kind.KIND.kind
    if isinstance(node, warmups.WarmupNode) and action.kind is Pod:
        return f"{name} of {node.warmup.KIND.kind}"
    if action.kind is not ControllerRevision:
        return name
    if isinstance(action, Create):
        (owner,) = action.body["metadata"]["ownerReferences"]
        return f"{name} of {owner['kind']}"
    controller = next(item for item in node.revisions if item.key == action.key).metadata.controller()
    return f"{name} of {controller.kind}"


# Scenarios ------------------------------------------------------------------------------------------------------------


def birth() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("prefill", 2), role("decode", 1, "prefill")))
    world.settle(kubelet=False)
    world.settle()


def scaling_and_removing_roles() -> None:
    world = _settled(role("a", 3), role("b"))
    world.put(RoleBasedGroup, group("llm", role("a", 1)))
    world.settle()


def templates_forth_and_back() -> None:
    world = World()
    for image in ("engine:1", "engine:2", "engine:1"):
        world.put(RoleBasedGroup, group("llm", role("a", image=image)))
        world.settle()


def a_long_history() -> None:
    world = _settled(role("a"))
    instance = world.body(RoleInstance, "llm-a-0")
    for version in range(13):
        world.put(RoleBasedGroup, group("llm", role("a", image=f"engine:{version}")))
        component = {**instance["spec"]["components"][0], "serviceName": f"service-{version % 8}"}
        world.put(RoleInstance, {**instance, "spec": {**instance["spec"], "components": [component]}})
        world.settle()


def pods_fail_and_lose_readiness() -> None:
    world = _settled(role("a", 2))
    world.pod_fails("llm-a-0")
    world.settle()
    world.containers_ready("llm-a-1", ready=False)
    world.settle()
    world.remove(Pod, "llm-a-0")
    world.settle()


def an_instance_of_two_pods_loses_one() -> None:
    world = World()
    template = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
    spec = {"components": [{"name": "main", "size": 2, "template": template}]}
    world.put(RoleInstance, {"metadata": {"name": "pair"}, "spec": spec})
    world.settle()
    world.containers_ready("pair-main-1", ready=False)
    world.settle()


def instances_that_hold_ports_and_return_to_their_nodes() -> None:
    world = World()
    asked = {labels.INPLACE_SCHEDULING: "Required"}
    ports: dict[str, Any] = {"PORT_ALLOCATOR": {"allocations": [{"name": "http", "env": "PORT"}]}}
    made = instances.instance(instances.component(**ports), name="mine", annotations=asked)
    world.put(RoleInstance, made)
    world.put(RoleInstance, instances.owned(world, instances.instance(annotations=asked)))
    instances.settle(world, ports=PortRange(30000, 10))
    world.put(RoleInstance, {**made, "spec": {"components": [*made["spec"]["components"], instances.component("b")]}})
    instances.settle(world, ports=PortRange(30000, 10))


def faults() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a", 1, "b"), role("b", 1, "a")))
    world.put(RoleBasedGroup, group("odd", role("a"), {"name": "b", "leaderWorkerPattern": {"size": 2}}))
    world.put(RoleBasedGroup, {"metadata": {"name": "empty"}})
    world.settle()
    group_plan.unreadable(ObjectMeta(name="broken", namespace="ml", uid="u"), "spec: must be an object", world.now)


def names_taken_by_others() -> None:
    world = World()
    nothing: dict[str, Any] = {"components": []}
    world.put(
        RoleInstanceSet, {"metadata": {"name": "llm-a"}, "spec": {"replicas": 0, "roleInstanceTemplate": nothing}}
    )
    world.put(RoleInstance, {"metadata": {"name": "llm-b-0"}, "spec": nothing})
    world.put(Pod, {"metadata": {"name": "llm-c-0"}, "spec": {}})
    world.put(RoleBasedGroup, group("llm", role("a"), role("b"), role("c")))
    world.settle()


def a_role_is_scaled_by_its_adapter() -> None:
    world = _settled(role("a", scalingAdapter={"enable": True}))
    adapter = world.body(RoleBasedGroupScalingAdapter, "llm-a")
    adapter["spec"]["replicas"] = 3
    world.settle()
    adapter["metadata"]["labels"]["extra"] = "1"
    adapter["spec"]["scaleTargetRef"]["role"] = "b"
    world.shelves[RoleBasedGroupScalingAdapter].decoded.clear()
    world.settle()
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle()
    assert world.names(RoleBasedGroupScalingAdapter) == []
    target = {"scaleTargetRef": {"name": "llm", "role": "a"}}
    world.put(RoleBasedGroupScalingAdapter, {"metadata": {"name": "mine"}, "spec": target})
    world.settle()
    node = adapters.adapter(world.sources, Key("ml", "mine"))
    assert node is not None
    adapter_plan.refused(node, "denied")


def a_refused_pod() -> None:
    world = _settled(role("a"))
    node = view.instance(world.sources, Key("ml", "llm-a-0"))
    assert node is not None
    assert not instance_plan.refused(node, world.now, "exceeded quota").empty


def sets_made_by_hand() -> None:
    world = World()
    hook: dict[str, Any] = {"lifecycle": {"preDelete": {"labelsHandler": {"app": "engine"}}}}
    world.put(RoleInstanceSet, sets.instance_set(3, stateless=True))
    world.settle()
    world.put(RoleInstanceSet, sets.instance_set(3, stateless=True, image="engine:2"))
    world.settle()
    listed = {"roleInstanceToDelete": world.names(RoleInstance)[:1]}
    world.put(RoleInstanceSet, sets.instance_set(2, stateless=True, image="engine:2", scaleStrategy=listed))
    world.settle()
    world.put(RoleInstanceSet, sets.instance_set(1, stateless=True, image="engine:2", **hook))
    world.settle()
    world = World()
    world.put(RoleInstanceSet, sets.instance_set(2))
    world.settle()
    del world.body(RoleInstance, "engine-0")["metadata"]["ownerReferences"]
    world.body(RoleInstance, "engine-1")["metadata"]["labels"]["app"] = "other"
    world.settle()
    node = view.role(world.sources, Key("ml", "engine"))
    assert node is not None
    assert not role_plan.refused(node, world.now, "exceeded quota").empty
    role_plan.unreadable(ObjectMeta(name="broken", namespace="ml", uid="u"), "spec: must be an object", world.now)


def hands_that_meddle() -> None:
    world = _settled(role("a"))
    for kind in world.shelves:
        for name in world.names(kind):
            if kind is not RoleBasedGroup and name in world.names(kind):
                world.remove(kind, name)
                world.settle()


def workloads_of_other_projects() -> None:
    kinds = (labels.WORKLOAD_TYPE_DEPLOYMENT, labels.WORKLOAD_TYPE_STATEFUL_SET, labels.WORKLOAD_TYPE_LEADER_WORKER_SET)
    world = World()
    for image in ("engine:1", "engine:2"):
        roles = [
            role(f"r{number}", image=image, annotations={labels.ROLE_WORKLOAD_TYPE: kind})
            for number, kind in enumerate(kinds)
        ]
        pod = roles[2].pop("standalonePattern")["template"]
        roles[2]["leaderWorkerPattern"] = {"size": 2, "template": pod}
        world.put(RoleBasedGroup, group("llm", *roles))
        world.settle()
    world.put(RoleBasedGroup, group("llm", role("r0"), role("r1")))
    world.settle()


def a_gang_and_a_refusal() -> None:
    world = World()
    body = group("llm", role("a"))
    body["metadata"]["annotations"] = {labels.GROUP_GANG_SCHEDULING: "true"}
    world.put(RoleBasedGroup, body)
    world.settle()
    node = view.group(world.sources, Key("ml", "llm"), deep=True)
    assert node is not None
    group_plan.refused(node, world.now, "exceeded quota")
    del world.body(RoleBasedGroup, "llm")["metadata"]["annotations"][labels.GROUP_GANG_SCHEDULING]
    world.settle()


def groups_of_a_set() -> None:
    world = World()
    base = {"name": "base", "template": {"spec": {"containers": [{"name": "main", "image": "base:1"}]}}}
    user = {"name": "a", "replicas": 1, "standalonePattern": {"templateRef": {"name": "base", "patch": {}}}}
    template = {"spec": {"roles": [user], "roleTemplates": [base]}}
    for replicas, carried in ((2, {}), (1, {"team": "search"})):
        spec = {"replicas": replicas, "groupTemplate": {**template, "labels": carried}}
        world.put(RoleBasedGroupSet, {"metadata": {"name": "s"}, "spec": spec})
        world.settle()
    node = groupsets.group_set(world.sources, Key("ml", "s"))
    assert node is not None
    groupset_plan.refused(node, world.now, "denied")
    groupset_plan.unreadable(ObjectMeta(name="broken", namespace="ml", uid="u"), "spec: must be an object", world.now)


def a_warmup_from_its_start_to_its_end() -> None:
    world = World()
    target = {"nodeNames": ["node-1"], "imagePreload": {"images": ["engine:1"]}}
    policies = {"globalTimeoutSeconds": 10, "ttlSecondsAfterFinished": 10}
    world.put(RoleBasedGroupWarmup, {"metadata": {"name": "w"}, "spec": {"targetNodes": target, "policies": policies}})
    world.settle(kubelet=False)
    node = warmups.warmup(world.sources, Key("ml", "w"))
    assert node is not None
    warmup_plan.refused(node, world.now, "exceeded quota")
    for _ in range(2):
        world.pass_time(10)
        world.settle(kubelet=False)
    assert world.names(RoleBasedGroupWarmup) == []
    warmup_plan.unreadable(ObjectMeta(name="broken", namespace="ml", uid="u"), "spec: must be an object", world.now)


def the_end() -> None:
    world = _settled(role("a"))
    for kind in world.shelves:
        for name in world.names(kind):
            world.body(kind, name)["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert all(plan.empty for plan in world.plan_all())


def _settled(*roles: Mapping[str, Any]) -> World:
    world = World()
    world.put(RoleBasedGroup, group("llm", *roles))
    world.settle()
    return world


SCENARIOS: tuple[Callable[[], None], ...] = (
    birth,
    scaling_and_removing_roles,
    templates_forth_and_back,
    a_long_history,
    pods_fail_and_lose_readiness,
    an_instance_of_two_pods_loses_one,
    instances_that_hold_ports_and_return_to_their_nodes,
    faults,
    names_taken_by_others,
    a_role_is_scaled_by_its_adapter,
    a_refused_pod,
    sets_made_by_hand,
    hands_that_meddle,
    workloads_of_other_projects,
    a_gang_and_a_refusal,
    groups_of_a_set,
    a_warmup_from_its_start_to_its_end,
    the_end,
)


@functools.cache
def writes(scenario: Callable[[], None]) -> frozenset[Write]:
    """Everything planners asked for in a scenario, with the planner that did."""
    seen: set[Write] = set()

    def witnessed(planner: str, decide: Callable[..., Plan]) -> Callable[..., Plan]:
        def wrapped(node: Any, *rest: Any) -> Plan:
            found = decide(node, *rest)
            seen.update(
                Write(planner, kind_of(action, node), field) for action in found.actions for field in fields(action)
            )
            return found

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for planner, module in PLANNERS.items():
            for entry in ENTRIES[planner]:
                patch.setattr(module, entry, witnessed(planner, getattr(module, entry)))
        scenario()
    return frozenset(seen)


# The promises ---------------------------------------------------------------------------------------------------------


def test_the_table_gives_no_field_twice() -> None:
    table = rows()
    assert len(table) > 30
    for row in table:
        assert [other for other in table if (other.kind, other.field) == (row.kind, row.field)] == [row]
        assert len([other for other in table if other.kind == row.kind and below(row.field, other.field)]) <= 2


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_planner_writes_only_what_the_table_gives_it(scenario: Callable[[], None]) -> None:
    table = rows()
    for write in sorted(writes(scenario)):
        owner = next((row.writer for row in covering(table, write.kind, write.field)), None)
        assert owner == write.planner, write


def test_a_planner_writes_everything_the_table_gives_it() -> None:
    seen = {write for scenario in SCENARIOS for write in writes(scenario)}
    table = rows()
    written = {covering(table, write.kind, write.field)[0] for write in seen}
    for row in table:
        if row.writer in PLANNERS:
            assert row in written, row


def test_every_entry_of_a_planner_is_witnessed() -> None:
    for planner, module in PLANNERS.items():
        public = {name for name in module.__all__ if _makes_a_plan(getattr(module, name))}
        assert public == set(ENTRIES[planner])


def _makes_a_plan(found: Any) -> bool:
    return getattr(found, "__annotations__", {}).get("return") == "Plan"
