"""Our daemon starts where the upstream controller stopped: nothing that runs is touched, and what changes takes effect.

The objects are the recorded ones, written by the field managers and verbs upstream uses.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, pods
from e2e.support.pods import is_ready
from e2e.support.recorded import NAMESPACE, UPSTREAM, place, recorded_namespace
from golden import SCENARIOS, scenario
from hack.controlplane import Api, Cluster
from hack.controlplane.audit import READS
from hack.rbac import AGENT
from rbgctrl.api import labels
from rbgctrl.api.inheritance import WRITERS

KINDS = (
    (V1ALPHA2, "RoleBasedGroup"),
    (V1ALPHA2, "RoleInstanceSet"),
    (V1ALPHA2, "RoleInstance"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("apps/v1", "ControllerRevision"),
    (V1ALPHA2, "RoleBasedGroupScalingAdapter"),
    ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
)
OURS = "workloads.x-k8s.io"
STANDALONE = Counter(
    {
        ("patch", "configmaps", 409): 1,  # upstream's has no labels, so it is not seen before we ask for it,
        ("patch", "configmaps", 200): 1,  # and gets ours
        ("patch", f"roleinstancesets.{OURS}/status", 200): 1,  # availableReplicas, which upstream leaves at 0
        ("patch", f"rolebasedgroups.{OURS}/status", 200): 1,  # conditions that upstream does not write
    }
)
ALLOWED = {
    *STANDALONE,
    ("patch", f"rolebasedgroups.{OURS}", 200),  # the discovery mode, where a set of groups took it away
    ("patch", f"rolebasedgroups.{OURS}/status", 200),  # what this build does not act on is said in a condition
    ("patch", f"roleinstances.{OURS}/status", 200),  # a pod that is not there or does not run
    ("patch", "services", 200),  # which annotations are its role's
    ("patch", f"rolebasedgroupscalingadapters.{OURS}/status", 200),  # a selector that finds pods
    ("patch", f"roleinstancesets.{OURS}", 200),  # the content of a profile that stays as it is
    ("create", "pods", 422),  # the pod that no API server accepts, upstream's neither
}
POLICY = {
    # CoordinatedPolicies are not read yet: what the policy asks for goes back to what the role does. Rolls nothing.
    ("patch", f"roleinstancesets.{OURS}", 200),
    ("patch", f"roleinstancesets.{OURS}", 409),
}


@pytest.fixture
async def golden(api: Api) -> AsyncIterator[str]:
    async with recorded_namespace(api) as name:
        yield name


EXCLUSIVE = "excl-engine"
"""The role whose pods select a label they do not have: none ever ran, and it gets another template."""
Snapshot = dict[tuple[str, str], tuple[str, Any]]


async def snapshot(api: Api) -> Snapshot:
    """UID of everything that can run, and what makes a rollout: generations, and the templates of instances."""
    found: Snapshot = {}
    for api_version, kind in KINDS:
        for item in await api.items(api_version, kind, NAMESPACE):
            meta = item["metadata"]
            told = meta.get("generation", 0)
            if meta["name"].startswith("coord-") and kind == "RoleInstanceSet":
                told = json.dumps(item["spec"]["roleInstanceTemplate"], sort_keys=True)
            if meta["name"] != "kube-root-ca.crt" and not meta["name"].startswith(EXCLUSIVE):
                found[kind, meta["name"]] = (meta["uid"], told)
    return found


async def settled(running: Daemon) -> None:
    """Wait until the daemon wrote nothing for longer than any status of its may wait."""
    seen = -1.0
    while (now := await running.metric("rest_client_requests_total", code="200")) != seen:
        seen = now
        await asyncio.sleep(3)


def writes(cluster: Cluster, mark: int) -> Counter[tuple[str, str, int]]:
    """The daemon's writes since the mark, but for Events: (verb, resource, status), counted."""
    found = Counter(
        (event.verb, event.resource, event.code)
        for event in cluster.audit_events(after=mark, agent=AGENT)
        if event.verb not in READS and event.resource != "events" and not event.object_ref.name.startswith(EXCLUSIVE)
    )
    print("\n".join(f"{count:4} {verb} {what} {code}" for (verb, what, code), count in sorted(found.items())))  # noqa: T201 - for whoever reads the run
    return found


@pytest.mark.usefixtures("golden")
async def test_taking_over_every_recorded_scenario_deletes_creates_and_rolls_nothing(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    names = [name for name in SCENARIOS if scenario(name).of("RoleInstanceSet")]
    assert len(names) == 10
    await asyncio.gather(*(place(cluster, scenario(name)) for name in names))
    before = await snapshot(api)
    assert len([key for key in before if key[0] == "Pod"]) == 44
    mark = cluster.audit_mark()
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=NAMESPACE) as running:
        await settled(running)
        assert await snapshot(api) == before
        await eventually(lambda: _runs(api, f"{EXCLUSIVE}-0"), 60, what="the pod that nothing could place runs")
        await settled(running)
    found = writes(cluster, mark)
    assert found.keys() <= ALLOWED | POLICY
    assert not [key for key in found if key[0] == "delete"]
    mark = cluster.audit_mark()
    async with daemon(cluster.kubeconfig, tmp_path / "again", namespace=NAMESPACE) as running:
        await settled(running)
        assert await snapshot(api) == before
    assert writes(cluster, mark).keys() <= {("create", "pods", 422)}, "there is nothing left to fight over"


@pytest.mark.usefixtures("golden")
async def test_after_a_take_over_a_changed_image_a_removed_variable_and_a_removed_role_take_effect(
    cluster: Cluster, api: Api, tmp_path: Path
) -> None:
    await place(cluster, scenario("standalone"))
    await _older_entries(cluster)
    before = await snapshot(api)
    mark = cluster.audit_mark()
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=NAMESPACE) as running:
        await settled(running)
        assert await snapshot(api) == before
        # One more, for the ConfigMap only: its owners are put right before it is written for the first time.
        assert writes(cluster, mark) == STANDALONE + Counter({("patch", "configmaps", 200): 1})
        running_pods = await _uids(api)

        # What was made by upstream rolls like what we make: one after the other, and nothing stays behind.
        spec = (await api.get(V1ALPHA2, "RoleBasedGroup", "chat", NAMESPACE))["spec"]
        router, engine = spec["roles"]
        del _container(router["standalonePattern"])["env"]
        _container(engine["standalonePattern"])["image"] = "registry.example/engine:2.4"
        engine["replicas"] = 4
        await api.merge(V1ALPHA2, "RoleBasedGroup", "chat", {"spec": spec}, namespace=NAMESPACE)
        await eventually(lambda: _rolled(api), 120, what="every pod follows the new templates")
        await become_ready(api, "chat", NAMESPACE)
        await _check_sets(api)
        after = await _uids(api)
        assert after.keys() - running_pods.keys() == {"chat-engine-3"}
        assert not set(after.values()) & set(running_pods.values())
        file = (await api.get("v1", "ConfigMap", "chat", NAMESPACE))["data"][labels.CONFIG_FILE]
        assert "chat-engine-3.s-chat-engine" in file

        engine["dependencies"] = []
        await api.merge(V1ALPHA2, "RoleBasedGroup", "chat", {"spec": {"roles": [engine]}}, namespace=NAMESPACE)
        await eventually(lambda: _only_engine(api), 60, what="everything of the removed role is gone")
        await become_ready(api, "chat", NAMESPACE)
        assert (await _uids(api)).items() == {k: v for k, v in after.items() if "router" not in k}.items()


async def _runs(api: Api, name: str) -> bool:
    return is_ready(await api.find("v1", "Pod", name, NAMESPACE))


async def _rolled(api: Api) -> bool:
    """Whether the pods are those that the changed group asks for."""
    found = {name: pod["spec"]["containers"][0] for name, pod in (await pods(api, NAMESPACE)).items()}
    wanted = {*(f"chat-engine-{ordinal}" for ordinal in range(4)), *(name for name in found if "router" in name)}
    return found.keys() == wanted and all(
        container["image"] == "registry.example/engine:2.4"
        if "engine" in name
        else "LOG_LEVEL" not in _named(container)
        for name, container in found.items()
    )


def _named(container: dict[str, Any]) -> set[str]:
    return {item["name"] for item in container["env"]}


async def _older_entries(cluster: Cluster) -> None:
    """What an upstream before server-side apply left, and what a person did: both are owned by an Update."""
    leftover = {"metadata": {"labels": {"upstream.example/leftover": "yes"}}}
    noted = {"metadata": {"annotations": {"example.com/note": "mine"}}}
    async with cluster.api(agent=UPSTREAM) as upstream, cluster.api(agent="kubectl/v1.36.3") as user:
        for name in ("chat-engine", "chat-router"):
            await upstream.merge(V1ALPHA2, "RoleInstanceSet", name, leftover, namespace=NAMESPACE)
            await user.merge(V1ALPHA2, "RoleInstanceSet", name, noted, namespace=NAMESPACE)
        await upstream.merge("v1", "ConfigMap", "chat", {"data": {"leftover.yaml": "old"}}, namespace=NAMESPACE)


async def _check_sets(api: Api) -> None:
    for name, image in (("chat-router", "registry.example/router:1.0"), ("chat-engine", "registry.example/engine:2.4")):
        found = await api.get(V1ALPHA2, "RoleInstanceSet", name, NAMESPACE)
        container = found["spec"]["roleInstanceTemplate"]["components"][0]["template"]["spec"]["containers"][0]
        assert container["image"] == image
        assert "LOG_LEVEL" not in {item["name"] for item in container["env"]}
        assert "upstream.example/leftover" not in found["metadata"]["labels"]
        assert found["metadata"]["annotations"]["example.com/note"] == "mine"
        owners = {item["manager"] for item in found["metadata"]["managedFields"] if not item.get("subresource")}
        assert owners == {"rbg", "kubectl"}
    found = await api.get("v1", "ConfigMap", "chat", NAMESPACE)
    assert sorted(found["data"]) == [labels.CONFIG_FILE]
    updates = [item for item in found["metadata"]["managedFields"] if item["operation"] == "Update"]
    assert not [item for item in updates if item["manager"] in WRITERS]


def _container(pattern: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pattern["template"]["spec"]["containers"][0]
    return container


async def _uids(api: Api) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in (await pods(api, NAMESPACE)).items()}


async def _only_engine(api: Api) -> bool:
    found = await snapshot(api)
    left = [name for kind, name in found if kind in ("RoleInstanceSet", "RoleInstance", "Pod", "Service")]
    file = (await api.get("v1", "ConfigMap", "chat", NAMESPACE))["data"][labels.CONFIG_FILE]
    return not [name for name in left if "router" in name] and "router" not in file
