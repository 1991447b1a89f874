"""Deployments, StatefulSets and Services, as far as roles of those kinds need them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rbgctrl.api.meta import Key
from rbgctrl.sim import ClusterOptions, EmbeddedCluster, KubeletOptions, StoredEvent, virtual
from unit.sim.clusters import create, create_pod, get, names, pod_of, ready

DEPLOYMENTS, SETS = "deployments.apps", "statefulsets.apps"


def template(image: str = "engine:1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def workload(cluster: EmbeddedCluster, resource: str, replicas: int, **more: Any) -> None:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": more.pop("template", template()),
        **({"serviceName": "web"} if resource == SETS else {}),
        **more,
    }
    create(cluster, resource, "web", spec=spec)


def change(cluster: EmbeddedCluster, resource: str, **fields: Any) -> None:
    def changed(obj: dict[str, Any]) -> dict[str, Any]:
        return {**obj, "spec": {**obj["spec"], **fields}}

    cluster.server.update(resource, Key("default", "web"), changed, user="admin")


def images(cluster: EmbeddedCluster) -> list[str]:
    pods = cluster.server.storage.list("pods", "default")
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods if "deletionTimestamp" not in pod["metadata"])


def watch_bounds(cluster: EmbeddedCluster) -> Callable[[], tuple[int, int]]:
    """Fewest ready and most living pods from now on."""
    least, most = [10**6], [0]

    def on_event(event: StoredEvent) -> None:
        if event.resource == "pods":
            pods = cluster.server.storage.list("pods", "default")
            alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            least.append(sum(map(ready, alive)))
            most.append(len(alive))

    cluster.server.storage.subscribe(on_event)
    return lambda: (min(least), max(most))


# Deployments ----------------------------------------------------------------------------------------------------------


@virtual
async def test_a_deployment_becomes_available_through_a_replica_set() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, DEPLOYMENTS, 3)
        await cluster.settle()
        status = get(cluster, DEPLOYMENTS, "web")["status"]
        counters = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
        assert [status[name] for name in counters] == [3, 3, 3, 3, 1]
        [owner] = cluster.server.storage.list("replicasets.apps")
        assert owner["metadata"]["ownerReferences"][0]["name"] == "web"
        for pod in cluster.server.storage.list("pods"):
            assert pod["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
            assert pod["metadata"]["name"].startswith(f"{owner['metadata']['name']}-")
            assert pod["metadata"]["labels"].keys() >= {"app", "pod-template-hash"}


@pytest.mark.parametrize(
    ("surge", "unavailable", "least", "most"),
    [(1, 0, 4, 5), (0, 1, 3, 4), ("25%", "25%", 3, 5), (2, 2, 2, 6), (0, 0, 3, 4)],
)
@virtual
async def test_a_rolling_update_stays_within_its_bounds(
    surge: int | str, unavailable: int | str, least: int, most: int
) -> None:
    async with EmbeddedCluster() as cluster:
        limits = {"maxSurge": surge, "maxUnavailable": unavailable}
        workload(cluster, DEPLOYMENTS, 4, strategy={"type": "RollingUpdate", "rollingUpdate": limits})
        await cluster.settle()
        bounds = watch_bounds(cluster)
        change(cluster, DEPLOYMENTS, template=template("engine:2"))
        await cluster.settle()
        assert images(cluster) == ["engine:2"] * 4
        fewest, highest = bounds()
        assert fewest >= least
        assert highest <= most
        assert get(cluster, DEPLOYMENTS, "web")["status"]["updatedReplicas"] == 4


@virtual
async def test_an_update_that_never_becomes_ready_stops_where_it_does_no_harm() -> None:
    async with EmbeddedCluster(ClusterOptions(nodes=2)) as cluster:
        limits = {"maxSurge": 1, "maxUnavailable": 0}
        workload(cluster, DEPLOYMENTS, 3, strategy={"type": "RollingUpdate", "rollingUpdate": limits})
        await cluster.settle()
        change(cluster, DEPLOYMENTS, template=template("engine:2", nodeSelector={"no-such": "node"}))
        await asyncio.sleep(3600)
        assert images(cluster) == ["engine:1"] * 3 + ["engine:2"]
        change(cluster, DEPLOYMENTS, template=template("engine:3"))
        await cluster.settle()
        assert images(cluster) == ["engine:3"] * 3


@virtual
async def test_recreate_ends_all_before_it_starts_any() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, DEPLOYMENTS, 3, strategy={"type": "Recreate"})
        await cluster.settle()
        bounds = watch_bounds(cluster)
        change(cluster, DEPLOYMENTS, template=template("engine:2"))
        await cluster.settle()
        assert images(cluster) == ["engine:2"] * 3
        assert bounds() == (0, 3)


@virtual
async def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, DEPLOYMENTS, 2)
        await cluster.settle()
        change(cluster, DEPLOYMENTS, paused=True, replicas=4, template=template("engine:2"))
        await cluster.settle()
        assert images(cluster) == ["engine:1"] * 4
        change(cluster, DEPLOYMENTS, paused=False)
        await cluster.settle()
        assert images(cluster) == ["engine:2"] * 4


@virtual
async def test_a_failed_pod_is_replaced_and_going_back_reuses_the_old_replica_set() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, DEPLOYMENTS, 2)
        await cluster.settle()
        cluster.evict(names(cluster, "pods")[0])
        await cluster.settle()
        assert get(cluster, DEPLOYMENTS, "web")["status"]["readyReplicas"] == 2
        change(cluster, DEPLOYMENTS, template=template("engine:2"))
        await cluster.settle()
        change(cluster, DEPLOYMENTS, template=template("engine:1"))
        await cluster.settle()
        assert len(cluster.server.storage.list("replicasets.apps")) == 2


# StatefulSets ---------------------------------------------------------------------------------------------------------


@virtual
async def test_a_stateful_set_starts_its_pods_in_order_with_names_hosts_and_a_revision() -> None:
    async with EmbeddedCluster(ClusterOptions(kubelet=KubeletOptions(start=10))) as cluster:
        workload(cluster, SETS, 3)
        await asyncio.sleep(15)
        assert names(cluster, "pods") == ["web-0", "web-1"]
        await cluster.settle()
        assert names(cluster, "pods") == ["web-0", "web-1", "web-2"]
        pod = pod_of(cluster, "web-2")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-2", "web")
        status = get(cluster, SETS, "web")["status"]
        assert pod["metadata"]["labels"] == {
            "app": "web",
            "apps.kubernetes.io/pod-index": "2",
            "controller-revision-hash": status["updateRevision"],
            "statefulset.kubernetes.io/pod-name": "web-2",
            "topology.kubernetes.io/region": "region-1",
            "topology.kubernetes.io/zone": pod["metadata"]["labels"]["topology.kubernetes.io/zone"],
        }
        counters = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
        assert [status[name] for name in counters] == [3] * 5
        [revision] = cluster.server.storage.list("controllerrevisions.apps")
        assert revision["metadata"]["name"] == status["currentRevision"] == status["updateRevision"]


@virtual
async def test_a_revision_has_the_name_the_real_controller_gives_it() -> None:
    async with EmbeddedCluster() as cluster:
        spec = {
            "replicas": 2,
            "serviceName": "s",
            "selector": {"matchLabels": {"app": "s"}},
            "template": {
                "metadata": {"labels": {"app": "s"}},
                "spec": {"containers": [{"name": "c", "image": "x:1"}]},
            },
        }
        create(cluster, SETS, "s", spec=spec)
        await cluster.settle()
        assert get(cluster, SETS, "s")["status"]["updateRevision"] == "s-699799bc4b"


@virtual
async def test_parallel_sets_start_all_at_once() -> None:
    async with EmbeddedCluster(ClusterOptions(kubelet=KubeletOptions(start=10))) as cluster:
        workload(cluster, SETS, 3, podManagementPolicy="Parallel")
        await asyncio.sleep(1)
        assert names(cluster, "pods") == ["web-0", "web-1", "web-2"]


@virtual
async def test_scaling_down_takes_the_highest_ordinals_one_by_one() -> None:
    async with EmbeddedCluster(ClusterOptions(kubelet=KubeletOptions(stop=10))) as cluster:
        workload(cluster, SETS, 4)
        await cluster.settle()
        change(cluster, SETS, replicas=1)
        await asyncio.sleep(1)
        assert names(cluster, "pods") == ["web-0", "web-1", "web-2"]
        await cluster.settle()
        assert names(cluster, "pods") == ["web-0"]


@virtual
async def test_an_update_goes_from_the_highest_ordinal_down_to_the_partition() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, SETS, 4, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
        await cluster.settle()
        bounds = watch_bounds(cluster)
        change(cluster, SETS, template=template("engine:2"))
        await cluster.settle()
        found = [pod_of(cluster, f"web-{number}")["spec"]["containers"][0]["image"] for number in range(4)]
        assert found == ["engine:1", "engine:1", "engine:2", "engine:2"]
        status = get(cluster, SETS, "web")["status"]
        assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 2)
        assert status["currentRevision"] != status["updateRevision"]
        assert bounds() == (3, 4)
        cluster.end_pod("web-0")
        await cluster.settle()
        assert pod_of(cluster, "web-0")["spec"]["containers"][0]["image"] == "engine:1"
        change(cluster, SETS, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        await cluster.settle()
        status = get(cluster, SETS, "web")["status"]
        assert status["currentRevision"] == status["updateRevision"]
        assert images(cluster) == ["engine:2"] * 4


@virtual
async def test_on_delete_waits_for_somebody_to_delete() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, SETS, 2, updateStrategy={"type": "OnDelete"})
        await cluster.settle()
        change(cluster, SETS, template=template("engine:2"))
        await cluster.settle()
        assert images(cluster) == ["engine:1"] * 2
        cluster.server.delete("pods", Key("default", "web-0"), user="admin")
        await cluster.settle()
        assert pod_of(cluster, "web-0")["spec"]["containers"][0]["image"] == "engine:2"


@virtual
async def test_going_back_makes_the_old_revision_the_newest() -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, SETS, 1)
        await cluster.settle()
        first = get(cluster, SETS, "web")["status"]["updateRevision"]
        for image in ("engine:2", "engine:1"):
            change(cluster, SETS, template=template(image))
            await cluster.settle()
        assert get(cluster, SETS, "web")["status"]["updateRevision"] == first
        revisions = {item["metadata"]["name"]: item for item in cluster.server.storage.list("controllerrevisions.apps")}
        assert len(revisions) == 2
        assert revisions[first]["revision"] == 3


# Deleting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [DEPLOYMENTS, SETS])
@virtual
async def test_a_deleted_workload_takes_its_pods_with_it(resource: str) -> None:
    async with EmbeddedCluster() as cluster:
        workload(cluster, resource, 3)
        await cluster.settle()
        cluster.server.delete(resource, Key("default", "web"), user="admin")
        await cluster.settle()
        for left in ("pods", "replicasets.apps", "controllerrevisions.apps"):
            assert cluster.server.storage.list(left) == []


# EndpointSlices -------------------------------------------------------------------------------------------------------


@virtual
async def test_a_service_has_the_addresses_of_the_ready_pods_it_selects() -> None:
    async with EmbeddedCluster() as cluster:
        spec = {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
        create_pod(cluster, "before", metadata={"labels": {"app": "web"}}, hostname="before", subdomain="web")
        create(cluster, "services", "web", spec=spec)
        create_pod(cluster, "after", metadata={"labels": {"app": "web"}})
        create_pod(cluster, "other", metadata={"labels": {"app": "db"}})
        await cluster.settle()
        [found] = cluster.server.storage.list("endpointslices.discovery.k8s.io")
        assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
        assert [item["port"] for item in found["ports"]] == [80]
        by_name = {item["targetRef"]["name"]: item for item in found["endpoints"]}
        assert sorted(by_name) == ["after", "before"]
        assert by_name["before"]["hostname"] == "before"
        assert by_name["before"]["addresses"] == [pod_of(cluster, "before")["status"]["podIP"]]
        cluster.set_ready("after", ready=False)
        await cluster.settle()
        [found] = cluster.server.storage.list("endpointslices.discovery.k8s.io")
        assert [item["conditions"]["ready"] for item in found["endpoints"]] == [True, False]
        cluster.server.delete("services", Key("default", "web"), user="admin")
        await cluster.settle()
        assert cluster.server.storage.list("endpointslices.discovery.k8s.io") == []


@virtual
async def test_unready_addresses_are_published_on_request() -> None:
    async with EmbeddedCluster() as cluster:
        spec = {"clusterIP": "None", "selector": {"app": "web"}, "publishNotReadyAddresses": True}
        create(cluster, "services", "web", spec=spec)
        create_pod(cluster, "a", metadata={"labels": {"app": "web"}}, readinessGates=[{"conditionType": "x.io/y"}])
        await cluster.settle()
        assert not ready(pod_of(cluster, "a"))
        [found] = cluster.server.storage.list("endpointslices.discovery.k8s.io")
        assert found["endpoints"][0]["conditions"] == {"ready": True, "serving": True, "terminating": False}
