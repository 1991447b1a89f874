"""Which warmups a change wakes, and what becomes of refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rbgctrl.api import labels, names
from rbgctrl.api.core import Node, Pod, PodSpec
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.client import ConflictError, ForbiddenError, Invalid, InvalidError
from rbgctrl.graph.memory import Memory
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers import warmup
from rbgctrl.reconcilers.warmup import PLACED, WarmupReconciler
from rbgctrl.runtime.result import DONE, Result
from unit.plan.world import World

KEY = Key("ml", "w")
PRELOAD = {"imagePreload": {"images": ["a:1"]}}


class Executor:
    """Carries plans out on a world, or fails as told."""

    def __init__(self, world: World, *failures: Exception) -> None:
        self.world = world
        self.plans: list[Plan] = []
        self._failures = list(failures)

    async def apply(self, plan: Plan, _: Key) -> Result:
        self.plans.append(plan)
        if self._failures and not plan.empty:
            raise self._failures.pop(0)
        self.world.carry_out(plan)
        return Result(requeue_after=plan.requeue_after)


def reconciler(world: World, executor: Executor, broken: dict[Key, Invalid] | None = None) -> WarmupReconciler:
    store = SimpleNamespace(invalid=(broken or {}).get)
    informers: Any = SimpleNamespace(sources=world.sources, warmups=SimpleNamespace(store=store))
    return WarmupReconciler(informers, executor, now=lambda: world.now)  # type: ignore[arg-type]  # a stand-in


def put(world: World, name: str = "w", **spec: Any) -> None:
    world.put(RoleBasedGroupWarmup, {"metadata": {"name": name}, "spec": spec})


async def test_a_warmup_that_is_gone_needs_nothing() -> None:
    world = World()
    executor = Executor(world)
    assert await reconciler(world, executor).reconcile(KEY) == DONE
    assert executor.plans == []


async def test_a_refusal_is_written_down_and_tried_again_when_the_plan_says_so() -> None:
    world = World()
    put(world, targetNodes={"nodeNames": ["n1"], **PRELOAD})
    executor = Executor(world, ForbiddenError(403, "Forbidden", "exceeded quota: pods=0"))
    result = await reconciler(world, executor).reconcile(KEY)
    assert result.requeue_after == 1
    (condition,) = world.body(RoleBasedGroupWarmup, "w")["status"]["conditions"]
    assert (condition["reason"], "exceeded quota" in condition["message"]) == ("FailedCreatePod", True)
    await reconciler(world, executor).reconcile(KEY)
    assert world.names(Pod) == [names.warmup_pod("w", "n1", 0)]


@pytest.mark.parametrize("error", [ConflictError(409, "Conflict", ""), InvalidError(422, "Invalid", "")])
async def test_what_is_no_refusal_is_raised(error: Exception) -> None:
    world = World()
    put(world, targetNodes={"nodeNames": ["n1"], **PRELOAD})
    with pytest.raises(type(error)):
        await reconciler(world, Executor(world, error)).reconcile(KEY)


async def test_one_that_cannot_be_read_is_reported_once_until_it_changes() -> None:
    world = World()
    put(world, targetNodes={"nodeNames": ["n1"], **PRELOAD})
    world.body(RoleBasedGroupWarmup, "w")["metadata"]["uid"] = "u"
    metadata = ObjectMeta(name="w", namespace="ml", uid="u", generation=1)
    broken = {KEY: Invalid(metadata=metadata, error="spec.paused: must be a boolean")}
    executor = Executor(world)
    found = reconciler(world, executor, broken)
    await found.reconcile(KEY)
    await found.reconcile(KEY)
    assert len(executor.plans) == 1
    broken.clear()
    await found.reconcile(KEY)
    assert world.names(Pod), "mended"


# Wakes ----------------------------------------------------------------------------------------------------------------


def _store(world: World) -> Any:
    return Memory(world.all(RoleBasedGroupWarmup))


def _node(name: str, **carried: str) -> Node:
    return Node(metadata=ObjectMeta(name=name, labels=carried))


def _changed(old: Any, new: Any) -> Change[Any]:
    return Change(type=ChangeType.UPDATED, old=old, new=new)


def test_a_node_wakes_those_that_name_it_and_those_whose_selector_fits_or_did() -> None:
    world = World()
    put(world, "named", targetNodes={"nodeNames": ["n1", "n2"], **PRELOAD})
    put(world, "selects", targetNodes={"nodeSelector": {"pool": "gpu"}, **PRELOAD})
    put(world, "other", targetNodes={"nodeSelector": {"pool": "cpu"}, **PRELOAD})
    put(world, "group", targetRoleBasedGroup={"name": "n1", "roles": {"a": PRELOAD}})
    put(world, "over", targetNodes={"nodeNames": ["n1"], **PRELOAD})
    world.body(RoleBasedGroupWarmup, "over")["status"] = {"phase": "Completed"}
    of_node = warmup._of_node(_store(world))
    found = of_node(_changed(_node("n1", pool="gpu"), _node("n1")))
    assert {key.name for key in found} == {"named", "selects"}
    assert {key.name for key in of_node(_changed(None, _node("n9", pool="cpu")))} == {"other"}
    assert list(of_node(_changed(None, _node("n9", pool="fpga")))) == []


def test_a_pod_and_a_group_wake_those_that_target_the_group() -> None:
    world = World()
    put(world, "mine", targetRoleBasedGroup={"name": "llm", "roles": {"a": PRELOAD}})
    put(world, "theirs", targetRoleBasedGroup={"name": "chat", "roles": {"a": PRELOAD}})
    own = {labels.GROUP_NAME: "llm"}
    pod = Pod(metadata=ObjectMeta(name="llm-a-0", namespace="ml", labels=own))
    elsewhere = Pod(metadata=ObjectMeta(name="llm-a-0", namespace="other", labels=own))
    assert list(warmup._of_group_pod(_store(world))(_changed(None, pod))) == [Key("ml", "mine")]
    assert list(warmup._of_group_pod(_store(world))(_changed(None, elsewhere))) == []
    named = Pod(metadata=ObjectMeta(name="chat", namespace="ml"))
    assert list(warmup._of_group(_store(world))(_changed(None, named))) == [Key("ml", "theirs")]


def test_only_where_a_pod_is_and_whether_it_stays_counts() -> None:
    def pod(node: str = "", *, going: bool = False, **carried: str) -> Pod:
        gone = "2026-01-01T00:00:00Z" if going else None
        return Pod(metadata=ObjectMeta(name="p", deletion_timestamp=gone, labels=carried), spec=PodSpec(node_name=node))

    assert PLACED(_changed(None, pod()))
    assert PLACED(_changed(pod(), None))
    assert PLACED(_changed(pod(), pod("n1")))
    assert PLACED(_changed(pod("n1"), pod("n1", going=True)))
    assert not PLACED(_changed(pod("n1"), pod("n1", a="b")))
