"""Servers to run a case on: the embedded one in process and over HTTP, and the real one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import aiohttp

from contract.support.api import Api
from hack.controlplane import Cluster
from hack.controlplane.waiting import eventually
from rbgctrl.api.core import Namespace
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import (
    ApiError,
    Client,
    ClientOptions,
    HttpTransport,
    RetryPolicy,
    connect,
)
from rbgctrl.client.credentials import Anonymous
from rbgctrl.client.target import Cluster as Address
from rbgctrl.clock import new_id
from rbgctrl.sim.gc import GarbageCollector, NamespaceController
from rbgctrl.sim.http import serve
from rbgctrl.sim.loop import run as run_virtual
from rbgctrl.sim.server import ApiServer

__all__ = ["Backend", "Embedded", "EmbeddedHttp", "Real"]

Case: TypeAlias = Callable[[Api], Awaitable[None]]
Outcomes: TypeAlias = list[BaseException | None]

_START = datetime(2026, 1, 1, tzinfo=UTC)


class Backend(ABC):
    """A server that cases can be run on."""

    name: str

    def run(self, *cases: Case) -> Outcomes:
        """Run cases at the same time, each in a namespace of its own; what each raised, in order."""
        return asyncio.run(self._run(cases))

    @abstractmethod
    def _open(self) -> AbstractAsyncContextManager[Client]:
        """A client of the server."""

    @abstractmethod
    async def _forget(self, client: Client) -> None:
        """Make everything that happened so far unavailable to lists and watches."""

    async def _run(self, cases: tuple[Case, ...]) -> Outcomes:
        async with self._open() as client:
            gate = _Gate(len(cases), lambda: self._forget(client))
            return list(await asyncio.gather(*(_outcome(case, client, gate) for case in cases)))


class _Gate:
    """Lets cases through once all that still run have come, after doing something once."""

    def __init__(self, running: int, action: Callable[[], Awaitable[None]]) -> None:
        self._running = running
        self._waiting = 0
        self._action = action
        self._changed = asyncio.Condition()
        self._passed = False

    async def wait(self) -> None:
        """Come, and wait for the others."""
        async with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._passed or self._waiting == self._running)
            if not self._passed:
                await self._action()
                self._passed = True

    async def leave(self) -> None:
        """Not to be waited for any more."""
        async with self._changed:
            self._running -= 1
            self._changed.notify_all()


async def _outcome(case: Case, client: Client, gate: _Gate) -> BaseException | None:
    name = f"case-{new_id()[:12]}"
    try:
        await client.create(Namespace, {"metadata": {"name": name}})
        await case(Api(client, name, gate.wait))
        await client.delete(Namespace, Key("", name))
    except BaseException as error:  # noqa: BLE001 - pytest's own failures too; raised again by the test
        return error
    finally:
        await gate.leave()
    return None


class Embedded(Backend):
    """The embedded server, in process and in virtual time; a fresh one for each run."""

    name = "embedded"

    def __init__(self) -> None:
        self._server: ApiServer | None = None

    def run(self, *cases: Case) -> Outcomes:
        """As every backend, but time costs nothing."""
        return run_virtual(self._run(cases))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Client]:
        async with _embedded() as server:
            self._server = server
            yield Client(server.transport())

    async def _forget(self, client: Client) -> None:
        assert self._server is not None
        self._server.storage.compact(self._server.storage.revision)


class EmbeddedHttp(Embedded):
    """The embedded server behind HTTP on loopback, in real time."""

    name = "embedded-http"

    def run(self, *cases: Case) -> Outcomes:
        """In real time."""
        return asyncio.run(self._run(cases))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Client]:

        async with _embedded() as server, serve(server) as url:
            self._server = server
            transport = HttpTransport(Address(server=url, credentials=Anonymous()))
            async with Client(transport) as client:
                yield client


@asynccontextmanager
async def _embedded() -> AsyncIterator[ApiServer]:
    loop = asyncio.get_running_loop()
    server = ApiServer(now=lambda: _START + timedelta(seconds=loop.time()))
    with closing(GarbageCollector(server)), closing(NamespaceController(server)):
        yield server


class Real(Backend):
    """The real control plane, shared by all cases of the run."""

    name = "real"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Client]:
        options = ClientOptions(retry=RetryPolicy(attempts=1))
        async with connect(kubeconfig=str(self._cluster.kubeconfig), options=options) as client:
            yield client

    async def _forget(self, client: Client) -> None:
        """Only a cluster of the case's own may be asked: the API server is restarted, with an empty cache."""
        marker = await client.create(Namespace, {"metadata": {"name": f"marker-{new_id()[:12]}"}})
        url = f"http://127.0.0.1:{self._cluster.ports.etcd}/v3/kv/compaction"
        revision = {"revision": marker.metadata.resource_version}
        async with aiohttp.ClientSession() as session, session.post(url, json=revision) as answer:
            answer.raise_for_status()
        await self._cluster.apiserver.restart()

        async def serves() -> bool:
            try:
                await client.list(RoleBasedGroup)
            except ApiError:
                return False
            return True

        await eventually(serves, 60.0, what="the API server serves our kinds again")
