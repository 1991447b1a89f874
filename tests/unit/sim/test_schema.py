"""Structural schemas: pruning, nulls, defaults, validation, and the types of built-in kinds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.crds import documents
from rbgctrl.sim.crds import RULES, rows_of
from rbgctrl.sim.openapischema import compile_schema
from rbgctrl.sim.schema import Found, admit
from rbgctrl.sim.types import builtin_schema

SOURCE: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z]*$"},
        "size": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 9, "default": 3},
        "big": {"type": "integer", "format": "int32"},
        "kind": {"type": "string", "enum": ["A", "B"]},
        "either": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True},
        "when": {"type": "string", "format": "date-time"},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"n": {"type": "integer"}},
        },
        "texts": {"type": "object", "additionalProperties": {"type": "string"}},
        "parts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "deep": {"type": "boolean", "default": True}},
            },
        },
    },
}
SCHEMA = compile_schema(SOURCE)


def admitted(value: Any) -> tuple[Any, Found]:
    found = Found()
    return admit(SCHEMA, value, found), found


def test_unknown_fields_go_and_are_named_unless_the_schema_is_open() -> None:
    value = {"name": "a", "x": 1, "parts": [{"id": "p", "y": 2}], "free": {"z": {"w": 3}}, "size": 1}
    result, found = admitted(value)
    assert result == {"name": "a", "parts": [{"id": "p", "deep": True}], "free": {"z": {"w": 3}}, "size": 1}
    assert sorted(found.unknown) == ["parts[0].y", "x"]
    assert found.causes == []


def test_nulls_go_where_the_schema_knows_the_field_or_the_map_and_stay_where_it_is_open() -> None:
    free: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    source = {"type": "object", "properties": {"free": free, "texts": texts, "maybe": {**free, "nullable": True}}}
    value = {"free": None, "maybe": None, "texts": {"a": None, "b": ""}}
    assert admit(compile_schema(source), value, Found()) == {"maybe": None, "texts": {"b": ""}}
    assert admit(compile_schema({**source, **free}), {"free": {"a": None}, "x": None}, Found()) == {
        "free": {"a": None},
        "x": None,
    }


def test_defaults_fill_in_and_null_counts_as_absent_unless_it_is_a_value() -> None:
    result, found = admitted({"name": "a", "size": None, "kind": None, "maybe": None, "parts": [{"id": "p"}]})
    assert result == {"name": "a", "size": 3, "maybe": None, "parts": [{"id": "p", "deep": True}]}
    assert found.causes == []


def test_a_value_that_needs_nothing_is_returned_itself() -> None:
    value = {"name": "a", "size": 1, "parts": [{"id": "p", "deep": False}], "texts": {"k": "v"}}
    assert admitted(value)[0] is value


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"size": 1}, "FieldValueRequired", "name: Required value"),
    ({"name": 1}, "FieldValueTypeInvalid", 'name in body must be of type string: "integer"'),
    ({"name": ""}, "FieldValueInvalid", "name in body should be at least 1 chars long"),
    ({"name": "abcdef"}, "FieldValueTooLong", "name: Too long: may not be more than 5 bytes"),
    ({"name": "A"}, "FieldValueInvalid", "name in body should match '^[a-z]*$'"),
    ({"name": "a", "size": -1}, "FieldValueInvalid", "size in body should be greater than or equal to 0"),
    ({"name": "a", "size": 10}, "FieldValueInvalid", "size in body should be less than or equal to 9"),
    ({"name": "a", "size": True}, "FieldValueTypeInvalid", 'size in body must be of type integer: "boolean"'),
    ({"name": "a", "size": 1.5}, "FieldValueTypeInvalid", 'size in body must be of type integer: "number"'),
    ({"name": "a", "big": 2**31}, "FieldValueInvalid", "of type integer with format int32 in big"),
    ({"name": "a", "kind": "C"}, "FieldValueNotSupported", 'kind: Unsupported value: "C": supported values: "A", "B"'),
    ({"name": "a", "either": True}, "FieldValueTypeInvalid", "either in body must be of type integer,string"),
    ({"name": "a", "when": "now"}, "FieldValueInvalid", "when in body must be of type date-time"),
    ({"name": "a", "free": {"n": "x"}}, "FieldValueTypeInvalid", "free.n in body must be of type integer"),
    ({"name": "a", "texts": {"k": 1}}, "FieldValueTypeInvalid", "texts.k in body must be of type string"),
    ({"name": "a", "texts": []}, "FieldValueTypeInvalid", 'texts in body must be of type object: "array"'),
    ({"name": "a", "parts": {}}, "FieldValueTypeInvalid", 'parts in body must be of type array: "object"'),
    ({"name": "a", "parts": []}, "FieldValueInvalid", "parts in body should have at least 1 items"),
    (
        {"name": "a", "parts": [{"id": c} for c in "pqr"]},
        "FieldValueTooMany",
        "parts: Too many: 3: must have at most 2 items",
    ),
    (
        {"name": "a", "parts": [{"id": "p"}, {"id": "p"}]},
        "FieldValueDuplicate",
        'parts[1]: Duplicate value: {"id":"p"}',
    ),
]


@pytest.mark.parametrize(("value", "reason", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_a_broken_rule_is_named_with_its_place(value: dict[str, Any], reason: str, words: str) -> None:
    _, found = admitted(value)
    assert [cause.reason for cause in found.causes] == [reason]
    assert words in str(found.causes[0])


def test_cross_field_rules_are_evaluated_parents_first_and_only_when_the_types_are_right() -> None:
    rule = "self.maxDelaySeconds >= self.baseDelaySeconds"
    delays = {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in ("baseDelaySeconds", "maxDelaySeconds")},
        "x-kubernetes-validations": [{"rule": rule, "message": "max below base"}],
    }
    schema = compile_schema({"type": "object", "properties": {"one": delays}}, RULES)
    found = Found()
    admit(schema, {"one": {"baseDelaySeconds": 2, "maxDelaySeconds": 1}}, found)
    assert not found.blocked()
    found.evaluate()
    assert [str(cause) for cause in found.causes] == ["one: Invalid value: max below base"]
    broken = Found()
    admit(schema, {"one": {"baseDelaySeconds": "x", "maxDelaySeconds": 1}}, broken)
    assert broken.blocked()


def test_a_rule_nobody_can_evaluate_is_refused_when_the_kind_is_defined() -> None:
    with pytest.raises(KeyError):
        compile_schema({"type": "object", "x-kubernetes-validations": [{"rule": "self.x == 1"}]}, RULES)


def test_every_rule_of_our_own_kinds_can_be_evaluated() -> None:
    rows = [row for document in documents() for row in rows_of(document)]
    assert {row.kind.kind for row in rows} >= {"RoleBasedGroup", "RoleInstanceSet", "RoleInstance"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.text("ab1", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from((*SOURCE["properties"], "id", "deep", "x")), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(JSON)
def test_admission_changes_nothing_it_was_given_and_what_it_lets_in_stays_as_it_is(value: Any) -> None:
    before = orjson.dumps(value)
    result, found = admitted(value)
    assert orjson.dumps(value) == before
    if not found.causes:
        again, second = admitted(result)
        assert again == result
        assert (second.unknown, second.causes) == ([], [])


def test_built_in_types_leave_out_what_go_leaves_out_and_write_what_go_always_writes() -> None:
    found = Found()
    pod = {
        "spec": {"containers": [{"name": "a", "env": [], "resources": {"limits": {"cpu": 1}}}], "hostNetwork": False}
    }
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    result = admit(builtin_schema("Pod"), {**pod, "status": status}, found)
    assert result["spec"] == {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}
    (condition,) = result["status"]["conditions"]
    assert condition == {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
    assert found.causes == []


def test_built_in_types_know_how_their_lists_are_keyed() -> None:
    spec = builtin_schema("PodSpec")
    assert spec.fields["containers"].keys == ("name",)
    container = spec.fields["containers"].items
    assert container is not None
    assert container.fields["ports"].keys == ("containerPort", "protocol")
    assert spec.fields["tolerations"].list_type == "atomic"
    assert spec.fields["nodeSelector"].atomic
    assert builtin_schema("LabelSelector").atomic
    with pytest.raises(KeyError):
        builtin_schema("Nothing")
