"""A server with config maps to list, watch and patch, CRDs, events, and the leases of ``fake_leases``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api.core import ConfigMap, CustomResourceDefinition, Event
from rbgctrl.api.meta import Key
from rbgctrl.client.errors import NotFoundError
from rbgctrl.client.transport import ApiRequest, ApiStream, Verb
from unit.runtime.fake_leases import Done, FakeLeases, Link


@dataclass
class FakeCluster(FakeLeases):
    """``maps`` are the config maps, ``crds`` names of CRDs and whether they are Established, ``events`` what was told.

    ``watches`` opens when the server starts to answer lists and watches.
    """

    maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    crds: dict[str, bool] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    watches: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.watches.set()

    def add_map(self, name: str) -> None:
        self.version += 1
        metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.maps[name] = {"metadata": metadata}

    def link(self, who: str, latency: float = 0.01) -> ClusterLink:
        return ClusterLink(self, who, latency)

    def handle(self, who: str, request: ApiRequest) -> bytes:
        at = asyncio.get_running_loop().time()
        if request.kind == CustomResourceDefinition.KIND:
            self.done.append(Done(at, who, request.verb, "CustomResourceDefinition"))
            return json.dumps(self._crd(request.key.name)).encode()
        if request.kind == Event.KIND:
            self.done.append(Done(at, who, request.verb, "Event"))
            self.events.append(json.loads(request.body or b""))
            return request.body or b""
        if request.kind == ConfigMap.KIND and request.verb is Verb.PATCH:
            self.done.append(Done(at, who, request.verb, "ConfigMap"))
            self.version += 1
            self.maps[request.key.name]["metadata"]["resourceVersion"] = str(self.version)
            return json.dumps(self.maps[request.key.name]).encode()
        return super().handle(who, request)

    def _crd(self, name: str) -> dict[str, Any]:
        if name not in self.crds:
            raise NotFoundError(404, "NotFound")
        condition = {"type": "Established", "status": str(self.crds[name])}
        return {"metadata": {"name": name, "resourceVersion": "1"}, "status": {"conditions": [condition]}}


@dataclass
class ClusterLink(Link):
    """A link over which informers work, too."""

    server: FakeCluster

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        error = self.before(request)
        if error is not None:
            await asyncio.sleep(self.latency)
            raise error
        await self.server.watches.wait()
        self.sent.append(request)
        yield self._lines(("sendInitialEvents", "true") in request.query)

    async def _lines(self, initial: bool) -> AsyncIterator[bytes]:
        if initial:
            for stored in self.server.maps.values():
                yield _line("ADDED", stored)
            metadata = {
                "resourceVersion": str(max(self.server.version, 1)),
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
            yield _line("BOOKMARK", {"metadata": metadata})
        await asyncio.Event().wait()


def _line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def map_key(name: str) -> Key:
    return Key("ns", name)
