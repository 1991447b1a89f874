from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.conversion import CARRIERS, ConversionError, convert
from unit.api.conversions import V1, V2, group_v1, group_v2, set_v1, set_v2, v1_roles, v2_roles, with_roles_v2

_ANY_V2 = st.one_of(group_v2, set_v2)
_ANY_V1 = st.one_of(group_v1, set_v1)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ("name", "annotations", "roles", "workload", "leaderWorkerSet", "components", "type", "template", "x")
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(_ANY_V2)
def test_reading_as_v1alpha1_and_writing_back_changes_nothing(obj: dict[str, Any]) -> None:
    assert convert(convert(obj, V1), V2) == obj


@given(_ANY_V1)
def test_what_a_v1alpha1_client_wrote_is_what_it_reads(obj: dict[str, Any]) -> None:
    assert convert(convert(obj, V2), V1) == obj


@given(_ANY_V1)
def test_a_stored_object_survives_a_second_round(obj: dict[str, Any]) -> None:
    stored = convert(obj, V2)
    assert convert(convert(stored, V1), V2) == stored


@given(st.one_of(_ANY_V1, _ANY_V2))
def test_an_object_is_never_changed_and_the_result_is_json_without_top_level_nulls(obj: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    made = convert(obj, V1 if obj["apiVersion"] == V2 else V2)
    assert obj == before
    assert orjson.loads(orjson.dumps(made)) == made
    assert None not in [*made.values(), *made["metadata"].values(), *(made.get("spec") or {}).values()]


@given(with_roles_v2, st.data())
def test_changing_one_field_as_v1alpha1_changes_only_that_field(obj: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(convert(obj, V1))
    wanted = copy.deepcopy(obj)
    index = data.draw(st.integers(0, len(v1_roles(changed)) - 1))
    field, value = data.draw(
        st.sampled_from((("replicas", 7), ("labels", {"touched": "1"}), ("minReadySeconds", 8), ("dependencies", [])))
    )
    v1_roles(changed)[index][field] = value
    v2_roles(wanted)[index][field] = value
    assert convert(changed, V2) == wanted


@given(_ANY_V2)
def test_changing_metadata_as_v1alpha1_changes_only_metadata(obj: dict[str, Any]) -> None:
    read = copy.deepcopy(convert(obj, V1))
    read["metadata"].setdefault("annotations", {})["touched"] = "1"
    read["metadata"]["labels"] = {"touched": "1"}
    wanted = copy.deepcopy(obj)
    wanted["metadata"].setdefault("annotations", {})["touched"] = "1"
    wanted["metadata"]["labels"] = {"touched": "1"}
    assert convert(read, V2) == wanted


@given(with_roles_v2, st.data())
def test_a_role_that_is_deleted_or_renamed_as_v1alpha1_leaves_nothing_behind(
    obj: dict[str, Any], data: st.DataObject
) -> None:
    read = convert(obj, V1)
    roles = v1_roles(read)
    names = [role["name"] for role in roles]
    index = data.draw(st.integers(0, len(roles) - 1))
    changed = copy.deepcopy(read)
    if data.draw(st.booleans()):
        del v1_roles(changed)[index]
    else:
        v1_roles(changed)[index]["name"] = "renamed"
    written = convert(changed, V2)
    assert names[index] not in [role["name"] for role in v2_roles(written)]
    for role in v2_roles(written):
        if role["name"] == "renamed":
            plain = {name: value for name, value in changed["metadata"].items() if name != "annotations"}
            alone = copy.deepcopy({**changed, "metadata": plain})
            assert role == next(r for r in v2_roles(convert(alone, V2)) if r["name"] == "renamed")
        else:
            assert role == next(r for r in v2_roles(obj) if r["name"] == role["name"])


@given(_JSON, st.sampled_from((V1, V2)), st.sampled_from(("RoleBasedGroup", "RoleBasedGroupSet")), _JSON, _JSON)
def test_any_json_is_converted_or_refused_with_a_reason(
    spec: Any, version: str, kind: str, role: Any, metadata: Any
) -> None:
    for body in (spec, {"roles": [role]}, {"template": {"roles": [role]}}, {"groupTemplate": {"spec": spec}}):
        obj = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": body}
        with suppress(ConversionError):
            convert(obj, V1 if version == V2 else V2)


@given(_ANY_V1, _JSON, st.sampled_from(CARRIERS))
def test_a_carrier_that_somebody_damaged_is_no_reason_to_fail(obj: dict[str, Any], damage: Any, key: str) -> None:
    obj = copy.deepcopy(obj)
    text = json.dumps([{"at": ["spec", "roles", "a", "name", "restartPolicy"], "when": "x", "is": 1}, damage])
    for value in (text, json.dumps([text]), json.dumps(damage), "{", "", damage):
        obj["metadata"].setdefault("annotations", {})[key] = value
        for target in (V2, V1):
            convert({**obj, "apiVersion": V1 if target == V2 else V2}, target)


@given(_ANY_V2)
def test_no_carrier_of_the_other_direction_stays_behind(obj: dict[str, Any]) -> None:
    read = convert(obj, V1)
    assert CARRIERS[0] not in (read["metadata"].get("annotations") or {})
    assert CARRIERS[1] not in (convert(read, V2)["metadata"].get("annotations") or {})
