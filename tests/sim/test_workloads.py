"""Roles backed by workloads of other projects on the embedded cluster, in virtual time.

The scenarios of ``tests/e2e/test_workloads.py`` that need no LeaderWorkerSet controller are run as they are; here the
test plays that controller. It writes the status, and nothing makes pods.
"""

from __future__ import annotations

from typing import Any

from e2e.support.groups import V1ALPHA2, become_ready, condition, group, pods
from e2e.test_workloads import (
    APPS,
    DEPLOYMENT,
    LEADER_WORKER_SET,
    LWS,
    NEW,
    STATEFUL_SET,
    backed,
    change,
    counted,
    rich,
    rolling,
)
from hack.controlplane.errors import HttpError
from hack.controlplane.waiting import eventually
from rbgctrl.sim import virtual
from sim.support import World, world

CRD = "leaderworkersets.leaderworkerset.x-k8s.io"


def definition() -> dict[str, Any]:
    """The kind as far as it matters here: replicas, a status, and fields that are kept as they are."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD},
        "spec": {
            "group": "leaderworkerset.x-k8s.io",
            "names": {
                "kind": "LeaderWorkerSet",
                "listKind": "LeaderWorkerSetList",
                "plural": "leaderworkersets",
                "singular": "leaderworkerset",
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
                    },
                }
            ],
        },
    }


async def play(w: World, name: str, ready: int) -> None:
    """What the LeaderWorkerSet controller would say."""
    found = await w.api.get(LWS, "LeaderWorkerSet", name, w.namespace)
    wanted = found["spec"]["replicas"]
    status = {
        "replicas": wanted,
        "readyReplicas": ready,
        "updatedReplicas": ready,
        "hpaPodSelector": f"leaderworkerset.sigs.k8s.io/name={name},leaderworkerset.sigs.k8s.io/worker-index=0",
    }
    await w.api.merge(LWS, "LeaderWorkerSet", name, {"status": status}, namespace=w.namespace, subresource="status")


async def exists(w: World, version: str, kind: str, name: str) -> bool:
    try:
        return await w.api.find(version, kind, name, w.namespace) is not None
    except HttpError:
        return False  # not even the kind


@virtual
async def test_a_settled_group_of_builtin_kinds_costs_no_write() -> None:
    limits = rolling(1, 1)
    async with world() as w:
        await w.api.create(
            group("llm", w.namespace, backed(DEPLOYMENT, "web", **limits), backed(STATEFUL_SET, "store", 3, **limits))
        )
        await become_ready(w.api, "llm", w.namespace)
        await change(
            w.api,
            w.namespace,
            backed(DEPLOYMENT, "web", image=NEW, **limits),
            backed(STATEFUL_SET, "store", 3, image=NEW, **limits),
        )
        await w.settle()
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        before = w.writes()
        assert before["apply", "StatefulSet"] <= 8
        await w.sleep(3600)
        assert w.writes() == before


@virtual
async def test_what_the_server_makes_of_a_wide_template_costs_no_request() -> None:
    async with world() as w:
        await w.api.create(definition())
        kinds = (DEPLOYMENT, STATEFUL_SET, LEADER_WORKER_SET)
        roles = [rich(backed(kind, f"r{number}", 1)) for number, kind in enumerate(kinds)]
        await w.api.create(group("llm", w.namespace, *roles))
        await eventually(lambda: exists(w, LWS, "LeaderWorkerSet", "llm-r2"), 60, what="it is made")
        await play(w, "llm-r2", 1)
        await become_ready(w.api, "llm", w.namespace)
        await w.settle()
        before = w.writes()
        for number in range(5):  # each makes the group be looked at
            touched = {"metadata": {"annotations": {"example.com/seen": str(number)}}}
            await w.api.merge(V1ALPHA2, "RoleBasedGroup", "llm", touched, namespace=w.namespace)
            await w.settle()
        assert w.writes() == before
        await change(w.api, w.namespace, *roles[:2], backed(LEADER_WORKER_SET, "r2", 1))
        await w.settle()
        assert w.writes()["apply", "LeaderWorkerSet"] == before["apply", "LeaderWorkerSet"] + 1


@virtual
async def test_a_role_without_its_kind_says_so_runs_the_rest_and_starts_when_the_kind_appears() -> None:
    async with world() as w:
        engine = backed(LEADER_WORKER_SET, "engine", 2)
        await w.api.create(group("llm", w.namespace, engine, backed("", "router", 1), backed("", "late", 1, "engine")))

        async def told() -> bool:
            found = await condition(w.api, "llm", w.namespace)
            return found is not None and "does not know kind LeaderWorkerSet" in found["message"]

        async def router_runs() -> bool:
            return (await counted(w.api, w.namespace)).get("router") == (1, 1, 1)

        await eventually(told, 20, what="the condition says what is missing")
        await eventually(router_runs, 20, what="the other role runs")
        assert sorted(await pods(w.api, w.namespace)) == ["llm-router-0"]
        await w.sleep(3600)
        await w.api.create(definition())
        await eventually(lambda: exists(w, LWS, "LeaderWorkerSet", "llm-engine"), 60, what="it is made")
        await w.settle()
        assert not await exists(w, V1ALPHA2, "RoleInstanceSet", "llm-late")  # 0 of 0 is not ready
        await play(w, "llm-engine", 2)
        await become_ready(w.api, "llm", w.namespace)
        assert (await counted(w.api, w.namespace))["engine"] == (2, 2, 2)


@virtual
async def test_a_kind_that_goes_and_comes_back_leads_to_its_role_being_made_again() -> None:
    async with world() as w:
        await w.api.create(definition())
        await w.api.create(group("llm", w.namespace, backed(LEADER_WORKER_SET, "engine", 1), backed("", "router", 1)))
        await eventually(lambda: exists(w, LWS, "LeaderWorkerSet", "llm-engine"), 60, what="it is made")
        await play(w, "llm-engine", 1)
        await become_ready(w.api, "llm", w.namespace)
        await w.api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD)
        await w.sleep(120)
        assert (await counted(w.api, w.namespace))["router"] == (1, 1, 1)
        await w.api.create(definition())
        await eventually(lambda: exists(w, LWS, "LeaderWorkerSet", "llm-engine"), 90, what="it is made again")
        await play(w, "llm-engine", 1)
        await become_ready(w.api, "llm", w.namespace)


@virtual
async def test_a_role_leaves_a_leader_worker_set_only_when_that_is_gone() -> None:
    async with world() as w:
        await w.api.create(definition())
        await w.api.create(group("llm", w.namespace, backed(LEADER_WORKER_SET, "engine", 1)))
        await eventually(lambda: exists(w, LWS, "LeaderWorkerSet", "llm-engine"), 60, what="it is made")
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        await w.api.merge(LWS, "LeaderWorkerSet", "llm-engine", held, namespace=w.namespace)
        await change(w.api, w.namespace, backed(STATEFUL_SET, "engine", 1))
        await w.sleep(600)
        found = await w.api.get(LWS, "LeaderWorkerSet", "llm-engine", w.namespace)
        assert "deletionTimestamp" in found["metadata"]
        assert not await exists(w, APPS, "StatefulSet", "llm-engine")
        ready = await condition(w.api, "llm", w.namespace)
        assert ready is not None
        assert "llm-engine" in ready["message"]
        finalizers = {"metadata": {"finalizers": None}}
        await w.api.merge(LWS, "LeaderWorkerSet", "llm-engine", finalizers, namespace=w.namespace)
        await become_ready(w.api, "llm", w.namespace)
        assert sorted(await pods(w.api, w.namespace)) == ["llm-engine-0"]
