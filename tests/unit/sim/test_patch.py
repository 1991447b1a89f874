"""Merge patch and JSON patch: the RFCs' own examples, and that nothing shared is touched."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.sim.patch import PatchError, PatchTestError, json_patch, merge_patch

# RFC 7386, appendix A.
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "wanted"), MERGES)
def test_a_merge_patch_does_as_the_rfc_says(target: Any, patch: Any, wanted: Any) -> None:
    assert merge_patch(target, patch) == wanted


def test_what_a_merge_patch_does_not_mention_is_shared() -> None:
    target = {"spec": {"a": 1}, "status": {"b": 2}}
    merged = merge_patch(target, {"status": {"b": 3}})
    assert merged["spec"] is target["spec"]
    assert target["status"] == {"b": 2}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON)
def test_a_merge_patch_changes_none_of_its_arguments_and_works_once(target: Any, patch: Any) -> None:
    before = orjson.dumps([target, patch])
    merged = merge_patch(target, patch)
    assert orjson.dumps([target, patch]) == before
    assert merge_patch(merged, patch) == merged


DOCUMENT: dict[str, Any] = {"a": {"b": 1}, "list": [1, 2, 3], "m~n": 8, "x/y": 9, "null": None}
OPERATIONS: list[tuple[list[dict[str, Any]], Any]] = [
    ([{"op": "add", "path": "/a/c", "value": 2}], {**DOCUMENT, "a": {"b": 1, "c": 2}}),
    ([{"op": "add", "path": "/list/1", "value": 9}], {**DOCUMENT, "list": [1, 9, 2, 3]}),
    ([{"op": "add", "path": "/list/-", "value": 9}], {**DOCUMENT, "list": [1, 2, 3, 9]}),
    ([{"op": "add", "path": "", "value": 7}], 7),
    ([{"op": "remove", "path": "/list/0"}], {**DOCUMENT, "list": [2, 3]}),
    ([{"op": "remove", "path": "/a/b"}], {**DOCUMENT, "a": {}}),
    ([{"op": "replace", "path": "/a", "value": 0}], {**DOCUMENT, "a": 0}),
    ([{"op": "replace", "path": "/list/2", "value": 0}], {**DOCUMENT, "list": [1, 2, 0]}),
    ([{"op": "move", "from": "/a/b", "path": "/b"}], {**DOCUMENT, "a": {}, "b": 1}),
    ([{"op": "move", "from": "/list/0", "path": "/list/2"}], {**DOCUMENT, "list": [2, 3, 1]}),
    ([{"op": "copy", "from": "/a", "path": "/c"}], {**DOCUMENT, "c": {"b": 1}}),
    ([{"op": "test", "path": "/m~0n", "value": 8}, {"op": "test", "path": "/x~1y", "value": 9}], DOCUMENT),
    ([{"op": "test", "path": "/null", "value": None}], DOCUMENT),
]


@pytest.mark.parametrize(("operations", "wanted"), OPERATIONS)
def test_a_json_patch_does_as_the_rfc_says(operations: list[dict[str, Any]], wanted: Any) -> None:
    before = orjson.dumps(DOCUMENT)
    assert json_patch(DOCUMENT, operations) == wanted
    assert orjson.dumps(DOCUMENT) == before


REFUSED: list[list[Any]] = [
    [{"op": "remove", "path": "/nope"}],
    [{"op": "remove", "path": "/list/3"}],
    [{"op": "replace", "path": "/nope", "value": 1}],
    [{"op": "replace", "path": "/a/nope", "value": 1}],
    [{"op": "add", "path": "/nope/x", "value": 1}],
    [{"op": "add", "path": "/list/4", "value": 1}],
    [{"op": "add", "path": "/list/01", "value": 1}],
    [{"op": "add", "path": "/list/x", "value": 1}],
    [{"op": "add", "path": "a", "value": 1}],
    [{"op": "add", "path": "/a"}],
    [{"op": "move", "from": "/nope", "path": "/x"}],
    [{"op": "copy", "path": "/x"}, {"op": "explode", "path": "/x"}],
    [{"op": "add"}],
    ["add"],
]


@pytest.mark.parametrize("operations", REFUSED)
def test_an_operation_that_cannot_be_carried_out_is_an_error(operations: list[Any]) -> None:
    with pytest.raises(PatchError):
        json_patch(DOCUMENT, operations)


@pytest.mark.parametrize(("path", "value"), [("/a/b", 2), ("/a/b", True), ("/list", [1, 2]), ("/nope", 1)])
def test_a_test_that_does_not_hold_stops_the_patch(path: str, value: Any) -> None:
    with pytest.raises(PatchTestError):
        json_patch(DOCUMENT, [{"op": "test", "path": path, "value": value}, {"op": "remove", "path": "/a"}])
