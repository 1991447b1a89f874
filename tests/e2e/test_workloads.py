"""Roles backed by Deployments, StatefulSets and LeaderWorkerSets, with the real controllers of those kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, condition, group, pods, role
from e2e.support.plugin import CRDS
from hack.controlplane import Api, Cluster, ClusterOptions
from hack.controlplane.errors import HttpError
from rbgctrl.api import labels

APPS, LWS = "apps/v1", "leaderworkerset.x-k8s.io/v1"
DEPLOYMENT, STATEFUL_SET, LEADER_WORKER_SET = f"{APPS}/Deployment", f"{APPS}/StatefulSet", f"{LWS}/LeaderWorkerSet"
OLD, NEW = "registry.example/engine:1", "registry.example/engine:2"


def backed(
    kind: str, name: str, replicas: int = 2, *dependencies: str, image: str = OLD, **more: Any
) -> dict[str, Any]:
    """A role of that workload type; ``""`` for our own."""
    found = role(name, replicas, *dependencies, **more)
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    if kind == LEADER_WORKER_SET:
        del found["standalonePattern"]
        found["leaderWorkerPattern"] = {"size": 2, "template": template}
    else:
        found["standalonePattern"]["template"] = template
    if kind:
        found["annotations"] = {**found.get("annotations", {}), labels.ROLE_WORKLOAD_TYPE: kind}
    return found


def rolling(unavailable: int | str, surge: int | str, partition: int = 0) -> dict[str, Any]:
    update = {"maxUnavailable": unavailable, "maxSurge": surge, "partition": partition}
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdate": update}}


def rich(found: dict[str, Any]) -> dict[str, Any]:
    """The role with a wide pod template, written as people do: the API server completes and rewrites much of it."""
    pattern = found.get("standalonePattern") or found["leaderWorkerPattern"]
    labelled = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    probe = {"httpGet": {"path": "/healthz", "port": "http"}}
    pattern["template"] = {
        "metadata": {"labels": {"app": "engine"}, "annotations": {"example.com/note": "hot"}},
        "spec": {
            "initContainers": [{"name": "fetch", "image": OLD, "resources": {"limits": {"cpu": "500m"}}}],
            "containers": [
                {
                    "name": "main",
                    "image": OLD,
                    "command": ["serve"],
                    "ports": [{"name": "http", "containerPort": 8000}, {"containerPort": 9000, "protocol": "UDP"}],
                    "env": [
                        {"name": "PLAIN", "value": "1"},
                        {"name": "EMPTY"},
                        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                    ],
                    "envFrom": [{"configMapRef": {"name": "settings", "optional": True}}],
                    "resources": {
                        "requests": {"cpu": "0.5", "memory": "1024Mi"},
                        "limits": {"cpu": "1000m", "memory": "1.5Gi"},
                    },
                    "startupProbe": {**probe, "failureThreshold": 30},
                    "livenessProbe": {"tcpSocket": {"port": 8000}},
                    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "host", "mountPath": "/h"}],
                    "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
                    "securityContext": {"allowPrivilegeEscalation": False},
                },
                {"name": "sidecar", "image": OLD, "args": []},
            ],
            "volumes": [
                {"name": "cache", "emptyDir": {"sizeLimit": "2048Mi"}},
                {"name": "host", "hostPath": {"path": "/opt"}},
                {"name": "about", "projected": {"sources": [{"downwardAPI": {"items": [labelled]}}]}},
            ],
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"app": "engine"}},
                            },
                        }
                    ]
                }
            },
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "engine"}},
                }
            ],
            "securityContext": {"runAsUser": 1000},
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {},
        },
    }
    return found


async def change(api: Api, namespace: str, *roles: dict[str, Any]) -> None:
    """Give the group other roles."""
    spec = group("llm", namespace, *roles)["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)


async def uids(api: Api, namespace: str) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}


async def of_role(api: Api, namespace: str, name: str) -> dict[str, dict[str, Any]]:
    """Pods of a role that are not being deleted."""
    found = await pods(api, namespace)
    return {key: pod for key, pod in found.items() if pod["metadata"]["labels"].get(labels.ROLE_NAME) == name}


def images(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: pod["spec"]["containers"][0]["image"] for name, pod in found.items()}


def ready(found: dict[str, dict[str, Any]]) -> int:
    return sum(
        any(
            item["type"] == "Ready" and item["status"] == "True" for item in pod.get("status", {}).get("conditions", ())
        )
        for pod in found.values()
    )


async def counted(api: Api, namespace: str) -> dict[str, tuple[int, int, int]]:
    """What the group's status says of each role: there, ready, at the latest template."""
    status = (await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace)).get("status", {})
    return {
        entry["name"]: (entry["replicas"], entry["readyReplicas"], entry["updatedReplicas"])
        for entry in status.get("roleStatuses", ())
    }


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


# Deployments and StatefulSets -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_roles_of_builtin_kinds_become_ready_with_everything_the_contract_names(api: Api, namespace: str) -> None:
    web, store = backed(DEPLOYMENT, "web"), backed(STATEFUL_SET, "store", 2, "web", minReadySeconds=1)
    await api.create(group("llm", namespace, web, store, role("decode", 1, "store")))
    await become_ready(api, "llm", namespace)
    assert await counted(api, namespace) == {"web": (2, 2, 2), "store": (2, 2, 2), "decode": (1, 1, 1)}
    made = await api.get(APPS, "StatefulSet", "llm-store", namespace)
    assert made["spec"]["serviceName"] == "s-llm-store"
    assert made["spec"]["podManagementPolicy"] == "Parallel"
    assert made["spec"]["minReadySeconds"] == 1
    service = await api.get("v1", "Service", "s-llm-store", namespace)
    assert [owner["kind"] for owner in service["metadata"]["ownerReferences"]] == ["StatefulSet"]
    assert await api.find("v1", "Service", "s-llm-web", namespace) is None
    assert sorted(await of_role(api, namespace, "store")) == ["llm-store-0", "llm-store-1"]
    (container,) = (await of_role(api, namespace, "store"))["llm-store-1"]["spec"]["containers"]
    assert [variable["name"] for variable in container["env"]] == ["RBG_GROUP_NAME", "RBG_ROLE_INDEX", "RBG_ROLE_NAME"]
    assert len(await of_role(api, namespace, "web")) == 2


@pytest.mark.usefixtures("running")
async def test_a_new_image_rolls_one_role_and_no_pod_of_another(api: Api, namespace: str) -> None:
    limits = rolling(1, 1)
    await api.create(
        group("llm", namespace, backed(DEPLOYMENT, "web", **limits), backed(STATEFUL_SET, "store", 3, **limits))
    )
    await become_ready(api, "llm", namespace)
    before = await uids(api, namespace)
    await change(
        api,
        namespace,
        backed(DEPLOYMENT, "web", **limits),
        backed(STATEFUL_SET, "store", 3, image=NEW, **limits),
    )

    async def rolled() -> bool:
        return images(await of_role(api, namespace, "store")) == {f"llm-store-{number}": NEW for number in range(3)}

    await eventually(rolled, 60, what="every pod of the StatefulSet has the new image, and the extra one is gone")
    await become_ready(api, "llm", namespace)
    after = await uids(api, namespace)
    assert {name: uid for name, uid in before.items() if "web" in name}.items() <= after.items()
    await change(
        api,
        namespace,
        backed(DEPLOYMENT, "web", image=NEW, **limits),
        backed(STATEFUL_SET, "store", 3, image=NEW, **limits),
    )

    async def web_rolled() -> bool:
        found = images(await of_role(api, namespace, "web"))
        return len(found) == 2 and set(found.values()) == {NEW}

    await eventually(web_rolled, 60, what="every pod of the Deployment has the new image")
    await become_ready(api, "llm", namespace)
    last = await uids(api, namespace)
    assert {name: uid for name, uid in after.items() if "store" in name}.items() <= last.items()


@pytest.mark.usefixtures("running")
async def test_a_stateful_set_without_room_for_missing_pods_never_has_fewer_ready(api: Api, namespace: str) -> None:
    limits = rolling(0, 1)
    await api.create(group("llm", namespace, backed(STATEFUL_SET, "store", 2, **limits)))
    await become_ready(api, "llm", namespace)
    await change(api, namespace, backed(STATEFUL_SET, "store", 2, image=NEW, **limits))
    least, most = 2, 2

    async def rolled() -> bool:
        nonlocal least, most
        found = await of_role(api, namespace, "store")
        least, most = min(least, ready(found)), max(most, len(found))
        return images(found) == {"llm-store-0": NEW, "llm-store-1": NEW}

    await eventually(rolled, 60, what="both pods have the new image, and the extra one is gone")
    assert (least, most) == (2, 3)
    await become_ready(api, "llm", namespace)


@pytest.mark.usefixtures("running")
async def test_pods_of_a_stateful_set_below_the_partition_wait_until_it_goes(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, backed(STATEFUL_SET, "store", 3)))
    await become_ready(api, "llm", namespace)
    await change(api, namespace, backed(STATEFUL_SET, "store", 3, image=NEW, **rolling(1, 0, partition=2)))

    async def canary() -> bool:
        found = await of_role(api, namespace, "store")
        return images(found) == {"llm-store-0": OLD, "llm-store-1": OLD, "llm-store-2": NEW} and ready(found) == 3

    await eventually(canary, 60, what="the last pod has the new image")
    await become_ready(api, "llm", namespace)
    assert (await counted(api, namespace))["store"] == (3, 3, 1)
    await change(api, namespace, backed(STATEFUL_SET, "store", 3, image=NEW, **rolling(1, 0)))

    async def rolled() -> bool:
        return set(images(await of_role(api, namespace, "store")).values()) == {NEW}

    await eventually(rolled, 60, what="every pod has the new image")
    await become_ready(api, "llm", namespace)


@pytest.mark.usefixtures("running")
async def test_scaling_roles_of_builtin_kinds_keeps_the_pods_that_stay(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, backed(DEPLOYMENT, "web", 1), backed(STATEFUL_SET, "store", 2)))
    await become_ready(api, "llm", namespace)
    before = await uids(api, namespace)
    await change(api, namespace, backed(DEPLOYMENT, "web", 2), backed(STATEFUL_SET, "store", 3))
    await become_ready(api, "llm", namespace)
    after = await uids(api, namespace)
    assert before.items() <= after.items()
    assert len(after) == 5
    await change(api, namespace, backed(DEPLOYMENT, "web", 2), backed(STATEFUL_SET, "store", 1))

    async def smaller() -> bool:
        return sorted(await of_role(api, namespace, "store")) == ["llm-store-0"]

    await eventually(smaller, 60, what="the pods that are too many are gone")
    await become_ready(api, "llm", namespace)
    assert (await uids(api, namespace))["llm-store-0"] == before["llm-store-0"]


@pytest.mark.usefixtures("running")
async def test_a_role_that_changes_its_kind_keeps_its_pod_names_and_never_has_both(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, backed(STATEFUL_SET, "decode"), backed("", "other", 1)))
    await become_ready(api, "llm", namespace)
    before = await uids(api, namespace)
    kinds = {"StatefulSet": APPS, "RoleInstanceSet": V1ALPHA2}

    async def moved_to(kind: str) -> bool:
        there = [
            name
            for name, version in kinds.items()
            if await api.find(version, name, "llm-decode", namespace) is not None
        ]
        assert len(there) < 2
        found = await of_role(api, namespace, "decode")
        owner = {"RoleInstanceSet": "RoleInstance"}.get(kind, kind)
        return sorted(found) == ["llm-decode-0", "llm-decode-1"] and all(
            pod["metadata"]["ownerReferences"][0]["kind"] == owner for pod in found.values()
        )

    await change(api, namespace, backed("", "decode"), backed("", "other", 1))
    await eventually(lambda: moved_to("RoleInstanceSet"), 60, what="the pods are those of a RoleInstanceSet")
    await become_ready(api, "llm", namespace)
    service = await api.get("v1", "Service", "s-llm-decode", namespace)
    assert [owner["kind"] for owner in service["metadata"]["ownerReferences"]] == ["RoleInstanceSet"]
    await change(api, namespace, backed(STATEFUL_SET, "decode"), backed("", "other", 1))
    await eventually(lambda: moved_to("StatefulSet"), 60, what="the pods are those of a StatefulSet again")
    await become_ready(api, "llm", namespace)
    after = await uids(api, namespace)
    assert after["llm-other-0"] == before["llm-other-0"]
    assert not {name for name in before if "decode" in name and before[name] == after[name]}


@pytest.mark.usefixtures("running")
async def test_workloads_of_builtin_kinds_go_with_their_role_and_with_the_group(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, backed(DEPLOYMENT, "web", 1), backed(STATEFUL_SET, "store", 1)))
    await become_ready(api, "llm", namespace)
    await change(api, namespace, backed(STATEFUL_SET, "store", 1))

    async def no_web() -> bool:
        return not await api.items(APPS, "Deployment", namespace) and not await of_role(api, namespace, "web")

    await eventually(no_web, 60, what="the Deployment is gone")
    await become_ready(api, "llm", namespace)
    await api.delete(V1ALPHA2, "RoleBasedGroup", "llm", namespace)

    async def nothing() -> bool:
        return not await api.items(APPS, "StatefulSet", namespace) and not await pods(api, namespace)

    await eventually(nothing, 60, what="nothing is left")


@pytest.mark.usefixtures("running")
async def test_a_workload_edited_or_deleted_by_hand_is_restored(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, backed(DEPLOYMENT, "web", 1), backed(STATEFUL_SET, "store", 1)))
    await become_ready(api, "llm", namespace)
    await api.merge(APPS, "StatefulSet", "llm-store", {"spec": {"replicas": 3}}, namespace=namespace)
    await api.delete(APPS, "Deployment", "llm-web", namespace)

    async def restored() -> bool:
        web = await api.find(APPS, "Deployment", "llm-web", namespace)
        store = await api.get(APPS, "StatefulSet", "llm-store", namespace)
        return web is not None and store["spec"]["replicas"] == 1

    await eventually(restored, 30, what="both are as they were")
    await become_ready(api, "llm", namespace)


# LeaderWorkerSets -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_a_group_of_all_four_kinds_becomes_ready_rolls_and_scales(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    def roles(image: str = OLD, replicas: int = 2) -> tuple[dict[str, Any], ...]:
        return (
            backed(DEPLOYMENT, "web", 1),
            backed(STATEFUL_SET, "store", 1),
            backed(LEADER_WORKER_SET, "engine", replicas, image=image),
            backed("", "router", 1, "engine"),
        )

    assert cluster.options.lws
    await api.create(group("llm", namespace, *roles()))
    await become_ready(api, "llm", namespace)
    assert (await counted(api, namespace))["engine"] == (2, 2, 2)
    names = ["llm-engine-0", "llm-engine-0-1", "llm-engine-1", "llm-engine-1-1"]
    assert sorted(await of_role(api, namespace, "engine")) == names
    others = {name: uid for name, uid in (await uids(api, namespace)).items() if name not in names}
    await change(api, namespace, *roles(NEW))

    async def rolled() -> bool:
        return images(await of_role(api, namespace, "engine")) == dict.fromkeys(names, NEW)

    await eventually(rolled, 90, what="every pod of the LeaderWorkerSet has the new image")
    await become_ready(api, "llm", namespace)
    await change(api, namespace, *roles(NEW, 3))

    async def scaled() -> bool:
        found = await of_role(api, namespace, "engine")
        return len(found) == 6 and (await counted(api, namespace))["engine"] == (3, 3, 3)

    await eventually(scaled, 60, what="the third group of pods is ready")
    await become_ready(api, "llm", namespace)
    assert others.items() <= (await uids(api, namespace)).items()


async def test_a_settled_group_of_all_four_kinds_costs_no_write(
    cluster: Cluster, api: Api, namespace: str, running: Daemon
) -> None:
    await api.create(
        group(
            "llm",
            namespace,
            rich(backed(DEPLOYMENT, "web", 1, **rolling(1, 1))),
            rich(backed(STATEFUL_SET, "store", 1, **rolling(1, 1))),
            rich(backed(LEADER_WORKER_SET, "engine", 1)),
        )
    )
    await become_ready(api, "llm", namespace)
    workloads = (
        (APPS, "Deployment", "llm-web"),
        (APPS, "StatefulSet", "llm-store"),
        (LWS, "LeaderWorkerSet", "llm-engine"),
    )
    mark = cluster.audit_mark()
    seen = await running.metric("controller_runtime_reconcile_total")
    # What touches a workload without changing what we want of it must wake nobody to write.
    for version, kind, name in workloads:
        await api.merge(version, kind, name, {"metadata": {"labels": {"team": "search"}}}, namespace=namespace)

    async def looked() -> bool:
        return await running.metric("controller_runtime_reconcile_total") > seen

    await eventually(looked, 20, what="the group was looked at again")
    assert len(_writes(cluster, namespace, 0)) >= 3
    assert _writes(cluster, namespace, mark) == []


def _writes(cluster: Cluster, namespace: str, mark: int) -> list[str]:
    """What the daemon wrote to workloads of other projects since then."""
    kinds = ("deployments", "statefulsets", "leaderworkersets")
    return [
        f"{event.verb} {event.resource} {event.object_ref.name}"
        for event in cluster.audit_events(after=mark, agent="rbgctrl-daemon/")
        if event.object_ref.namespace == namespace and event.is_write and event.object_ref.resource in kinds
    ]


async def test_without_the_crd_the_role_says_so_the_rest_runs_and_it_starts_once_the_crd_appears(
    tmp_path: Path,
) -> None:
    options = ClusterOptions(nodes=2, gang=False, crds=(CRDS,))
    async with Cluster(options, state=tmp_path / "cluster") as own, own.api() as api:
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}})
        async with daemon(own.kubeconfig, tmp_path / "rbgctrl", namespace="ml"):
            await api.create(group("llm", "ml", backed(LEADER_WORKER_SET, "engine", 1), backed("", "router", 1)))

            async def told() -> bool:
                found = await condition(api, "llm", "ml")
                return found is not None and "does not know kind LeaderWorkerSet" in found["message"]

            await eventually(told, 30, what="the condition says what is missing")

            async def runs() -> bool:
                return (await counted(api, "ml"))["router"] == (1, 1, 1)

            await eventually(runs, 30, what="the other role runs")
            await own.install_crds(own.build.manifests("lws"))

            async def made() -> bool:
                try:
                    return await api.find(LWS, "LeaderWorkerSet", "llm-engine", "ml") is not None
                except HttpError:
                    return False

            await eventually(made, 90, what="the LeaderWorkerSet is made")
