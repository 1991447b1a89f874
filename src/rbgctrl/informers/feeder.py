"""Keeps one scope of a store up to date: does what the watcher decides, and tells it what came of it.

Lines of a live watch take a short cut past the state machine's values, through the same functions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import structlog

from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Bookmark, ErrorStatus, Invalid, Page, WatchEvent, decoder
from rbgctrl.client.errors import NotFoundError, ResponseError
from rbgctrl.clock import Jitter
from rbgctrl.informers import signals as s
from rbgctrl.informers.dispatch import Dispatcher
from rbgctrl.informers.source import InformerObserver, ListerWatcher
from rbgctrl.informers.watcher import PUTS, REMOVES, live_event, parse_rv, step
from rbgctrl.informers.writer import WritableStore

__all__ = ["Feeder", "Scope"]

R = TypeVar("R", bound=Resource)

_BREATHER = 256  # lines after which other tasks get a turn, when they come faster than the socket empties
_REARM = 1.0
_SPECIAL = frozenset(("BOOKMARK", "ERROR"))
_LIVE, _STREAMING = s.Phase.LIVE, s.Phase.STREAMING  # Python 3.11 looks members of an Enum up with code in Python

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope(Generic[R]):
    """What one watch covers.

    Attributes:
        kind: type of the objects.
        namespace: ``""`` for all.
        label_selector: in the API's syntax.
        field_selector: in the API's syntax.
    """

    kind: type[R]
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class Feeder(Generic[R]):
    """One list-and-watch loop.

    Args:
        source: where to list and watch.
        scope: what to list and watch.
        store: where objects go.
        dispatcher: who is told.
        options: timing.
        jitter: spreads pauses and watch timeouts.
        observer: counts.
        optional: a kind that the server does not know is no reason to wait.
    """

    def __init__(
        self,
        source: ListerWatcher,
        scope: Scope[R],
        store: WritableStore[R],
        dispatcher: Dispatcher[R],
        options: s.InformerOptions,
        jitter: Jitter,
        observer: InformerObserver,
        *,
        optional: bool = False,
    ) -> None:
        self._optional = optional
        self._source = source
        self._scope = scope
        self._store = store
        self._dispatcher = dispatcher
        self._options = options
        self._jitter = jitter
        self._observer = observer
        self._kind = scope.kind.KIND
        self._decode = decoder(scope.kind).event
        self._state = s.State(streaming=options.stream_lists)
        self._rv = 0  # progress of the live watch; runs ahead of the state between two steps
        self._pages: AsyncIterator[Page[R]] | None = None
        self._time: Callable[[], float] = lambda: 0.0
        self.synced = asyncio.Event()
        self.absent = False
        self.lines = 0
        self.last_line: float | None = None
        self.events: Counter[str] = Counter()
        self.relists: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.error: Exception | None = None

    @property
    def phase(self) -> s.Phase:
        """Where the loop stands."""
        return self._state.phase

    async def run(self) -> None:
        """Feed the store until cancelled."""
        self._time = asyncio.get_running_loop().time
        self._rv = self._store.progress(self._scope.namespace)
        self._state = s.State(streaming=self._options.stream_lists, rv=self._rv)
        action = self._step(s.Started())
        try:
            while action is not None:
                action = await self._perform(action)
        finally:
            await self._close_pages()
        raise RuntimeError("the watcher asked for nothing")  # a defect of ours; stopping silently would be worse

    # Actions

    async def _perform(self, action: s.Action) -> s.Action | None:
        match action:
            case s.Wait(seconds=pause):
                await asyncio.sleep(pause)
                return self._step(s.Elapsed())
            case s.ListPages(rv=since):
                await self._close_pages()
                self._pages = self._list(since, self._options.page_size)
                return await self._next_page(self._pages)
            case s.NextPage():
                return await self._next_page(self._pages)
            case s.Probe(rv=rv):
                return await self._probe(rv)
            case s.OpenWatchList(rv=since, timeout=seconds):
                return await self._watch(since, seconds, listing=True)
            case s.OpenWatch(rv=rv, timeout=seconds):
                return await self._watch(str(rv), seconds, listing=False)

    def _list(self, rv: str, limit: int) -> AsyncIterator[Page[R]]:
        scope = self._scope
        return self._source.pages(
            scope.kind,
            scope.namespace,
            label_selector=scope.label_selector,
            field_selector=scope.field_selector,
            limit=limit,
            resource_version=rv,
            resource_version_match="NotOlderThan" if rv else "",
        )

    async def _next_page(self, pages: AsyncIterator[Page[R]] | None) -> s.Action | None:
        signal: s.Input
        try:
            page = await _following(pages)
            objects: tuple[R | Invalid, ...] = (*page.items, *page.invalid)
            staged = tuple([(obj, parse_rv(obj.metadata.resource_version)) for obj in objects])
            signal = s.PageArrived(staged, parse_rv(page.resource_version), more=bool(page.continue_token))
        except Exception as error:  # noqa: BLE001 - whatever a source raises, the informer goes on; the watcher classifies
            signal = s.Failed(error)
        action = self._step(signal)
        if not isinstance(action, s.NextPage):
            await self._close_pages()
        return action

    async def _close_pages(self) -> None:
        pages, self._pages = self._pages, None
        await _close(pages)

    async def _probe(self, rv: int) -> s.Action | None:
        pages = self._list(str(rv), 1)
        signal: s.Input
        try:
            page = await _following(pages)
            signal = s.Answered(parse_rv(page.resource_version))
        except Exception as error:  # noqa: BLE001 - as in _next_page
            signal = s.Failed(error)
        finally:
            await _close(pages)
        return self._step(signal)

    async def _watch(self, rv: str, seconds: int, *, listing: bool) -> s.Action | None:
        """Open a watch and read it to its end, or until the watcher wants something else."""
        scope = self._scope
        opened_at, opened_rv = self._time(), self._rv
        action: s.Action | None = None
        try:
            async with self._source.watch(
                scope.kind,
                scope.namespace,
                label_selector=scope.label_selector,
                field_selector=scope.field_selector,
                resource_version=rv,
                timeout_seconds=seconds,
                send_initial_events=listing,
            ) as stream:
                opened_at = self._time()
                self._step(s.Opened())
                lines = aiter(stream)
                action = await (self._read_list(lines) if listing else self._read(lines))
        except Exception as error:  # noqa: BLE001 - as in _next_page
            # Once the watcher has decided, trouble while closing the connection is of no interest.
            return self._step(s.Failed(error)) if action is None else action
        if action is None:
            action = self._step(s.Ended(self._time() - opened_at, advanced=self._rv != opened_rv))
        return action

    # Lines

    async def _read(self, lines: AsyncIterator[bytes]) -> s.Action | None:
        """Read until the stream ends (None) or the watcher wants something else."""
        self.error = None
        async for line in lines:
            action = self._line(line)
            if action is not None:
                return action
            if not self.lines % _BREATHER:
                await asyncio.sleep(0)
        return None

    async def _read_list(self, lines: AsyncIterator[bytes]) -> s.Action | None:
        """As :meth:`_read`, but give up when the stream falls silent before the list is complete."""
        patience, armed = self._options.end_mark_timeout, self._time()
        limit = asyncio.timeout(patience)
        try:
            async with limit:
                async for line in lines:
                    action = self._line(line)
                    if action is not None:
                        return action
                    if self._state.phase is s.Phase.LIVE:
                        break
                    if self._time() - armed > _REARM:
                        armed = self._time()
                        limit.reschedule(armed + patience)
                    if not self.lines % _BREATHER:
                        await asyncio.sleep(0)
                else:
                    return None
        except TimeoutError:
            if not limit.expired():
                raise
            return self._step(s.MarkMissing())
        return await self._read(lines)

    def _line(self, line: bytes) -> s.Action | None:
        """Take one line; returns what to do instead of reading on, if anything."""
        self.lines += 1
        self.last_line = self._time()
        try:
            event = self._decode(line)
            kind = event.type
            if kind in _SPECIAL:
                return self._special(event, len(line))
            obj: Any = event.object  # what a change carries has metadata
            rv = parse_rv(obj.metadata.resource_version)
        except (ResponseError, s.WatchError) as error:
            return self._step(s.Failed(error))
        self.events[kind] += 1
        self._observer.event(self._kind, kind, len(line))
        # Two short cuts past the watcher's values: what it answers to Changed while live, and to additions to a list.
        phase = self._state.phase
        if phase is _LIVE and (kind in PUTS or kind == REMOVES):
            store = self._store
            changes = store.put(obj, rv) if kind in PUTS else store.remove(obj, rv)
            if changes:
                self._dispatcher.deliver(changes)
            self._rv = live_event(self._rv, rv)
            store.advance(self._scope.namespace, self._rv)
            self._dispatcher.progressed()
            return None
        if phase is _STREAMING and kind in PUTS:
            self._store.stage(self._scope.namespace, ((obj, rv),))
            return None
        return self._step(s.Changed(kind, obj, rv))

    def _special(self, event: WatchEvent[Any], size: int) -> s.Action | None:
        self.events[event.type] += 1
        self._observer.event(self._kind, event.type, size)
        if isinstance(event.object, Bookmark):
            rv = parse_rv(event.object.resource_version)
            return self._step(s.Bookmarked(rv, end=event.object.initial_events_end))
        if isinstance(event.object, ErrorStatus):
            return self._step(s.Failed(event.object.to_error(f"watch {self._kind.kind}")))
        return None

    # The watcher

    def _step(self, signal: s.Input) -> s.Action | None:
        """Ask the watcher, do what it wants of the store, and return what it wants of the network."""
        state = self._state
        if state.phase is s.Phase.LIVE and state.rv != self._rv:
            state = replace(state, rv=self._rv)
        now = self._time()
        if isinstance(signal, s.Failed):
            self.error = signal.error
            if self._optional and isinstance(signal.error, NotFoundError):
                self._missing()
        elif isinstance(signal, s.Opened) and state.phase is s.Phase.LIVE:
            self._known()  # any other watch has a list to fill in first
        self._state, outputs = step(state, signal, now=now, draw=self._jitter(), options=self._options)
        action: s.Action | None = None
        for output in outputs:
            match output:
                case s.Report():
                    self._report(output)
                case s.Begin() | s.Stage() | s.Unstage() | s.Swap() | s.Put() | s.Remove() | s.Progress():
                    self._operate(output)
                case _:
                    action = output
        return action

    def _operate(self, operation: s.StoreOperation) -> None:
        scope, store = self._scope.namespace, self._store
        match operation:
            case s.Begin():
                store.begin(scope)
            case s.Stage(objects=objects):
                store.stage(scope, objects)
            case s.Unstage(object=obj, rv=rv):
                store.unstage(scope, obj, rv)
            case s.Swap(rv=rv, rewind=rewind):
                self._swap(rv, rewind=rewind)
            case s.Put(object=obj, rv=rv):
                self._dispatcher.deliver(store.put(obj, rv))
            case s.Remove(object=obj, rv=rv):
                self._dispatcher.deliver(store.remove(obj, rv))
            case s.Progress(rv=rv):
                self._rv = rv
                store.advance(scope, rv)
                self._dispatcher.progressed()

    def _swap(self, rv: int, *, rewind: bool) -> None:
        initial = not self.synced.is_set()
        before = self._rv
        changes = self._store.swap(self._scope.namespace, rv, rewind=rewind, initial=initial)
        if rewind:
            _log.warning("the cluster went back in time", **self._names(), known=before, found=rv, changes=len(changes))
        # Complete before anybody is told: handlers and whoever awaits the sync see the whole list.
        self._rv = rv
        self._store.advance(self._scope.namespace, rv)
        self.error = None
        self.absent = False
        self.synced.set()
        self._dispatcher.deliver(changes)
        _log.info("listed", **self._names(), resource_version=rv, objects=len(self._store), changes=len(changes))

    def _known(self) -> None:
        if self.absent:
            self.absent = False
            self._dispatcher.progressed()

    def _missing(self) -> None:
        """The server does not know the kind. What was listed before stays: no error means that objects are gone."""
        if not self.absent:
            _log.info("the cluster does not know this kind; it is asked again", **self._names())
        self.absent = True
        self.error = None
        self.synced.set()
        self._dispatcher.progressed()

    def _report(self, report: s.Report) -> None:
        """Count and log what happened to the watch."""
        if report.event == "relist":
            self.relists[report.reason] += 1
            self._observer.relisted(self._kind, report.reason)
        elif report.event == "restart":
            self.restarts[report.reason] += 1
            self._observer.restarted(self._kind, report.reason)
        usual = self.absent or (report.error is None and report.reason in ("start", "ended"))
        level = _log.debug if usual else _log.warning
        level(
            f"watch: {report.event}",
            **self._names(),
            reason=report.reason,
            wait=round(report.wait, 3),
            error=str(report.error) if report.error else None,
        )

    def _names(self) -> dict[str, str]:
        scope = self._scope
        names = {"kind": self._kind.resource, "namespace": scope.namespace, "selector": scope.label_selector}
        return {name: value for name, value in names.items() if value}


async def _following(pages: AsyncIterator[Page[R]] | None) -> Page[R]:
    """The next page, which must exist."""
    page = None if pages is None else await anext(pages, None)
    if page is None:
        raise s.WatchError("the list ended before its last page")
    return page


async def _close(pages: AsyncIterator[Page[R]] | None) -> None:
    """Give up a list that may not have been read to its end."""
    close = getattr(pages, "aclose", None)
    if close is not None:
        await close()
