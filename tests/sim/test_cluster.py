"""What the embedded cluster promises to whoever tests on it: repeatable, honest about time, loud about defects."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from e2e.support.groups import become_ready, group, role
from hack.controlplane.waiting import eventually
from rbgctrl.api.core import Node, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import ForbiddenError, connect
from rbgctrl.sim import (
    EPOCH,
    ClusterOptions,
    ControllerError,
    DeadlockError,
    EmbeddedCluster,
    KubeletOptions,
    run,
    virtual,
)
from sim.support import world

CONTAINERS = {"containers": [{"name": "main", "image": "engine:1"}]}


# Time -----------------------------------------------------------------------------------------------------------------


@virtual
async def test_virtual_time_begins_at_a_fixed_moment_and_timestamps_follow_it() -> None:
    async with EmbeddedCluster() as cluster, cluster.client() as client:
        assert cluster.now() == EPOCH
        await asyncio.sleep(90061)
        await client.create(Pod, {"metadata": {"name": "a"}, "spec": CONTAINERS}, "default")
        pod = await client.get(Pod, Key("default", "a"))
        assert pod.metadata.creation_timestamp == "2026-01-02T01:01:01Z"


def test_waiting_for_what_cannot_happen_is_an_exception() -> None:
    async def main() -> None:
        async with EmbeddedCluster():
            await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main())


@virtual
async def test_settling_waits_for_what_is_under_way_however_long_it_takes() -> None:
    options = ClusterOptions(kubelet=KubeletOptions(start=1800))
    async with EmbeddedCluster(options) as cluster, cluster.client() as client:
        await client.create(Pod, {"metadata": {"name": "a"}, "spec": CONTAINERS}, "default")
        await cluster.settle(quiet=0)
        assert (await client.get(Pod, Key("default", "a"))).is_true("Ready")
        assert (cluster.now() - EPOCH).total_seconds() == 1800


@virtual
async def test_what_never_settles_is_a_timeout() -> None:
    async with EmbeddedCluster() as cluster, cluster.client() as client:

        async def restless() -> None:
            for number in range(10_000):
                await client.patch(Node, Key("", "node-000"), {"metadata": {"labels": {"n": str(number)}}})
                await asyncio.sleep(1)

        task = asyncio.create_task(restless())
        with pytest.raises(TimeoutError, match="has not settled within 60 s"):
            await cluster.settle(within=60)
        task.cancel()


# The same again -------------------------------------------------------------------------------------------------------


async def _a_bad_day(seed: int) -> list[tuple[int, str, str, str, str]]:
    """Everything that changes while a group is created and its cluster falls apart."""
    options = ClusterOptions(nodes=8, seed=seed, kubelet=KubeletOptions(start=5, jitter=10))
    async with world(options) as w:
        await w.api.create(group("llm", w.namespace, role("prefill", 2), role("decode", 3, "prefill")))
        await asyncio.sleep(12)
        w.cluster.kill_node("node-003")
        await become_ready(w.api, "llm", w.namespace, within=3600)
        w.cluster.evict(f"{w.namespace}/llm-decode-1")
        await w.settle()
        return [
            (event.revision, event.type, event.resource, str(event.key), json.dumps(event.obj, sort_keys=True))
            for event in w.cluster.server.storage.history
        ]


def test_the_same_seed_gives_the_same_history_to_the_last_byte() -> None:
    first, again = run(_a_bad_day(7)), run(_a_bad_day(7))
    assert len(first) > 100
    assert first == again


def test_another_seed_gives_another_history() -> None:
    assert run(_a_bad_day(1)) != run(_a_bad_day(2))


# Defects --------------------------------------------------------------------------------------------------------------


def test_what_a_controller_of_the_cluster_cannot_digest_is_raised_at_the_end() -> None:
    async def main() -> None:
        async with EmbeddedCluster() as cluster:
            broken = {"name": "main", "image": "x", "resources": {"requests": {"cpu": "much"}}}
            pod = {"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "spec": {"containers": [broken]}}
            cluster.server.storage.put("pods", Key("default", "a"), pod)  # past all checks
            await asyncio.sleep(1)

    with pytest.raises(ControllerError, match="controllers of the embedded cluster failed") as caught:
        run(main())
    assert "'much' is not a quantity" in str(caught.value.exceptions[0])


def test_an_unknown_controller_is_refused() -> None:
    async def main() -> None:
        async with EmbeddedCluster(ClusterOptions(workloads=("jobs",))):
            pass

    with pytest.raises(ValueError, match="no controller is named jobs; there are deployments, statefulsets"):
        run(main())


# Other processes ------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)  # real time, on whatever machine
async def test_in_real_time_other_programs_reach_it_over_http(tmp_path: Path) -> None:
    options = ClusterOptions(nodes=2, kubelet=KubeletOptions(start=0.05))
    kubeconfig = tmp_path / "kubeconfig"
    async with EmbeddedCluster(options) as cluster:
        url = await cluster.serve(kubeconfig)
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        async with connect(kubeconfig=str(kubeconfig)) as client:
            assert client.server == url
            await client.create(Pod, {"metadata": {"name": "a"}, "spec": CONTAINERS}, client.namespace)

            async def ready() -> Any:
                return (await client.get(Pod, Key("default", "a"))).is_true("Ready")

            await eventually(ready, 60)


@pytest.mark.parametrize("validation", [True, False])
@virtual
async def test_what_the_webhooks_refuse_is_refused_where_that_was_ordered(validation: bool) -> None:
    body = group("llm", "default", role("decode", 1, "nobody"))
    async with EmbeddedCluster(ClusterOptions(validation=validation)) as cluster, cluster.client() as client:
        if not validation:
            await client.create(RoleBasedGroup, body, "default")
            return
        with pytest.raises(ForbiddenError, match=r"dependencies\[0\]: nobody is no role of this group"):
            await client.create(RoleBasedGroup, body, "default")
