"""The webhooks as a whole: certificates, trust and server, run on every replica for as long as its manager."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.meta import Key
from rbgctrl.client import ApiError, Client, NotFoundError
from rbgctrl.clock import Now, utcnow
from rbgctrl.informers import InformerOptions
from rbgctrl.runtime.probes import Address
from rbgctrl.runtime.tasks import end
from rbgctrl.webhooks.bundles import Bundles
from rbgctrl.webhooks.certificates import CertificateOptions, Material, expiry, service_hosts
from rbgctrl.webhooks.numbers import WebhookMetrics
from rbgctrl.webhooks.server import PATHS, WebhookServer
from rbgctrl.webhooks.serving import CertificateLoadError, ServingContext
from rbgctrl.webhooks.sources import (
    CertificateSource,
    ContendedError,
    DirectorySource,
    MissingFileError,
    SecretSource,
)

__all__ = ["SECRET", "SERVICE", "WebhookOptions", "Webhooks"]

log = structlog.get_logger(__name__)

SECRET: Final = "rbgs-webhook-cert"  # noqa: S105 - a name
"""Name of the Secret with the certificates."""
SERVICE: Final = "rbgs-webhook-service"
"""Name of the Service in front of the webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """How the webhooks are served.

    Attributes:
        address: where to listen.
        service: namespace and name of the Service in front of them; the Secret is in the same namespace.
        cert_dir: take certificates from there; None keeps them in the Secret.
        write_bundles: keep ``caBundle`` of the API server's configurations current.
        admission: what is allowed.
        certificates: lifetimes.
        interval: seconds between looks at the Secret or directory.
        retry: seconds before another attempt when something could not be done.
        pause: seconds between a change of a configuration and our look at it.
        informers: timing of the watches on the configurations.
    """

    address: Address
    service: Key
    cert_dir: Path | None = None
    write_bundles: bool = True
    admission: AdmissionOptions = field(default_factory=AdmissionOptions)
    certificates: CertificateOptions = field(default_factory=CertificateOptions)
    interval: float = 60.0
    retry: float = 5.0
    pause: float = 1.0
    informers: InformerOptions | None = None


class Webhooks:
    """Serves conversion and admission; a :class:`~rbgctrl.runtime.manager.Runnable` for every replica.

    Args:
        client: to read and write with, also without the lease.
        options: see :class:`WebhookOptions`.
        registry: where metrics are registered.
        now: the wall clock.
    """

    needs_leader = False

    def __init__(
        self, client: Client, options: WebhookOptions, *, registry: CollectorRegistry, now: Now = utcnow
    ) -> None:
        self._client = client
        self._options = options
        self._tls = ServingContext()
        self._wake = asyncio.Event()
        self._problem = "not started"
        self._trusted = b""  # authorities in the material used last
        self._registry = registry
        self._metrics = WebhookMetrics(registry, PATHS)
        self._server = WebhookServer(
            options.address, self._tls, options=options.admission, adapters=self._adapter, metrics=self._metrics
        )
        self._source: CertificateSource = (
            SecretSource(
                client,
                Key(options.service.namespace, SECRET),
                service_hosts(options.service.name, options.service.namespace),
                now=now,
                options=options.certificates,
            )
            if options.cert_dir is None
            else DirectorySource(options.cert_dir)
        )
        self._bundles = (
            Bundles(client, options.service, self._wake.set, options.informers) if options.write_bundles else None
        )

    @property
    def port(self) -> int | None:
        """Where it listens; None when it does not."""
        return self._server.port

    def check(self) -> str:
        """For readiness: ``""`` while requests are answered."""
        return "" if self._server.port is not None else self._problem or "starting"

    async def run(self) -> None:
        """Serve until cancelled; certificates that cannot be had yet are waited for.

        Raises:
            ListenError: the address cannot be used.
        """
        watching = asyncio.create_task(self._bundles.run(), name="webhook bundles") if self._bundles else None
        try:
            while True:
                done = await self._pass()
                await self._rest(self._options.interval if done else self._options.retry)
        finally:
            if watching is not None:
                await end(watching)
            await self._server.stop()

    async def _rest(self, seconds: float) -> None:
        """Wait, or until something changed, and a moment longer: changes come in groups, and fights are slowed down."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._options.pause)
        self._wake.clear()

    async def _pass(self) -> bool:
        """One look at everything; whether all was as it should be in the end."""
        trusted = self._bundles is None or self._bundles.current(self._trusted)
        try:
            material = await self._source.current(trusted=trusted)
            self._use(material)
        except (ApiError, ContendedError, MissingFileError, CertificateLoadError) as error:
            if self._problem != str(error):
                log.warning("no new webhook certificate", error=str(error), serving=self._server.port is not None)
            self._problem = str(error)
            return False
        self._problem = ""
        self._trusted = material.ca
        if self._server.port is None:
            await self._server.start()
        return await self._bundles.correct(material.ca) if self._bundles is not None and material.ca else True

    def _use(self, material: Material) -> None:
        if self._tls.load(material.cert, material.key):
            ends = expiry(material.cert)
            log.info("serving certificate loaded", expires=str(ends))
            self._metrics.expiry(ends.timestamp() if ends is not None else 0.0)

    async def _adapter(self, namespace: str, name: str) -> int | None:
        try:
            found = await self._client.get(RoleBasedGroupScalingAdapter, Key(namespace, name))
        except NotFoundError:
            return None
        return found.spec.replicas if found.spec is not None else None
