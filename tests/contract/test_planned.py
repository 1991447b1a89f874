"""What our planners write, sent by our executor: stored as meant, complete in one go, and not written twice."""

from __future__ import annotations

from typing import Any

from contract.support import Api, Obj, case, metadata
from contract.support.planning import Planning
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.client import PatchType


def role(name: str, replicas: int, *needs: str, image: str = "registry.example/engine:1") -> Obj:
    container = {
        "name": "main",
        "image": image,
        "ports": [{"containerPort": 8000}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    }
    template = {"spec": {"schedulerName": "nobody", "containers": [container]}}
    body: Obj = {"name": name, "replicas": replicas, "standalonePattern": {"template": template}}
    return body | ({"dependencies": list(needs)} if needs else {})


def group(*roles: Obj) -> Obj:
    return {"metadata": metadata("llm", labels={"team": "a"}), "spec": {"roles": list(roles)}}


def condition(obj: Obj, kind: str) -> Any:
    return next(item["status"] for item in obj["status"]["conditions"] if item["type"] == kind)


@case
async def test_a_group_becomes_ready_and_then_nothing_is_left_to_write(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("prefill", 1), role("decode", 2, "prefill")))
    await planning.settle()
    assert await api.names(Pod) == ["llm-decode-0", "llm-decode-1", "llm-prefill-0"]
    found = await api.get(RoleBasedGroup, "llm")
    assert condition(found, "Ready") == "True"
    assert found["metadata"]["generation"] == 1
    assert [item["readyReplicas"] for item in found["status"]["roleStatuses"]] == [1, 2]
    assert all(condition(pod, "Ready") == "True" for pod in (await api.list(Pod))["items"])
    assert all(plan.empty for _, plan in await planning.plans())


@case
async def test_a_life_takes_the_same_writes_everywhere(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("prefill", 1), role("decode", 2, "prefill")))
    await planning.settle()
    sent = {f"{verb} {kind}": count for (verb, kind), count in planning.writes.items()}
    # The steps of a status that a round sees depend on which of its reads came first.
    assert 4 <= sent.pop("patch RoleBasedGroup") <= 7
    assert sent == {
        "create ControllerRevision": 6,
        "create Pod": 3,
        "apply ConfigMap": 1,
        "apply RoleInstance": 3,
        "apply RoleInstanceSet": 2,
        "apply Service": 2,
        "patch RoleInstanceSet": 6,
        "patch RoleInstance": 6,
        "patch Pod": 3,
    }


@case
async def test_everything_belongs_to_the_group_and_goes_by_its_labels(api: Api) -> None:
    planning = Planning(api)
    top = await api.create(RoleBasedGroup, group(role("main", 1)))
    await planning.settle()
    (middle,) = (await api.list(RoleInstanceSet))["items"]
    (low,) = (await api.list(RoleInstance))["items"]
    (pod,) = (await api.list(Pod))["items"]
    for child, parent in ((middle, top), (low, middle), (pod, low)):
        (reference,) = child["metadata"]["ownerReferences"]
        assert reference["uid"] == parent["metadata"]["uid"]
        assert reference["controller"] is True
        assert reference["blockOwnerDeletion"] is True
    for kind in (RoleInstanceSet, RoleInstance, Pod, Service):
        assert len(await api.names(kind, labelSelector="rbg.workloads.x-k8s.io/group-name=llm")) == 1
    (service,) = (await api.list(Service))["items"]
    assert service["spec"]["clusterIP"] == "None"
    assert pod["spec"]["subdomain"] == service["metadata"]["name"]


@case
async def test_what_users_and_others_add_stays(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("main", 1)))
    await planning.settle()
    them = api.manager("them")
    for kind in (RoleInstanceSet, RoleInstance, Pod, Service):
        (name,) = await api.names(kind)
        await them.patch(kind, name, {"metadata": {"annotations": {"example.com/theirs": "x"}}})
    assert all(plan.empty for _, plan in await planning.plans())
    await api.patch(RoleBasedGroup, "llm", {"spec": {"roles": [role("main", 2)]}})
    await planning.settle()
    for kind in (RoleInstanceSet, Service):
        (found,) = (await api.list(kind))["items"]
        assert found["metadata"]["annotations"]["example.com/theirs"] == "x"


@case
async def test_a_pod_that_is_down_closes_the_gates_of_its_instance_and_opens_them_again(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("main", 1)))
    await planning.settle()
    (name,) = await api.names(Pod)
    for status in ("False", "True"):
        down = [{"type": "ContainersReady", "status": status}]
        await api.patch(Pod, name, {"status": {"conditions": down}}, type=PatchType.STRATEGIC, subresource="status")
        await planning.settle()
        assert condition(await api.get(Pod, name), "Ready") == status
        assert condition(await api.get(RoleBasedGroup, "llm"), "Ready") == status


@case
async def test_a_failed_pod_is_deleted_by_uid_and_created_anew(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("main", 1)))
    await planning.settle()
    (before,) = (await api.list(Pod))["items"]
    await api.patch(Pod, before["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status")
    await planning.settle()
    (after,) = (await api.list(Pod))["items"]
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert condition(await api.get(RoleBasedGroup, "llm"), "Ready") == "True"


@case
async def test_revisions_are_recorded_once_and_found_again(api: Api) -> None:
    planning = Planning(api)
    await api.create(RoleBasedGroup, group(role("main", 1)))
    await planning.settle()
    # Those of the instance go with it: a new template means a new instance.
    first = {name for name in await api.names(ControllerRevision) if not name.startswith("llm-main-0-")}
    await api.patch(RoleBasedGroup, "llm", {"spec": {"roles": [role("main", 1, image="registry.example/engine:2")]}})
    await planning.settle()
    second = {name for name in await api.names(ControllerRevision) if not name.startswith("llm-main-0-")}
    assert first < second
    assert len(second) == 4
    assert all(plan.empty for _, plan in await planning.plans())
    (found,) = (await api.list(ConfigMap, labelSelector="rbg.workloads.x-k8s.io/group-name=llm"))["items"] or (None,)
    assert found is None or found["data"]
