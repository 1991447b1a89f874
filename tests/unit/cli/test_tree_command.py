from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.cli import main
from unit.cli import scene
from unit.cli.apiserver import ApiServer, api_server
from unit.cli.scene import GROUPS, INSTANCES, NODES, PODS, SETS
from unit.cli.test_rendering import PLAIN

Run = Callable[..., int]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


@pytest.fixture
def run(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the server."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "config")))
    return lambda *arguments: main(arguments)


def test_a_group_is_shown_as_a_tree_down_to_its_nodes(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    assert run("tree", "llm") == 0
    assert capsys.readouterr().out == PLAIN


def test_only_what_belongs_to_the_group_is_asked_for(server: ApiServer, run: Run) -> None:
    scene.load(server)
    server.put(PODS, scene.pod("foreign", "x", "main", 0, node="node-9", group="other"))
    run("tree", "llm")
    assert sorted(path for path in server.asked if "nodes" in path) == ["/api/v1/nodes/node-0", "/api/v1/nodes/node-1"]
    assert all("/namespaces/ml/" in path for path in server.asked if "nodes" not in path)


def test_json_is_one_document_for_a_group_and_a_list_without_a_name(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    assert run("tree", "llm", "-o", "json") == 0
    one = json.loads(capsys.readouterr().out)
    assert one["roles"][0]["instances"][0]["pods"][0]["node"]["nvlinkDomain"] == "fabric.0"
    assert run("tree", "-o", "json") == 0
    many = json.loads(capsys.readouterr().out)
    assert [group["name"] for group in many["groups"]] == ["llm"]
    assert many["groups"][0]["roles"][0]["instances"] is None


def test_without_a_name_groups_are_listed(server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene.load(server)
    elsewhere = scene.group("other", ready=True)
    elsewhere["metadata"]["namespace"] = "else"
    server.put(GROUPS, elsewhere)
    assert run("tree") == 0
    assert "other" not in capsys.readouterr().out
    assert run("tree", "--all-namespaces") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert [line.split()[:3] for line in lines[1:]] == [["else", "other", "True"], ["ml", "llm", "False"]]
    assert run("tree", "-n", "else") == 0
    assert "other" in capsys.readouterr().out


def test_an_empty_namespace_is_no_error(server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene.load(server, {GROUPS: [], SETS: []})
    assert run("tree") == 0
    assert "No RoleBasedGroups in namespace ml." in capsys.readouterr().err


def test_a_group_that_does_not_exist_is_exit_code_1(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    assert run("tree", "nope") == 1
    error = capsys.readouterr().err
    assert "nope does not exist in namespace ml" in error
    assert "rbgctrl tree --namespace ml" in error


def test_kinds_of_others_are_asked_for_only_when_a_role_is_of_one(server: ApiServer, run: Run) -> None:
    scene.load(server)
    assert run("tree", "llm") == 0
    assert not [path for path in server.asked if "deployments" in path or "adapters" in path]
    scene.load(server, scene.with_deployment())
    assert run("tree", "llm") == 0
    assert run("tree") == 0
    assert server.asked.count("/apis/apps/v1/namespaces/ml/deployments") == 2
    assert not [path for path in server.asked if "statefulsets" in path or "leaderworkersets" in path]


def test_a_kind_that_the_cluster_does_not_know_is_no_error(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    changed = scene.group()
    changed["spec"]["roles"][0]["annotations"] = {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_LEADER_WORKER_SET}
    server.put(GROUPS, changed)
    assert run("tree", "llm") == 0
    assert "this cluster does not know its kind of workload, LeaderWorkerSet" in capsys.readouterr().out


def test_a_user_who_may_not_read_deployments_sees_the_rest(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server, scene.with_deployment())
    server.failures["/apis/apps/v1"] = (403, "Forbidden", "deployments.apps is forbidden")
    assert run("tree", "llm") == 0
    out = capsys.readouterr().out
    assert "llm-prefill-0-0" in out
    assert "note: you may not read deployments, so what they say is not shown" in out


def test_watching_follows_a_kind_from_the_moment_on_that_a_role_is_of_it(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    found = scene.with_deployment()
    for collection in (scene.DEPLOYMENTS, PODS):
        server.served.add(collection)
        for manifest in found[collection]:
            server.put(collection, manifest)

    def become_ready() -> None:
        server.watched.wait()
        spec = found[GROUPS][0]["spec"]
        server.put(GROUPS, scene.group() | {"spec": spec})
        asked = eventually(
            lambda: "/apis/apps/v1/namespaces/ml/deployments" in server.asked, 20, what="the kind is read"
        )
        asyncio.run(asked)
        server.put(GROUPS, scene.group(ready=True) | {"spec": spec})

    with _beside(become_ready):
        assert run("tree", "llm", "--watch", "--ready") == 0
    assert "web" in capsys.readouterr().out


def test_readiness_is_in_the_exit_code_only_when_asked_for(server: ApiServer, run: Run) -> None:
    scene.load(server)
    assert run("tree", "llm") == 0
    assert run("tree", "llm", "--ready") == 1
    server.put(GROUPS, scene.group(ready=True))
    assert run("tree", "llm", "--ready") == 0


def test_a_name_and_all_namespaces_exclude_each_other(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tree", "llm", "-A") == 2
    assert "not both" in capsys.readouterr().err


def test_a_user_who_may_not_read_nodes_sees_the_rest(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)
    server.failures["/api/v1/nodes"] = (403, "Forbidden", "nodes is forbidden")
    assert run("tree", "llm") == 0
    out = capsys.readouterr().out
    assert "node-0" in out
    assert "fabric.0" not in out
    assert "note: you may not read nodes" in out


def test_a_node_that_is_gone_is_no_error(server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene.load(server)
    server.remove(NODES, "", "node-1")
    assert run("tree", "llm") == 0
    assert "node-1" in capsys.readouterr().out


def test_many_nodes_are_read_with_one_request(server: ApiServer, run: Run) -> None:
    found = scene.scene()
    found[PODS] += [scene.pod(f"p{i}", "llm-prefill-0", "worker", i, node=f"node-{i}") for i in range(2, 40)]
    scene.load(server, found)
    assert run("tree", "llm") == 0
    assert [path for path in server.asked if "nodes" in path] == ["/api/v1/nodes"]


def test_a_group_that_does_not_decode_is_shown(server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene.load(server)
    broken = scene.group()
    broken["spec"]["roles"][0]["replicas"] = "many"
    server.put(GROUPS, broken)
    assert run("tree", "llm") == 0
    assert "Unreadable" in capsys.readouterr().out


def test_colour_only_where_somebody_looks(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.load(server)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    run("tree", "llm")
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    run("tree", "llm")
    coloured = capsys.readouterr().out
    assert "\x1b[32m" in coloured
    assert "├── " in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    run("tree", "llm")
    assert "\x1b[32m" not in capsys.readouterr().out


def test_watching_ends_when_the_group_is_ready(server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene.load(server)

    def become_ready() -> None:
        server.watched.wait()
        server.put(GROUPS, scene.group(ready=True))

    with _beside(become_ready):
        assert run("tree", "llm", "--watch", "--ready") == 0
    states = capsys.readouterr().out.split("---\n")
    assert states[-1].startswith("llm  namespace ml  Ready\n")


def test_watching_in_json_writes_a_line_for_each_change(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)

    def become_ready() -> None:
        server.watched.wait()
        server.put(GROUPS, scene.group(ready=True))

    with _beside(become_ready):
        assert run("tree", "llm", "-w", "--ready", "-o", "json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1])["ready"] is True


def test_watching_a_group_that_is_deleted_ends_with_1(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)

    def delete() -> None:
        server.watched.wait()
        server.remove(GROUPS, scene.NAMESPACE, "llm")

    with _beside(delete):
        assert run("tree", "llm", "--watch") == 1
    assert "was deleted" in capsys.readouterr().err


def test_ctrl_c_ends_watching_with_130_and_without_a_word(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.load(server)

    def interrupt() -> None:
        server.watched.wait()
        os.kill(os.getpid(), signal.SIGINT)

    with _beside(interrupt):
        assert run("tree", "llm", "--watch") == 130
    assert capsys.readouterr().err == ""


def test_watching_on_a_terminal_redraws_and_leaves_the_last_picture(
    server: ApiServer, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.load(server)
    server.put(GROUPS, scene.group(ready=True))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    assert run("tree", "llm", "--watch", "--ready") == 0
    assert "Ready" in capsys.readouterr().out


def test_everything_that_is_watched_is_limited_to_the_group(server: ApiServer, run: Run) -> None:
    scene.load(server)
    server.put(GROUPS, scene.group(ready=True))
    assert run("tree", "llm", "--watch", "--ready") == 0
    watched = {path.rpartition("/")[2] for path in server.asked}
    assert {"rolebasedgroups", "roleinstancesets", "roleinstances", "pods", "nodes"} <= watched
    assert INSTANCES.rpartition("/")[2] in watched


@contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Runs a function in a thread beside the body."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
