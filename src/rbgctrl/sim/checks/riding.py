"""Checks for tests that know nothing of them: every cluster and every manager on it is watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rbgctrl.client import Client
from rbgctrl.runtime.manager import Manager
from rbgctrl.sim.checks.bounds import child_counts, wanted_children
from rbgctrl.sim.checks.errors import BrokenPromiseError
from rbgctrl.sim.checks.timeline import Timeline
from rbgctrl.sim.checks.witness import Witness
from rbgctrl.sim.cluster import EmbeddedCluster, observer

__all__ = ["Riding", "ride_along"]


class Riding:
    """Watches every cluster made while it rides along.

    Attributes:
        witnesses: one for each manager.
    """

    def __init__(self) -> None:
        self.witnesses: list[Witness] = []
        self._timelines: dict[EmbeddedCluster, Timeline] = {}
        self._waiting: dict[Client, Witness] = {}

    def started(self, cluster: EmbeddedCluster) -> None:
        """A cluster has started."""
        self._timelines[cluster] = Timeline(cluster.server)

    def connecting(self, cluster: EmbeddedCluster, client: Client) -> Client:
        """Note what a manager writes through ``client``."""
        witness = Witness("manager", cluster.server.storage)
        self.witnesses.append(witness)
        noted = client.with_transport(witness.transport(client.transport))
        self._waiting[noted] = witness
        return noted

    def running(self, cluster: EmbeddedCluster, manager: Manager) -> None:
        """Watch a manager's informers and controllers."""
        del cluster
        witness = self._waiting.pop(manager.client, None)
        if witness is not None:
            witness.attach(manager)

    def verify(self) -> None:
        """Check what must hold throughout.

        Raises:
            BrokenPromiseError: something does not hold.
        """
        found = [sentence for witness in self.witnesses for sentence in witness.violations]
        for timeline in self._timelines.values():
            found += child_counts(timeline)
            found += wanted_children(timeline, ("rbgctrl",))
        if found:
            raise BrokenPromiseError("\n".join(dict.fromkeys(found)))


@contextmanager
def ride_along() -> Iterator[Riding]:
    """Watch every cluster made within this context; call :meth:`Riding.verify` after it.

    Managers made by :meth:`EmbeddedCluster.manager` and run by :meth:`EmbeddedCluster.running` are watched, too.
    """
    riding = Riding()
    token = observer.set(riding)
    try:
        yield riding
    finally:
        observer.reset(token)
