"""A thousand groups on the embedded cluster in virtual time: what a simulation of that size costs.

Measured in a process of its own, which holds the API server, scheduler, kubelets and the manager alike.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.report import Row
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.reconcilers import add_all
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.manager import ManagerOptions
from rbgctrl.sim import ClusterOptions, EmbeddedCluster, ServerOptions, run

__all__ = ["simulated"]

_GROUPS = 1000
_GROUPS_SHORT = 100
_PODS = 6  # of a group
_GPUS = 8  # of a node
_SECONDS = 60.0
_ROOT = Path(__file__).parents[1]


class _Measured(msgspec.Struct):
    """What one run came to: CPU seconds, peak MB, virtual seconds, groups Ready, changes stored."""

    cpu: float
    memory: float
    virtual: float
    ready: int
    changes: int


def simulated(*, short: bool) -> list[Row]:
    """CPU and memory of bringing many groups to Ready in virtual time."""
    count = _GROUPS_SHORT if short else _GROUPS
    command = [sys.executable, "-m", "bench.simulated", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=_ROOT)
    found = msgspec.json.decode(done.stdout, type=_Measured)
    what = f"{count:,} groups ({count * _PODS:,} pods) brought to Ready in virtual time"
    budget = _SECONDS * count / _GROUPS
    return [
        Row(bench="simulated", what=what, value=found.ready, budget=f"{count:,}", exact=True, met=found.ready == count),
        Row(bench="simulated", what="CPU", value=found.cpu, unit="s", budget=f"< {budget:g}", met=found.cpu < budget),
        Row(bench="simulated", what="CPU per change of an object", value=found.cpu / found.changes * 1e6, unit="µs"),
        Row(bench="simulated", what="peak memory of cluster and manager", value=found.memory, unit="MB"),
        Row(bench="simulated", what="virtual time", value=found.virtual, unit="s"),
    ]


async def _measure(count: int) -> _Measured:
    options = ClusterOptions(nodes=count * _PODS // _GPUS + 1, server=ServerOptions(history=0, audit=0))
    async with EmbeddedCluster(options) as cluster, cluster.client() as client:
        manager = cluster.manager(options=ManagerOptions(tune_collector=True))  # as the daemon does
        add_all(manager)
        async with cluster.running(manager):
            for number in range(count):
                await client.create(RoleBasedGroup, _group(f"llm-{number:04d}"), client.namespace)
            await cluster.settle()
            groups = (await client.list(RoleBasedGroup)).items
            return _Measured(
                cpu=time.process_time(),
                memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                virtual=asyncio.get_running_loop().time(),
                ready=sum(map(_is_ready, groups)),
                changes=cluster.server.storage.revision,
            )


def _is_ready(group: RoleBasedGroup) -> bool:
    conditions = group.status.conditions if group.status is not None else ()
    return any(found.type == "Ready" and found.true for found in conditions or ())


def _group(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {
            "roles": [
                _role("router", 1, "prefill", "decode"),
                _role("prefill", 2),
                _role("decode", 3, "prefill"),
            ]
        },
    }


def _role(name: str, replicas: int, *dependencies: str) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": 1}}
    container = {"name": "engine", "image": "registry.example/engine:1", "resources": resources}
    body: dict[str, Any] = {
        "name": name,
        "replicas": replicas,
        "standalonePattern": {"template": {"spec": {"containers": [container]}}},
    }
    return body | ({"dependencies": list(dependencies)} if dependencies else {})


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", type=int)
    wanted = parser.parse_args()
    configure(LogOptions(level="error"))
    sys.stdout.buffer.write(msgspec.json.encode(run(_measure(wanted.groups))))


if __name__ == "__main__":
    _main()
