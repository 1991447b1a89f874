"""The whole daemon with one fault: a small group is brought up, scaled and shrunk, and what came of it is a value."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rbgctrl.informers import InformerOptions
from rbgctrl.runtime.manager import ManagerOptions
from rbgctrl.sim import run
from rbgctrl.sim.chaos import AnyFault, Trace
from rbgctrl.sim.checks.timeline import Child
from rbgctrl.sim.outcome import State, differences, state_of
from rbgctrl.sim.world import Daemon, World, WorldOptions
from sim.groups import group, role

__all__ = ["PAGED", "Outcome", "calm", "life", "same_as_calm", "suffer"]

Drive = Callable[[World], Coroutine[Any, Any, None]]

PAGED = WorldOptions(manager=ManagerOptions(informers=InformerOptions(stream_lists=False, page_size=2)))
"""As with a server that cannot stream lists, two objects a page."""


async def life(world: World) -> None:
    """Two dependent roles come up, one grows, both shrink."""
    await world.apply(group("llm", role("prefill", 1), role("decode", 2, "prefill")))
    await world.until(lambda: world.is_ready("llm"))
    await world.apply(group("llm", role("prefill", 1), role("decode", 3, "prefill")))
    await world.until(lambda: world.is_ready("llm"))
    await world.apply(group("llm", role("prefill", 1), role("decode", 1, "prefill")))
    await world.until(lambda: world.is_ready("llm") and world.names("pods") == ["llm-decode-0", "llm-prefill-0"])


@dataclass(kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        state: the end, as :func:`rbgctrl.sim.outcome.state_of`.
        created: how often each object came into being.
        deleted: how often the deletion of each began.
        writes: successful writes of the daemon.
        seconds: virtual time it took until the user had what he wanted.
        reconciles: how many there were.
        informers: how many there are.
        relists: lists by reason, of all informers.
        restarts: watches opened again by reason, of all informers.
        parked: how often a key waited for the cache.
        trace: what was decided about faults.
        struck: how often each fault struck.
    """

    state: State
    created: Counter[Child]
    deleted: Counter[Child]
    writes: int
    seconds: float
    reconciles: int
    informers: int
    relists: Counter[str]
    restarts: Counter[str]
    trace: Trace
    struck: list[int] = field(default_factory=list)

    def moments(self) -> list[float]:
        """When faults struck."""
        return [entry.at for entry in self.trace.strikes()]

    def gaps(self) -> list[float]:
        """Seconds between them."""
        at = self.moments()
        return [later - earlier for earlier, later in itertools.pairwise(at)]


def suffer(
    *faults: AnyFault,
    drive: Drive = life,
    options: WorldOptions | None = None,
    seed: int = 0,
    after_start: bool = False,
) -> Outcome:
    """Run a daemon with these faults; every one of them must strike.

    Args:
        faults: what its connection suffers.
        drive: what the user does.
        options: of the world.
        seed: of the faults.
        after_start: arm the faults only once the daemon works.
    """

    async def main() -> Outcome:
        async with World(options) as world:
            trace = Trace()
            daemon = await world.start(faults=() if after_start else faults, seed=seed, trace=trace)
            if after_start:
                daemon.chaos.rules.add(*faults)
            await drive(world)
            seconds = asyncio.get_running_loop().time()
            await world.settle()
            daemon.chaos.rules.check()
            found = _outcome(world, daemon, seconds, trace)
            found.struck = [daemon.chaos.rules.count(fault) for fault in faults]
            return found

    return run(main())


def _outcome(world: World, daemon: Daemon, seconds: float, trace: Trace) -> Outcome:
    statistics = [informer.statistics() for informer in daemon.manager.cache.informers()]
    return Outcome(
        state=state_of(world.cluster.server.storage),
        created=world.timeline.created(),
        deleted=world.timeline.deleted(),
        writes=len(world.timeline.writes(daemon.name)),
        seconds=seconds,
        reconciles=daemon.witness.reconciles,
        informers=len(statistics),
        relists=sum((Counter(item.relists) for item in statistics), Counter()),
        restarts=sum((Counter(item.restarts) for item in statistics), Counter()),
        trace=trace,
    )


@cache
def calm() -> Outcome:
    """:func:`life` without any fault."""
    return suffer()


def same_as_calm(found: Outcome, *, extra_writes: int = 10) -> None:
    """The same end, no child made or deleted more often than without faults, and not many more writes."""
    wanted = calm()
    assert not differences(wanted.state, found.state)
    for most, counts in ((wanted.created, found.created), (wanted.deleted, found.deleted)):
        too_often = {child: count for child, count in counts.items() if count > most[child] and _ours(child)}
        assert not too_often
    assert found.writes <= wanted.writes + extra_writes


def _ours(child: Child) -> bool:
    return child[0] not in ("events", "endpointslices.discovery.k8s.io")
