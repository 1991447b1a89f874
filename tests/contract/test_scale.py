"""The scale subresource: one number and a selector, whatever the kind."""

from __future__ import annotations

import pytest

from contract.support import Api, Deployment, Obj, case, instance_set, kinds, metadata, pod
from contract.support.api import Kind
from rbgctrl.api.instances import RoleInstanceSet
from rbgctrl.client import ConflictError, InternalServerError, InvalidError, PatchType


def _deployment() -> Obj:
    template = {"metadata": {"labels": {"set": "a"}}, "spec": pod("x")["spec"]}
    spec = {"replicas": 2, "paused": True, "selector": {"matchLabels": {"set": "a"}}, "template": template}
    return {"metadata": metadata("a"), "spec": spec}


SCALES = kinds((RoleInstanceSet, instance_set("a", 2)), (Deployment, _deployment()))


@SCALES
@case
async def test_a_scale_shows_replicas_and_selector(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    counts = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
    status = {**dict.fromkeys((*counts, "updatedReadyReplicas"), 1), "labelSelector": "set=a"}
    if kind is RoleInstanceSet:
        await api.patch(kind, "a", {"status": status}, subresource="status")
    scale = await api.send("GET", kind.KIND.path(api.namespace, "a", "scale"))
    assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
    assert scale["metadata"]["name"] == "a"
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "set=a"


@SCALES
@case
async def test_a_scale_is_patched_and_replaced(api: Api, kind: Kind, body: Obj) -> None:
    made = await api.create(kind, body)
    path = kind.KIND.path(api.namespace, "a", "scale")
    scaled = await api.send("PATCH", path, body={"spec": {"replicas": 5}}, content_type=PatchType.MERGE.value)
    assert scaled["kind"] == "Scale"
    assert scaled["spec"]["replicas"] == 5
    found = await api.get(kind, "a")
    assert found["spec"] == {**made["spec"], "replicas": 5}
    assert found["metadata"]["generation"] == 2


@case
async def test_a_scale_is_replaced_at_its_version(api: Api) -> None:
    await api.create(RoleInstanceSet, instance_set("a", 2))
    path = RoleInstanceSet.KIND.path(api.namespace, "a", "scale")
    scale = await api.send("GET", path)
    replaced = await api.send("PUT", path, body={**scale, "spec": {"replicas": 0}})
    assert replaced["spec"].get("replicas", 0) == 0
    assert (await api.get(RoleInstanceSet, "a"))["spec"]["replicas"] == 0
    with pytest.raises(ConflictError):
        await api.send("PUT", path, body={**scale, "spec": {"replicas": 3}})


@SCALES
@case
async def test_a_scale_below_zero_is_invalid(api: Api, kind: Kind, body: Obj) -> None:
    await api.create(kind, body)
    path = kind.KIND.path(api.namespace, "a", "scale")
    with pytest.raises(InvalidError, match="replicas"):
        await api.send("PATCH", path, body={"spec": {"replicas": -1}}, content_type=PatchType.MERGE.value)


@case
async def test_a_set_without_replicas_has_no_scale(api: Api) -> None:
    body = instance_set("a")
    del body["spec"]["replicas"]
    await api.create(RoleInstanceSet, body)
    with pytest.raises(InternalServerError, match=r'the spec replicas field "\.spec\.replicas" does not exist'):
        await api.send("GET", RoleInstanceSet.KIND.path(api.namespace, "a", "scale"))
