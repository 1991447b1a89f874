"""A recorded scenario put into a cluster the way the upstream controller left it: its writers, verbs and owners."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from e2e.support.pods import is_ready
from golden import Revision, Scenario
from hack.controlplane import Api, Cluster
from hack.controlplane.waiting import eventually
from rbgctrl.api import conditions
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.clock import rfc3339, utcnow

__all__ = ["NAMESPACE", "UPSTREAM", "place", "recorded_namespace"]

NAMESPACE: Final = "golden"
"""Where scenarios were recorded; names and hashes contain it, so they can be placed nowhere else."""

UPSTREAM = "manager/v0.0.0 (linux/amd64) kubernetes/$Format"
"""How the upstream binary introduces itself; the API server makes its field manager ``manager`` of that."""
_APPLIER = "rbg"
_APPLIED = ("RoleInstanceSet", "Service", "ConfigMap")
_CREATED = ("RoleInstance", "RoleBasedGroupScalingAdapter", "PodGroup")
_PROFILE = (
    ClusterEngineRuntimeProfile.KIND.api_version,
    ClusterEngineRuntimeProfile.KIND.kind,
)
_UID = re.compile(r"<uid of (\w+)/([^>]+)>")
_GATES = (conditions.POD_INPLACE_UPDATE_READY, conditions.POD_INSTANCE_READY, conditions.POD_READY)


@asynccontextmanager
async def recorded_namespace(api: Api) -> AsyncIterator[str]:
    """The namespace of the recordings, empty; gone again at the end, so that the next scenario finds it empty."""

    async def gone() -> bool:
        return await api.find("v1", "Namespace", NAMESPACE) is None

    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        yield NAMESPACE
    finally:
        await api.delete("v1", "Namespace", NAMESPACE)
        for found in await api.items(*_PROFILE):
            await api.delete(*_PROFILE, found["metadata"]["name"])
        for found in await api.items("v1", "Pod", NAMESPACE):
            await api.delete("v1", "Pod", found["metadata"]["name"], NAMESPACE, grace=0)
        await asyncio.shield(eventually(gone, 90, what="the namespace of the recordings is gone"))


async def place(cluster: Cluster, recorded: Scenario) -> None:
    """Create everything of a scenario that is made for a role of instances, and let its pods run.

    Groups and engine runtime profiles are the user's. RoleInstanceSets, Services, ConfigMaps and the status of groups
    are applied by ``rbg``, as upstream does; RoleInstances, scaling adapters, PodGroups, pods and revisions are
    created, and statuses updated, by ``manager``.
    """
    uids: dict[tuple[str, str], str] = {}
    async with cluster.api(agent="kubectl/v1.36.3") as user, cluster.api(agent=UPSTREAM) as upstream:
        for item in recorded.input:
            if item["kind"] == ClusterEngineRuntimeProfile.KIND.kind:
                await user.create(item)
        for item in recorded.of("RoleBasedGroup"):
            await _store(user, item, uids)
            status = {**_meta(item), "status": _with_times(item["status"])}
            await upstream.apply(status, manager=_APPLIER, subresource="status")
        for kind in (*_APPLIED, *_CREATED):
            for item in recorded.of(kind):
                await _store(upstream, item, uids, applied=kind in _APPLIED)
                if "status" in item and kind not in ("Service", "ConfigMap"):
                    await _put_status(upstream, item)
        for revision in recorded.revisions:
            await upstream.create(_revision(revision, recorded, uids))
        pods = recorded.of("Pod")
        for item in pods:
            await _store(upstream, item, uids)
        ready = [item["metadata"]["name"] for item in pods if is_ready(item)]
        await asyncio.gather(*(_run(upstream, name) for name in ready))


def _meta(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: item["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": found}


async def _store(api: Api, item: Mapping[str, Any], uids: dict[tuple[str, str], str], *, applied: bool = False) -> None:
    body = _with_uids({key: value for key, value in item.items() if key != "status"}, uids)
    metadata = body["metadata"]
    metadata.pop("generation", None)
    # The garbage collector would take away what an object owns that was not placed, such as a set of groups.
    metadata["ownerReferences"] = [one for one in metadata.get("ownerReferences", ()) if not _UID.match(one["uid"])]
    stored = await (api.apply(body, manager=_APPLIER) if applied else api.create(body))
    uids[item["kind"], item["metadata"]["name"]] = stored["metadata"]["uid"]


async def _put_status(api: Api, item: Mapping[str, Any]) -> None:
    meta = item["metadata"]
    body = await api.get(item["apiVersion"], item["kind"], meta["name"], NAMESPACE)
    path = await api.path(item["apiVersion"], item["kind"], NAMESPACE, meta["name"])
    await api.request("PUT", f"{path}/status", body={**body, "status": _with_times(item["status"])})


def _with_uids(value: Any, uids: Mapping[tuple[str, str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_uids(item, uids) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_uids(item, uids) for item in value]
    if isinstance(value, str) and (found := _UID.fullmatch(value)):
        return uids.get((found[1], found[2]), value)
    return value


def _with_times(status: Mapping[str, Any]) -> dict[str, Any]:
    """Recordings have no times; a condition needs one."""
    now = rfc3339(utcnow())
    told = [{"lastTransitionTime": now, **item} for item in status.get("conditions", ())]
    return {**status, **({"conditions": told} if told else {})}


def _revision(revision: Revision, recorded: Scenario, uids: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    owner = max(
        (item for item in recorded.of(revision.owner) if revision.name.startswith(f"{item['metadata']['name']}-")),
        key=lambda item: len(item["metadata"]["name"]),
    )
    name = owner["metadata"]["name"]
    reference = {"apiVersion": owner["apiVersion"], "kind": revision.owner, "name": name}
    reference |= {"uid": uids[revision.owner, name], "controller": True, "blockOwnerDeletion": True}
    metadata = {"name": revision.name, "namespace": NAMESPACE, "labels": _with_uids(revision.labels, uids)}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**metadata, "ownerReferences": [reference]},
        "data": msgspec.Raw(revision.data.encode()),
        "revision": revision.revision,
    }


async def _run(api: Api, name: str) -> None:
    """Wait for the kubelet, then open the gates as upstream does once an instance is up."""

    async def running() -> bool:
        found = await api.get("v1", "Pod", name, NAMESPACE)
        ready = [item for item in found["status"].get("conditions", ()) if item["type"] == "ContainersReady"]
        return bool(ready and ready[0]["status"] == "True")

    await eventually(running, 60, what=f"{name} runs")
    now = rfc3339(utcnow())
    told = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in _GATES]
    path = await api.path("v1", "Pod", NAMESPACE, name)
    how = "application/strategic-merge-patch+json"
    await api.request("PATCH", f"{path}/status", body={"status": {"conditions": told}}, content_type=how)
    await eventually(lambda: _ready(api, name), 30, what=f"{name} is Ready")


async def _ready(api: Api, name: str) -> bool:
    return is_ready(await api.get("v1", "Pod", name, NAMESPACE))
