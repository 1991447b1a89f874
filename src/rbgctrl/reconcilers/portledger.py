"""Which ports are in use, so that two reconciles that run at the same time never give out the same one.

What is written is found in the caches. What is decided and not written yet is held here, for the short time in between;
nothing else is kept, so a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final
from weakref import WeakKeyDictionary

from rbgctrl.api.instances import RoleInstance
from rbgctrl.graph.indexes import PORT
from rbgctrl.graph.view import Sources
from rbgctrl.informers import Informer
from rbgctrl.plan.model import Plan
from rbgctrl.plan.ports import granted
from rbgctrl.reconcilers.sources import Informers
from rbgctrl.runtime.result import Request

__all__ = ["PortLedger", "Ports", "ledger_of"]


class Ports:
    """The ports in use as one request sees them: a container to be asked, never listed."""

    def __init__(self, sources: Sources, decided: Container[int]) -> None:
        self._sources = sources
        self._decided = decided

    def __contains__(self, port: object) -> bool:
        value = str(port)
        return (
            port in self._decided
            or bool(self._sources.instances.by(PORT, value))
            or bool(self._sources.sets.by(PORT, value))
        )


class PortLedger:
    """Ports that were decided on and are not in the cache yet, of all reconcilers that share a cache.

    Args:
        sources: where what is written is found.

    Example::

        plan = decide(node, used=ledger.open(self, request))
        ledger.enter(self, request, plan)
        await executor.apply(plan, request)
        ledger.close(self, request)
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._decided: dict[tuple[str, Request], frozenset[int]] = {}

    def open(self, who: str, request: Request) -> Ports:
        """Begin to decide for a request; what was decided for it before has been written, or never will be."""
        self.close(who, request)
        decided: set[int] = set()
        for ports in self._decided.values():
            decided |= ports
        return Ports(self._sources, decided)

    def enter(self, who: str, request: Request, plan: Plan) -> None:
        """Hold the ports that a plan gives away.

        They are held until the request is opened again or closed, so that a write whose outcome is not known keeps
        them: its object is read before its key is looked at again.
        """
        ports = granted(plan.actions)
        if ports:
            self._decided[who, request] = ports

    def close(self, who: str, request: Request) -> None:
        """The plan was carried out, or its object is gone."""
        self._decided.pop((who, request), None)


_LEDGERS: Final[WeakKeyDictionary[Informer[RoleInstance], PortLedger]] = WeakKeyDictionary()


def ledger_of(informers: Informers) -> PortLedger:
    """The ledger of everybody who reads from the same cache."""
    found = _LEDGERS.get(informers.instances)
    if found is None:
        found = _LEDGERS[informers.instances] = PortLedger(informers.sources)
    return found
