"""A real API server asks our webhooks: both versions of a kind, validation, and certificates that change meanwhile.

The product's own manifests, with the Service pointed to a port of this machine. The cluster is of this module: an API
server that cannot reach the webhooks refuses writes, which other tests would not like.
"""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from contract.support import versions
from contract.support.api import Api as Case_Api
from contract.support.versions import ADMISSION_CASES, CASES, Case
from e2e.support import eventually
from e2e.support.daemon import daemon
from e2e.support.plugin import CRDS
from hack.controlplane import Api, Cluster, ClusterOptions
from hack.controlplane.errors import HttpError
from hack.controlplane.ports import free_ports
from hack.controlplane.webhooks import point_to_localhost
from rbgctrl.api.meta import Key
from rbgctrl.client import Client, connect
from rbgctrl.clock import new_id, utcnow
from rbgctrl.crds import documents
from rbgctrl.runtime.probes import Address
from rbgctrl.runtime.tasks import end
from rbgctrl.webhooks import SECRET, SERVICE, WebhookOptions, Webhooks
from rbgctrl.webhooks.bundles import CONFIGURATION, CONVERTED_CRDS
from rbgctrl.webhooks.certificates import CertificateOptions

_CONFIG = Path(__file__).parents[2] / "config"
_NAMESPACE = "rbgs-system"
_DAY = timedelta(days=1)


class Asked:
    """A cluster whose API server calls the webhooks on ``port``."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self.cluster = cluster
        self.port = port

    async def install(self) -> None:
        """The product's manifests: Service, webhook configuration, and the conversion clause of the CRDs."""
        clause = yaml.safe_load((_CONFIG / "crd/patches/conversion-webhook.yaml").read_text())[0]["value"]
        manifests = [
            yaml.safe_load((_CONFIG / f"webhook/{name}.yaml").read_text()) for name in ("service", "validating")
        ]
        crds = {crd["metadata"]["name"]: crd for crd in documents()}
        manifests += [{**crds[name], "spec": {**crds[name]["spec"], "conversion": clause}} for name in CONVERTED_CRDS]
        async with self.cluster.api() as api:
            await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}})
            for manifest in point_to_localhost(manifests, port=self.port, ca_pem=b""):
                await api.apply(manifest)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """The admin's client, with the namespace of the webhooks."""
        async with connect(kubeconfig=str(self.cluster.kubeconfig)) as client:
            yield client

    def webhooks(self, client: Client, port: int | None = None, **more: Any) -> Webhooks:
        """One replica of the webhooks in this process."""
        now = more.pop("now", utcnow)
        options = WebhookOptions(
            address=Address("127.0.0.1", self.port if port is None else port),
            service=Key(_NAMESPACE, SERVICE),
            **{"interval": 0.2, "retry": 0.2, "pause": 0.1} | more,
        )
        return Webhooks(client, options, registry=CollectorRegistry(), now=now)

    async def bundles(self, api: Api) -> set[str]:
        """What is configured as trusted."""
        found = {await self._crd(api, name) for name in CONVERTED_CRDS}
        hooks = await api.get("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", CONFIGURATION)
        return found | {hook["clientConfig"].get("caBundle", "") for hook in hooks["webhooks"]}

    async def _crd(self, api: Api, name: str) -> str:
        crd = await api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        return str(crd["spec"]["conversion"]["webhook"]["clientConfig"].get("caBundle", ""))

    async def secret(self, api: Api) -> dict[str, str]:
        """Data of the Secret; empty when there is none."""
        found = await api.find("v1", "Secret", SECRET, _NAMESPACE)
        data: dict[str, str] = (found or {}).get("data") or {}
        return data

    async def spread(self, api: Api) -> bool:
        """Whether everything trusts what the Secret says."""
        return await self.bundles(api) == {(await self.secret(api)).get("ca.crt", "no secret")}


# Replicas are stopped in the middle of what they do. Before Python 3.12 asyncio leaves the transport of a TLS handshake
# that was cancelled to the garbage collector, which complains of it, in whatever test runs then.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a test left to the garbage collector is gone before the next one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A control plane with the product's CRDs and webhook configuration, and nobody who answers yet."""
    own = Cluster(ClusterOptions(nodes=0, gang=False, crds=(CRDS,)), state=tmp_path_factory.mktemp("webhooks"))
    found = Asked(own, free_ports(1)[0])

    async def start() -> None:
        await own.start()
        await found.install()

    asyncio.run(start())
    try:
        yield found
    finally:
        asyncio.run(own.stop())


@asynccontextmanager
async def _running(webhooks: Webhooks) -> AsyncIterator[Webhooks]:
    task = asyncio.create_task(webhooks.run())
    try:
        yield webhooks
        if task.done():
            task.result()
    finally:
        await end(task)


@asynccontextmanager
async def _answered(asked: Asked, api: Api) -> AsyncIterator[Client]:
    """Webhooks that run and that the API server trusts."""
    async with asked.client() as client, _running(asked.webhooks(client)):
        await eventually(lambda: asked.spread(api), 30, what="the API server trusts the webhooks")
        await eventually(lambda: _converts(api), 30, what="the API server uses the new bundle", retry_on=(HttpError,))
        yield client


async def _converts(api: Api) -> bool:
    path = versions.GroupV1.KIND.path("default")
    body = {"apiVersion": "workloads.x-k8s.io/v1alpha1", "kind": "RoleBasedGroup", "metadata": {"name": "probe"}}
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"roles": [{"name": "a", "template": template}]}
    await api.request("POST", path, body={**body, "spec": spec}, params={"dryRun": "All"})
    return True


@asynccontextmanager
async def _namespace(api: Api) -> AsyncIterator[str]:
    name = f"versions-{new_id()[:8]}"
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    for kind in ("RoleBasedGroup", "RoleBasedGroupSet"):
        for item in await api.items("workloads.x-k8s.io/v1alpha2", kind, name):
            await api.delete("workloads.x-k8s.io/v1alpha2", kind, item["metadata"]["name"], name)


async def _never() -> None:
    raise AssertionError("no case needs that")


async def test_both_versions_through_a_real_api_server(asked: Asked) -> None:
    failed = {}
    async with asked.cluster.api() as api, _answered(asked, api) as client:

        async def run(case: Case) -> None:
            async with _namespace(api) as namespace:
                try:
                    await case(Case_Api(client, namespace, _never))
                except Exception as error:  # noqa: BLE001 - all cases are to be told of
                    failed[case.__name__] = repr(error)

        await asyncio.gather(*(run(case) for case in (*CASES, *ADMISSION_CASES)))
    assert failed == {}


async def test_kubectl_users_of_the_older_version_edit_and_apply_as_ever(asked: Asked) -> None:
    manifest = {
        "apiVersion": "workloads.x-k8s.io/v1alpha1",
        "kind": "RoleBasedGroup",
        "metadata": {"name": "edited"},
        "spec": {"roles": [{"name": "a", "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}}]},
    }
    async with asked.cluster.api() as api, _answered(asked, api), _namespace(api) as namespace:
        manifest["metadata"] = {"name": "edited", "namespace": namespace}
        await api.apply(manifest, manager="kubectl")
        new = ("workloads.x-k8s.io/v1alpha2", "RoleBasedGroup", "edited", namespace)
        await api.merge(
            *new[:3],
            {"spec": {"roles": [{**(await api.get(*new))["spec"]["roles"][0], "podManagementPolicy": "OrderedReady"}]}},
            namespace=namespace,
        )
        before = await api.get(*new)
        read = await api.get(manifest["apiVersion"], *new[1:])  # type: ignore[arg-type]  # text
        read["spec"]["roles"][0]["template"]["spec"]["containers"][0]["image"] = "i:2"
        path = await api.path(read["apiVersion"], "RoleBasedGroup", namespace, "edited")
        await api.request("PUT", path, body=read)
        await api.merge(read["apiVersion"], *new[1:3], {"metadata": {"labels": {"x": "y"}}}, namespace=namespace)
        after = await api.get(*new)
        wanted = before["spec"]
        wanted["roles"][0]["standalonePattern"]["template"]["spec"]["containers"][0]["image"] = "i:2"
        assert after["spec"] == wanted
        assert after["metadata"]["labels"] == {"x": "y"}


async def test_certificates_rotate_under_a_real_api_server_without_a_failed_request(asked: Asked) -> None:
    present = utcnow()
    now = present - 905 * _DAY  # the authority is due shortly before the present, by which the API server judges
    async with asked.cluster.api() as api, asked.client() as client:
        await api.delete("v1", "Secret", SECRET, _NAMESPACE)
        options = CertificateOptions(authority=1000 * _DAY, serving=400 * _DAY, settle=timedelta(seconds=0))
        async with _running(asked.webhooks(client, certificates=options, now=lambda: now)):
            await eventually(lambda: asked.spread(api), 30, what="the first authority is trusted")
            now = present - 300 * _DAY
            await eventually(lambda: asked.spread(api), 30, what="a serving certificate that is valid now")
            await eventually(lambda: _converts(api), 60, what="conversion works", retry_on=(HttpError,))
            first = await asked.secret(api)
            enough = asyncio.Event()
            asking = asyncio.create_task(_ask_until(enough, api))
            now = present - 4 * _DAY

            async def rotated() -> bool:
                data = await asked.secret(api)
                alone = base64.b64decode(data["ca.crt"]).count(b"BEGIN") == 1
                return alone and data["tls.crt"] != first["tls.crt"] and data["ca.crt"] != first["ca.crt"]

            try:
                await eventually(rotated, 60, what="the old authority is gone")
                await eventually(lambda: asked.spread(api), 30, what="only the new one is trusted")
                await _converts(api)
            finally:
                enough.set()
                asked_for = await asking
            assert asked_for > 10


async def _ask_until(enough: asyncio.Event, api: Api) -> int:
    """How many requests succeeded; fails with the first that does not."""
    count = 0
    while not enough.is_set():
        await _converts(api)
        count += 1
        await asyncio.sleep(0.05)
    return count


async def test_the_daemon_is_ready_once_the_api_server_can_ask_it(asked: Asked, tmp_path: Path) -> None:
    flags = (
        *("--enable-webhooks=all", "--webhook-host=127.0.0.1", f"--webhook-port={asked.port}"),
        f"--webhook-service-namespace={_NAMESPACE}",
    )
    async with asked.cluster.api() as api:
        await api.delete("v1", "Secret", SECRET, _NAMESPACE)
        async with daemon(asked.cluster.kubeconfig, tmp_path, flags=flags) as running:
            await eventually(lambda: asked.spread(api), 30, what="the API server trusts the daemon")
            await eventually(lambda: _converts(api), 30, what="conversion works", retry_on=(HttpError,))
            served = await running.metric("controller_runtime_webhook_requests_total", webhook="/convert", code="200")
            assert served > 0
