"""What happens to a daemon in production, done on purpose."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.plugin import CRDS
from e2e.support.proxy import proxy
from hack.controlplane import Api, Cluster, ClusterOptions

LEASES = "leases.coordination.k8s.io"
PODS = [*(f"llm-decode-{index}" for index in range(5)), *(f"llm-prefill-{index}" for index in range(3))]


def _eight_pods(namespace: str) -> dict[str, object]:
    return group("llm", namespace, role("prefill", 3), role("decode", 5, "prefill"))


@pytest.mark.parametrize(
    ("write", "before"),
    [(7, True), (21, False), (44, False)],
    ids=["before its 7th write", "after its 21st", "after its 44th"],
)
async def test_a_daemon_killed_at_a_write_and_restarted_creates_every_pod_once(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path, write: int, before: bool
) -> None:
    mark = cluster.audit_mark()
    async with proxy(cluster, tmp_path) as between:
        async with daemon(between.kubeconfig, tmp_path / "first", namespace=namespace) as first:
            between.strike_at, between.before, between.strike = write, before, first.process.kill
            await api.create(_eight_pods(namespace))
            await eventually(lambda: between.struck, 60, what=f"the daemon is killed at write {write}")
        async with daemon(between.kubeconfig, tmp_path / "second", namespace=namespace):
            await become_ready(api, "llm", namespace)
    assert sorted(await pods(api, namespace)) == PODS
    created = Counter(
        event.object_ref.name or event.request_uri
        for event in cluster.audit_events(after=mark)
        if event.verb == "create"
        and event.resource == "pods"
        and event.object_ref.namespace == namespace
        and event.response_status.code == 201
    )
    assert sum(created.values()) == len(PODS)
    assert max(created.values()) == 1
    deleted = [
        event
        for event in cluster.audit_events(after=mark)
        if event.verb == "delete" and event.object_ref.namespace == namespace and event.resource == "pods"
    ]
    assert not deleted


async def test_a_leader_frozen_past_its_lease_writes_nothing_after_another_took_over(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    names = ("rbgctrl-a", "rbgctrl-b")
    configs = [await _service_account(cluster, api, namespace, name) for name in names]
    flags = ("--leader-elect", "--leader-election-namespace", namespace)
    mark = cluster.audit_mark()
    async with daemon(configs[0], tmp_path / "a", namespace=namespace, flags=flags) as old:
        await eventually(lambda: _holder(api, namespace), 60, what="the first daemon leads")
        await api.create(group("llm", namespace, role("decode", 1)))
        await become_ready(api, "llm", namespace)
        async with daemon(configs[1], tmp_path / "b", namespace=namespace, flags=flags):
            old.process.pause()
            # Something for both to do: the new leader does it now, the old one must not when it wakes up.
            spec = group("llm", namespace, role("decode", 3))["spec"]
            await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)
            await become_ready(api, "llm", namespace)
            old.process.resume()
            assert await old.exit_code(60) == 1, "who lost the lease says so and ends"
    mine = [event for event in cluster.audit_events(after=mark) if event.username.startswith("system:serviceaccount")]
    writes = {
        name: [
            event.request_received_timestamp
            for event in mine
            if event.username.endswith(f":{namespace}:{name}") and event.is_write and event.resource != LEASES
        ]
        for name in names
    }
    assert writes["rbgctrl-a"], "the first daemon worked"
    assert writes["rbgctrl-b"], "the second daemon took over"
    assert max(writes["rbgctrl-a"]) < min(writes["rbgctrl-b"])


async def _service_account(cluster: Cluster, api: Api, namespace: str, name: str) -> Path:
    """A user of its own for each daemon, so that the audit log tells them apart."""
    await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
    await api.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{namespace}-{name}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
    )
    return await cluster.service_account_kubeconfig(namespace, name)


async def _holder(api: Api, namespace: str) -> str:
    lease = await api.find("coordination.k8s.io/v1", "Lease", "rbg-controller", namespace)
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A small control plane that a test may break."""
    async with Cluster(ClusterOptions(nodes=2, crds=(CRDS,)), state=tmp_path / "cluster") as private:
        yield private


async def test_a_daemon_started_before_its_api_server_waits_and_recovers(own: Cluster, tmp_path: Path) -> None:
    await own.apiserver.kill()
    async with daemon(own.kubeconfig, tmp_path / "rbgctrl", ready=False) as early:
        await eventually(early.alive, 30, what="it is alive")
        assert not await early.ready()
        await own.apiserver.start()
        await early.wait_ready(60)
        async with own.api() as api:
            await api.create(group("llm", "default", role("decode", 1)))
            await become_ready(api, "llm", "default")


async def test_twenty_seconds_without_api_server_end_in_convergence_and_no_hot_loop(
    own: Cluster, tmp_path: Path
) -> None:
    async with daemon(own.kubeconfig, tmp_path / "rbgctrl") as running, own.api() as api:
        await api.create(group("llm", "default", role("prefill", 3), role("decode", 3, "prefill")))
        await eventually(lambda: _started(api), 30, what="reconciling is under way")
        await own.apiserver.kill()
        before = await _attempts(running)
        await asyncio.sleep(20)  # the length of the outage is the scenario
        during = await _attempts(running) - before
        assert await running.alive()
        await own.apiserver.start()
        await become_ready(api, "llm", "default", within=90)
        assert sorted(await pods(api, "default")) == [
            *(f"llm-decode-{index}" for index in range(3)),
            *(f"llm-prefill-{index}" for index in range(3)),
        ]
    # Nineteen watches and a handful of keys, each backing off from a second or so: far below one request per 10 ms.
    assert 0 < during < 900, f"{during} requests while the server was down"


async def _started(api: Api) -> bool:
    return bool(await api.items(V1ALPHA2, "RoleInstance", "default"))


async def _attempts(running: Daemon) -> float:
    """Requests so far, repetitions and failures included."""
    return await running.metric("rest_client_requests_total")


async def test_missing_crds_and_a_wrong_token_are_one_sentence_each_and_exit_code_2(tmp_path: Path) -> None:
    async with Cluster(ClusterOptions(nodes=0), state=tmp_path / "cluster") as bare:
        async with daemon(bare.kubeconfig, tmp_path / "rbgctrl", ready=False) as running:
            assert await running.exit_code(60) == 2
            assert "rbgctrl crds" in running.log()
        broken = tmp_path / "wrong-token"
        text = bare.kubeconfig.read_text()
        token = text.split("token: ")[1].split()[0].strip("\"'},")
        broken.write_text(text.replace(token, "wrong"))
        async with daemon(broken, tmp_path / "wrong", ready=False) as running:
            assert await running.exit_code(60) == 2
            last = running.log().strip().splitlines()[-1]
            assert "token" in last or "credential" in last, last
