"""A controller of your own beside the product's, in one process: it marks each group that serves.

Run it against your kubeconfig, for all namespaces or for those you name: python embedded.py [NAMESPACE ...]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import rbgctrl

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
                print(f"{request} serving: {serving}", flush=True)
        return rbgctrl.DONE


async def main(*namespaces: str) -> None:
    """Run the product's controllers and ours until interrupted."""
    async with rbgctrl.connect() as client:
        manager = rbgctrl.Manager(client, options=rbgctrl.ManagerOptions(namespaces=namespaces))
        rbgctrl.reconcilers.add_all(manager)
        controller = rbgctrl.Controller("banner", Banner(manager), options=manager.controller_options(workers=2))
        controller.watch(manager.informer(rbgctrl.RoleBasedGroup), rbgctrl.handlers.itself)
        manager.add(controller)
        await manager.run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
