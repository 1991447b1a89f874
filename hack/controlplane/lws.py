"""Installs the LeaderWorkerSet controller's kinds and webhooks, and configures it as a local process."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hack.controlplane.api import Manifest, load_yaml
from hack.controlplane.credentials import Authority
from hack.controlplane.ports import LOOPBACK
from hack.controlplane.webhooks import WEBHOOK_KINDS, point_to_localhost

__all__ = ["NAMESPACE", "configuration", "example", "patched", "placed", "render", "write_configuration"]

NAMESPACE = "lws-system"
_PREFIX = "lws-"
_SERVICE = "lws-webhook-service"
_PATCHES = {
    "MutatingWebhookConfiguration": "mutating-patch.yaml",
    "ValidatingWebhookConfiguration": "validating-patch.yaml",
}


def patched(manifest: Manifest, patch: Sequence[dict[str, Any]]) -> Manifest:
    """A copy of ``manifest`` with a JSON patch of ``replace`` operations applied.

    Raises:
        ValueError: another operation, or a path that does not exist: a newer release needs another treatment.
    """
    changed = copy.deepcopy(manifest)
    for step in patch:
        if step["op"] != "replace":
            raise ValueError(f"unexpected operation {step['op']!r}")
        *parents, last = step["path"].strip("/").split("/")
        target: Any = changed
        try:
            for part in parents:
                target = target[int(part) if isinstance(target, list) else part]
            position = int(last) if isinstance(target, list) else last
            _ = target[position]
        except (KeyError, IndexError) as error:
            raise ValueError(f"{step['path']} does not exist") from error
        target[position] = step["value"]
    return changed


def placed(manifest: Manifest) -> Manifest:
    """A copy with the release's name prefix and namespace, also where webhooks refer to their Service."""
    changed = copy.deepcopy(manifest)
    metadata = changed["metadata"]
    metadata["name"] = _PREFIX + metadata["name"]
    if "namespace" in metadata:
        metadata["namespace"] = NAMESPACE
    for hook in changed.get("webhooks", ()):
        hook["clientConfig"]["service"] |= {"name": _PREFIX + hook["clientConfig"]["service"]["name"]}
        hook["clientConfig"]["service"]["namespace"] = NAMESPACE
    return changed


def render(folder: Path, *, port: int, ca_pem: bytes) -> list[Manifest]:
    """Everything to apply but the CRDs: namespace, Service and webhook configurations.

    Args:
        folder: The release's manifests as the build copied them.
        port: Where the controller's webhooks listen on this machine.
        ca_pem: The authority of their certificate.
    """
    objects = [*load_yaml((folder / "service.yaml").read_text()), *load_yaml((folder / "manifests.yaml").read_text())]
    for i, manifest in enumerate(objects):
        if manifest["kind"] in WEBHOOK_KINDS:
            patch = yaml.safe_load((folder / _PATCHES[manifest["kind"]]).read_text())
            objects[i] = patched(manifest, patch)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, *point_to_localhost([placed(o) for o in objects], port=port, ca_pem=ca_pem)]


def configuration(certificates: Path, *, webhook_port: int, health_port: int) -> Manifest:
    """The controller's configuration: loopback ports, a given certificate, no leader election."""
    return {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"host": LOOPBACK, "port": webhook_port, "certDir": str(certificates)},
        "health": {"healthProbeBindAddress": f"{LOOPBACK}:{health_port}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        # Its own certificate manager writes a Secret that a Deployment would mount; a plain process has no mount.
        "internalCertManagement": {"enable": False},
    }


def write_configuration(folder: Path, authority: Authority, *, webhook_port: int, health_port: int) -> None:
    """Writes ``lws.yaml`` and the webhook's certificate below ``folder``."""
    certificates = folder / "lws"
    authority.issue("tls", [f"{_SERVICE}.{NAMESPACE}.svc"], folder=certificates)
    config = configuration(certificates, webhook_port=webhook_port, health_port=health_port)
    (folder / "lws.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def example(name: str, namespace: str, *, replicas: int = 1, size: int = 2) -> Manifest:
    """A LeaderWorkerSet of ``replicas`` groups of ``size`` pods."""
    template = {"spec": {"containers": [{"name": "main", "image": "example/server:v1"}]}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": {"size": size, "workerTemplate": template}},
    }
