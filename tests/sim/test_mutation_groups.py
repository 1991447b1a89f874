"""What the strategies of groups promise: every mutation is drawn and does what its name says; the end can be run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from rbgctrl.sim.mutation import MUTATIONS, edited, groups, sequences
from rbgctrl.sim.mutation.groups import BREAKING, mended
from rbgctrl.sim.oracles import Step, verdict

Obj = dict[str, Any]
QUICK = settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
SEARCH = settings(max_examples=3000, database=None, phases=[Phase.generate])


def _roles(body: Any) -> dict[str, Obj]:
    return {role["name"]: role for role in body["spec"]["roles"]}


def _replicas(body: Any) -> int:
    return sum(role["replicas"] for role in body["spec"]["roles"])


def _images(body: Any) -> list[str]:
    return [str(role.get("standalonePattern")) for role in body["spec"]["roles"]]


def _patterns(body: Any) -> list[str]:
    return [next(name for name in role if name.endswith("Pattern")) for role in body["spec"]["roles"]]


def _update(body: Any, field: str) -> list[Any]:
    strategies = [role.get("rolloutStrategy") or {} for role in body["spec"]["roles"]]
    return [(item.get("rollingUpdate") or {}).get(field) for item in strategies]


DOES: dict[str, Callable[[Any, Any], bool]] = {
    "scale up": lambda old, new: _replicas(new) > _replicas(old),
    "scale down": lambda old, new: _replicas(new) < _replicas(old),
    "scale to zero": lambda old, new: _replicas(new) == 0 < _replicas(old),
    "change image": lambda old, new: _images(new) != _images(old),
    "add role": lambda old, new: _roles(new).keys() > _roles(old).keys(),
    "remove role": lambda old, new: _roles(new).keys() < _roles(old).keys(),
    "rename role": lambda old, new: len(_roles(new).keys() & _roles(old).keys()) == len(_roles(old)) - 1,
    "reorder roles": lambda old, new: list(_roles(new)) != list(_roles(old)) and _roles(new) == _roles(old),
    "rewire dependencies": lambda old, new: new != old and verdict(new).runnable,
    "pause or resume": lambda old, new: True in _update(new, "paused"),
    "move partition": lambda old, new: any(_update(new, "partition")),
    "apply again": lambda old, new: new == old,
    "recreate": lambda old, new: new == old,
    "edit a field": lambda old, new: new != old,
    "switch pattern": lambda old, new: _patterns(new) != _patterns(old) and verdict(new).runnable,
    "make a cycle": lambda old, new: verdict(new).fault.startswith("cycle"),
    "depend on nobody": lambda old, new: verdict(new).fault == "depends on ghost",
    "ask for a profile that is missing": lambda old, new: "ghost" in str(verdict(new).faults),
    "refused": lambda old, new: bool(verdict(new).refused),
}


def test_every_mutation_is_told_what_it_does() -> None:
    assert DOES.keys() == MUTATIONS.keys()
    assert set(BREAKING) <= MUTATIONS.keys()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_does_what_its_name_says(name: str) -> None:
    @st.composite
    def pairs(draw: st.DrawFn) -> tuple[Obj, Obj]:
        old = draw(groups())
        new = copy.deepcopy(old)
        MUTATIONS[name](draw, new)
        return old, new

    find(pairs(), lambda pair: DOES[name](*pair), settings=SEARCH)


@QUICK
@given(groups(name="a", namespace="n"))
def test_a_group_can_be_run(body: Obj) -> None:
    assert verdict(body).runnable
    assert body["metadata"] == {"name": "a", "namespace": "n"}


@QUICK
@given(sequences())
def test_a_sequence_ends_with_what_can_be_run(steps: tuple[Step, ...]) -> None:
    assert 3 <= len(steps) <= 7
    taken = [step for step in steps if not verdict(step.body).refused]
    assert verdict(taken[-1].body).runnable
    assert all(step.recreate == (step.name == "recreate") for step in steps)
    assert all(_replicas(step.body) <= 20 for step in taken)
    bodies = [id(step.body) for step in steps]
    assert len(set(bodies)) == len(bodies), "each has a body of its own"


@QUICK
@given(sequences(through=BREAKING, length=(4, 4), waits=(7.0,)))
def test_a_sequence_can_be_led_through_what_cannot_be_run(steps: tuple[Step, ...]) -> None:
    assert steps[0].name == "create"
    assert steps[1].name in BREAKING
    assert {step.wait for step in steps if step.name != "mend"} == {7.0}


@QUICK
@given(sequences(through=BREAKING, names=("edit a field", "switch pattern", "rewire dependencies")))
def test_mending_leaves_alone_what_can_be_run(steps: tuple[Step, ...]) -> None:
    for step in steps:
        if not verdict(step.body).refused:
            found = mended(step.body)
            assert verdict(found).runnable
            assert _replicas(found) == _replicas({"spec": {"roles": [*_defaulted(step.body)]}})


def _defaulted(body: Any) -> list[Obj]:
    return [{"replicas": 0, **role} for role in body["spec"]["roles"]]


@QUICK
@given(edited())
def test_an_edit_is_one_field_that_the_schema_knows(fields: Obj) -> None:
    assert len(fields) == 1
    body = {"metadata": {"name": "a"}, "spec": {"roles": [{"name": "a", **fields}]}}
    assert not verdict(body).refused


FIELDS = ("rolloutStrategy", "leaderWorkerPattern", "customComponentsPattern", "engineRuntimes", "labels")


@pytest.mark.parametrize("field", FIELDS)
def test_edits_are_not_only_of_what_is_simple(field: str) -> None:
    find(edited(), lambda fields: field in fields, settings=SEARCH)
