"""What of an object is kept: pruning, defaults, nulls, validation, and refusals on request."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case, config_map, group, instance, instance_set, metadata, pod, role
from golden import SCENARIOS, scenario
from golden.groups import VECTORS, Vector
from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import BadRequestError, InternalServerError, InvalidError

_ABSENT = object()
GROUPS = RoleBasedGroup.KIND.path


def _body(spec: Any) -> Obj:
    body: Obj = {
        "apiVersion": RoleBasedGroup.KIND.api_version,
        "kind": RoleBasedGroup.KIND.kind,
        "metadata": {"name": "a"},
    }
    return body if spec is None else {**body, "spec": spec}


async def _store(api: Api, spec: Any, validation: str = "Ignore") -> Obj:
    query = {"fieldValidation": validation}
    stored: Obj = await api.send("POST", GROUPS(api.namespace), query=query, body=_body(spec))
    return stored


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part, _ABSENT)
    return value


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.refused], ids=lambda v: v.name)
@case
async def test_a_group_that_makes_no_sense_is_refused(api: Api, vector: Vector) -> None:
    with pytest.raises(InvalidError, match=vector.refused) as raised:
        await _store(api, vector.spec)
    assert raised.value.reason == "Invalid"
    assert raised.value.message.startswith('RoleBasedGroup.workloads.x-k8s.io "a" is invalid: ')
    assert await api.find(RoleBasedGroup, "a") is None


@case
async def test_what_is_wrong_with_metadata_and_spec_of_a_group_is_said_at_once(api: Api) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(RoleBasedGroup, group("a", role("main", -1), labels={"x": "not ok"}))
    label = 'metadata.labels: Invalid value: "not ok": a valid label must be'
    assert raised.value.message.startswith(f'RoleBasedGroup.workloads.x-k8s.io "a" is invalid: [{label}')
    assert raised.value.message.endswith("replicas in body should be greater than or equal to 0]")


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused], ids=lambda v: v.name)
@case
async def test_a_group_is_stored_with_its_defaults(api: Api, vector: Vector) -> None:
    stored = await _store(api, vector.spec)
    assert await api.get(RoleBasedGroup, "a") == stored
    if vector.spec is None:
        assert "spec" not in stored
        return
    for path, value in (vector.stored or {}).items():
        assert _at(stored["spec"]["roles"][0], path) == value
    assert stored["spec"] == RoleBasedGroupSpec.model_validate(vector.spec).wire()


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.refused and v.spec], ids=lambda v: v.name)
@case
async def test_unknown_fields_of_a_group_are_refused_on_request(api: Api, vector: Vector) -> None:
    if not vector.strict:
        await _store(api, vector.spec, "Strict")
        return
    with pytest.raises(BadRequestError) as raised:
        await _store(api, vector.spec, "Strict")
    assert raised.value.reason == "BadRequest"
    assert "strict decoding error: unknown field" in raised.value.message
    assert vector.strict in raised.value.message


@pytest.mark.parametrize("name", SCENARIOS)
@case
async def test_recorded_objects_are_stored_without_losing_a_field(api: Api, name: str) -> None:
    recorded = scenario(name)
    for manifest in recorded.input:
        if manifest["kind"] == "RoleBasedGroup" and manifest["apiVersion"] == RoleBasedGroup.KIND.api_version:
            found = manifest["metadata"]["name"]
            made = await api.create(RoleBasedGroup, {"metadata": {"name": found}, "spec": manifest["spec"]})
            assert made["spec"] == recorded.one("RoleBasedGroup", found)["spec"]
    for kind in (RoleInstanceSet, RoleInstance):
        for item in recorded.of(kind.KIND.kind):
            key = item["metadata"]["name"]
            made = await api.create(kind, {"metadata": {"name": key}, "spec": item["spec"]})
            assert made["spec"] == item["spec"]
            patched = await api.patch(kind, key, {"status": item["status"]}, subresource="status")
            assert patched["status"] == item["status"]


@case
async def test_every_mistake_is_listed_with_its_place(api: Api) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(RoleBasedGroup, group("a", role("one", -1), role("", 1), {"name": "c", "labels": {"a": 1}}))
    for place in ("spec.roles[0].replicas", "spec.roles[1].name", "spec.roles[2].labels.a"):
        assert place in raised.value.message
    assert "spec.roles[0].replicas: Invalid value: -1" in raised.value.message
    assert len(raised.value.causes) >= 3


WORDS = {
    "a type": ({"replicas": "2"}, 'spec.roles[0].replicas: Invalid value: "string"'),
    "a bound": ({"replicas": -1}, "should be greater than or equal to 0"),
    "an enumeration": ({"podManagementPolicy": "Serial"}, 'Unsupported value: "Serial": supported values: '),
    "a required field": ({"servicePorts": [{}]}, "spec.roles[0].servicePorts[0].port: Required value"),
    "a rule": (
        {"standalonePattern": {"template": {"spec": {"containers": []}}, "templateRef": {"name": "a"}}},
        "mutually exclusive",
    ),
}


@pytest.mark.parametrize(("fields", "words"), WORDS.values(), ids=WORDS)
@case
async def test_a_refusal_says_what_is_wrong(api: Api, fields: Obj, words: str) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(RoleBasedGroup, group("a", {"name": "one", **fields}))
    assert words in raised.value.message


# -- sets and instances ------------------------------------------------------------------------------------------------


@case
async def test_sets_and_instances_get_their_defaults(api: Api) -> None:
    bare = {"metadata": metadata("a"), "spec": {"roleInstanceTemplate": {}}}
    made = await api.create(RoleInstanceSet, bare)
    assert made["spec"] == {
        "roleInstanceTemplate": {},
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 10,
    }
    one = await api.create(RoleInstance, instance("a"))
    assert one["spec"]["readyPolicy"] == "AllPodReady"


@case
async def test_the_template_of_a_set_is_kept_whatever_it_says(api: Api) -> None:
    odd = {"roleInstanceTemplate": {"anything": [1, {"goes": None}], "components": "here"}}
    made = await api.create(RoleInstanceSet, instance_set("a", spec=odd))
    assert made["spec"]["roleInstanceTemplate"] == odd["roleInstanceTemplate"]


@case
async def test_pod_templates_of_instances_are_kept_whatever_they_say(api: Api) -> None:
    odd = {"components": [{"name": "b", "template": {"anything": 1, "spec": {"containers": None}}}]}
    made = await api.create(RoleInstance, instance("a", odd))
    assert made["spec"]["components"] == odd["components"]


REFUSED: dict[str, tuple[type[RoleInstance | RoleInstanceSet], Obj, str]] = {
    "an instance without components": (RoleInstance, {"metadata": metadata("a"), "spec": {}}, "components"),
    "a component without a name": (RoleInstance, instance("a", {"components": [{"template": {}}]}), "name"),
    "a component without a template": (RoleInstance, instance("a", {"components": [{"name": "b"}]}), "template"),
    "a fractional size": (
        RoleInstance,
        instance("a", {"components": [{"name": "b", "template": {}, "size": 1.5}]}),
        "size",
    ),
    "a set without a template": (RoleInstanceSet, {"metadata": metadata("a"), "spec": {"replicas": 1}}, "Template"),
    "an unknown order": (RoleInstanceSet, instance_set("a", spec={"podManagementPolicy": "X"}), "podManagementPolicy"),
    "a negative history": (RoleInstanceSet, instance_set("a", spec={"revisionHistoryLimit": -1}), "revisionHistory"),
    "a surge that is a list": (RoleInstanceSet, instance_set("a", spec={"updateStrategy": {"maxSurge": []}}), "Surge"),
    "a selector that is text": (RoleInstanceSet, instance_set("a", spec={"selector": "a=b"}), "selector"),
}


@pytest.mark.parametrize(("kind", "body", "where"), REFUSED.values(), ids=REFUSED)
@case
async def test_sets_and_instances_are_validated(
    api: Api, kind: type[RoleInstance | RoleInstanceSet], body: Obj, where: str
) -> None:
    with pytest.raises(InvalidError, match=where):
        await api.create(kind, body)


@case
async def test_limits_are_numbers_or_text(api: Api) -> None:
    strategy = {"maxSurge": "25%", "maxUnavailable": 1, "partition": "10%"}
    made = await api.create(RoleInstanceSet, instance_set("a", spec={"updateStrategy": strategy}))
    assert made["spec"]["updateStrategy"] == {**made["spec"]["updateStrategy"], **strategy}


# -- nulls, unknown fields ---------------------------------------------------------------------------------------------


@case
async def test_unknown_fields_are_dropped_unless_asked_about(api: Api) -> None:
    body = {**group("a"), "surplus": 1}
    body["spec"] = {**body["spec"], "surplus": {"a": 1}}
    body["metadata"] = {"name": "a", "surplus": 1}
    made = await api.create(RoleBasedGroup, body)
    assert "surplus" not in made
    assert "surplus" not in made["spec"]
    assert "surplus" not in made["metadata"]
    changed = await api.patch(RoleBasedGroup, "a", {"spec": {"more": 1}})
    assert changed == made


@case
async def test_unknown_fields_of_built_in_kinds_are_dropped_or_refused_too(api: Api) -> None:
    body = {**config_map("a", {"b": "c"}), "surplus": 1}
    assert "surplus" not in await api.create(ConfigMap, body)
    with pytest.raises(BadRequestError, match='unknown field "surplus"'):
        await api.create(ConfigMap, {**body, "metadata": metadata("b")}, {"fieldValidation": "Strict"})
    made = await api.create(Pod, pod("a", {"surplus": 1}))
    assert "surplus" not in made["spec"]


@case
async def test_changes_are_checked_for_unknown_fields_on_request(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a"))
    strict = {"fieldValidation": "Strict"}
    wrong = {"spec": {"surplus": 1}}
    with pytest.raises(InvalidError, match="patch: Invalid value"):
        await api.patch(RoleBasedGroup, "a", wrong, query=strict)
    with pytest.raises(BadRequestError, match="unknown field"):
        await api.replace(RoleBasedGroup, "a", {**made, "spec": {**made["spec"], "surplus": 1}}, query=strict)
    assert await api.get(RoleBasedGroup, "a") == made


@case
async def test_unknown_fields_cannot_be_applied(api: Api) -> None:
    wrong = {**group("a"), "spec": {"surplus": 1}}
    for validation in ("Strict", "Ignore"):
        with pytest.raises(InternalServerError, match=r"\.spec\.surplus: field not declared in schema"):
            await api.apply(RoleBasedGroup, "a", wrong, query={"fieldValidation": validation})
    with pytest.raises(InternalServerError, match=r"\.surplus: field not declared in schema"):
        await api.apply(ConfigMap, "a", {**config_map("a"), "surplus": 1})


@case
async def test_unknown_fields_are_warned_of_unless_ignored(api: Api) -> None:
    path = RoleBasedGroup.KIND.path(api.namespace)
    body = {"apiVersion": RoleBasedGroup.KIND.api_version, "kind": "RoleBasedGroup", **group("a")}
    body["spec"] = {**body["spec"], "surplus": 1}
    for query in ({}, {"fieldValidation": "Warn"}):
        answer = await api.answer("POST", path, {**query, "dryRun": "All"}, body)
        assert 'unknown field "spec.surplus"' in answer.headers["Warning"].replace("\\", "")
    silent = await api.answer("POST", path, {"fieldValidation": "Ignore", "dryRun": "All"}, body)
    assert "Warning" not in silent.headers


@case
async def test_a_field_validation_of_another_name_is_invalid(api: Api) -> None:
    with pytest.raises(InvalidError, match="fieldValidation"):
        await api.create(RoleBasedGroup, group("a"), {"fieldValidation": "Some"})


@case
async def test_nulls_are_absent_where_the_schema_has_a_default_or_no_place_for_them(api: Api) -> None:
    odd = {"name": "a", "replicas": None, "servicePorts": None, "standalonePattern": None, "unknown": None}
    spec = {"roles": [odd], "roleTemplates": None}
    made = await api.create(RoleBasedGroup, {"metadata": metadata("a"), "spec": spec})
    (stored,) = made["spec"]["roles"]
    assert made["spec"].keys() == {"roles"}
    assert stored["replicas"] == 1
    assert not stored.keys() & {"servicePorts", "standalonePattern"}


@case
async def test_numbers_keep_their_kind(api: Api) -> None:
    patch = {"x": [1, 1.5, 10**15, "1", True, None, 1e3]}
    pattern = {"templateRef": {"name": "a", "patch": patch}}
    made = await api.create(RoleBasedGroup, group("a", role("a", standalonePattern=pattern)))
    stored = made["spec"]["roles"][0]["standalonePattern"]["templateRef"]["patch"]["x"]
    assert stored == [1, 1.5, 10**15, "1", True, None, 1000]
    assert [type(value) for value in stored[:6]] == [int, float, int, str, bool, type(None)]
