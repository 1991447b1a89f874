"""What a delete answers, needs and leaves: fences, finalizers, grace periods."""

from __future__ import annotations

from typing import Any

import pytest

from contract.support import (
    Api,
    Kind,
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
    service,
)
from rbgctrl.api.core import ConfigMap, ControllerRevision, Lease, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.client import AlreadyExistsError, ConflictError, DryRun, InvalidError, NotFoundError

NOBODY = "00000000-0000-0000-0000-000000000000"
OURS: tuple[tuple[Kind, Obj], ...] = (
    (RoleBasedGroup, group("a")),
    (RoleInstanceSet, instance_set("a")),
    (RoleInstance, instance("a")),
)
PLAIN: tuple[tuple[Kind, Obj], ...] = (
    *OURS,
    (ConfigMap, config_map("a")),
    (Secret, {"metadata": metadata("a")}),
    (Lease, {"metadata": metadata("a")}),
    (ControllerRevision, {"metadata": metadata("a"), "revision": 1, "data": {}}),
)
SPOKEN: tuple[tuple[Kind, Obj], ...] = ((Pod, pod("a")), (Service, service("a", {"clusterIP": "None"})))
FENCED: tuple[tuple[Kind, Obj], ...] = (*OURS, (ConfigMap, config_map("a")), *SPOKEN)
BOUND = {"nodeName": "nowhere"}  # a node that is not there: its kubelet never ends the pod


def rv(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


def named(kind: Kind) -> str:
    return f"{kind.KIND.kind}.{kind.KIND.group}".rstrip(".")


# -- answers -----------------------------------------------------------------------------------------------------------


@kinds(*PLAIN)
@case
async def test_most_kinds_answer_with_a_status_that_names_the_object(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    details = {"name": "a", "kind": kind.KIND.plural, "uid": made["metadata"]["uid"]}
    assert await api.delete(kind, "a") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details | ({"group": kind.KIND.group} if kind.KIND.group else {}),
    }
    assert await api.find(kind, "a") is None


@kinds(*SPOKEN)
@case
async def test_pods_and_services_answer_with_the_object_at_the_version_of_its_deletion(
    api: Api, kind: Kind, body: Obj
) -> None:
    made = await api.create(kind, body)
    async with api.watch(kind, resource_version=made["metadata"]["resourceVersion"]) as watch:
        gone = await api.delete(kind, "a")
        assert gone["kind"] == kind.KIND.kind
        assert gone["metadata"]["uid"] == made["metadata"]["uid"]
        assert rv(gone) > rv(made)
        while (event := await watch.change()).type != "DELETED":
            pass
        assert event.rv == gone["metadata"]["resourceVersion"]
    assert await api.find(kind, "a") is None


@kinds(*PLAIN, *SPOKEN)
@case
async def test_nothing_is_deleted_twice(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    await api.delete(kind, "a")
    with pytest.raises(NotFoundError) as raised:
        await api.delete(kind, "a")
    assert raised.value.reason == "NotFound"
    assert raised.value.message == f'{kind.KIND.resource} "a" not found'


# -- fences ------------------------------------------------------------------------------------------------------------


@kinds(*FENCED)
@case
async def test_a_delete_of_another_uid_is_a_conflict(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    with pytest.raises(ConflictError) as raised:
        await api.delete(kind, "a", uid=NOBODY)
    assert raised.value.reason == "Conflict"
    assert raised.value.message == (
        f'Operation cannot be fulfilled on {named(kind)} "a": the UID in the precondition ({NOBODY}) does not '
        f"match the UID in record ({made['metadata']['uid']}). The object might have been deleted and then recreated"
    )
    assert await api.get(kind, "a") == made
    await api.delete(kind, "a", uid=made["metadata"]["uid"])


@kinds(*FENCED)
@case
async def test_a_delete_of_an_older_version_is_a_conflict(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    changed = await api.patch(kind, "a", {"metadata": {"labels": {"b": "c"}}})
    old, new = made["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError) as raised:
        await api.delete(kind, "a", resource_version=old)
    assert f"the ResourceVersion in the precondition ({old}) does not match the ResourceVersion in record ({new})" in (
        raised.value.message
    )
    assert await api.get(kind, "a") == changed
    await api.delete(kind, "a", resource_version=new)


@case
async def test_a_delete_for_show_leaves_the_object(api: Api) -> None:
    for kind, body in FENCED:
        made = await api.create(kind, body)
        show = api.client.with_transport(DryRun(api.client.transport))
        await show.delete(kind, Key(api.namespace, "a"), uid=made["metadata"]["uid"])
        await api.send("DELETE", kind.KIND.path(api.namespace, "a"), query={"dryRun": "All"})
        assert await api.get(kind, "a") == made
        with pytest.raises(ConflictError):
            await show.delete(kind, Key(api.namespace, "a"), uid=NOBODY)


@case
async def test_the_query_of_a_delete_counts_only_without_a_body(api: Api) -> None:
    path = Pod.KIND.path(api.namespace, "a")
    await api.create(Pod, pod("a", BOUND))
    query = {"gracePeriodSeconds": "7", "propagationPolicy": "Background"}
    assert (await api.send("DELETE", path, query=query))["metadata"]["deletionGracePeriodSeconds"] == 7
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 3}
    going = await api.send("DELETE", path, query={"gracePeriodSeconds": "1", "dryRun": "All"}, body=options)
    assert going["metadata"]["deletionGracePeriodSeconds"] == 3
    assert (await api.get(Pod, "a"))["metadata"]["deletionGracePeriodSeconds"] == 3


@case
async def test_a_delete_names_one_propagation(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    with pytest.raises(InvalidError, match="propagationPolicy"):
        await api.delete(ConfigMap, "a", propagation="Sideways")


# -- finalizers --------------------------------------------------------------------------------------------------------


@kinds(*PLAIN, *SPOKEN)
@case
async def test_a_finalizer_holds_the_object_until_it_is_removed(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, {**body, "metadata": metadata("a", finalizers=["example.com/x"])})
    held = await api.delete(kind, "a")
    assert held["kind"] == kind.KIND.kind
    assert held["metadata"]["deletionTimestamp"] >= made["metadata"]["creationTimestamp"]
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    assert held["metadata"]["finalizers"] == ["example.com/x"]
    assert rv(held) > rv(made)
    assert await api.get(kind, "a") == held
    freed = await api.patch(kind, "a", {"metadata": {"finalizers": None}})
    assert "finalizers" not in freed["metadata"]
    assert freed["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    assert await api.find(kind, "a") is None


@kinds(*FENCED[:4])
@case
async def test_each_finalizer_has_its_turn(api: Api, kind: Kind, body: Obj) -> None:
    both = ["example.com/x", "example.com/y"]
    await api.create(kind, {**body, "metadata": metadata("a", finalizers=both)})
    await api.delete(kind, "a")
    left = await api.patch(kind, "a", {"metadata": {"finalizers": both[1:]}})
    assert left["metadata"]["finalizers"] == both[1:]
    with pytest.raises(InvalidError, match="no new finalizers can be added if the object is being deleted"):
        await api.patch(kind, "a", {"metadata": {"finalizers": both}})
    await api.apply(kind, "a", {"metadata": {"labels": {"b": "c"}}})
    assert (await api.get(kind, "a"))["metadata"]["labels"] == {"b": "c"}
    await api.patch(kind, "a", {"metadata": {"finalizers": []}})
    assert await api.find(kind, "a") is None


@case
async def test_a_deletion_is_not_taken_back(api: Api) -> None:
    await api.create(RoleBasedGroup, group("a", finalizers=["example.com/x"]))
    held = await api.delete(RoleBasedGroup, "a")
    back = await api.patch(RoleBasedGroup, "a", {"metadata": {"deletionTimestamp": None, "labels": {"b": "c"}}})
    assert back["metadata"]["deletionTimestamp"] == held["metadata"]["deletionTimestamp"]
    await api.patch(RoleBasedGroup, "a", {"metadata": {"finalizers": None}})


@case
async def test_the_last_finalizer_may_go_with_a_replace_an_apply_or_a_json_patch(api: Api) -> None:
    held = metadata("a", finalizers=["example.com/x"])
    await api.create(ConfigMap, {"metadata": held})
    going = await api.delete(ConfigMap, "a")
    await api.replace(ConfigMap, "a", {**going, "metadata": {**going["metadata"], "finalizers": []}})
    assert await api.find(ConfigMap, "a") is None
    await api.apply(ConfigMap, "a", {"metadata": held})
    await api.delete(ConfigMap, "a")
    await api.apply(ConfigMap, "a", {})
    assert await api.find(ConfigMap, "a") is None


# -- grace -------------------------------------------------------------------------------------------------------------


@case
async def test_a_pod_without_a_node_goes_at_once(api: Api) -> None:
    await api.create(Pod, pod("a"))
    gone = await api.delete(Pod, "a")
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 0
    assert gone["metadata"]["deletionTimestamp"]
    assert await api.find(Pod, "a") is None


@case
async def test_a_pod_on_a_node_is_given_its_grace_period(api: Api) -> None:
    made = await api.create(Pod, pod("a", {**BOUND, "terminationGracePeriodSeconds": 40}))
    going = await api.delete(Pod, "a")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 40
    assert going["metadata"]["deletionTimestamp"] > made["metadata"]["creationTimestamp"]
    assert going["metadata"]["generation"] == made["metadata"]["generation"] + 1
    assert await api.get(Pod, "a") == going


@case
async def test_a_pod_without_a_period_has_thirty_seconds(api: Api) -> None:
    await api.create(Pod, pod("a", BOUND))
    assert (await api.delete(Pod, "a"))["metadata"]["deletionGracePeriodSeconds"] == 30


@case
async def test_a_second_delete_changes_nothing_unless_it_is_sooner(api: Api) -> None:
    await api.create(Pod, pod("a", BOUND))
    going = await api.delete(Pod, "a", grace_period_seconds=40)
    assert await api.delete(Pod, "a", grace_period_seconds=60) == going
    assert await api.delete(Pod, "a", grace_period_seconds=40) == going
    sooner = await api.delete(Pod, "a", grace_period_seconds=10)
    assert sooner["metadata"]["deletionGracePeriodSeconds"] == 10
    assert sooner["metadata"]["deletionTimestamp"] < going["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
@case
async def test_a_pod_that_has_ended_goes_at_once(api: Api, phase: str) -> None:
    await api.create(Pod, pod("a", BOUND))
    await api.patch(Pod, "a", {"status": {"phase": phase}}, subresource="status")
    gone = await api.delete(Pod, "a")
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 0
    assert await api.find(Pod, "a") is None


@case
async def test_a_period_of_zero_ends_a_pod_at_once_also_one_that_is_going(api: Api) -> None:
    for steps in ([0], [None, 0]):
        await api.create(Pod, pod("a", BOUND))
        answer: dict[str, Any] = {}
        for seconds in steps:
            answer = await api.delete(Pod, "a", grace_period_seconds=seconds)
        assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
        assert await api.find(Pod, "a") is None


@case
async def test_a_negative_period_means_one_second(api: Api) -> None:
    await api.create(Pod, pod("a", BOUND))
    assert (await api.delete(Pod, "a", grace_period_seconds=-5))["metadata"]["deletionGracePeriodSeconds"] == 1


@case
async def test_kinds_without_grace_ignore_the_period(api: Api) -> None:
    for kind, body in FENCED[:4]:
        await api.create(kind, body)
        await api.delete(kind, "a", grace_period_seconds=30)
        assert await api.find(kind, "a") is None


@case
async def test_a_pod_being_deleted_keeps_its_name(api: Api) -> None:
    await api.create(Pod, pod("a", BOUND))
    await api.delete(Pod, "a")
    with pytest.raises(AlreadyExistsError, match="object is being deleted"):
        await api.create(Pod, pod("a", BOUND))


# -- collections -------------------------------------------------------------------------------------------------------


@case
async def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"}), ("c", {"x": "1"})):
        await api.create(RoleBasedGroup, group(name, labels=labels))
    gone = await api.send("DELETE", RoleBasedGroup.KIND.path(api.namespace), query={"labelSelector": "x=1"})
    assert gone["kind"] == "RoleBasedGroupList"
    assert sorted(item["metadata"]["name"] for item in gone["items"]) == ["a", "c"]
    assert await api.names(RoleBasedGroup) == ["b"]
