"""Each predicate against each sort of change."""

from __future__ import annotations

import pytest

from rbgctrl.api.meta import ObjectMeta
from rbgctrl.client.decode import Invalid
from rbgctrl.runtime import predicates as p
from unit.runtime.fakes import added, removed, thing, updated

OLD = thing(rv=1)
BROKEN = Invalid(
    metadata=ObjectMeta(name="a", namespace="ns", uid="uid-a", resource_version="2", generation=1), error="?"
)
CHANGES = {
    "created": added(OLD),
    "initial": added(OLD, initial=True),
    "deleted": removed(OLD),
    "same": updated(OLD, thing(rv=2)),
    "spec": updated(OLD, thing(rv=2, spec=1, generation=2)),
    "status": updated(OLD, thing(rv=2, status=1)),
    "labels": updated(OLD, thing(rv=2, labels={"x": "y"})),
    "annotations": updated(OLD, thing(rv=2, annotations={"x": "y"})),
    "deleting": updated(OLD, thing(rv=2, deleting=True, generation=2)),
    "broken": updated(OLD, BROKEN),
    "resync": updated(OLD, OLD, resync=True),
}
BOTH_ENDS = {"created", "initial", "deleted", "broken"}
PASS = {
    p.always: set(CHANGES),
    p.resource_version: set(CHANGES) - {"resync"},
    p.generation: BOTH_ENDS | {"spec", "deleting"},
    p.labels: BOTH_ENDS | {"labels"},
    p.annotations: BOTH_ENDS | {"annotations"},
    p.spec_or_status: BOTH_ENDS | {"spec", "status"},
    p.differs(lambda obj: obj.metadata.labels, "own"): BOTH_ENDS | {"labels"},
    p.created: {"created", "initial"},
    p.deleted: {"deleted"},
    p.deleting: {"deleted", "deleting"},
    p.generation | p.annotations: BOTH_ENDS | {"spec", "deleting", "annotations"},
    p.generation & ~p.deleting: {"created", "initial", "broken", "spec"},
    p.always & p.labels: BOTH_ENDS | {"labels"},
    p.labels | p.always: set(CHANGES),
    ~p.always: set(),
    ~p.created: set(CHANGES) - {"created", "initial", "resync"},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("predicate", PASS, ids=repr)
def test_a_predicate_lets_exactly_these_changes_through(predicate: p.Predicate, change: str) -> None:
    assert predicate(CHANGES[change]) is (change in PASS[predicate])


def test_a_resync_passes_only_always() -> None:
    makers = {"Predicate", "differs"}
    leaves = [getattr(p, name) for name in p.__all__ if name not in makers] + [p.differs(repr, "own")]
    assert [leaf for leaf in leaves if leaf(CHANGES["resync"])] == [p.always]


def test_using_and_or_not_on_predicates_is_refused() -> None:
    with pytest.raises(TypeError, match="combine with"):
        _ = p.generation and p.labels
    with pytest.raises(TypeError):
        _ = not p.generation


def test_a_predicate_shows_how_it_was_combined() -> None:
    assert repr(p.generation & ~p.deleting | p.labels) == "((generation & ~deleting) | labels)"


def test_an_own_test_becomes_a_predicate() -> None:
    named_a = p.Predicate(lambda change: change.key.name == "a")
    assert named_a(CHANGES["spec"])
    assert not named_a(added(thing("b")))
    assert not named_a(CHANGES["resync"])
