"""The whole daemon on an embedded cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from hack.controlplane import Api
from hack.controlplane.errors import HttpError
from rbgctrl import reconcilers
from rbgctrl.api.core import Namespace
from rbgctrl.client import Client, Transport
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.reconcilers import ReconcilerOptions
from rbgctrl.runtime.manager import Manager
from rbgctrl.sim import ApiServer, ClusterOptions, EmbeddedCluster

__all__ = ["NAMESPACE", "InProcess", "World", "world"]

NAMESPACE = "test"
DAEMON = "rbgctrl"
_LEASES_AND_EVENTS = ("Lease", "Event")


class InProcess(Api):
    """The client of the end-to-end tests, speaking to an embedded server without a socket."""

    def __init__(self, server: ApiServer) -> None:
        super().__init__("https://embedded", b"", "")
        self._embedded = server

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        asked = ApiRequest(
            verb=Verb.GET,  # the server goes by the method
            method=method,
            path=path,
            query=tuple((params or {}).items()),
            body=None if body is None else msgspec.json.encode(body),
            content_type=content_type,
        )
        answer = await self._embedded.handle(asked, user="admin")
        text = answer.headers.get("Content-Type", "").startswith("text/")
        parsed: Any = answer.body.decode() if text or not answer.body else msgspec.json.decode(answer.body)
        if answer.status >= 300:
            raise HttpError(answer.status, parsed.get("reason", ""), parsed.get("message", ""))
        return parsed


@dataclass(frozen=True, kw_only=True)
class World:
    """A cluster with the daemon running on it, and a namespace."""

    cluster: EmbeddedCluster
    api: Api
    client: Client
    manager: Manager
    namespace: str = NAMESPACE

    def requests(self) -> int:
        """How many requests the daemon sent."""
        return sum(entry.user == DAEMON for entry in self.cluster.server.audit)

    def writes(self) -> Counter[tuple[str, str]]:
        """Committed writes of the daemon by verb and kind, Leases and Events left out."""
        return Counter(
            (entry.request.verb.value, entry.request.kind.kind)
            for entry in self.cluster.server.audit
            if entry.user == DAEMON
            and entry.request.verb.writes
            and entry.code < 300
            and entry.request.kind is not None
            and entry.request.kind.kind not in _LEASES_AND_EVENTS
        )

    async def settle(self) -> None:
        """Wait until neither the cluster nor the daemon has anything to do."""
        await self.cluster.settle(quiet=5.0)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


@asynccontextmanager
async def world(
    options: ClusterOptions | None = None,
    *,
    wrap: Callable[[Transport], Transport] | None = None,
    told: ReconcilerOptions | None = None,
) -> AsyncIterator[World]:
    """A cluster with the daemon on it.

    Args:
        options: of the cluster.
        wrap: puts something between the daemon and the server.
        told: what its reconcilers are told.
    """
    async with EmbeddedCluster(options) as cluster, cluster.client(namespace=NAMESPACE) as client:
        await client.create(Namespace, {"metadata": {"name": NAMESPACE}})
        own = cluster.client(user=DAEMON)
        async with own if wrap is None else own.with_transport(wrap(own.transport)) as daemon:
            manager = cluster.manager(client=daemon)
            reconcilers.add_all(manager, told)
            async with cluster.running(manager):
                yield World(cluster=cluster, api=InProcess(cluster.server), client=client, manager=manager)
