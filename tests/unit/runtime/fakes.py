"""Small stand-ins for what stands around queue, controller and barrier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from rbgctrl.api.meta import Key, Kind, ObjectMeta, OwnerReference, Resource
from rbgctrl.informers.change import Change, ChangeType
from rbgctrl.runtime.observers import BarrierObserver, ControllerObserver, Outcome, QueueObserver
from rbgctrl.runtime.result import DONE, Priority, Request, Result

A, B, C = (Key("ns", name) for name in "abc")


class Thing(Resource, frozen=True, kw_only=True):
    """A kind of custom resource."""

    KIND: ClassVar[Kind[Any]] = Kind("test.example", "v1", "Thing", "things")

    spec: int = 0
    status: int = 0


class Other(Resource, frozen=True, kw_only=True):
    """A kind that nobody watches."""

    KIND: ClassVar[Kind[Any]] = Kind("test.example", "v1", "Other", "others")


def thing(
    name: str = "a",
    *,
    namespace: str = "ns",
    uid: str = "",
    rv: int = 1,
    spec: int = 0,
    status: int = 0,
    generation: int = 1,
    deleting: bool = False,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owners: tuple[OwnerReference, ...] = (),
) -> Thing:
    meta = ObjectMeta(
        name=name,
        namespace=namespace,
        uid=uid or f"uid-{name}",
        resource_version=str(rv),
        generation=generation,
        deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
        labels=labels or {},
        annotations=annotations or {},
        owner_references=owners,
    )
    return Thing(metadata=meta, spec=spec, status=status)


def added(obj: Any, *, initial: bool = False) -> Change[Any]:
    return Change(ChangeType.ADDED, None, obj, initial=initial)


def updated(old: Any, new: Any, *, resync: bool = False) -> Change[Any]:
    return Change(ChangeType.UPDATED, old, new, resync=resync)


def removed(obj: Any) -> Change[Any]:
    return Change(ChangeType.DELETED, obj, None)


class FakeStore:
    def __init__(self) -> None:
        self.objects: dict[Key, Any] = {}
        self.rv = 0

    def get(self, key: Key) -> Any:
        return self.objects.get(key)

    def invalid(self, key: Key) -> Any:
        return None

    def progress(self, namespace: str = "") -> int:
        return self.rv


class FakeInformer:
    """An informer that is told by hand what the watch brings."""

    def __init__(self, kind: type[Any] = Thing, selector: str = "") -> None:
        self.kind = kind
        self.store = FakeStore()
        self.handlers: list[Callable[[Change[Any]], None]] = []
        self.callbacks: list[Callable[[], None]] = []
        self.selector = selector
        self.listed = asyncio.Event()

    def add_handler(self, handler: Callable[[Change[Any]], None]) -> None:
        self.handlers.append(handler)
        for obj in tuple(self.store.objects.values()):
            handler(added(obj, initial=True))

    async def wait_synced(self) -> None:
        await self.listed.wait()

    def matches(self, obj: Any) -> bool:
        return not self.selector or self.selector in obj.metadata.labels

    def on_progress(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def deliver(self, change: Change[Any]) -> None:
        """A change comes in."""
        obj = change.obj
        if change.new is None:
            self.store.objects.pop(change.key, None)
        else:
            self.store.objects[change.key] = obj
        for handler in self.handlers:
            handler(change)
        self.advance(max(self.store.rv, obj.metadata.rv))

    def advance(self, rv: int) -> None:
        """A bookmark comes in."""
        self.store.rv = rv
        for callback in self.callbacks:
            callback()

    def observe(self, obj: Any) -> None:
        held = self.store.get(obj.key)
        if obj.metadata.rv > self.store.rv and (held is None or held.metadata.rv < obj.metadata.rv):
            self.store.objects[obj.key] = obj
            for handler in self.handlers:
                handler(added(obj) if held is None else updated(held, obj))
            for callback in self.callbacks:
                callback()

    def observe_deleted(self, obj: Any) -> None:
        held = self.store.get(obj.key)
        if held is not None and held.uid == obj.uid:
            del self.store.objects[obj.key]
            for handler in self.handlers:
                handler(removed(held))
            for callback in self.callbacks:
                callback()


class FakeCache:
    """Informers by kind; ``deaf`` makes it ignore write-through, as an informer does that cannot judge its scope."""

    def __init__(self, *informers: FakeInformer) -> None:
        self.informers = informers
        self.deaf = False

    def find(self, kind: type[Any]) -> tuple[FakeInformer, ...]:
        return tuple(informer for informer in self.informers if informer.kind is kind)

    def observe(self, obj: Any) -> None:
        for informer in self.find(type(obj)):
            if informer.matches(obj) and not self.deaf:
                informer.observe(obj)

    def observe_deleted(self, obj: Any) -> None:
        for informer in self.find(type(obj)):
            if not self.deaf:
                informer.observe_deleted(obj)


class FakeServer:
    """Answers live reads from a table; ``failures`` are raised first, one for each read."""

    def __init__(self, *objects: Any) -> None:
        self.objects: dict[Key, Any] = {obj.key: obj for obj in objects}
        self.failures: list[Exception] = []
        self.reads: list[Key] = []

    async def read(self, kind: type[Resource], key: Key) -> Any:
        self.reads.append(key)
        await asyncio.sleep(0.01)
        if self.failures:
            raise self.failures.pop(0)
        return self.objects.get(key)


class Script:
    """A reconciler that does what each request's function says, and keeps what happened when."""

    def __init__(self, act: Callable[[Request], Awaitable[Result | None]] | None = None) -> None:
        self.act = act
        self.calls: list[tuple[Request, float]] = []
        self.running: set[Request] = set()
        self.most = 0

    async def reconcile(self, request: Request) -> Result:
        assert request not in self.running, "two workers run one key"
        self.running.add(request)
        self.most = max(self.most, len(self.running))
        self.calls.append((request, asyncio.get_running_loop().time()))
        try:
            return DONE if self.act is None else (await self.act(request)) or DONE
        finally:
            self.running.discard(request)

    @property
    def requests(self) -> list[Request]:
        return [request for request, _ in self.calls]

    @property
    def times(self) -> list[float]:
        return [round(moment, 6) for _, moment in self.calls]


class QueueDiary(QueueObserver):
    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def added(self, priority: Priority) -> None:
        self.lines.append(("added", priority))

    def retried(self) -> None:
        self.lines.append(("retried",))

    def got(self, priority: Priority, waited: float) -> None:
        self.lines.append(("got", priority, round(waited, 6)))

    def finished(self, seconds: float) -> None:
        self.lines.append(("finished", round(seconds, 6)))


class ControllerDiary(ControllerObserver):
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.active = 0
        self.failed_handlers = 0

    def reconcile_started(self) -> None:
        self.active += 1

    def reconcile_finished(self, outcome: Outcome, seconds: float) -> None:
        self.active -= 1
        self.outcomes.append(outcome)

    def handler_failed(self) -> None:
        self.failed_handlers += 1


class BarrierDiary(BarrierObserver):
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def parked(self) -> None:
        self.lines.append("parked")

    def woken(self, seconds: float) -> None:
        self.lines.append(("woken", round(seconds, 6)))

    def timed_out(self) -> None:
        self.lines.append("timed out")
