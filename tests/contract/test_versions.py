"""Kinds in two versions that differ in nothing but their name; the others need a webhook (``test_webhooks.py``)."""

from __future__ import annotations

from typing import Any, ClassVar

from contract.support import Api, Obj, case, metadata
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.meta import Kind, Resource
from rbgctrl.client import BadRequestError

_NEW = "workloads.x-k8s.io/v1alpha2"
_OLD = "workloads.x-k8s.io/v1alpha1"


class AdapterV1(Resource, frozen=True, gc=False):
    """A RoleBasedGroupScalingAdapter in the older version."""

    KIND: ClassVar[Kind[Any]] = Kind(
        "workloads.x-k8s.io", "v1alpha1", "RoleBasedGroupScalingAdapter", "rolebasedgroupscalingadapters"
    )


def _adapter(replicas: int = 1, **more: Any) -> Obj:
    return {
        "metadata": metadata("a", **more),
        "spec": {"replicas": replicas, "scaleTargetRef": {"name": "g", "role": "r"}},
    }


@case
async def test_an_object_of_one_version_is_an_object_of_the_other(api: Api) -> None:
    made = await api.create(AdapterV1, _adapter())
    assert made["apiVersion"] == _OLD
    stored = await api.get(RoleBasedGroupScalingAdapter, "a")
    assert stored["apiVersion"] == _NEW
    assert {**stored, "apiVersion": _OLD, "metadata": made["metadata"]} == made
    await api.replace(RoleBasedGroupScalingAdapter, "a", {**stored, "spec": {**stored["spec"], "replicas": 2}})
    assert (await api.get(AdapterV1, "a"))["spec"]["replicas"] == 2


@case
async def test_lists_and_watches_are_in_the_version_they_are_asked_in(api: Api) -> None:
    await api.create(RoleBasedGroupScalingAdapter, _adapter())
    for kind, version in ((AdapterV1, _OLD), (RoleBasedGroupScalingAdapter, _NEW)):
        listed = await api.list(kind)
        assert (listed["apiVersion"], [item["apiVersion"] for item in listed["items"]]) == (version, [version])
        async with api.watch(kind, resource_version=listed["metadata"]["resourceVersion"]) as watching:
            await api.patch(AdapterV1, "a", {"metadata": {"labels": {"seen": version.rpartition("/")[2]}}})
            event = await watching.change()
            assert event.object["apiVersion"] == version
    await api.delete(AdapterV1, "a")
    assert await api.find(RoleBasedGroupScalingAdapter, "a") is None


@case
async def test_a_body_of_the_other_version_than_the_url_is_refused(api: Api) -> None:
    body = {"apiVersion": _NEW, "kind": "RoleBasedGroupScalingAdapter", **_adapter()}
    try:
        await api.send("POST", AdapterV1.KIND.path(api.namespace), body=body)
    except BadRequestError as error:
        assert "does not match the expected API version" in str(error)  # noqa: PT017 - the text
    else:
        raise AssertionError("accepted")


@case
async def test_the_scale_of_both_versions_is_one_number(api: Api) -> None:
    await api.create(AdapterV1, _adapter(replicas=3))
    scale = await api.send("GET", AdapterV1.KIND.path(api.namespace, "a", "scale"))
    assert scale["spec"] == {"replicas": 3}
    await api.send(
        "PATCH",
        AdapterV1.KIND.path(api.namespace, "a", "scale"),
        body={"spec": {"replicas": 5}},
        content_type="application/merge-patch+json",
    )
    assert (await api.get(RoleBasedGroupScalingAdapter, "a"))["spec"]["replicas"] == 5


@case
async def test_the_older_version_warns_that_it_is_deprecated(api: Api) -> None:
    await api.create(AdapterV1, _adapter())
    for kind, warned in ((AdapterV1, True), (RoleBasedGroupScalingAdapter, False)):
        for name in ("", "a"):
            answer = await api.answer("GET", kind.KIND.path(api.namespace, name))
            found = {key.lower(): value for key, value in answer.headers.items()}.get("warning", "")
            assert (f"{_OLD} RoleBasedGroupScalingAdapter is deprecated" in found) == warned


@case
async def test_the_version_of_a_writer_is_recorded(api: Api) -> None:
    await api.apply(AdapterV1, "a", _adapter())
    stored = await api.get(RoleBasedGroupScalingAdapter, "a")
    assert [entry["apiVersion"] for entry in stored["metadata"]["managedFields"]] == [_OLD]
    await api.manager("other").apply(
        RoleBasedGroupScalingAdapter, "a", {"metadata": {"name": "a", "labels": {"x": "y"}}}
    )
    entries = (await api.get(AdapterV1, "a"))["metadata"]["managedFields"]
    assert sorted(entry["apiVersion"] for entry in entries) == [_OLD, _NEW]
