"""Sets of fields: the algebra, and the difference of two objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.sim.fields import (
    Fields,
    added,
    compared,
    declared,
    difference,
    intersection,
    leaves,
    named,
    union,
)
from rbgctrl.sim.openapischema import compile_schema

KEYED = compile_schema(
    {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
                },
            },
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}}},
        },
    }
)


def members(fields: Fields, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The meaning of a set, spelt out."""
    found = set()
    for name, node in fields.items():
        if name == ".":
            continue
        if not node or "." in node:
            found.add((*prefix, name))
        found |= members(node, (*prefix, name))
    return found


def built(paths: set[tuple[str, ...]]) -> Fields:
    root: Fields = {}
    for path in sorted(paths):
        root = union(root, _single(path))
    return root


def _single(path: tuple[str, ...]) -> Fields:
    return {path[0]: {} if len(path) == 1 else _single(path[1:])}


PATHS = st.sets(st.lists(st.sampled_from(("f:a", "f:b", "f:c")), min_size=1, max_size=3).map(tuple), max_size=6)


@given(PATHS)
def test_a_set_says_what_went_into_it(paths: set[tuple[str, ...]]) -> None:
    assert members(built(paths)) == paths


@given(PATHS, PATHS)
def test_the_algebra_is_that_of_sets(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> None:
    one, other = built(left), built(right)
    assert members(union(one, other)) == left | right
    assert members(difference(one, other)) == left - right
    assert members(intersection(one, other)) == left & right


def test_a_new_value_is_owned_with_its_parents_and_an_atomic_one_as_a_whole() -> None:
    value = {"items": [{"name": "a", "size": 1}], "set": ["x"], "list": ["y"], "map": {"k": "v"}, "whole": {"a": "b"}}
    assert added(KEYED, value) == {
        ".": {},
        "f:items": {".": {}, 'k:{"name":"a"}': {".": {}, "f:name": {}, "f:size": {}}},
        "f:set": {".": {}, 'v:"x"': {}},
        "f:list": {},
        "f:map": {".": {}, "f:k": {}},
        "f:whole": {},
    }


def test_a_configuration_speaks_about_leaves_and_items_but_not_about_parents() -> None:
    value = {"items": [{"name": "a", "size": 1}], "set": ["x"], "map": {"k": "v"}}
    assert declared(KEYED, value) == {
        "f:items": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:size": {}}},
        "f:set": {'v:"x"': {}},
        "f:map": {"f:k": {}},
    }
    assert declared(KEYED, {"items": [], "set": []}) is None
    assert declared(KEYED, {"map": {}}) == {"f:map": {}}


def test_a_difference_names_only_what_differs() -> None:
    old = {"items": [{"name": "a", "size": 1}, {"name": "b"}], "set": ["x"], "map": {"k": "v"}, "list": ["1"]}
    new = {"items": [{"name": "b"}, {"name": "a", "size": 2}], "set": ["y"], "map": {"k": "v"}, "list": ["2"]}
    changed, removed = compared(KEYED, old, new)
    assert changed == {"f:items": {'k:{"name":"a"}': {"f:size": {}}}, "f:set": {'v:"y"': {}}, "f:list": {}}
    assert removed == {"f:set": {'v:"x"': {}}}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "items": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"size": st.integers(0, 2)}),
            max_size=3,
            unique_by=lambda item: item["name"],
        ),
        "set": st.lists(st.sampled_from("xyz"), max_size=3, unique=True),
        "map": st.dictionaries(st.sampled_from("kl"), st.sampled_from("12"), max_size=2),
        "list": st.lists(st.sampled_from("12"), max_size=2),
    },
)


@given(VALUES, VALUES)
def test_equal_values_differ_in_nothing_and_all_that_is_changed_is_in_the_new_one(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert compared(KEYED, old, old) == ({}, {})
    changed, removed = compared(KEYED, old, new)
    assert members(changed) <= members(added(KEYED, new))
    assert members(removed) <= members(added(KEYED, old))
    assert not members(changed) & members(removed)


def test_fields_are_named_as_messages_name_them() -> None:
    fields = {"f:spec": {"f:items": {'k:{"name":"a","port":8}': {"f:size": {}}}, "f:set": {'v:"x"': {}}, "f:n": {}}}
    assert leaves(fields) == [".spec.n", '.spec.items[name="a",port=8].size', '.spec.set[="x"]']


def test_declared_parents_count_as_members_and_map_entries_do_not() -> None:
    fields: Fields = {"f:items": {'k:{"name":"a"}': {"f:size": {}}}}
    assert members(named(KEYED, fields)) == {("f:items",), ("f:items", 'k:{"name":"a"}', "f:size")}
