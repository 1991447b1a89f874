"""Scaling adapters under the whole daemon on the embedded cluster: what they promise on the real one, and more."""

from __future__ import annotations

from typing import Any

import pytest

from e2e import test_adapters as scenarios
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.test_adapters import ADAPTER, ROLES, SCALED, become_bound, scale, told
from hack.controlplane.waiting import eventually
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import ForbiddenError
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.sim import virtual
from rbgctrl.sim.crash import Cases, crashes, explore, lost_events, sampled, stale_restarts
from rbgctrl.sim.crash import Scenario as CrashScenario
from rbgctrl.sim.world import World
from sim import groups
from sim.support import world

# Kinds that nobody looks after on the embedded cluster.
ELSEWHERE = ("leader-worker-set",)


@pytest.mark.parametrize("kind", [kind for kind in ROLES if kind not in ELSEWHERE])
@virtual
async def test_an_autoscaler_counts_instances_whatever_they_are_made_of(kind: str) -> None:
    async with world() as w:
        await scenarios.test_an_autoscaler_counts_instances_whatever_they_are_made_of(w.api, w.namespace, kind)


@virtual
async def test_scaling_costs_two_writes_and_what_the_workload_needs() -> None:
    async with world() as w:
        await w.api.create(group("llm", w.namespace, role("decode", 1, **SCALED)))
        await become_bound(w.api, w.namespace, "llm-decode", 1)
        await w.settle()
        before = w.writes()
        await scale(w.api, w.namespace, "llm-decode", 2)
        await become_bound(w.api, w.namespace, "llm-decode", 2)
        await w.settle()
        written = w.writes() - before
        assert {what: count for what, count in written.items() if what[1] == ADAPTER} == {("patch", ADAPTER): 2}, (
            "what was asked for, and that it is ready"
        )
        before = w.writes()
        await w.sleep(24 * 3600)
        assert w.writes() == before


@virtual
async def test_writes_of_others_to_the_group_at_the_same_moment_are_not_lost() -> None:
    async with world() as w:
        await w.api.create(group("llm", w.namespace, role("router", 1), role("decode", 1, **SCALED)))
        await become_bound(w.api, w.namespace, "llm-decode", 1)
        await scale(w.api, w.namespace, "llm-decode", 3)
        turned = group("llm", w.namespace, role("decode", 1, **SCALED), role("router", 2))
        await w.api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": turned["spec"]}, namespace=w.namespace)
        await become_bound(w.api, w.namespace, "llm-decode", 3)
        await become_ready(w.api, "llm", w.namespace)
        found = await w.api.get(V1ALPHA2, "RoleBasedGroup", "llm", w.namespace)
        assert [(item["name"], item["replicas"]) for item in found["spec"]["roles"]] == [("decode", 3), ("router", 2)]


@virtual
async def test_a_refused_scaling_is_told_once_and_goes_through_when_it_is_accepted() -> None:
    shut = True

    def refuse(request: ApiRequest) -> None:
        ours = (
            request.kind is not None and request.kind.kind == "RoleBasedGroup" and not request.path.endswith("status")
        )
        if shut and ours and request.verb is Verb.PATCH and b"replicas" in (request.body or b""):
            raise ForbiddenError(403, "Forbidden", "admission webhook denied the request: too many")

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(group("llm", w.namespace, role("decode", 1, **SCALED)))
        await become_bound(w.api, w.namespace, "llm-decode", 1)
        await scale(w.api, w.namespace, "llm-decode", 2)
        await eventually(lambda: told(w.api, w.namespace, "llm-decode", "FailedScale"), 20, what="the refusal is told")
        await w.sleep(600)
        (message,) = await told(w.api, w.namespace, "llm-decode", "FailedScale")
        assert "role decode cannot be scaled to 2" in message
        assert "too many" in message
        assert sorted(await pods(w.api, w.namespace)) == ["llm-decode-0"]
        shut = False
        await become_bound(w.api, w.namespace, "llm-decode", 2, within=1200)
        assert sorted(await pods(w.api, w.namespace)) == ["llm-decode-0", "llm-decode-1"]
        found = await w.api.get(V1ALPHA2, "RoleBasedGroup", "llm", w.namespace)
        assert found["spec"]["roles"][0]["replicas"] == 2


# Restarts -------------------------------------------------------------------------------------------------------------


def _adapter(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get(RoleBasedGroupScalingAdapter.KIND.resource, "llm-decode") or {}
    return found


def _mirrors(world: World, replicas: int) -> bool:
    status = _adapter(world).get("status", {})
    return (status.get("phase"), status.get("replicas"), status.get("readyReplicas")) == ("Bound", replicas, replicas)


async def scale_and_apply_again(world: World) -> None:
    declared = groups.group("llm", {**groups.role("decode", 1), **SCALED})
    await world.apply(declared)
    await world.until(lambda: world.is_ready("llm") and _mirrors(world, 1))
    await world.user.patch(RoleBasedGroupScalingAdapter, Key("default", "llm-decode"), {"spec": {"replicas": 2}})
    await world.until(lambda: world.is_ready("llm") and _mirrors(world, 2))
    kept = world.get("pods", "llm-decode-1")
    await world.apply(declared)
    await world.until(lambda: world.is_ready("llm") and _roles(world) == [2])
    assert world.get("pods", "llm-decode-1") == kept


def _roles(world: World) -> list[int]:
    return [role["replicas"] for role in (world.get(RoleBasedGroup.KIND.resource, "llm") or {})["spec"]["roles"]]


def _kept(world: World) -> bool:
    asked = _adapter(world).get("spec", {}).get("replicas")
    return asked == 2 and _roles(world) == [2] and world.names("pods") == ["llm-decode-0", "llm-decode-1"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "cases", [crashes, sampled(stale_restarts, 2), sampled(lost_events, 2)], ids=lambda cases: cases.__name__
)
def test_neither_crashes_nor_an_old_view_nor_a_lost_event_undo_what_an_autoscaler_asked_for(cases: Cases) -> None:
    scenario = CrashScenario(name="scaled by its adapter", drive=scale_and_apply_again, wanted=_kept)
    explore(scenario, cases).check()
