"""Forgetting old changes, as etcd is made to every few minutes."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from rbgctrl.clock import Now
from rbgctrl.sim.storage import Storage, StoredEvent

__all__ = ["Compactor"]

_STEPS = 5


class Compactor:
    """Keeps at least the changes of one window, and forgets those before in steps of a fifth of it.

    Args:
        storage: what to compact.
        now: the clock of the window.
        seconds: how far back watches can resume and old snapshots be read.
    """

    def __init__(self, storage: Storage, now: Now, seconds: float) -> None:
        self._storage = storage
        self._now = now
        self._window = timedelta(seconds=seconds)
        self._next: datetime | None = None
        self._marks: deque[tuple[datetime, int]] = deque()
        storage.subscribe(self._on_event)

    def _on_event(self, event: StoredEvent) -> None:
        now = self._now()
        if self._next is not None and now < self._next:
            return
        self._next = now + self._window / _STEPS
        self._marks.append((now, event.revision - 1))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._window:
            self._marks.popleft()
        if self._marks[0][0] <= now - self._window:
            self._storage.compact(self._marks[0][1])
