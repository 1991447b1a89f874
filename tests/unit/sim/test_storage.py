"""The database: versions, order, history, snapshots, subscribers."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.meta import Key
from rbgctrl.sim.storage import ADDED, DELETED, MODIFIED, CompactedError, Storage, StoredEvent


def thing(name: str, **more: object) -> dict[str, object]:
    return {"metadata": {"name": name}, **more}


def key(name: str, namespace: str = "ns") -> Key:
    return Key(namespace, name)


def test_every_change_has_a_version_of_its_own() -> None:
    storage = Storage()
    first = storage.put("things", key("a"), thing("a"))
    second = storage.put("others", key("a"), thing("a"))
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1
    assert storage.revision == int(second["metadata"]["resourceVersion"])


def test_a_deletion_has_a_version_too_and_leaves_the_last_state() -> None:
    storage = Storage()
    made = storage.put("things", key("a"), thing("a", data=1))
    gone = storage.delete("things", key("a"))
    assert gone["data"] == 1
    assert int(gone["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert storage.get("things", key("a")) is None
    with pytest.raises(KeyError):
        storage.delete("things", key("a"))


def test_a_stored_object_is_never_changed_by_a_later_write() -> None:
    storage = Storage()
    first = storage.put("things", key("a"), thing("a", data={"x": 1}))
    before = orjson.dumps(first)
    storage.put("things", key("a"), {**first, "data": {"x": 2}})
    assert orjson.dumps(first) == before


def test_lists_are_in_the_order_of_paths_and_keep_namespaces_apart() -> None:
    storage = Storage()
    for namespace, name in (("b", "x"), ("a", "y"), ("a-b", "x"), ("a", "x")):
        storage.put("things", Key(namespace, name), thing(name, at=namespace))
    found = [(item["at"], item["metadata"]["name"]) for item in storage.list("things")]
    assert found == [("a-b", "x"), ("a", "x"), ("a", "y"), ("b", "x")]
    assert [item["metadata"]["name"] for item in storage.list("things", "a")] == ["x", "y"]
    assert storage.list("things", "c") == []
    assert storage.list("nothing") == []


def test_the_bytes_of_an_object_are_made_once_and_shared() -> None:
    storage = Storage()
    event = storage.commit("things", key("a"), thing("a"))
    assert event.raw is event.raw
    record = storage.record("things", key("a"))
    assert record is event


def test_history_holds_every_change_in_order_with_both_sides() -> None:
    storage = Storage()
    storage.put("things", key("a"), thing("a", data=1))
    storage.put("things", key("a"), thing("a", data=2))
    storage.delete("things", key("a"))
    assert [event.type for event in storage.history] == [ADDED, MODIFIED, DELETED]
    added, modified, deleted = storage.history
    assert added.old is None
    assert modified.old is added.new
    assert deleted.old is modified.new
    assert deleted.new is None
    assert [event.revision for event in storage.history] == [2, 3, 4]


def test_history_can_be_bounded() -> None:
    storage = Storage(history=2)
    for number in range(5):
        storage.put("things", key("a"), thing("a", data=number))
    assert [event.obj["data"] for event in storage.history] == [3, 4]


def test_subscribers_hear_of_changes_in_order_even_of_those_made_while_listening() -> None:
    storage = Storage()
    heard: list[tuple[str, int]] = []

    def writer(event: StoredEvent) -> None:
        heard.append(("writer", event.revision))
        if event.resource == "things":
            storage.put("echoes", event.key, thing("echo"))

    storage.subscribe(writer)
    stop = storage.subscribe(lambda event: heard.append(("reader", event.revision)))
    storage.put("things", key("a"), thing("a"))
    assert heard == [("writer", 2), ("reader", 2), ("writer", 3), ("reader", 3)]
    stop()
    storage.put("others", key("a"), thing("a"))
    assert heard[-1] == ("writer", 4)


def test_what_is_compacted_can_no_longer_be_replayed() -> None:
    storage = Storage()
    for name in "abc":
        storage.put("things", key(name), thing(name))
    storage.compact(3)
    assert [event.revision for event in storage.since("things", 3)] == [4]
    with pytest.raises(CompactedError):
        storage.since("things", 2)
    with pytest.raises(CompactedError):
        storage.snapshot("things", "", 2)
    assert len(storage.snapshot("things", "", 3)) == 2
    assert len(storage.list("things")) == 3


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(("put", "delete")), st.sampled_from("ab"), st.sampled_from(("x", "y", "z"))), max_size=40
)


@given(OPERATIONS)
def test_a_snapshot_is_what_a_list_said_at_that_version(operations: list[tuple[str, str, str]]) -> None:
    storage = Storage()
    seen: dict[int, list[bytes]] = {}
    for number, (what, namespace, name) in enumerate(operations):
        place = Key(namespace, name)
        if what == "put":
            storage.put("things", place, thing(name, at=namespace, number=number))
        elif storage.get("things", place) is not None:
            storage.delete("things", place)
        seen[storage.revision] = [orjson.dumps(item) for item in storage.list("things")]
    for revision, wanted in seen.items():
        assert [orjson.dumps(event.obj) for event in storage.snapshot("things", "", revision)] == wanted


@given(OPERATIONS)
def test_replaying_the_history_gives_the_present(operations: list[tuple[str, str, str]]) -> None:
    storage = Storage()
    for what, namespace, name in operations:
        place = Key(namespace, name)
        if what == "put":
            storage.put("things", place, thing(name))
        elif storage.get("things", place) is not None:
            storage.delete("things", place)
    rebuilt: dict[Key, object] = {}
    for event in storage.since("things", 0):
        if event.new is None:
            del rebuilt[event.key]
        else:
            rebuilt[event.key] = event.new
    assert rebuilt == {record.key: record.obj for record in storage.records("things")}
