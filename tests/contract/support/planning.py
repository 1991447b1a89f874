"""The planners and the executor on a server, without caches: every round reads everything and carries out all plans."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from datetime import timedelta
from typing import Any, TypeVar

from contract.support.api import Api
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.client import PatchType
from rbgctrl.clock import utcnow
from rbgctrl.graph import view
from rbgctrl.graph.memory import Memory
from rbgctrl.graph.view import Sources
from rbgctrl.informers import Cache
from rbgctrl.plan import group as group_plan
from rbgctrl.plan import instance as instance_plan
from rbgctrl.plan import role as role_plan
from rbgctrl.plan.model import Note, Plan
from rbgctrl.runtime.barrier import Barrier, live_reader
from rbgctrl.runtime.executor import Executor
from rbgctrl.runtime.result import Request

__all__ = ["Planning"]

R = TypeVar("R", bound=Resource)

_ROUNDS = 40
_RUNNING = {"phase": "Running", "conditions": [{"type": "ContainersReady", "status": "True"}]}


class _Notes:
    def __init__(self) -> None:
        self.taken: list[Note] = []

    def event(self, note: Note) -> None:
        self.taken.append(note)


class Planning:
    """All reconcilers' decisions on the case's namespace, carried out until nothing is left to write."""

    def __init__(self, api: Api) -> None:
        self._api = api
        cache = Cache(api.client)
        self.notes = _Notes()
        self.executor = Executor(api.client, cache, Barrier(cache, live_reader(api.client)), self.notes)
        # Late enough that no status waits for the next change.
        self._now = utcnow() + timedelta(days=1)

    @property
    def writes(self) -> Counter[tuple[str, str]]:
        """How many writes of which sort and kind were sent so far."""
        return self.executor.writes

    async def plans(self) -> list[tuple[Key, Plan]]:
        """What every reconciler would do now."""
        sources = await self._read()
        deciders: tuple[tuple[Any, Any, Any], ...] = (
            (sources.groups, functools.partial(view.group, deep=True), group_plan.group),
            (sources.sets, view.role, role_plan.role),
            (sources.instances, view.instance, instance_plan.instance),
        )
        return [
            (item.key, decide(build(sources, item.key), self._now))
            for shelf, build, decide in deciders
            for item in shelf.list()
        ]

    async def settle(self, *, kubelet: bool = True) -> None:
        """Plan and act, and run pods as their nodes would, until nobody writes any more."""
        for _ in range(_ROUNDS):
            acted = False
            for key, plan in await self.plans():
                acted = acted or not plan.empty
                await self.executor.apply(plan, Request(*key))
            if kubelet:
                acted = await self._run_pods() or acted
            if not acted:
                return
        left = [plan.because for _, plan in await self.plans() if not plan.empty]
        raise AssertionError(f"still writing after {_ROUNDS} rounds: {left}")

    async def _run_pods(self) -> bool:
        """Bind and start what waits; whether there was anything."""
        waiting = [pod for pod in (await self._api.list(Pod))["items"] if pod["status"]["phase"] == "Pending"]
        for pod in waiting:
            name = pod["metadata"]["name"]
            binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "nowhere"}}
            await self._api.send("POST", Pod.KIND.path(self._api.namespace, name, "binding"), body=binding)
            body = {"status": _RUNNING}
            await self._api.patch(Pod, name, body, type=PatchType.STRATEGIC, subresource="status")
        return bool(waiting)

    async def _read(self) -> Sources:
        async def shelf(kind: type[R]) -> Memory[R]:
            page = await self._api.client.list(kind, self._api.namespace)
            assert not page.invalid
            return Memory(page.items)

        owners = asyncio.gather(shelf(RoleBasedGroup), shelf(RoleInstanceSet), shelf(RoleInstance))
        owned = asyncio.gather(shelf(Pod), shelf(Service), shelf(ConfigMap), shelf(ControllerRevision))
        groups, sets, instances = await owners
        pods, services, config_maps, revisions = await owned
        return Sources(
            groups=groups,
            sets=sets,
            instances=instances,
            pods=pods,
            services=services,
            config_maps=config_maps,
            revisions=revisions,
        )
