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

import msgspec
import orjson
import uvloop

from rbgctrl.api import labels
from rbgctrl.api.core import Pod
from rbgctrl.client import Client, HttpTransport
from rbgctrl.client.credentials import Anonymous
from rbgctrl.client.decode import decoder
from rbgctrl.client.target import Cluster
from rbgctrl.informers import Informer
from rbgctrl.runtime import handlers
from rbgctrl.runtime.controller import Controller, ControllerOptions
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.metrics import Metrics
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["WAYS", "Spent", "consume", "node_of", "role_of"]

_WORKERS = 4
_PATIENCE = 120.0


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement found.

    Attributes:
        cpu: seconds of this process, user and system, that each wave took.
        events: that were read in all waves.
        reconciled: how many reconciles they led to; 0 where there is no reconciler.
    """

    cpu: tuple[float, ...]
    events: int
    reconciled: int = 0

    @property
    def best(self) -> float:
        """Seconds of CPU time per event, in the best wave."""
        return min(self.cpu) * len(self.cpu) / self.events


async def pipeline(url: str, count: int, waves: int) -> Spent:
    """Ours, as it comes: stream, decode, store with two more indexes, queue, four workers, a reconcile of nothing."""
    return await _pipeline(url, count, waves, together=2)


async def each(url: str, count: int, waves: int) -> Spent:
    """Ours, and no two events merge: every event has a reconcile of its own."""
    return await _pipeline(url, count, waves)


async def daemon(url: str, count: int, waves: int) -> Spent:
    """Ours, as it comes, with everything counted for Prometheus as in the daemon."""
    return await _pipeline(url, count, waves, together=2, metrics=True)


async def _pipeline(url: str, count: int, waves: int, *, together: int = 1, metrics: bool = False) -> Spent:
    measured = Metrics() if metrics else None
    async with _client(url) as client:
        informer = Informer(client, Pod, observer=measured.informers if measured else None)
        informer.store.add_index("role", role_of)
        informer.store.add_index("node", node_of)
        reconciler = _Counting()
        controller = Controller("bench", reconciler, options=ControllerOptions(workers=_WORKERS))
        if measured is not None:
            measured.controller(controller)
        controller.watch(informer, handlers.itself)
        running = [asyncio.create_task(informer.run()), asyncio.create_task(controller.run())]
        try:
            await _settled(informer, controller, count + 1)
            listed = reconciler.done
            gc.collect()
            cpu = []
            for wave in range(together, waves + 1, together):
                started = time.process_time()
                await _go(url, together)
                await _settled(informer, controller, count * (1 + wave) + 1)
                cpu.append(time.process_time() - started)
            read = informer.statistics().lines - count - 1
            return Spent(cpu=tuple(cpu), events=read, reconciled=reconciler.done - listed)
        finally:
            controller.stop()
            await running[1]
            running[0].cancel()
            await asyncio.wait(running)


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
    async with client.ApiClient(configuration) as api, watch.Watch() as watching:
        stream = watching.stream(client.CoreV1Api(api).list_pod_for_all_namespaces)
        read = 0
        async for _ in stream:
            read += 1
            if read == count:
                break
        gc.collect()
        cpu = []
        for _ in range(waves):
            started = time.process_time()
            await _go(url)
            async for _ in stream:
                read += 1
                if not read % count:
                    break
            cpu.append(time.process_time() - started)
    return Spent(cpu=tuple(cpu), events=count * waves)


WAYS = {way.__name__: way for way in (pipeline, each, daemon, framing, decoding, unit, rival)}
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

    async def reconcile(self, request: Request) -> Result:  # noqa: ARG002 - the protocol
        self.done += 1
        return DONE


async def _settled(informer: Informer[Pod], controller: Controller, lines: int) -> None:
    """Return when so many lines have been read and nothing is left to do."""
    while informer.statistics().lines < lines or not controller.statistics().idle:  # noqa: ASYNC110 - two statistics are polled, outside of what is measured
        await asyncio.sleep(0.005)


async def _lines(url: str, count: int, waves: int, take: Callable[[bytes], Any]) -> Spent:
    async with _client(url) as client, client.watch(Pod, timeout_seconds=300, send_initial_events=True) as stream:
        lines = aiter(stream)
        for _ in range(count + 1):  # the list and its end
            take(await anext(lines))
        gc.collect()
        cpu = []
        for _ in range(waves):
            started = time.process_time()
            await _go(url)
            left = count
            async for line in lines:
                take(line)
                left -= 1
                if not left:
                    break
            cpu.append(time.process_time() - started)
    return Spent(cpu=tuple(cpu), events=count * waves)


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    transport = HttpTransport(Cluster(server=url, credentials=Anonymous()))
    try:
        yield Client(transport)
    finally:
        await transport.close()


async def _go(url: str, waves: int = 1) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /go/%d HTTP/1.1\r\n\r\n" % waves)
    await reader.readline()
    writer.close()
    await writer.wait_closed()


def role_of(pod: Pod) -> tuple[str, ...]:
    return (pod.metadata.labels.get(labels.ROLE_NAME, ""),)


def node_of(pod: Pod) -> tuple[str, ...]:
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
