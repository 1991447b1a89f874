"""Clusters come and go without a trace, and parts of them can fail on demand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from e2e.support import eventually, is_ready, pod, set_node_down
from hack.controlplane import Cluster, ClusterOptions
from hack.controlplane.build import ensure_built
from hack.controlplane.components import Ports
from hack.controlplane.ports import LOOPBACK, free_ports
from hack.controlplane.state import Ledger, is_alive

CHECKOUT = Path(__file__).parents[2]
BARE = ClusterOptions(nodes=0, gang=False)
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}


def running(state: Path) -> list[int]:
    """The processes that have ``state`` on their command line: everything a cluster there ever started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError, PermissionError):
            continue
        if str(state.resolve()).encode() in command and entry.name != str(os.getpid()):
            found.append(int(entry.name))
    return found


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _spawn(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE)  # noqa: S603 - this interpreter


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster that the test may break."""
    async with Cluster(ClusterOptions(nodes=1, gang=False), state=tmp_path) as cluster:
        yield cluster


async def test_two_clusters_run_side_by_side_and_share_nothing(tmp_path: Path) -> None:
    async with Cluster(BARE, state=tmp_path / "a") as a, Cluster(BARE, state=tmp_path / "b") as b:
        used_a, used_b = ({getattr(c.ports, f) for f in c.ports.__slots__} for c in (a, b))
        assert not used_a & used_b
        async with a.api() as api_a, b.api() as api_b:
            await api_a.create(CONFIG_MAP)
            assert await api_a.find("v1", "ConfigMap", "c", "default")
            assert await api_b.find("v1", "ConfigMap", "c", "default") is None
    assert running(tmp_path) == []


async def test_nothing_is_left_running_when_the_body_raises(tmp_path: Path) -> None:
    class BodyError(Exception):
        pass

    async def body() -> None:
        async with Cluster(BARE, state=tmp_path):
            assert len(running(tmp_path)) == 5
            raise BodyError

    with pytest.raises(BodyError):
        await body()
    assert running(tmp_path) == []
    assert _names(tmp_path) == ["logs"]


async def test_nothing_is_left_running_when_a_component_cannot_start(tmp_path: Path) -> None:
    options = ClusterOptions(nodes=0, apiserver_flags=("--no-such-flag",))
    with pytest.raises(Exception, match="unknown flag: --no-such-flag"):
        await Cluster(options, state=tmp_path).start()
    assert running(tmp_path) == []


async def test_ports_that_someone_else_took_first_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = list(Ports.__dataclass_fields__)
    clashes = ["etcd", "kwok"]
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]

        def picked(count: int) -> tuple[int, ...]:
            ports = list(free_ports(count))
            if clashes:
                ports[fields.index(clashes.pop(0))] = taken
            return tuple(ports)

        monkeypatch.setattr("hack.controlplane.cluster.free_ports", picked)
        async with Cluster(BARE, state=tmp_path) as cluster:
            assert clashes == []
            assert taken not in {getattr(cluster.ports, field) for field in fields}
            assert len(running(tmp_path)) == 5


async def test_a_cluster_started_by_a_killed_driver_dies_with_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from hack.controlplane import Cluster, ClusterOptions\n"
        "async def main():\n"
        "    async with Cluster(ClusterOptions(nodes=0, gang=False), state=pathlib.Path(sys.argv[1])):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    driver = _spawn("-c", script, str(tmp_path))
    assert driver.stdout is not None
    with driver.stdout:
        assert await asyncio.to_thread(driver.stdout.readline) == b"up\n"
    records = Ledger(tmp_path).alive()
    assert len(records) == 5
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    await eventually(lambda: not any(map(is_alive, records)), 10.0, what="every component ended")


async def test_a_crashed_api_server_comes_back_on_its_port_with_its_data(own: Cluster) -> None:
    async with own.api() as api:
        await api.create(CONFIG_MAP)
        await own.apiserver.kill()
        assert not await api.ready()
        await own.apiserver.start()
        assert await api.ready()
        assert await api.find("v1", "ConfigMap", "c", "default")


async def test_a_paused_api_server_answers_nothing_until_it_is_resumed(own: Cluster) -> None:
    async with own.api() as api:
        own.apiserver.pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await api.request("GET", "/version")
        own.apiserver.resume()
        assert await api.request("GET", "/version")


async def test_a_restarted_etcd_keeps_its_data(own: Cluster) -> None:
    async with own.api() as api:
        await api.create(CONFIG_MAP)
        await own.etcd.restart(crash=True)
        await eventually(api.ready, 60.0)
        assert await api.find("v1", "ConfigMap", "c", "default")


async def test_a_restarted_kubelet_runs_pods_at_once(own: Cluster) -> None:
    await own.kwok.restart(crash=True)
    async with own.api() as api:
        await api.create(pod("one", "default"))

        async def ready() -> bool:
            return is_ready(await api.find("v1", "Pod", "one", "default"))

        await eventually(ready, 30.0)  # far less than the 200 s that the old node leases would last


async def test_a_node_taken_down_is_tainted_until_it_is_back(own: Cluster) -> None:
    async with own.api() as api:
        [name] = [node["metadata"]["name"] for node in await api.items("v1", "Node")]

        async def tainted() -> bool:
            node = await api.get("v1", "Node", name)
            taints = {taint["key"] for taint in node["spec"].get("taints", ())}
            return "node.kubernetes.io/not-ready" in taints and not is_ready(node)

        async def usable() -> bool:
            return is_ready(await api.get("v1", "Node", name)) and not await tainted()

        await set_node_down(api, name)
        await eventually(tainted)
        await set_node_down(api, name, down=False)
        await eventually(usable)


async def test_nodes_are_lost_when_their_kubelet_hangs(tmp_path: Path) -> None:
    options = ClusterOptions(nodes=1, gang=False, node_grace=8.0)
    async with Cluster(options, state=tmp_path) as cluster, cluster.api() as api:
        cluster.kwok.pause()

        async def unreachable() -> bool:
            [node] = await api.items("v1", "Node")
            return "node.kubernetes.io/unreachable" in {taint["key"] for taint in node["spec"].get("taints", ())}

        await eventually(unreachable, 60.0)


def _tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hack.controlplane", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_the_command_line_starts_keeps_and_stops_a_cluster(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path))
    try:
        assert _tool("status", *state).returncode == 3
        up = _tool("up", *state, "--nodes", "2", "--no-lws")
        assert up.returncode == 0, up.stderr
        kubeconfig = up.stdout.strip()
        assert json.loads((tmp_path / "state.json").read_text())["kubeconfig"] == kubeconfig
        assert len(running(tmp_path)) == 5
        assert _tool("status", *state).returncode == 0
        assert _tool("env", *state).stdout.strip() == f"export KUBECONFIG={kubeconfig}"
        again = _tool("up", *state)
        assert (again.returncode, again.stdout.strip()) == (0, kubeconfig)
    finally:
        down = _tool("down", *state)
    assert down.returncode == 0, down.stderr
    assert running(tmp_path) == []
    assert _tool("env", *state).returncode == 3
    assert "Nothing was running" in _tool("down", *state).stderr


async def test_a_start_that_was_killed_half_way_is_cleaned_up_by_down(tmp_path: Path) -> None:
    ensure_built()
    driver = _spawn("-m", "hack.controlplane", "up", "--no-lws", "--state", str(tmp_path))
    assert driver.stdout is not None
    driver.stdout.close()
    await eventually(lambda: len(Ledger(tmp_path).alive()) >= 2, 60.0, what="two components started")
    driver.kill()
    driver.wait()
    assert running(tmp_path)
    assert (await asyncio.to_thread(_tool, "down", "--state", str(tmp_path))).returncode == 0
    assert running(tmp_path) == []
