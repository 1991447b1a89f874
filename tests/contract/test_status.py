"""Subresources: status and spec do not see each other, scale sees one number."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import Api, Obj, case, group, instance, instance_set, pod
from contract.support.api import Kind
from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import ConflictError, InvalidError, NotFoundError, PatchType, fence_held

NOBODY = "00000000-0000-0000-0000-000000000000"
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "RoleNotReady",
    "message": "Not all roles are ready: main has 0 of 1 ready",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}
READY = {**CONDITION, "type": "RoleInstanceReady"}
del READY["observedGeneration"]  # its schema knows none
COUNTS = {"name": "main", "replicas": 1, "readyReplicas": 0, "updatedReplicas": 1}
COMPONENT = {
    "name": "main",
    "size": 1,
    "readyReplicas": 0,
    "availableReplicas": 0,
    "scheduledReplicas": 1,
    "updatedReplicas": 1,
    "updatedReadyReplicas": 0,
}
STATUSES: tuple[tuple[Kind, Obj, Obj], ...] = (
    (
        RoleBasedGroup,
        group("a"),
        {"observedGeneration": 1, "conditions": [CONDITION], "roleStatuses": [COUNTS]},
    ),
    (
        RoleInstanceSet,
        instance_set("a"),
        {
            "observedGeneration": 1,
            "replicas": 1,
            "readyReplicas": 0,
            "availableReplicas": 0,
            "currentReplicas": 1,
            "updatedReplicas": 1,
            "updatedReadyReplicas": 0,
            "currentRevision": "a-1",
            "updateRevision": "a-1",
            "labelSelector": "set=a",
        },
    ),
    (
        RoleInstance,
        instance("a"),
        {
            "observedGeneration": 1,
            "conditions": [READY],
            "componentStatuses": [COMPONENT],
            "currentRevision": "a-1",
        },
    ),
)
OURS = pytest.mark.parametrize(
    ("kind", "body", "status"), [pytest.param(*entry, id=entry[0].__name__) for entry in STATUSES]
)
PODS = (pytest.param(Pod, pod("a"), {"phase": "Running"}, id="Pod"),)
WITH_PODS = pytest.mark.parametrize(
    ("kind", "body", "status"), [*(pytest.param(*entry, id=entry[0].__name__) for entry in STATUSES), *PODS]
)


def rv(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


def conditions(obj: Obj) -> dict[str, Any]:
    return {item["type"]: item for item in obj["status"]["conditions"]}


# -- isolation ---------------------------------------------------------------------------------------------------------


@WITH_PODS
@case
async def test_a_status_patch_changes_the_status_only(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    made = await api.create(kind, body)
    changed = await api.patch(
        kind,
        "a",
        {"status": status, "spec": {"activeDeadlineSeconds": 5, "readyPolicy": "None", "replicas": 9}},
        subresource="status",
    )
    assert {name: changed["status"][name] for name in status} == status
    assert changed["spec"] == made["spec"]
    assert changed["metadata"]["generation"] == 1
    assert rv(changed) > rv(made)
    assert await api.get(kind, "a") == changed


@WITH_PODS
@case
async def test_a_plain_write_never_changes_the_status(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    await api.create(kind, body)
    held = await api.patch(kind, "a", {"status": status}, subresource="status")
    wiped = dict.fromkeys(status)
    assert (await api.patch(kind, "a", {"status": wiped}))["status"] == held["status"]
    assert (await api.apply(kind, "a", body, force=True))["status"] == held["status"]
    latest = await api.get(kind, "a")
    assert (await api.replace(kind, "a", {**latest, "status": {}}))["status"] == held["status"]


@OURS
@case
async def test_a_status_patch_leaves_metadata_alone(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    await api.create(kind, body)
    meta = {"labels": {"b": "c"}, "annotations": {"d": "e"}, "finalizers": ["example.com/f"]}
    changed = await api.patch(kind, "a", {"status": status, "metadata": meta}, subresource="status")
    assert not {"labels", "annotations", "finalizers"} & changed["metadata"].keys()


@OURS
@case
async def test_a_status_replace_changes_the_status_only(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    made = await api.create(kind, body)
    sent = {**made, "status": status, "spec": {}}
    sent["metadata"] = {**made["metadata"], "labels": {"b": "c"}}
    changed = await api.replace(kind, "a", sent, subresource="status")
    assert {name: changed["status"][name] for name in status} == status
    assert changed["spec"] == made["spec"]
    assert "labels" not in changed["metadata"]
    with pytest.raises(ConflictError):
        await api.replace(kind, "a", sent, subresource="status")


@OURS
@case
async def test_an_applied_status_is_owned_apart_from_the_spec(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    ours = api.manager("us")
    await ours.apply(kind, "a", body)
    changed = await ours.apply(kind, "a", {"status": status}, subresource="status")
    entries = [(entry["manager"], entry.get("subresource", "")) for entry in changed["metadata"]["managedFields"]]
    assert sorted(entries) == [("us", ""), ("us", "status")]
    assert await ours.apply(kind, "a", {"status": status}, subresource="status") == changed
    assert (await ours.apply(kind, "a", body))["status"] == changed["status"]


@OURS
@case
async def test_a_status_that_stays_the_same_keeps_the_version(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    await api.create(kind, body)
    first = await api.patch(kind, "a", {"status": status}, subresource="status")
    assert await api.patch(kind, "a", {"status": status}, subresource="status") == first
    assert await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}}, subresource="status") == first


@OURS
@case
async def test_a_counter_is_changed_by_itself(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    await api.create(kind, body)
    await api.patch(kind, "a", {"status": status}, subresource="status")
    changed = await api.patch(kind, "a", {"status": {"observedGeneration": 2}}, subresource="status")
    assert changed["status"] == {**changed["status"], **status, "observedGeneration": 2}


# -- fences of a status ------------------------------------------------------------------------------------------------


@OURS
@case
async def test_the_status_of_our_kinds_is_fenced_by_version_not_by_uid(
    api: Api, kind: Kind, body: Obj, status: Obj
) -> None:
    made = await api.create(kind, body)
    patched = await api.patch(kind, "a", {"metadata": {"uid": NOBODY}, "status": status}, subresource="status")
    assert patched["metadata"]["uid"] == made["metadata"]["uid"]
    assert {name: patched["status"][name] for name in status} == status
    fence = {"resourceVersion": made["metadata"]["resourceVersion"]}
    with pytest.raises(ConflictError, match="the object has been modified"):
        await api.patch(kind, "a", {"metadata": fence, "status": {"observedGeneration": 7}}, subresource="status")
    tested: list[Obj] = [
        {"op": "test", "path": "/metadata/uid", "value": NOBODY},
        {"op": "replace", "path": "/status/observedGeneration", "value": 7},
    ]
    with pytest.raises(InvalidError):
        await api.patch(kind, "a", tested, type=PatchType.JSON, subresource="status")
    assert await api.get(kind, "a") == patched


@case
async def test_the_status_of_a_pod_is_fenced_by_uid(api: Api) -> None:
    made = await api.create(Pod, pod("a"))
    body = {"metadata": {"uid": NOBODY}, "status": {"conditions": [{"type": "x/y", "status": "True"}]}}
    with pytest.raises(InvalidError, match=f'metadata.uid: Invalid value: "{NOBODY}": field is immutable') as raised:
        await api.patch(Pod, "a", body, type=PatchType.STRATEGIC, subresource="status")
    assert fence_held(raised.value)
    assert await api.get(Pod, "a") == made


# -- what a status may be ----------------------------------------------------------------------------------------------


@case
async def test_a_status_is_validated_and_pruned(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a"))
    with pytest.raises(InvalidError, match="roleStatuses"):
        await api.patch(RoleBasedGroup, "a", {"status": {"observedGeneration": 1}}, subresource="status")
    body = {"status": {"observedGeneration": "1", "roleStatuses": []}}
    with pytest.raises(InvalidError, match="observedGeneration"):
        await api.patch(RoleBasedGroup, "a", body, subresource="status")
    kept = await api.patch(
        RoleBasedGroup, "a", {"status": {"observedGeneration": 1, "roleStatuses": [], "x": 1}}, subresource="status"
    )
    assert kept["status"] == {"observedGeneration": 1, "roleStatuses": []}


@case
async def test_conditions_of_a_group_are_unique_by_type_and_applied_one_by_one(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a"))
    twice = {"observedGeneration": 1, "roleStatuses": [], "conditions": [CONDITION, CONDITION]}
    with pytest.raises(InvalidError, match="Duplicate value"):
        await api.patch(RoleBasedGroup, "a", {"status": twice}, subresource="status")


@case
async def test_pod_conditions_are_joined_by_type(api: Api) -> None:
    made = await api.create(Pod, pod("a", {"readinessGates": [{"conditionType": "x/gate"}]}))
    kubelet = {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    await api.patch(Pod, "a", {"status": {"conditions": [kubelet]}}, type=PatchType.STRATEGIC, subresource="status")
    ours = [
        {"type": "x/gate", "status": "True", "message": "[]", "lastTransitionTime": "2026-01-01T00:00:01Z"},
        {"type": "Ready", "status": "True", "reason": "", "lastTransitionTime": "2026-01-01T00:00:01Z"},
    ]
    body = {"metadata": {"uid": made["metadata"]["uid"]}, "status": {"conditions": ours}}
    opened = await api.patch(Pod, "a", body, type=PatchType.STRATEGIC, subresource="status")
    found = conditions(opened)
    assert found.keys() == {"ContainersReady", "x/gate", "Ready"}
    assert found["x/gate"]["message"] == "[]"
    assert "reason" not in found["Ready"]
    closed = {"type": "x/gate", "status": "False", "lastTransitionTime": "2026-01-01T00:00:02Z"}
    body = {"status": {"conditions": [closed]}}
    shut = conditions(await api.patch(Pod, "a", body, type=PatchType.STRATEGIC, subresource="status"))
    assert shut["x/gate"]["status"] == "False"
    assert shut["x/gate"]["message"] == "[]"
    assert shut["ContainersReady"]["status"] == "True"
    again = await api.patch(Pod, "a", body, type=PatchType.STRATEGIC, subresource="status")
    assert conditions(again) == shut


@case
async def test_a_subresource_of_nothing_or_of_no_such_name_is_not_found(api: Api) -> None:
    with pytest.raises(NotFoundError) as raised:
        await api.patch(RoleBasedGroup, "a", {"status": {}}, subresource="status")
    assert raised.value.message == 'rolebasedgroups.workloads.x-k8s.io "a" not found'
    await api.create(RoleBasedGroup, group("a"))
    for path in (
        RoleBasedGroup.KIND.path(api.namespace, "a", "scale"),
        RoleBasedGroup.KIND.path(api.namespace, "a", "nothing"),
        ConfigMap.KIND.path(api.namespace, "a", "status"),
    ):
        with pytest.raises(NotFoundError):
            await api.send("GET", path)


@WITH_PODS
@case
async def test_a_status_is_read_as_the_whole_object(api: Api, kind: Kind, body: Obj, status: Obj) -> None:
    made = await api.create(kind, body)
    assert await api.send("GET", kind.KIND.path(api.namespace, "a", "status")) == made
