"""What a create stores, and what it refuses."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from contract.support import (
    Api,
    Deployment,
    Secret,
    case,
    config_map,
    group,
    instance,
    instance_set,
    kinds,
    metadata,
    pod,
)
from contract.support.api import Kind, Obj
from rbgctrl.api.core import ConfigMap, ControllerRevision, Event, Lease, Namespace, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import AlreadyExistsError, BadRequestError, InternalServerError, InvalidError, NotFoundError

EVERY: tuple[tuple[Kind, Obj], ...] = (
    (ConfigMap, config_map("a")),
    (Secret, {"metadata": metadata("a")}),
    (Pod, pod("a")),
    (ControllerRevision, {"metadata": metadata("a"), "revision": 1, "data": {"a": 1}}),
    (Lease, {"metadata": metadata("a")}),
    (RoleBasedGroup, group("a")),
    (RoleInstanceSet, instance_set("a")),
    (RoleInstance, instance("a")),
)
OURS: tuple[tuple[Kind, Obj], ...] = EVERY[-3:]


@kinds(*EVERY)
@case
async def test_a_new_object_has_an_identity_and_is_read_back_as_it_was_answered(
    api: Api, kind: Kind, body: Obj
) -> None:
    made = await api.create(kind, body)
    meta = made["metadata"]
    assert made["kind"] == kind.KIND.kind
    assert made["apiVersion"] == kind.KIND.api_version
    assert (meta["name"], meta["namespace"]) == ("a", api.namespace)
    assert UUID(meta["uid"]).version == 4
    assert int(meta["resourceVersion"]) > 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert await api.get(kind, "a") == made


@kinds(*OURS, (Pod, pod("a")))
@case
async def test_kinds_with_a_spec_start_at_generation_1(api: Api, kind: Kind, body: Obj) -> None:
    assert (await api.create(kind, body))["metadata"]["generation"] == 1


@kinds((ConfigMap, config_map("a")), (Secret, {"metadata": metadata("a")}), (Lease, {"metadata": metadata("a")}))
@case
async def test_kinds_without_a_generation_have_none(api: Api, kind: Kind, body: Obj) -> None:
    assert "generation" not in (await api.create(kind, body))["metadata"]


@kinds(*OURS, (ConfigMap, config_map("a", {"b": "c"})), (Pod, pod("a")))
@case
async def test_a_create_is_recorded_for_its_manager(api: Api, kind: Kind, body: Obj) -> None:
    (entry,) = (await api.manager("somebody").create(kind, body))["metadata"]["managedFields"]
    made = await api.get(kind, "a")
    assert entry["manager"] == "somebody"
    assert entry["operation"] == "Update"
    assert entry["apiVersion"] == kind.KIND.api_version
    assert entry["fieldsType"] == "FieldsV1"
    born, noted = (datetime.fromisoformat(text) for text in (made["metadata"]["creationTimestamp"], entry["time"]))
    assert abs(noted - born) <= timedelta(seconds=1), "two looks at the clock"
    assert "f:spec" in entry["fieldsV1"] or "f:data" in entry["fieldsV1"]
    assert "subresource" not in entry


@kinds(*EVERY)
@case
async def test_a_name_is_taken_once(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    with pytest.raises(AlreadyExistsError) as raised:
        await api.create(kind, body)
    assert raised.value.status == 409
    assert raised.value.reason == "AlreadyExists"
    assert raised.value.message == f'{kind.KIND.resource} "a" already exists'


@case
async def test_one_name_in_two_namespaces_is_two_objects(api: Api) -> None:
    first = await api.create(RoleBasedGroup, group("a"))
    second = await api.within("default").create(RoleBasedGroup, group("a-" + api.namespace))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert second["metadata"]["namespace"] == "default"
    await api.within("default").delete(RoleBasedGroup, "a-" + api.namespace)


@case
async def test_a_generated_name_extends_the_prefix(api: Api) -> None:
    names = [
        (await api.create(ConfigMap, {"metadata": {"generateName": "some-"}}))["metadata"]["name"] for _ in range(3)
    ]
    assert all(name.startswith("some-") and len(name) == len("some-") + 5 for name in names)
    assert len(set(names)) == 3


@case
async def test_what_the_server_decides_cannot_be_given(api: Api) -> None:
    given = {
        "uid": "00000000-0000-0000-0000-000000000000",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "generation": 7,
        "selfLink": "/x",
    }
    meta = (await api.create(RoleBasedGroup, group("a", **given)))["metadata"]
    assert meta["uid"] != given["uid"]
    assert meta["creationTimestamp"] > "2002"
    assert "deletionTimestamp" not in meta
    assert meta["generation"] == 1


@kinds(*OURS, (ConfigMap, config_map("a")))
@case
async def test_a_create_with_a_resource_version_is_refused(api: Api, kind: Kind, body: Obj) -> None:
    with pytest.raises(InternalServerError) as raised:
        await api.create(kind, body | {"metadata": {"name": "a", "resourceVersion": "1"}})
    assert raised.value.status == 500
    assert raised.value.message == "resourceVersion should not be set on objects to be created"


@kinds(*OURS, (Pod, pod("a")), (Deployment, {}))
@case
async def test_a_status_given_to_a_create_is_dropped(api: Api, kind: Kind, body: Obj) -> None:
    if kind is Deployment:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
        body = {"metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}}}
        body["spec"]["template"] = template
    made = await api.create(kind, body | {"status": {"observedGeneration": 9, "replicas": 9, "conditions": []}})
    assert made.get("status", {}).get("observedGeneration") != 9


@case
async def test_a_namespace_that_is_not_there_holds_nothing(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a")), (RoleBasedGroup, group("a"))):
        with pytest.raises(NotFoundError) as raised:
            await api.within("nowhere").create(kind, body)
        assert raised.value.reason == "NotFound"
        assert raised.value.message == 'namespaces "nowhere" not found'


@case
async def test_a_body_for_another_namespace_is_refused(api: Api) -> None:
    for kind, body in ((ConfigMap, config_map("a", namespace="b")), (RoleBasedGroup, group("a", namespace="b"))):
        with pytest.raises(BadRequestError) as raised:
            await api.create(kind, body)
        assert raised.value.message == (
            "the namespace of the provided object does not match the namespace sent on the request"
        )


@case
async def test_a_cluster_scoped_kind_takes_no_namespace(api: Api) -> None:
    name = f"node-{api.namespace}"
    made = await api.create(Node, {"metadata": metadata(name)})
    assert "namespace" not in made["metadata"]
    await api.delete(Node, name)


@case
async def test_a_body_of_another_kind_or_version_is_refused(api: Api) -> None:
    for kind in (ConfigMap, RoleBasedGroup):
        path = kind.KIND.path(api.namespace)
        with pytest.raises(BadRequestError):
            await api.send("POST", path, body={"apiVersion": "v7", "kind": kind.KIND.kind, "metadata": {"name": "a"}})
    wrong = {"kind": "Pod", "metadata": {"name": "a"}}
    with pytest.raises(BadRequestError):
        await api.send("POST", ConfigMap.KIND.path(api.namespace), body={"apiVersion": "v1", **wrong})
    path = RoleBasedGroup.KIND.path(api.namespace)
    with pytest.raises(InvalidError, match='kind: Invalid value: "Pod": must be RoleBasedGroup'):
        await api.send("POST", path, body={"apiVersion": RoleBasedGroup.KIND.api_version, **wrong})


@pytest.mark.parametrize("kind", [ConfigMap, RoleBasedGroup], ids=lambda kind: kind.__name__)
@case
async def test_what_is_no_json_object_is_refused(api: Api, kind: Kind) -> None:
    for body in (b"{", b"[]", b'"a"'):
        with pytest.raises(BadRequestError) as raised:
            await api.send("POST", kind.KIND.path(api.namespace), body=body)
        assert raised.value.reason == "BadRequest"


@kinds(*OURS, (ConfigMap, config_map("a")), (Pod, pod("a")))
@case
async def test_an_object_without_a_name_is_invalid(api: Api, kind: Kind, body: Obj) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(kind, body | {"metadata": {}})
    assert raised.value.reason == "Invalid"
    assert "name or generateName is required" in raised.value.message


NAMES = {
    "upper case": "Abc",
    "an underscore": "a_b",
    "a dash at the end": "a-",
    "254 signs": "a" * 254,
    "a space": "a b",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@kinds(*OURS, (ConfigMap, config_map("a")), (Pod, pod("a")), (Service, {"spec": {"ports": [{"port": 80}]}}))
@case
async def test_a_name_is_a_dns_name(api: Api, kind: Kind, body: Obj, name: str) -> None:
    with pytest.raises(InvalidError) as raised:
        await api.create(kind, body | {"metadata": {"name": name}})
    assert raised.value.reason == "Invalid"
    assert "metadata.name: Invalid value" in raised.value.message
    assert raised.value.message.startswith(
        f'{kind.KIND.kind}{"." if kind.KIND.group else ""}{kind.KIND.group} "{name}"'
    )


@case
async def test_dots_are_for_subdomain_names_only(api: Api) -> None:
    assert await api.create(ConfigMap, config_map("a.b"))
    assert await api.create(RoleBasedGroup, group("a.b"))
    assert await api.create(Pod, pod("a.b"))
    with pytest.raises(InvalidError, match=r"metadata\.name"):
        await api.create(Service, {"metadata": metadata("a.b"), "spec": {"ports": [{"port": 80}]}})
    with pytest.raises(InvalidError, match=r"metadata\.name"):
        await api.create(Namespace, {"metadata": metadata("a.b")})


METADATA = {
    "a label value with a space": ({"labels": {"a": "b c"}}, "metadata.labels"),
    "a label value of 64 signs": ({"labels": {"a": "b" * 64}}, "metadata.labels"),
    "a label key with two slashes": ({"labels": {"a/b/c": "d"}}, "metadata.labels"),
    "an empty label key": ({"labels": {"": "d"}}, "metadata.labels"),
    "an annotation key with a space": ({"annotations": {"a b": "c"}}, "metadata.annotations"),
    "annotations beyond 256 KiB": ({"annotations": {"a": "b" * 262_145}}, "metadata.annotations"),
    "a finalizer with a space": ({"finalizers": ["example.com/a b"]}, "metadata.finalizers"),
    "an owner without a uid": (
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": ""}]},
        "metadata.ownerReferences",
    ),
    "an owner without a name": (
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}]},
        "metadata.ownerReferences",
    ),
    "two controllers": (
        {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in "ab"
            ]
        },
        "metadata.ownerReferences",
    ),
}


@pytest.mark.parametrize(("wrong", "where"), METADATA.values(), ids=METADATA)
@pytest.mark.parametrize("kind", [ConfigMap, RoleBasedGroup], ids=lambda kind: kind.__name__)
@case
async def test_metadata_is_checked(api: Api, kind: Kind, wrong: Obj, where: str) -> None:
    body = group("a", **wrong) if kind is RoleBasedGroup else config_map("a", **wrong)
    with pytest.raises(InvalidError) as raised:
        await api.create(kind, body)
    assert raised.value.reason == "Invalid"
    assert where in raised.value.message


@case
async def test_a_dry_run_answers_and_leaves_nothing(api: Api) -> None:
    each: tuple[tuple[Kind, Obj], ...] = (*EVERY, (Event, _event(api)))
    for kind, body in each:
        made = await api.create(kind, body, {"dryRun": "All"})
        assert made["metadata"]["name"] == "a"
        assert made["metadata"]["uid"]
        assert not made["metadata"].get("resourceVersion")
        with pytest.raises(NotFoundError):
            await api.get(kind, "a")


@case
async def test_a_dry_run_refuses_what_a_create_would(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises(AlreadyExistsError):
        await api.create(ConfigMap, config_map("a"), {"dryRun": "All"})
    with pytest.raises(InvalidError):
        await api.create(ConfigMap, config_map("A"), {"dryRun": "All"})


@case
async def test_dry_run_is_for_everything_or_nothing(api: Api) -> None:
    with pytest.raises(InvalidError, match="dryRun"):
        await api.create(ConfigMap, config_map("a"), {"dryRun": "Some"})


def _event(api: Api) -> Obj:
    return {"metadata": metadata("a"), "involvedObject": {"namespace": api.namespace}}
