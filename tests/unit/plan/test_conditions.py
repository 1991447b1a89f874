from __future__ import annotations

from datetime import timedelta

import pytest

from rbgctrl.api.groups import RoleBasedGroupStatus, RoleStatus
from rbgctrl.api.meta import Condition
from rbgctrl.plan.conditions import changes, differs, merge, stamp

from .world import NOW

STATUSES = (
    RoleBasedGroupStatus(),
    RoleBasedGroupStatus(observed_generation=1),
    RoleBasedGroupStatus(observed_generation=1, role_statuses=()),
    RoleBasedGroupStatus(observed_generation=1, role_statuses=(RoleStatus(name="a", replicas=1),)),
)


def _condition(kind: str, status: str, message: str = "", since: str | None = None) -> Condition:
    return Condition(type=kind, status=status, reason="Because", message=message, last_transition_time=since)


def test_a_transition_time_moves_only_when_the_status_does() -> None:
    old = (_condition("Ready", "False", "0 of 2", "2026-01-01T00:00:00Z"),)
    same = merge(old, [_condition("Ready", "False", "1 of 2")], NOW)
    assert same[0].last_transition_time == "2026-01-01T00:00:00Z"
    assert same[0].message == "1 of 2"
    flipped = merge(old, [_condition("Ready", "True")], NOW)
    assert flipped[0].last_transition_time == stamp(NOW)


def test_conditions_of_others_are_kept_in_place() -> None:
    old = (_condition("Theirs", "True", since="2026-01-01T00:00:00Z"), _condition("Ready", "True", since="x"))
    merged = merge(old, [_condition("Ready", "True"), _condition("New", "False")], NOW)
    assert [item.type for item in merged] == ["Theirs", "Ready", "New"]
    assert merged[0] == old[0]


def test_a_dropped_type_goes_unless_it_is_wanted_again() -> None:
    old = (_condition("FailedScale", "True"),)
    assert merge(old, [], NOW, drop=("FailedScale",)) == ()
    assert merge(old, [_condition("FailedScale", "True")], NOW, drop=("FailedScale",))[0].type == "FailedScale"


def test_merging_the_outcome_again_later_changes_nothing() -> None:
    wanted = [_condition("Ready", "True")]
    once = merge((), wanted, NOW)
    assert merge(once, wanted, NOW + timedelta(days=1)) == once


def test_a_status_patch_holds_only_what_changed_and_spells_out_zeros() -> None:
    stored = RoleBasedGroupStatus(observed_generation=1, role_statuses=(RoleStatus(name="a", replicas=1),))
    wanted = RoleBasedGroupStatus(observed_generation=1, role_statuses=(RoleStatus(name="a", replicas=0),))
    assert changes(stored, wanted) == {
        "roleStatuses": [{"name": "a", "replicas": 0, "readyReplicas": 0, "updatedReplicas": 0}]
    }
    assert changes(stored, stored) == {}


def test_a_first_status_has_no_empty_fields() -> None:
    assert changes(None, RoleBasedGroupStatus(observed_generation=3)) == {"observedGeneration": 3}


@pytest.mark.parametrize("stored", [None, *STATUSES])
@pytest.mark.parametrize("wanted", STATUSES)
def test_statuses_differ_when_there_is_something_to_change(
    stored: RoleBasedGroupStatus | None, wanted: RoleBasedGroupStatus
) -> None:
    assert differs(stored, wanted) is bool(changes(stored, wanted))
