"""Group sets under the whole daemon on the embedded cluster: what they promise on the real control plane, and more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.support.groups import V1ALPHA2, group, role
from e2e.test_groupset import GROUP, KIND, change, engine, group_set, images, ready, replace
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.sim import virtual
from rbgctrl.sim.crash import Case, Cases, Run, Scenario, crashes, explore, stale_restarts
from rbgctrl.sim.world import World
from sim.support import world


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


# A process may die at any write ---------------------------------------------------------------------------------------


async def _roll_and_shrink(w: World) -> None:
    for replicas, version in ((2, 1), (2, 2), (1, 2)):
        manifest = group_set("default", replicas, engine(version))
        manifest["metadata"]["annotations"] = {labels.GROUPSET_MAX_UNAVAILABLE: "1"}
        await w.apply(manifest, RoleBasedGroupSet)
        await w.until(lambda wanted=manifest: _arrived(w, wanted))  # type: ignore[misc]  # a default binds it


def _arrived(w: World, wanted: dict[str, Any]) -> bool:
    spec = wanted["spec"]
    image = spec["groupTemplate"]["spec"]["roles"][0]["standalonePattern"]["template"]["spec"]["containers"][0]["image"]
    groups = [f"s-{index}" for index in range(spec["replicas"])]
    pods = [pod for pod in w.objects("pods") if "deletionTimestamp" not in pod["metadata"]]
    return (
        w.names("rolebasedgroups.workloads.x-k8s.io") == groups
        and [pod["spec"]["containers"][0]["image"] for pod in pods] == [image] * len(groups)
        and all(w.is_ready(name) for name in groups)
    )


LIFE = Scenario(name="roll and shrink", drive=_roll_and_shrink, wanted=lambda w: w.names("pods") == ["s-0-engine-0"])


def _at_groups(cases: Cases) -> Cases:
    """Those where a set makes, changes or deletes a group; what is below groups has its own matrix."""

    def chosen(run: Run) -> Iterator[Case]:
        own = ("apply RoleBasedGroup ", "delete RoleBasedGroup ")
        return (case for case in cases(run) if run.writes[case.crash - 1].startswith(own))

    return chosen


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("cases", [crashes, stale_restarts], ids=lambda cases: cases.__name__)
def test_whenever_the_daemon_dies_the_groups_come_to_the_same(
    cases: Cases, record_property: Callable[[str, object], None]
) -> None:
    report = explore(LIFE, _at_groups(cases))
    record_property("matrix", f"{cases.__name__} of a group set: {report}")
    report.check()
