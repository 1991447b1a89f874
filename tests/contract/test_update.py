"""What a PUT needs, and when an object counts as changed: generation and resourceVersion."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import (
    Api,
    Deployment,
    Obj,
    Secret,
    case,
    config_map,
    group,
    instance,
    instance_set,
    kinds,
    metadata,
    pod,
    role,
    service,
)
from contract.support.api import Kind
from rbgctrl.api.core import ConfigMap, Lease, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import BadRequestError, ConflictError, InvalidError, NotFoundError

OURS: tuple[tuple[Kind, Obj], ...] = (
    (RoleBasedGroup, group("a")),
    (RoleInstanceSet, instance_set("a")),
    (RoleInstance, instance("a")),
)
SOME: tuple[tuple[Kind, Obj], ...] = (*OURS, (ConfigMap, config_map("a", {"b": "c"})), (Pod, pod("a")))


def labelled(obj: Obj, **labels: str) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def without(obj: Obj, *fields: str) -> Obj:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in fields}}


def rv(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


def generation(obj: Obj) -> Any:
    return obj["metadata"].get("generation")


# -- PUT ---------------------------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_a_replace_with_the_latest_version_is_stored_under_a_higher_one(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    replaced = await api.replace(kind, "a", labelled(made, b="c"))
    assert rv(replaced) > rv(made)
    assert replaced["metadata"]["labels"] == {"b": "c"}
    assert await api.get(kind, "a") == replaced


@kinds(*SOME)
@case
async def test_a_replace_with_an_old_version_is_a_conflict(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    await api.replace(kind, "a", labelled(made, b="c"))
    with pytest.raises(ConflictError) as raised:
        await api.replace(kind, "a", labelled(made, b="d"))
    assert raised.value.reason == "Conflict"
    assert raised.value.message == (
        f'Operation cannot be fulfilled on {kind.KIND.resource} "a": the object has been modified; please apply your '
        "changes to the latest version and try again"
    )


@kinds(*OURS)
@case
async def test_a_replace_of_our_kinds_needs_a_version(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    with pytest.raises(InvalidError) as raised:
        await api.replace(kind, "a", without(made, "resourceVersion"))
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in raised.value.message


@case
async def test_a_replace_of_some_built_in_kinds_needs_no_version(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a")), (Secret, {"metadata": metadata("a")}), (Pod, pod("a"))):
        made = await api.create(kind, body)
        replaced = await api.replace(kind, "a", labelled(without(made, "resourceVersion"), b="c"))
        assert rv(replaced) > rv(made)


@case
async def test_a_lease_is_replaced_only_at_its_version_and_so_never_by_two(api: Api) -> None:
    made = await api.create(Lease, {"metadata": metadata("a"), "spec": {"holderIdentity": "x"}})
    first = await api.replace(Lease, "a", {**made, "spec": {"holderIdentity": "y", "leaseDurationSeconds": 15}})
    assert first["spec"] == {"holderIdentity": "y", "leaseDurationSeconds": 15}
    with pytest.raises(ConflictError):
        await api.replace(Lease, "a", {**made, "spec": {"holderIdentity": "z"}})
    with pytest.raises(InvalidError, match="resourceVersion"):
        await api.replace(Lease, "a", {**without(made, "resourceVersion"), "spec": {"holderIdentity": "z"}})
    assert (await api.get(Lease, "a"))["spec"]["holderIdentity"] == "y"


@kinds(*SOME)
@case
async def test_a_replace_with_another_uid_is_a_conflict(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    other = {**made, "metadata": {**made["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    with pytest.raises(ConflictError) as raised:
        await api.replace(kind, "a", other)
    assert raised.value.reason == "Conflict"
    assert "Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000" in raised.value.message
    assert made["metadata"]["uid"] in raised.value.message


@kinds(*SOME)
@case
async def test_a_replace_keeps_what_the_server_decides(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    changed = labelled(made, b="c")
    changed["metadata"] |= {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 99}
    meta = (await api.replace(kind, "a", without(changed, "uid")))["metadata"]
    assert meta["uid"] == made["metadata"]["uid"]
    assert meta["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert meta.get("generation") == generation(made)


@case
async def test_a_replace_for_another_name_is_refused(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a")), (RoleBasedGroup, group("a"))):
        made = await api.create(kind, body)
        with pytest.raises(BadRequestError) as raised:
            await api.replace(kind, "b", made)
        assert raised.value.message == ("the name of the object (a) does not match the name on the URL (b)")


@case
async def test_a_replace_of_nothing_is_not_found_except_where_it_creates(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a")), (Pod, pod("a"))):
        with pytest.raises(NotFoundError):
            await api.replace(kind, "a", body)
    with pytest.raises(NotFoundError):
        await api.replace(RoleBasedGroup, "a", group("a", resourceVersion="1"))
    made = await api.replace(Lease, "a", {"metadata": metadata("a"), "spec": {"holderIdentity": "x"}})
    assert await api.get(Lease, "a") == made


@case
async def test_a_replace_that_brings_a_uid_never_creates(api: Api) -> None:
    made = await api.create(Lease, {"metadata": metadata("a")})
    await api.delete(Lease, "a")
    with pytest.raises(ConflictError):
        await api.replace(Lease, "a", made)
    made = await api.create(Service, service("a"))
    await api.delete(Service, "a")
    with pytest.raises(ConflictError, match=f"Key: /registry/services/specs/{api.namespace}/a, ResourceVersion: 0"):
        await api.replace(Service, "a", made)


# -- what counts as a change -------------------------------------------------------------------------------------------


@kinds(*SOME)
@case
async def test_a_replace_by_the_same_changes_nothing(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    assert await api.replace(kind, "a", made) == made


@kinds(*SOME)
@case
async def test_a_patch_that_changes_nothing_keeps_the_version(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    first = await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}})
    assert await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}}) == first
    assert await api.patch(kind, "a", {}) == first
    assert await api.patch(kind, "a", {"metadata": {"annotations": {"none": None}}}) == first


@kinds(*OURS)
@case
async def test_labels_annotations_and_finalizers_do_not_move_the_generation(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    meta = {"labels": {"b": "c"}, "annotations": {"d": "e"}, "finalizers": ["example.com/f"]}
    patched = await api.patch(kind, "a", {"metadata": meta})
    assert rv(patched) > rv(made)
    assert generation(patched) == 1
    assert patched["metadata"]["finalizers"] == ["example.com/f"]
    await api.patch(kind, "a", {"metadata": {"finalizers": None}})


def _deployment() -> Obj:
    """Paused, so that its controller makes no ReplicaSet whose revision it would note in an annotation."""
    spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": {"a": "b"}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
    return {"metadata": metadata("a"), "spec": spec | {"template": template}}


SPECS: tuple[tuple[Kind, Obj, Obj], ...] = (
    (RoleBasedGroup, group("a"), {"roles": [role("main", 3)]}),
    (RoleInstanceSet, instance_set("a"), {"replicas": 3}),
    (RoleInstance, instance("a"), {"readyPolicy": "None"}),
    (Deployment, _deployment(), {"revisionHistoryLimit": 3}),
    (Pod, pod("a"), {"activeDeadlineSeconds": 100}),
)


@pytest.mark.parametrize(("kind", "body", "change"), [pytest.param(*entry, id=entry[0].__name__) for entry in SPECS])
@case
async def test_a_changed_spec_moves_the_generation_by_one(api: Api, kind: Kind, body: Obj, change: Obj) -> None:
    await api.create(kind, body)
    first = await api.patch(kind, "a", {"spec": change})
    again = await api.patch(kind, "a", {"spec": change})
    assert generation(first) == 2
    assert _without_controllers_part(kind, again) == _without_controllers_part(kind, first)


def _without_controllers_part(kind: Kind, obj: Obj) -> Obj:
    """``obj`` without what the real deployment controller may write between two requests: the status."""
    if kind is not Deployment:
        return obj
    ours = [entry for entry in obj["metadata"]["managedFields"] if entry.get("subresource") != "status"]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": ours, "resourceVersion": ""}, "status": None}


@case
async def test_kinds_without_a_generation_never_get_one(api: Api) -> None:
    made = await api.create(ConfigMap, config_map("a", {"b": "c"}))
    patched = await api.patch(ConfigMap, "a", {"data": {"b": "d"}})
    assert rv(patched) > rv(made)
    assert generation(patched) is None
    await api.create(Service, service("a"))
    assert generation(await api.patch(Service, "a", {"spec": {"publishNotReadyAddresses": True}})) is None


@case
async def test_a_spec_that_only_spells_out_its_defaults_is_the_same_spec(api: Api) -> None:
    bare = {"roles": [{"name": "main"}]}
    made = await api.create(RoleBasedGroup, {"metadata": metadata("a"), "spec": bare})
    spelled = {"roles": [{"name": "main", "replicas": 1, "minReadySeconds": 0, "podManagementPolicy": "Parallel"}]}
    assert await api.patch(RoleBasedGroup, "a", {"spec": spelled}) == made
    assert await api.patch(RoleBasedGroup, "a", {"spec": bare}) == made


@case
async def test_deleting_an_object_that_is_held_moves_the_generation_once(api: Api) -> None:
    made = await api.create(RoleBasedGroup, group("a", finalizers=["example.com/f"]))
    await api.delete(RoleBasedGroup, "a")
    held = await api.get(RoleBasedGroup, "a")
    assert held["metadata"]["deletionTimestamp"]
    assert generation(held) == 2
    await api.delete(RoleBasedGroup, "a")
    assert await api.get(RoleBasedGroup, "a") == held
    assert rv(held) > rv(made)
    await api.patch(RoleBasedGroup, "a", {"metadata": {"finalizers": None}})
    assert await api.find(RoleBasedGroup, "a") is None


@case
async def test_versions_grow_over_all_kinds(api: Api) -> None:
    seen = [
        rv(await api.create(ConfigMap, config_map("a"))),
        rv(await api.create(RoleBasedGroup, group("a"))),
        rv(await api.create(Lease, {"metadata": metadata("a")})),
        rv(await api.patch(ConfigMap, "a", {"data": {"b": "c"}})),
        rv(await api.patch(RoleBasedGroup, "a", {"metadata": {"labels": {"b": "c"}}})),
    ]
    assert seen == sorted(set(seen))


@case
async def test_a_dry_run_of_a_change_answers_with_the_change_and_keeps_the_object(api: Api) -> None:
    for kind, body in SOME:
        made = await api.create(kind, body)
        dry = {"dryRun": "All"}
        change = {"metadata": {"labels": {"b": "c"}}}
        for answer in (
            await api.patch(kind, "a", change, query=dry),
            await api.replace(kind, "a", labelled(made, b="c"), query=dry),
            await api.apply(kind, "a", change, query=dry),
        ):
            assert answer["metadata"]["labels"] == {"b": "c"}
        assert await api.get(kind, "a") == made


@case
async def test_a_new_object_of_an_old_name_has_a_new_uid_and_a_higher_version(api: Api) -> None:
    for kind, body in ((RoleBasedGroup, group("a")), (ConfigMap, config_map("a"))):
        first = await api.create(kind, body)
        await api.delete(kind, "a")
        second = await api.create(kind, body)
        assert second["metadata"]["uid"] != first["metadata"]["uid"]
        assert rv(second) > rv(first)
        assert generation(second) == generation(first)
