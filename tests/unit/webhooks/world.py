"""An embedded API server with the objects webhooks look after, and a caller that verifies TLS as API servers do."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from rbgctrl.api.meta import Key
from rbgctrl.client import Client
from rbgctrl.clock import utcnow
from rbgctrl.runtime.probes import Address
from rbgctrl.runtime.tasks import end
from rbgctrl.sim.server import ApiServer, ServerOptions
from rbgctrl.sim.transport import InProcessTransport
from rbgctrl.webhooks import SECRET, SERVICE, WebhookOptions, Webhooks
from rbgctrl.webhooks.bundles import CONFIGURATION, CONVERTED_CRDS

__all__ = ["HOST", "NAMESPACE", "START", "World", "running", "until"]

NAMESPACE = "default"
HOST = f"{SERVICE}.{NAMESPACE}.svc"
START = utcnow().replace(microsecond=0)  # the other side of a TLS connection has a clock of its own
_ADMISSION = "admissionregistration.k8s.io"
_SERVICE = {"name": SERVICE, "namespace": NAMESPACE}
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _crd(group: str, kind: str, plural: str, *, scope: str, **more: Any) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _OPEN}}
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
            **more,
        },
    }


class World:
    """A cluster in which the webhooks are configured, and nobody knows their authority yet."""

    def __init__(self) -> None:
        self.now = START
        self.server = ApiServer(options=ServerOptions(install_crds=False))
        crds = "customresourcedefinitions.apiextensions.k8s.io"
        self._create(crds, _crd(_ADMISSION, "ValidatingWebhookConfiguration", _PLURAL, scope="Cluster"))
        for name in CONVERTED_CRDS:
            plural, _, group = name.partition(".")
            conversion = {
                "strategy": "Webhook",
                "webhook": {"clientConfig": {"service": _SERVICE}, "conversionReviewVersions": ["v1"]},
            }
            self._create(crds, _crd(group, plural.title(), plural, scope="Namespaced", conversion=conversion))
        self._create(crds, _crd("workloads.x-k8s.io", "Other", "others", scope="Namespaced"))
        hooks = [
            {"name": "vrolebasedgroup.kb.io", "clientConfig": {"service": _SERVICE}},
            {"name": "foreign", "clientConfig": {"service": {"name": "x", "namespace": "y"}, "caBundle": "QQ=="}},
        ]
        self._create(f"{_PLURAL}.{_ADMISSION}", {"metadata": {"name": CONFIGURATION}, "webhooks": hooks})

    def _create(self, resource: str, obj: dict[str, Any]) -> None:
        self.server.create(resource, obj, user="test")

    def client(self) -> Client:
        """A client of one replica."""
        return Client(InProcessTransport(self.server, agent="replica"), namespace=NAMESPACE)

    def webhooks(self, **options: Any) -> Webhooks:
        """A replica."""
        chosen = {"interval": 0.05, "retry": 0.05, "pause": 0.01} | options
        return Webhooks(
            self.client(),
            WebhookOptions(address=Address("127.0.0.1", 0), service=Key(NAMESPACE, SERVICE), **chosen),
            registry=CollectorRegistry(),
            now=lambda: self.now,
        )

    def secret(self) -> dict[str, Any]:
        """The Secret."""
        found = self.server.get("secrets", Key(NAMESPACE, SECRET))
        assert found is not None
        return found

    def authorities(self) -> bytes:
        """The authorities in the Secret, PEM."""
        return base64.b64decode(self.secret()["data"]["ca.crt"])

    def bundles(self) -> list[str]:
        """What is configured as trusted, for both CRDs and our webhook."""
        crds = [self.server.get(_CRDS, Key("", name)) for name in CONVERTED_CRDS]
        configs = [crd["spec"]["conversion"]["webhook"]["clientConfig"] for crd in crds if crd is not None]
        return [config.get("caBundle", "") for config in (*configs, self.hooks()[0]["clientConfig"])]

    def hooks(self) -> list[dict[str, Any]]:
        """The webhooks of the configuration."""
        found = self.server.get(f"{_PLURAL}.{_ADMISSION}", Key("", CONFIGURATION))
        assert found is not None
        hooks: list[dict[str, Any]] = found["webhooks"]
        return hooks

    def spread(self) -> bool:
        """Whether all configurations trust what the Secret says."""
        present = self.server.get("secrets", Key(NAMESPACE, SECRET))
        return present is not None and set(self.bundles()) == {present["data"]["ca.crt"]}

    def writes(self) -> int:
        """How many objects changed so far."""
        return self.server.storage.revision


_PLURAL = "validatingwebhookconfigurations"
_CRDS = "customresourcedefinitions.apiextensions.k8s.io"


@asynccontextmanager
async def running(*replicas: Webhooks) -> AsyncIterator[None]:
    """Replicas that run for the length of the context; one that fails fails the test."""
    tasks = [asyncio.create_task(replica.run()) for replica in replicas]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            await end(task)


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of things that tell nobody
            await asyncio.sleep(0.005)


@asynccontextmanager
async def caller(port: int | None, ca: bytes) -> AsyncIterator[Callable[[str, bytes], Any]]:
    """Posts reviews as an API server does: to the Service's name, trusting ``ca`` only, over one kept connection."""
    context = ssl.create_default_context(cadata=ca.decode())
    connector = aiohttp.TCPConnector(ssl=context, limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(path: str, body: bytes) -> Any:
            url = f"https://127.0.0.1:{port}{path}"
            async with session.post(url, data=body, server_hostname=HOST) as answer:
                return answer.status, await answer.json()

        yield post


def pair(directory: Path, certificate: bytes, key: bytes) -> None:
    """What cert-manager would mount there."""
    (directory / "tls.key").write_bytes(key)
    (directory / "tls.crt").write_bytes(certificate)
