"""Open watches: every change goes to those it concerns, encoded once for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

import orjson

from rbgctrl.sim.call import Call
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.selectors import Test, everything
from rbgctrl.sim.status import gone_version
from rbgctrl.sim.storage import ADDED, DELETED, MODIFIED, CompactedError, Storage, StoredEvent
from rbgctrl.sim.verbs.read import list_options, number, selector, version_of

__all__ = ["BrokenWatchError", "Hub", "Watch"]

_END: Final = {"k8s.io/initial-events-end": "true"}
_DEFAULT_SECONDS: Final = 1800.0
_BEFORE_END: Final = 2.0


class BrokenWatchError(Exception):
    """The connection of a watch broke; the stream ends with it."""


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


class Watch:
    """One open watch: an asynchronous iterator over lines.

    Attributes:
        row: the kind.
        namespace: ``""`` for all.
        revision: changes up to this one are not shown.
        pending: lines made and not read yet.
    """

    def __init__(self, hub: Hub, row: Row, namespace: str, name: str, test: Test, *, bookmarks: bool) -> None:
        self.row = row
        self.namespace = namespace
        self.revision = 0
        self.pending: deque[bytes] = deque()
        self._hub = hub
        self._name = name
        self._test = test
        self._bookmarks = bookmarks
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._failure: BaseException | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self.pending:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.pending.popleft()

    def offer(self, event: StoredEvent, lines: dict[str, bytes]) -> None:
        """Show a change, if it concerns this watch. ``lines`` are the event's lines made so far, by type."""
        if event.revision <= self.revision or not self._in_scope(event):
            return
        if self.row.version is not None:
            event, lines = self.row.version.shown(event), {}
        kind = self._seen_as(event)
        if kind is None:
            return
        left = kind == DELETED and event.new is not None  # it lives on, but is no longer selected
        line = lines.get("left" if left else kind)
        if line is None:
            line = _line(kind, _left(event) if left else event.raw)
            lines["left" if left else kind] = line
        self._push(line)

    def start(self, events: list[StoredEvent], revision: int, *, end_mark: bool) -> None:
        """Show what exists first, as of ``revision``."""
        for event in events:
            if self._in_scope(event) and self._test(event.obj):
                shown = event if self.row.version is None else self.row.version.shown(event)
                self._push(_line(ADDED, shown.raw))
        self.revision = revision
        if end_mark:
            self.bookmark(revision, initial=True)

    def replay(self, events: list[StoredEvent], revision: int) -> None:
        """Show the changes after ``revision`` that happened already."""
        self.revision = revision
        for event in events:
            self.offer(event, {})

    def bookmark(self, revision: int, *, initial: bool = False) -> None:
        """Say how far the watch has come."""
        if self._bookmarks:
            self._push(_line("BOOKMARK", bookmark_body(self.row, revision, initial=initial)))

    def error(self, body: dict[str, Any]) -> None:
        """End with an ERROR event."""
        self._push(_line("ERROR", orjson.dumps(body)))
        self.end()

    def keep_time(self, seconds: float, every: float, revision: Callable[[], int]) -> None:
        """End after ``seconds``; bookmarks in between."""
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(seconds, self.end)]

        def tick() -> None:
            self.bookmark(revision())
            self._timers[1:2] = [loop.call_later(every, tick)]

        if self._bookmarks:
            self._timers.append(loop.call_later(every, tick))
            if seconds > _BEFORE_END:
                last = seconds - _BEFORE_END
                self._timers.append(loop.call_later(last, lambda: self.bookmark(revision())))

    def end(self, failure: BaseException | None = None) -> None:
        """End after what is pending; with ``failure`` the reader gets that instead of a clean end."""
        if self._ended:
            return
        self._ended = True
        self._failure = failure
        self._hub.discard(self)
        for timer in self._timers:
            timer.cancel()
        self._wake()

    def _in_scope(self, event: StoredEvent) -> bool:
        key = event.key
        if self.namespace and key.namespace != self.namespace:
            return False
        return not self._name or key.name == self._name

    def _seen_as(self, event: StoredEvent) -> str | None:
        if self._test is everything:
            return event.type
        now = event.new is not None and self._test(event.new)
        before = event.old is not None and self._test(event.old)
        if now:
            return MODIFIED if before else ADDED
        return DELETED if before else None

    def _push(self, line: bytes) -> None:
        self.pending.append(line)
        if len(self.pending) > self._hub.backlog:
            self.pending.clear()
            self.end()  # as real servers do with readers that do not keep up
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _left(event: StoredEvent) -> bytes:
    """The last selected state of an object that is no longer selected, at the version at which it left."""
    assert event.old is not None  # noqa: S101 - only objects that were selected can leave
    metadata = {**event.old["metadata"], "resourceVersion": str(event.revision)}
    return orjson.dumps({**event.old, "metadata": metadata})


def bookmark_body(row: Row, revision: int, *, initial: bool = False) -> bytes:
    """A bookmark's object: nothing but a version; built-in kinds carry the fields Go cannot leave out."""
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if initial:
        metadata["annotations"] = _END
    rest = {name: item for name, item in row.zero.items() if name != "metadata"}
    return orjson.dumps({"kind": row.kind.kind, "apiVersion": row.kind.api_version, "metadata": metadata, **rest})


class Hub:
    """All open watches of a server.

    Args:
        storage: whose changes to show.
        backlog: lines a watch may fall behind before it is ended.
        bookmark_seconds: between bookmarks.
    """

    def __init__(self, storage: Storage, *, backlog: int, bookmark_seconds: float) -> None:
        self.backlog = backlog
        self._storage = storage
        self._bookmark_seconds = bookmark_seconds
        self._watches: dict[str, dict[Watch, None]] = {}
        storage.subscribe(self._deliver)

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._watches.values())

    def watches(self, resource: str = "") -> tuple[Watch, ...]:
        """Open watches, of one resource or of all."""
        chosen = [self._watches.get(resource, {})] if resource else list(self._watches.values())
        return tuple(watch for watches in chosen for watch in watches)

    def open(self, call: Call) -> Watch:
        """Open a watch.

        Raises:
            Refusal: 400 or 422, its options are wrong.
        """
        list_options(call)
        storage, row = self._storage, call.row
        watch = Watch(
            self, row, call.key.namespace, call.key.name, selector(call), bookmarks=call.flag("allowWatchBookmarks")
        )
        asked = version_of(call)
        initial = call.flag("sendInitialEvents")
        seconds = float(number(call, "timeoutSeconds")) or _DEFAULT_SECONDS
        if initial or (not asked and "sendInitialEvents" not in call.query):
            watch.start(storage.records(row.resource, call.key.namespace), storage.revision, end_mark=initial)
        elif not asked:
            watch.revision = storage.revision
        else:
            try:
                watch.replay(storage.since(row.resource, asked), asked)
            except CompactedError:
                watch.error(gone_version(asked, storage.compacted).body())
                return watch
        self._watches.setdefault(row.resource, {})[watch] = None
        watch.keep_time(seconds, self._bookmark_seconds, lambda: storage.revision)
        return watch

    def discard(self, watch: Watch) -> None:
        """Forget a watch that ended."""
        self._watches.get(watch.row.resource, {}).pop(watch, None)

    def _deliver(self, event: StoredEvent) -> None:
        watches = self._watches.get(event.resource)
        if not watches:
            return
        lines: dict[str, bytes] = {}
        for watch in tuple(watches):
            watch.offer(event, lines)
