"""All informers of one process, each shared by whoever needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias, TypeVar, cast

from rbgctrl.api.meta import Resource
from rbgctrl.clock import Jitter, jitter
from rbgctrl.informers.collector import tuned_collector
from rbgctrl.informers.informer import Informer
from rbgctrl.informers.signals import InformerOptions
from rbgctrl.informers.source import InformerObserver, ListerWatcher

__all__ = ["Cache"]

R = TypeVar("R", bound=Resource)

_Limits: TypeAlias = tuple[type[Resource], tuple[str, ...], str, str]


class Cache:
    """One informer per kind, scope and selector.

    Guarantees: asking twice for the same gives the same informer; an informer asked for while running starts at once;
    what a write returned reaches every informer that would report it.

    Args:
        client: where to list and watch; a :class:`~rbgctrl.client.client.Client` or anything alike.
        namespaces: the only namespaces to look into; empty for all. Kinds without a namespace are not limited.
        options: of every informer.
        jitter: spreads pauses and watch timeouts.
        observer: told of events, lists and restarts.
        tune_collector: keep the garbage collector of this process away from the cache; for daemons.
    """

    def __init__(
        self,
        client: ListerWatcher,
        *,
        namespaces: Iterable[str] = (),
        options: InformerOptions | None = None,
        jitter: Jitter = jitter,
        observer: InformerObserver | None = None,
        tune_collector: bool = False,
    ) -> None:
        if isinstance(namespaces, str):
            message = "namespaces is a collection of names; a single string would be taken apart into letters"
            raise TypeError(message)
        self.namespaces = tuple(sorted({name for name in namespaces if name}))
        self._client = client
        self._options = options or InformerOptions()
        self._jitter = jitter
        self._observer = observer
        self._tune_collector = tune_collector
        self._informers: dict[_Limits, Informer[Any]] = {}
        self._by_kind: dict[type[Resource], tuple[Informer[Any], ...]] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(
        self,
        kind: type[R],
        *,
        namespace: str = "",
        selector: str = "",
        field_selector: str = "",
        optional: bool = False,
    ) -> Informer[R]:
        """The informer of a kind, made at the first call.

        Args:
            kind: type of the objects.
            namespace: ``""`` for all, or all the cache is limited to.
            selector: label selector in the API's syntax.
            field_selector: in the API's syntax.
            optional: nothing waits for it while the cluster does not know the kind; see :attr:`Informer.served`. Who
                asks first decides.

        Raises:
            ValueError: a selector is malformed, the kind has no namespaces, or the cache is limited to other ones.
        """
        if namespace and self.namespaces and namespace not in self.namespaces:
            message = f"namespace {namespace!r} is outside {', '.join(self.namespaces)}, to which this cache is limited"
            raise ValueError(message)
        scopes = (namespace,) if namespace or not kind.KIND.namespaced else self.namespaces or ("",)
        limits: _Limits = (kind, scopes, selector, field_selector)
        known = self._informers.get(limits)
        if known is None:
            known = Informer(
                self._client,
                kind,
                namespace=scopes,
                label_selector=selector,
                field_selector=field_selector,
                options=self._options,
                jitter=self._jitter,
                observer=self._observer,
                optional=optional,
            )
            self._informers[limits] = known
            self._by_kind[kind] = (*self._by_kind.get(kind, ()), known)
            self._start(known)
        return cast("Informer[R]", known)

    def informers(self) -> tuple[Informer[Any], ...]:
        """All informers, in the order they were asked for."""
        return tuple(self._informers.values())

    def find(self, kind: type[R]) -> tuple[Informer[R], ...]:
        """The informers of a kind."""
        return self._by_kind.get(kind, ())

    def observe(self, obj: Resource) -> None:
        """Tell every informer of its kind what a write returned; see :meth:`Informer.observe`."""
        for informer in self.find(type(obj)):
            informer.observe(obj)

    def observe_deleted(self, obj: Resource) -> None:
        """Tell every informer of its kind of an object that a delete removed at once."""
        for informer in self.find(type(obj)):
            informer.observe_deleted(obj)

    # Life

    async def run(self) -> None:
        """Run all informers, present and future, until cancelled.

        Raises:
            RuntimeError: it is running already.
        """
        if self._group is not None:
            message = "the cache is running already"
            raise RuntimeError(message)
        try:
            async with AsyncExitStack() as stack:
                if self._tune_collector:
                    await stack.enter_async_context(tuned_collector(self.wait_synced))
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    for informer in self._informers.values():
                        self._start(informer)
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self._group = None  # start nothing more while the others are being cancelled
        finally:
            self._group = None

    def _start(self, informer: Informer[Any]) -> None:
        if self._group is not None:
            self._group.create_task(informer.run(), name=repr(informer))

    @property
    def synced(self) -> bool:
        """Whether every informer has listed everything once."""
        return all(informer.synced for informer in self._informers.values())

    async def wait_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the error names who is missing
        """Return once every informer, those added meanwhile included, has listed everything.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.

        Raises:
            TimeoutError: not in time; the message names the informers that have not synced and why.
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while not self.synced:
                    for informer in self.informers():
                        await informer.wait_synced()
        except TimeoutError:
            late = [informer for informer in self.informers() if not informer.synced]
            reasons = "; ".join(f"{informer!r}: {informer.statistics().error or 'no answer yet'}" for informer in late)
            message = f"not synced after {timeout} s: {reasons}"
            raise TimeoutError(message) from None
