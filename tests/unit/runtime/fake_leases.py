"""A tiny API server for elections: leases, a log of other writes, and links that can be slow, cut or broken."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from rbgctrl.api.core import Lease
from rbgctrl.api.meta import Key
from rbgctrl.client.client import Client
from rbgctrl.client.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb

Fault = Callable[[ApiRequest], BaseException | None]

LEASE = Key("rbgs-system", "rbg-controller")


@dataclass(frozen=True)
class Done:
    """One request the server carried out: when, on whose link, and what."""

    at: float
    who: str
    verb: Verb
    kind: str


@dataclass
class FakeLeases:
    """The server. ``done`` is the history of everything that was carried out, in order."""

    leases: dict[Key, dict[str, Any]] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    version: int = 0

    def put(self, key: Key = LEASE, **spec: Any) -> None:
        """Store a lease, as somebody else would."""
        self._store(key, {"metadata": {"namespace": key.namespace, "name": key.name}, "spec": spec})

    def holder(self, key: Key = LEASE) -> str | None:
        lease = self.leases.get(key)
        return lease["spec"].get("holderIdentity") if lease else None

    def spec(self, key: Key = LEASE) -> dict[str, Any]:
        return dict(self.leases[key]["spec"])

    def link(self, who: str, latency: float = 0.01) -> Link:
        return Link(self, who, latency)

    def verbs(self, kind: str = "Lease") -> list[str]:
        return [done.verb.value for done in self.done if done.kind == kind]

    def writers(self) -> list[str]:
        """Who wrote anything but leases, in order."""
        return [done.who for done in self.done if done.kind != "Lease" and done.verb.writes]

    def handle(self, who: str, request: ApiRequest) -> bytes:
        """Carry out one request now."""
        kind = request.kind.kind if request.kind else request.path
        answer = self._lease(request) if request.kind == Lease.KIND else (request.body or b"{}")
        self.done.append(Done(asyncio.get_running_loop().time(), who, request.verb, kind))
        return answer

    def _lease(self, request: ApiRequest) -> bytes:
        key = request.key
        stored = self.leases.get(key)
        if request.verb is Verb.CREATE:
            if stored is not None:
                raise AlreadyExistsError(409, "AlreadyExists")
            return self._store(key, json.loads(request.body or b""))
        if stored is None:
            raise NotFoundError(404, "NotFound")
        if request.verb is Verb.GET:
            return json.dumps(stored).encode()
        assert request.verb is Verb.UPDATE, request
        body = json.loads(request.body or b"")
        if body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict")
        return self._store(key, body)

    def _store(self, key: Key, body: dict[str, Any]) -> bytes:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version), "uid": "lease-uid"}
        self.leases[key] = {**body, "metadata": metadata}
        return json.dumps(self.leases[key]).encode()


@dataclass
class Link:
    """A transport to the server. What was sent is carried out even when its sender stops waiting, as on a network.

    Attributes:
        latency: seconds each way.
        cut: requests vanish without an answer.
        before: returns an error to answer with instead of carrying the request out.
        after: the same, but the request has been carried out.
    """

    server: FakeLeases
    who: str
    latency: float = 0.01
    cut: bool = False
    before: Fault = lambda _: None
    after: Fault = lambda _: None
    sent: list[ApiRequest] = field(default_factory=list)
    closed: int = 0

    def client(self) -> Client:
        return Client(self)

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.sent.append(request)
        if self.cut:
            await asyncio.Event().wait()
        # Its own context: the server goes on while the process that asked is stopped.
        task = asyncio.create_task(self._travel(request), context=contextvars.Context())
        outcome = await asyncio.shield(task)
        if isinstance(outcome, BaseException):
            raise outcome
        return ApiResponse(status=200, body=outcome)

    async def _travel(self, request: ApiRequest) -> bytes | BaseException:
        await asyncio.sleep(self.latency)
        error = self.before(request)
        if error is None:
            try:
                answer = self.server.handle(self.who, request)
            except ApiError as refused:
                error = refused
            else:
                error = self.after(request)
                if error is None:
                    await asyncio.sleep(self.latency)
                    return answer
        await asyncio.sleep(self.latency)
        return error

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        raise NotImplementedError(request)

    async def close(self) -> None:
        self.closed += 1


def write_request(name: str = "work") -> ApiRequest:
    """A write of something that is not a lease."""
    from rbgctrl.api.core import ConfigMap

    key = Key("default", name)
    body = json.dumps({"metadata": {"name": name, "namespace": "default"}}).encode()
    path = ConfigMap.KIND.path(key.namespace, key.name)
    request = ApiRequest(verb=Verb.PATCH, method="PATCH", path=path, body=body, kind=ConfigMap.KIND, key=key)
    return replace(request, content_type="application/merge-patch+json")
