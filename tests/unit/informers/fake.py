"""A server of config maps under a test's control: real lines, pages and resourceVersions, faults on request."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Page, decoder
from rbgctrl.client.errors import ConnectError, GoneError, ServerTimeoutError
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.informers.selector import label_matcher

R = TypeVar("R", bound=Resource)

SILENCE = 150.0
BOOKMARK = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and when it came."""

    what: str  # list, next, probe, watchlist, watch
    rv: str
    at: float
    namespace: str = ""
    timeout: int = 0


@dataclass(eq=False)
class Stream:
    """An open watch."""

    wanted: Callable[[dict[str, Any]], bool]
    queue: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    mute: bool = False
    bookmarks: bool = True

    def send(self, *lines: bytes | Exception | None) -> None:
        """Lines; an exception breaks the stream, None ends it cleanly."""
        for line in lines:
            if not self.mute:
                self.queue.put_nowait(line)


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def error_event(code: int, reason: str = "", **details: Any) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return event("ERROR", {**status, "message": "as scripted", "details": details})


def too_large() -> ServerTimeoutError:
    return ServerTimeoutError(504, "Timeout", "Too large resource version", causes=("ResourceVersionTooLarge",))


class FakeApi:
    """Implements ``ListerWatcher`` for config maps."""

    def __init__(self, rv: int = 100) -> None:
        self.rv = rv
        self.compacted = 0
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.history: list[tuple[int, str, dict[str, Any]]] = []
        self.calls: list[Call] = []
        self.streams: list[Stream] = []
        self.faults: deque[tuple[str, Exception | Callable[[Stream], None]]] = deque()
        self.marks = True  # whether streamed lists get their end mark
        self.page_size = 2
        self._uids = 0
        self._saved: list[tuple[int, dict[tuple[str, str], dict[str, Any]]]] = []

    # State

    def put(self, name: str, namespace: str = "a", **fields: Any) -> dict[str, Any]:
        """Create or update an object."""
        self.rv += 1
        key = (namespace, name)
        known = self.objects.get(key)
        if known is None:
            self._uids += 1
        meta: dict[str, Any] = {
            "name": name,
            "namespace": namespace,
            "uid": known["metadata"]["uid"] if known else f"u{self._uids}",
            "resourceVersion": str(self.rv),
        }
        meta.update(fields.pop("metadata", {}))
        obj = {"metadata": meta, "data": {"n": str(self.rv)}, **fields}
        self.objects[key] = obj
        self._record("MODIFIED" if known else "ADDED", obj)
        return obj

    def delete(self, name: str, namespace: str = "a") -> dict[str, Any]:
        self.rv += 1
        obj = self.objects.pop((namespace, name))
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.rv)}}
        self._record("DELETED", obj)
        return obj

    def _record(self, kind: str, obj: dict[str, Any]) -> None:
        self.history.append((self.rv, kind, obj))
        for stream in self.streams:
            if stream.wanted(obj):
                stream.send(event(kind, obj))

    def save(self) -> None:
        """Take a backup."""
        self._saved.append((self.rv, dict(self.objects)))

    def restore(self, error: Exception | None = None) -> None:
        """Go back to the last backup; open watches end, cleanly or with ``error``."""
        self.rv, objects = self._saved.pop()
        self.objects = dict(objects)
        self.history = [entry for entry in self.history if entry[0] <= self.rv]
        self.cut(error)

    def cut(self, error: Exception | None) -> None:
        """End every open watch."""
        for stream in self.streams:
            stream.queue.put_nowait(error)

    def bookmark(self, rv: int | None = None, *, end: bool = False) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(self.rv if rv is None else rv)}
        if end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        return event("BOOKMARK", {"metadata": meta})

    # The protocol

    async def pages(
        self,
        kind: type[R],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        resource_version: str = "",
        resource_version_match: str = "",
    ) -> AsyncIterator[Page[R]]:
        assert bool(resource_version) == bool(resource_version_match)
        what = "probe" if limit == 1 else "list"
        self._call(what, resource_version, namespace)
        self._fail(what)
        if resource_version and int(resource_version) > self.rv:
            await asyncio.sleep(3)
            if int(resource_version) > self.rv:
                raise too_large()
        rv, wanted = self.rv, self._wanted(namespace, label_selector)
        items = [obj for _, obj in sorted(self.objects.items()) if wanted(obj)]
        size = min(limit, self.page_size)
        for start in range(0, max(len(items), 1), size):
            if start:
                self._call("next", str(rv), namespace)
                self._fail("next")
                if self.compacted > rv:
                    raise GoneError(410, "Expired")
            last = start + size >= len(items)
            meta = {"resourceVersion": str(rv), "continue": "" if last else "more"}
            yield decoder(kind).list(json.dumps({"metadata": meta, "items": items[start : start + size]}).encode())
            await asyncio.sleep(0)

    @asynccontextmanager
    async def watch(
        self,
        kind: type[R],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_seconds: int,
        send_initial_events: bool = False,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        what = "watchlist" if send_initial_events else "watch"
        self._call(what, resource_version, namespace, timeout_seconds)
        script = self._fail(what)
        stream = Stream(self._wanted(namespace, label_selector))
        if script is not None:
            script(stream)
        else:
            self._begin(stream, resource_version, listing=send_initial_events)
        self.streams.append(stream)
        try:
            yield self._lines(stream, timeout_seconds)
        finally:
            self.streams.remove(stream)

    def _begin(self, stream: Stream, resource_version: str, *, listing: bool) -> None:
        if listing:
            for _, obj in sorted(self.objects.items()):
                if stream.wanted(obj):
                    stream.send(event("ADDED", obj))
            stream.bookmarks = self.marks  # a server sends no other bookmark before the end mark
            if self.marks:
                stream.send(self.bookmark(end=True))
            return
        since = int(resource_version)
        if since < self.compacted:
            stream.send(error_event(410, "Expired"), None)
        elif since > self.rv:
            stream.mute = True  # the server says nothing at all about its future
        else:
            stream.send(*(event(kind, obj) for rv, kind, obj in self.history if rv > since and stream.wanted(obj)))

    async def _lines(self, stream: Stream, timeout_seconds: int) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end, silence, mark = loop.time() + timeout_seconds, loop.time() + SILENCE, loop.time() + BOOKMARK
        while True:
            try:
                async with asyncio.timeout_at(min(end, silence, mark)):
                    item = await stream.queue.get()
            except TimeoutError:
                now = loop.time()
                if now >= end:
                    return
                if now >= silence:
                    raise ConnectError("silence", reason="timeout") from None
                mark = now + BOOKMARK
                if stream.mute or not stream.bookmarks:
                    continue
                item = self.bookmark()
            silence = loop.time() + SILENCE
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    # Script

    def fail(self, what: str, *faults: Exception | Callable[[Stream], None]) -> None:
        """Let the next requests of this sort fail, or the next watches say what a function puts into them."""
        self.faults.extend((what, fault) for fault in faults)

    def _fail(self, what: str) -> Callable[[Stream], None] | None:
        for index, (name, fault) in enumerate(self.faults):
            if name == what:
                del self.faults[index]
                if isinstance(fault, Exception):
                    raise fault
                return fault
        return None

    def _call(self, what: str, rv: str, namespace: str, timeout: int = 0) -> None:
        self.calls.append(Call(what, rv, asyncio.get_running_loop().time(), namespace, timeout))

    def _wanted(self, namespace: str, selector: str) -> Callable[[dict[str, Any]], bool]:
        match = label_matcher(selector)

        def wanted(obj: dict[str, Any]) -> bool:
            meta = obj["metadata"]
            return namespace in ("", meta["namespace"]) and match(meta.get("labels", {}))

        return wanted

    # Questions

    def said(self, *kinds: str) -> list[tuple[str, str]]:
        """What was asked, with which resourceVersion."""
        return [(call.what, call.rv) for call in self.calls if not kinds or call.what in kinds]

    def versions(self) -> dict[tuple[str, str], tuple[str, int]]:
        return {
            key: (obj["metadata"]["uid"], int(obj["metadata"]["resourceVersion"])) for key, obj in self.objects.items()
        }


def config_map(obj: dict[str, Any]) -> ConfigMap:
    found = decoder(ConfigMap).one(json.dumps(obj).encode())
    assert isinstance(found, ConfigMap)
    return found


class Follower:
    """A handler that folds changes into a view, and refuses what does not fit."""

    def __init__(self) -> None:
        self.view: dict[tuple[str, str], tuple[str, int]] = {}
        self.changes: list[Change[ConfigMap]] = []

    def __call__(self, change: Change[ConfigMap]) -> None:
        self.changes.append(change)
        meta = change.obj.metadata
        key = (meta.namespace, meta.name)
        if change.resync:
            assert self.view[key] == (meta.uid, meta.rv)
        elif change.type is ChangeType.DELETED:
            assert self.view.pop(key)[0] == meta.uid
        else:
            known = self.view.get(key)
            assert (known is None) is (change.type is ChangeType.ADDED)
            assert known is None or (known[0] == meta.uid and known[1] != meta.rv)
            self.view[key] = (meta.uid, meta.rv)

    def told(self) -> list[tuple[str, str]]:
        """Type and name of each change."""
        return [(change.type.value, change.key.name) for change in self.changes]

    def clear(self) -> None:
        self.changes.clear()


def names(changes: Iterator[Change[ConfigMap]] | list[Change[ConfigMap]]) -> list[str]:
    return [change.key.name for change in changes]
