"""Requests and answers as values, and the one door they pass through.

Everything the client does becomes one :class:`ApiRequest` handed to a :class:`Transport`. So dry run, recording,
fault injection and the simulated server are small transports around or instead of the HTTP one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from rbgctrl.api.meta import Key, Kind

__all__ = ["ApiRequest", "ApiResponse", "ApiStream", "Transport", "Verb"]


_NO_KEY = Key("", "")


class Verb(Enum):
    """What a request does, in RBAC's words plus ``apply``."""

    GET = "get"
    LIST = "list"
    WATCH = "watch"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    APPLY = "apply"
    DELETE = "delete"

    @property
    def writes(self) -> bool:
        """Whether the verb changes state."""
        return self not in (Verb.GET, Verb.LIST, Verb.WATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request.

    Attributes:
        verb: what it does.
        method: HTTP method.
        path: URL path, without query.
        query: query parameters in order.
        body: JSON body or None.
        content_type: of the body.
        kind: kind it addresses; None for raw paths such as ``/version``.
        key: object it addresses; its name is ``""`` for collections.
        subresource: ``status``, ``scale`` or ``""``.
        guard: called right before the body goes on the wire, after all waiting for slots and connections; what it
            raises is raised instead of sending.
    """

    verb: Verb
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    kind: Kind[Any] | None = None
    key: Key = _NO_KEY
    subresource: str = ""
    guard: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        if self.kind is None:
            return f"{self.verb.value} {self.path}"
        where = str(self.key) if self.key.name else f"in {self.key.namespace}" if self.key.namespace else ""
        subresource = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb.value} {self.kind.kind} {where}".rstrip() + subresource


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """A complete answer with a status below 400 (anything else was raised)."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiStream(Protocol):
    r"""An open watch: an iterator over complete lines, each ending in ``\\n``, none longer than the cap.

    A last line without ``\\n`` is never delivered. The iterator ends on a clean end of stream and raises
    ``ConnectError`` when the connection broke or stayed silent too long, ``ResponseError`` when a line exceeds the cap.
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    """Sends requests. Raises the errors of :mod:`rbgctrl.client.errors`; any HTTP status >= 400 is raised."""

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Send one request and read the whole answer."""
        ...

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch; leaving the context closes the connection."""
        ...

    async def close(self) -> None:
        """Release connections and temporary files; safe to call twice."""
        ...
