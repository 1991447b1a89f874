"""What an informer needs of the outside: something to list and watch, and someone to tell what was counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from rbgctrl.api.meta import Kind, Resource
from rbgctrl.client.decode import Page
from rbgctrl.client.transport import ApiStream

__all__ = ["InformerObserver", "ListerWatcher", "Silent"]

R = TypeVar("R", bound=Resource)


class ListerWatcher(Protocol):
    """Lists and watches; :class:`~rbgctrl.client.client.Client` does, and an embedder may bring its own.

    Failures are raised as the errors of :mod:`rbgctrl.client.errors`; anything else counts as an unreadable answer.
    """

    def pages(
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
        """The pages of a list, all of one snapshot; the last one has no continue token."""
        ...

    def watch(
        self,
        kind: type[R],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout_seconds: int,
        send_initial_events: bool = False,
    ) -> AbstractAsyncContextManager[ApiStream]:
        """An open watch: raw lines, each one event. With ``send_initial_events`` it begins with a list."""
        ...


class InformerObserver(Protocol):
    """Called synchronously on the loop; must be quick and must not raise."""

    def event(self, kind: Kind[Any], event: str, size: int) -> None:
        """A line of a watch arrived: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and its bytes."""
        ...

    def relisted(self, kind: Kind[Any], reason: str) -> None:
        """Everything is being listed: ``start``, ``expired``, ``rewind``, ``unreadable`` or ``refused``."""
        ...

    def restarted(self, kind: Kind[Any], reason: str) -> None:
        """A watch is opened again: ``ended``, ``short``, ``bookmark``, ``timeout`` (silence), ``reset`` or a status."""
        ...


class Silent:
    """An observer that looks away."""

    def event(self, kind: Kind[Any], event: str, size: int) -> None:
        """Ignore it."""

    def relisted(self, kind: Kind[Any], reason: str) -> None:
        """Ignore it."""

    def restarted(self, kind: Kind[Any], reason: str) -> None:
        """Ignore it."""
