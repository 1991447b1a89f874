"""Fields written by the reference controller become ours, and nobody else's do."""

from __future__ import annotations

import copy
from typing import Any

from rbgctrl.api.inheritance import inherited

V = "workloads.x-k8s.io/v1alpha2"


def entry(manager: str, operation: str = "Update", version: str = V, /, **fields: Any) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "time": "2026-01-01T00:00:00Z",
    }


def test_an_update_of_theirs_is_merged_into_what_we_apply() -> None:
    ours = entry("rbg", "Apply", **{"f:spec": {"f:replicas": {}, "f:selector": {"f:a": {}}}})
    theirs = entry("manager", **{"f:spec": {"f:selector": {"f:b": {}}}, "f:metadata": {"f:labels": {"f:x": {}}}})
    before = copy.deepcopy([ours, theirs])
    (merged,) = inherited([ours, theirs], V) or []
    assert (merged["manager"], merged["operation"]) == ("rbg", "Apply")
    assert merged["fieldsV1"] == {
        "f:spec": {"f:replicas": {}, "f:selector": {"f:a": {}, "f:b": {}}},
        "f:metadata": {"f:labels": {"f:x": {}}},
    }
    assert [ours, theirs] == before


def test_where_nothing_was_applied_yet_their_fields_are_what_we_applied() -> None:
    (merged,) = inherited([entry("Go-http-client", **{"f:data": {"f:a": {}}})], V) or []
    assert (merged["manager"], merged["operation"], merged["fieldsV1"]) == ("rbg", "Apply", {"f:data": {"f:a": {}}})


def test_statuses_people_and_other_appliers_keep_what_they_own() -> None:
    status = {**entry("manager", **{"f:status": {}}), "subresource": "status"}
    others = [entry("kubectl-edit"), entry("kueue", "Apply"), status, entry("manager", "Apply")]
    assert inherited(others, V) is None
    merged = inherited([*others, entry("rbg", **{"f:spec": {}})], V) or []
    assert merged[1:] == others


def test_paths_of_another_version_are_dropped_because_they_may_mean_other_fields() -> None:
    ours, older = entry("rbg", "Apply", **{"f:spec": {}}), entry("manager", "Update", "old/v1", **{"f:size": {}})
    (merged,) = inherited([ours, older], V) or []
    assert merged["fieldsV1"] == {"f:spec": {}}


def test_there_is_nothing_to_do_twice() -> None:
    once = inherited([entry("manager", **{"f:spec": {}}), entry("kubectl-edit")], V)
    assert once is not None
    assert inherited(once, V) is None


MODE = ("metadata", "annotations", "discovery-mode")


def test_a_field_that_is_left_stays_with_its_writer_and_the_rest_becomes_ours() -> None:
    annotations: dict[str, Any] = {".": {}, "f:discovery-mode": {}, "f:note": {}}
    theirs = entry("manager", **{"f:metadata": {"f:annotations": annotations, "f:labels": {"f:x": {}}}, "f:spec": {}})
    merged, kept = inherited([theirs], V, "rbg-groupset", (MODE,)) or []
    assert (merged["manager"], kept["manager"]) == ("rbg-groupset", "manager")
    assert merged["fieldsV1"] == {
        "f:metadata": {"f:annotations": {".": {}, "f:note": {}}, "f:labels": {"f:x": {}}},
        "f:spec": {},
    }
    assert kept["fieldsV1"] == {"f:metadata": {"f:annotations": {"f:discovery-mode": {}}}}
    assert inherited([merged, kept], V, "rbg-groupset", (MODE,)) is None


def test_whoever_has_only_what_is_left_keeps_it() -> None:
    theirs = entry("rbg", **{"f:metadata": {"f:annotations": {"f:discovery-mode": {}}}})
    assert inherited([theirs], V, "rbg-groupset", (MODE,)) is None
