"""A transport that answers from a script, for tests of what is put around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb

__all__ = ["Scripted", "end_mark", "line", "request"]


def line(name: str, rv: int, event: str = "MODIFIED", **more: Any) -> bytes:
    """An event about a pod; its UID is its name."""
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(rv), **more}
    return json.dumps({"type": event, "object": {"metadata": meta}}).encode() + b"\n"


def end_mark(rv: int) -> bytes:
    meta = {"resourceVersion": str(rv), "annotations": {"k8s.io/initial-events-end": "true"}}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": meta}}).encode() + b"\n"


def request(
    verb: Verb, name: str = "", *, body: Any = None, subresource: str = "", query: tuple[tuple[str, str], ...] = ()
) -> ApiRequest:
    """A request about pods of one namespace."""
    methods = {Verb.CREATE: "POST", Verb.UPDATE: "PUT", Verb.PATCH: "PATCH", Verb.APPLY: "PATCH", Verb.DELETE: "DELETE"}
    return ApiRequest(
        verb=verb,
        method=methods.get(verb, "GET"),
        path=Pod.KIND.path("ns", name, subresource),
        query=query,
        body=None if body is None else json.dumps(body).encode(),
        kind=Pod.KIND,
        key=Key("ns", name),
        subresource=subresource,
    )


class Scripted:
    """Answers each request with ``{}`` and each watch with the lines given, a second apart."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = lines
        self.sent: list[ApiRequest] = []
        self.open = 0
        self.closed = False

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.sent.append(request)
        await asyncio.sleep(0)
        body: dict[str, Any] = {}
        if request.verb is Verb.LIST:
            body = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}}
            body["items"] = [{"metadata": {"name": "old", "namespace": "ns", "uid": "old", "resourceVersion": "3"}}]
        return ApiResponse(status=200, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        self.sent.append(request)
        self.open += 1
        try:
            yield self._lines()
        finally:
            self.open -= 1

    async def _lines(self) -> AsyncIterator[bytes]:
        for text in self.lines:
            await asyncio.sleep(1)
            yield text

    async def close(self) -> None:
        self.closed = True
