"""The truth table of a finalizer."""

from __future__ import annotations

from typing import Any

import pytest

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.plan.model import Delete, Note, Patch, PatchType, Plan, Severity, Subject
from rbgctrl.runtime.finalizers import Stage, guard, stage

OURS, OTHER = "example.com/ours", "example.com/other"
WORK = Plan(steps=((Delete(kind=ConfigMap, key=Key("ns", "child"), uid="u"),),), because="work")


def thing(*finalizers: str, deleting: bool = False) -> ConfigMap:
    return ConfigMap(
        metadata=ObjectMeta(
            name="thing",
            namespace="ns",
            uid="uid-1",
            finalizers=finalizers,
            deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
        )
    )


def never() -> Plan:
    pytest.fail("must not be asked")


def patch_of(plan: Plan) -> Patch:
    (action,) = plan.actions
    assert isinstance(action, Patch)
    assert action.type is PatchType.JSON
    assert (action.key, action.uid) == (Key("ns", "thing"), "uid-1")
    return action


@pytest.mark.parametrize(
    ("finalizers", "deleting", "expected"),
    [
        ((OURS,), False, Stage.LIVE),
        ((OURS, OTHER), True, Stage.ENDING),
        ((), False, Stage.UNGUARDED),
        ((OTHER,), True, Stage.OVER),
    ],
)
def test_the_stage_is_read_from_finalizer_and_deletion(
    finalizers: tuple[str, ...], deleting: bool, expected: Stage
) -> None:
    assert stage(thing(*finalizers, deleting=deleting).metadata, OURS) is expected


def test_a_guarded_object_is_worked_on() -> None:
    assert guard(thing(OURS), OURS, apply=lambda: WORK, cleanup=never) is WORK


def test_an_unguarded_object_is_guarded_before_any_work() -> None:
    body: Any = patch_of(guard(thing(), OURS, apply=never, cleanup=never)).body
    assert list(body) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
        {"op": "test", "path": "/metadata/finalizers", "value": None},
        {"op": "add", "path": "/metadata/finalizers", "value": [OURS]},
    ]


def test_other_finalizers_are_kept_and_tested() -> None:
    body: Any = patch_of(guard(thing(OTHER), OURS, apply=never, cleanup=never)).body
    assert list(body)[1:] == [
        {"op": "test", "path": "/metadata/finalizers", "value": [OTHER]},
        {"op": "add", "path": "/metadata/finalizers/-", "value": OURS},
    ]


def test_cleanup_goes_on_while_it_has_something_to_do() -> None:
    assert guard(thing(OURS, deleting=True), OURS, apply=never, cleanup=lambda: WORK) is WORK


def test_cleanup_that_waits_keeps_the_finalizer() -> None:
    waiting = Plan(requeue_after=5.0, because="a child is terminating")
    assert guard(thing(OURS, deleting=True), OURS, apply=never, cleanup=lambda: waiting) is waiting


def test_when_cleanup_has_nothing_left_the_finalizer_is_removed_by_place_and_value() -> None:
    obj = thing(OTHER, OURS, deleting=True)
    body: Any = patch_of(guard(obj, OURS, apply=never, cleanup=Plan)).body
    assert list(body) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
        {"op": "test", "path": "/metadata/finalizers/1", "value": OURS},
        {"op": "remove", "path": "/metadata/finalizers/1"},
    ]


def test_what_cleanup_has_to_tell_is_told_with_the_last_patch() -> None:
    obj = thing(OURS, deleting=True)
    note = Note(subject=Subject.of(obj), severity=Severity.NORMAL, reason="Cleaned", message="all gone")
    plan = guard(obj, OURS, apply=never, cleanup=lambda: Plan(notes=(note,)))
    assert plan.notes == (note,)
    patch_of(plan)


def test_an_object_on_its_way_out_without_our_finalizer_is_left_alone() -> None:
    plan = guard(thing(OTHER, deleting=True), OURS, apply=never, cleanup=never)
    assert plan.empty
    assert plan.because
