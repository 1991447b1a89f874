"""The manifests of ``examples/``, as a reader would apply them on the eight nodes of the demo."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import yaml

from e2e.support.groups import V1ALPHA2, become_ready, pods
from hack.controlplane.waiting import eventually
from rbgctrl.api import labels
from rbgctrl.sim import ClusterOptions, virtual
from sim.support import World, world

EXAMPLES = Path(__file__).parents[2] / "examples"
ADMITTED = ClusterOptions(validation=True)


async def apply(w: World, name: str) -> None:
    for manifest in yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")):
        if manifest["kind"] != "ClusterEngineRuntimeProfile":
            manifest["metadata"]["namespace"] = w.namespace
        await w.api.apply(manifest)


def environment(pod: dict[str, Any], name: str) -> str | None:
    found = [item.get("value") for item in pod["spec"]["containers"][0]["env"] if item["name"] == name]
    return found[-1] if found else None


@virtual
async def test_both_groups_become_ready_side_by_side() -> None:
    async with world(ADMITTED) as w:
        for file, name in (("prefill-decode.yaml", "llm"), ("multi-node.yaml", "large")):
            await apply(w, file)
            await become_ready(w.api, name, w.namespace)
        found = await pods(w.api, w.namespace)
        assert len(found) == (1 + 2 + 3) + (3 + 2 + 4 + 2)


@virtual
async def test_the_group_over_several_nodes_is_what_its_comments_say() -> None:
    async with world(ADMITTED) as w:
        await apply(w, "multi-node.yaml")
        await become_ready(w.api, "large", w.namespace)
        found = await pods(w.api, w.namespace)
        begin = {
            part: sorted(pod["metadata"]["creationTimestamp"] for name, pod in found.items() if f"-{part}" in name)
            for part in ("master", "store", "prefill", "decode", "router")
        }
        assert begin["master"][-1] < begin["store"][0]
        assert begin["store"][-1] < min(begin["prefill"][0], begin["decode"][0])
        assert max(begin["prefill"][-1], begin["decode"][-1]) < begin["router"][0]
        store, leader, worker = (found[f"large-{name}"] for name in ("cache-0-store-1", "decode-1-0", "decode-1-1"))
        assert (environment(store, "MASTER_ADDRESS") or "").startswith("large-cache-0-master-0.s-large-cache.")
        assert (environment(leader, "MODE"), environment(worker, "MODE")) == ("decode", "decode")
        assert [item["name"] for item in leader["spec"]["containers"]] == ["server", "metrics"]
        assert [item["name"] for item in worker["spec"]["containers"]] == ["server"]
        service = await w.api.get("v1", "Service", "s-large-prefill", w.namespace)
        assert service["spec"]["selector"][labels.COMPONENT_NAME] == "leader"
        scaled = {"spec": {"replicas": 3}}
        await w.api.merge(
            V1ALPHA2, "RoleBasedGroupScalingAdapter", "large-decode", scaled, namespace=w.namespace, subresource="scale"
        )

        async def grown() -> bool:
            return "large-decode-2-1" in await pods(w.api, w.namespace)

        await eventually(grown, 30, what="the autoscaler is heard")
        await become_ready(w.api, "large", w.namespace)


@virtual
async def test_the_set_makes_its_groups_and_the_warmup_reaches_every_node() -> None:
    async with world(ADMITTED) as w:
        await apply(w, "group-set.yaml")
        await apply(w, "warmup.yaml")
        for index in range(3):
            exists = partial(w.api.find, V1ALPHA2, "RoleBasedGroup", f"small-{index}", w.namespace)
            await eventually(exists, 30, what="the group exists")
            await become_ready(w.api, f"small-{index}", w.namespace)

        async def completed() -> bool:
            status = (await w.api.get(V1ALPHA2, "RoleBasedGroupWarmup", "gpu-nodes", w.namespace)).get("status", {})
            return (status.get("phase"), status.get("succeeded")) == ("Completed", 8)

        await eventually(completed, 60, what="every node is warmed up")
