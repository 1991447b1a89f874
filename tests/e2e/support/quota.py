"""A quota that refuses what a test is about, until there is room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hack.controlplane import Api
from hack.controlplane.waiting import eventually

__all__ = ["tight_quota"]

_NAME = "tight"


@asynccontextmanager
async def tight_quota(api: Api, namespace: str, **hard: str) -> AsyncIterator[None]:
    """The ResourceQuota ``tight`` in a namespace, in force when the block begins and gone when it ends.

    Args:
        api: as the admin.
        namespace: where.
        hard: its limits; ``_`` stands for ``/``.
    """
    limits = {resource.replace("_", "/"): amount for resource, amount in hard.items()}
    metadata = {"name": _NAME, "namespace": namespace}
    await api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": limits}})

    async def counted() -> bool:
        return "used" in (await api.get("v1", "ResourceQuota", _NAME, namespace)).get("status", {})

    await eventually(counted, 20, what="the quota is in force")
    yield
    await api.delete("v1", "ResourceQuota", _NAME, namespace)
