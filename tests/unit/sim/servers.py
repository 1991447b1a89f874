"""A server to talk to in a sentence: requests in, JSON out, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.sim.server import ApiServer, ServerOptions

__all__ = ["APPLY", "JSON", "MERGE", "STRATEGIC", "Obj", "Talk", "config_map", "group", "pod", "server"]

Obj = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
GROUPS = "/apis/workloads.x-k8s.io/v1alpha2/namespaces/default/rolebasedgroups"


def server(**options: Any) -> ApiServer:
    """A server whose clock is the running loop's."""
    loop = asyncio.get_running_loop()
    return ApiServer(now=lambda: START + timedelta(seconds=loop.time()), options=ServerOptions(**options))


class Talk:
    """Sends requests and reads the answers.

    Attributes:
        server: who answers.
        code: of the last answer.
        headers: of the last answer.
    """

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.code = 0
        self.headers: Mapping[str, str] = {}

    async def send(self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str) -> Obj:
        """Send a request; the answer's JSON."""
        found = await self.server.handle(_request(method, path, body, kind, query), user="tester", agent="tests/1")
        self.code, self.headers = found.status, found.headers
        answer: Obj = orjson.loads(found.body) if found.body[:1] == b"{" else {"text": found.body.decode()}
        return answer

    async def watch(self, path: str, **query: str) -> Any:
        """Open a watch; or the refusal's JSON."""
        return await self.server.open_watch(_request("GET", path, None, "", {"watch": "true", **query}))


def _request(method: str, path: str, body: Any, kind: str, query: Mapping[str, str]) -> ApiRequest:
    verbs = {"GET": Verb.GET, "POST": Verb.CREATE, "PUT": Verb.UPDATE, "PATCH": Verb.PATCH, "DELETE": Verb.DELETE}
    return ApiRequest(
        verb=verbs[method],
        method=method,
        path=path,
        query=tuple(query.items()),
        body=None if body is None else body if isinstance(body, bytes) else orjson.dumps(body),
        content_type=kind,
    )


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Obj:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def pod(name: str, *, node: str = "", **metadata: Any) -> Obj:
    """A pod of one container, on a node when one is named."""
    spec: Obj = {"containers": [{"name": "main", "image": "i:1"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def group(name: str, *roles: Obj, **metadata: Any) -> Obj:
    """A RoleBasedGroup."""
    template = {"spec": {"containers": [{"name": "main", "image": "i:1"}]}}
    return {
        "apiVersion": "workloads.x-k8s.io/v1alpha2",
        "kind": "RoleBasedGroup",
        "metadata": {"name": name, **metadata},
        "spec": {"roles": list(roles) or [{"name": "main", "standalonePattern": {"template": template}}]},
    }
