"""kubectl against the embedded API server: the same commands as against a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import yaml

from e2e.support.kubectl import kubectl
from rbgctrl.sim.gc import GarbageCollector, NamespaceController
from rbgctrl.sim.http import serve
from rbgctrl.sim.server import ApiServer

pytestmark = pytest.mark.e2e


MANIFESTS: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "i:1", "env": [{"name": "A", "value": "1"}]}]},
            },
        },
    },
    {
        "apiVersion": "workloads.x-k8s.io/v1alpha2",
        "kind": "RoleBasedGroup",
        "metadata": {"name": "llm"},
        "spec": {
            "roles": [
                {
                    "name": "decode",
                    "standalonePattern": {"template": {"spec": {"containers": [{"name": "main", "image": "i:1"}]}}},
                }
            ]
        },
    },
]


class Kubectl:
    """Runs kubectl against one server."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def __call__(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """What it prints; its complaints when it is to fail."""
        return await kubectl(self._kubeconfig, *arguments, stdin=stdin, fails=fails)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[ApiServer, str]]:
    server = ApiServer()
    controllers = GarbageCollector(server), NamespaceController(server)
    async with serve(server) as url:
        yield server, url
    for controller in controllers:
        controller.close()


@asynccontextmanager
async def kubectl_on(folder: Path) -> AsyncIterator[Kubectl]:
    async with served() as (_, url):
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sim", "cluster": {"server": url}}],
            "contexts": [{"name": "sim", "context": {"cluster": "sim", "user": "me", "namespace": "default"}}],
            "users": [{"name": "me", "user": {}}],
            "current-context": "sim",
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield Kubectl(path)


def stream(*manifests: dict[str, Any]) -> str:
    return yaml.safe_dump_all(manifests)


async def test_kubectl_applies_and_sees_that_nothing_changed(tmp_path: Path) -> None:
    async with kubectl_on(tmp_path) as kubectl:
        first = await kubectl("apply", "-f", "-", stdin=stream(*MANIFESTS))
        assert first.split() == [
            "deployment.apps/web",
            "created",
            "rolebasedgroup.workloads.x-k8s.io/llm",
            "created",
        ]
        before = await kubectl("get", "deploy,rbg", "-o", "jsonpath={.items[*].metadata.resourceVersion}")
        assert "web unchanged" in await kubectl("apply", "-f", "-", stdin=stream(*MANIFESTS))
        assert await kubectl("get", "deploy,rbg", "-o", "jsonpath={.items[*].metadata.resourceVersion}") == before
        changed = orjson.loads(orjson.dumps(MANIFESTS))
        changed[0]["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2"
        changed[1]["spec"]["roles"][0]["replicas"] = 3
        assert (await kubectl("apply", "-f", "-", stdin=stream(*changed))).count("configured") == 2
        image = "{.spec.template.spec.containers[0].image}"
        assert await kubectl("get", "deployment", "web", "-o", f"jsonpath={image}") == "i:2"
        text = await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=stream(*MANIFESTS))
        assert text.count("serverside-applied") == 2
        wrong = orjson.loads(orjson.dumps(MANIFESTS[1]))
        wrong["spec"]["surplus"] = 1
        assert 'unknown field "spec.surplus"' in await kubectl("apply", "-f", "-", stdin=stream(wrong), fails=True)


async def test_kubectl_gets_by_short_name_and_shows_our_columns(tmp_path: Path) -> None:
    async with kubectl_on(tmp_path) as kubectl:
        await kubectl("apply", "-f", "-", stdin=stream(*MANIFESTS))
        heading, row = (await kubectl("get", "rbg")).splitlines()
        assert heading.split() == ["NAME", "READY", "AGE"]
        assert row.split()[0] == "llm"
        assert "deployment.apps/web" in await kubectl("get", "all")
        assert "0/2" in await kubectl("get", "deploy")
        found = orjson.loads(await kubectl("get", "rbg", "llm", "-o", "json"))
        assert found["spec"]["roles"][0]["podManagementPolicy"] == "Parallel"
        assert "NotFound" in await kubectl("get", "rbg", "nothing", fails=True)
        assert "roles" in await kubectl("explain", "rbg.spec")
        assert "limits" in await kubectl("explain", "pod.spec.containers.resources")
        heading, row = (await kubectl("get", "deploy", "--sort-by=.metadata.name")).splitlines()
        assert (heading.split()[1], row.split()[1]) == ("READY", "0/2")
        assert "2 desired" in await kubectl("describe", "deployment", "web")
        assert "Role" in await kubectl("describe", "rbg", "llm")


async def test_kubectl_scales_waits_and_deletes(tmp_path: Path) -> None:
    async with kubectl_on(tmp_path) as kubectl:
        await kubectl("apply", "-f", "-", stdin=stream(*MANIFESTS))
        assert "scaled" in await kubectl("scale", "deployment/web", "--replicas=5")
        await kubectl("wait", "deployment/web", "--for=jsonpath={.spec.replicas}=5", "--timeout=30s")
        waiting = asyncio.create_task(kubectl("wait", "rbg/llm", "--for=delete", "--timeout=30s"))
        assert "deleted" in await kubectl("delete", "rbg", "llm")
        await waiting
        await kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=30s")
        assert await kubectl("get", "deployments") == ""
        await kubectl("delete", "namespace", "default", "--timeout=30s")
        assert "default" not in await kubectl("get", "namespaces", "-o", "name")


async def test_kubectl_is_told_what_there_is_not(tmp_path: Path) -> None:
    async with kubectl_on(tmp_path) as kubectl:
        await kubectl("run", "one", "--image=i:1")
        for command in (("logs", "one"), ("exec", "one", "--", "ls"), ("auth", "can-i", "get", "pods")):
            assert "the embedded API server does not implement" in await kubectl(*command, fails=True)
        assert 'a resource type "jobs"' in await kubectl("get", "jobs", fails=True)
        # Its generators of built-in kinds speak protobuf; manifests do not.
        refused = await kubectl("create", "configmap", "a", "--from-literal=x=y", fails=True)
        assert "accepted media types include: application/json" in refused
        made = await kubectl("create", "configmap", "a", "--from-literal=x=y", "--dry-run=client", "-o", "yaml")
        assert "configmap/a created" in await kubectl("create", "-f", "-", stdin=made)


async def test_the_documents_kubectl_starts_from_are_there() -> None:
    async with served() as (_, url), aiohttp.ClientSession(url) as session:

        async def read(path: str) -> Any:
            async with session.get(path) as response:
                assert response.status == 200
                return await response.json()

        assert (await read("/version"))["major"] == "1"
        assert (await read("/api"))["versions"] == ["v1"]
        groups = {item["name"]: item for item in (await read("/apis"))["groups"]}
        assert groups["workloads.x-k8s.io"]["preferredVersion"]["version"] == "v1alpha2"
        core = {item["name"]: item for item in (await read("/api/v1"))["resources"]}
        assert core["pods"]["shortNames"] == ["po"]
        assert core["pods"]["namespaced"]
        assert not core["nodes"]["namespaced"]
        ours = {item["name"]: item for item in (await read("/apis/workloads.x-k8s.io/v1alpha2"))["resources"]}
        assert ours["rolebasedgroups"]["shortNames"] == ["rbg"]
        assert ours["roleinstancesets/scale"]["kind"] == "Scale"
        index = (await read("/openapi/v3"))["paths"]
        document = await read(index["apis/workloads.x-k8s.io/v1alpha2"]["serverRelativeURL"])
        patch = document["paths"]["/apis/workloads.x-k8s.io/v1alpha2/namespaces/{namespace}/rolebasedgroups/{name}"][
            "patch"
        ]
        assert "fieldValidation" in {item["name"] for item in patch["parameters"]}
        assert patch["x-kubernetes-group-version-kind"]["kind"] == "RoleBasedGroup"
