"""What fencing promises: once a new leader has acted, nothing the old one does reaches the server.

Invariants, checked on scripted and on random histories of stopped, cut off and killed processes:
    1. the sequence of writers at the server changes from one elector to the next and never back to one that was
       replaced while it believed to lead;
    2. a process continued after its lease expired sends none of the writes it had queued.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rbgctrl.api.core import Lease
from rbgctrl.client.client import Client
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.runtime.fence import Fenced, NotLeaderError
from rbgctrl.runtime.leader import LeaseElector, LeaseLostError
from rbgctrl.sim.loop import VirtualLoop, run
from unit.runtime.fake_leases import LEASE, FakeLeases, Link, write_request
from unit.runtime.processes import Process


class Replica:
    """A process with an elector whose work is to write without end, several writes at a time."""

    def __init__(self, server: FakeLeases, name: str) -> None:
        self.link = server.link(name)
        self.process = Process(name)
        self.elector = LeaseElector(
            self.link.client(), LEASE, identity=name, monotonic=asyncio.get_running_loop().time, jitter=lambda: 0.3
        )
        self.fenced = Fenced(self.link, self.elector)
        self.refused = 0
        self.task: asyncio.Task[Any] = self.process.start(self.elector.run(self.work))

    async def work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(self.write_forever(0.5 + number * 0.3))

    async def write_forever(self, pause: float) -> None:
        while True:
            try:
                await self.fenced.send(write_request())
            except NotLeaderError:
                self.refused += 1
            await asyncio.sleep(pause)

    async def end(self) -> None:
        self.process.go_on()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LeaseLostError):
            await self.task


def terms(server: FakeLeases) -> list[str]:
    """Writers in order, each run of one writer once."""
    found: list[str] = []
    for who in server.writers():
        if not found or found[-1] != who:
            found.append(who)
    return found


def test_a_leader_stopped_past_its_lease_and_continued_writes_nothing_after_the_new_one() -> None:
    async def main() -> None:
        server = FakeLeases()
        old = Replica(server, "old")
        await asyncio.sleep(5)
        new = Replica(server, "new")
        await asyncio.sleep(5)
        old.process.stop()
        await asyncio.sleep(40)
        assert server.holder() == "new"
        old.process.go_on()
        with pytest.raises(LeaseLostError):
            await old.task
        await asyncio.sleep(20)
        assert terms(server) == ["old", "new"]
        assert old.refused > 0  # it had tried
        await new.end()

    run(main())


def test_a_leader_stopped_for_less_than_the_deadline_goes_on() -> None:
    async def main() -> None:
        server = FakeLeases()
        one, other = Replica(server, "a"), Replica(server, "b")
        await asyncio.sleep(5)
        leader = one if one.elector.is_leader else other
        leader.process.stop()
        await asyncio.sleep(7)
        leader.process.go_on()
        await asyncio.sleep(30)
        assert len(terms(server)) == 1
        assert leader.elector.is_leader
        await one.end()
        await other.end()

    run(main())


def test_writes_queued_before_a_jump_of_the_clock_are_refused_before_the_elector_has_noticed() -> None:
    """The order in which tasks run after the process continues does not matter: each write looks at the clock."""

    async def main() -> None:
        server = FakeLeases()
        link = server.link("old")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        elector = LeaseElector(link.client(), LEASE, identity="old", monotonic=loop.time)
        fenced = Fenced(link, elector)
        gate = asyncio.Event()
        outcomes: list[BaseException | None] = []

        async def queued() -> None:
            await gate.wait()
            try:
                await fenced.send(write_request())
                outcomes.append(None)
            except NotLeaderError as error:
                outcomes.append(error)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(queued())
                await asyncio.sleep(1)
                gate.set()  # all five are ready to run …
                loop._jumping.now += 20  # … when the process is stopped for 20 seconds
                server.put(holderIdentity="new", leaseDurationSeconds=15)
            await asyncio.Event().wait()

        with pytest.raises(LeaseLostError):
            await elector.run(work)
        assert [type(outcome) for outcome in outcomes] == [NotLeaderError] * 5
        assert server.writers() == []

    run(main())


EVENTS = st.tuples(
    st.floats(0.1, 25.0), st.integers(0, 2), st.sampled_from(["stop", "go_on", "cut", "mend", "slow", "fast", "kill"])
)


@settings(max_examples=15, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=12))
def test_no_history_of_stops_cuts_and_deaths_lets_a_replaced_leader_write(
    history: list[tuple[float, int, str]],
) -> None:
    async def main() -> None:
        server = FakeLeases()
        replicas = [Replica(server, name) for name in ("a0", "b0", "c0")]
        everyone = list(replicas)
        for pause, who, what in history:
            await asyncio.sleep(pause)
            disturb(server, replicas, everyone, who, what)
        await asyncio.sleep(5)
        found = terms(server)
        assert len(found) == len(set(found)), found
        for replica in everyone:
            replica.link.cut = False
            await replica.end()

    with capture_logs():  # printing them takes longer than the rest
        run(main())


def disturb(server: FakeLeases, replicas: list[Replica], everyone: list[Replica], who: int, what: str) -> None:
    replica = replicas[who]
    match what:
        case "stop":
            replica.process.stop()
        case "go_on":
            replica.process.go_on()
        case "cut":
            replica.link.cut = True
        case "mend":
            replica.link.cut = False
        case "slow":
            replica.link.latency = 1.5
        case "fast":
            replica.link.latency = 0.01
        case "kill":
            replica.process.stop()  # for good: a new process takes its place
            name = replica.process.name
            replicas[who] = Replica(server, f"{name[0]}{int(name[1:]) + 1}")
            everyone.append(replicas[who])


def test_reads_and_the_own_lease_pass_the_fence_and_other_leases_do_not() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link("a")
        elector = LeaseElector(link.client(), LEASE, monotonic=asyncio.get_running_loop().time)
        client = link.client().with_transport(Fenced(link, elector))
        body = {"metadata": {"name": LEASE.name, "namespace": LEASE.namespace}, "spec": {"holderIdentity": ""}}
        await client.create(Lease, body)
        lease = await client.get(Lease, LEASE)
        assert lease.metadata.name == LEASE.name
        with pytest.raises(NotLeaderError):
            await client.create(Lease, {"metadata": {"name": "other", "namespace": LEASE.namespace}})
        with pytest.raises(NotLeaderError):
            await client.delete(Lease, LEASE._replace(namespace="default"))

    run(main())


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.writes])
def test_every_verb_that_writes_is_fenced(verb: Verb) -> None:
    class Shut:
        key = LEASE

        def fence(self) -> None:
            raise NotLeaderError("shut")

    async def main() -> None:
        link = Link(FakeLeases(), "a")
        with pytest.raises(NotLeaderError):
            await Fenced(link, Shut()).send(ApiRequest(verb=verb, method="X", path="/x"))
        assert link.sent == []

    run(main())


async def test_a_fenced_client_closes_what_it_wraps() -> None:
    link = FakeLeases().link("a")
    elector = LeaseElector(link.client(), LEASE)
    await Client(Fenced(link, elector)).aclose()
    assert link.closed == 1
