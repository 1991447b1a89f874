"""Manifests of GPU nodes, as their kubelets would report them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["CLIQUE", "GPU", "HOSTNAME", "ZONE", "domain_nodes", "node"]

GPU: Final = "nvidia.com/gpu"
CLIQUE: Final = "nvidia.com/gpu.clique"
HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
_REGION: Final = "topology.kubernetes.io/region"


def node(
    name: str,
    *,
    gpus: int = 8,
    zone: str = "zone-a",
    clique: str = "",
    labels: Mapping[str, str] | None = None,
    allocatable: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A Node with GPUs.

    Args:
        name: its name, also its ``kubernetes.io/hostname``.
        gpus: devices in ``nvidia.com/gpu``; 0 for a node without the resource.
        zone: ``topology.kubernetes.io/zone``; its region is ``region-1``.
        clique: the NVLink domain as ``nvidia.com/gpu.clique``; none when empty.
        labels: labels beside and over these.
        allocatable: resources beside and over 64 CPUs, 512 GiB, 110 pods and the GPUs; also its capacity.
        taints: ``spec.taints``.
    """
    resources = {"cpu": "64", "memory": "512Gi", "pods": "110"}
    own = {HOSTNAME: name, ZONE: zone, _REGION: "region-1", "kubernetes.io/os": "linux"}
    if gpus:
        resources[GPU] = str(gpus)
        own["nvidia.com/gpu.product"] = "NVIDIA-GB200"
    if clique:
        own[CLIQUE] = clique
    resources |= allocatable or {}
    spec = {"taints": [dict(taint) for taint in taints]} if taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | dict(labels or {})},
        "spec": spec,
        "status": {"allocatable": resources, "capacity": dict(resources)},
    }


def domain_nodes(
    count: int, *, per_domain: int = 4, zones: int = 2, gpus: int = 8, prefix: str = "node"
) -> list[dict[str, Any]]:
    """``count`` nodes in NVLink domains of ``per_domain`` nodes, the domains dealt out over ``zones`` zones.

    Node i is ``<prefix>-<iii>``, its domain ``fabric.<i // per_domain>``, its zone ``zone-a``, ``zone-b``, …
    """
    made = []
    for i in range(count):
        domain = i // per_domain
        zone = f"zone-{chr(ord('a') + domain % zones)}"
        made.append(node(f"{prefix}-{i:03d}", zone=zone, clique=f"fabric.{domain}", gpus=gpus))
    return made
