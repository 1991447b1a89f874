"""How many instances a stateless set creates, deletes and updates: worked examples, and a set played through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api.instances import RoleInstanceSetSpec, ScaleStrategy, UpdateStrategy
from rbgctrl.plan.counting import Limits, Tally, count, limits


def _limits(replicas: int, scale: ScaleStrategy | None = None, **update: int | str) -> Limits:
    strategy = UpdateStrategy(**update)  # type: ignore[arg-type]  # the fields that are limits
    spec = RoleInstanceSetSpec(role_instance_template=b"{}", update_strategy=strategy, scale_strategy=scale)  # type: ignore[arg-type]  # not read
    return limits(spec, replicas)


@pytest.mark.parametrize(
    ("replicas", "partition", "kept"),
    [(10, None, 0), (10, 2, 2), (10, "15%", 2), (4, "90%", 3), (4, "100%", 4), (4, 9, 4), (4, -1, 0), (0, "50%", 0)],
)
def test_a_partition_is_rounded_up_and_only_all_of_it_keeps_everything(
    replicas: int, partition: int | str | None, kept: int
) -> None:
    found = _limits(replicas) if partition is None else _limits(replicas, partition=partition)
    assert found.partition == kept


@pytest.mark.parametrize(
    ("replicas", "update", "unavailable", "surge"),
    [
        (4, {"max_surge": "25%", "max_unavailable": "25%"}, 1, 1),
        (10, {"max_unavailable": "30%"}, 3, 0),
        (5, {}, 1, 0),
        (5, {"max_surge": 1}, 0, 1),
        (3, {"max_unavailable": 0}, 0, 0),
        (100, {"max_unavailable": "7%"}, 7, 0),
    ],
)
def test_unavailable_ones_are_rounded_up_without_surge_and_down_with_it_and_may_be_none(
    replicas: int, update: dict[str, int | str], unavailable: int, surge: int
) -> None:
    found = _limits(replicas, None, **update)
    assert (found.max_unavailable, found.max_surge) == (unavailable, surge)


def test_surge_without_unavailable_ones_goes_one_up_one_over_and_one_down() -> None:
    allowed = Limits(replicas=5, max_surge=1)
    begin = count(allowed, Tally(old=5))
    assert (begin.scale, begin.scale_old) == (1, 0)
    wait = count(allowed, Tally(old=5, new=1, unavailable=1))
    assert (wait.scale, wait.update, wait.update_unavailable) == (0, 4, 1)
    end = count(allowed, Tally(old=1, new=5))
    assert (end.scale, end.scale_old) == (-1, -1)


def test_an_update_without_surge_goes_on_within_what_may_be_unavailable() -> None:
    found = count(Limits(replicas=10, partition=2, max_unavailable=3), Tally(old=10))
    assert (found.scale, found.update, found.update_unavailable) == (0, 8, 3)
    both = count(Limits(replicas=4, max_unavailable=1, max_surge=1), Tally(old=4))
    assert (both.scale, both.update) == (1, 4)


def test_a_partition_that_grows_takes_instances_back_to_the_current_revision() -> None:
    found = count(Limits(replicas=4, partition=3, max_unavailable=1), Tally(old=1, new=3))
    assert found.update == -2
    settled = count(Limits(replicas=4, partition=3, max_unavailable=1), Tally(new=4, settled=True))
    assert settled.update == 0


def test_what_is_at_another_revision_than_the_only_one_wanted_is_updated_whatever_the_partition() -> None:
    found = count(Limits(replicas=4, partition=3, max_unavailable=1), Tally(old=2, new=2, settled=True))
    assert found.update == 2


def test_new_instances_fill_the_old_share_first() -> None:
    found = count(Limits(replicas=4, partition=2, max_unavailable=1), Tally(old=1, new=2))
    assert (found.scale, found.scale_old) == (1, 1)


def test_creation_pauses_when_too_many_are_unavailable() -> None:
    allowed = _limits(10, ScaleStrategy(max_unavailable=2))
    assert count(allowed, Tally(settled=True)).create == 2
    assert count(allowed, Tally(new=2, unavailable=2, settled=True)).create == 0
    assert count(allowed, Tally(new=3, unavailable=1, settled=True)).create == 1
    assert count(_limits(10), Tally(settled=True)).create == 10


def test_doomed_instances_that_are_ready_go_only_within_what_may_be_unavailable() -> None:
    allowed = Limits(replicas=3, max_unavailable=1)
    assert count(allowed, Tally(new=3, new_doomed=2, settled=True)).delete_ready == 1
    assert count(allowed, Tally(new=3, new_doomed=1, unavailable=1, settled=True)).delete_ready == 0


def test_surge_stands_in_for_an_instance_somebody_wants_deleted() -> None:
    found = count(Limits(replicas=3, max_surge=1), Tally(new=3, new_doomed=1, settled=True))
    assert (found.scale, found.surge) == (1, 1)
    paused = count(Limits(replicas=3, max_surge=1, paused=True), Tally(new=3, new_doomed=1, settled=True))
    assert paused.scale == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 3), st.integers(0, 3), st.integers(0, 8))
def test_played_to_the_end_every_set_has_its_number_and_its_shares(
    replicas: int, partition: int, unavailable: int, surge: int, old: int
) -> None:
    """Every instance is ready at once, which leaves only the numbers; more than one may be changed in a step."""
    allowed = Limits(
        replicas=replicas, partition=min(partition, replicas), max_unavailable=unavailable, max_surge=surge
    )
    new = 0
    for _ in range(60):
        numbers = count(allowed, Tally(old=old, new=new))
        assert old + new <= max(replicas + surge, old + new if numbers.scale <= 0 else 0)
        if numbers.scale > 0:
            backwards = min(numbers.scale_old, numbers.create)
            old, new = old + backwards, new + numbers.create - backwards
        elif numbers.scale < 0:
            from_old = min(-numbers.scale_old, -numbers.scale)
            old, new = old - from_old, new - (-numbers.scale - from_old)
        elif numbers.update:
            moved = max(min(abs(numbers.update), numbers.update_unavailable), 0)
            assert replicas - (old + new - moved) <= unavailable
            old, new = (old - moved, new) if numbers.update > 0 else (old, new - moved)
            if not moved:
                break
        else:
            break
    assert old >= 0
    assert new >= 0
    assert old + new == replicas
    if unavailable or surge:
        assert old == min(partition, replicas)
