"""The demo on the embedded cluster, as a user plays it: real processes in real time."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from e2e.support.cli import Running, command_lines, rbgctrl, started
from hack.controlplane.waiting import eventually

pytestmark = pytest.mark.timeout(240)  # real time, on whatever machine


async def _kept(running: Running) -> Path:
    """Waits until the demo can be played with; its kubeconfig."""
    found = await running.until(r"export KUBECONFIG=(\S+)")
    await running.until(r"tail -f")
    return Path(found[1])


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_demo_ends_ready_can_be_played_with_and_leaves_nothing_running(tmp_path: Path) -> None:
    async with started("demo", "--keep", "--state", str(tmp_path)) as demo:
        kubeconfig = await _kept(demo)
        assert "llm  namespace default  Ready" in demo.out
        shown = await rbgctrl("tree", "llm", "--ready", "-o", "json", kubeconfig=kubeconfig)
        assert shown.code == 0
        instances = [instance for part in json.loads(shown.out)["roles"] for instance in part["instances"]]
        domains = {pod["node"]["nvlinkDomain"] for instance in instances for pod in instance["pods"]}
        assert domains == {"fabric.0", "fabric.1"}
        (daemon_line,) = [line for line in command_lines(str(tmp_path)) if " -m rbgctrl run " in line]
        assert "--leader-elect" in daemon_line
        second = await rbgctrl("demo", "--state", str(tmp_path))
        assert (second.code, "runs a cluster already" in second.err) == (1, True), second.err
        shown = await rbgctrl("tree", "llm", "--ready", kubeconfig=kubeconfig)
        assert shown.code == 0, "a second demo in the same folder leaves the first one alone"
        demo.signal(signal.SIGINT)
        assert await demo.end() == 0
    assert command_lines(str(tmp_path)) == []
    assert '"lease released"' in (tmp_path / "daemon.log").read_text()
    assert _files(tmp_path) == ["daemon.log"]


async def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    async with started("demo", "--keep", "--state", str(tmp_path)) as demo:
        await _kept(demo)
        demo.signal(signal.SIGKILL)
        await eventually(lambda: not command_lines(str(tmp_path)), 30, what="everything ends with the demo")
