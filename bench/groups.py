"""What a group costs in requests, counted at the client of a manager that works on a real API server."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.report import Row
from hack.controlplane import Cluster, ClusterOptions
from hack.controlplane.waiting import eventually
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import Client, Recording, connect
from rbgctrl.reconcilers import add_all
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.manager import Manager

__all__ = ["CRDS", "groups", "manifest"]

CRDS = Path(__file__).parents[1] / "config" / "crd"
"""Definitions of our kinds."""

_KEY = Key("default", "llm")
_RESYNCS = 100
_REST = 4.0  # longer than any status waits for things to come to rest


def groups() -> list[Row]:
    """Requests by verb and kind from nothing to Ready, for scaling and deletion, and for a hundred resyncs."""
    configure(LogOptions(level="error"))
    return asyncio.run(_groups())


async def _groups() -> list[Row]:
    options = ClusterOptions(nodes=4, crds=(CRDS,))
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Cluster(options, state=Path(folder)) as cluster,
            connect(kubeconfig=str(cluster.kubeconfig)) as client,
        ):
            return await _measured(client)


async def _measured(client: Client) -> list[Row]:
    recording = Recording(client.transport)
    rows: list[Row] = []
    async with _managed(client.with_transport(recording)) as manager:
        recording.requests.clear()  # the first lists and watches
        await client.create(RoleBasedGroup, manifest(_KEY.name, _KEY.namespace, prefill=3, decode=5), _KEY.namespace)
        rows += await _phase("2 roles, 8 pods, from nothing to Ready", client, recording)
        for _ in range(_RESYNCS):
            for informer in manager.cache.informers():
                informer.resync()
            await asyncio.sleep(0)
        await asyncio.sleep(_REST)
        sent = len(recording.writes())
        rows.append(
            Row(bench="group", what=f"writes of a settled group, resynced {_RESYNCS} times", value=sent,
                budget="0", exact=True, met=sent == 0)
        )  # fmt: skip
        recording.requests.clear()
        await client.patch(RoleBasedGroup, _KEY, _spec(prefill=3, decode=6))
        rows += await _phase("one instance more", client, recording)
        await client.patch(RoleBasedGroup, _KEY, _spec(prefill=3, decode=5))
        rows += await _phase("one instance less", client, recording)
        await client.delete(RoleBasedGroup, _KEY, propagation="Background")
        await asyncio.sleep(_REST)
        rows += _counted("deletion", recording)
    gc.collect()
    return rows


@asynccontextmanager
async def _managed(client: Client) -> AsyncIterator[Manager]:
    manager = Manager(client)
    add_all(manager)
    running = asyncio.create_task(manager.run())
    try:
        await eventually(lambda: manager.ready, 60, what="the manager is ready")
        yield manager
    finally:
        manager.stop()
        await running


async def _phase(name: str, client: Client, recording: Recording) -> list[Row]:
    await eventually(_ready(client), 60, what=f"the group is Ready: {name}")
    await asyncio.sleep(_REST)
    return _counted(name, recording)


def _ready(client: Client) -> Callable[[], Any]:
    async def probe() -> bool:
        found = await client.get(RoleBasedGroup, _KEY)
        conditions = (found.status.conditions if found.status is not None else None) or ()
        return any(
            item.type == "Ready" and item.true and item.observed_generation == found.metadata.generation
            for item in conditions
        )

    return probe


def _counted(name: str, recording: Recording) -> list[Row]:
    """All writes since the last count; what is read only asks now and then whether an absent kind has come."""
    counts: Counter[str] = Counter()
    for request in recording.writes():
        kind = request.kind.kind if request.kind is not None else request.path
        counts[f"{request.verb.value} {kind}" + (f"/{request.subresource}" if request.subresource else "")] += 1
    recording.requests.clear()
    rows = [
        Row(bench="group", what=f"{name}: {what}", value=count, unit="requests")
        for what, count in sorted(counts.items())
    ]
    total = sum(counts.values())
    return [*rows, Row(bench="group", what=f"{name}: all", value=total, unit="requests")]


def _spec(**replicas: int) -> dict[str, Any]:
    return {"spec": manifest(_KEY.name, _KEY.namespace, **replicas)["spec"]}


def manifest(group: str, namespace: str, **replicas: int) -> dict[str, Any]:
    """A group of roles of so many standalone pods each; the second role depends on the first, and so on."""
    roles: list[dict[str, Any]] = []
    for name, count in replicas.items():
        template = {"spec": {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}}
        role: dict[str, Any] = {"name": name, "replicas": count, "standalonePattern": {"template": template}}
        if roles:
            role["dependencies"] = [roles[-1]["name"]]
        roles.append(role)
    kind = RoleBasedGroup.KIND
    metadata = {"name": group, "namespace": namespace}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": {"roles": roles}}
