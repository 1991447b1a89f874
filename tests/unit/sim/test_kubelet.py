"""What kubelets make of the pods of their nodes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.sim import ClusterOptions, EmbeddedCluster, KubeletOptions, NoSuchObjectError, virtual
from rbgctrl.sim.controllers.podstatus import image_id
from unit.sim.clusters import condition, create_pod, names, pod_of, ready, write_status


def now() -> float:
    return asyncio.get_running_loop().time()


def container(pod: dict[str, Any], name: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in pod["status"]["containerStatuses"] if item["name"] == name)
    return found


def options(**kubelet: Any) -> ClusterOptions:
    return ClusterOptions(nodes=2, kubelet=KubeletOptions(**kubelet))


# Starting -------------------------------------------------------------------------------------------------------------


@virtual
async def test_a_pod_is_pending_then_running_and_ready_with_an_address_of_its_own() -> None:
    async with EmbeddedCluster(options(start=20)) as cluster:
        create_pod(cluster, "a")
        create_pod(cluster, "b")
        await asyncio.sleep(19)
        assert pod_of(cluster, "a")["status"]["phase"] == "Pending"
        await asyncio.sleep(2)
        pod = pod_of(cluster, "a")
        assert (pod["status"]["phase"], ready(pod)) == ("Running", True)
        assert container(pod)["imageID"] == image_id("registry.example/engine:1")
        assert container(pod)["state"]["running"]["startedAt"] == "2026-01-01T00:00:20Z"
        true = [item["type"] for item in pod["status"]["conditions"] if item["status"] == "True"]
        assert sorted(true) == ["ContainersReady", "Initialized", "PodReadyToStartContainers", "PodScheduled", "Ready"]
        assert pod["status"]["podIP"] != pod_of(cluster, "b")["status"]["podIP"]


@virtual
async def test_start_and_probes_may_depend_on_the_pod() -> None:
    def load(pod: Any) -> float:
        return 300.0 if pod["metadata"]["name"] == "large" else 5.0

    probed = {"readinessProbe": {"httpGet": {"path": "/health", "port": 80}}}
    async with EmbeddedCluster(options(start=1, probe=load)) as cluster:
        create_pod(cluster, "large", container=probed)
        create_pod(cluster, "small", container=probed)
        await asyncio.sleep(7)
        assert ready(pod_of(cluster, "small"))
        large = pod_of(cluster, "large")
        assert (large["status"]["phase"], ready(large)) == ("Running", False)
        assert condition(large, "Ready")["message"] == "containers with unready status: [main]"
        await asyncio.sleep(300)
        assert ready(pod_of(cluster, "large"))


@virtual
async def test_drawn_delays_are_the_same_for_the_same_seed_and_differ_between_pods() -> None:
    async def starts(seed: int) -> list[str]:
        jittery = ClusterOptions(nodes=2, seed=seed, kubelet=KubeletOptions(start=1, jitter=600))
        async with EmbeddedCluster(jittery) as cluster:
            for name in ("a", "b", "c"):
                create_pod(cluster, name)
            await cluster.settle()
            found = [pod_of(cluster, name)["status"]["startTime"] for name in ("a", "b", "c")]
            return [time[14:] for time in found]

    first = await starts(1)
    assert len(set(first)) == 3
    assert first != await starts(2)


@virtual
async def test_a_held_pod_is_started_when_the_annotation_goes() -> None:
    async with EmbeddedCluster(options()) as cluster, cluster.client() as client:
        create_pod(cluster, "a", metadata={"annotations": {"fake-kubelet/hold": ""}})
        await asyncio.sleep(600)
        assert pod_of(cluster, "a")["status"]["phase"] == "Pending"
        await client.patch(Pod, Key("default", "a"), {"metadata": {"annotations": {"fake-kubelet/hold": None}}})
        await cluster.settle()
        assert ready(pod_of(cluster, "a"))


@virtual
async def test_readiness_gates_decide_over_ready_in_the_words_of_a_kubelet() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a", readinessGates=[{"conditionType": "example.com/open"}])
        await cluster.settle()
        found = condition(pod_of(cluster, "a"), "Ready")
        assert (found["status"], found["reason"]) == ("False", "ReadinessGatesNotReady")
        assert found["message"] == ('corresponding condition of pod readiness gate "example.com/open" does not exist.')
        assert condition(pod_of(cluster, "a"), "ContainersReady")["status"] == "True"
        write_status(cluster, "a", "example.com/open", "True")
        await cluster.settle()
        assert ready(pod_of(cluster, "a"))
        write_status(cluster, "a", "example.com/open", "False")
        await cluster.settle()
        assert condition(pod_of(cluster, "a"), "Ready")["message"] == (
            'the status of pod readiness gate "example.com/open" is not "True", but False'
        )


# Running --------------------------------------------------------------------------------------------------------------


@virtual
async def test_an_image_changed_in_place_restarts_that_container_and_only_that() -> None:
    async with EmbeddedCluster(options(restart=30)) as cluster, cluster.client() as client:
        two = [{"name": "main", "image": "engine:1"}, {"name": "side", "image": "proxy:1"}]
        create_pod(cluster, "a", containers=two)
        await cluster.settle()
        before = pod_of(cluster, "a")
        changed = [{"op": "replace", "path": "/spec/containers/0/image", "value": "engine:2"}]
        await client.patch(Pod, Key("default", "a"), changed, type=_json_patch())
        await asyncio.sleep(10)
        assert not ready(pod_of(cluster, "a"))
        assert container(pod_of(cluster, "a"))["state"]["terminated"]["exitCode"] == 0
        await cluster.settle()
        after = pod_of(cluster, "a")
        assert ready(after)
        assert (container(after)["restartCount"], container(after)["imageID"]) == (1, image_id("engine:2"))
        assert container(after, "side") == container(before, "side")


def _json_patch() -> Any:
    from rbgctrl.client import PatchType

    return PatchType.JSON


@virtual
async def test_a_crashed_container_is_not_ready_until_it_is_started_again() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a")
        await cluster.settle()
        cluster.crash_container("a", wait=40, exit_code=137)
        pod = pod_of(cluster, "a")
        assert (pod["status"]["phase"], ready(pod)) == ("Running", False)
        assert container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert container(pod)["lastState"]["terminated"]["exitCode"] == 137
        await asyncio.sleep(39)
        assert not ready(pod_of(cluster, "a"))
        await asyncio.sleep(2)
        pod = pod_of(cluster, "a")
        assert (ready(pod), container(pod)["restartCount"]) == (True, 1)


@virtual
async def test_a_container_that_crashed_for_good_stays_down() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a")
        await cluster.settle()
        cluster.crash_container("default/a", "main", wait=None)
        await asyncio.sleep(24 * 3600)
        assert not ready(pod_of(cluster, "a"))


@virtual
async def test_a_container_that_restarts_at_once_only_counts() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a")
        await cluster.settle()
        cluster.restart_container("a")
        pod = pod_of(cluster, "a")
        assert (ready(pod), container(pod)["restartCount"]) == (True, 1)


@virtual
async def test_probes_fail_and_pass_on_demand() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a")
        await cluster.settle()
        cluster.set_ready("a", ready=False)
        await asyncio.sleep(600)
        assert not ready(pod_of(cluster, "a"))
        assert container(pod_of(cluster, "a"))["restartCount"] == 0
        cluster.set_ready("a", ready=True)
        await cluster.settle()
        assert ready(pod_of(cluster, "a"))


def test_a_fault_of_what_does_not_exist_says_so() -> None:
    @virtual
    async def main() -> None:
        async with EmbeddedCluster(options()) as cluster:
            create_pod(cluster, "a")
            with pytest.raises(NoSuchObjectError, match="there is no pod default/b"):
                cluster.evict("b")
            with pytest.raises(NoSuchObjectError, match="no container main of pod default/a was started"):
                cluster.crash_container("a", "main")
            with pytest.raises(NoSuchObjectError, match="there is no node nowhere"):
                cluster.kill_node("nowhere")

    main()


# Ending ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "phase"), [("job:1", "Succeeded"), ("fails:1", "Failed"), ("never-ends:1", "Running")]
)
@virtual
async def test_a_pod_that_is_not_restarted_ends_as_its_image_says(image: str, phase: str) -> None:
    async with EmbeddedCluster(options(run=60)) as cluster:
        create_pod(cluster, "a", image=image, restartPolicy="Never")
        await asyncio.sleep(50)
        assert pod_of(cluster, "a")["status"]["phase"] == "Running"
        await cluster.settle()
        pod = pod_of(cluster, "a")
        assert (pod["status"]["phase"], ready(pod)) == (phase, phase == "Running")


@virtual
async def test_an_evicted_pod_has_failed_and_says_why() -> None:
    async with EmbeddedCluster(options()) as cluster:
        create_pod(cluster, "a")
        await cluster.settle()
        cluster.evict("a")
        await cluster.settle()
        pod = pod_of(cluster, "a")
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted")
        assert condition(pod, "DisruptionTarget")["reason"] == "TerminationByKubelet"
        assert condition(pod, "Ready")["reason"] == "PodFailed"


@virtual
async def test_a_deleted_pod_has_time_to_stop_and_its_grace_period_is_the_limit() -> None:
    async with EmbeddedCluster(options(stop=20)) as cluster, cluster.client() as client:
        create_pod(cluster, "slow", terminationGracePeriodSeconds=30)
        create_pod(cluster, "short", terminationGracePeriodSeconds=5)
        await cluster.settle()
        for name in ("slow", "short"):
            await client.delete(Pod, Key("default", name))
        await asyncio.sleep(6)
        left = [obj["metadata"]["name"] for obj in cluster.server.storage.list("pods")]
        assert left == ["slow"]
        assert names(cluster, "pods") == []
        await asyncio.sleep(15)
        assert cluster.server.storage.list("pods") == []


@virtual
async def test_a_pod_that_never_started_is_gone_at_once() -> None:
    async with EmbeddedCluster(options(stop=20)) as cluster, cluster.client() as client:
        create_pod(cluster, "a", metadata={"annotations": {"fake-kubelet/hold": ""}})
        await cluster.settle()
        began = now()
        await client.delete(Pod, Key("default", "a"))
        await cluster.settle(quiet=0)
        assert cluster.server.storage.list("pods") == []
        assert now() == began
