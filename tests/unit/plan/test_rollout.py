"""Which replicas a rollout replaces: numbers in, ordinals out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api.instances import UpdateStrategy
from rbgctrl.api.intstr import IntOrStringError
from rbgctrl.plan.rollout import Replica, Window, targets, window


def _old(ordinal: int) -> Replica:
    return Replica(ordinal=ordinal)


def _new(ordinal: int) -> Replica:
    return Replica(ordinal=ordinal, updated=True)


def _broken(ordinal: int, *, updated: bool = False, since: float = 60.0) -> Replica:
    return Replica(ordinal=ordinal, updated=updated, ready=False, available=False, broken_in=5 - since)


ONE = Window(partition=0, max_unavailable=1)


@pytest.mark.parametrize(
    ("replicas", "strategy", "partition", "unavailable"),
    [
        (4, UpdateStrategy(max_unavailable="30%"), 0, 2),
        (5, UpdateStrategy(), 0, 1),
        (100, UpdateStrategy(), 0, 10),
        (5, UpdateStrategy(partition="50%"), 2, 1),
        (4, UpdateStrategy(partition=9, max_unavailable=2), 4, 2),
        (4, UpdateStrategy(partition=-3, max_unavailable=-1), 0, 1),
        (4, UpdateStrategy(partition="50", max_unavailable="100%"), 2, 4),
        (0, UpdateStrategy(partition=2, max_unavailable="50%"), 0, 1),
        (4, UpdateStrategy(max_unavailable=0, max_surge=1), 0, 1),
    ],
)
def test_limits_are_rounded_as_the_contract_says_and_something_may_always_be_replaced(
    replicas: int, strategy: UpdateStrategy, partition: int, unavailable: int
) -> None:
    found = window(strategy, replicas)
    assert (found.partition, found.max_unavailable) == (partition, unavailable)


def test_a_set_that_says_nothing_rolls_a_tenth_at_a_time() -> None:
    assert window(None, 20) == Window(partition=0, max_unavailable=2)


def test_what_is_no_limit_is_an_error() -> None:
    with pytest.raises(IntOrStringError):
        window(UpdateStrategy(max_unavailable="many"), 3)


def test_the_highest_ordinal_goes_first_and_only_as_many_as_may_be_unavailable() -> None:
    replicas = [_old(ordinal) for ordinal in range(4)]
    assert targets(replicas, ONE).ordinals == (3,)
    assert targets(replicas, Window(partition=0, max_unavailable=3)).ordinals == (3, 2, 1)


def test_nothing_below_the_partition_and_nothing_while_paused() -> None:
    replicas = [_old(ordinal) for ordinal in range(4)]
    assert targets(replicas, Window(partition=2, max_unavailable=4)).ordinals == (3, 2)
    assert targets(replicas, Window(partition=0, max_unavailable=4, paused=True)).ordinals == ()
    assert targets([_broken(0), _old(1)], Window(partition=1, max_unavailable=1)).ordinals == ()


def test_a_replica_that_is_missing_going_away_or_not_long_enough_ready_counts_as_unavailable() -> None:
    for down in (
        Replica(ordinal=0, present=False),
        Replica(ordinal=0, updated=True, available=False),
        _broken(0, updated=True),
    ):
        assert targets([down, _old(1), _old(2)], ONE).ordinals == ()


def test_broken_ones_cost_nothing_and_one_that_must_wait_does_not_hold_them_back() -> None:
    replicas = [_broken(0), _broken(1), _old(2), _new(3)]
    assert targets(replicas, ONE).ordinals == (1, 0)


def test_one_that_has_just_become_unready_is_waited_for_to_the_second() -> None:
    found = targets([_broken(0, since=2.0), _broken(1, since=1.0), _old(2)], ONE)
    assert found.ordinals == ()
    assert found.look_again == 3.0
    assert targets([_broken(0, since=5.0), _broken(1, since=4.0), _old(2)], ONE).ordinals == (0,)


def test_the_only_one_that_is_down_may_be_replaced_at_once() -> None:
    assert targets([_old(0), _broken(1, since=0.0), _old(2)], ONE).ordinals == (1,)
    fresh = Replica(ordinal=1, available=False)
    assert targets([_old(0), fresh, _old(2)], ONE).ordinals == (1,)


replicas = st.builds(
    Replica,
    ordinal=st.just(0),
    present=st.booleans(),
    updated=st.booleans(),
    ready=st.booleans(),
    available=st.booleans(),
    broken_in=st.floats(-10, 10),
).map(
    lambda found: (
        found
        if found.ready
        else Replica(
            ordinal=0,
            present=found.present,
            updated=found.updated,
            ready=False,
            available=False,
            broken_in=found.broken_in,
        )
    )
)
places = st.lists(replicas, max_size=12).map(
    lambda found: [
        Replica(
            ordinal=ordinal,
            present=item.present,
            updated=item.updated,
            ready=item.ready,
            available=item.available,
            broken_in=item.broken_in,
        )
        for ordinal, item in enumerate(found)
    ]
)
windows = st.builds(Window, partition=st.integers(0, 6), max_unavailable=st.integers(1, 5), paused=st.booleans())


@settings(max_examples=300, deadline=None)
@given(places, windows)
def test_a_choice_never_takes_more_that_serve_than_allowed_and_never_what_is_current_or_below_the_partition(
    found: list[Replica], allowed: Window
) -> None:
    chosen = targets(found, allowed).ordinals
    assert list(chosen) == sorted(chosen, reverse=True)
    down = {item.ordinal for item in found if not (item.present and item.ready and item.available)}
    for ordinal in chosen:
        item = found[ordinal]
        assert item.present
        assert not item.updated
        assert ordinal >= allowed.partition
    serving = [ordinal for ordinal in chosen if found[ordinal].ready]
    assert not serving or len(down | set(serving)) <= allowed.max_unavailable


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 8), windows)
def test_carried_out_again_and_again_everything_from_the_partition_up_becomes_current(
    number: int, allowed: Window
) -> None:
    state = [_old(ordinal) for ordinal in range(number)]
    for _ in range(number + 1):
        for ordinal in targets(state, allowed).ordinals:
            state[ordinal] = _new(ordinal)
    stale = [item.ordinal for item in state if not item.updated]
    assert stale == (list(range(number)) if allowed.paused else list(range(min(allowed.partition, number))))
