"""RoleInstanceSets under the real daemon on the real control plane: by hand, rolled out, left behind, and in groups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.support import eventually
from e2e.support.daemon import Daemon, daemon
from e2e.support.groups import V1ALPHA2, become_ready, group, pods, role
from e2e.support.kubectl import kubectl
from hack.controlplane import Api, Cluster
from rbgctrl.api import labels

SET = (V1ALPHA2, "RoleInstanceSet")
INSTANCE = (V1ALPHA2, "RoleInstance")
OLD, NEW = "registry.example/engine:1", "registry.example/engine:2"


@pytest.fixture
async def running(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(cluster.kubeconfig, tmp_path / "rbgctrl", namespace=namespace) as started:
        yield started


def instance_set(
    namespace: str, replicas: int = 3, *, image: str = OLD, pattern: str = "", template: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A set as a user would make it, of instances of one pod."""
    pod = template or {"spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": V1ALPHA2,
        "kind": "RoleInstanceSet",
        "metadata": {
            "name": "engine",
            "namespace": namespace,
            "labels": {"app": "engine"},
            "annotations": {labels.INSTANCE_PATTERN: pattern} if pattern else {},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "engine"}},
            "roleInstanceTemplate": {"components": [{"name": "main", "size": 1, "template": pod}]},
            "updateStrategy": {"maxUnavailable": 1},
        },
    }


async def told(api: Api, namespace: str) -> dict[str, Any]:
    """The status of the set, empty until it is about the present spec."""
    found = await api.get(*SET, "engine", namespace)
    status: dict[str, Any] = found.get("status", {})
    return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}


async def settled(api: Api, namespace: str, replicas: int, updated: int | None = None, within: float = 60.0) -> None:
    """Wait until that many instances are there and ready, and as many of them at the newest revision as given."""

    async def there() -> bool:
        status = await told(api, namespace)
        counted = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
        return counted == [replicas, replicas, replicas if updated is None else updated]

    await eventually(there, within, what=f"{replicas} instances are ready")


async def change(api: Api, namespace: str, **spec: Any) -> None:
    await api.merge(*SET, "engine", {"spec": spec}, namespace=namespace)


async def roll(api: Api, namespace: str, image: str, **more: Any) -> None:
    template = instance_set(namespace, image=image)["spec"]["roleInstanceTemplate"]
    await change(api, namespace, roleInstanceTemplate=template, **more)


async def uids(api: Api, namespace: str, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, str]:
    """UIDs of pods by name."""
    return {name: pod["metadata"]["uid"] for name, pod in (await pods(api, namespace)).items() if wanted(name)}


async def images(api: Api, namespace: str) -> dict[str, str]:
    return {name: pod["spec"]["containers"][0]["image"] for name, pod in (await pods(api, namespace)).items()}


async def warnings(api: Api, namespace: str) -> list[str]:
    """What Events of ours complain about."""
    kinds = ("RoleInstanceSet", "RoleInstance", "RoleBasedGroup")
    found = await api.items("v1", "Event", namespace)
    return [item["message"] for item in found if item["type"] == "Warning" and item["involvedObject"]["kind"] in kinds]


async def stalled(api: Api, namespace: str) -> str:
    conditions = (await told(api, namespace)).get("conditions", ())
    return next((str(item["message"]) for item in conditions if item["type"] == "Stalled"), "")


# By hand --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("pattern", ["Stateful", "Stateless"])
async def test_a_set_made_by_hand_runs_and_scales_like_anything_with_a_scale_subresource(
    api: Api, kubeconfig: Path, namespace: str, pattern: str
) -> None:
    await api.create(instance_set(namespace, 2, pattern=pattern))
    await settled(api, namespace, 2)
    here = ("-n", namespace)
    assert "scaled" in await kubectl(kubeconfig, "scale", *here, "roleinstanceset/engine", "--replicas=3")
    await settled(api, namespace, 3)
    path = f"{await api.path(*SET, namespace, 'engine')}/scale"
    scale = await api.request("GET", path)
    assert scale["status"] == {"replicas": 3, "selector": "app=engine"}
    selected = await api.items("v1", "Pod", namespace, "app=engine")
    assert len(selected) == 3
    identities = {pod["metadata"]["labels"][labels.ROLE_ID] for pod in selected}
    assert len(identities) == 3
    assert all(identity.startswith("engine.engine.") for identity in identities)
    assert await warnings(api, namespace) == []


@pytest.mark.usefixtures("running")
async def test_a_changed_template_rolls_from_the_highest_ordinal_down_and_leaves_nothing_stale(
    api: Api, namespace: str
) -> None:
    await api.create(instance_set(namespace))
    await settled(api, namespace, 3)
    before = await uids(api, namespace)
    await roll(api, namespace, NEW, updateStrategy={"partition": 2})
    await settled(api, namespace, 3, updated=1)
    after = await uids(api, namespace)
    assert [name for name in before if before[name] != after[name]] == ["engine-2-main-0"]
    assert (await told(api, namespace))["expectedUpdatedReplicas"] == 1
    await change(api, namespace, updateStrategy={"partition": 0})
    await settled(api, namespace, 3)
    assert set((await images(api, namespace)).values()) == {NEW}

    async def complete() -> bool:
        status = await told(api, namespace)
        return bool(status["currentRevision"] == status["updateRevision"])

    await eventually(complete, 20, what="the rollout is complete")
    assert await warnings(api, namespace) == []


@pytest.mark.usefixtures("running")
async def test_a_template_that_cannot_run_is_left_behind_by_going_back(api: Api, namespace: str) -> None:
    await api.create(instance_set(namespace))
    await settled(api, namespace, 3)
    before = await uids(api, namespace)
    nowhere = {"spec": {"containers": [{"name": "main", "image": NEW}], "nodeSelector": {"no-such": "node"}}}
    broken = instance_set(namespace, template=nowhere)["spec"]["roleInstanceTemplate"]
    await change(api, namespace, roleInstanceTemplate=broken)

    async def stuck() -> bool:
        found = await uids(api, namespace)
        return found.get("engine-2-main-0", before["engine-2-main-0"]) != before["engine-2-main-0"]

    await eventually(stuck, 30, what="the first of them cannot run")
    await change(api, namespace, roleInstanceTemplate=instance_set(namespace)["spec"]["roleInstanceTemplate"])
    await settled(api, namespace, 3)
    after = await uids(api, namespace)
    assert [name for name in before if before[name] != after[name]] == ["engine-2-main-0"]
    assert set((await images(api, namespace)).values()) == {OLD}


@pytest.mark.usefixtures("running")
async def test_a_stateless_set_replaces_by_new_names_what_is_outdated_deleted_or_marked(
    api: Api, namespace: str
) -> None:
    await api.create(instance_set(namespace, 2, pattern="Stateless"))
    await settled(api, namespace, 2)
    seen = {item["metadata"]["name"] for item in await api.items(*INSTANCE, namespace)}

    async def replaced(gone: set[str]) -> set[str]:
        """The names once these are gone, all of them new or older ones that stayed."""

        async def others() -> bool:
            live = {item["metadata"]["name"] for item in await api.items(*INSTANCE, namespace)}
            return len(live) == 2 and not live & gone

        await eventually(others, 60, what=f"{gone} are replaced")
        await settled(api, namespace, 2)
        return {item["metadata"]["name"] for item in await api.items(*INSTANCE, namespace)}

    await roll(api, namespace, NEW)
    live = await replaced(seen)
    assert set((await images(api, namespace)).values()) == {NEW}
    seen |= live
    for by_hand in (True, False):
        victim = min(live)
        if by_hand:
            await api.delete(*INSTANCE, victim, namespace)
        else:
            marked = {"metadata": {"labels": {labels.ROLE_INSTANCE_DELETE: "true"}}}
            await api.merge(*INSTANCE, victim, marked, namespace=namespace)
        kept, live = live - {victim}, await replaced({victim})
        assert kept < live
        assert not (live - kept) & seen, "nobody gets the name of one that is gone"
        seen |= live
    assert await warnings(api, namespace) == []


@pytest.mark.usefixtures("running")
async def test_a_listed_instance_is_the_one_that_goes_and_is_taken_off_the_list(api: Api, namespace: str) -> None:
    await api.create(instance_set(namespace, 3, pattern="Stateless"))
    await settled(api, namespace, 3)
    names = sorted(item["metadata"]["name"] for item in await api.items(*INSTANCE, namespace))
    await change(api, namespace, replicas=2, scaleStrategy={"roleInstanceToDelete": [names[1]]})
    await settled(api, namespace, 2)
    assert sorted(item["metadata"]["name"] for item in await api.items(*INSTANCE, namespace)) == [names[0], names[2]]

    async def pruned() -> bool:
        found = await api.get(*SET, "engine", namespace)
        return not found["spec"]["scaleStrategy"].get("roleInstanceToDelete")

    await eventually(pruned, 20, what="the name is off the list")


@pytest.mark.usefixtures("running")
async def test_instances_left_behind_by_a_set_are_taken_over_by_the_next_one_and_their_pods_go_on(
    api: Api, namespace: str
) -> None:
    await api.create(instance_set(namespace, 2))
    await settled(api, namespace, 2)
    before = await uids(api, namespace)
    path = await api.path(*SET, namespace, "engine")
    await api.request("DELETE", path, body={"propagationPolicy": "Orphan"})

    async def left() -> bool:
        orphans = await api.items(*INSTANCE, namespace)
        return await api.find(*SET, "engine", namespace) is None and not [
            item for item in orphans if item["metadata"].get("ownerReferences")
        ]

    await eventually(left, 30, what="the set is gone and its instances are left")
    created = await api.create(instance_set(namespace, 2))
    await settled(api, namespace, 2)
    assert await uids(api, namespace) == before
    for item in await api.items(*INSTANCE, namespace):
        (owner,) = item["metadata"]["ownerReferences"]
        assert owner["uid"] == created["metadata"]["uid"]
    await change(api, namespace, replicas=3)
    await settled(api, namespace, 3)
    assert before.items() <= (await uids(api, namespace)).items()


@pytest.mark.usefixtures("running")
async def test_a_set_that_cannot_be_carried_out_says_why_and_recovers_when_mended(api: Api, namespace: str) -> None:
    await api.create(instance_set(namespace, 2))
    await settled(api, namespace, 2)
    before = await uids(api, namespace)
    await change(api, namespace, roleInstanceTemplate={"components": "many"}, replicas=1)

    async def said() -> bool:
        return "spec.roleInstanceTemplate cannot be read" in await stalled(api, namespace)

    await eventually(said, 20, what="the condition names the field")
    assert await uids(api, namespace) == before
    template = instance_set(namespace)["spec"]["roleInstanceTemplate"]
    await change(api, namespace, roleInstanceTemplate=template)
    await settled(api, namespace, 1)
    assert await stalled(api, namespace) == ""

    async def one() -> bool:
        return list(await uids(api, namespace)) == ["engine-0-main-0"]

    await eventually(one, 30, what="one pod is left")


# In groups ------------------------------------------------------------------------------------------------------------


def _role(name: str, replicas: int, image: str = OLD) -> dict[str, Any]:
    found = role(name, replicas)
    found["standalonePattern"]["template"]["spec"]["containers"][0]["image"] = image
    return found


@pytest.mark.usefixtures("running")
async def test_a_template_change_on_one_role_leaves_every_pod_of_the_others(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, _role("a", 2), _role("b", 3)))
    await become_ready(api, "llm", namespace)
    before = await uids(api, namespace)
    spec = group("llm", namespace, _role("a", 2, NEW), _role("b", 3))["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)

    async def rolled() -> bool:
        found = await images(api, namespace)
        return [found.get(f"llm-a-{ordinal}") for ordinal in range(2)] == [NEW, NEW]

    await eventually(rolled, 60, what="every pod of a has the new image")
    await become_ready(api, "llm", namespace)
    after = await uids(api, namespace)
    assert {name for name in before if after[name] != before[name]} == {"llm-a-0", "llm-a-1"}
    status = (await api.get(V1ALPHA2, "RoleBasedGroup", "llm", namespace))["status"]["roleStatuses"]
    assert [(item["name"], item["replicas"], item["updatedReplicas"]) for item in status] == [("a", 2, 2), ("b", 3, 3)]


@pytest.mark.usefixtures("running")
async def test_scaling_a_role_up_touches_no_pod_and_adds_the_next_ordinal(api: Api, namespace: str) -> None:
    await api.create(group("llm", namespace, _role("a", 2), _role("b", 1)))
    await become_ready(api, "llm", namespace)
    before = await uids(api, namespace)
    spec = group("llm", namespace, _role("a", 3), _role("b", 1))["spec"]
    await api.merge(V1ALPHA2, "RoleBasedGroup", "llm", {"spec": spec}, namespace=namespace)

    async def grown() -> bool:
        return "llm-a-2" in await uids(api, namespace)

    await eventually(grown, 30, what="the third pod is there")
    await become_ready(api, "llm", namespace)
    after = await uids(api, namespace)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"llm-a-2"}
