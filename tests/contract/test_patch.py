"""Merge, JSON and strategic patches: what they change, and their fences."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case, config_map, group, instance, instance_set, kinds, pod, role, service
from contract.support.api import Kind
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import (
    BadRequestError,
    ConflictError,
    InvalidError,
    NotFoundError,
    PatchType,
    UnsupportedMediaTypeError,
    fence_held,
)

NOBODY = "00000000-0000-0000-0000-000000000000"
SOME: tuple[tuple[Kind, Obj], ...] = (
    (RoleBasedGroup, group("a")),
    (RoleInstanceSet, instance_set("a")),
    (RoleInstance, instance("a")),
    (ConfigMap, config_map("a", {"b": "c"})),
    (Pod, pod("a")),
)


# -- merge -------------------------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_a_merge_patch_sets_joins_and_removes(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    await api.patch(kind, "a", {"metadata": {"labels": {"one": "1", "two": "2"}}})
    changed = await api.patch(
        kind, "a", {"metadata": {"labels": {"two": None, "three": "3"}, "annotations": {"x": "y"}}}
    )
    assert changed["metadata"]["labels"] == {"one": "1", "three": "3"}
    assert changed["metadata"]["annotations"] == {"x": "y"}
    assert await api.get(kind, "a") == changed


@case
async def test_a_merge_patch_replaces_a_list_as_a_whole(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a", role("one"), role("two")))
    changed = await api.patch(RoleBasedGroup, "a", {"spec": {"roles": [{"name": "three"}]}})
    assert [item["name"] for item in changed["spec"]["roles"]] == ["three"]


@kinds(*SOME)
@case
async def test_a_merge_patch_with_an_old_version_is_a_conflict(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    fence = {"resourceVersion": made["metadata"]["resourceVersion"]}
    await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}, **fence}})
    with pytest.raises(ConflictError) as raised:
        await api.patch(kind, "a", {"metadata": {"labels": {"b": "d"}, **fence}})
    assert raised.value.reason == "Conflict"
    assert "the object has been modified" in raised.value.message


@kinds(*SOME)
@case
async def test_a_merge_patch_with_another_uid_is_invalid(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    with pytest.raises(InvalidError) as raised:
        await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}, "uid": NOBODY}})
    assert raised.value.reason == "Invalid"
    assert f'metadata.uid: Invalid value: "{NOBODY}": field is immutable' in raised.value.message
    assert fence_held(raised.value)
    assert await api.get(kind, "a") == made
    own = {"metadata": {"labels": {"b": "c"}, "uid": made["metadata"]["uid"]}}
    assert (await api.patch(kind, "a", own))["metadata"]["labels"] == {"b": "c"}


@pytest.mark.parametrize("type", PatchType, ids=lambda value: value.name.lower())
@case
async def test_a_patch_of_nothing_is_not_found(api: Api, type: PatchType) -> None:  # noqa: A002 - the API's own word
    body: Any = [] if type is PatchType.JSON else {}
    with pytest.raises(NotFoundError) as raised:
        await api.patch(ConfigMap, "a", body, type=type)
    assert raised.value.message == 'configmaps "a" not found'


@case
async def test_a_patch_cannot_rename_or_move(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a")), (RoleBasedGroup, group("a"))):
        await api.create(kind, body)
        with pytest.raises(BadRequestError, match="name"):
            await api.patch(kind, "a", {"metadata": {"name": "b"}})
        with pytest.raises(BadRequestError, match="namespace"):
            await api.patch(kind, "a", {"metadata": {"namespace": "default"}})


@case
async def test_a_patched_object_is_validated_as_a_new_one_would_be(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a"))
    with pytest.raises(InvalidError, match="replicas"):
        await api.patch(RoleBasedGroup, "a", {"spec": {"roles": [{"name": "a", "replicas": -1}]}})
    with pytest.raises(InvalidError, match=r"metadata\.labels"):
        await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"a": "not ok"}}})
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises(InvalidError, match="data"):
        await api.patch(ConfigMap, "a", {"data": {"not ok": ""}})


@case
async def test_a_revision_is_renumbered_and_its_data_never_changes(api: Api) -> None:
    made = await api.create(ControllerRevision, {"metadata": {"name": "a"}, "revision": 1, "data": {"spec": {"b": 1}}})
    renumbered = await api.patch(ControllerRevision, "a", {"revision": 2})
    assert renumbered["revision"] == 2
    assert renumbered["data"] == made["data"] == {"spec": {"b": 1}}
    with pytest.raises(InvalidError) as raised:
        await api.patch(ControllerRevision, "a", {"data": {"spec": {"b": 2}}})
    assert "data: Invalid value" in raised.value.message
    assert "field is immutable" in raised.value.message
    with pytest.raises(InvalidError, match="revision"):
        await api.patch(ControllerRevision, "a", {"revision": -1})


# -- JSON --------------------------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_a_json_patch_adds_replaces_moves_copies_and_removes(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    operations: list[Obj] = [
        {"op": "add", "path": "/metadata/labels", "value": {"a": "1", "b/c": "2"}},
        {"op": "replace", "path": "/metadata/labels/a", "value": "3"},
        {"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/d"},
        {"op": "move", "from": "/metadata/labels/b~1c", "path": "/metadata/labels/e"},
        {"op": "remove", "path": "/metadata/labels/a"},
        {"op": "test", "path": "/metadata/labels/e", "value": "2"},
    ]
    changed = await api.patch(kind, "a", operations, type=PatchType.JSON)
    assert changed["metadata"]["labels"] == {"d": "3", "e": "2"}


@kinds(*SOME)
@case
async def test_a_json_patch_whose_test_fails_changes_nothing(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    operations: list[Obj] = [
        {"op": "add", "path": "/metadata/labels", "value": {"b": "c"}},
        {"op": "test", "path": "/metadata/uid", "value": NOBODY},
    ]
    with pytest.raises(InvalidError) as raised:
        await api.patch(kind, "a", operations, type=PatchType.JSON)
    assert raised.value.reason == "Invalid"
    assert raised.value.message == "the server rejected our request due to an error in our request"
    assert fence_held(raised.value)
    assert await api.get(kind, "a") == made


@kinds(*SOME)
@case
async def test_finalizers_are_added_and_removed_with_tests_as_fences(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    identity = {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}
    absent = {"op": "test", "path": "/metadata/finalizers", "value": None}
    add = {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/a"]}
    await api.patch(kind, "a", [identity, absent, add], type=PatchType.JSON)
    with pytest.raises(InvalidError):
        await api.patch(kind, "a", [identity, absent, add], type=PatchType.JSON)
    append = {"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/b"}
    held = await api.patch(kind, "a", [append], type=PatchType.JSON)
    assert held["metadata"]["finalizers"] == ["example.com/a", "example.com/b"]
    first = [
        {"op": "test", "path": "/metadata/finalizers/0", "value": "example.com/a"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]
    freed = await api.patch(kind, "a", first, type=PatchType.JSON)
    assert freed["metadata"]["finalizers"] == ["example.com/b"]
    with pytest.raises(InvalidError):
        await api.patch(kind, "a", first, type=PatchType.JSON)
    await api.patch(kind, "a", [{"op": "remove", "path": "/metadata/finalizers"}], type=PatchType.JSON)


@case
async def test_a_json_patch_inserts_into_a_list(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a", role("one"), role("three")))
    insert = {"op": "add", "path": "/spec/roles/1", "value": {"name": "two"}}
    changed = await api.patch(RoleBasedGroup, "a", [insert], type=PatchType.JSON)
    assert [item["name"] for item in changed["spec"]["roles"]] == ["one", "two", "three"]


JSON_MISTAKES = {
    "a path that is not there": [{"op": "replace", "path": "/data/x/y", "value": 1}],
    "removing what is not there": [{"op": "remove", "path": "/data/x"}],
    "moving what is not there": [{"op": "move", "from": "/data/x", "path": "/data/y"}],
    "an index beyond the list": [{"op": "add", "path": "/metadata/managedFields/9", "value": {}}],
}


@pytest.mark.parametrize("operations", JSON_MISTAKES.values(), ids=JSON_MISTAKES)
@case
async def test_a_json_patch_that_cannot_be_carried_out_is_invalid(api: Api, operations: list[Obj]) -> None:
    made = await api.create(ConfigMap, config_map("a", {"b": "c"}))
    with pytest.raises(InvalidError) as raised:
        await api.patch(ConfigMap, "a", operations, type=PatchType.JSON)
    assert raised.value.reason == "Invalid"
    assert await api.get(ConfigMap, "a") == made


@case
async def test_a_json_patch_that_is_no_list_is_a_bad_request(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises(BadRequestError):
        await api.patch(ConfigMap, "a", {"op": "remove", "path": "/data"}, type=PatchType.JSON)


@case
async def test_a_patch_that_makes_no_object_is_refused(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises((BadRequestError, InvalidError)):
        await api.patch(ConfigMap, "a", [{"op": "replace", "path": "", "value": 1}], type=PatchType.JSON)
    with pytest.raises(InvalidError, match="patch: Invalid value"):
        await api.patch(ConfigMap, "a", {"data": {"a": 1}})
    path = ConfigMap.KIND.path(api.namespace, "a")
    with pytest.raises(BadRequestError):
        await api.send("PATCH", path, body=b"{", content_type=PatchType.MERGE.value)


# -- strategic ---------------------------------------------------------------------------------------------------------


@case
async def test_a_strategic_patch_joins_containers_by_name(api: Api) -> None:
    containers = [{"name": "one", "image": "i:1", "args": ["x"]}, {"name": "two", "image": "i:1"}]
    await api.create(Pod, pod("a", {"containers": containers}))
    change = {"spec": {"containers": [{"name": "two", "image": "i:2"}]}}
    changed = await api.patch(Pod, "a", change, type=PatchType.STRATEGIC)
    found = [(item["name"], item["image"], item.get("args")) for item in changed["spec"]["containers"]]
    assert found == [("one", "i:1", ["x"]), ("two", "i:2", None)]


@case
async def test_a_strategic_patch_removes_an_entry_by_its_key(api: Api) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    await api.create(Service, service("a", {"ports": ports}))
    change = {"spec": {"ports": [{"$patch": "delete", "port": 80}, {"name": "c", "port": 82}]}}
    changed = await api.patch(Service, "a", change, type=PatchType.STRATEGIC)
    assert sorted(item["port"] for item in changed["spec"]["ports"]) == [81, 82]


@case
async def test_a_strategic_patch_joins_maps_and_removes_nulls(api: Api) -> None:
    await api.create(ConfigMap, config_map("a", {"one": "1", "two": "2"}, labels={"x": "y"}))
    change = {"data": {"one": None, "three": "3"}, "metadata": {"labels": {"$patch": "replace", "z": "w"}}}
    changed = await api.patch(ConfigMap, "a", change, type=PatchType.STRATEGIC)
    assert changed["data"] == {"two": "2", "three": "3"}
    assert changed["metadata"]["labels"] == {"z": "w"}


@case
async def test_a_strategic_patch_joins_finalizers_as_a_set_and_owners_by_uid(api: Api) -> None:
    reference = {"apiVersion": "example.com/v1", "kind": "Unknown", "name": "n", "uid": "one"}  # of no known kind
    await api.create(ConfigMap, config_map("a", finalizers=["example.com/a"], ownerReferences=[reference]))
    change = {
        "metadata": {
            "finalizers": ["example.com/b"],
            "ownerReferences": [{**reference, "uid": "two"}, {"uid": "one", "name": "m"}],
        }
    }
    changed = await api.patch(ConfigMap, "a", change, type=PatchType.STRATEGIC)
    assert sorted(changed["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]
    found = sorted((item["uid"], item["name"]) for item in changed["metadata"]["ownerReferences"])
    assert found == [("one", "m"), ("two", "n")]
    await api.patch(ConfigMap, "a", {"metadata": {"finalizers": None}})


@case
async def test_a_strategic_patch_honours_uid_and_version(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    with pytest.raises(InvalidError, match=r"metadata\.uid"):
        await api.patch(Pod, "a", {"metadata": {"labels": {"b": "c"}, "uid": NOBODY}}, type=PatchType.STRATEGIC)
    with pytest.raises(ConflictError):
        await api.patch(
            Pod, "a", {"metadata": {"labels": {"b": "c"}, "resourceVersion": "1"}}, type=PatchType.STRATEGIC
        )
    assert await api.get(Pod, "a") == made


@kinds(*SOME[:3])
@case
async def test_our_kinds_take_no_strategic_patch(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    with pytest.raises(UnsupportedMediaTypeError) as raised:
        await api.patch(kind, "a", {}, type=PatchType.STRATEGIC)
    assert raised.value.reason == "UnsupportedMediaType"
    for accepted in ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"):
        assert accepted in raised.value.message


@pytest.mark.parametrize("kind", [ConfigMap, RoleBasedGroup], ids=lambda kind: kind.__name__)
@case
async def test_a_patch_that_is_plain_json_is_of_no_known_type(api: Api, kind: Kind) -> None:
    await api.create(kind, group("a") if kind is RoleBasedGroup else config_map("a"))
    with pytest.raises(UnsupportedMediaTypeError):
        await api.send("PATCH", kind.KIND.path(api.namespace, "a"), body={}, content_type="application/json")
