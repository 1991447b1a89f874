"""examples/topology.py on the file and the environment that planners make: what a program in a pod can find out."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.support.kubelet import environment
from rbgctrl.api import labels
from rbgctrl.api.core import ConfigMap, Node, Pod
from rbgctrl.api.groups import RoleBasedGroup

from .world import World, group, role

PROGRAM = Path(__file__).parents[3] / "examples" / "topology.py"
TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "engine:1"}]}}
PREFILL = {
    "name": "prefill",
    "replicas": 2,
    "leaderWorkerPattern": {"size": 2, "template": TEMPLATE},
    "servicePorts": [{"name": "http", "port": 8000}],
}
DECODE = {
    "name": "decode",
    "replicas": 1,
    "customComponentsPattern": {
        "components": [
            {"name": "engine", "size": 2, "template": TEMPLATE},
            {"name": "cache", "size": 1, "template": TEMPLATE},
        ]
    },
}
STATELESS: dict[str, Any] = {"annotations": {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}}


@pytest.fixture(scope="module")
def world() -> World:
    found = World()
    carried = {labels.NODE_ZONE: "zone-a", labels.NODE_NVLINK_DOMAIN: "fabric.0"}
    found.put(Node, {"metadata": {"name": "node-1", "labels": carried}}, namespace="")
    found.put(RoleBasedGroup, group("llm", role("router"), PREFILL, DECODE, role("draft", 2, **STATELESS)))
    found.settle()
    for number, name in enumerate(found.names(Pod)):
        found.body(Pod, name)["status"]["podIP"] = f"10.0.0.{number}"
    found.pass_time(5)
    found.settle()
    return found


@pytest.fixture
def mounted(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(world.body(ConfigMap, "llm")["data"][labels.CONFIG_FILE], encoding="utf-8")
    return path


def run(path: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "RBG_CONFIG": str(path), **variables}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(  # noqa: S603 - our own program
        command, env=own, capture_output=True, text=True, check=False, timeout=30
    )


def seen_by(world: World, path: Path, pod: str) -> dict[str, Any]:
    done = run(path, environment(world.body(Pod, pod)), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_pod_finds_itself_its_leader_its_peers_and_every_other_pod(world: World, mounted: Path) -> None:
    every = world.names(Pod)
    assert len(every) == 1 + 4 + 3 + 2
    for pod in every:
        seen = seen_by(world, mounted, pod)
        carried = world.body(Pod, pod)["metadata"]["labels"]
        assert seen["self"]["name"] == pod
        assert seen["self"]["roleId"] == carried[labels.ROLE_ID]
        assert seen["self"]["role"] == carried[labels.ROLE_NAME]
        assert seen["self"]["instance"] == carried[labels.ROLE_INSTANCE_NAME]
        assert (seen["self"]["zone"], seen["self"]["domain"]) == ("zone-a", "fabric.0")
        together = [seen["self"]["name"], *(peer["name"] for peer in seen["peers"])]
        mates = [
            other
            for other in every
            if world.body(Pod, other)["metadata"]["labels"][labels.ROLE_INSTANCE_NAME] == seen["self"]["instance"]
        ]
        assert sorted(together) == mates
        assert seen["leader"]["name"] in together
        listed = [peer for entry in seen["roles"] for one in entry["instances"] for peer in one["pods"]]
        assert sorted(peer["name"] for peer in listed) == every
        assert all(peer["address"] for peer in listed)


def test_the_leader_in_the_file_is_the_one_in_the_environment(world: World, mounted: Path) -> None:
    worker = environment(world.body(Pod, "llm-prefill-1-1"))
    leader = seen_by(world, mounted, "llm-prefill-1-1")["leader"]
    assert leader["name"] == "llm-prefill-1-0"
    assert worker["RBG_LWP_LEADER_ADDRESS"] == f"{leader['address']}.ml"


def test_for_people_it_is_a_few_lines(world: World, mounted: Path) -> None:
    done = run(mounted, environment(world.body(Pod, "llm-prefill-0-1")))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("I am llm.prefill.0.worker.0  at 10.0.0.")
    assert lines[0].endswith("zone zone-a  domain fabric.0")
    assert lines[1:4] == [
        "  of instance llm-prefill-0 of role prefill",
        "  led by llm.prefill.0.leader.0  at llm-prefill-0-0.s-llm-prefill  zone zone-a  domain fabric.0",
        "  beside llm.prefill.0.leader.0  at llm-prefill-0-0.s-llm-prefill  zone zone-a  domain fabric.0",
    ]
    assert "role prefill: LeaderWorker, RoleInstanceSet, service s-llm-prefill, http=8000" in lines


def test_a_pod_without_a_role_id_is_found_by_its_name(mounted: Path) -> None:
    done = run(mounted, {"HOSTNAME": "llm-router-0"})
    assert done.stdout.startswith("I am llm.router.0.router.0")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "topology: cannot read"),
        ("a: [", "topology: cannot read"),
        ("text", "it holds no mapping"),
        ("group: {name: llm}", "it has no topology of version 1"),
        ("topology: {version: 1, omitted: too large for a ConfigMap}", "lists no roles: too large for a ConfigMap"),
        ("topology: {version: 1, roles: []}", "it does not list this pod, llm.router.0.router.0"),
    ],
)
def test_a_file_that_tells_nothing_is_exit_code_1_and_one_line(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content)
    done = run(path, {"RBG_ROLE_ID": "llm.router.0.router.0"})
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_waiting_ends_when_every_pod_has_an_address_and_at_the_latest_when_time_is_up(
    world: World, mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = runpy.run_path(str(PROGRAM))
    late, slept = tmp_path / "late.yaml", []
    own = {**environment(world.body(Pod, "llm-router-0")), "RBG_CONFIG": str(late)}

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        mounted.rename(late)

    monkeypatch.setattr(example["time"], "sleep", sleep)
    assert example["wait"](own, 30).pod["name"] == "llm-router-0"
    assert len(slept) == 1
    late.unlink()
    with pytest.raises(example["UnknownTopologyError"], match="cannot read"):
        example["wait"](own, 0)
    assert len(slept) == 1
