"""Fixtures: one real control plane for the whole run, a namespace for each test, reports when one fails."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hack import rbac
from hack.controlplane import Api, Cluster, ClusterOptions
from hack.controlplane.build import ensure_built
from rbgctrl.clock import new_id

CRDS = Path(__file__).parents[3] / "config" / "crd"
E2E = Path(__file__).parents[1]
NODES = 16
_LINES = 25
_SECONDS = 240.0


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The control plane of this run, with the product's CRDs, 16 GPU nodes, LWS and an audit log.

    Tests share it: they stay in their namespace and do not stop its components (a test that does starts its own).
    """
    options = ClusterOptions(nodes=NODES, lws=True, audit=True, crds=(CRDS,))
    shared = Cluster(options, state=tmp_path_factory.mktemp("cluster"))
    asyncio.run(shared.start())  # in the main thread, whose end ends the processes
    try:
        yield shared
        note_rights(shared)
    finally:
        asyncio.run(shared.stop())


def note_rights(cluster: Cluster) -> None:
    """Compare what daemons asked of a cluster with what is known of them, or write it down (see ``hack/rbac.py``)."""
    seen = rbac.seen_in(cluster.audit_events())
    if path := os.environ.get(rbac.ENVIRONMENT):
        rbac.add(seen, Path(path))
    local = rbac.LOCAL  # tests choose their own names for these
    unknown = sorted(str(right) for right in seen - rbac.known() if right.resource not in local)
    assert not unknown, f"the daemon needs rights it does not have: {unknown}; see hack/rbac.py"


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The admin's kubeconfig of the shared cluster."""
    return cluster.kubeconfig


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """The shared cluster as the admin sees it, through a client that is not the one under test."""
    async with cluster.api() as admin:
        yield admin


@pytest.fixture
async def namespace(api: Api, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A fresh namespace; deleted after the test, without waiting for its end."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    name = f"{stem}-{new_id()[:6]}"
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await api.delete("v1", "Namespace", name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs the control plane as such, wherever it is, and gives it more time than a unit test."""
    for item in items:
        if not item.path.is_relative_to(E2E) and "cluster" not in getattr(item, "fixturenames", ()):
            continue
        item.add_marker("e2e")
        if item.get_closest_marker("timeout") is None:
            # The function only: the first test that asks for the cluster also waits for its start.
            item.add_marker(pytest.mark.timeout(_SECONDS, func_only=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds the programs before the first test, in view: it can take minutes, and no test's deadline is for that."""
    if session.config.option.collectonly or not any(item.get_closest_marker("e2e") for item in session.items):
        return
    capture: Any = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        ensure_built()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what the cluster saw to the report of a failed test."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    shared = arguments.get("cluster")
    if report.failed and isinstance(shared, Cluster):
        if "namespace" in arguments:
            report.sections.append(("namespace", _describe(shared, arguments["namespace"])))
        report.sections.extend((f"log of {name}", text) for name, text in shared.logs(_LINES).items())
    return report


def _describe(shared: Cluster, namespace: str) -> str:
    """Pods and events of a namespace, as far as the API server still answers."""
    lines = []
    with suppress(OSError):  # urllib's errors too; the logs tell why
        for found in shared.read(f"/api/v1/namespaces/{namespace}/pods")["items"]:
            status = found.get("status", {})
            true = [c["type"] for c in status.get("conditions") or () if c["status"] == "True"]
            where = found["spec"].get("nodeName", "no node")
            lines.append(f"pod {found['metadata']['name']}: {status.get('phase')} on {where}, {' '.join(true)}")
        events = shared.read(f"/api/v1/namespaces/{namespace}/events")["items"]
        for event in events[-40:]:
            about = event["involvedObject"]
            lines.append(f"event {about['kind']}/{about['name']} {event.get('reason')}: {event.get('message')}")
    return "\n".join(lines) or "nothing could be read"
