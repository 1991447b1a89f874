"""Two hooks into aiohttp: knowing whether a body may have left, and no silent repetition of writes."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter

__all__ = ["Payload", "SentOnceError", "send_once"]


class Payload(aiohttp.Payload):
    """A request body that notices when its first byte is handed to the connection.

    Headers go out together with the body, and a server cannot act on a write before it has the body: as long as
    ``begun`` is False, nothing can have been committed.

    A ``guard`` is asked in that very moment, and may raise to keep the body back; ``refusal`` is then what it raised,
    because aiohttp only reports a broken connection.
    """

    def __init__(self, body: bytes, content_type: str, guard: Callable[[], None] | None = None) -> None:
        super().__init__(body, content_type=content_type)
        self._size = len(body)
        self._guard = guard
        self.begun = False
        self.refusal: Exception | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text."""
        return bytes(self._value).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - inherited
        """The body."""
        return bytes(self._value)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body."""
        self._begin()
        await writer.write(self._value)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the body; its length is the content length."""
        self._begin()
        await writer.write(self._value[:content_length])

    def _begin(self) -> None:
        if self._guard is not None:
            try:
                self._guard()
            except Exception as error:
                self.refusal = error
                raise
        self.begun = True


class SentOnceError(aiohttp.ClientError):
    """Stands for its cause, of a type that aiohttp does not react to by sending the request again."""


async def send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """An aiohttp middleware: a PUT or DELETE on a connection that turned out to be dead fails instead of going twice.

    The first may have been carried out, and the second would answer 404 or 409 for our own success.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # never sent, and aiohttp does not repeat it
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise SentOnceError(str(error)) from error
