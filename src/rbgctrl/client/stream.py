"""Cutting a watch's bytes into lines, and telling a clean end from a broken connection.

The server sends one HTTP chunk per event, so a chunk is nearly always one whole line and passes through untouched. A
longer line is collected in parts and joined once: no line below the cap is ever lost, however large.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Self

import aiohttp

from rbgctrl.client.errors import ApiError, ResponseError

__all__ = ["LineStream"]

_WHERE = re.compile(rb'"(kind|name|namespace)":"([^"\\]{1,253})"')


class LineStream:
    r"""An open watch: iterate over its lines, each with its ``\n``.

    Guarantees: a last line without ``\n`` is never delivered. The iteration ends on a clean end of stream, raises
    ``ConnectError`` when the connection broke or stayed silent, ``ResponseError`` when a line is longer than the cap.

    Args:
        content: the response's body.
        limit: longest line, bytes.
        what: the request in words.
        broken: turns the transport's exception into ours.
    """

    def __init__(
        self, content: aiohttp.StreamReader, *, limit: int, what: str, broken: Callable[[Exception], ApiError]
    ) -> None:
        self._content = content
        self._limit = limit
        self._what = what
        self._broken = broken
        self._ready: deque[bytes] = deque()  # whole lines that came together with the one delivered
        self._parts: list[bytes] = []  # of a line whose end has not come yet
        self._size = 0
        self._failure: ResponseError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._failure is not None:
                raise self._failure
            try:
                data, chunk_ended = await self._content.readchunk()
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                raise self._broken(error) from error
            if data.find(b"\n") == len(data) - 1 and data and not self._parts and len(data) <= self._limit:
                return data
            if data:
                self._cut(data)
            elif not chunk_ended:
                raise StopAsyncIteration

    def _cut(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._parts += (line, b"\n")
            whole = b"".join(self._parts)
            self._parts, self._size = [], 0
            if len(whole) > self._limit:
                self._failure = self._too_long(whole)
                return
            self._ready.append(whole)
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                self._failure = self._too_long(self._parts[0])

    def _too_long(self, start: bytes) -> ResponseError:
        found = {key.decode(): value.decode("utf-8", "replace") for key, value in _WHERE.findall(start[:4096])}
        which = " ".join(found[key] for key in ("kind", "namespace", "name") if key in found) or "an object"
        return ResponseError(
            f"{self._what}: {which} is longer than {self._limit} bytes; make it smaller or raise the line limit"
        )
