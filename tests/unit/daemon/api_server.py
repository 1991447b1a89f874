"""A real HTTP server that knows just enough of the API for a daemon to start, lead and stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"


@dataclass
class ApiServer:
    """``crds`` maps names to whether they are Established; None answers for every name.

    Attributes:
        token: the only one that is accepted.
        url: where it listens.
        led: set when a lease was written.
    """

    crds: dict[str, bool] | None = None
    token: str = "right"
    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    led: asyncio.Event = field(default_factory=asyncio.Event)
    version: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refusal(401)
        if request.path.startswith(CRDS):
            return self._crd(request.path.removeprefix(CRDS))
        if request.method == "GET" and request.query.get("watch") == "true":
            return await self._watch(request)
        return self._object(request.method, request.path, await request.read())

    def _crd(self, name: str) -> web.Response:
        established = True if self.crds is None else self.crds.get(name)
        if established is None:
            return _refusal(404)
        condition = {"type": "Established", "status": str(established)}
        return web.json_response({"metadata": {"name": name}, "status": {"conditions": [condition]}})

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        annotations = {"k8s.io/initial-events-end": "true"}
        mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1", "annotations": annotations}}}
        await response.write(json.dumps(mark).encode() + b"\n")
        await asyncio.Event().wait()
        return response

    def _object(self, method: str, path: str, body: bytes) -> web.Response:
        if method == "GET":
            found = self.objects.get(path)
            return _refusal(404) if found is None else web.json_response(found)
        if "/leases" in path:
            self.led.set()
        self.version += 1
        stored = json.loads(body)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path if method == "PUT" else f"{path}/{stored['metadata']['name']}"] = stored
        return web.json_response(stored)

    def holder(self) -> str | None:
        for path, stored in self.objects.items():
            if "/leases/" in path:
                return str(stored["spec"]["holderIdentity"])
        return None

    def kubeconfig(self, directory: Path, token: str | None = None) -> str:
        """A kubeconfig that names this server, with the right token unless another is given."""
        path = directory / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [{"name": "it", "cluster": {"server": self.url}}],
                    "users": [{"name": "it", "user": {"token": token or self.token}}],
                    "contexts": [
                        {"name": "it", "context": {"cluster": "it", "user": "it", "namespace": "rbgs-system"}}
                    ],
                }
            ),
            "utf-8",
        )
        return str(path)


def _refusal(status: int) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": "as scripted"}
    return web.json_response(body, status=status)


@asynccontextmanager
async def serving(server: ApiServer, port: int = 0) -> AsyncIterator[ApiServer]:
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = "http://{}:{}".format(*runner.addresses[0][:2])
        yield server
    finally:
        await runner.cleanup()
