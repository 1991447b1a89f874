"""What conversion and the webhooks cost: a long list, a large object, and latency at a steady rate over TLS.

The webhooks run in a process of their own with certificates of their own, and nothing else in it. Latency is measured
from the caller's side over kept connections, as API servers keep them.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import orjson
import uvloop
from prometheus_client import CollectorRegistry

from bench.report import Row
from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.conversion import V1ALPHA1, V1ALPHA2, convert
from rbgctrl.clock import utcnow
from rbgctrl.informers.collector import tuned_collector
from rbgctrl.runtime.logs import LogOptions, configure
from rbgctrl.runtime.probes import Address
from rbgctrl.webhooks.certificates import CertificateOptions, Material, renewed
from rbgctrl.webhooks.numbers import WebhookMetrics
from rbgctrl.webhooks.reviews import admit, answer_conversion
from rbgctrl.webhooks.server import PATHS, WebhookServer, validate_path
from rbgctrl.webhooks.serving import ServingContext

__all__ = ["webhooks"]

_GROUPS = 1000
_RATE = 50.0
_SECONDS, _SECONDS_SHORT = 30.0, 6.0
_ROUNDS = 5
_HOST = "bench.local"
_NOTHING = "/nothing"
_ROOT = Path(__file__).parents[1]


def webhooks(*, short: bool) -> list[Row]:
    """Conversion of a list and of a large object in this process; latency of the served webhooks."""
    return [*_conversion(), *_large(), *_latency(_SECONDS_SHORT if short else _SECONDS)]


# In this process ------------------------------------------------------------------------------------------------------


def _group(name: str, roles: int = 3, env: int = 10) -> dict[str, Any]:
    variables = [{"name": f"VARIABLE_{index}", "value": "v" * 20} for index in range(env)]
    container = {"name": "engine", "image": "registry.example/engine:1", "env": variables}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    pattern = {"size": 2, "template": template, "sharedServiceSelection": "All"}
    made = [
        {
            "name": f"role-{index}",
            "replicas": 2,
            "podManagementPolicy": "OrderedReady",
            "scalingAdapter": {"enable": True, "labels": {"a": "b"}},
            "leaderWorkerPattern": pattern,
        }
        for index in range(roles)
    ]
    metadata = {"name": name, "namespace": "default", "annotations": {"a": "b"}}
    return {"apiVersion": V1ALPHA2, "kind": "RoleBasedGroup", "metadata": metadata, "spec": {"roles": made}}


def _fastest(action: Callable[[], object]) -> float:
    """Seconds of CPU of the fastest round."""
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.process_time()
        action()
        best = min(best, time.process_time() - begun)
    return best


def _conversion() -> list[Row]:
    down = _review([_group(f"g{index}") for index in range(_GROUPS)], V1ALPHA1)
    up = _review(orjson.loads(answer_conversion(down).body)["response"]["convertedObjects"], V1ALPHA2)
    back = orjson.loads(answer_conversion(up).body)["response"]["convertedObjects"]
    same = sum(item == _group(f"g{index}") for index, item in enumerate(back))
    rows = [_row("groups that come back as they were", same, "", f"{_GROUPS:,}", met=same == _GROUPS, exact=True)]
    for title, body in (("read as v1alpha1", down), ("written as v1alpha1", up)):
        seconds = _fastest(lambda body=body: answer_conversion(body))  # type: ignore[misc]  # a default keeps the loop variable
        rows.append(_row(f"review of {_GROUPS:,} groups, {title}, CPU", seconds, "s", "< 1", met=seconds < 1))
    return rows


def _large() -> list[Row]:
    group = _group("large", roles=1, env=17_500)
    old = convert(group, V1ALPHA1)
    size = len(orjson.dumps(group)) / 1e6
    changed = {**group, "spec": {"roles": [{**group["spec"]["roles"][0], "replicas": 3}]}}
    admission = _admission(changed, group)
    converted = _fastest(lambda: answer_conversion(_review([old], V1ALPHA2)))
    judged = _fastest(lambda: asyncio.run(admit("RoleBasedGroup", admission, AdmissionOptions(), _no_adapter)))
    return [
        _row(f"conversion of an object of {size:.1f} MB, CPU", converted * 1e3, "ms", "< 50", met=converted < 0.05),
        _row(f"admission of an update of {size:.1f} MB, CPU", judged * 1e3, "ms", "< 50", met=judged < 0.05),
    ]


def _row(what: str, value: float, unit: str, budget: str, *, met: bool, exact: bool = False) -> Row:
    return Row(bench="webhooks", what=what, value=value, unit=unit, budget=budget, met=met, exact=exact)


def _review(objects: list[Any], to: str) -> bytes:
    request = {"uid": "u", "desiredAPIVersion": to, "objects": objects}
    return orjson.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request})


def _admission(new: Any, old: Any) -> bytes:
    request = {"uid": "u", "namespace": "default", "operation": "UPDATE", "object": new, "oldObject": old}
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


async def _no_adapter(namespace: str, name: str) -> int | None:  # noqa: ARG001 - an installation without adapters
    return None


# Over the network -----------------------------------------------------------------------------------------------------


class _Served(msgspec.Struct):
    """Where the other process listens, and whom to trust."""

    port: int
    ca: str


def _latency(seconds: float) -> list[Row]:
    command = [sys.executable, "-m", "bench.webhooks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            served = msgspec.json.decode(process.stdout.readline(), type=_Served)
            gc.disable()  # the caller's pauses are not the server's
            try:
                found = asyncio.run(_ask(served, seconds))
            finally:
                gc.enable()
        finally:
            process.terminate()
    reviews, bare = sorted(found.reviews), sorted(found.bare)
    rows = []
    for title, share in (("p50", 0.5), ("p99", 0.99), ("the slowest", 1.0)):
        value = _quantile(reviews, share)
        what = f"{title} of {len(reviews):,} reviews at {_RATE:g} a second over TLS"
        rows.append(Row(bench="webhooks", what=what, value=value, unit="ms"))
        what = f"{title} of {len(bare):,} requests between them that do nothing"
        rows.append(Row(bench="webhooks", what=what, value=_quantile(bare, share), unit="ms"))
    # What the machine adds to any request is no work of ours.
    value = _quantile(reviews, 0.99) - _quantile(bare, 0.99)
    rows.append(
        Row(
            bench="webhooks",
            what="p99 of reviews beyond that of nothing",
            value=value,
            unit="ms",
            budget="< 10",
            met=value < 10,
        )
    )
    return rows


def _quantile(ordered: list[float], share: float) -> float:
    """In milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


class _Took(msgspec.Struct):
    """Seconds that each answer took: reviews, and requests that do nothing."""

    reviews: list[float]
    bare: list[float]


async def _ask(served: _Served, seconds: float) -> _Took:
    """Ask at fixed times whatever the answers before did, and between two reviews for nothing."""
    group = _group("g")
    bodies = [
        ("/convert", _review([group], V1ALPHA1)),
        (validate_path("RoleBasedGroup"), _admission(group, group)),
    ]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=served.ca))
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(path: str, body: bytes, start: float) -> float:
            await asyncio.sleep(max(0.0, start - loop.time()))
            begun = time.perf_counter()
            url = f"https://127.0.0.1:{served.port}{path}"
            async with session.post(url, data=body, server_hostname=_HOST) as answer:
                await answer.read()
                assert answer.status == (404 if path == _NOTHING else 200)
            return time.perf_counter() - begun

        await asyncio.gather(*(one(*body, 0.0) for body in bodies * 2))  # connections
        begun, every = loop.time(), 1 / _RATE
        count = range(int(seconds * _RATE))
        asked = [one(*bodies[number % len(bodies)], begun + number * every) for number in count]
        asked += [one(_NOTHING, bodies[0][1], begun + (number + 0.5) * every) for number in count]
        took = await asyncio.gather(*asked)
        return _Took(took[: len(count)], took[len(count) :])


async def _serve() -> None:
    material = renewed(Material(), (_HOST,), utcnow(), CertificateOptions(), trusted=True)
    tls = ServingContext()
    tls.load(material.cert, material.key)
    server = WebhookServer(
        Address("127.0.0.1", 0),
        tls,
        options=AdmissionOptions(),
        adapters=_no_adapter,
        metrics=WebhookMetrics(CollectorRegistry(), PATHS),
    )
    await server.start()
    assert server.port is not None
    async with tuned_collector(_synced):  # as in the daemon
        print(msgspec.json.encode(_Served(server.port, material.ca.decode())).decode(), flush=True)
        try:
            await asyncio.to_thread(sys.stdin.readline)  # ends with whoever started us
        finally:
            await server.stop()


async def _synced() -> None:
    """There are no caches to wait for."""


if __name__ == "__main__":
    configure(LogOptions(level="error"))
    uvloop.run(_serve())
