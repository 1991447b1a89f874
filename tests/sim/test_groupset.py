"""Group sets under the whole daemon on the embedded cluster: what they promise on the real control plane, and more."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import pytest

from e2e import test_groupset as scenarios
from e2e.support.groups import V1ALPHA2, group, role
from e2e.test_groupset import GROUP, KIND, change, engine, group_set, images, ready, replace
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.sim import virtual
from sim.support import world

Scenario = Callable[..., Awaitable[None]]

ALL = {name: found for name, found in vars(scenarios).items() if name.startswith("test_")}
# What starts the daemon itself is for the real cluster.
ELSEWHERE = ("test_groups_that_upstream_made_are_taken_over_without_a_roll",)
SHARED: list[Scenario] = [found for name, found in ALL.items() if name not in ELSEWHERE]


def _promise(scenario: Scenario) -> str:
    return scenario.__name__.removeprefix("test_")


@pytest.mark.parametrize("scenario", SHARED, ids=_promise)
@virtual
async def test_what_holds_on_the_real_cluster_holds_here(scenario: Scenario) -> None:
    async with world() as w:
        await scenario(w.api, w.namespace)


def test_every_shared_scenario_can_be_run_here() -> None:
    assert all(list(inspect.signature(found).parameters) == ["api", "namespace"] for found in SHARED)


@virtual
async def test_a_settled_set_costs_no_write() -> None:
    async with world() as w:
        await w.api.create(group_set(w.namespace, 3, engine(1, 2)))
        await ready(w.api, w.namespace)
        await w.settle()
        before = w.writes()
        labelled = {"metadata": {"labels": {"team": "search"}, "annotations": {"seen": "yes"}}}
        await w.api.merge(V1ALPHA2, GROUP, "s-1", labelled, namespace=w.namespace)
        await change(w.api, w.namespace, metadata=labelled["metadata"])
        await w.sleep(24 * 3600)
        assert w.writes() == before


@virtual
async def test_at_no_moment_are_more_groups_changing_than_allowed() -> None:
    async with world() as w:
        manifest = group_set(w.namespace, 5, engine(1, 2))
        manifest["metadata"]["annotations"] = {labels.GROUPSET_MAX_UNAVAILABLE: "2"}
        await w.api.create(manifest)
        await ready(w.api, w.namespace)
        await w.settle()
        await replace(w.api, w.namespace, 5, engine(2, 2))
        for _ in range(4000):
            await w.sleep(0.05)
            found = await images(w.api, w.namespace)
            mixed = [name for name, versions in found.items() if versions not in ({"1"}, {"2"})]
            assert len(mixed) <= 2
            if all(versions == {"2"} for versions in found.values()):
                break
        await ready(w.api, w.namespace)
        assert set(map(frozenset, (await images(w.api, w.namespace)).values())) == {frozenset({"2"})}


@virtual
async def test_a_name_that_somebody_else_holds_is_a_condition_until_it_is_free() -> None:
    async with world() as w:
        await w.api.create(group("s-1", w.namespace, role("mine")))
        await w.api.create(group_set(w.namespace, 2, engine(1)))

        async def told() -> bool:
            found = await w.api.get(V1ALPHA2, KIND, "s", w.namespace)
            conditions = found.get("status", {}).get("conditions", ())
            return any(item["type"] == "Ready" and "s-1 exists" in item["message"] for item in conditions)

        await eventually(told, 30, what="the condition names the group")
        theirs = await w.api.get(V1ALPHA2, GROUP, "s-1", w.namespace)
        assert [item["name"] for item in theirs["spec"]["roles"]] == ["mine"]
        await w.sleep(3600)
        await w.api.delete(V1ALPHA2, GROUP, "s-1", w.namespace)
        await ready(w.api, w.namespace)


@virtual
async def test_a_group_that_is_deleted_by_hand_comes_back() -> None:
    async with world() as w:
        await w.api.create(group_set(w.namespace, 2, engine(1)))
        await ready(w.api, w.namespace)
        old = await w.api.get(V1ALPHA2, GROUP, "s-0", w.namespace)
        await w.api.delete(V1ALPHA2, GROUP, "s-0", w.namespace)

        async def back() -> bool:
            found = await w.api.find(V1ALPHA2, GROUP, "s-0", w.namespace)
            return found is not None and found["metadata"]["uid"] != old["metadata"]["uid"]

        await eventually(back, 30, what="the group is there again")
        await ready(w.api, w.namespace)
