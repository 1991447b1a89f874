"""List, watch, remember and tell: one informer per kind, scope and selector.

Flow::

    server -> feeder (one per namespace) -> store -> handlers -> progress callbacks
    writes -> observe() ---------------------^

Guarantees: the store is replaced as a whole or not at all; handlers get exactly the difference; nothing is delivered
twice; errors, silence, expired and rewound resourceVersions are survived without help. After ``synced`` the store has
been complete once; what it is complete up to is ``store.rv``.

Assumptions: handlers return at once; resourceVersions of one kind are numbers that grow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Invalid
from rbgctrl.clock import Jitter, jitter
from rbgctrl.informers.change import Change, ChangeType, Handler
from rbgctrl.informers.dispatch import Dispatcher
from rbgctrl.informers.feeder import Feeder, Scope
from rbgctrl.informers.selector import field_matcher, label_matcher
from rbgctrl.informers.signals import InformerOptions, ResourceVersionError
from rbgctrl.informers.source import InformerObserver, ListerWatcher, Silent
from rbgctrl.informers.store import Store
from rbgctrl.informers.watcher import parse_rv
from rbgctrl.informers.writer import WritableStore

__all__ = ["Informer", "InformerStatistics"]

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerStatistics:
    """A snapshot for metrics, probes and tests.

    Attributes:
        objects: objects known to exist, decoding or not.
        invalid: those that do not decode.
        rv: resourceVersion the store is complete up to.
        synced: whether everything has been listed once.
        lines: lines of watches read so far.
        last_event_age: seconds since the last line of the quietest watch, bookmarks included; None before the first.
        events: lines by type.
        relists: lists by reason; the first one is ``start``.
        restarts: watches opened again, by reason.
        failures: exceptions of handlers and progress callbacks, by name.
        error: what is wrong at present, ``""`` when all is well.
    """

    objects: int
    invalid: int
    rv: int
    synced: bool
    lines: int
    last_event_age: float | None
    events: Mapping[str, int]
    relists: Mapping[str, int]
    restarts: Mapping[str, int]
    failures: Mapping[str, int]
    error: str


class Informer(Generic[R]):
    """Mirrors the objects of one kind and tells handlers of every change.

    Args:
        client: where to list and watch; a :class:`~rbgctrl.client.client.Client` or anything alike.
        kind: type of the objects.
        namespace: one namespace, ``""`` for all, or several: then each has its own watch and all feed one store.
        label_selector: in the API's syntax.
        field_selector: in the API's syntax.
        options: timing and sizes.
        jitter: spreads pauses and watch timeouts.
        observer: told of events, lists and restarts.
        optional: the cluster may not know the kind, now or ever: then it counts as synced, with nothing in it, and
            :attr:`served` says no. It goes on asking, and has everything once the kind appears.

    Raises:
        ValueError: a selector is malformed, or a cluster-scoped kind was given a namespace.
    """

    def __init__(
        self,
        client: ListerWatcher,
        kind: type[R],
        *,
        namespace: str | Iterable[str] = "",
        label_selector: str = "",
        field_selector: str = "",
        options: InformerOptions | None = None,
        jitter: Jitter = jitter,
        observer: InformerObserver | None = None,
        optional: bool = False,
    ) -> None:
        self.kind = kind
        self.namespaces = _scopes(kind, namespace)
        self.label_selector = label_selector
        self.field_selector = field_selector
        self._labels_match = label_matcher(label_selector)
        self._fields_match = field_matcher(field_selector)
        options = options or InformerOptions()
        self._store: WritableStore[R] = WritableStore(
            self.namespaces, clock=_loop_time, remember_deleted=options.remember_deleted
        )
        self._dispatcher: Dispatcher[R] = Dispatcher(kind.KIND.resource)
        self._feeders = [
            Feeder(
                client,
                Scope(kind=kind, namespace=name, label_selector=label_selector, field_selector=field_selector),
                self._store,
                self._dispatcher,
                options,
                jitter,
                observer or Silent(),
                optional=optional,
            )
            for name in self.namespaces
        ]
        self._running = False

    @property
    def store(self) -> Store[R]:
        """The objects, to read."""
        return self._store

    @property
    def namespace(self) -> str:
        """The namespace it is limited to; ``""`` for all, and for several (see ``namespaces``)."""
        return self.namespaces[0] if len(self.namespaces) == 1 else ""

    def __repr__(self) -> str:
        limits = (",".join(self.namespaces), self.label_selector, self.field_selector)
        return f"<Informer {' '.join(part for part in (self.kind.KIND.resource, *limits) if part)}>"

    # Life

    async def run(self) -> None:
        """Mirror until cancelled. Nothing the server says or does ends it.

        Raises:
            RuntimeError: it is running already.
        """
        if self._running:
            message = f"{self!r} is running already"
            raise RuntimeError(message)
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                for feeder, name in zip(self._feeders, self.namespaces, strict=True):
                    group.create_task(feeder.run(), name=f"informer {self.kind.KIND.resource} {name}".rstrip())
        finally:
            self._running = False

    @property
    def synced(self) -> bool:
        """Whether everything has been listed once. Reconciling before that deletes what is merely not known yet."""
        return all(feeder.synced.is_set() for feeder in self._feeders)

    @property
    def served(self) -> bool:
        """Whether the cluster knows the kind, as far as is known; what was listed once stays when the kind goes."""
        return not any(feeder.absent for feeder in self._feeders)

    async def wait_synced(self) -> None:
        """Return once everything has been listed."""
        for feeder in self._feeders:
            await feeder.synced.wait()

    # Being told

    def add_handler(self, handler: Handler[R]) -> None:
        """Call ``handler`` for each change from now on; what is there already comes first, as initial additions.

        Handlers are called in the order they were added, after the store has changed. One that raises is logged with
        its name and counted; the others are called all the same.
        """
        present = [Change[R](ChangeType.ADDED, None, obj, initial=True) for obj in self._sorted()]
        self._dispatcher.add_handler(handler, present)

    def on_progress(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each change of the store and each bookmark, when ``store.rv`` tells the new state."""
        self._dispatcher.on_progress(callback)

    def resync(self) -> None:
        """Tell the handlers of every object again, as updates marked ``resync``."""
        self._dispatcher.deliver([Change[R](ChangeType.UPDATED, obj, obj, resync=True) for obj in self._sorted()])

    # Own writes

    def matches(self, obj: Resource) -> bool:
        """Whether the watch would report ``obj``: by namespace, labels, and field selectors on name or namespace.

        Any other field selector only the server can judge; then the answer is no.
        """
        return self._in_namespace(obj) and self._selected(obj)

    def observe(self, obj: R) -> None:
        """Take over the object a write returned, as if the watch had reported it; the later event is then no news.

        Ignored when something newer is known, when it is out of scope, or when the watch has passed that version
        already. An object whose labels no longer match is removed, as the watch would.
        """
        if not self._in_namespace(obj):
            return
        try:
            rv = parse_rv(obj.metadata.resource_version)
        except ResourceVersionError:
            return  # the watch will complain
        if self._selected(obj):
            self._apply(self._store.observe(obj, rv))
        elif self._fields_match is not None and self._store.has_uid(obj.metadata.uid):
            self._apply(self._store.remove(obj, rv))

    def observe_deleted(self, obj: R) -> None:
        """Take out an object that a delete removed at once."""
        if not self._in_namespace(obj):
            return
        try:
            rv = parse_rv(obj.metadata.resource_version)
        except ResourceVersionError:
            return
        self._apply(self._store.remove_surely(obj, rv))

    def _apply(self, changes: Iterable[Change[R]]) -> None:
        if changes:
            self._dispatcher.deliver(changes)
            self._dispatcher.progressed()

    def _in_namespace(self, obj: Resource) -> bool:
        return self.namespaces == ("",) or obj.metadata.namespace in self.namespaces

    def _selected(self, obj: Resource) -> bool:
        if not self._labels_match(obj.metadata.labels):
            return False
        return self._fields_match is not None and self._fields_match(obj.metadata)

    def _sorted(self) -> list[R | Invalid]:
        return sorted(self._store.everything(), key=lambda obj: (obj.metadata.namespace, obj.metadata.name))

    # Numbers

    def statistics(self) -> InformerStatistics:
        """How it is doing."""
        feeders = self._feeders
        ages = [_age(feeder.last_line) for feeder in feeders if feeder.last_line is not None]
        errors = [str(feeder.error) or repr(feeder.error) for feeder in feeders if feeder.error is not None]
        return InformerStatistics(
            objects=len(self._store),
            invalid=self._store.invalid_count,
            rv=self._store.rv,
            synced=self.synced,
            lines=sum(feeder.lines for feeder in feeders),
            last_event_age=max(ages, default=None),
            events=_sum(feeder.events for feeder in feeders),
            relists=_sum(feeder.relists for feeder in feeders),
            restarts=_sum(feeder.restarts for feeder in feeders),
            failures=dict(self._dispatcher.failures),
            error="; ".join(errors),
        )


def _scopes(kind: type[Resource], namespace: str | Iterable[str]) -> tuple[str, ...]:
    names = (namespace,) if isinstance(namespace, str) else tuple(sorted(set(namespace)))
    if not names or "" in names:
        return ("",)
    if not kind.KIND.namespaced:
        message = f"{kind.KIND.kind} is not namespaced; it cannot be limited to {', '.join(names)}"
        raise ValueError(message)
    return names


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _age(moment: float) -> float:
    return max(0.0, _loop_time() - moment)


def _sum(counters: Iterable[Counter[str]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return dict(total)
