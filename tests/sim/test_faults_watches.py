"""Whatever a watch says, says twice, late or never: the caches end up right, and nobody acts on what is old."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import pytest

from rbgctrl.sim import virtual
from rbgctrl.sim.chaos import (
    Answer,
    AnyFault,
    Discard,
    Duplicate,
    End,
    Ending,
    Hold,
    Lag,
    Match,
    Pad,
    Reorder,
    Replay,
    Say,
    Silence,
    Swallow,
    Truncate,
)
from rbgctrl.sim.world import World, WorldOptions
from sim.faulty import PAGED, calm, life, same_as_calm, suffer
from sim.groups import group, role

SLOW = WorldOptions(late_creates=120.0, late_deletes=120.0, quiet=60.0)
DEAF = dataclasses.replace(SLOW, quiet=200.0)
"""The user waits until even a silent watch must have been noticed."""
WATCHED = ("pods", "roleinstances.*", "roleinstancesets.*", "rolebasedgroups.*", "services", "controllerrevisions.*")
BUSY = WATCHED[:4]


# Late -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", WATCHED)
def test_one_watch_that_lags_by_half_a_minute_leads_to_no_wrong_write(resource: str) -> None:
    found = suffer(Lag(Match("watch", resource), seconds=30), options=SLOW)
    same_as_calm(found, extra_writes=20)


def test_all_watches_may_lag_by_a_different_time() -> None:
    faults = [Lag(Match("watch", resource), seconds=3 + 7 * place) for place, resource in enumerate(WATCHED)]
    same_as_calm(suffer(*faults, options=SLOW), extra_writes=20)


@virtual
async def test_a_key_whose_delete_the_cache_does_not_show_is_parked_and_then_read_live() -> None:
    async with World(SLOW) as world:
        daemon = await world.start(faults=[Lag(Match("watch", "roleinstances.*"), seconds=40)])
        await world.apply(group("llm", role("decode", 3)))
        await world.until(lambda: world.is_ready("llm"))
        await world.settle(quiet=60)
        sets = next(item for item in daemon.manager.controllers if item.name == "roleinstanceset")
        assert sets.barrier is not None
        await world.apply(group("llm", role("decode", 1)))
        await world.until(lambda: len(world.names("roleinstances.workloads.x-k8s.io")) == 1)
        # The answer of such a delete is a bare Status: the key waits, and after five seconds somebody looks.
        assert daemon.chaos.rules.trace.strikes()
        began = asyncio.get_running_loop().time()
        await world.until(lambda: sets.barrier is not None and not sets.barrier.statistics().writes)
        assert 4.0 <= asyncio.get_running_loop().time() - began <= 10.0


# Silent ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", BUSY)
def test_a_dead_connection_nobody_announced_is_replaced_after_150_seconds(resource: str) -> None:
    found = suffer(Silence(Match("watch", resource, event="change", nth=4)), options=DEAF)
    same_as_calm(found, extra_writes=20)
    assert found.restarts["timeout"] == 1
    assert found.relists == {"start": found.informers}, "the watch goes on where it was"
    assert found.seconds <= calm().seconds + 160


def test_a_watch_from_a_future_the_server_does_not_know_is_noticed_within_minutes() -> None:
    """As after a restore from a backup, when lists from where the watch stopped are refused."""
    found = suffer(
        End(Match("watch", "pods", event="change", nth=4), how=Ending.RESET),
        Answer(Match("list", "pods", form="since"), status=504, reason="Timeout", causes=("ResourceVersionTooLarge",)),
        options=SLOW,
    )
    same_as_calm(found, extra_writes=20)
    assert found.relists["rewind"] == 1
    assert found.seconds <= calm().seconds + 150 + 30 + 30


# Ended ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Ending))
@pytest.mark.parametrize("resource", BUSY)
def test_a_watch_that_ends_goes_on_where_it_was(resource: str, how: Ending) -> None:
    found = suffer(End(Match("watch", resource, event="change", every=3, times=9), how=how))
    same_as_calm(found)
    assert found.relists == {"start": found.informers}
    assert sum(found.restarts.values()) >= 1


@pytest.mark.parametrize("how", list(Ending))
@pytest.mark.parametrize("resource", BUSY)
def test_half_a_line_is_no_event(resource: str, how: Ending) -> None:
    found = suffer(Truncate(Match("watch", resource, every=3, times=9), how=how))
    same_as_calm(found)
    assert found.relists == {"start": found.informers}


# The past is gone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", BUSY)
def test_an_expired_version_in_the_stream_costs_one_list_and_an_exact_difference(resource: str) -> None:
    found = suffer(Say(Match("watch", resource, event="change", nth=3), status=410, reason="Expired"))
    same_as_calm(found)
    assert found.relists == {"start": found.informers, "expired": 1}


def test_a_watch_refused_as_expired_costs_one_list() -> None:
    found = suffer(
        End(Match("watch", "pods", event="change", nth=3)),
        Answer(Match("watch", "pods", form="since", times=1), status=410, reason="Expired"),
    )
    same_as_calm(found)
    assert found.relists == {"start": found.informers, "expired": 1}


def test_an_expired_continue_token_starts_the_list_again_and_mixes_no_snapshots() -> None:
    found = suffer(
        Say(Match("watch", "pods", event="change", nth=9), status=410, reason="Expired"),
        Answer(Match("list", "pods", form="page", times=2), status=410, reason="Expired"),
        options=PAGED,
    )
    same_as_calm(found)
    assert found.relists == {"start": found.informers, "expired": 1}


# Refused --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_watch_that_is_refused_keeps_its_place_and_asks_at_a_bounded_rate(status: int) -> None:
    found = suffer(
        End(Match("watch", "pods", event="change", nth=3), how=Ending.RESET),
        Answer(Match("watch", "pods", form="since", times=8), status=status, retry_after=2 if status == 429 else 0),
        options=SLOW,
    )
    same_as_calm(found, extra_writes=20)
    assert found.relists == {"start": found.informers}
    at = [entry.at for entry in found.trace.strikes() if entry.fault == 1]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert min(gaps) >= (2.0 if status == 429 else 0.08)
    assert sum(gaps[4:]) > sum(gaps[:2]), "ever longer"


def test_a_server_that_lags_behind_what_we_have_seen_is_waited_for() -> None:
    """The probe after a broken connection is refused for less than the patience: no list, nothing lost."""
    too_large = Answer(
        Match("list", "pods", form="since", times=5), status=504, reason="Timeout", causes=("ResourceVersionTooLarge",)
    )
    found = suffer(End(Match("watch", "pods", event="change", nth=3), how=Ending.RESET), too_large, options=SLOW)
    same_as_calm(found, extra_writes=20)
    assert found.relists == {"start": found.informers}


# Repeated and out of order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Duplicate(Match("watch", "pods")),
        Duplicate(Match("watch"), copies=3),
        Replay(Match("watch", every=5), events=50),
        Replay(Match("watch", "pods|roleinstances.*"), events=10),
    ],
    ids=["pods twice", "everything four times", "the last 50 every fifth event", "the last 10 after each"],
)
def test_what_is_said_again_is_no_news(fault: AnyFault) -> None:
    found = suffer(fault)
    same_as_calm(found, extra_writes=0)
    assert found.reconciles == calm().reconciles


@pytest.mark.parametrize("same", [False, True], ids=["other object", "same object"])
@pytest.mark.parametrize("resource", [*BUSY, "*"])
def test_of_events_out_of_order_the_newer_version_wins(resource: str, same: bool) -> None:
    found = suffer(Reorder(Match("watch", resource, every=2), same=same, patience=2), options=SLOW)
    same_as_calm(found)
    assert found.relists == {"start": found.informers}


@pytest.mark.parametrize("seed", range(3))
def test_events_that_get_lost_are_made_up_for_by_their_successors(seed: int) -> None:
    found = suffer(Swallow(Match("watch", probability=0.5)), seed=seed, options=SLOW)
    same_as_calm(found)


def test_everything_at_once_still_ends_well() -> None:
    found = suffer(
        Reorder(Match("watch", probability=0.1), patience=2),
        Duplicate(Match("watch", probability=0.1)),
        Swallow(Match("watch", probability=0.1)),
        End(Match("watch", event="change", probability=0.03), how=Ending.RESET),
        Say(Match("watch", event="change", probability=0.02), status=410, reason="Expired"),
        Lag(Match("watch", "roleinstances.*"), seconds=2),
        options=SLOW,
        seed=11,
    )
    same_as_calm(found, extra_writes=25)


# The line itself ------------------------------------------------------------------------------------------------------


def test_lines_of_5_megabytes_are_read_and_the_informer_stays_alive() -> None:
    found = suffer(Pad(Match("watch", "pods|roleinstances.*", every=10), size=5_000_000))
    same_as_calm(found)
    assert found.relists == {"start": found.informers}


# The first list -------------------------------------------------------------------------------------------------------


@virtual
async def test_without_the_end_mark_of_a_streamed_list_nobody_is_ready_and_pages_are_asked_for() -> None:
    async with World() as world:
        daemon = await world.start(faults=[Discard(Match("watch", "pods", event="END"))], working=False)
        await world.apply(group("llm", role("decode", 1)))
        await asyncio.sleep(25)
        assert not daemon.manager.ready
        assert not world.timeline.writes(daemon.name), "nothing is done on half a list"
        await world.until(lambda: world.is_ready("llm"), within=30)
        pods = next(item for item in daemon.manager.cache.informers() if item.kind.__name__ == "Pod")
        assert pods.statistics().relists == {"start": 1}


@virtual
async def test_a_late_end_mark_is_waited_for() -> None:
    async with World() as world:
        daemon = await world.start(faults=[Hold(Match("watch", "pods", event="END"), seconds=20)], working=False)
        await world.apply(group("llm", role("decode", 1)))
        await asyncio.sleep(19)
        assert not world.timeline.writes(daemon.name)
        await world.until(lambda: world.is_ready("llm"), within=10)


def test_an_end_mark_said_twice_is_one() -> None:
    found = suffer(Duplicate(Match("watch", event="END", nth=(1, 4, 7))))
    same_as_calm(found, extra_writes=0)


@pytest.mark.parametrize("status", [400, 403, 405, 422])
def test_a_server_that_does_not_stream_lists_is_asked_for_pages(status: int) -> None:
    found = suffer(Answer(Match("watch", form="initial"), status=status))
    same_as_calm(found, extra_writes=0)
    assert found.relists == {"start": found.informers}


@virtual
async def test_a_kind_that_may_not_be_listed_keeps_the_daemon_alive_and_not_ready_and_says_so() -> None:
    async with World() as world:
        forbidden = [Answer(Match("list|watch", "configmaps"), status=403, message="configmaps is forbidden")]
        daemon = await world.start(faults=forbidden, working=False)
        await world.apply(group("llm", role("decode", 1)))
        await asyncio.sleep(600)
        assert daemon.process.running
        assert not daemon.manager.ready
        assert not world.timeline.writes(daemon.name)
        maps = next(item for item in daemon.manager.cache.informers() if item.kind.__name__ == "ConfigMap")
        assert "configmaps is forbidden" in maps.statistics().error
        assert len(daemon.chaos.rules.trace.strikes()) < 60, "asked ever more rarely"
        daemon.chaos.rules.withdraw(*forbidden)
        await world.until(lambda: world.is_ready("llm"), within=60)


@virtual
async def test_pods_that_may_not_be_created_are_a_condition_and_come_when_they_may() -> None:
    async with World() as world:
        fault = Answer(Match("create", "pods"), status=403, reason="Forbidden", message="exceeded quota: tight")
        daemon = await world.start(faults=[fault])
        await world.apply(group("llm", role("decode", 1)))
        await asyncio.sleep(120)
        assert daemon.process.running
        found = world.get("roleinstances.workloads.x-k8s.io", "llm-decode-0")
        assert found is not None
        told = {item["type"]: item for item in found["status"]["conditions"]}
        assert "exceeded quota: tight" in told["FailedScale"]["message"]
        daemon.chaos.rules.withdraw(fault)
        await world.until(lambda: world.is_ready("llm"), within=600)
        found = world.get("roleinstances.workloads.x-k8s.io", "llm-decode-0")
        assert found is not None
        await world.settle()
        found = world.get("roleinstances.workloads.x-k8s.io", "llm-decode-0")
        assert found is not None
        assert "FailedScale" not in {item["type"] for item in found["status"]["conditions"]}


@virtual
async def test_two_minutes_without_a_server_end_in_convergence_and_no_hot_loop() -> None:
    async with World(SLOW) as world:
        daemon = await world.start()
        down = Answer(Match(), status=503, reason="ServiceUnavailable")
        cut = End(Match("watch", event="BOOKMARK|change"), how=Ending.RESET)
        daemon.chaos.rules.add(cut)
        await world.apply(group("llm", role("prefill", 1), role("decode", 2, "prefill")))
        daemon.chaos.rules.add(down)
        await asyncio.sleep(120)
        daemon.chaos.rules.withdraw(cut, down)
        attempts = daemon.chaos.rules.count(down)
        assert 20 < attempts < 50 * len(daemon.manager.cache.informers()), (
            f"{attempts} requests while the server was down"
        )
        await world.until(lambda: world.is_ready("llm"), within=120)


def test_the_calm_life_is_what_everything_here_is_compared_with() -> None:
    found = suffer(drive=life)
    assert found.relists == {"start": found.informers}
    assert not found.restarts
    same_as_calm(found, extra_writes=0)
