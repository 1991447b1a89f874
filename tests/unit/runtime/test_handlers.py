"""Which requests a change leads to."""

from __future__ import annotations

from typing import Any, ClassVar

from rbgctrl.api.meta import Key, Kind, OwnerReference, Resource
from rbgctrl.runtime import handlers
from unit.runtime.fakes import A, B, C, Thing, added, removed, thing, updated


class Realm(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[Kind[Any]] = Kind("test.example", "v1", "Realm", "realms", namespaced=False)


def reference(
    name: str, *, kind: str = "Thing", api: str = "test.example/v1", controller: bool = True
) -> OwnerReference:
    return OwnerReference(api_version=api, kind=kind, name=name, uid=f"uid-{name}", controller=controller)


def test_itself_names_the_object_of_any_change() -> None:
    obj = thing("a")
    for change in (added(obj), updated(obj, thing("a", rv=2)), removed(obj)):
        assert list(handlers.itself(change)) == [A]


def test_owner_names_the_controlling_owner_in_the_namespace_of_the_child() -> None:
    child = thing("x", namespace="ns", owners=(reference("b", controller=False), reference("a")))
    assert list(handlers.owner(Thing)(added(child))) == [A]


def test_owner_can_name_every_owner_of_the_kind() -> None:
    child = thing("x", owners=(reference("b", controller=False), reference("a")))
    assert list(handlers.owner(Thing, controller=False)(added(child))) == [B, A]


def test_owner_matches_group_and_kind_in_any_version() -> None:
    child = thing(
        "x",
        owners=(
            reference("a", api="test.example/v9"),
            reference("b", api="else.example/v1"),
            reference("c", kind="Something"),
            reference("core", api="v1"),
        ),
    )
    assert list(handlers.owner(Thing)(added(child))) == [A]


def test_owner_of_a_cluster_scoped_kind_has_no_namespace() -> None:
    child = thing("x", owners=(reference("r", kind="Realm"),))
    assert list(handlers.owner(Realm)(added(child))) == [Key("", "r")]


def test_a_child_that_changes_owner_wakes_both_owners() -> None:
    old, new = thing("x", owners=(reference("a"),)), thing("x", owners=(reference("b"),))
    assert list(handlers.owner(Thing)(updated(old, new))) == [A, B]


def test_an_owner_is_named_once_per_change() -> None:
    child = thing("x", owners=(reference("a"),))
    assert list(handlers.owner(Thing)(updated(child, child))) == [A]


def test_a_deleted_child_wakes_its_owner() -> None:
    assert list(handlers.owner(Thing)(removed(thing("x", owners=(reference("a"),))))) == [A]


def test_label_names_the_object_in_the_value_before_and_after() -> None:
    handler = handlers.label("group")
    old, new = thing("x", labels={"group": "a"}), thing("x", labels={"group": "b"})
    assert list(handler(updated(old, new))) == [A, B]
    assert list(handler(updated(old, thing("x")))) == [A]
    assert list(handler(added(thing("x", labels={"group": ""})))) == []


def test_const_names_the_same_requests_for_every_change() -> None:
    handler = handlers.const(A, C)
    assert list(handler(added(thing("x")))) == list(handler(removed(thing("y")))) == [A, C]
