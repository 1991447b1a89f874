"""Lets the API server call a webhook that runs as a plain local process, with manifests made for a cluster.

Webhook configurations name a Service. Here the Service becomes an alias of localhost and the configuration names the
port the process listens on; TLS still verifies ``<service>.<namespace>.svc``, so the product's manifests are tested
as they are but for these fields.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Sequence
from typing import Any

from hack.controlplane.api import Manifest

__all__ = ["WEBHOOK_KINDS", "local_service", "point_to_localhost"]

WEBHOOK_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def local_service(name: str, namespace: str) -> Manifest:
    """A Service that stands for localhost."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }


def point_to_localhost(manifests: Sequence[Manifest], *, port: int, ca_pem: bytes) -> list[Manifest]:
    """Copies of ``manifests`` whose webhooks are called on ``port`` of this machine.

    Args:
        manifests: Any objects. Webhook configurations and CRDs with a conversion webhook get port and authority,
            Services named by one of them become aliases of localhost, everything else stays as it is.
        port: Where the webhook listens.
        ca_pem: The authority that signed its certificate for ``<service>.<namespace>.svc``.
    """
    changed = copy.deepcopy(list(manifests))
    called: set[tuple[str, str]] = set()
    for manifest in changed:
        for client in _client_configs(manifest):
            client["service"]["port"] = port
            client["caBundle"] = base64.b64encode(ca_pem).decode()
            called.add((client["service"]["namespace"], client["service"]["name"]))
    return [_aliased(manifest, called) for manifest in changed]


def _client_configs(manifest: Manifest) -> list[dict[str, Any]]:
    if manifest["kind"] in WEBHOOK_KINDS:
        found = [hook["clientConfig"] for hook in manifest.get("webhooks", ())]
    elif manifest["kind"] == "CustomResourceDefinition":
        found = [manifest["spec"].get("conversion", {}).get("webhook", {}).get("clientConfig", {})]
    else:
        found = []
    return [config for config in found if "service" in config]


def _aliased(manifest: Manifest, called: set[tuple[str, str]]) -> Manifest:
    metadata = manifest["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "default")
    if manifest["kind"] == "Service" and (namespace, name) in called:
        return local_service(name, namespace)
    return manifest
