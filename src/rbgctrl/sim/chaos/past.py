"""Answers from an earlier moment: as a server gives them that lags behind the others.

The moment is a resourceVersion. The server itself knows what it looked like (an exact list), so nothing but the
numbers that passed by is remembered here.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from rbgctrl.sim.chaos.faults import Rewind
from rbgctrl.sim.chaos.match import Call, read_frame

__all__ = ["Past", "Query"]

Query = tuple[tuple[str, str], ...]

_PLACE = frozenset(
    ("resourceVersion", "resourceVersionMatch", "sendInitialEvents", "watch", "limit", "continue", "timeoutSeconds")
)
_WATCHING = frozenset(("resourceVersion", "resourceVersionMatch", "sendInitialEvents"))


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _List(msgspec.Struct, rename="camel"):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None
    kind: str = ""
    api_version: str = ""


_list = msgspec.json.Decoder(_List)


class Past:
    """The resourceVersions one carrier has seen."""

    def __init__(self) -> None:
        self._seen: list[int] = []

    def learn(self, call: Call, body: bytes) -> None:
        """Note the resourceVersion of a list."""
        if call.verb == "list":
            try:
                self._note(_list.decode(body).metadata.resource_version)
            except msgspec.DecodeError:
                return

    async def listen(self, lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Pass lines on and note their resourceVersions."""
        async for line in lines:
            self._note(read_frame(line).rv)
            yield line

    def _note(self, text: str) -> None:
        if not text.isdecimal():
            return
        rv = int(text)
        place = bisect_left(self._seen, rv)
        if place == len(self._seen) or self._seen[place] != rv:
            insort(self._seen, rv)

    def moment(self, fault: Rewind) -> int:
        """The resourceVersion a fault goes back to.

        Raises:
            LookupError: nothing has been seen that is so old.
        """
        if fault.to:
            return fault.to
        if len(self._seen) <= fault.back:
            msg = f"cannot go back {fault.back} changes: only {len(self._seen)} were seen here"
            raise LookupError(msg)
        return self._seen[-1 - fault.back]

    def query(self, query: Query, moment: int) -> Query:
        """The parameters of a list of exactly that moment."""
        kept = tuple((name, value) for name, value in query if name not in _PLACE and name != "allowWatchBookmarks")
        return (*kept, ("resourceVersion", str(moment)), ("resourceVersionMatch", "Exact"))

    def following(self, query: Query, moment: int) -> Query:
        """The parameters of a watch of what happened since."""
        kept = tuple((name, value) for name, value in query if name not in _WATCHING)
        return (*kept, ("resourceVersion", str(moment)))

    async def as_stream(self, listed: bytes, after: AsyncIterator[bytes], lag: float) -> AsyncGenerator[bytes]:
        """A list as a watch would have told it, then what follows, ``lag`` seconds later."""
        found = _list.decode(listed)
        kind = found.kind.removesuffix("List")
        type_meta = {"kind": kind, "apiVersion": found.api_version}
        for item in found.items or ():
            obj = {**type_meta, **msgspec.json.decode(item)}
            yield msgspec.json.encode({"type": "ADDED", "object": obj}) + b"\n"
        end = {"resourceVersion": found.metadata.resource_version, "annotations": {"k8s.io/initial-events-end": "true"}}
        yield msgspec.json.encode({"type": "BOOKMARK", "object": {**type_meta, "metadata": end}}) + b"\n"
        await asyncio.sleep(lag)
        async for line in after:
            yield line
