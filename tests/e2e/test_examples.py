"""The examples of the documentation, as a reader would run them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from e2e.support import eventually
from e2e.support.cli import started
from e2e.support.daemon import daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.kubelet import environment
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

EXAMPLES = Path(__file__).parents[2] / "examples"


async def test_the_embedded_controller_marks_the_example_group_when_it_serves(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    example = yaml.safe_load((EXAMPLES / "prefill-decode.yaml").read_text())
    example["metadata"]["namespace"] = namespace
    program = (sys.executable, str(EXAMPLES / "embedded.py"), namespace)

    async def marked(serving: str) -> bool:
        found = await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace)
        return bool(found["metadata"].get("annotations", {}).get("example.com/serving") == serving)

    async with started(program=program, kubeconfig=cluster.kubeconfig) as controller:
        await api.create(example)
        await become_ready(api, "llm", namespace)
        await eventually(lambda: marked("yes"), 30, what="the group is marked as serving")
        lost = {"metadata": {"annotations": {"example.com/serving": None}}}
        await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", lost, namespace=namespace)
        await eventually(lambda: marked("yes"), 30, what="a lost mark is written again")
        controller.signal(signal.SIGINT)
        assert await controller.end() == 0, controller.out
    assert "Traceback" not in controller.out
    assert f"{namespace}/llm serving: no" in controller.out
    assert f"{namespace}/llm serving: yes" in controller.out


async def test_the_other_manifests_are_accepted_and_come_to_life(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    written = [
        document
        for name in ("multi-node.yaml", "group-set.yaml", "warmup.yaml")
        for document in yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8"))
    ]
    profile, *others = written

    async def warmed_up() -> bool:
        status = (await api.get(V1ALPHA2, "RoleBasedGroupWarmup", "gpu-nodes", namespace)).get("status", {})
        done = (status.get("phase"), status.get("succeeded"))
        return done == ("Completed", len(await api.items("v1", "Node")))

    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace):
        await api.create(profile)
        try:
            for document in others:
                document["metadata"]["namespace"] = namespace
                await api.create(document)
            await become_ready(api, "large", namespace)
            for name in ("small-0", "small-1", "small-2"):
                await eventually(partial(api.find, V1ALPHA2, "RoleBasedGroup", name, namespace), 30)
                await become_ready(api, name, namespace)
            await eventually(warmed_up, 90, what="every node is warmed up")
        finally:
            await api.delete(V1ALPHA2, "ClusterEngineRuntimeProfile", profile["metadata"]["name"])


async def test_a_program_in_a_pod_finds_every_peer_with_nothing_but_the_file_and_its_environment(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    template = {"spec": {"containers": [{"name": "main", "image": "registry.example/engine:1"}]}}
    prefill = {"name": "prefill", "replicas": 2, "leaderWorkerPattern": {"size": 3, "template": template}}
    stateless = {labels.INSTANCE_PATTERN: labels.PATTERN_STATELESS}
    declared = (role("router", 1), prefill, role("draft", 2, annotations=stateless))
    mounted = tmp_path / "config.yaml"

    async def listed() -> bool:
        """As the kubelet renews the mounted file."""
        text = (await api.get("v1", "ConfigMap", "llm", namespace))["data"][labels.CONFIG_FILE]
        mounted.write_text(text, encoding="utf-8")
        entries = [pod for one in _instances(yaml.safe_load(text)["topology"]["roles"]) for pod in one["pods"]]
        placed = all("address" in pod and "zone" in pod and "domain" in pod for pod in entries)
        return placed and sorted(pod["name"] for pod in entries) == sorted(await pods(api, namespace))

    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace):
        await api.create(group("llm", namespace, *declared))
        await become_ready(api, "llm", namespace)
        await eventually(listed, 30, what="the file has every pod with its address and place")
    found = await pods(api, namespace)
    assert len(found) == 1 + 6 + 2
    nodes = {item["metadata"]["name"]: item["metadata"]["labels"] for item in await api.items("v1", "Node")}
    for name, pod in found.items():
        seen = await _topology(environment(pod) | {"RBG_CONFIG": str(mounted)})
        own, carried = seen["self"], pod["metadata"]["labels"]
        assert (own["name"], own["role"]) == (name, carried[labels.ROLE_NAME])
        assert own["zone"] == nodes[pod["spec"]["nodeName"]][labels.NODE_ZONE]
        assert own["domain"] == nodes[pod["spec"]["nodeName"]][labels.NODE_NVLINK_DOMAIN]
        assert len(seen["peers"]) == (2 if own["role"] == "prefill" else 0)
        everybody = {peer["name"]: peer for one in _instances(seen["roles"]) for peer in one["pods"]}
        assert sorted(everybody) == sorted(found)
        for other, entry in everybody.items():
            assert entry["roleId"] == found[other]["metadata"]["labels"][labels.ROLE_ID]
            assert entry["address"] in _ways_to(found[other])


def _instances(roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [instance for entry in roles for instance in entry["instances"]]


def _ways_to(pod: dict[str, Any]) -> set[str]:
    """Under which addresses its namespace reaches a pod: by name where its Service gives it one, and by IP."""
    spec = pod["spec"]
    named = {f"{spec['hostname']}.{spec['subdomain']}"} if spec.get("hostname") and spec.get("subdomain") else set()
    return named | {pod["status"]["podIP"]}


async def _topology(variables: dict[str, str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "topology.py"),
        "--json",
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found
