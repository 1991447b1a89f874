"""A server that answers from a function, and what an executor tells others, for tests of the executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from rbgctrl.api.core import Pod
from rbgctrl.api.meta import Key
from rbgctrl.client import (
    ApiRequest,
    ApiResponse,
    Client,
)
from rbgctrl.plan.model import Action, Create, Delete, Note, Patch, Plan, Severity, Subject
from rbgctrl.runtime.executor import Executor, ExecutorOptions
from rbgctrl.sim.loop import run

REQUEST = Key("ns", "owner")
POD = Key("ns", "pod")
Answer = Callable[[ApiRequest], ApiResponse | Exception]


def pod_json(name: str = "pod", *, uid: str = "u1", rv: str = "7", owner: str = "", deleting: bool = False) -> bytes:
    metadata: dict[str, Any] = {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": rv}
    if owner:
        metadata["ownerReferences"] = [{"kind": "RoleInstance", "name": "i", "uid": owner, "controller": True}]
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


def accepted(request: ApiRequest) -> ApiResponse:
    return ApiResponse(status=200, body=pod_json(request.key.name or "pod"))


class Server:
    """A transport that answers from a function, and remembers what was asked and how much at once."""

    def __init__(self, answer: Answer = accepted, *, pause: float = 0.0) -> None:
        self.answer = answer
        self.requests: list[ApiRequest] = []
        self.in_flight = 0
        self.most = 0
        self._pause = pause

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self._pause:
                await asyncio.sleep(self._pause)
            answer = self.answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stream(self, request: ApiRequest) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        return None


class Ledger:
    """Remembers what cache, barrier and recorder were told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def observe(self, obj: Any) -> None:
        self.told.append(("observe", obj.key.name))

    def observe_deleted(self, obj: Any) -> None:
        self.told.append(("observe_deleted", obj.key.name))

    def wrote(self, _: Key, obj: Any) -> None:
        self.told.append(("wrote", obj.key.name))

    def unknown(self, _: Key, kind: type[Any], key: Key) -> None:
        self.told.append(("unknown", (kind, key)))

    def deleting(self, _: Key, __: type[Any], ___: Key, uid: str) -> str:
        self.told.append(("deleting", uid))
        return uid

    def deleted(self, token: str, _: Any = None) -> None:
        self.told.append(("deleted", token))

    def forget(self, token: str) -> None:
        self.told.append(("forget", token))

    def event(self, note: Note) -> None:
        self.told.append(("event", note.reason))


def executor(server: Server, ledger: Ledger, in_flight: int = 16) -> Executor:
    options = ExecutorOptions(in_flight=in_flight)
    return Executor(Client(server), ledger, ledger, ledger, options)  # type: ignore[arg-type]  # a stand-in for three


def create(name: str = "pod", owner: str = "o1") -> Create:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns"}}
    return Create(kind=Pod, key=Key("ns", name), body=body, owner_uid=owner, why="missing")


def delete() -> Delete:
    return Delete(kind=Pod, key=POD, uid="u1", why="extra")


def patch_status(uid: str = "u1") -> Patch:
    return Patch(kind=Pod, key=POD, uid=uid, body={"status": {"phase": "x"}}, subresource="status", why="status")


def note() -> Note:
    subject = Subject(api_version="v1", kind="Pod", key=POD, uid="u1")
    return Note(subject=subject, severity=Severity.NORMAL, reason="Told", message="m")


def apply_plan(plan: Plan, server: Server, ledger: Ledger, in_flight: int = 16) -> Any:
    async def main() -> Any:
        return await executor(server, ledger, in_flight).apply(plan, REQUEST)

    return run(main())


def one_step(action: Action) -> Plan:
    return Plan(steps=((action,),), notes=(note(),))
