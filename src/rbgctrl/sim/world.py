"""An embedded cluster with the whole daemon on it, somebody who uses it, and promises that are checked all along.

Example::

    async def scenario() -> None:
        async with World() as world:
            await world.start()
            await world.apply(group)
            await world.until(lambda: world.is_ready("llm"))

    rbgctrl.sim.loop.run(scenario())

Leaving the context waits for the cluster to come to rest and raises what :mod:`rbgctrl.sim.checks` found.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - seeded: the same seed gives the same run
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from rbgctrl import reconcilers
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key, Resource
from rbgctrl.client import Client, NotFoundError, Retrying
from rbgctrl.client.transport import Transport
from rbgctrl.runtime.leader import LeaseElector
from rbgctrl.runtime.manager import Manager, ManagerOptions
from rbgctrl.sim.chaos.faults import AnyFault
from rbgctrl.sim.chaos.trace import Trace
from rbgctrl.sim.chaos.transport import Chaos
from rbgctrl.sim.checks import BrokenPromiseError, Timeline, Witness, child_counts, leadership, wanted_children
from rbgctrl.sim.cluster import ClusterOptions, EmbeddedCluster, observer
from rbgctrl.sim.process import Process
from rbgctrl.sim.storage import Obj

__all__ = ["Daemon", "World", "WorldOptions"]

LEASE: Final = "kube-system/rbg-controller"
GROUPS: Final = RoleBasedGroup.KIND.resource
_USER: Final = "somebody"

Build = Callable[[Manager], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What a world is like.

    Attributes:
        cluster: see :class:`~rbgctrl.sim.cluster.ClusterOptions`.
        manager: of every daemon.
        build: adds the controllers to a manager; the product's own by default.
        elect: whether daemons take a lease before they work.
        late_creates: seconds a daemon may take to learn that fewer children are wanted; see
            :func:`~rbgctrl.sim.checks.child_counts`.
        late_deletes: seconds a daemon may take to learn that a child is wanted again; see
            :func:`~rbgctrl.sim.checks.wanted_children`.
        quiet: seconds without a write after which everything counts as at rest; longer than anybody pauses.
    """

    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(nodes=4))
    manager: ManagerOptions = field(default_factory=ManagerOptions)
    build: Build = reconcilers.add_all
    elect: bool = False
    late_creates: float = 5.0
    late_deletes: float = 0.5
    quiet: float = 10.0


class Daemon:
    """One process of the controller on the cluster.

    Args:
        world: where it runs.
        name: also its user in the audit log and its identity in the lease.
        faults: what its connection suffers from the start.
        seed: decides the chances of faults and the jitter of the daemon.
        trace: where decisions about faults are written.

    Attributes:
        manager: what it runs.
        chaos: its connection; arm faults with ``chaos.rules.add``.
        process: kill or freeze it here.
        witness: what was seen of it.
        crashed: set when a :class:`~rbgctrl.sim.chaos.Crash` struck.
    """

    def __init__(
        self, world: World, name: str, *, faults: Iterable[AnyFault] = (), seed: int = 0, trace: Trace | None = None
    ) -> None:
        cluster, options = world.cluster, world.options
        chance = random.Random(f"{seed}/{name}").random  # noqa: S311 - not a secret
        self.name = name
        self.crashed = asyncio.Event()
        self.process = Process(name)
        self.witness = Witness(name, cluster.server.storage)
        self.chaos = Chaos(
            cluster.server.transport(user=name, agent="rbg"), faults, seed=seed, trace=trace, on_crash=self.crashed.set
        )
        connection: Transport = Retrying(self.chaos, jitter=chance)
        clock = asyncio.get_running_loop().time
        elector = None
        client = Client(self.witness.transport(connection))
        if options.elect:
            elector = LeaseElector(
                Client(connection), LEASE, identity=name, now=cluster.now, monotonic=clock, jitter=chance
            )
        self.manager = Manager(client, elector=elector, options=options.manager, now=cluster.now, jitter=chance)
        options.build(self.manager)
        self.witness.attach(self.manager)
        self._ended = False

    @property
    def working(self) -> bool:
        """Whether its controllers have begun."""
        return all(controller.ready for controller in self.manager.controllers)

    @property
    def alive(self) -> bool:
        """Whether it runs and is meant to."""
        return self.process.running and not self._ended and not self.chaos.dead

    def launch(self) -> None:
        """Start it."""
        self.process.start(self.manager.run)

    async def kill(self) -> None:
        """End it as SIGKILL does."""
        self._ended = True
        self.chaos.dead = True
        await self.process.kill()

    async def stop(self) -> None:
        """End it as SIGTERM does, in good order. Raises what its manager raises."""
        self._ended = True
        self.manager.stop()
        if self.process.main is not None:
            await self.process.main

    def check(self) -> None:
        """Raise what ended it, unless it was killed, stopped or crashed on purpose."""
        main = self.process.main
        if main is not None and main.done() and not self._ended and not self.chaos.dead:
            main.result()
            msg = f"{self.name} ended by itself"
            raise BrokenPromiseError(msg)


class World:
    """A cluster, daemons, a user, and checks. An async context manager, for virtual time.

    Args:
        options: see :class:`WorldOptions`.

    Attributes:
        cluster: the embedded cluster.
        timeline: every change and request so far.
        daemons: every daemon so far, dead ones included.
        user: a client for whoever uses the cluster.
        suspects: sentences about broken promises found so far; leaving the context raises them.
    """

    def __init__(self, options: WorldOptions | None = None) -> None:
        self.options = options or WorldOptions()
        self.cluster = EmbeddedCluster(self.options.cluster)
        self.daemons: list[Daemon] = []
        self.suspects: list[str] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        token = observer.set(None)  # this world checks for itself
        try:
            await self.cluster.__aenter__()
        finally:
            observer.reset(token)
        self.timeline = Timeline(self.cluster.server)
        self.cluster.server.storage.subscribe(lambda _: self._news.set())
        self.user = self.cluster.client(user=_USER, field_manager="kubectl")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.settle()
                self.verify()
        finally:
            for daemon in self.daemons:
                await daemon.kill()
            await self.cluster.__aexit__(kind, error, trace)

    # Daemons

    async def start(
        self,
        name: str = "rbgctrl",
        *,
        faults: Iterable[AnyFault] = (),
        seed: int = 0,
        trace: Trace | None = None,
        working: bool = True,
    ) -> Daemon:
        """Start a daemon.

        Args:
            name: see :class:`Daemon`.
            faults: see :class:`Daemon`.
            seed: see :class:`Daemon`.
            trace: see :class:`Daemon`.
            working: wait until its controllers have begun.
        """
        daemon = Daemon(self, name, faults=faults, seed=seed, trace=trace)
        self.daemons.append(daemon)
        daemon.launch()
        if working:
            await self.until(lambda: daemon.working, what=f"{name} works")
        return daemon

    # Whoever uses the cluster

    def get(self, resource: str, name: str, namespace: str = "default") -> Obj | None:
        """An object as it is stored, or None. Never change it."""
        return self.cluster.server.storage.get(resource, Key(namespace, name))

    def objects(self, resource: str, namespace: str = "default") -> list[Obj]:
        """Objects as they are stored, in order of their names."""
        return self.cluster.server.storage.list(resource, namespace)

    def names(self, resource: str, namespace: str = "default") -> list[str]:
        """Names of the objects that are not being deleted."""
        return [
            obj["metadata"]["name"]
            for obj in self.objects(resource, namespace)
            if "deletionTimestamp" not in obj["metadata"]
        ]

    async def apply(self, body: Mapping[str, Any], kind: type[Resource] = RoleBasedGroup) -> None:
        """Create or change an object as ``kubectl apply --server-side`` does."""
        meta = body["metadata"]
        await self.user.apply(kind, Key(meta.get("namespace", "default"), meta["name"]), body)

    async def delete(self, name: str, kind: type[Resource] = RoleBasedGroup, namespace: str = "default") -> None:
        """Delete an object and wait until it is gone."""
        key = Key(namespace, name)
        with suppress(NotFoundError):
            await self.user.delete(kind, key)
        await self.until(lambda: self.get(kind.KIND.resource, name, namespace) is None, what=f"{key} is gone")

    def is_ready(self, name: str, namespace: str = "default") -> bool:
        """Whether a group is Ready for the spec it has now."""
        found = self.get(GROUPS, name, namespace) or {}
        generation = (found.get("metadata") or {}).get("generation")
        conditions = (found.get("status") or {}).get("conditions") or ()
        return any(
            item["type"] == "Ready" and item["status"] == "True" and item.get("observedGeneration") == generation
            for item in conditions
        )

    # Waiting

    async def until(self, predicate: Callable[[], bool], *, within: float = 900.0, what: str = "") -> None:
        """Return once ``predicate`` holds; it is asked after every change, and every second.

        Raises:
            TimeoutError: it does not hold in time.
            BrokenPromiseError: a daemon ended meanwhile.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + within
        while not predicate():
            for daemon in self.daemons:
                daemon.check()
            if clock() >= deadline:
                msg = f"not within {within:g} s: {what or predicate}"
                raise TimeoutError(msg)
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._news.wait()

    async def settle(self, *, quiet: float | None = None, within: float = 3600.0) -> None:
        """Return once nothing has been written for a while; see :meth:`EmbeddedCluster.settle`."""
        await self.cluster.settle(quiet=self.options.quiet if quiet is None else quiet, within=within)

    async def stay_quiet(self, minutes: float = 10.0) -> None:
        """Come to rest, then make sure that no daemon writes anything more, neither by itself nor on a resync.

        Raises:
            BrokenPromiseError: one does.
        """
        await self.settle()
        mark = len(self.timeline.asked)
        await asyncio.sleep(minutes * 60)
        self._expect_nothing(mark, f"in {minutes:g} quiet minutes")
        mark = len(self.timeline.asked)
        for daemon in self.daemons:
            if daemon.alive:
                for informer in daemon.manager.cache.informers():
                    informer.resync()
        await asyncio.sleep(60)
        self._expect_nothing(mark, "on a resync")

    def _expect_nothing(self, mark: int, when: str) -> None:
        names = {daemon.name for daemon in self.daemons}
        written = [str(asked) for asked in self.timeline.asked[mark:] if asked.counts and asked.user in names]
        if written:
            raise BrokenPromiseError(f"written {when}: " + "; ".join(written[:5]))

    # Checking

    def verify(self) -> None:
        """Check everything that must hold at rest and throughout.

        Raises:
            BrokenPromiseError: something does not hold.
        """
        for daemon in self.daemons:
            daemon.check()
            if daemon.alive and not daemon.process.frozen:
                daemon.witness.agree()
            self.suspects += daemon.witness.violations
            daemon.witness.violations.clear()
        names = {daemon.name: daemon.name for daemon in self.daemons}
        self.suspects += child_counts(self.timeline, slack=self.options.late_creates)
        self.suspects += wanted_children(self.timeline, names, slack=self.options.late_deletes)
        if self.options.elect:
            self.suspects += leadership(self.timeline, names, LEASE)
        found, self.suspects = self.suspects, []
        if found:
            raise BrokenPromiseError("\n".join(dict.fromkeys(found)))
