"""Group sets under the real daemon on the real control plane: discovery, rolling out over groups, who owns what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, pods, role
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

KIND = "RoleBasedGroupSet"
GROUP = "RoleBasedGroup"


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


def group_set(namespace: str, replicas: int, *roles: dict[str, Any], **template: Any) -> dict[str, Any]:
    spec = {"replicas": replicas, "groupTemplate": {"spec": {"roles": list(roles)}, **template}}
    return {"apiVersion": V1ALPHA2, "kind": KIND, "metadata": {"name": "s", "namespace": namespace}, "spec": spec}


def engine(version: int, replicas: int = 1, **more: Any) -> dict[str, Any]:
    found = role("engine", replicas, **more)
    found["standalonePattern"]["template"]["spec"]["containers"][0]["image"] = f"registry.example/engine:{version}"
    return found


async def change(api: Api, namespace: str, **body: Any) -> None:
    await api.merge(V1ALPHA2, KIND, "s", body, namespace=namespace)


async def replace(api: Api, namespace: str, replicas: int, *roles: dict[str, Any], **template: Any) -> None:
    """Give the set another spec: what the template no longer says is gone from it."""
    spec = group_set(namespace, replicas, *roles, **template)["spec"]
    await api.request(
        "PATCH",
        await api.path(V1ALPHA2, KIND, namespace, "s"),
        body=[{"op": "replace", "path": "/spec", "value": spec}],
        content_type="application/json-patch+json",
    )


async def ready(api: Api, namespace: str, within: float = 90.0) -> dict[str, Any]:
    """The set once it is ready and nothing is left to do for the spec it has now."""

    async def arrived() -> dict[str, Any]:
        found = await api.get(V1ALPHA2, KIND, "s", namespace)
        status = found.get("status", {})
        said = {item["type"]: item["status"] for item in status.get("conditions", ())}
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if current and said == {"Ready": "True", "Progressing": "False"} else {}

    found: dict[str, Any] = await eventually(arrived, within, what="the set is ready")
    return found


async def images(api: Api, namespace: str) -> dict[str, set[str]]:
    """By group the versions its pods run."""
    found: dict[str, set[str]] = {}
    for pod in (await pods(api, namespace)).values():
        group = pod["metadata"]["labels"][labels.GROUP_NAME]
        found.setdefault(group, set()).add(pod["spec"]["containers"][0]["image"].rpartition(":")[2])
    return found


@pytest.mark.usefixtures("running")
async def test_groups_of_a_set_stay_refined_and_their_discovery_file_follows_replicas(api: Api, namespace: str) -> None:
    await api.create(group_set(namespace, 2, engine(1, 1)))
    found = await ready(api, namespace)
    assert (found["status"]["replicas"], found["status"]["readyReplicas"]) == (2, 2)
    for replicas in (3, 2):
        await replace(api, namespace, 2, engine(1, replicas))

        async def follows(wanted: int = replicas) -> bool:
            sizes = []
            for name in ("s-0", "s-1"):
                config = (await api.get("v1", "ConfigMap", name, namespace))["data"]["config.yaml"]
                sizes.append(len(yaml.safe_load(config)["roles"]["engine"]["instances"]))
            return sizes == [wanted, wanted]

        await eventually(follows, 60, what=f"both files list {replicas} instances")
        for name in ("s-0", "s-1"):
            group = await api.get(V1ALPHA2, GROUP, name, namespace)
            assert group["metadata"]["annotations"][labels.DISCOVERY_MODE] == "refine"


@pytest.mark.usefixtures("running")
async def test_a_new_template_reaches_one_group_after_the_other_from_the_highest_index(
    api: Api, namespace: str
) -> None:
    manifest = group_set(namespace, 3, engine(1, 2))
    manifest["metadata"]["annotations"] = {labels.GROUPSET_MAX_UNAVAILABLE: "1", labels.GROUPSET_PARTITION: "1"}
    await api.create(manifest)
    await ready(api, namespace)
    await replace(api, namespace, 3, engine(2, 2))
    seen: list[str] = []

    async def arrived() -> bool:
        found = await images(api, namespace)
        changing = [name for name, versions in found.items() if versions != {"1"} and name not in seen]
        seen.extend(sorted(changing, reverse=True))
        return found == {"s-0": {"1"}, "s-1": {"2"}, "s-2": {"2"}}

    await eventually(arrived, 120, what="the two groups from the partition on have the new image")
    assert seen == ["s-2", "s-1"]
    await ready(api, namespace)
    await change(api, namespace, metadata={"annotations": {labels.GROUPSET_PARTITION: None}})

    async def everywhere() -> bool:
        return all(versions == {"2"} for versions in (await images(api, namespace)).values())

    await eventually(everywhere, 60, what="the last group has the new image, too")


@pytest.mark.usefixtures("running")
async def test_what_leaves_the_template_leaves_the_groups_and_what_others_wrote_stays(api: Api, namespace: str) -> None:
    template = {"labels": {"team": "search", "tier": "one"}, "annotations": {"note": "x"}}
    await api.create(group_set(namespace, 1, engine(1), role("helper"), **template))
    await ready(api, namespace)
    theirs = {"metadata": {"labels": {"cost-centre": "7"}, "annotations": {"seen-by": "me"}}}
    await api.merge(V1ALPHA2, GROUP, "s-0", theirs, namespace=namespace)
    await replace(api, namespace, 1, engine(1), labels={"team": "search"})

    async def left() -> bool:
        found = await api.get(V1ALPHA2, GROUP, "s-0", namespace)
        own = found["metadata"]
        return (
            "tier" not in own["labels"]
            and "note" not in own["annotations"]
            and [item["name"] for item in found["spec"]["roles"]] == ["engine"]
        )

    await eventually(left, 30, what="label, annotation and role are gone")
    found = (await api.get(V1ALPHA2, GROUP, "s-0", namespace))["metadata"]
    assert (found["labels"]["team"], found["labels"]["cost-centre"]) == ("search", "7")
    assert found["annotations"]["seen-by"] == "me"
    assert found["annotations"][labels.DISCOVERY_MODE] == "refine"


@pytest.mark.usefixtures("running")
async def test_replicas_that_an_adapter_decided_survive_a_new_template(api: Api, namespace: str) -> None:
    scaled = {"scalingAdapter": {"enable": True}}
    await api.create(group_set(namespace, 1, engine(1, 1, **scaled)))
    await ready(api, namespace)
    adapter = await api.path(V1ALPHA2, "RoleBasedGroupScalingAdapter", namespace, "s-0-engine")
    await api.request(
        "PATCH",
        adapter + "/scale",
        body={"spec": {"replicas": 3}},
        content_type="application/merge-patch+json",
    )

    async def scaled_out() -> bool:
        return len(await pods(api, namespace)) == 3

    await eventually(scaled_out, 60, what="three pods")
    await replace(api, namespace, 1, engine(2, 1, **scaled))

    async def updated() -> bool:
        found = await pods(api, namespace)
        return len(found) == 3 and (await images(api, namespace)) == {"s-0": {"2"}}

    await eventually(updated, 90, what="three pods of the new image")


@pytest.mark.usefixtures("running")
async def test_role_templates_and_scaling_of_the_set(api: Api, namespace: str) -> None:
    base = {
        "name": "base",
        "template": {"spec": {"containers": [{"name": "main", "image": "registry.example/base:1"}]}},
    }
    user = {"name": "engine", "replicas": 1, "standalonePattern": {"templateRef": {"name": "base", "patch": {}}}}
    manifest = group_set(namespace, 3)
    manifest["spec"]["groupTemplate"]["spec"] = {"roles": [user], "roleTemplates": [base]}
    await api.create(manifest)
    await ready(api, namespace)
    before = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
    assert len(before) == 3
    await change(api, namespace, spec={"replicas": 1})
    await ready(api, namespace)

    async def one_left() -> bool:
        left = {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()}
        return left == {name: uid for name, uid in before.items() if name.startswith("s-0-")}

    await eventually(one_left, 60, what="the pod of the lowest index is left, untouched")
    await api.delete(V1ALPHA2, KIND, "s", namespace)

    async def gone() -> bool:
        return not await api.items(V1ALPHA2, GROUP, namespace) and not await pods(api, namespace)

    await eventually(gone, 60, what="nothing of the set is left")


async def test_groups_that_upstream_made_are_taken_over_without_a_roll(
    cluster: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    manifest = group_set(namespace, 1, engine(1), labels={"team": "search", "tier": "one"})
    stored = await api.create(manifest)
    await _made_by_upstream(api, namespace, stored)
    before = await api.get(V1ALPHA2, GROUP, "s-0", namespace)
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace):
        await ready(api, namespace)
        await become_ready(api, "s-0", namespace)
        after = await api.get(V1ALPHA2, GROUP, "s-0", namespace)
        assert after["spec"] == before["spec"]
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert labels.GROUPSET_TEMPLATE not in after["metadata"]["annotations"], "it was right and was not written"
        running_pods = await pods(api, namespace)
        await replace(api, namespace, 1, engine(1), labels={"team": "search"})

        async def left() -> bool:
            return "tier" not in (await api.get(V1ALPHA2, GROUP, "s-0", namespace))["metadata"]["labels"]

        await eventually(left, 30, what="what upstream wrote and the template no longer says is gone")
        await ready(api, namespace)
        found = (await api.get(V1ALPHA2, GROUP, "s-0", namespace))["metadata"]
        assert found["annotations"][labels.DISCOVERY_MODE] == "refine"
        assert {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items()} == {
            name: pod["metadata"]["uid"] for name, pod in running_pods.items()
        }


async def _made_by_upstream(api: Api, namespace: str, owner: dict[str, Any]) -> None:
    """The group as the reference controller creates it, with the discovery mode that its other half adds."""
    kind = {"apiVersion": V1ALPHA2, "kind": KIND, "controller": True, "blockOwnerDeletion": True}
    template = owner["spec"]["groupTemplate"]
    carried = {**template["labels"], labels.GROUPSET_NAME: "s", labels.GROUPSET_INDEX: "0"}
    reference = {**kind, "name": "s", "uid": owner["metadata"]["uid"]}
    metadata = {"name": "s-0", "namespace": namespace, "labels": carried, "ownerReferences": [reference]}
    body = {"apiVersion": V1ALPHA2, "kind": GROUP, "metadata": metadata, "spec": template["spec"]}
    manager = {"fieldManager": "manager"}
    await api.request("POST", await api.path(V1ALPHA2, GROUP, namespace), body=body, params=manager)
    await api.request(
        "PATCH",
        await api.path(V1ALPHA2, GROUP, namespace, "s-0"),
        body={"metadata": {"annotations": {labels.DISCOVERY_MODE: "refine"}}},
        params=manager,
        content_type="application/merge-patch+json",
    )
