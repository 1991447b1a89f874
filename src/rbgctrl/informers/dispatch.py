"""Telling handlers, in order and without letting any of them harm the rest."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import structlog

from rbgctrl.api.meta import Resource
from rbgctrl.client.decode import Invalid
from rbgctrl.informers.change import Change, Handler

__all__ = ["Dispatcher"]

R = TypeVar("R", bound=Resource)

_log = structlog.get_logger(__name__)


class Dispatcher(Generic[R]):
    """Handlers and progress callbacks of one informer.

    Guarantees: every handler sees the changes in the order of the store, also when a handler causes further changes;
    one that raises is logged and counted, and the others are called all the same.

    Args:
        name: of the informer, for logs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._handlers: tuple[Handler[R], ...] = ()
        self._callbacks: tuple[Callable[[], None], ...] = ()
        self._waiting: deque[tuple[Change[R], tuple[Handler[R], ...]]] = deque()
        self._busy = False
        self.failures: Counter[str] = Counter()

    def add_handler(self, handler: Handler[R], present: Iterable[Change[R]]) -> None:
        """Call ``handler`` for every change from now on, beginning with ``present``."""
        for change in present:
            self._waiting.append((change, (handler,)))
        self._handlers = (*self._handlers, handler)
        self.deliver(())

    def on_progress(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the store has changed or is known to be complete up to a later version."""
        self._callbacks = (*self._callbacks, callback)

    def deliver(self, changes: Iterable[Change[R]]) -> None:
        """Tell the handlers. Changes that come up meanwhile are told afterwards."""
        handlers = self._handlers
        if self._busy:
            for change in changes:
                if type(change.new) is Invalid:
                    self._note_invalid(change.new, change)
                self._waiting.append((change, handlers))
            return
        self._busy = True
        try:
            for change in changes:
                if type(change.new) is Invalid:
                    self._note_invalid(change.new, change)
                self._tell(change, handlers)
            while self._waiting:
                self._tell(*self._waiting.popleft())
        finally:
            self._busy = False

    def progressed(self) -> None:
        """Tell the progress callbacks."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - as for handlers
                self._failed(callback, error, None)

    def _tell(self, change: Change[R], handlers: tuple[Handler[R], ...]) -> None:
        for handler in handlers:
            try:
                handler(change)
            except Exception as error:  # noqa: BLE001 - a handler is the embedder's code; the watch must go on
                self._failed(handler, error, change)

    def _failed(self, called: Callable[..., Any], error: Exception, change: Change[R] | None) -> None:
        name = getattr(called, "__qualname__", None) or repr(called)
        self.failures[name] += 1
        count = self.failures[name]
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th…: a handler that always fails must not flood the log
            key = str(change.key) if change is not None else ""
            _log.error("handler failed", informer=self._name, handler=name, object=key, failures=count, exc_info=error)

    def _note_invalid(self, obj: Invalid, change: Change[R]) -> None:
        """Name an object that does not decode in the log, once for each of its versions."""
        if change.resync:
            return
        _log.warning(
            "object does not decode",
            informer=self._name,
            object=str(obj.metadata.key),
            uid=obj.metadata.uid,
            resource_version=obj.metadata.resource_version,
            error=obj.error,
        )
