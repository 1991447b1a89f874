"""A server that stores Events and nothing else, with faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from rbgctrl.api.meta import Key
from rbgctrl.client.client import Client
from rbgctrl.client.errors import AlreadyExistsError, NotFoundError
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb
from rbgctrl.plan.model import Subject


def subject(name: str = "llm", namespace: str = "default", uid: str = "u1") -> Subject:
    return Subject(api_version="workloads.x-k8s.io/v1alpha2", kind="RoleBasedGroup", key=Key(namespace, name), uid=uid)


@dataclass
class FakeEvents:
    """``stored`` are the Events, ``requests`` what was asked.

    ``before`` returns an error to answer with; ``after`` one to answer with although the request was carried out.
    """

    stored: dict[Key, dict[str, Any]] = field(default_factory=dict)
    requests: list[ApiRequest] = field(default_factory=list)
    latency: float = 0.01
    before: Callable[[ApiRequest], Exception | None] = lambda _: None
    after: Callable[[ApiRequest], Exception | None] = lambda _: None

    def client(self) -> Client:
        return Client(self)

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(self.stored.values())

    @property
    def verbs(self) -> list[str]:
        return [request.verb.value for request in self.requests]

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        await asyncio.sleep(self.latency)
        error = self.before(request)
        if error is not None:
            raise error
        answer = self._handle(request)
        error = self.after(request)
        if error is not None:
            raise error
        return ApiResponse(status=200, body=json.dumps(answer).encode())

    def _handle(self, request: ApiRequest) -> dict[str, Any]:
        body = json.loads(request.body or b"")
        if request.verb is Verb.CREATE:
            if request.key in self.stored:
                raise AlreadyExistsError(409, "AlreadyExists")
            self.stored[request.key] = body
        else:
            assert request.verb is Verb.PATCH, request
            if request.key not in self.stored:
                raise NotFoundError(404, "NotFound")
            self.stored[request.key] |= body
        return self.stored[request.key]

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        raise NotImplementedError(request)

    async def close(self) -> None:
        """Nothing to close."""
