from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rbgctrl.api.core import Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.client import Client, ForbiddenError, Invalid
from rbgctrl.plan.model import Patch, Plan
from rbgctrl.reconcilers import ReconcilerOptions, add_all
from rbgctrl.reconcilers.group import GroupReconciler
from rbgctrl.reconcilers.instance import InstanceReconciler
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import DONE, Result
from unit.plan.world import NOW, World, group, role

KEY = Key("ml", "llm")


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


class _Informer:
    """Only its identity counts."""


def _informers(world: World, broken: dict[Key, Invalid] | None = None) -> Any:
    store = SimpleNamespace(invalid=(broken or {}).get)
    groups = SimpleNamespace(store=store)
    return SimpleNamespace(sources=world.sources, groups=groups, instances=_Informer(), options=ReconcilerOptions())


def _broken(generation: int = 1) -> Invalid:
    metadata = ObjectMeta(name="llm", namespace="ml", uid="u", generation=generation)
    return Invalid(metadata=metadata, error="spec.roles.0.replicas: must be an integer")


async def test_a_group_that_is_gone_needs_nothing() -> None:
    world = World()
    executor = Executor(world)
    reconciler = GroupReconciler(_informers(world), executor, now=lambda: NOW)  # type: ignore[arg-type]  # a stand-in
    assert await reconciler.reconcile(KEY) == DONE
    assert executor.plans == []


async def test_an_undecodable_group_is_reported_once_until_it_changes_and_others_go_on() -> None:
    world = World()
    world.put(RoleBasedGroup, group("fine", role("a")))
    world.put(RoleBasedGroup, {"metadata": {"name": "llm"}})
    world.body(RoleBasedGroup, "llm")["metadata"]["uid"] = "u"
    broken = {KEY: _broken()}
    executor = Executor(world)
    reconciler = GroupReconciler(_informers(world, broken), executor, now=lambda: NOW)  # type: ignore[arg-type]  # same
    await reconciler.reconcile(KEY)
    await reconciler.reconcile(KEY)
    assert len(executor.plans) == 1
    (action,) = executor.plans[0].actions
    assert isinstance(action, Patch)
    assert "must be an integer" in str(action.body)
    await reconciler.reconcile(Key("ml", "fine"))
    assert world.names(RoleInstanceSet) == ["fine-a"]
    broken[KEY] = _broken(generation=2)
    await reconciler.reconcile(KEY)
    assert len(executor.plans) == 3, "a new generation is judged anew"


async def test_a_refusal_of_pods_is_written_down_and_still_raised_so_that_it_is_retried() -> None:
    world = World()
    world.put(RoleBasedGroup, group("llm", role("a")))
    world.settle(kubelet=False)
    world.remove(Pod, "llm-a-0")
    executor = Executor(world, ForbiddenError(403, "Forbidden", "exceeded quota: pods=0"))
    reconciler = InstanceReconciler(_informers(world), executor, now=lambda: world.now)  # type: ignore[arg-type]  # same
    with pytest.raises(ForbiddenError):
        await reconciler.reconcile(Key("ml", "llm-a-0"))
    conditions = {item["type"]: item for item in world.body(RoleInstance, "llm-a-0")["status"]["conditions"]}
    assert "exceeded quota" in conditions["FailedScale"]["message"]


def test_all_reconcilers_share_one_informer_of_each_kind() -> None:
    class Nowhere:
        async def close(self) -> None:
            return None

    manager = Manager(Client(Nowhere()))  # type: ignore[arg-type]  # nothing is sent
    add_all(manager)
    made = [(informer.kind.KIND.resource, informer.label_selector) for informer in manager.cache.informers()]
    assert len(made) == len(set(made))
    assert [kind for kind, _ in made].count("pods") == 3, "of instances, of other workloads, of warmups"


def test_without_deprecated_kinds_they_are_not_even_looked_at() -> None:
    class Nowhere:
        async def close(self) -> None:
            return None

    manager = Manager(Client(Nowhere()))  # type: ignore[arg-type]  # nothing is sent
    add_all(manager, ReconcilerOptions(deprecated_workload_types=False))
    read = {informer.kind.KIND.resource for informer in manager.cache.informers()}
    assert not read & {"deployments.apps", "statefulsets.apps", "leaderworkersets.leaderworkerset.x-k8s.io"}
