"""What queues, controllers and barriers tell whoever measures them.

Each method does nothing by default: subclass and override what you need. One observer serves one
controller, so nothing here carries its name. Calls are made on the event loop's thread and must not block or raise.
"""

from __future__ import annotations

from enum import Enum

from rbgctrl.runtime.result import Priority

__all__ = ["BarrierObserver", "ControllerObserver", "Outcome", "QueueObserver"]


class Outcome(Enum):
    """How one reconcile ended. ``TERMINAL``, ``TIMEOUT`` and ``ERROR`` are errors; ``CANCELLED`` is a shutdown."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    ERROR = "error"
    TERMINAL = "terminal"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    PANIC = "panic"


class QueueObserver:
    """Hears of each step of a key through a work queue. Depths are read from ``WorkQueue.statistics()``."""

    def added(self, priority: Priority) -> None:
        """A key that was not waiting became ready (or dirty, while it is being processed)."""

    def retried(self) -> None:
        """A key was scheduled for later, by backoff or by request."""

    def got(self, priority: Priority, waited: float) -> None:
        """A worker took a key that had been ready for ``waited`` seconds."""

    def finished(self, seconds: float) -> None:
        """A worker was done with a key after ``seconds``."""


class ControllerObserver:
    """Hears of each reconcile of a controller."""

    def reconcile_started(self) -> None:
        """A worker became active."""

    def reconcile_finished(self, outcome: Outcome, seconds: float) -> None:
        """The worker is idle again; the reconcile took ``seconds``. Called once for each start."""

    def handler_failed(self) -> None:
        """A handler or predicate raised: the change it was given woke nobody."""


class BarrierObserver:
    """Hears of keys that wait for the cache to show their own writes."""

    def parked(self) -> None:
        """A key was parked."""

    def woken(self, seconds: float) -> None:
        """A parked key may run again, or its controller ended; it waited ``seconds``."""

    def timed_out(self) -> None:
        """A parked key waited too long: from now on its objects are read from the API server."""
