"""A process may die at any write: what a scenario comes to must not depend on it.

**Flow.** A scenario is run once undisturbed; its writes are numbered 1 to W. Then it is run again for each write and
either side of its commit, with the daemon killed there and started anew; for each write with the new daemon's caches
starting from an earlier moment; and for each event of a watch with that event lost.

**Promises checked** for each of these runs: the end is the same; no child is created or deleted more often than in the
undisturbed run, so none twice and none that is still wanted; no more writes than W and a few; and everything that
:mod:`rbgctrl.sim.checks` promises of every run. After a restart from an earlier moment or a lost event, a child that is
not wanted in the end may come and go once more, but none that is.

Example::

    SCALE = Scenario(name="scale", drive=scale_up_and_down, wanted=lambda world: world.is_ready("llm"))

    def test_scaling_survives_a_crash_at_every_write() -> None:
        explore(SCALE, crashes).check()
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from rbgctrl.sim.chaos.faults import AnyFault, Crash, Rewind, Side, Swallow
from rbgctrl.sim.chaos.match import Match
from rbgctrl.sim.checks.timeline import Child
from rbgctrl.sim.loop import run
from rbgctrl.sim.outcome import State, differences, state_of
from rbgctrl.sim.world import World, WorldOptions

__all__ = [
    "Case",
    "Cases",
    "Report",
    "Run",
    "Scenario",
    "crashes",
    "explore",
    "lost_events",
    "sampled",
    "stale_restarts",
    "undisturbed",
]

WRITES: Final = Match("write", "!events|leases.*")
"""What counts as a write: Events may get lost, and a Lease says nothing about the work."""
NAME: Final = "rbgctrl"
_NEVER: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that a user does and that the controller has to bring about.

    Attributes:
        name: for reports.
        drive: the user's steps, on a world with one daemon that works; must wait for each step's effect.
        wanted: whether the world is as the user wants it in the end.
        options: of the world.
        extra_writes: how many more writes than undisturbed a run may take.
        restart_after: seconds between a crash and the next daemon.
    """

    name: str
    drive: Callable[[World], Coroutine[Any, Any, None]]
    wanted: Callable[[World], bool]
    options: WorldOptions = field(default_factory=WorldOptions)
    extra_writes: int = 10
    restart_after: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run.

    Attributes:
        writes: successful writes of the daemon, in words.
        created: how often each object came into being.
        deleted: how often the deletion of each began.
        events: changes its watches told.
        state: the end.
    """

    writes: tuple[str, ...]
    created: Counter[Child]
    deleted: Counter[Child]
    events: int
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One disturbance.

    Attributes:
        crash: number of the write at which the daemon dies; 0 for never.
        side: of the commit of that write.
        known: for a stale restart, the number of writes the new daemon's caches know of at first; -1 for all.
        lost: number of the event that is lost; 0 for none.
        lag: seconds until stale caches learn of the rest.
    """

    crash: int = 0
    side: Side = Side.BEFORE
    known: int = -1
    lost: int = 0
    lag: float = 3.0

    def __str__(self) -> str:
        if self.lost:
            return f"event {self.lost} lost"
        text = f"crash {self.side.value} write {self.crash}"
        return f"{text}, restart with a view from write {self.known}" if self.known >= 0 else text


Cases: TypeAlias = Callable[[Run], Iterable[Case]]
"""From the undisturbed run to the disturbances to try."""


def crashes(run: Run) -> Iterator[Case]:
    """A crash at every write, on both sides of its commit."""
    for write, side in itertools.product(range(1, len(run.writes) + 1), Side):
        yield Case(crash=write, side=side)


def stale_restarts(run: Run) -> Iterator[Case]:
    """A crash after every write, and a restart from three earlier moments: just before it, halfway, and the start."""
    for write in range(1, len(run.writes) + 1):
        for known in sorted({write - 1, write // 2, 0}):
            yield Case(crash=write, side=Side.AFTER, known=known)


def lost_events(run: Run) -> Iterator[Case]:
    """Every event of a watch lost once; its successor makes up for it."""
    for event in range(1, run.events + 1):
        yield Case(lost=event)


def sampled(cases: Cases, every: int) -> Cases:
    """The first of some cases and every so manieth after it, for scenarios too long to try all; always the same ones.

    Args:
        cases: to choose from.
        every: how far it is from one to the next.
    """

    def chosen(run: Run) -> Iterator[Case]:
        return itertools.islice(cases(run), 0, None, every)

    chosen.__name__ = f"{getattr(cases, '__name__', 'cases')}, 1 in {every}"
    return chosen


@dataclass(slots=True)
class Report:
    """What came of exploring a scenario.

    Attributes:
        scenario: which.
        undisturbed: the run without disturbance.
        cases: how many were tried.
        failures: sentences by case.
        most_writes: of any run.
        seconds: CPU time of all of them.
    """

    scenario: Scenario
    undisturbed: Run
    cases: int = 0
    failures: dict[Case, str] = field(default_factory=dict)
    most_writes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.scenario.name}: {len(self.undisturbed.writes)} writes, {self.undisturbed.events} events; "
            f"{self.cases} runs in {self.seconds:.1f} s, {len(self.failures)} failed; at most {self.most_writes} writes"
        )

    def check(self) -> None:
        """Raise unless every case kept every promise.

        Raises:
            AssertionError: names the cases.
        """
        if self.failures:
            shown = [f"{case!r} ({case}):\n{why}" for case, why in itertools.islice(self.failures.items(), 5)]
            raise AssertionError("\n\n".join((str(self), *shown)))


def undisturbed(scenario: Scenario) -> Run:
    """Run a scenario without disturbance.

    Raises:
        AssertionError: not even that comes to what is wanted.
    """
    return run(_play(scenario, Case()))


def explore(scenario: Scenario, *kinds: Cases) -> Report:
    """Try every disturbance of these kinds on a scenario.

    Args:
        scenario: what to disturb.
        kinds: :func:`crashes`, :func:`stale_restarts`, :func:`lost_events`, some of them (:func:`sampled`), or what
            you make of an undisturbed run.
    """
    began = time.process_time()
    calm = undisturbed(scenario)
    report = Report(scenario, calm)
    for case in itertools.chain.from_iterable(kind(calm) for kind in kinds):
        report.cases += 1
        try:
            found = try_case(scenario, case, calm)
            report.most_writes = max(report.most_writes, len(found.writes))
        except Exception as error:  # noqa: BLE001 - the next case is tried all the same
            report.failures[case] = f"{type(error).__name__}: {error}"
    report.seconds = time.process_time() - began
    return report


def try_case(scenario: Scenario, case: Case, calm: Run) -> Run:
    """Run a scenario with one disturbance and compare it with the undisturbed run.

    Raises:
        AssertionError: a promise was broken.
    """
    found = run(_play(scenario, case))
    wrong = differences(calm.state, found.state)
    # Who does not see yet that something is not wanted any more may make a child for it, which then goes again.
    passing = frozenset() if case.known < 0 and not case.lost else found.created.keys() - calm.state.keys()
    wrong += _too_often("created", found.created, calm.created, passing)
    wrong += _too_often("deleted", found.deleted, calm.deleted, passing)
    if len(found.writes) > len(calm.writes) + _again(case, calm) + scenario.extra_writes:
        more = Counter(found.writes) - Counter(calm.writes)
        wrong.append(f"{len(found.writes)} writes instead of {len(calm.writes)}; more of {dict(more)}")
    if wrong:
        raise AssertionError("\n".join(wrong[:20]))
    return found


def _again(case: Case, calm: Run) -> int:
    """How many more writes a restart with an old view may take: what it does not know of, it may do once more.

    And it may tell what it sees meanwhile: each status is written at most twice more, as it was and as it turns out.
    """
    if case.known < 0:
        return 0
    statuses = {write for write in calm.writes if write.endswith("/status")}
    return case.crash - case.known + 2 * len(statuses)


def _too_often(what: str, counts: Counter[Child], most: Counter[Child], passing: Collection[Child]) -> list[str]:
    return [
        f"{resource} {key} was {what} {count} times, undisturbed {most[resource, key]} times"
        for (resource, key), count in sorted(counts.items())
        if count > most[resource, key] + ((resource, key) in passing)
    ]


async def _play(scenario: Scenario, case: Case) -> Run:
    async with World(scenario.options) as world:
        counting = Swallow(Match("watch", nth=case.lost or _NEVER))
        faults: list[AnyFault] = [counting]
        if case.crash:
            faults.append(Crash(_nth(case.crash), side=case.side))
        first = await world.start(NAME, faults=faults)
        empty = world.cluster.server.storage.revision
        caring = asyncio.create_task(_restart(world, scenario, case, empty)) if case.crash else None
        try:
            await scenario.drive(world)
            await world.settle()
            if caring is not None:
                if not first.crashed.is_set():
                    raise AssertionError("the write at which to crash never came")
                await caring
        finally:
            if caring is not None:
                caring.cancel()
        if case.lost and not first.chaos.rules.count(counting):
            raise AssertionError("the event to be lost never came")
        if not scenario.wanted(world):
            raise AssertionError(f"not what the user wants: {state_of(world.cluster.server.storage)}")
        return Run(
            writes=tuple(str(asked.request) for asked in world.timeline.writes(NAME)),
            created=_ours(world.timeline.created()),
            deleted=_ours(world.timeline.deleted()),
            events=first.chaos.rules.fitted(counting),
            state=state_of(world.cluster.server.storage),
        )


async def _restart(world: World, scenario: Scenario, case: Case, empty: int) -> None:
    """Bury the daemon that crashed and start another."""
    (first,) = world.daemons
    await first.crashed.wait()
    await first.kill()
    await asyncio.sleep(scenario.restart_after)
    faults: list[AnyFault] = []
    if case.known >= 0:
        known = world.timeline.writes(NAME)[: case.known]
        moment = known[-1].revision if known else empty
        count = len(first.manager.cache.informers())
        faults.append(Rewind(Match("watch", form="initial", times=count), to=moment, lag=case.lag))
    await world.start(NAME, faults=faults)


def _nth(number: int) -> Match:
    return Match(WRITES.verb, WRITES.resource, nth=number)


def _ours(counts: Counter[Child]) -> Counter[Child]:
    """Without what others make by themselves, under names drawn at random."""
    ignored = ("events", "leases.coordination.k8s.io", "endpointslices.discovery.k8s.io")
    return Counter({child: count for child, count in counts.items() if child[0] not in ignored})
