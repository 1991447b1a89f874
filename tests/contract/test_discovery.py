"""What a server says about itself, and what it answers where there is nothing to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract.support import Api, Obj, case, config_map
from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.client import MethodNotAllowedError, NotFoundError

ALL = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
PART = {"get", "patch", "update"}


async def resources(api: Api, path: str) -> dict[str, Obj]:
    found = await api.send("GET", path)
    assert found["kind"] == "APIResourceList"
    assert found["groupVersion"] == path.removeprefix("/apis/").removeprefix("/api/")
    return {item["name"]: item for item in found["resources"]}


def summary(item: Obj) -> dict[str, Any]:
    """An entry without what only the real server has: hashes of how it stores objects."""
    kept = {name: value for name, value in item.items() if name not in ("storageVersionHash", "verbs")}
    return {**kept, "shortNames": item.get("shortNames", []), "categories": item.get("categories", [])}


@case
async def test_the_server_has_a_version_and_is_well(api: Api) -> None:
    version = await api.send("GET", "/version")
    assert version["major"] == "1"
    assert re.match(r"v1\.\d+\.", version["gitVersion"])
    assert {"minor", "gitCommit", "platform", "goVersion"} <= version.keys()
    for path in ("/readyz", "/livez", "/healthz"):
        assert await api.client.get_raw(path) == b"ok"


@case
async def test_groups_and_versions_are_listed(api: Api) -> None:
    core = await api.send("GET", "/api")
    assert core["kind"] == "APIVersions"
    assert core["versions"] == ["v1"]
    found = await api.send("GET", "/apis")
    assert found["kind"] == "APIGroupList"
    groups = {item["name"]: item for item in found["groups"]}
    assert {"apps", "coordination.k8s.io", "discovery.k8s.io", "apiextensions.k8s.io", "workloads.x-k8s.io"} <= set(
        groups
    )
    ours, older = (
        {"groupVersion": f"workloads.x-k8s.io/{version}", "version": version} for version in ("v1alpha2", "v1alpha1")
    )
    assert groups["workloads.x-k8s.io"] == {
        "name": "workloads.x-k8s.io",
        "versions": [ours, older],
        "preferredVersion": ours,
    }
    one = await api.send("GET", "/apis/workloads.x-k8s.io")
    assert one["kind"] == "APIGroup"
    assert one["versions"] == [ours, older]


@case
async def test_our_kinds_are_listed_with_their_names_and_verbs(api: Api) -> None:
    found = await resources(api, "/apis/workloads.x-k8s.io/v1alpha2")
    both = {
        "clusterengineruntimeprofiles",
        "rolebasedgroups",
        "rolebasedgroupscalingadapters",
        "rolebasedgroupsets",
    }
    kinds = both | {"coordinatedpolicies", "rolebasedgroupwarmups", "roleinstances", "roleinstancesets"}
    scaled = {"rolebasedgroupscalingadapters/scale", "rolebasedgroupsets/scale"}
    assert set(found) == kinds | {f"{kind}/status" for kind in kinds} | scaled | {"roleinstancesets/scale"}
    older = await resources(api, "/apis/workloads.x-k8s.io/v1alpha1")
    gone = {"instances", "instances/status", "instancesets", "instancesets/status", "instancesets/scale"}
    assert set(older) - gone == both | {f"{kind}/status" for kind in both} | scaled, "and those nobody runs"
    assert summary(found["rolebasedgroups"]) == {
        "name": "rolebasedgroups",
        "singularName": "rolebasedgroup",
        "namespaced": True,
        "kind": "RoleBasedGroup",
        "shortNames": ["rbg"],
        "categories": [],
    }
    assert set(found["rolebasedgroups"]["verbs"]) == ALL
    assert set(found["rolebasedgroups/status"]["verbs"]) == PART
    scale = found["roleinstancesets/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert found["roleinstancesets"]["shortNames"] == ["ris"]
    assert found["roleinstances"]["shortNames"] == ["rins"]


BUILT_IN: dict[str, dict[str, tuple[str, str, bool, list[str], list[str]]]] = {
    "/api/v1": {
        "pods": ("pod", "Pod", True, ["po"], ["all"]),
        "nodes": ("node", "Node", False, ["no"], []),
        "services": ("service", "Service", True, ["svc"], ["all"]),
        "configmaps": ("configmap", "ConfigMap", True, ["cm"], []),
        "secrets": ("secret", "Secret", True, [], []),
        "events": ("event", "Event", True, ["ev"], []),
        "namespaces": ("namespace", "Namespace", False, ["ns"], []),
    },
    "/apis/apps/v1": {
        "controllerrevisions": ("controllerrevision", "ControllerRevision", True, [], []),
        "deployments": ("deployment", "Deployment", True, ["deploy"], ["all"]),
        "statefulsets": ("statefulset", "StatefulSet", True, ["sts"], ["all"]),
    },
    "/apis/coordination.k8s.io/v1": {"leases": ("lease", "Lease", True, [], [])},
    "/apis/discovery.k8s.io/v1": {"endpointslices": ("endpointslice", "EndpointSlice", True, [], [])},
    "/apis/apiextensions.k8s.io/v1": {
        "customresourcedefinitions": (
            "customresourcedefinition",
            "CustomResourceDefinition",
            False,
            ["crd", "crds"],
            ["api-extensions"],
        )
    },
}


@pytest.mark.parametrize("path", BUILT_IN)
@case
async def test_built_in_kinds_are_listed_with_their_names(api: Api, path: str) -> None:
    found = await resources(api, path)
    for name, wanted in BUILT_IN[path].items():
        entry = summary(found[name])
        assert (
            entry["singularName"],
            entry["kind"],
            entry["namespaced"],
            entry["shortNames"],
            entry["categories"],
        ) == wanted
        assert {"create", "delete", "get", "list", "patch", "watch"} <= set(found[name]["verbs"])


@case
async def test_parts_of_built_in_kinds_are_listed(api: Api) -> None:
    core = await resources(api, "/api/v1")
    assert {"pods/status", "pods/binding", "pods/eviction", "nodes/status", "services/status"} <= set(core)
    apps = await resources(api, "/apis/apps/v1")
    assert {"deployments/scale", "deployments/status", "statefulsets/scale", "statefulsets/status"} <= set(apps)
    assert apps["deployments/scale"]["kind"] == "Scale"


@case
async def test_schemas_are_described_for_clients(api: Api) -> None:
    index = await api.send("GET", "/openapi/v3")
    where = index["paths"]["apis/workloads.x-k8s.io/v1alpha2"]["serverRelativeURL"]
    path, _, query = where.partition("?")
    pairs = dict(item.split("=", 1) for item in query.split("&") if item)
    described = await api.send("GET", path, query=pairs)
    kinds = {
        item["kind"]
        for schema in described["components"]["schemas"].values()
        for item in schema.get("x-kubernetes-group-version-kind", ())
        if item["group"] == "workloads.x-k8s.io"
    }
    assert {"RoleBasedGroup", "RoleInstanceSet", "RoleInstance"} <= kinds
    assert "/apis/workloads.x-k8s.io/v1alpha2/namespaces/{namespace}/rolebasedgroups/{name}" in described["paths"]


@case
async def test_where_there_is_nothing_the_answer_is_not_found(api: Api) -> None:
    for path in ("/nothing", "/api/v2", "/apis/example.com", "/apis/apps/v9", "/apis/workloads.x-k8s.io/v9"):
        with pytest.raises(NotFoundError):
            await api.send("GET", path)
    with pytest.raises(NotFoundError, match="the server could not find the requested resource"):
        await api.send("GET", "/api/v1/nothing")


@case
async def test_a_method_that_makes_no_sense_is_not_allowed(api: Api) -> None:
    await api.create(ConfigMap, config_map("a"))
    one, many = ConfigMap.KIND.path(api.namespace, "a"), ConfigMap.KIND.path(api.namespace)
    for method, path, form in (("POST", one, "json"), ("PUT", many, "json"), ("PATCH", many, "merge-patch+json")):
        with pytest.raises(MethodNotAllowedError) as raised:
            await api.send(method, path, body={}, content_type=f"application/{form}")
        assert raised.value.reason == "MethodNotAllowed"
        assert raised.value.message == "the server does not allow this method on the requested resource"


@case
async def test_objects_are_not_created_over_all_namespaces(api: Api) -> None:
    for kind in (Pod, RoleBasedGroup):
        with pytest.raises((MethodNotAllowedError, NotFoundError)):
            await api.send("POST", kind.KIND.path(), body={"metadata": {"name": "a"}})
