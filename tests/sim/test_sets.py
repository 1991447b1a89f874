"""RoleInstanceSets under the whole daemon on the embedded cluster: what they promise on the real one, and more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.support import is_ready
from e2e.support.groups import V1ALPHA2, pods
from e2e.test_sets import INSTANCE, NEW, SET, change, images, instance_set, roll, settled, stalled, uids, warnings
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import ForbiddenError
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.sim import virtual
from rbgctrl.sim.crash import Cases, crashes, explore, lost_events, sampled, stale_restarts
from rbgctrl.sim.crash import Scenario as CrashScenario
from rbgctrl.sim.world import World
from sim.groups import group, role
from sim.support import world


@pytest.mark.parametrize("pattern", ["Stateful", "Stateless"])
@virtual
async def test_a_set_made_by_hand_runs_and_scales_like_anything_with_a_scale_subresource(pattern: str) -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 2, pattern=pattern))
        await settled(w.api, w.namespace, 2)
        path = f"{await w.api.path(*SET, w.namespace, 'engine')}/scale"
        body = {"spec": {"replicas": 3}}
        await w.api.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        await settled(w.api, w.namespace, 3)
        assert (await w.api.request("GET", path))["status"] == {"replicas": 3, "selector": "app=engine"}
        assert len(await w.api.items("v1", "Pod", w.namespace, "app=engine")) == 3


# Cost -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["Stateful", "Stateless"])
@virtual
async def test_a_birth_is_one_write_for_each_instance_one_revision_and_the_status(pattern: str) -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 5, pattern=pattern))
        await settled(w.api, w.namespace, 5)
        await w.settle()
        found = w.writes()
        assert found["apply", "RoleInstance"] == 5
        assert found["create", "ControllerRevision"] == 1 + 5
        assert found["patch", "RoleInstanceSet"] <= 2
        before = w.writes()
        await w.sleep(24 * 3600)
        assert w.writes() == before


@virtual
async def test_replacing_one_instance_costs_a_delete_an_apply_and_two_statuses() -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 3))
        await settled(w.api, w.namespace, 3)
        await w.settle()
        before = w.writes()
        await roll(w.api, w.namespace, NEW)
        await settled(w.api, w.namespace, 3)
        await w.settle()
        spent = w.writes() - before
        assert spent["delete", "RoleInstance"] == spent["apply", "RoleInstance"] == 3
        assert spent["create", "ControllerRevision"] == 1 + 3
        assert spent["patch", "RoleInstanceSet"] <= 2 * 3 + 2
        assert spent["create", "Pod"] == 3


# Rollouts -------------------------------------------------------------------------------------------------------------


@virtual
async def test_while_a_rollout_goes_on_at_most_as_many_as_allowed_are_not_ready_and_nobody_is_warned() -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 5))
        await settled(w.api, w.namespace, 5)
        await change(w.api, w.namespace, updateStrategy={"maxUnavailable": "40%"}, minReadySeconds=20)
        await roll(w.api, w.namespace, NEW)
        least, began = 5, w.cluster.now()
        for _ in range(300):
            await w.sleep(0.5)
            ready = [
                item
                for item in await w.api.items(*INSTANCE, w.namespace)
                if any(c["type"] == "RoleInstanceReady" and c["status"] == "True" for c in _conditions(item))
            ]
            least = min(least, len(ready))
        await settled(w.api, w.namespace, 5)
        assert least == 3
        assert set((await images(w.api, w.namespace)).values()) == {NEW}
        assert await warnings(w.api, w.namespace) == []
        assert (w.cluster.now() - began).total_seconds() < 200


def _conditions(item: dict[str, object]) -> list[dict[str, object]]:
    status = item.get("status") or {}
    return list(status.get("conditions") or ())  # type: ignore[attr-defined]  # JSON


@virtual
async def test_a_rollout_that_waits_for_instances_to_be_ready_for_long_enough_needs_no_event_to_go_on() -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 3))
        await change(w.api, w.namespace, minReadySeconds=600)
        await settled(w.api, w.namespace, 3)
        await w.sleep(700)
        await roll(w.api, w.namespace, NEW)
        await w.sleep(3 * 610)
        assert set((await images(w.api, w.namespace)).values()) == {NEW}


# What does not go away ------------------------------------------------------------------------------------------------


@virtual
async def test_an_instance_that_does_not_go_away_is_named_after_a_minute_and_others_go_on() -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 3))
        await settled(w.api, w.namespace, 3)
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        await w.api.merge(*INSTANCE, "engine-1", held, namespace=w.namespace)
        await change(w.api, w.namespace, updateStrategy={"maxUnavailable": 2}, replicas=4)
        await roll(w.api, w.namespace, NEW)
        await w.sleep(30)
        assert await stalled(w.api, w.namespace) == ""
        await w.sleep(60)
        message = await stalled(w.api, w.namespace)
        assert "RoleInstance engine-1" in message
        assert "example.com/hold" in message
        assert {name for name, image in (await images(w.api, w.namespace)).items() if image == NEW} >= {
            "engine-0-main-0",
            "engine-2-main-0",
            "engine-3-main-0",
        }
        assert len([text for text in await warnings(w.api, w.namespace) if "engine-1" in text]) == 1
        before = w.writes()
        await w.sleep(3600)
        assert w.writes() == before
        await w.api.merge(*INSTANCE, "engine-1", {"metadata": {"finalizers": None}}, namespace=w.namespace)
        await settled(w.api, w.namespace, 4)
        assert await stalled(w.api, w.namespace) == ""


@virtual
async def test_an_instance_that_the_server_refuses_is_a_condition_until_it_is_taken() -> None:
    full = True

    def refuse(request: ApiRequest) -> None:
        if full and request.verb is Verb.APPLY and request.kind is not None and request.kind.kind == "RoleInstance":
            raise ForbiddenError(403, "Forbidden", "exceeded quota: roleinstances")

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(instance_set(w.namespace, 1))

        async def refused() -> bool:
            found = (await w.api.get(*SET, "engine", w.namespace)).get("status", {}).get("conditions", ())
            return any(item["type"] == "FailedScale" and "quota" in item["message"] for item in found)

        await eventually(refused, 20, what="the refusal is a condition")
        full = False
        await settled(w.api, w.namespace, 1, within=2000)
        assert not (await w.api.get(*SET, "engine", w.namespace))["status"].get("conditions")


# Hooks ----------------------------------------------------------------------------------------------------------------


@virtual
async def test_a_hook_is_told_and_waited_for_before_an_instance_goes() -> None:
    async with world() as w:
        body = instance_set(w.namespace, 2, pattern="Stateless")
        body["metadata"]["labels"]["drain"] = "needed"
        hook = {"labelsHandler": {"drain": "needed"}, "markPodNotReady": True}
        body["spec"]["lifecycle"] = {"preDelete": hook}
        await w.api.create(body)
        await settled(w.api, w.namespace, 2)
        await change(w.api, w.namespace, replicas=1)

        async def leaving() -> list[str]:
            state = labels.INSTANCE_LIFECYCLE_STATE
            found = await w.api.items(*INSTANCE, w.namespace, f"{state}=PreparingDelete")
            return [item["metadata"]["name"] for item in found]

        (name,) = await eventually(leaving, 20, what="one is to go")
        await w.sleep(600)
        serving = {found: is_ready(pod) for found, pod in (await pods(w.api, w.namespace)).items()}
        assert len(serving) == 2
        assert [found for found, ready in serving.items() if not ready] == [f"{name}-main-0"], "out of service already"
        await w.api.merge(*INSTANCE, name, {"metadata": {"labels": {"drain": "done"}}}, namespace=w.namespace)
        await settled(w.api, w.namespace, 1)


# Ownership ------------------------------------------------------------------------------------------------------------


@virtual
async def test_one_that_holds_a_slot_is_waited_for_and_the_slot_filled_once_it_is_gone() -> None:
    async with world() as w:
        spec = {"components": [{"name": "x", "size": 0, "template": {"spec": {"containers": [{"name": "x"}]}}}]}
        squatter = {"apiVersion": V1ALPHA2, "kind": "RoleInstance", "spec": spec}
        await w.api.create({**squatter, "metadata": {"name": "engine-0", "namespace": w.namespace}})
        await w.api.create(instance_set(w.namespace, 2))

        async def said() -> bool:
            return "RoleInstance engine-0 exists and belongs to somebody else" in await stalled(w.api, w.namespace)

        await eventually(said, 20, what="the condition names it")
        await w.settle()
        await w.api.delete(*INSTANCE, "engine-0", w.namespace)
        await settled(w.api, w.namespace, 2)
        assert await stalled(w.api, w.namespace) == ""


@virtual
async def test_an_instance_taken_out_by_its_labels_lives_on_and_comes_back_by_them() -> None:
    async with world() as w:
        await w.api.create(instance_set(w.namespace, 2))
        await settled(w.api, w.namespace, 2)
        before = await uids(w.api, w.namespace)
        for value, replicas in (("out", 1), ("engine", 2)):
            labelled = {"metadata": {"labels": {"app": value}}}
            await w.api.merge(*INSTANCE, "engine-1", labelled, namespace=w.namespace)
            await settled(w.api, w.namespace, replicas)
            assert await uids(w.api, w.namespace) == before


# Crashes --------------------------------------------------------------------------------------------------------------

ROLLED = group("llm", role("a", 2, image=NEW), role("b", 1, "a"))


async def roll_out(w: World) -> None:
    await w.apply(group("llm", role("a", 2), role("b", 1, "a")))
    await w.until(lambda: w.is_ready("llm"))
    await w.apply(ROLLED)
    await w.until(lambda: _rolled(w))


def _rolled(w: World) -> bool:
    found = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in w.objects("pods")}
    old = "registry.example/engine:1"
    return w.is_ready("llm") and found == {"llm-a-0": NEW, "llm-a-1": NEW, "llm-b-0": old}


async def roll_stateless(w: World) -> None:
    body = instance_set("default", 2, pattern="Stateless")
    await w.apply(body, RoleInstanceSet)
    await w.until(lambda: _complete(w, 2))
    await w.apply(instance_set("default", 3, pattern="Stateless", image=NEW), RoleInstanceSet)
    await w.until(lambda: _replaced(w))


def _complete(w: World, replicas: int) -> bool:
    found = w.get(RoleInstanceSet.KIND.resource, "engine") or {"metadata": {}, "status": {}}
    status = found.get("status") or {}
    counted = [status.get(name) for name in ("replicas", "readyReplicas", "updatedReplicas")]
    current = status.get("observedGeneration") == found["metadata"].get("generation")
    return current and counted == [replicas] * 3 and len(w.names(RoleInstance.KIND.resource)) == replicas


def _replaced(w: World) -> bool:
    live = [pod for pod in w.objects("pods") if "deletionTimestamp" not in pod["metadata"]]
    return _complete(w, 3) and [pod["spec"]["containers"][0]["image"] for pod in live] == [NEW] * 3


ROLLS = (
    CrashScenario(name="roll out", drive=roll_out, wanted=_rolled),
    CrashScenario(name="roll stateless", drive=roll_stateless, wanted=_replaced),
)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "cases", [crashes, sampled(stale_restarts, 4), sampled(lost_events, 3)], ids=lambda cases: cases.__name__
)
@pytest.mark.parametrize("scenario", ROLLS, ids=lambda scenario: scenario.name)
def test_a_rollout_comes_to_its_end_whatever_the_daemon_suffers(
    scenario: CrashScenario, cases: Cases, record_property: Callable[[str, object], None]
) -> None:
    report = explore(scenario, cases)
    record_property("matrix", f"{cases.__name__} of {report}")
    report.check()
