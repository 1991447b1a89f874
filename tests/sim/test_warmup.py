"""Warmups under the whole daemon on the embedded cluster: what they promise on the real control plane, and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2e import test_warmup as scenarios
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.test_warmup import KIND, condition, on_nodes, reached, status, warmup
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.client import ForbiddenError
from rbgctrl.client.transport import ApiRequest, Transport, Verb
from rbgctrl.client.wrappers import Intercept
from rbgctrl.sim import ClusterOptions, virtual
from rbgctrl.sim.crash import Cases, Scenario, crashes, explore, stale_restarts
from rbgctrl.sim.nodes import node
from rbgctrl.sim.world import World
from sim.support import world

LONG = "ip-10-0-0-1." + "a-rather-long-domain." * 4 + "internal"


@virtual
async def test_a_quota_that_refuses_pods_is_a_condition_that_clears_when_there_is_room() -> None:
    full = True

    def refuse(request: ApiRequest) -> None:
        if full and request.verb is Verb.CREATE and request.kind is not None and request.kind.kind == "Pod":
            raise ForbiddenError(403, "Forbidden", "pods are forbidden: exceeded quota: tight")

    def wrap(inner: Transport) -> Transport:
        return Intercept(inner, before=refuse)

    async with world(wrap=wrap) as w:
        await w.api.create(warmup("w", w.namespace, on_nodes("node-000")))

        async def refused() -> bool:
            found = condition(await status(w.api, "w", w.namespace), "Blocked")
            return found.get("reason") == "FailedCreatePod" and "quota" in found["message"]

        await eventually(refused, 20, what="the refusal is a condition")
        await w.sleep(3600)
        told = [
            event for event in await w.api.items("v1", "Event", w.namespace) if event["reason"] == "FailedCreatePod"
        ]
        assert len(told) == 1
        full = False
        found = await reached(w.api, "w", w.namespace, "Completed", 120)
        assert condition(found, "Blocked") == {}


@virtual
async def test_limits_of_time_are_kept_to_the_second() -> None:
    async with world() as w:
        limits = {"globalTimeoutSeconds": 4000, "ttlSecondsAfterFinished": 7000}
        await w.api.create(warmup("w", w.namespace, on_nodes("node-000", image=scenarios.NEVER_ENDS), **limits))
        await reached(w.api, "w", w.namespace, "Running")
        await w.sleep(3990)
        assert (await status(w.api, "w", w.namespace))["phase"] == "Running"
        await reached(w.api, "w", w.namespace, "Failed", 15)
        await w.sleep(6990)
        assert await w.api.find(V1ALPHA2, KIND, "w", w.namespace) is not None
        await w.sleep(15)
        assert await w.api.find(V1ALPHA2, KIND, "w", w.namespace) is None


@virtual
async def test_a_warmup_costs_one_write_for_each_node_and_few_for_itself_and_none_at_rest() -> None:
    async with world() as w:
        await w.api.create(warmup("w", w.namespace, on_nodes(*(f"node-{number:03}" for number in range(8)))))
        await reached(w.api, "w", w.namespace, "Completed")
        writes = w.writes()
        assert writes["create", "Pod"] == 8
        assert sum(writes.values()) <= 8 + 4
        await w.sleep(24 * 3600)
        assert w.writes() == writes


@virtual
async def test_a_node_that_comes_is_warmed_up_and_one_that_is_gone_is_not_waited_for() -> None:
    async with world() as w:
        image = scenarios.NEVER_ENDS
        target = {"targetNodes": {"nodeSelector": {"pool": "new"}, "imagePreload": {"images": [image]}}}
        w.cluster.add_nodes(node("fresh-0", labels={"pool": "new"}))
        await w.api.create(warmup("w", w.namespace, target))
        await reached(w.api, "w", w.namespace, "Running")
        w.cluster.add_nodes(node("fresh-1", labels={"pool": "new"}))

        async def both() -> bool:
            return {pod["spec"].get("nodeName") for pod in (await pods(w.api, w.namespace)).values()} == {
                "fresh-0",
                "fresh-1",
            }

        await eventually(both, 20, what="both nodes have a pod")
        for name in ("fresh-0", "fresh-1"):
            await w.api.delete("v1", "Node", name)
        found = await reached(w.api, "w", w.namespace, "Completed")
        assert (found["desired"], found["active"]) == (0, 0)


@virtual
async def test_a_node_with_a_name_too_long_for_a_label_is_warmed_up() -> None:
    found = node(LONG)
    found["metadata"]["labels"]["kubernetes.io/hostname"] = "ip-10-0-0-1"
    async with world(ClusterOptions(nodes=[node("other"), found])) as w:
        await w.api.create(warmup("w", w.namespace, on_nodes(LONG)))
        assert (await reached(w.api, "w", w.namespace, "Completed"))["succeeded"] == 1
        (pod,) = (await pods(w.api, w.namespace)).values()
        assert pod["spec"]["nodeName"] == LONG
        assert len(pod["metadata"]["labels"][labels.WARMUP_NODE]) <= 63


@virtual
async def test_it_follows_the_pods_of_its_group_without_polling() -> None:
    async with world() as w:
        target: dict[str, Any] = {
            "targetRoleBasedGroup": {
                "name": "llm",
                "roles": {"decode": {"imagePreload": {"images": [scenarios.NEVER_ENDS]}}},
            }
        }
        await w.api.create(warmup("w", w.namespace, target))
        await w.settle()
        writes = w.writes()
        await w.sleep(3600)
        assert w.writes() == writes
        await w.api.create(group("llm", w.namespace, role("decode", 2)))
        await become_ready(w.api, "llm", w.namespace)
        spec = group("llm", w.namespace, role("decode", 4))["spec"]
        await w.api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=w.namespace)
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        found = await pods(w.api, w.namespace)
        placed = {pod["spec"]["nodeName"] for name, pod in found.items() if name.startswith("llm-")}
        assert {pod["spec"]["nodeName"] for name, pod in found.items() if name.startswith("w-")} == placed


@virtual
async def test_the_nodes_of_a_role_with_another_workload_are_warmed_up_too() -> None:
    async with world() as w:
        kind = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_DEPLOYMENT}
        await w.api.create(group("llm", w.namespace, role("decode", 2, annotations=kind)))
        await become_ready(w.api, "llm", w.namespace)
        roles = {"decode": {"imagePreload": {"images": [scenarios.NEVER_ENDS]}}}
        await w.api.create(warmup("w", w.namespace, {"targetRoleBasedGroup": {"name": "llm", "roles": roles}}))
        await reached(w.api, "w", w.namespace, "Running")
        await w.settle()
        found = await pods(w.api, w.namespace)
        placed = {pod["spec"]["nodeName"] for name, pod in found.items() if name.startswith("llm-")}
        assert {pod["spec"]["nodeName"] for name, pod in found.items() if name.startswith("w-")} == placed


# A process may die at any write ---------------------------------------------------------------------------------------


def _phase(w: World) -> str:
    found = w.get(RoleBasedGroupWarmup.KIND.resource, "w") or {}
    return str((found.get("status") or {}).get("phase", ""))


async def _warm_up(w: World) -> None:
    nodes = on_nodes("node-000", "node-001", "node-002")
    await w.apply(warmup("w", "default", nodes, parallelism=2), RoleBasedGroupWarmup)
    await w.until(lambda: _phase(w) == "Completed")


async def _give_up(w: World) -> None:
    nodes = on_nodes("node-000", "node-001", image=scenarios.FAILS)
    limits = {"backoffLimitPerNode": 1, "maxFailedNodes": 1}
    await w.apply(warmup("w", "default", nodes, **limits), RoleBasedGroupWarmup)
    await w.until(lambda: _phase(w) == "Failed")


LIVES = (
    Scenario(name="success", drive=_warm_up, wanted=lambda w: len(w.names("pods")) == 3),
    Scenario(name="failure", drive=_give_up, wanted=lambda w: len(w.names("pods")) == 4),
)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("cases", [crashes, stale_restarts], ids=lambda cases: cases.__name__)
@pytest.mark.parametrize("scenario", LIVES, ids=lambda scenario: scenario.name)
def test_whenever_the_daemon_dies_no_node_gets_a_pod_too_many(
    scenario: Scenario, cases: Cases, record_property: Callable[[str, object], None]
) -> None:
    report = explore(scenario, cases)
    record_property("matrix", f"{cases.__name__} of a warmup: {report}")
    report.check()
