"""A process that reads what :mod:`bench.feed` sends, in one of several ways, and says how much CPU time it took.

Each measurement has a process of its own, so that none inherits another's heap, garbage or imports.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import orjson
import uvloop

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.client import Client, HttpTransport
from rbgctrl.client.config import Cluster
from rbgctrl.client.credentials import Anonymous
from rbgctrl.client.decode import decoder
from rbgctrl.informers import Informer
from rbgctrl.runtime import handlers
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.metrics import Metrics
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["WAYS", "Spent", "consume"]

_WORKERS = 4
_PATIENCE = 120.0


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement found.

    Attributes:
        cpu: seconds of this process, user and system, from the first event to the last.
        events: that were read meanwhile.
        reconciled: how many reconciles they led to; 0 where there is no reconciler.
    """

    cpu: float
    events: int
    reconciled: int = 0


async def pipeline(url: str, count: int, waves: int, *, metrics: bool = False) -> Spent:
    """Ours: stream, decode, store with two more indexes, queue, four workers, a reconcile that does nothing."""
    measured = Metrics() if metrics else None
    async with _client(url) as client:
        informer = Informer(client, Pod, observer=measured.informers if measured else None)
        informer.store.add_index("role", _role)
        informer.store.add_index("node", _node)
        reconciler = _Counting()
        controller = Controller("bench", reconciler, options=ControllerOptions(workers=_WORKERS))
        if measured is not None:
            measured.controller(controller)
        controller.watch(informer, handlers.itself)
        running = [asyncio.create_task(informer.run()), asyncio.create_task(controller.run())]
        try:
            await reconciler.reach(count)  # the list
            lines = informer.statistics().lines
            gc.collect()
            started = time.process_time()
            for wave in range(1, waves + 1):
                await _go(url)
                await reconciler.reach(count * (1 + wave))
            cpu = time.process_time() - started
            return Spent(cpu=cpu, events=informer.statistics().lines - lines, reconciled=reconciler.done - count)
        finally:
            controller.stop()
            await running[1]
            running[0].cancel()
            await asyncio.wait(running)


async def daemon(url: str, count: int, waves: int) -> Spent:
    """Ours with everything counted for Prometheus, as the daemon does."""
    return await pipeline(url, count, waves, metrics=True)


async def framing(url: str, count: int, waves: int) -> Spent:
    """Lines off our stream, and nothing done with them."""
    return await _lines(url, count, waves, len)


async def decoding(url: str, count: int, waves: int) -> Spent:
    """Lines off our stream, decoded."""
    return await _lines(url, count, waves, decoder(Pod).event)


async def unit(url: str, count: int, waves: int) -> Spent:
    """Lines off our stream through ``orjson.loads``: how fast this machine is now."""
    return await _lines(url, count, waves, orjson.loads)


async def rival(url: str, count: int, waves: int) -> Spent:
    """kubernetes_asyncio's Watch, with typed objects, and nothing done with them."""
    from kubernetes_asyncio import client, watch  # noqa: PLC0415 - 38 MB that only this way needs

    configuration = client.Configuration(host=url)
    async with client.ApiClient(configuration) as api:
        stream = watch.Watch().stream(client.CoreV1Api(api).list_pod_for_all_namespaces)
        read = 0
        async for _ in stream:
            read += 1
            if read == count:
                break
        gc.collect()
        started = time.process_time()
        for _ in range(waves):
            await _go(url)
            async for _ in stream:
                read += 1
                if not read % count:
                    break
        cpu = time.process_time() - started
    return Spent(cpu=cpu, events=count * waves)


WAYS = {way.__name__: way for way in (pipeline, daemon, framing, decoding, unit, rival)}
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"asyncio": None, "uvloop": uvloop.new_event_loop}


def consume(way: str, loop: str, url: str, count: int, waves: int) -> Spent:
    """Measure one way on one event loop, in this process."""
    configure(LogOptions(level="warning"))
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(WAYS[way](url, count, waves), _PATIENCE))


class _Counting:
    """A reconciler that counts."""

    def __init__(self) -> None:
        self.done = 0
        self._target = -1
        self._reached = asyncio.Event()

    async def reconcile(self, request: Request) -> Result:  # noqa: ARG002 - the protocol
        self.done += 1
        if self.done == self._target:
            self._reached.set()
        return DONE

    async def reach(self, target: int) -> None:
        """Return when ``target`` reconciles have been made in all."""
        self._target = target
        self._reached.clear()
        if self.done < target:
            await self._reached.wait()


async def _lines(url: str, count: int, waves: int, take: Callable[[bytes], Any]) -> Spent:
    async with _client(url) as client, client.watch(Pod, timeout_seconds=300, send_initial_events=True) as stream:
        lines = aiter(stream)
        for _ in range(count + 1):  # the list and its end
            take(await anext(lines))
        gc.collect()
        started = time.process_time()
        for _ in range(waves):
            await _go(url)
            left = count
            async for line in lines:
                take(line)
                left -= 1
                if not left:
                    break
        cpu = time.process_time() - started
    return Spent(cpu=cpu, events=count * waves)


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    transport = HttpTransport(Cluster(server=url, credentials=Anonymous()))
    try:
        yield Client(transport)
    finally:
        await transport.close()


async def _go(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/go") as response:
        response.raise_for_status()


def _role(pod: Pod) -> tuple[str, ...]:
    own = pod.metadata.labels
    return (f"{pod.metadata.namespace}/{own.get(labels.GROUP_NAME) or own.get('app.kubernetes.io/name')}",)


def _node(pod: Pod) -> tuple[str, ...]:
    return (pod.spec.node_name,)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("waves", type=int)
    wanted = parser.parse_args()
    spent = consume(wanted.way, wanted.loop, wanted.url, wanted.count, wanted.waves)
    print(msgspec.json.encode(spent).decode())


if __name__ == "__main__":
    _main()
