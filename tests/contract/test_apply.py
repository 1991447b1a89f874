"""Server-side apply: who owns what, and what happens when two want the same."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case, config_map, group, instance_set, kinds, metadata, pod, role, service
from contract.support.api import Kind
from rbgctrl.api.core import ConfigMap, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.client import BadRequestError, ConflictError, InternalServerError, InvalidError, NotFoundError, fence_held

APPLY = "application/apply-patch+yaml"
NOBODY = "00000000-0000-0000-0000-000000000000"
SOME: tuple[tuple[Kind, Obj], ...] = (
    (RoleBasedGroup, group("a")),
    (RoleInstanceSet, instance_set("a")),
    (ConfigMap, config_map("a", {"b": "c"})),
    (Pod, pod("a")),
    (Service, service("a", {"clusterIP": "None", "selector": {"a": "b"}})),
)


def managers(obj: Obj) -> list[tuple[str, str, str]]:
    entries = obj["metadata"].get("managedFields", ())
    return sorted((entry["manager"], entry["operation"], entry.get("subresource", "")) for entry in entries)


def fields(obj: Obj, manager: str) -> Any:
    (found,) = (entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == manager)
    return found


# -- creating and repeating --------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_an_apply_creates_what_is_not_there(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.manager("us").apply(kind, "a", body)
    assert managers(made) == [("us", "Apply", "")]
    assert await api.get(kind, "a") == made
    path = kind.KIND.path(api.namespace, "b")
    answer = await api.answer(
        "PATCH",
        path,
        {"fieldManager": "us"},
        {"apiVersion": kind.KIND.api_version, "kind": kind.KIND.kind, **body, "metadata": {"name": "b"}},
        APPLY,
    )
    assert answer.status == 201


@kinds(*SOME)
@case
async def test_an_apply_of_the_same_changes_nothing(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.apply(kind, "a", body)
    assert await api.apply(kind, "a", body) == made
    assert await api.apply(kind, "a", body, force=True) == made


@case
async def test_an_apply_of_the_same_with_empty_metadata_changes_built_in_kinds_never_and_ours_always(api: Api) -> None:
    body = config_map("a", {"x": "y"}, labels={}, annotations={}, finalizers=[])
    made = await api.apply(ConfigMap, "a", body)
    assert await api.apply(ConfigMap, "a", body) == made
    body = group("a", labels={}, annotations={}, finalizers=[])
    made = again = await api.apply(RoleBasedGroup, "a", body)
    for _ in range(20):  # the real one writes only while its cache is up to date, which it is nearly always
        again = await api.apply(RoleBasedGroup, "a", body)
    assert again["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert again["spec"] == made["spec"]
    assert "labels" not in again["metadata"]


@case
async def test_an_apply_that_cannot_be_read_is_named_as_its_body_names_it(api: Api) -> None:
    head: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "more": {}}
    path = ConfigMap.KIND.path(api.namespace, "a")
    for meta, name in (
        ({}, "/"),
        ({"name": "a"}, "/a"),
        (metadata("a", namespace=api.namespace), f"{api.namespace}/a"),
    ):
        with pytest.raises(InternalServerError) as raised:
            await api.answer("PATCH", path, {"fieldManager": "us"}, {**head, "metadata": meta}, APPLY)
        assert raised.value.message == (
            f"failed to create typed patch object ({name}; /v1, Kind=ConfigMap): .more: field not declared in schema"
        )


@kinds(*SOME)
@case
async def test_a_field_its_only_owner_no_longer_applies_goes(api: Api, kind: Kind, body: Obj) -> None:
    await api.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1", "y": "2"})})
    changed = await api.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})})
    assert changed["metadata"]["labels"] == {"x": "1"}
    changed = await api.apply(kind, "a", body)
    assert "labels" not in changed["metadata"]


@kinds(*SOME)
@case
async def test_a_field_with_another_owner_stays(api: Api, kind: Kind, body: Obj) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1", "y": "2"})})
    shared = await theirs.apply(kind, "a", {"metadata": {"labels": {"x": "1", "z": "3"}}})
    assert managers(shared) == [("them", "Apply", ""), ("us", "Apply", "")]
    left = await ours.apply(kind, "a", body)
    assert left["metadata"]["labels"] == {"x": "1", "z": "3"}
    left = await theirs.apply(kind, "a", {})
    assert "labels" not in left["metadata"]
    assert managers(left) == [("us", "Apply", "")]


@kinds(*SOME)
@case
async def test_a_changed_field_of_another_is_a_conflict_that_names_them(api: Api, kind: Kind, body: Obj) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    made = await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})})
    with pytest.raises(ConflictError) as raised:
        await theirs.apply(kind, "a", {"metadata": {"labels": {"x": "2"}}})
    assert raised.value.reason == "Conflict"
    assert raised.value.causes == ("FieldManagerConflict",)
    assert raised.value.message == 'Apply failed with 1 conflict: conflict with "us": .metadata.labels.x'
    assert await api.get(kind, "a") == made


@kinds(*SOME)
@case
async def test_force_takes_the_field_over(api: Api, kind: Kind, body: Obj) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})})
    taken = await theirs.apply(kind, "a", {"metadata": {"labels": {"x": "2"}}}, force=True)
    assert taken["metadata"]["labels"] == {"x": "2"}
    assert "f:metadata" not in fields(taken, "us")
    assert fields(taken, "them") == {"f:metadata": {"f:labels": {"f:x": {}}}}
    left = await ours.apply(kind, "a", body)
    assert left["metadata"]["labels"] == {"x": "2"}


@kinds(*SOME)
@case
async def test_a_plain_write_owns_its_fields_as_well(api: Api, kind: Kind, body: Obj) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.create(kind, {**body, "metadata": metadata("a", labels={"x": "1"})})
    with pytest.raises(ConflictError) as raised:
        await theirs.apply(kind, "a", {"metadata": {"labels": {"x": "2"}}})
    assert 'conflict with "us"' in raised.value.message
    assert f"using {kind.KIND.api_version}" in raised.value.message
    patched = await theirs.patch(kind, "a", {"metadata": {"labels": {"y": "1"}}})
    assert managers(patched) == [("them", "Update", ""), ("us", "Update", "")]
    assert fields(patched, "them") == {"f:metadata": {"f:labels": {"f:y": {}}}}


@kinds(*SOME)
@case
async def test_a_plain_write_takes_the_field_without_asking(api: Api, kind: Kind, body: Obj) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})})
    await theirs.patch(kind, "a", {"metadata": {"labels": {"x": "2"}}})
    with pytest.raises(ConflictError, match='conflict with "them"'):
        await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})})
    back = await ours.apply(kind, "a", {**body, "metadata": metadata("a", labels={"x": "1"})}, force=True)
    assert back["metadata"]["labels"] == {"x": "1"}
    assert managers(back) == [("us", "Apply", "")]


@case
async def test_several_conflicts_are_counted_and_listed(api: Api) -> None:
    ours, theirs = api.manager("us"), api.manager("them")
    await ours.apply(ConfigMap, "a", config_map("a", {"x": "1", "y": "1"}))
    with pytest.raises(ConflictError) as raised:
        await theirs.apply(ConfigMap, "a", config_map("a", {"x": "2", "y": "2"}))
    assert raised.value.message == 'Apply failed with 2 conflicts: conflicts with "us":\n- .data.x\n- .data.y'
    assert raised.value.causes == ("FieldManagerConflict", "FieldManagerConflict")


# -- fences ------------------------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_an_apply_with_an_old_version_is_refused_even_by_force(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.apply(kind, "a", body)
    await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}})
    old = {**body, "metadata": metadata("a", resourceVersion=made["metadata"]["resourceVersion"], labels={"d": "e"})}
    with pytest.raises(ConflictError, match="the object has been modified"):
        await api.apply(kind, "a", old, force=True)


@kinds(*SOME)
@case
async def test_an_apply_with_the_latest_version_is_taken(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.apply(kind, "a", body)
    fenced = metadata("a", resourceVersion=made["metadata"]["resourceVersion"], labels={"d": "e"})
    assert (await api.apply(kind, "a", {**body, "metadata": fenced}))["metadata"]["labels"] == {"d": "e"}


@kinds(*SOME)
@case
async def test_an_apply_with_a_uid_never_brings_the_object_back(api: Api, kind: Kind, body: Obj) -> None:
    with pytest.raises(ConflictError) as raised:
        await api.apply(kind, "a", {**body, "metadata": metadata("a", uid=NOBODY)}, force=True)
    assert raised.value.reason == "Conflict"
    assert "uid mismatch: the provided object specified uid" in raised.value.message
    with pytest.raises(NotFoundError):
        await api.get(kind, "a")


@kinds(*SOME)
@case
async def test_an_apply_with_another_uid_is_invalid(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.apply(kind, "a", body)
    with pytest.raises(InvalidError) as raised:
        await api.apply(kind, "a", {**body, "metadata": metadata("a", uid=NOBODY, labels={"b": "c"})}, force=True)
    assert "metadata.uid: Invalid value" in raised.value.message
    assert fence_held(raised.value)
    assert "field is immutable" in raised.value.message
    right = {**body, "metadata": metadata("a", uid=made["metadata"]["uid"], labels={"b": "c"})}
    assert (await api.apply(kind, "a", right))["metadata"]["labels"] == {"b": "c"}


@case
async def test_an_apply_with_a_version_does_bring_the_object_back(api: Api) -> None:
    for kind, body in SOME[:3]:
        made = await api.apply(kind, "a", {**body, "metadata": metadata("a", resourceVersion="1")})
        assert made["metadata"]["resourceVersion"] != "1"


@kinds(*SOME)
@case
async def test_an_apply_with_a_version_that_never_was_creates_and_touches_nothing_that_exists(
    api: Api, kind: Kind, body: Obj
) -> None:
    never = {**body, "metadata": metadata("a", resourceVersion="1")}
    made = await api.apply(kind, "a", never)
    with pytest.raises(ConflictError, match="the object has been modified"):
        await api.apply(kind, "a", never, force=True)
    assert await api.get(kind, "a") == made


@kinds(*SOME)
@case
async def test_version_zero_is_none_for_built_in_kinds_and_refused_for_ours(api: Api, kind: Kind, body: Obj) -> None:
    zero = {**body, "metadata": metadata("a", resourceVersion="0", labels={"b": "c"})}
    made = await api.apply(kind, "a", zero)
    if kind in (RoleBasedGroup, RoleInstanceSet):
        with pytest.raises(InvalidError, match="must be specified for an update"):
            await api.apply(kind, "a", zero)
    else:
        assert (await api.apply(kind, "a", zero))["metadata"]["uid"] == made["metadata"]["uid"]


# -- mistakes ----------------------------------------------------------------------------------------------------------


@case
async def test_an_apply_needs_a_manager(api: Api) -> None:
    path = ConfigMap.KIND.path(api.namespace, "a")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(InvalidError, match="fieldManager: Required value"):
        await api.send("PATCH", path, body=body, content_type=APPLY)


@case
async def test_force_is_for_apply_only(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises(InvalidError, match="force"):
        await api.patch(ConfigMap, "a", {"data": {"b": "c"}}, query={"force": "true"})


@case
async def test_managed_fields_are_not_applied(api: Api) -> None:
    made = await api.apply(ConfigMap, "a", config_map("a", {"b": "c"}))
    with pytest.raises(BadRequestError, match="managedFields must be nil"):
        await api.apply(ConfigMap, "a", made)


@case
async def test_an_applied_body_says_what_it_is(api: Api) -> None:
    path = RoleBasedGroup.KIND.path(api.namespace, "a")
    for body in ({"metadata": {"name": "a"}}, {"kind": "RoleBasedGroup", "metadata": {"name": "a"}}):
        with pytest.raises(BadRequestError):
            await api.send("PATCH", path, query={"fieldManager": "x"}, body=body, content_type=APPLY)


@case
async def test_an_apply_for_another_name_is_refused(api: Api) -> None:
    for kind, body in SOME[:3]:
        with pytest.raises(BadRequestError, match="name"):
            await api.apply(kind, "b", {**body, "metadata": {"name": "a"}})


@case
async def test_an_applied_object_is_validated(api: Api) -> None:
    with pytest.raises(InvalidError, match="replicas"):
        await api.apply(RoleBasedGroup, "a", group("a", role("b", -1)))
    await api.apply(RoleBasedGroup, "a", group("a"))
    with pytest.raises(InvalidError, match="replicas"):
        await api.apply(RoleBasedGroup, "a", group("a", role("main", -1)))


@case
async def test_yaml_is_applied_too(api: Api) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  b: c\n"
    path = ConfigMap.KIND.path(api.namespace, "a")
    made = await api.send("PATCH", path, query={"fieldManager": "x"}, body=text, content_type=APPLY)
    assert made["data"] == {"b": "c"}
