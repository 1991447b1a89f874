"""The webhooks as part of the daemon: every replica serves them, and is ready only while it does."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from rbgctrl.api.meta import Key
from rbgctrl.client import Client
from rbgctrl.daemon.process import build
from rbgctrl.daemon.settings import Settings
from rbgctrl.runtime.tasks import end
from rbgctrl.sim.server import ApiServer
from rbgctrl.webhooks import SECRET


def _settings(**more: object) -> Settings:
    given = {"enable_webhooks": "all", "webhook_host": "127.0.0.1", "webhook_port": 0, "tune_gc": False}
    return Settings.of(**{"health_probe_bind_address": "0", **given, **more})


async def _until_ready(manager: object) -> None:
    async with asyncio.timeout(20):
        while not manager.ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - told to nobody
            await asyncio.sleep(0.01)


async def test_a_replica_that_does_not_lead_serves_and_is_ready() -> None:
    server = ApiServer()
    lease = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "renewTime": "2100-01-01T00:00:00.000000Z"}
    body = {"metadata": {"name": "rbg-controller", "namespace": "default"}, "spec": lease}
    server.create("leases.coordination.k8s.io", body, user="another")
    async with Client(server.transport()) as client:
        manager = build(client, _settings(leader_elect=True))
        assert not manager.ready
        task = asyncio.create_task(manager.run())
        try:
            await _until_ready(manager)
            assert server.get("secrets", Key("default", SECRET)) is not None
            page, _ = manager.metrics.expose()
            assert b"controller_runtime_webhook_requests_total" in page
        finally:
            await end(task)


async def test_a_replica_without_certificates_is_not_ready_and_says_what_is_missing(tmp_path: Path) -> None:
    server = ApiServer()
    async with Client(server.transport()) as client:
        manager = build(client, _settings(webhook_cert_dir=str(tmp_path)))
        task = asyncio.create_task(manager.run())
        try:
            async with asyncio.timeout(20):
                while "tls.crt" not in manager._checks["webhooks"]():  # noqa: ASYNC110 - told to nobody
                    await asyncio.sleep(0.01)
            assert not manager.ready
            assert server.get("secrets", Key("default", SECRET)) is None
        finally:
            await end(task)


async def test_without_webhooks_nothing_is_served_and_readiness_is_about_the_caches() -> None:
    async with Client(ApiServer().transport()) as client:
        manager = build(client, _settings(enable_webhooks="none"))
        assert "webhooks" not in manager._checks


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_certificates_change_under_either_event_loop(loop: str) -> None:
    from rbgctrl.api.admission import AdmissionOptions
    from rbgctrl.clock import utcnow
    from rbgctrl.runtime.probes import Address
    from rbgctrl.webhooks.certificates import CertificateOptions, Material, renewed
    from rbgctrl.webhooks.numbers import WebhookMetrics
    from rbgctrl.webhooks.server import PATHS, WebhookServer
    from rbgctrl.webhooks.serving import ServingContext

    async def adapters(namespace: str, name: str) -> int | None:
        return None

    async def run() -> None:
        from prometheus_client import CollectorRegistry

        first, second = (renewed(Material(), ("h",), utcnow(), CertificateOptions(), trusted=True) for _ in range(2))
        tls = ServingContext()
        tls.load(first.cert, first.key)
        metrics = WebhookMetrics(CollectorRegistry(), PATHS)
        server = WebhookServer(
            Address("127.0.0.1", 0), tls, options=AdmissionOptions(), adapters=adapters, metrics=metrics
        )
        await server.start()
        try:
            for material in (first, second):
                tls.load(material.cert, material.key)
                context = ssl.create_default_context(cadata=material.ca.decode())
                _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="h")
                writer.close()
                await writer.wait_closed()
        finally:
            await server.stop()

    if loop == "uvloop":
        import uvloop

        uvloop.run(run())
    else:
        asyncio.run(run())
