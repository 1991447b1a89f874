"""The store: lists, indexes, owners, tombstones, swaps."""

from __future__ import annotations

import gc

import pytest

from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.meta import Key, ObjectMeta, OwnerReference
from rbgctrl.client.decode import Invalid
from rbgctrl.informers import ChangeType
from rbgctrl.informers.writer import WritableStore


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def store(*scopes: str, clock: Clock | None = None) -> WritableStore[ConfigMap]:
    return WritableStore(scopes or ("",), clock=clock or Clock())


def obj(name: str, rv: int, *, uid: str = "", owner: str = "", namespace: str = "a", **labels: str) -> ConfigMap:
    owners = (OwnerReference(uid="bystander"), OwnerReference(uid=owner, controller=True)) if owner else ()
    meta = ObjectMeta(
        name=name,
        namespace=namespace,
        uid=uid or f"uid-{name}",
        resource_version=str(rv),
        labels=labels,
        owner_references=owners,
    )
    return ConfigMap(metadata=meta)


def filled(*objects: ConfigMap) -> WritableStore[ConfigMap]:
    found = store()
    for item in objects:
        found.put(item, item.metadata.rv)
    return found


def names(objects: list[ConfigMap]) -> list[str]:
    return [item.metadata.name for item in objects]


def app(item: ConfigMap) -> list[str]:
    return [item.metadata.labels["app"]] if "app" in item.metadata.labels else []


def test_lists_are_sorted_by_namespace_and_name_and_may_be_limited_to_a_namespace() -> None:
    found = filled(
        obj("b", 1, uid="1"),
        obj("a", 2, uid="2", namespace="b"),
        obj("a", 3, uid="3"),
        obj("z", 4, uid="4", namespace="a-b"),
        obj("c", 5, uid="5", namespace="a\x00"),
    )
    assert [str(item.key) for item in found.list()] == ["a/a", "a/b", "a\x00/c", "a-b/z", "b/a"]
    assert [str(item.key) for item in found.list("a")] == ["a/a", "a/b"]
    assert found.list("missing") == []
    found.remove(obj("a", 6, uid="3"), 6)
    assert [str(item.key) for item in found.list("a")] == ["a/b"]


def test_objects_are_found_by_key_and_by_uid() -> None:
    found = filled(obj("x", 1))
    assert found.get(Key("a", "x")) is found.get(("a", "x")) is found.by_uid("uid-x")
    assert Key("a", "x") in found
    assert found.has_uid("uid-x")
    assert len(found) == 1
    assert found.get(Key("a", "y")) is None
    assert found.by_uid("other") is None


def test_owned_finds_what_the_uid_controls_and_not_what_it_merely_owns() -> None:
    found = filled(obj("y", 1, owner="u1"), obj("x", 2, owner="u1"), obj("z", 3, owner="u2"), obj("w", 4))
    assert names(found.owned("u1")) == ["x", "y"]
    assert found.owned("bystander") == []
    assert found.owned("") == []


def test_a_namesake_of_a_deleted_owner_does_not_adopt_its_children() -> None:
    found = filled(obj("child", 1, owner="first incarnation"))
    assert found.owned("second incarnation") == []
    found.put(obj("child", 2, owner="second incarnation"), 2)
    assert names(found.owned("second incarnation")) == ["child"]
    assert found.owned("first incarnation") == []


def test_an_index_may_be_added_before_and_after_the_objects() -> None:
    found = store()
    found.add_index("before", app)
    for name in "yx":
        found.put(obj(name, 1, app="web"), 1)
    found.add_index("after", app)
    for index in ("before", "after"):
        assert names(found.by(index, "web")) == ["x", "y"]
        assert found.values(index) == ["web"]
    found.put(obj("x", 2, app="db"), 2)
    for index in ("before", "after"):
        assert names(found.by(index, "web")) == ["y"]
        assert names(found.by(index, "db")) == ["x"]
    with pytest.raises(KeyError):
        found.by("missing", "web")


def test_an_index_may_be_added_while_a_list_is_being_taken() -> None:
    found = store()
    found.begin("")
    found.stage("", [(obj("x", 1, app="web"), 1)])
    found.add_index("app", app)
    found.stage("", [(obj("y", 2, app="web"), 2)])
    found.swap("", 2, rewind=False, initial=True)
    assert names(found.by("app", "web")) == ["x", "y"]


def test_the_same_index_may_be_added_twice_but_not_another_of_its_name() -> None:
    found = store()
    found.add_index("app", app)
    found.add_index("app", app)
    with pytest.raises(ValueError, match="already another index 'app'"):
        found.add_index("app", lambda _item: [])
    with pytest.raises(ValueError, match="controller"):
        found.add_index("controller", app)


def test_index_values_are_computed_once_for_each_version() -> None:
    calls: list[int] = []

    def counted(item: ConfigMap) -> list[str]:
        calls.append(item.metadata.rv)
        return app(item)

    found = store()
    found.add_index("app", counted)
    for rv in (1, 2, 2, 1, 3):
        found.put(obj("x", rv, app="web"), rv)
    found.remove(obj("x", 4), 4)
    assert calls == [1, 2, 3]


def test_a_large_bucket_shrinks_again() -> None:
    found = store()
    found.add_index("app", app)
    for number in range(50):
        found.put(obj(f"n{number:02}", number + 1, app="web"), number + 1)
    assert len(found.by("app", "web")) == 50
    for number in range(50):
        found.remove(obj(f"n{number:02}", 100), 100)
        assert names(found.by("app", "web")) == [f"n{left:02}" for left in range(number + 1, 50)]
    assert found.values("app") == []


def test_an_index_that_returns_one_string_is_found_out_instead_of_taking_it_apart() -> None:
    found = filled(obj("x", 1))
    found.add_index("app", lambda _item: "web")
    assert found.values("app") == []


def test_an_object_that_does_not_decode_is_known_to_exist_but_not_handed_out() -> None:
    found = filled(obj("x", 1, owner="u"), obj("y", 1, uid="2", owner="u"))
    bad = Invalid(obj("x", 2).metadata, "spec: expected object")
    (change,) = found.put(bad, 2)
    assert (change.type, change.new) == (ChangeType.UPDATED, bad)
    assert found.get(("a", "x")) is None
    assert found.invalid(("a", "x")) is bad
    assert found.invalid(("a", "y")) is None
    assert names(found.list()) == names(found.owned("u")) == ["y"]
    assert found.by_uid("uid-x") is None
    assert found.has_uid("uid-x")
    assert (len(found), found.invalid_count) == (2, 1)


def test_the_greater_version_of_a_name_wins_whatever_its_uid() -> None:
    found = filled(obj("x", 5, uid="new"))
    assert found.put(obj("x", 4, uid="old"), 4) == ()
    assert found.remove(obj("x", 4, uid="old"), 4) == ()
    (change,) = found.remove(obj("x", 9, uid="newer"), 9)  # what was deleted came after what we have
    assert change.stale
    assert found.put(obj("x", 5, uid="new"), 5) == ()
    assert len(found) == 0


def test_memories_of_deletions_are_bounded_in_number_and_time() -> None:
    clock = Clock()
    found = store(clock=clock)
    for number in range(20_005):
        found.remove(obj(f"n{number}", number), number)
    assert len(found._tombstones) == 20_000
    clock.now = 601
    found.remove(obj("last", 1), 1)
    assert list(found._tombstones) == [("a", "last")]


def test_an_object_that_left_the_selector_may_come_back() -> None:
    found = filled(obj("x", 1))
    found.remove(obj("x", 2), 2)
    assert found.put(obj("x", 1), 1) == ()
    (change,) = found.put(obj("x", 3), 3)
    assert change.type is ChangeType.ADDED


def test_of_versions_not_newer_than_a_list_that_of_the_list_is_the_true_one() -> None:
    found = filled(obj("diverged", 90), obj("written-after", 120))
    found.begin("")
    found.stage("", [(obj("diverged", 40), 40), (obj("written-after", 50), 50)])
    changes = found.swap("", 100, rewind=False, initial=False)
    assert [(change.type, change.key.name) for change in changes] == [(ChangeType.UPDATED, "diverged")]
    assert [item.metadata.rv for item in found.list()] == [40, 120]


def test_a_rewind_replaces_everything_and_forgets_deletions() -> None:
    found = filled(obj("same", 10), obj("kept", 900), obj("doomed", 1000))
    found.remove(obj("undone", 1001), 1001)
    rewritten = obj("same", 10, app="rewritten")
    found.begin("")
    found.stage("", [(rewritten, 10), (obj("kept", 400), 400), (obj("undone", 300), 300)])
    changes = found.swap("", 500, rewind=True, initial=False)
    assert sorted((change.type.value, change.key.name) for change in changes) == [
        ("added", "undone"),
        ("deleted", "doomed"),
        ("updated", "kept"),
        ("updated", "same"),
    ]
    assert found.get(("a", "same")) is rewritten
    assert found.epoch == 1


def test_what_is_equal_is_not_replaced_by_a_list() -> None:
    found = filled(obj("x", 10))
    before = found.get(("a", "x"))
    found.begin("")
    found.stage("", [(obj("x", 10), 10)])
    assert found.swap("", 100, rewind=False, initial=False) == []
    assert found.get(("a", "x")) is before


def test_objects_without_uid_are_told_apart_by_name() -> None:
    found = store()
    for name in "xy":
        item = ConfigMap(metadata=ObjectMeta(name=name, namespace="a", resource_version="1"))
        found.put(item, 1)
    found.remove(ConfigMap(metadata=ObjectMeta(name="x", namespace="a", resource_version="2")), 2)
    assert names(found.list()) == ["y"]


def test_a_cached_pod_costs_the_garbage_collector_nothing() -> None:
    found: WritableStore[Pod] = WritableStore(clock=Clock())
    found.add_index("node", lambda pod: (pod.spec.node_name,))
    found.add_index("app", lambda pod: (pod.metadata.labels["app"],))

    def tracked() -> int:
        for _ in range(4):  # each pass lets go of one more level of nested tuples
            gc.collect()
        return len(gc.get_objects())

    gc.collect()
    gc.freeze()  # what other tests left is of no interest and slow to scan
    try:
        before = tracked()
        for number in range(500):
            meta = ObjectMeta(
                name=f"p{number}",
                namespace="a",
                uid=f"u{number}",
                resource_version=str(number + 1),
                labels={"app": "web"},
                owner_references=(OwnerReference(uid=f"o{number}", controller=True),),
            )
            found.put(Pod(metadata=meta), number + 1)
            del meta
        assert tracked() - before < 10  # the tables themselves
    finally:
        gc.unfreeze()
