"""Many groups at once under the real daemon on a real API server, against as many bare pods in the same run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.groups import CRDS
from bench.report import Row
from hack.controlplane import Api, Cluster, ClusterOptions, Manifest, eventually
from hack.controlplane.ports import LOOPBACK, free_ports
from rbgctrl.api.groups import RoleBasedGroup

__all__ = ["scale"]

_GROUPS, _SHORT = 100, 20
_SHAPES = (("router", 1, 1), ("prefill", 1, 1), ("decode", 1, 4))  # role, instances, pods of an instance
_PODS = sum(instances * size for _, instances, size in _SHAPES)
_GROUP = (RoleBasedGroup.KIND.api_version, RoleBasedGroup.KIND.kind)
_NAMESPACE, _BARE, _DEPLOYED = "default", "bare", "deployed"
_SPEC = {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}
_IN_FLIGHT = 16
_REST = 5.0  # longer than any status waits for things to come to rest
_PATIENCE = 300.0
_LOOK = 0.5  # more often, and looking costs the server more than what is looked at
_REQUESTS = 50  # for the whole life of a group
_MEGABYTES = 150
_CPU = 28.0


def scale(*, short: bool = False) -> list[Row]:
    """Requests, CPU, memory and time of 100 groups (20 in the short form) that are created, change and go.

    Each has two roles of one pod and one of a leader with three workers. The same pods are made before without anything
    around them, and by Deployments, so that the times can be compared.
    """
    return asyncio.run(_scale(_SHORT if short else _GROUPS))


async def _scale(groups: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(nodes=8, crds=(CRDS,))
        async with Cluster(options, state=Path(folder, "cluster")) as cluster, cluster.api(agent="bench") as api:
            bare = await _timed(_create_pods(api, groups))
            await _emptied(api, _BARE)
            deployed = await _timed(_create_deployments(api, groups))
            await _emptied(api, _DEPLOYED)
            async with _daemon(cluster.kubeconfig, Path(folder, "daemon.log")) as daemon:
                return await _measure(api, daemon, groups, bare, deployed)


async def _measure(api: Api, daemon: _Daemon, groups: int, bare: float, deployed: float) -> list[Row]:
    names = [f"llm-{number:03d}" for number in range(groups)]
    before = await daemon.numbers()
    grouped = await _timed(_create_groups(api, names))
    await asyncio.sleep(_REST)
    ready = await daemon.numbers()
    annotated = {"metadata": {"annotations": {"example.com/note": "changed"}}}
    await _each(names, lambda name: api.merge(*_GROUP, name, annotated, namespace=_NAMESPACE))
    await asyncio.sleep(_REST)
    changed = await daemon.numbers()
    await _each(names, lambda name: api.delete(*_GROUP, name, _NAMESPACE))
    await _gone(api, _NAMESPACE)
    await asyncio.sleep(_REST)
    after = await daemon.numbers()
    return [
        _row("requests of a group, from nothing to Ready", (ready.requests - before.requests) / groups),
        _row("requests of a group for an annotation", (changed.requests - ready.requests) / groups),
        _row("requests of a group for its end", (after.requests - changed.requests) / groups),
        _row("requests of a group, all its life", (after.requests - before.requests) / groups, "", _REQUESTS),
        _row("CPU of the daemon, from nothing to Ready", ready.cpu - before.cpu, "s"),
        _row("CPU of the daemon, all of it", after.cpu - before.cpu, "s", _CPU * groups / _GROUPS),
        _row("peak memory of the daemon", after.memory, "MB", _MEGABYTES),
        _row(f"time until {groups * _PODS} bare pods are Ready", bare, "s"),
        _row(f"time until the same pods of {groups * len(_SHAPES)} Deployments are", deployed, "s"),
        _row(f"time until {groups} groups of the same pods are", grouped, "s", deployed),
        _row("that of the groups, in that of the bare pods", grouped / bare, "x"),
    ]


def _row(what: str, value: float, unit: str = "", most: float | None = None) -> Row:
    if most is None:
        return Row(bench="scale", what=what, value=value, unit=unit)
    return Row(bench="scale", what=what, value=value, unit=unit, budget=f"<= {most:.4g}", met=value <= most)


# What is done to the cluster


async def _timed(work: Awaitable[None]) -> float:
    started = time.monotonic()
    await work
    return time.monotonic() - started


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[Any]]) -> None:
    """Do it for every name, some at a time."""
    limit = asyncio.Semaphore(_IN_FLIGHT)

    async def one(name: str) -> None:
        async with limit:
            await work(name)

    await asyncio.gather(*map(one, names))


def _group(name: str) -> Manifest:
    roles: list[dict[str, Any]] = []
    for role, instances, size in _SHAPES:
        pattern: dict[str, Any] = {"template": {"spec": _SPEC}}
        if size > 1:
            pattern["size"] = size
        roles.append(
            {
                "name": role,
                "replicas": instances,
                "leaderWorkerPattern" if size > 1 else "standalonePattern": pattern,
            }
        )
    api_version, kind = _GROUP
    metadata = {"name": name, "namespace": _NAMESPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {"roles": roles}}


async def _create_groups(api: Api, names: Sequence[str]) -> None:
    await _each(names, lambda name: api.create(_group(name)))
    await _ready(api, *_GROUP, _NAMESPACE)


async def _create_pods(api: Api, groups: int) -> None:
    """As many pods as the groups have, with nothing around them."""
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _BARE}})

    def pod(name: str) -> Manifest:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": _BARE}, "spec": _SPEC}

    await _each([f"bare-{number}" for number in range(groups * _PODS)], lambda name: api.create(pod(name)))
    await _ready(api, "v1", "Pod", _BARE)


async def _create_deployments(api: Api, groups: int) -> None:
    """As many pods, in a Deployment for each role."""
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _DEPLOYED}})
    wanted = {f"llm-{number:03d}-{role}": count * size for number in range(groups) for role, count, size in _SHAPES}

    def deployment(name: str) -> Manifest:
        template = {"metadata": {"labels": {"app": name}}, "spec": _SPEC}
        spec = {"replicas": wanted[name], "selector": {"matchLabels": {"app": name}}, "template": template}
        metadata = {"name": name, "namespace": _DEPLOYED}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    await _each(wanted, lambda name: api.create(deployment(name)))

    async def all_ready() -> bool:
        found = await api.items("v1", "Pod", _DEPLOYED)
        return len(found) == groups * _PODS and all(map(_is_ready, found))

    await eventually(all_ready, _PATIENCE, what="every pod of the Deployments is Ready", interval=_LOOK)


async def _emptied(api: Api, namespace: str) -> None:
    await api.delete("v1", "Namespace", namespace)
    await _gone(api, namespace)
    await asyncio.sleep(_REST)


async def _ready(api: Api, api_version: str, kind: str, namespace: str) -> None:
    async def all_ready() -> bool:
        return all(map(_is_ready, await api.items(api_version, kind, namespace)))

    await eventually(all_ready, _PATIENCE, what=f"every {kind} is Ready", interval=_LOOK)


def _is_ready(found: Manifest) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


async def _gone(api: Api, namespace: str) -> None:
    async def no_pods() -> bool:
        return not await api.items("v1", "Pod", namespace)

    await eventually(no_pods, _PATIENCE, what="the pods are gone", interval=0.5)


# The daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """What the daemon has cost so far: requests that are no reads, CPU seconds, peak megabytes."""

    requests: float
    cpu: float
    memory: float


class _Daemon:
    """A running ``rbgctrl run``, seen through its metrics."""

    def __init__(self, metrics: str, health: str, pid: int) -> None:
        self._metrics = metrics
        self._health = health
        self._pid = pid

    async def ready(self) -> bool:
        with suppress(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as session, session.get(f"{self._health}/readyz") as answer:
                return answer.status == 200
        return False

    async def numbers(self) -> _Numbers:
        async with aiohttp.ClientSession() as session, session.get(f"{self._metrics}/metrics") as answer:
            text = await answer.text()
        sent = re.findall(r'^rest_client_requests_total\{.*method="(?!GET)\w+".*\} (\S+)$', text, re.MULTILINE)
        [cpu] = re.findall(r"^process_cpu_seconds_total (\S+)$", text, re.MULTILINE)
        status = await asyncio.to_thread(Path(f"/proc/{self._pid}/status").read_text)
        [peak] = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return _Numbers(requests=sum(map(float, sent)), cpu=float(cpu), memory=int(peak) / 1024)


@asynccontextmanager
async def _daemon(kubeconfig: Path, log: Path) -> AsyncIterator[_Daemon]:
    metrics, health = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    command = [sys.executable, "-m", "rbgctrl", "run", "--kubeconfig", str(kubeconfig), "--log-level", "warning"]
    command += ["--metrics-bind-address", metrics, "--health-probe-bind-address", health]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:  # noqa: ASYNC220 - nothing else runs meanwhile
        daemon = _Daemon(f"http://{metrics}", f"http://{health}", process.pid)
        try:
            await eventually(daemon.ready, 60.0, what=f"the daemon is ready; see {log}")
            yield daemon
        finally:
            process.terminate()
