"""What wakes a group set, and what becomes of refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupStatus, RoleStatus
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Condition, Key, ObjectMeta
from rbgctrl.client import ForbiddenError, Invalid
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.plan.model import Plan
from rbgctrl.reconcilers import groupset
from rbgctrl.reconcilers.groupset import VERDICT, GroupSetReconciler
from rbgctrl.runtime.result import DONE, Result
from unit.plan.world import World, role

KEY = Key("ml", "s")
MANIFEST = {"metadata": {"name": "s"}, "spec": {"replicas": 1, "groupTemplate": {"spec": {"roles": [role("a")]}}}}


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


def reconciler(world: World, executor: Executor, broken: dict[Key, Invalid] | None = None) -> GroupSetReconciler:
    store = SimpleNamespace(invalid=(broken or {}).get)
    informers: Any = SimpleNamespace(sources=world.sources, group_sets=SimpleNamespace(store=store))
    return GroupSetReconciler(informers, executor, now=lambda: world.now)  # type: ignore[arg-type]  # a stand-in


async def test_a_set_that_is_gone_needs_nothing() -> None:
    world = World()
    executor = Executor(world)
    assert await reconciler(world, executor).reconcile(KEY) == DONE
    assert executor.plans == []


async def test_a_refusal_is_written_down_and_raised_so_that_it_is_retried() -> None:
    world = World()
    world.put(RoleBasedGroupSet, MANIFEST)
    executor = Executor(world, ForbiddenError(403, "Forbidden", "denied the request"))
    with pytest.raises(ForbiddenError):
        await reconciler(world, executor).reconcile(KEY)
    conditions = {item["type"]: item for item in world.body(RoleBasedGroupSet, "s")["status"]["conditions"]}
    assert (conditions["Ready"]["reason"], "denied" in conditions["Ready"]["message"]) == ("Refused", True)
    await reconciler(world, executor).reconcile(KEY)
    assert world.names(RoleBasedGroup) == ["s-0"]


async def test_one_that_cannot_be_read_is_reported_once_until_it_changes() -> None:
    world = World()
    world.put(RoleBasedGroupSet, MANIFEST)
    world.body(RoleBasedGroupSet, "s")["metadata"]["uid"] = "u"
    metadata = ObjectMeta(name="s", namespace="ml", uid="u", generation=1)
    executor = Executor(world)
    broken = {KEY: Invalid(metadata=metadata, error="spec.replicas: must be an integer")}
    found = reconciler(world, executor, broken)
    await found.reconcile(KEY)
    await found.reconcile(KEY)
    assert len(executor.plans) == 1
    assert world.names(RoleBasedGroup) == []


def _group(name: str = "s-1", status: RoleBasedGroupStatus | None = None) -> RoleBasedGroup:
    return RoleBasedGroup(metadata=ObjectMeta(name=name, namespace="ml"), status=status)


def _changed(old: Any, new: Any) -> Change[Any]:
    return Change(type=ChangeType.UPDATED, old=old, new=new)


def test_a_group_wakes_the_set_whose_name_it_bears_whoever_owns_it() -> None:
    informers: Any = SimpleNamespace(group_sets=SimpleNamespace(store={KEY}))
    by_name = groupset._by_name(informers)
    assert list(by_name(_changed(None, _group()))) == [KEY]
    assert list(by_name(_changed(_group("other-1"), None))) == []


def test_a_groups_conditions_count_and_its_counters_do_not() -> None:
    ready = Condition(type="Ready", status="True")
    status = RoleBasedGroupStatus(observed_generation=1, conditions=(ready,))
    counted = msgspec.structs.replace(status, role_statuses=(RoleStatus(name="a", replicas=1),))
    assert not VERDICT(_changed(_group(status=status), _group(status=counted)))
    assert VERDICT(_changed(_group(status=status), _group(status=msgspec.structs.replace(status, conditions=()))))
    assert VERDICT(_changed(_group(), _group(status=status)))
    broken = Invalid(metadata=ObjectMeta(name="s-1", namespace="ml"), error="spec")
    assert VERDICT(_changed(_group(status=status), broken))
