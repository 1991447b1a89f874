"""Whatever happens to a write, the group ends as it should, and no child is made twice."""

from __future__ import annotations

import itertools

import pytest

from rbgctrl.api.meta import Key
from rbgctrl.sim.chaos import Answer, AnyFault, Delay, Drop, Match, Retype, Side
from sim.faulty import calm, same_as_calm, suffer

KINDS = {
    "creates of pods": Match("create", "pods"),
    "creates of revisions": Match("create", "controllerrevisions.*"),
    "applies of instances": Match("apply", "roleinstances.*"),
    "applies of sets": Match("apply", "roleinstancesets.*"),
    "applies of services": Match("apply", "services"),
    "applies of the discovery file": Match("apply", "configmaps"),
    "gates of pods": Match("patch", "pods", "status"),
    "status of instances": Match("patch", "roleinstances.*", "status"),
    "status of sets": Match("patch", "roleinstancesets.*", "status"),
    "status of groups": Match("patch", "rolebasedgroups.*", "status"),
    "marks on groups": Match("patch", "rolebasedgroups.*", ""),
    "deletes of instances": Match("delete", "roleinstances.*"),
}
WRITES = Match("write", "!events|leases.*")


def some(match: Match, **chosen: int | float) -> Match:
    """The same requests, other occurrences."""
    return Match(match.verb, match.resource, match.subresource, **chosen)  # type: ignore[arg-type]  # fields of Match


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", KINDS)
def test_no_child_is_duplicated_when_the_connection_drops(kind: str, side: Side) -> None:
    same_as_calm(suffer(Drop(some(KINDS[kind], times=2), side=side)))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("seed", range(4))
def test_a_connection_that_drops_every_fifth_write_costs_time_and_nothing_else(seed: int, side: Side) -> None:
    found = suffer(Drop(some(WRITES, probability=0.2), side=side), seed=seed)
    same_as_calm(found, extra_writes=25)
    assert found.struck[0] >= 5


@pytest.mark.parametrize("side", list(Side))
def test_a_lost_answer_is_looked_up_before_the_object_is_acted_on_again(side: Side) -> None:
    found = suffer(Drop(some(KINDS["creates of pods"], times=3), side=side))
    same_as_calm(found, extra_writes=0 if side is Side.AFTER else 3)
    assert found.created["pods", Key("default", "llm-decode-0")] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_answer_keeps_its_key_from_running_twice(kind: str) -> None:
    """The watch tells of the write long before its answer; overlapping reconciles are caught by every run's checks."""
    found = suffer(Delay(some(KINDS[kind], times=2), seconds=20, side=Side.AFTER))
    same_as_calm(found)
    assert found.seconds >= calm().seconds + (0 if kind in LEISURELY else 20)


LEISURELY = ("status of instances", "status of sets", "status of groups", "applies of services")
"""What nobody has to wait for."""


@pytest.mark.parametrize("kind", ["applies of sets", "status of instances", "status of groups", "gates of pods"])
def test_a_conflict_is_decided_anew_and_never_in_a_hot_loop(kind: str) -> None:
    found = suffer(Answer(some(KINDS[kind], times=6), status=409, reason="Conflict"))
    same_as_calm(found)
    of_one_key: dict[str, list[float]] = {}
    for entry in found.trace.strikes():
        of_one_key.setdefault(entry.what, []).append(entry.at)
    longest = max(of_one_key.values(), key=len)
    gaps = [later - earlier for earlier, later in itertools.pairwise(longest)]
    assert sum(gaps) >= 0.005 * (2 ** len(gaps) - 1) * 0.8  # each pause about twice the one before


@pytest.mark.parametrize(
    "kind", ["creates of pods", "applies of instances", "status of groups", "deletes of instances"]
)
def test_too_many_requests_waits_as_long_as_it_was_told(kind: str) -> None:
    found = suffer(Answer(some(KINDS[kind], times=2), status=429, retry_after=7))
    same_as_calm(found)
    assert found.seconds >= 7
    repeated = [entry for entry in found.trace.strikes() if entry.what == found.trace.strikes()[0].what]
    assert all(later.at - earlier.at >= 7 for earlier, later in itertools.pairwise(repeated))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_failing_server_may_have_committed_and_is_not_stormed(status: int, side: Side) -> None:
    found = suffer(Answer(some(WRITES, skip=5, times=12), status=status, reason="InternalError", side=side))
    same_as_calm(found, extra_writes=20)


def test_an_unavailable_server_is_asked_ever_more_rarely() -> None:
    """A server that turns every write away for a while; each object is tried with growing pauses."""
    found = suffer(Answer(some(WRITES, skip=10, times=60), status=503, retry_after=1))
    same_as_calm(found, extra_writes=20)
    moments = found.moments()
    assert moments[-1] - moments[0] >= 5
    assert max(_within_a_second(moments)) <= 30


@pytest.mark.parametrize(
    "fault",
    [
        Answer(some(WRITES, skip=8, times=4), status=502, body="<html>Bad Gateway</html>", content_type="text/html"),
        Retype(some(WRITES, skip=8, times=4), body="<html>captive portal</html>"),
        Retype(some(WRITES, skip=8, times=4), content_type="text/plain", body="{"),
    ],
    ids=["HTML 502", "HTML 200", "half a JSON"],
)
def test_an_answer_that_is_none_is_an_error_and_the_work_is_repeated(fault: AnyFault) -> None:
    same_as_calm(suffer(fault))


def test_one_refused_credential_costs_one_repetition() -> None:
    found = suffer(Answer(some(KINDS["creates of pods"], nth=1), status=401))
    same_as_calm(found)
    assert found.struck == [1]


def _within_a_second(moments: list[float]) -> list[int]:
    return [sum(moment <= other < moment + 1 for other in moments) for moment in moments]
