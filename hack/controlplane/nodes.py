"""Manifests of fake GPU nodes, and their creation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from hack.controlplane.api import Api, Manifest
from hack.controlplane.errors import HttpError
from hack.controlplane.waiting import eventually

__all__ = ["CLIQUE", "GPU", "HOSTNAME", "ZONE", "add", "domain_nodes", "node"]

GPU = "nvidia.com/gpu"
CLIQUE = "nvidia.com/gpu.clique"
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_REGION = "topology.kubernetes.io/region"


def node(
    name: str,
    *,
    gpus: int = 8,
    zone: str = "zone-a",
    clique: str = "",
    labels: Mapping[str, str] | None = None,
    allocatable: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
) -> Manifest:
    """A Node as a GPU server's kubelet would report it.

    Args:
        name: Its name, also its ``kubernetes.io/hostname``.
        gpus: Devices in ``nvidia.com/gpu``; 0 for a node without the resource.
        zone: ``topology.kubernetes.io/zone``; its region is ``region-1``.
        clique: The NVLink domain as ``nvidia.com/gpu.clique``; none when empty.
        labels: Labels beside and over these.
        allocatable: Resources beside and over 64 CPUs, 512 GiB, 110 pods and the GPUs; also its capacity.
        taints: ``spec.taints``.
    """
    resources = {"cpu": "64", "memory": "512Gi", "pods": "110"}
    own = {HOSTNAME: name, ZONE: zone, _REGION: "region-1", "kubernetes.io/os": "linux", "type": "kwok"}
    if gpus:
        resources[GPU] = str(gpus)
        own["nvidia.com/gpu.product"] = "NVIDIA-GB200"
    if clique:
        own[CLIQUE] = clique
    resources |= allocatable or {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | dict(labels or {})},
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {"allocatable": resources, "capacity": resources},
    }


def domain_nodes(
    count: int, *, per_domain: int = 4, zones: int = 2, gpus: int = 8, prefix: str = "node"
) -> list[Manifest]:
    """``count`` nodes in NVLink domains of ``per_domain`` nodes, the domains dealt out over ``zones`` zones.

    Node i is ``<prefix>-<iii>``, its domain ``fabric.<i // per_domain>``, its zone ``zone-a``, ``zone-b``, …
    """
    made = []
    for i in range(count):
        domain = i // per_domain
        zone = f"zone-{chr(ord('a') + domain % zones)}"
        made.append(node(f"{prefix}-{i:03d}", zone=zone, clique=f"fabric.{domain}", gpus=gpus))
    return made


async def add(api: Api, manifests: Sequence[Manifest], *, within: float = 60.0) -> None:
    """Creates nodes and waits until each is Ready and free of the taint that admission adds.

    Raises:
        DeadlineError: they are not all Ready in time.
        HttpError: the API server refuses one; one that exists already is kept as it is.
    """
    limit = asyncio.Semaphore(16)

    async def create(manifest: Manifest) -> None:
        async with limit:
            try:
                await api.create(manifest)
            except HttpError as error:
                if error.reason != "AlreadyExists":
                    raise

    await asyncio.gather(*map(create, manifests))
    missing = {manifest["metadata"]["name"] for manifest in manifests}
    if not missing:
        return

    async def usable() -> bool:
        found = {n["metadata"]["name"] for n in await api.items("v1", "Node") if _usable(n)}
        return missing <= found

    interval = 0.1 + len(missing) / 500  # listing many nodes is work that the cluster needs for itself
    await eventually(usable, within, what=f"{len(missing)} nodes Ready", interval=interval)


def _usable(found: Manifest) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    taints = found["spec"].get("taints") or ()
    return ready and not any(t["key"] == "node.kubernetes.io/not-ready" for t in taints)
