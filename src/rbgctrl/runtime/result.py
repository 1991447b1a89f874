"""What a reconcile is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias

from rbgctrl.api.meta import Key

__all__ = ["DONE", "Priority", "Reconciler", "Request", "Result", "TerminalError"]

Request: TypeAlias = Key
"""Which object to look at. It carries no event: a reconcile compares wanted with observed, whatever woke it."""


class Priority(IntEnum):
    """Lanes of the work queue: what a user is waiting for, and what can wait (initial lists, resyncs)."""

    NORMAL = 0
    LOW = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What should happen to the key next; the default is nothing until something changes.

    Attributes:
        requeue_after: seconds until the key is looked at again.
        priority: lane for that requeue; None keeps the one it ran with.
        because: why, for the log.
    """

    requeue_after: float | None = None
    priority: Priority | None = None
    because: str = ""


DONE = Result()
"""Nothing more to do until a watched object changes."""


class TerminalError(Exception):
    """Raised by a reconciler when retrying cannot help: counted, logged, not retried until the object changes."""


class Reconciler(Protocol):
    """Brings one object to its wanted state. Must be idempotent; called for one key by one worker at a time."""

    async def reconcile(self, request: Request) -> Result:
        """Compare wanted with observed and act. Raise to be retried with backoff."""
        ...
