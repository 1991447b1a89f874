"""What the role reconciler adds to its planner: a look at the server, a memory, and words for refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rbgctrl.api import labels
from rbgctrl.api.core import ControllerRevision
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.client import ForbiddenError, Invalid, InvalidError, NotFoundError
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.plan.model import Patch
from rbgctrl.reconcilers import role
from rbgctrl.reconcilers.role import RoleReconciler
from rbgctrl.runtime.result import DONE
from unit.plan.sets import NAME, instance_set, stalled, uids
from unit.plan.world import World
from unit.reconcilers.test_reconcilers import Executor

KEY = Key("ml", NAME)


class Live:
    """The server's word about the set."""

    def __init__(self, answer: RoleInstanceSet | None) -> None:
        self.answer = answer
        self.asked = 0

    async def get(self, _: type[RoleInstanceSet], key: Key) -> RoleInstanceSet:
        self.asked += 1
        if self.answer is None:
            raise NotFoundError(404, "NotFound", f"{key} not found")
        return self.answer


def _reconciler(
    world: World, executor: Executor, live: Live | None = None, broken: dict[Key, Invalid] | None = None
) -> RoleReconciler:
    store = SimpleNamespace(invalid=(broken or {}).get)
    informers: Any = SimpleNamespace(sources=world.sources, sets=SimpleNamespace(store=store))
    return RoleReconciler(informers, executor, now=lambda: world.now, live=live or Live(None))  # type: ignore[arg-type]  # a stand-in


def _orphaned() -> World:
    world = World()
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    del world.body(RoleInstance, "engine-0")["metadata"]["ownerReferences"]
    return world


def _as_seen(world: World, **metadata: Any) -> RoleInstanceSet:
    (found,) = world.all(RoleInstanceSet)
    told = {"name": NAME, "namespace": "ml", "uid": found.uid, **metadata}
    return RoleInstanceSet(metadata=ObjectMeta(**told))


async def test_nothing_is_adopted_for_a_set_that_the_server_says_is_gone_replaced_or_going() -> None:
    world = _orphaned()
    gone = (None, _as_seen(world, uid="another"), _as_seen(world, deletion_timestamp="2026-11-22T12:00:00Z"))
    for answer in gone:
        executor, live = Executor(world), Live(answer)
        assert await _reconciler(world, executor, live).reconcile(KEY) == DONE
        assert live.asked == 1
        assert executor.plans == []


async def test_one_that_is_there_and_stays_adopts_and_asks_only_then() -> None:
    world = _orphaned()
    live = Live(_as_seen(world))
    reconciler = _reconciler(world, Executor(world), live)
    await reconciler.reconcile(KEY)
    (owner,) = world.body(RoleInstance, "engine-0")["metadata"]["ownerReferences"]
    assert owner["uid"] == world.body(RoleInstanceSet, NAME)["metadata"]["uid"]
    await reconciler.reconcile(KEY)
    assert live.asked == 1


async def test_a_revision_that_was_left_behind_is_asked_about_too() -> None:
    world = _orphaned()
    world.settle()
    name = world.body(RoleInstanceSet, NAME)["status"]["updateRevision"]
    del world.body(ControllerRevision, name)["metadata"]["ownerReferences"]
    live = Live(None)
    await _reconciler(world, Executor(world), live).reconcile(KEY)
    assert live.asked == 1
    assert "ownerReferences" not in world.body(ControllerRevision, name)["metadata"]


async def test_the_id_of_an_instance_that_is_gone_is_not_given_to_the_next_one() -> None:
    world = World()
    world.put(RoleInstanceSet, instance_set(1, stateless=True))
    reconciler = _reconciler(world, Executor(world))
    seen: set[str] = set()
    for _ in range(4):
        await reconciler.reconcile(KEY)
        (name,) = world.names(RoleInstance)
        assert name not in seen
        seen.add(name)
        await reconciler.reconcile(KEY)
        world.remove(RoleInstance, name)


async def test_what_is_remembered_goes_with_the_set() -> None:
    world = World()
    world.put(RoleInstanceSet, instance_set(1, stateless=True))
    reconciler = _reconciler(world, Executor(world))
    await reconciler.reconcile(KEY)
    await reconciler.reconcile(KEY)
    assert reconciler._seen
    world.body(RoleInstanceSet, NAME)["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    await reconciler.reconcile(KEY)
    assert not reconciler._seen


async def test_a_refusal_of_instances_is_written_down_and_still_raised_so_that_it_is_retried() -> None:
    world = World()
    world.put(RoleInstanceSet, instance_set(1))
    executor = Executor(world, ForbiddenError(403, "Forbidden", "exceeded quota: roleinstances=0"))
    with pytest.raises(ForbiddenError):
        await _reconciler(world, executor).reconcile(KEY)
    (condition,) = world.body(RoleInstanceSet, NAME)["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("FailedScale", "True")
    assert "exceeded quota" in condition["message"]


async def test_a_view_that_is_outdated_is_no_refusal() -> None:
    world = World()
    world.put(RoleInstanceSet, instance_set(1))
    executor = Executor(world, InvalidError(422, "Invalid", "the server rejected our request: test failed"))
    with pytest.raises(InvalidError):
        await _reconciler(world, executor).reconcile(KEY)
    assert len(executor.plans) == 1
    assert "status" not in world.body(RoleInstanceSet, NAME)


async def test_a_set_that_cannot_be_read_is_reported_once_until_it_changes() -> None:
    world = World()
    world.put(RoleInstanceSet, instance_set(1))
    world.settle()
    (found,) = world.all(RoleInstanceSet)
    broken = {KEY: Invalid(metadata=found.metadata, error="spec.replicas: must be an integer")}
    executor = Executor(world)
    reconciler = _reconciler(world, executor, broken=broken)
    before = uids(world)
    for _ in range(2):
        await reconciler.reconcile(KEY)
    (plan,) = executor.plans
    (action,) = plan.actions
    assert isinstance(action, Patch)
    assert "must be an integer" in stalled(world)
    assert uids(world) == before


@pytest.mark.parametrize(
    ("name", "owner", "woken"),
    [
        ("engine-0", "", True),
        ("engine-0", "engine", False),
        ("engine-0", "other", True),
        ("engine-00", "", False),
        ("engine", "", False),
        ("engine-bcdfg", "", False),
    ],
)
def test_who_holds_a_slot_without_being_the_sets_wakes_it(name: str, owner: str, woken: bool) -> None:
    reference = [{"kind": "RoleInstanceSet", "name": owner, "uid": "u", "controller": True}] if owner else []
    world = World()
    body = {"metadata": {"name": name, "ownerReferences": reference, "labels": {labels.ROLE_NAME: "x"}}}
    world.put(RoleInstance, {**body, "spec": {"components": []}})
    (item,) = world.all(RoleInstance)
    change = Change(type=ChangeType.DELETED, old=item, new=None)
    assert list(role._namesake(change)) == ([KEY] if woken else [])
