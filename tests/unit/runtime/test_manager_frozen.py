"""Two whole daemons, of which the leader is stopped like with SIGSTOP, past its lease, and continued."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from rbgctrl.api.core import ConfigMap
from rbgctrl.runtime import handlers
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.leader import LeaseElector, LeaseLostError
from rbgctrl.runtime.manager import Manager
from rbgctrl.runtime.result import Request, Result
from rbgctrl.sim.loop import run
from unit.runtime.fake_cluster import ClusterLink, FakeCluster
from unit.runtime.fake_leases import LEASE
from unit.runtime.processes import Process


class Busy:
    """Patches its object twice a second."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager

    async def reconcile(self, request: Request) -> Result:
        await self.manager.client.patch(ConfigMap, request, {"data": {}})
        return Result(requeue_after=0.5)


def daemon(link: ClusterLink) -> Manager:
    loop = asyncio.get_running_loop()
    elector = LeaseElector(link.client(), LEASE, identity=link.who, monotonic=loop.time, jitter=lambda: 0.5)
    manager = Manager(link.client(), elector=elector)
    controller = Controller("busy", Busy(manager), options=manager.controller_options(4))
    controller.watch(manager.informer(ConfigMap), handlers.itself)
    manager.add(controller)
    return manager


@pytest.mark.parametrize("stopped_at", [5.0, 5.25, 5.4], ids=str)
def test_a_frozen_leader_sends_no_write_after_the_new_one_has_acted(stopped_at: float) -> None:
    async def main() -> None:
        server = FakeCluster()
        for name in "abcdefgh":
            server.add_map(name)
        processes = {who: Process(who) for who in ("old", "new")}
        managers = {"old": daemon(server.link("old"))}
        tasks = {"old": processes["old"].start(managers["old"].run())}
        await asyncio.sleep(stopped_at)
        managers["new"] = daemon(server.link("new"))
        tasks["new"] = processes["new"].start(managers["new"].run())
        await asyncio.sleep(stopped_at)
        assert set(server.writers()) == {"old"}

        processes["old"].stop()
        await asyncio.sleep(30)
        assert server.holder() == "new"
        processes["old"].go_on()
        with pytest.raises(LeaseLostError):
            await tasks["old"]
        await asyncio.sleep(10)
        managers["new"].stop()
        await tasks["new"]

        writers = server.writers()
        first = writers.index("new")
        assert set(writers[first:]) == {"new"}
        assert len(writers) - first > 100

    with capture_logs():  # it says much, as it should
        run(main())
