"""A controller of your own, tested on a whole cluster in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import rbgctrl
from rbgctrl import sim

SERVING = "example.com/serving"


class Banner:
    """Keeps an annotation on every group that says whether it is Ready."""

    def __init__(self, manager: rbgctrl.Manager) -> None:
        self.client = manager.client
        self.groups = manager.informer(rbgctrl.RoleBasedGroup).store

    async def reconcile(self, request: rbgctrl.Request) -> rbgctrl.Result:
        """Compare what is with what should be, and write only the difference."""
        group = self.groups.get(request)
        if group is not None:
            conditions = (group.status.conditions if group.status else None) or ()
            serving = "yes" if any(found.type == "Ready" and found.true for found in conditions) else "no"
            if group.metadata.annotations.get(SERVING) != serving:
                body = {"metadata": {"uid": group.uid, "annotations": {SERVING: serving}}}
                await self.client.patch(rbgctrl.RoleBasedGroup, request, body)
        return rbgctrl.DONE


def group(replicas: int) -> dict[str, Any]:
    """A group of one role."""
    container = {"name": "engine", "image": "registry.example/engine:1"}
    template = {"spec": {"containers": [container]}}
    role = {"name": "decode", "replicas": replicas, "standalonePattern": {"template": template}}
    return {"metadata": {"name": "llm"}, "spec": {"roles": [role]}}


def test_the_mark_follows_the_group_through_a_crash_and_the_loss_of_a_node() -> None:
    async def main() -> None:
        # Four nodes, and a model that takes ten minutes to load.
        options = sim.ClusterOptions(nodes=4, kubelet=sim.KubeletOptions(start=600))
        async with sim.EmbeddedCluster(options) as cluster, cluster.client() as client:
            manager = cluster.manager()
            rbgctrl.reconcilers.add_all(manager)
            controller = rbgctrl.Controller("banner", Banner(manager))
            controller.watch(manager.informer(rbgctrl.RoleBasedGroup), rbgctrl.handlers.itself)
            manager.add(controller)

            async def mark() -> str:
                found = await client.get(rbgctrl.RoleBasedGroup, rbgctrl.Key("default", "llm"))
                return found.metadata.annotations.get(SERVING, "")

            async with cluster.running(manager):
                await client.create(rbgctrl.RoleBasedGroup, group(replicas=2), "default")
                await asyncio.sleep(300)
                assert await mark() == "no"
                await cluster.settle()  # until nothing happens any more: the ten minutes pass at once
                assert await mark() == "yes"

                cluster.crash_container("llm-decode-0", wait=40)
                await asyncio.sleep(10)
                assert await mark() == "no"
                await cluster.settle()
                assert await mark() == "yes"

                lost = cluster.server.get("pods", rbgctrl.Key("default", "llm-decode-1"))
                assert lost is not None
                cluster.kill_node(lost["spec"]["nodeName"])
                await asyncio.sleep(60)  # nobody has heard of the node for 50 seconds
                assert await mark() == "no"
                cluster.remove_node(lost["spec"]["nodeName"])
                await cluster.settle()
                assert await mark() == "yes"

            # Everything that ever happened is there to be looked at.
            patches = [entry for entry in cluster.server.audit if entry.user == "rbgctrl" and entry.code == 200]
            assert len([entry for entry in patches if "patch RoleBasedGroup" in str(entry.request)]) < 30

    sim.run(main())
