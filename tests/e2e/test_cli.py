"""The command line against the real control plane."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from e2e.support import eventually
from e2e.support.cli import Running, command_lines, rbgctrl, started
from e2e.support.daemon import daemon
from e2e.support.groups import become_ready, group, role
from hack.controlplane import Api, Cluster
from rbgctrl.api.meta import Kind, Resource
from rbgctrl.cli.errors import explain
from rbgctrl.client import NotFoundError, connect

# Looking at groups ----------------------------------------------------------------------------------------------------


async def test_the_tree_goes_from_the_group_down_to_the_nodes_and_says_when_it_is_ready(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    await api.create(group("llm", namespace, role("prefill", 2), role("decode", 1, "prefill")))
    before = await rbgctrl("tree", "llm", "-n", namespace, "--ready", kubeconfig=cluster.kubeconfig)
    assert before.code == 1
    assert "Not ready" in before.out
    async with (
        daemon(cluster.kubeconfig, tmp_path / "daemon", namespace=namespace),
        started("tree", "llm", "-n", namespace, "--watch", "--ready", kubeconfig=cluster.kubeconfig) as watching,
    ):
        await become_ready(api, "llm", namespace)
        assert await watching.end() == 0, watching.out
    assert "llm  namespace" in watching.out
    shown = await rbgctrl("tree", "llm", "-n", namespace, "-o", "json", kubeconfig=cluster.kubeconfig)
    assert shown.code == 0
    found = json.loads(shown.out)
    assert found["ready"] is True
    pods = [pod for part in found["roles"] for instance in part["instances"] for pod in instance["pods"]]
    assert sorted(pod["name"] for pod in pods) == ["llm-decode-0", "llm-prefill-0", "llm-prefill-1"]
    for pod in pods:
        live = await api.get("v1", "Pod", pod["name"], namespace)
        node = await api.get("v1", "Node", live["spec"]["nodeName"])
        assert pod["node"]["name"] == live["spec"]["nodeName"]
        assert pod["node"]["nvlinkDomain"] == node["metadata"]["labels"]["nvidia.com/gpu.clique"]
        assert pod["ip"] == live["status"]["podIP"]
    listed = await rbgctrl("tree", "-n", namespace, kubeconfig=cluster.kubeconfig)
    assert listed.out.splitlines()[1].split() == ["llm", "True", "prefill", "2/2", "decode", "1/1"]


# What goes wrong ------------------------------------------------------------------------------------------------------


async def test_a_wrong_token_is_one_sentence_and_exit_code_2(cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "nonsense-nobody-knows"}
    wrong = tmp_path / "kubeconfig"
    wrong.write_text(yaml.safe_dump(config))
    done = await rbgctrl("tree", "llm", kubeconfig=wrong)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert "does not accept the credentials" in done.err
    assert "nonsense" not in done.err


async def test_a_user_without_rights_is_told_which_one_is_missing(cluster: Cluster) -> None:
    done = await rbgctrl("tree", "llm", kubeconfig=cluster.kubeconfig_for("nobody"))
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert 'User "nobody" cannot list resource' in done.err


async def test_the_wrong_authority_is_one_sentence_and_exit_code_2(cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    wrong = tmp_path / "kubeconfig"
    wrong.write_text(yaml.safe_dump(config))
    done = await rbgctrl("tree", "llm", kubeconfig=wrong)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "is not trusted" in done.err


@pytest.mark.parametrize("group", ["workloads.x-k8s.io", "no-such-group.example"])
async def test_a_kind_the_server_does_not_know_is_a_missing_crd(cluster: Cluster, group: str) -> None:
    class Unknown(Resource, frozen=True):
        KIND: ClassVar[Kind[Any]] = Kind(group, "v1alpha2", "Unknown", "unknowns")

    async with connect(kubeconfig=str(cluster.kubeconfig)) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.list(Unknown)
    problem = explain(caught.value)
    assert problem is not None
    assert (problem.code, "rbgctrl crds --install" in problem.message) == (2, True), problem


async def test_version_asks_the_server(cluster: Cluster) -> None:
    done = await rbgctrl("version", "--server", "-o", "json", kubeconfig=cluster.kubeconfig)
    assert done.code == 0
    assert json.loads(done.out)["server"] == {"gitVersion": "v1.36.3", "url": cluster.url}


async def test_installing_crds_twice_is_installing_them_once(cluster: Cluster) -> None:
    for _ in range(2):
        done = await rbgctrl("crds", "--install", kubeconfig=cluster.kubeconfig)
        assert (done.code, done.err) == (0, "")
        assert "the cluster serves all" in done.out


# The demo -------------------------------------------------------------------------------------------------------------


async def _kept(running: Running) -> Path:
    """Waits until the demo can be played with; its kubeconfig."""
    found = await running.until(r"export KUBECONFIG=(\S+)")
    await running.until(r"tail -f")
    return Path(found[1])


async def test_the_demo_ends_ready_can_be_played_with_and_leaves_nothing_running(tmp_path: Path) -> None:
    async with started("demo", "--cluster", "real", "--keep", "--state", str(tmp_path)) as demo:
        kubeconfig = await _kept(demo)
        assert "llm  namespace default  Ready" in demo.out
        shown = await rbgctrl("tree", "llm", "--ready", "-o", "json", kubeconfig=kubeconfig)
        assert shown.code == 0
        instances = [instance for part in json.loads(shown.out)["roles"] for instance in part["instances"]]
        domains = {pod["node"]["nvlinkDomain"] for instance in instances for pod in instance["pods"]}
        assert domains == {"fabric.0", "fabric.1"}
        (daemon_line,) = [line for line in command_lines(str(tmp_path)) if " -m rbgctrl run " in line]
        assert "--leader-elect" in daemon_line
        second = await rbgctrl("demo", "--cluster", "real", "--state", str(tmp_path))
        assert (second.code, "runs a cluster already" in second.err) == (1, True), second.err
        shown = await rbgctrl("tree", "llm", "--ready", kubeconfig=kubeconfig)
        assert shown.code == 0, "a second demo in the same folder leaves the first one alone"
        demo.signal(signal.SIGINT)
        assert await demo.end() == 0
    assert command_lines(str(tmp_path)) == []
    assert '"lease released"' in (tmp_path / "daemon.log").read_text()


async def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    async with started("demo", "--cluster", "real", "--keep", "--state", str(tmp_path)) as demo:
        await _kept(demo)
        assert len(command_lines(str(tmp_path))) > 5
        demo.signal(signal.SIGKILL)
        await eventually(lambda: not command_lines(str(tmp_path)), 30, what="everything ends with the demo")


async def test_a_demo_that_is_told_to_stop_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    async with started("demo", "--cluster", "real", "--state", str(tmp_path)) as demo:
        await demo.until(r"^etcd, API server")
        demo.signal(signal.SIGTERM)
        assert await demo.end() == 128 + signal.SIGTERM
        assert "Stopped." in demo.out
    assert command_lines(str(tmp_path)) == []


async def test_a_demo_that_is_not_ready_in_time_shows_the_tree_and_the_log(tmp_path: Path) -> None:
    async with started("demo", "--cluster", "real", "--timeout", "0.01", "--state", str(tmp_path)) as demo:
        assert await demo.end() == 1
    assert "llm  namespace default  Not ready" in demo.out
    assert "error: llm is not Ready after 0.01 s" in demo.out
    assert '"event":"became the leader"' in demo.out
    assert f"All logs: {tmp_path}" in demo.out
    assert (tmp_path / "logs" / "kube-apiserver.log").exists()
    assert command_lines(str(tmp_path)) == []
