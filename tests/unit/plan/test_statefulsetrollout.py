"""How a StatefulSet is rolled with a surge and a partition: the arithmetic, case by case and from start to end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.intstr import IntOrStringError, floor
from rbgctrl.api.roles import Rollout
from rbgctrl.plan.workloads.statefulsetrollout import MISSING, Live, Ordinal, Step, step

NEW, COMING, OLD, DOWN = (
    Ordinal(ready=True, updated=True),
    Ordinal(ready=False, updated=True),
    Ordinal(ready=True, updated=False),
    Ordinal(ready=False, updated=False),
)
LETTERS = {"n": NEW, "c": COMING, "o": OLD, "d": DOWN, ".": MISSING}


def live(pods: str, *, partition: int = 0, size: int | None = 4, replicas: int | None = None) -> Live:
    """A StatefulSet with a letter for each of its pods: new, coming up as new, old, old and down, or none."""
    return Live(
        replicas=len(pods) if replicas is None else replicas,
        partition=partition,
        size=size,
        changed=False,
        observed=True,
        ordinals=tuple(LETTERS[letter] for letter in pods),
    )


def limits(unavailable: int | str = 1, surge: int | str = 0, partition: int | str = 0) -> Rollout:
    return Rollout(max_unavailable=unavailable, max_surge=surge, partition=partition)


def at(partition: int, replicas: int) -> Step:
    return Step(partition=partition, replicas=replicas)


# Beginning, rest and scale --------------------------------------------------------------------------------------------


def test_a_new_one_is_made_whole_at_once() -> None:
    assert step(4, limits(surge=2), None) == at(0, 4)


def test_a_settled_one_stays_as_it_is_even_when_a_pod_is_down() -> None:
    assert step(4, limits(surge=2), live("nnnn")) == at(0, 4)
    assert step(4, limits(surge=2), live("nncn")) == at(0, 4)


@pytest.mark.parametrize(
    ("surge", "replicas"), [(0, 4), (1, 5), (2, 6), ("30%", 6), (4, 7), (9, 7)], ids=lambda value: f"{value}"
)
def test_a_new_template_changes_no_pod_before_the_extra_ones_are_asked_for(surge: int | str, replicas: int) -> None:
    assert step(4, limits(surge=surge), replace(live("nnnn"), changed=True)) == at(4, replicas)


def test_a_new_template_with_another_size_keeps_the_pods_there_are() -> None:
    assert step(4, limits(), replace(live("nn", size=2), changed=True)) == at(2, 4)
    assert step(2, limits(), replace(live("nnnn"), changed=True)) == at(2, 2)


def test_a_scale_changes_replicas_and_leaves_the_partition() -> None:
    assert step(6, limits(), live("nnnn")) == at(0, 6)
    assert step(2, limits(), live("nnnn")) == at(0, 2)
    assert step(6, limits(surge=1), live("oonn", partition=2)) == at(2, 7)


def test_a_scale_down_takes_a_partition_along_that_is_out_of_reach() -> None:
    assert step(2, limits(surge=1), live("oooooo", partition=6, size=6)) == at(3, 3)


def test_a_size_that_nobody_knows_counts_as_a_scale() -> None:
    assert step(4, limits(), live("oonn", partition=2, size=None)) == at(2, 4)


# Rolling --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "partition", "result"),
    [
        ("oooo", 4, at(3, 4)),  # the first one
        ("oooc", 3, at(3, 4)),  # it is coming up: wait
        ("ooo.", 3, at(3, 4)),
        ("ooon", 3, at(2, 4)),  # it is ready: the next one
        ("oonn", 2, at(1, 4)),
        ("ocnn", 1, at(1, 4)),
        ("onnn", 1, at(0, 4)),
        ("doon", 3, at(3, 4)),  # a pod further down is not ready, which uses up the room
        ("nnnn", 1, at(0, 4)),
        ("oodd", 4, at(3, 4)),  # what is down anyway costs nobody anything
        ("dddd", 4, at(3, 4)),
        ("dooo", 4, at(4, 4)),
        ("oooo", 2, at(2, 4)),  # never up again
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_one_by_one_from_the_top(pods: str, partition: int, result: Step) -> None:
    assert step(4, limits(1), live(pods, partition=partition)) == result


@pytest.mark.parametrize(
    ("pods", "partition", "result"),
    [
        ("oooo..", 4, at(2, 6)),  # two extra ones are coming and two may be missing
        ("oooocc", 4, at(2, 6)),
        ("oooonn", 4, at(0, 6)),  # four in the works: the extra ones stand in for two of them
        ("ooccnn", 2, at(0, 6)),
        ("oonnnn", 2, at(0, 5)),  # two are left, so one extra pod is enough
        ("ccnnnn", 0, at(0, 5)),
        ("cnnnnn", 0, at(0, 4)),
        ("nnnnnn", 0, at(0, 4)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_with_extra_pods_that_go_as_the_others_come(pods: str, partition: int, result: Step) -> None:
    assert step(4, limits(2, 2), live(pods, partition=partition)) == result


def test_nothing_moves_while_the_newest_revision_is_not_known() -> None:
    assert step(4, limits(), replace(live("nnnn", partition=4), observed=False)) == at(4, 4)
    assert step(4, limits(surge=1), replace(live("nnnnn", partition=4), observed=False)) == at(4, 5)


def test_a_share_too_small_for_one_pod_is_one_unless_there_are_extra_pods() -> None:
    assert step(4, limits("10%"), live("oooo", partition=4)) == at(3, 4)
    assert step(4, limits("10%", 1), live("oooo.", partition=4)) == at(4, 5)


# The partition that people set ----------------------------------------------------------------------------------------


def test_pods_below_the_users_partition_stay_old() -> None:
    canary = limits(partition=3)
    assert step(4, canary, replace(live("nnnn"), changed=True)) == at(4, 4)
    assert step(4, canary, live("oooo", partition=4)) == at(3, 4)
    assert step(4, canary, live("ooon", partition=3)) == at(3, 4)
    assert step(4, limits(partition=0), live("ooon", partition=3)) == at(2, 4)


def test_a_percentage_is_rounded_up() -> None:
    assert step(5, limits(partition="50%"), None) == at(3, 5)


def test_a_coordinated_partition_is_taken_as_it_is_and_without_extra_pods() -> None:
    assert step(5, limits(surge=2, partition=4), live("ooooo", size=5), coordinated="50%") == at(3, 5)
    assert step(5, limits(surge=2), None, coordinated=2) == at(2, 5)


def test_a_limit_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(IntOrStringError):
        step(4, limits("half"), live("oooo", partition=4))


# From start to end ----------------------------------------------------------------------------------------------------


class Machine:
    """A StatefulSet whose controller does all it may at once, which is the worst that can happen."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.partition, self.replicas = 0, wanted
        self.pods = [NEW] * wanted

    def live(self, *, changed: bool = False) -> Live:
        return Live(
            replicas=self.replicas,
            partition=self.partition,
            size=self.wanted,
            changed=changed,
            observed=True,
            ordinals=tuple(self.pods),
        )

    def take(self, wanted: Step) -> None:
        assert wanted.partition <= max(self.partition, self.wanted)
        self.partition, self.replicas = wanted.partition, wanted.replicas
        del self.pods[self.replicas :]
        self.pods += [COMING if ordinal >= self.partition else DOWN for ordinal in range(len(self.pods), self.replicas)]
        for ordinal in range(self.partition, self.replicas):
            if not self.pods[ordinal].updated:
                self.pods[ordinal] = COMING

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    def one_comes_up(self, choice: int) -> None:
        waiting = [ordinal for ordinal, pod in enumerate(self.pods) if not pod.ready]
        if waiting:
            ordinal = waiting[choice % len(waiting)]
            self.pods[ordinal] = replace(self.pods[ordinal], ready=True)


@given(
    wanted=st.integers(1, 9),
    unavailable=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "100%"])),
    surge=st.one_of(st.integers(0, 4), st.sampled_from(["10%", "50%"])),
    choices=st.lists(st.integers(0, 99), min_size=60, max_size=60),
)
def test_a_rolling_update_ends_and_never_has_fewer_ready_than_allowed(
    wanted: int, unavailable: int | str, surge: int | str, choices: list[int]
) -> None:
    rollout = limits(unavailable, surge)
    machine = Machine(wanted)
    machine.pods = [OLD] * wanted
    machine.take(step(wanted, rollout, machine.live(changed=True)))
    least = wanted - min(floor(unavailable, wanted) or (0 if surge else 1), wanted)
    for choice in choices:
        machine.take(step(wanted, rollout, machine.live()))
        assert machine.ready >= least
        machine.one_comes_up(choice)
    machine.take(step(wanted, rollout, machine.live()))
    assert machine.pods == [NEW] * wanted
    assert (machine.partition, machine.replicas) == (0, wanted)
