"""Cases about kinds in two versions: on the embedded server, and on a real one that asks our webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from contract.support.api import Api, Obj
from rbgctrl.api import labels
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.meta import Kind, Resource
from rbgctrl.client import ForbiddenError, InvalidError

__all__ = ["ADMISSION_CASES", "CASES", "GroupV1", "SetV1"]

Case = Callable[[Api], Awaitable[None]]


class GroupV1(Resource, frozen=True, gc=False):
    """A RoleBasedGroup in the older version."""

    KIND: ClassVar[Kind[Any]] = Kind("workloads.x-k8s.io", "v1alpha1", "RoleBasedGroup", "rolebasedgroups")


class SetV1(Resource, frozen=True, gc=False):
    """A RoleBasedGroupSet in the older version."""

    KIND: ClassVar[Kind[Any]] = Kind("workloads.x-k8s.io", "v1alpha1", "RoleBasedGroupSet", "rolebasedgroupsets")


def _pod(image: str = "registry.example/a:1") -> Obj:
    return {"spec": {"containers": [{"name": "c", "image": image}]}}


def _old() -> Obj:
    roles = [
        {"name": "web", "replicas": 2, "template": _pod()},
        {
            "name": "api",
            "replicas": 1,
            "restartPolicy": "None",
            "workload": {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleInstanceSet"},
            "template": _pod(),
            "leaderWorkerSet": {"size": 2},
        },
    ]
    policy = {"kubeScheduling": {"scheduleTimeoutSeconds": 90}}
    return {"metadata": {"name": "g"}, "spec": {"roles": roles, "podGroupPolicy": policy}}


def _new() -> Obj:
    worker = {
        "size": 2,
        "template": _pod(),
        "sharedServiceSelection": "All",
        "restartPolicyConfig": {"type": "None", "baseDelaySeconds": 1, "maxDelaySeconds": 2},
    }
    roles = [
        {
            "name": "a",
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "scalingAdapter": {"enable": False, "labels": {"l": "1"}},
            "leaderWorkerPattern": worker,
        },
        {"name": "b", "replicas": 1, "standalonePattern": {"template": _pod()}},
    ]
    return {"metadata": {"name": "g"}, "spec": {"roles": roles}}


async def older_objects_are_stored_in_the_newer_version(api: Api) -> None:
    made = await api.create(GroupV1, _old())
    assert made["apiVersion"] == "workloads.x-k8s.io/v1alpha1"
    stored = await api.get(RoleBasedGroup, "g")
    assert stored["apiVersion"] == "workloads.x-k8s.io/v1alpha2"
    assert stored["metadata"]["uid"] == made["metadata"]["uid"]
    annotations = stored["metadata"]["annotations"]
    assert annotations[labels.GROUP_GANG_SCHEDULING] == "true"
    assert annotations[labels.GROUP_GANG_TIMEOUT] == "90"
    web, worker = stored["spec"]["roles"]
    assert web["annotations"] == {labels.ROLE_WORKLOAD_TYPE: labels.WORKLOAD_TYPE_STATEFUL_SET}
    assert web["podManagementPolicy"] == "Parallel"
    assert web["standalonePattern"]["template"]["spec"]["containers"][0]["name"] == "c"
    assert worker["leaderWorkerPattern"]["restartPolicyConfig"] == {
        "type": "None",
        "baseDelaySeconds": 30,
        "maxDelaySeconds": 600,
    }
    read = await api.get(GroupV1, "g")
    assert read["spec"]["podGroupPolicy"] == _old()["spec"]["podGroupPolicy"]
    assert [role["workload"]["kind"] for role in read["spec"]["roles"]] == ["StatefulSet", "RoleInstanceSet"]


async def newer_objects_can_be_read_listed_and_watched_in_the_older_version(api: Api) -> None:
    await api.create(RoleBasedGroup, _new())
    read = await api.get(GroupV1, "g")
    assert read["spec"]["roles"][0]["leaderWorkerSet"] == {"size": 2}
    assert read["spec"]["roles"][1]["template"]["spec"]["containers"][0]["image"] == "registry.example/a:1"
    listed = await api.list(GroupV1)
    assert [item["spec"] for item in listed["items"]] == [read["spec"]]
    async with api.watch(GroupV1, resource_version=listed["metadata"]["resourceVersion"]) as watching:
        await api.patch(RoleBasedGroup, "g", {"metadata": {"labels": {"x": "y"}}})
        event = await watching.change()
        assert (event.type, event.object["apiVersion"]) == ("MODIFIED", "workloads.x-k8s.io/v1alpha1")
        assert event.object["spec"] == read["spec"]


async def an_edit_in_the_older_version_changes_what_was_edited_and_nothing_else(api: Api) -> None:
    await api.create(RoleBasedGroup, _new())
    before = await api.get(RoleBasedGroup, "g")
    edited = await api.get(GroupV1, "g")
    edited["spec"]["roles"][0]["template"] = _pod("registry.example/a:2")
    edited["spec"]["roles"][1]["replicas"] = 3
    await api.replace(GroupV1, "g", edited)
    after = await api.get(RoleBasedGroup, "g")
    wanted = before["spec"]
    wanted["roles"][0]["leaderWorkerPattern"]["template"]["spec"]["containers"][0]["image"] = "registry.example/a:2"
    wanted["roles"][1]["replicas"] = 3
    assert after["spec"] == wanted
    assert after["metadata"]["generation"] == 2
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")


async def a_patch_of_metadata_in_the_older_version_leaves_the_spec_alone(api: Api) -> None:
    before = await api.create(RoleBasedGroup, _new())
    await api.patch(GroupV1, "g", {"metadata": {"labels": {"x": "y"}, "annotations": {"touched": "1"}}})
    after = await api.get(RoleBasedGroup, "g")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == 1
    assert after["metadata"]["labels"] == {"x": "y"}
    assert after["metadata"]["annotations"] == {"touched": "1"}


async def an_apply_in_the_older_version_twice_is_no_change(api: Api) -> None:
    await api.apply(GroupV1, "g", _old())
    before = await api.get(RoleBasedGroup, "g")
    await api.apply(GroupV1, "g", _old())
    after = await api.get(RoleBasedGroup, "g")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    changed = _old()
    changed["spec"]["roles"][0]["replicas"] = 5
    await api.apply(GroupV1, "g", changed)
    last = await api.get(RoleBasedGroup, "g")
    before["spec"]["roles"][0]["replicas"] = 5
    assert last["spec"] == before["spec"]


async def an_apply_in_the_newer_version_survives_one_in_the_older(api: Api) -> None:
    await api.apply(RoleBasedGroup, "g", _new())
    before = await api.get(RoleBasedGroup, "g")
    scaled = {"spec": {"roles": [{"name": "b", "replicas": 4, "template": _pod()}]}}
    await api.manager("other").apply(GroupV1, "g", scaled, force=True)
    after = await api.get(RoleBasedGroup, "g")
    assert after["spec"]["roles"][0] == before["spec"]["roles"][0]
    assert after["spec"]["roles"][1]["replicas"] == 4


async def a_role_deleted_in_the_older_version_is_gone_for_good(api: Api) -> None:
    await api.create(RoleBasedGroup, _new())
    edited = await api.get(GroupV1, "g")
    del edited["spec"]["roles"][0]
    await api.replace(GroupV1, "g", edited)
    stored = await api.get(RoleBasedGroup, "g")
    assert [role["name"] for role in stored["spec"]["roles"]] == ["b"]
    assert (await api.get(GroupV1, "g"))["spec"]["roles"][0]["name"] == "b"


async def a_status_written_in_either_version_is_seen_in_both(api: Api) -> None:
    await api.create(GroupV1, _old())
    entry = {"name": "web", "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
    await api.patch(RoleBasedGroup, "g", {"status": {"roleStatuses": [entry]}}, subresource="status")
    assert (await api.get(GroupV1, "g"))["status"]["roleStatuses"] == [entry]
    await api.patch(GroupV1, "g", {"status": {"roleStatuses": []}}, subresource="status")
    stored = await api.get(RoleBasedGroup, "g")
    assert stored["status"]["roleStatuses"] == []
    assert stored["metadata"]["generation"] == 1


async def sets_are_converted_with_the_groups_they_are_made_of(api: Api) -> None:
    spec = {"replicas": 2, "template": _old()["spec"]}
    await api.create(SetV1, {"metadata": {"name": "s"}, "spec": spec})
    stored = await api.get(RoleBasedGroupSet, "s")
    assert stored["spec"]["groupTemplate"]["annotations"][labels.GROUP_GANG_SCHEDULING] == "true"
    assert stored["spec"]["groupTemplate"]["spec"]["roles"][1]["leaderWorkerPattern"]["size"] == 2
    read = await api.get(SetV1, "s")
    assert read["spec"]["template"]["podGroupPolicy"] == spec["template"]["podGroupPolicy"]
    read["spec"]["replicas"] = 3
    await api.replace(SetV1, "s", read)
    assert (await api.get(RoleBasedGroupSet, "s"))["spec"] == {**stored["spec"], "replicas": 3}


async def every_answer_in_the_older_version_says_that_it_is_deprecated(api: Api) -> None:
    await api.create(GroupV1, _old())
    told = "workloads.x-k8s.io/v1alpha1 RoleBasedGroup is deprecated; use workloads.x-k8s.io/v1alpha2 RoleBasedGroup"
    for kind, wanted in ((GroupV1, f'299 - "{told}"'), (RoleBasedGroup, None)):
        for path in (kind.KIND.path(api.namespace), kind.KIND.path(api.namespace, "g")):
            answer = await api.answer("GET", path)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            assert headers.get("warning") == wanted


async def many_objects_are_converted_in_one_list(api: Api) -> None:
    names = [f"g{index:02}" for index in range(40)]
    await asyncio.gather(*(api.create(RoleBasedGroup, {**_new(), "metadata": {"name": name}}) for name in names))
    listed = await api.list(GroupV1)
    assert [item["metadata"]["name"] for item in listed["items"]] == names
    assert {item["spec"]["roles"][0]["leaderWorkerSet"]["size"] for item in listed["items"]} == {2}


def _bad(spec: Obj) -> Obj:
    spec["roles"][0]["rolloutStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}
    return {"metadata": {"name": "g"}, "spec": spec}


async def objects_that_cannot_work_are_denied_in_both_versions(api: Api) -> None:
    for kind, body in ((RoleBasedGroup, _bad(_new()["spec"])), (GroupV1, _bad(_old()["spec"]))):
        try:
            await api.create(kind, body)
        except (ForbiddenError, InvalidError) as error:
            assert 'admission webhook "vrolebasedgroup.kb.io" denied the request' in str(error)  # noqa: PT017 - the text
            assert "cannot both be 0" in str(error)  # noqa: PT017 - the same
        else:
            raise AssertionError(f"{kind} was accepted")
    await api.create(GroupV1, _old())


_ROLLOUTS: Final[tuple[tuple[int, Obj, str], ...]] = (
    (2, {"maxUnavailable": 0}, "maxSurge and maxUnavailable cannot both be 0"),
    (0, {"maxUnavailable": 0}, ""),
    (2, {"maxUnavailable": 0, "maxSurge": 1}, ""),
    (4, {"maxUnavailable": "10%"}, "less than one of 4 replicas"),
    (10, {"maxUnavailable": "10%"}, ""),
    (2, {"partition": 2}, "partition"),
    (2, {"partition": 1}, ""),
    (2, {"partition": "100%"}, "partition"),
    (2, {"maxSurge": "abc"}, "maxSurge"),
    (2, {"maxSurge": "5"}, "maxSurge"),
    (2, {"maxUnavailable": "some"}, "maxUnavailable"),
)
"""Replicas, ``rollingUpdate``, and what the refusal names; ``""`` for what is accepted."""


async def _told(api: Api, body: Obj) -> str:
    """What creating it is refused with; ``""`` when it is not."""
    try:
        await api.create(RoleBasedGroup, body)
    except (ForbiddenError, InvalidError) as error:
        return str(error)
    return ""


async def rollouts_are_judged_as_the_contract_says(api: Api) -> None:
    for number, (replicas, rolling, why) in enumerate(_ROLLOUTS):
        role = {"name": "web", "replicas": replicas, "rolloutStrategy": {"rollingUpdate": rolling}}
        spec = {"roles": [{**role, "standalonePattern": {"template": _pod()}}]}
        told = await _told(api, {"metadata": {"name": f"g{number}"}, "spec": spec})
        assert bool(told) is bool(why), (replicas, rolling, told)
        assert why in told, told
        assert not told or "spec.roles[0].rolloutStrategy.rollingUpdate" in told


async def names_of_groups_are_labels(api: Api) -> None:
    for name, fits in (("a.b", False), ("a" * 64, False), ("a", True)):
        told = await _told(api, {**_new(), "metadata": {"name": name}})
        assert ("metadata.name" in told) is not fits, told


async def a_stored_object_with_a_fault_can_be_edited_and_a_new_fault_not(api: Api) -> None:
    def body(replicas: int, partition: int, label: str, **more: int) -> Obj:
        rolling = {"rollingUpdate": {"partition": partition, **more}}
        role = {"name": "web", "replicas": replicas, "rolloutStrategy": rolling}
        spec = {"roles": [{**role, "standalonePattern": {"template": _pod()}}]}
        return {"metadata": {"name": "g", "labels": {"a": label}}, "spec": spec}

    await api.create(RoleBasedGroup, body(4, 3, "1"))
    await api.patch(RoleBasedGroup, "g", body(2, 3, "2"))  # scaling is no edit of the rollout
    await api.patch(RoleBasedGroup, "g", body(2, 3, "3"))
    try:
        await api.patch(RoleBasedGroup, "g", body(2, 3, "4", maxUnavailable=0))
    except (ForbiddenError, InvalidError) as error:
        assert "cannot both be 0" in str(error)  # noqa: PT017 - the text
        assert "partition" not in str(error), "that was there before"  # noqa: PT017 - the same
    else:
        raise AssertionError("a new fault beside an old one was accepted")


CASES: Final[tuple[Case, ...]] = (
    older_objects_are_stored_in_the_newer_version,
    newer_objects_can_be_read_listed_and_watched_in_the_older_version,
    an_edit_in_the_older_version_changes_what_was_edited_and_nothing_else,
    a_patch_of_metadata_in_the_older_version_leaves_the_spec_alone,
    an_apply_in_the_older_version_twice_is_no_change,
    an_apply_in_the_newer_version_survives_one_in_the_older,
    a_role_deleted_in_the_older_version_is_gone_for_good,
    a_status_written_in_either_version_is_seen_in_both,
    sets_are_converted_with_the_groups_they_are_made_of,
    every_answer_in_the_older_version_says_that_it_is_deprecated,
    many_objects_are_converted_in_one_list,
)
"""What holds wherever both versions are served."""
ADMISSION_CASES: Final[tuple[Case, ...]] = (
    objects_that_cannot_work_are_denied_in_both_versions,
    rollouts_are_judged_as_the_contract_says,
    names_of_groups_are_labels,
    a_stored_object_with_a_fault_can_be_edited_and_a_new_fault_not,
)
"""What holds where our validation is asked, too."""
