"""What the client tells whoever measures it; the runtime turns it into ``rest_client_*`` metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rbgctrl.client.transport import ApiRequest

__all__ = ["ClientObserver", "Exchange", "Silent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One HTTP request and what came of it; a repeated request is several exchanges.

    Attributes:
        request: what was asked.
        host: ``host:port`` of the server.
        code: HTTP status as text, or ``<error>`` when none arrived.
        seconds: from sending to the last byte; for a watch, to the headers.
        request_bytes: size of the body sent.
        response_bytes: size of the body received, decompressed; 0 for a watch.
    """

    request: ApiRequest
    host: str
    code: str
    seconds: float
    request_bytes: int
    response_bytes: int


class ClientObserver(Protocol):
    """Called synchronously on the loop; must be quick and must not raise."""

    def exchanged(self, exchange: Exchange) -> None:
        """An HTTP exchange ended, well or badly."""
        ...

    def retried(self, request: ApiRequest, host: str, code: str) -> None:
        """A request is about to be repeated because of ``code`` (as in :class:`Exchange`)."""
        ...

    def limited(self, request: ApiRequest, host: str, seconds: float) -> None:
        """A request waited for the client-side rate limiter; only called when there is one."""
        ...


class Silent:
    """An observer that looks away."""

    def exchanged(self, exchange: Exchange) -> None:
        """Ignore it."""

    def retried(self, request: ApiRequest, host: str, code: str) -> None:
        """Ignore it."""

    def limited(self, request: ApiRequest, host: str, seconds: float) -> None:
        """Ignore it."""
