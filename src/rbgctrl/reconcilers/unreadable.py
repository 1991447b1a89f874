"""Stored objects that do not decode: each fault is reported once, and nothing else is done about the object."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from rbgctrl.api.meta import ObjectMeta
from rbgctrl.clock import Now
from rbgctrl.informers import Informer
from rbgctrl.plan.model import Plan
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.result import DONE, Request, Result

__all__ = ["Unreadable"]

Report: TypeAlias = Callable[[ObjectMeta, str, datetime], Plan]


class Unreadable:
    """Reports on the objects of one kind.

    Args:
        informer: of the kind.
        report: what to say, from metadata, error and the present.
        executor: how to write.
        now: the wall clock.
    """

    def __init__(self, informer: Informer[Any], report: Report, executor: Executor, now: Now) -> None:
        self._store = informer.store
        self._report = report
        self._executor = executor
        self._now = now
        # Which fault was reported last, so that one is told once; losing it tells it once more.
        self._told: dict[Request, tuple[str, str]] = {}

    async def handle(self, request: Request) -> Result | None:
        """The outcome for an object that does not decode; None for one that does, or is not there."""
        broken = self._store.invalid(request)
        if broken is None:
            self._told.pop(request, None)
            return None
        fault = (f"{broken.uid}/{broken.metadata.generation}", broken.error)
        if self._told.get(request) == fault:
            return DONE
        result = await self._executor.apply(self._report(broken.metadata, broken.error, self._now()), request)
        self._told[request] = fault
        return result
