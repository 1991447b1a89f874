"""Puts the webhooks into a manager."""

from __future__ import annotations

from pathlib import Path

from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.meta import Key
from rbgctrl.client import Client
from rbgctrl.daemon.settings import Settings
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.probes import Address
from rbgctrl.webhooks import WebhookOptions, Webhooks

__all__ = ["add_webhooks"]


def add_webhooks(manager: Manager, client: Client, settings: Settings) -> Webhooks:
    """Serve conversion and admission in every replica; the manager is ready only while they are.

    Args:
        manager: not started yet.
        client: without the fence of the lease, which replicas that do not lead are kept from writing by.
        settings: see there.
    """
    own = not settings.webhook_cert_dir
    webhooks = Webhooks(
        client,
        WebhookOptions(
            address=Address(settings.webhook_host, settings.webhook_port),
            service=Key(settings.webhook_service_namespace or client.namespace, settings.webhook_service_name),
            cert_dir=None if own else Path(settings.webhook_cert_dir),
            write_bundles=own if settings.webhook_ca_bundle is None else settings.webhook_ca_bundle,
            admission=AdmissionOptions(deprecated_workload_types=settings.enable_deprecated_workload_types),
            interval=60.0 if own else 10.0,
        ),
        registry=manager.metrics.registry,
        now=manager.now,
    )
    manager.add(webhooks)
    manager.check("webhooks", webhooks.check)
    return webhooks
