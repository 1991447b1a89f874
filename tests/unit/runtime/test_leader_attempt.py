"""One attempt at the lease, case by case: the table of client-go's leader election tests, under the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from rbgctrl.api.core import LeaseSpec
from rbgctrl.client.errors import ConflictError, InternalServerError, UnknownOutcomeError
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.runtime.leader import LeaseElector, LeaseOptions
from rbgctrl.sim.loop import run
from unit.runtime.fake_leases import LEASE, FakeLeases


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():  # printing them takes longer than the tests
        yield


BING, BAZ = "bing", "baz"


def elector(server: FakeLeases, who: str = BAZ, **options: Any) -> LeaseElector:
    loop = asyncio.get_running_loop()
    return LeaseElector(
        server.link(who).client(), LEASE, identity=who, options=LeaseOptions(**options), monotonic=loop.time
    )


@dataclass(frozen=True)
class Case:
    name: str
    stored: dict[str, Any] | None
    observed: dict[str, Any] | None
    observed_ago: float
    success: bool
    transitions: int
    holder: str


def led(by: str, **more: Any) -> dict[str, Any]:
    return {"holderIdentity": by, **more}


CASES = [
    Case("acquire from no object", None, None, 0, True, 0, BAZ),
    Case("acquire from an object without a record", {}, None, 0, True, 1, BAZ),
    Case("acquire from unled object", led(""), None, 0, True, 1, BAZ),
    Case("acquire from led, unacked object", led(BING), led(BING), 1000, True, 1, BAZ),
    Case("acquire from empty led, acked object", led(""), led(""), 0, True, 1, BAZ),
    Case("don't acquire from led, acked object", led(BING), led(BING), 0, False, 0, BING),
    Case("don't acquire from led object seen for the first time", led(BING), None, 0, False, 0, BING),
    Case("don't acquire from led object that changed since", led(BING, renewTime="2"), led(BING), 1000, False, 0, BING),
    Case("renew already acquired object", led(BAZ), led(BAZ), 0, True, 0, BAZ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_attempt_follows_the_reference_table(case: Case) -> None:
    async def main() -> None:
        await asyncio.sleep(2000)
        server = FakeLeases()
        if case.stored is not None:
            server.put(**case.stored)
        candidate = elector(server)
        if case.observed is not None:
            candidate._seen = LeaseSpec(
                holder_identity=case.observed.get("holderIdentity"), renew_time=case.observed.get("renewTime")
            )
            candidate._seen_at = asyncio.get_running_loop().time() - case.observed_ago
        assert await candidate._attempt() is case.success
        assert candidate.is_leader is case.success
        assert candidate.statistics().holder == case.holder == server.holder()
        assert candidate.statistics().transitions == case.transitions

    run(main())


def test_acquire_from_led_object_with_the_lease_duration_seconds() -> None:
    async def main() -> None:
        server = FakeLeases()
        server.put(holderIdentity=BING, leaseDurationSeconds=3)
        candidate = elector(server)
        assert not await candidate._attempt()
        await asyncio.sleep(2.9)
        assert not await candidate._attempt()
        await asyncio.sleep(0.2)
        assert await candidate._attempt()
        assert server.spec()["leaseDurationSeconds"] == 15

    run(main())


def test_a_renewal_is_one_request_that_keeps_time_of_acquisition_and_transitions() -> None:
    async def main() -> None:
        server = FakeLeases()
        leader = elector(server)
        await leader._attempt()
        first = server.spec()
        assert first["acquireTime"] == first["renewTime"]
        await leader._attempt()
        second = server.spec()
        assert server.verbs() == ["create", "update"]
        assert second["acquireTime"] == first["acquireTime"]
        assert second["renewTime"] > first["renewTime"]
        assert second["leaseTransitions"] == 0

    run(main())


def test_a_failed_fast_renewal_falls_back_to_reading_first() -> None:
    async def main() -> None:
        server = FakeLeases()
        leader = elector(server)
        await leader._attempt()
        server.put(**server.spec())  # somebody touches it: the version we know is old
        await leader._attempt()
        await leader._attempt()
        assert server.verbs() == ["create", "get", "update", "update"]
        assert leader.is_leader
        assert leader.statistics().slow_paths == 1

    run(main())


def test_labels_and_annotations_of_others_survive_a_renewal() -> None:
    async def main() -> None:
        server = FakeLeases()
        server.put(holderIdentity="")
        server.leases[LEASE]["metadata"] |= {"labels": {"app": "x"}, "annotations": {"a": "b"}, "finalizers": ["f/g"]}
        await elector(server)._attempt()
        metadata = server.leases[LEASE]["metadata"]
        assert (metadata["labels"], metadata["annotations"], metadata["finalizers"]) == (
            {"app": "x"},
            {"a": "b"},
            ["f/g"],
        )

    run(main())


def test_every_renewal_changes_the_record_even_when_the_wall_clock_stands_still() -> None:
    async def main() -> None:
        from datetime import UTC, datetime

        server = FakeLeases()
        loop = asyncio.get_running_loop()
        leader = LeaseElector(
            server.link(BAZ).client(),
            LEASE,
            identity=BAZ,
            now=lambda: datetime(2020, 1, 1, tzinfo=UTC),
            monotonic=loop.time,
        )
        stamps = set()
        for _ in range(4):
            await leader._attempt()
            stamps.add(server.spec()["renewTime"])
        assert len(stamps) == 4

    run(main())


def test_an_attempt_whose_answer_was_lost_is_recognised_as_ours_the_next_time() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link(BAZ)
        lost = [UnknownOutcomeError("the answer was lost")]
        link.after = lambda request: lost.pop() if request.verb.writes and lost else None
        loop = asyncio.get_running_loop()
        candidate = LeaseElector(link.client(), LEASE, identity=BAZ, monotonic=loop.time)
        assert not await candidate._attempt()
        assert server.holder() == BAZ
        assert not candidate.is_leader  # not known yet
        assert await candidate._attempt()
        assert candidate.is_leader
        assert candidate.statistics().transitions == 0

    run(main())


@pytest.mark.parametrize("error", [ConflictError(409, "Conflict"), InternalServerError(500)], ids=["409", "500"])
def test_an_error_while_taking_the_lease_is_not_leadership(error: Exception) -> None:
    def refuse(request: ApiRequest) -> Exception | None:
        return error if request.verb is Verb.UPDATE else None

    async def main() -> None:
        server = FakeLeases()
        server.put(holderIdentity="")
        link = server.link(BAZ)
        link.before = refuse
        candidate = LeaseElector(link.client(), LEASE, identity=BAZ, monotonic=asyncio.get_running_loop().time)
        assert not await candidate._attempt()
        assert not candidate.is_leader
        assert candidate.statistics().failures == 1

    run(main())


def test_an_answer_that_took_longer_than_the_deadline_is_not_leadership() -> None:
    async def main() -> None:
        server = FakeLeases()
        link = server.link(BAZ, latency=4.0)
        options = LeaseOptions(call_timeout=60)
        candidate = LeaseElector(
            link.client(), LEASE, identity=BAZ, options=options, monotonic=asyncio.get_running_loop().time
        )
        assert await candidate._attempt()
        assert candidate.is_leader  # 8 of 10 seconds
        link.latency = 6.0
        assert await candidate._attempt()
        assert not candidate.is_leader  # 12 of 10

    run(main())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"duration": 10, "renew_deadline": 10}, "duration must be longer than renew_deadline"),
        ({"renew_deadline": 2.4, "retry_period": 2}, "renew_deadline must exceed"),
        ({"duration": 0.5}, "duration must be whole seconds"),
        ({"duration": 15.5}, "duration must be whole seconds"),
        ({"renew_deadline": 0}, "renew_deadline must be positive"),
        ({"retry_period": 0}, "retry_period must be positive"),
        ({"call_timeout": 0}, "call_timeout must be positive"),
    ],
)
def test_contradicting_times_are_refused(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LeaseOptions(**options)


@pytest.mark.parametrize("name", ["rbg-controller", "/rbg-controller", "rbgs-system/"])
def test_a_lease_without_namespace_or_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        LeaseElector(FakeLeases().link(BAZ).client(), name)


def test_default_identities_differ() -> None:
    client = FakeLeases().link(BAZ).client()
    assert LeaseElector(client, LEASE).identity != LeaseElector(client, LEASE).identity
