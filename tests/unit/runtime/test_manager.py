"""Start of everything, in order, and what runs; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest
from structlog.testing import capture_logs

from rbgctrl.api.core import ConfigMap
from rbgctrl.client.errors import ConnectError
from rbgctrl.runtime.controller import Controller
from rbgctrl.runtime.fence import NotLeaderError
from rbgctrl.runtime.manager import Manager, ManagerOptions
from rbgctrl.runtime.probes import ListenError
from rbgctrl.sim.loop import run
from unit.runtime.fake_cluster import map_key
from unit.runtime.managers import Patcher, Seen, build, cluster, elector, running, until


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():  # printing them takes longer than the tests
        yield


def test_a_manager_reconciles_what_is_there_and_reports_it() -> None:
    async def main() -> None:
        server = cluster("a", "b")
        manager, patcher = build(server.link("m"))
        async with running(manager):
            await until(lambda: len(patcher.finished) == 2)
            assert manager.ready
        assert sorted(patcher.finished) == [map_key("a"), map_key("b")]
        assert {event["reason"] for event in server.events} == {"Patched"}  # flushed at the end
        assert not manager.ready

    run(main())


def test_a_server_that_is_down_at_the_start_is_waited_for() -> None:
    async def main() -> None:
        server = cluster()
        link = server.link("m")
        link.before = lambda _: ConnectError("refused")
        manager, patcher = build(link, elect=True, cache_sync_timeout=50.0)
        with capture_logs() as logs:
            async with running(manager) as task:
                await asyncio.sleep(120)
                assert not manager.ready
                assert not task.done()
                link.before = lambda _: None
                await until(lambda: patcher.finished)
                assert manager.ready
        late = [entry for entry in logs if entry["event"] == "caches are not complete yet"]
        assert len(late) == 2
        assert "configmaps" in late[0]["why"]
        assert "refused" in late[0]["why"]

    run(main())


def test_nothing_is_reconciled_and_the_lease_not_taken_before_the_caches_are_complete() -> None:
    async def main() -> None:
        server = cluster()
        server.watches.clear()
        manager, patcher = build(server.link("m"), elect=True)
        async with running(manager):
            await asyncio.sleep(100)
            assert not patcher.started.is_set()
            assert server.holder() is None
            server.watches.set()
            await until(lambda: patcher.finished)

    run(main())


def test_a_standby_is_ready_with_warm_caches_and_does_nothing_else() -> None:
    async def main() -> None:
        server = cluster()
        server.put(holderIdentity="other", leaseDurationSeconds=3600)
        manager, patcher = build(server.link("m"), elect=True)
        async with running(manager):
            await until(lambda: manager.ready)
            await asyncio.sleep(60)
            assert len(manager.informer(ConfigMap).store) == 1
            assert not patcher.started.is_set()
            with pytest.raises(NotLeaderError):
                await manager.client.patch(ConfigMap, map_key("a"), {})
        assert server.writers() == []
        assert server.holder() == "other"

    run(main())


def test_runnables_run_everywhere_unless_they_need_the_leader() -> None:
    async def main() -> None:
        server = cluster()
        server.put(holderIdentity="other", leaseDurationSeconds=60)
        manager, _ = build(server.link("m"), elect=True)
        anywhere, leading = Seen(cleanup=1), Seen(needs_leader=True, cleanup=1)
        manager.add(anywhere)
        manager.add(leading)
        async with running(manager):
            await asyncio.sleep(30)
            assert (anywhere.started, leading.started) == (True, False)
            await until(lambda: leading.started)
        assert (anywhere.ended, leading.ended) == (True, True)

    run(main())


def test_a_runnable_that_is_done_is_not_an_error() -> None:
    class Once:
        async def run(self) -> None:
            return

    async def main() -> None:
        manager, patcher = build(cluster().link("m"))
        manager.add(Once())
        async with running(manager) as task:
            await until(lambda: patcher.finished)
            await asyncio.sleep(60)
            assert not task.done()

    run(main())


def test_probes_answer_while_the_preflight_waits_and_readiness_says_for_what() -> None:
    async def main() -> None:
        server = cluster()
        gate = asyncio.Event()

        async def preflight() -> None:
            await gate.wait()

        manager = Manager(
            server.link("m").client(),
            options=ManagerOptions(metrics_bind_address="127.0.0.1:0", health_probe_bind_address="127.0.0.1:0"),
            preflight=preflight,
        )
        manager.informer(ConfigMap)
        missing = ["webhook certificate"]
        manager.check("webhook", lambda: missing[0])
        async with running(manager), aiohttp.ClientSession() as session:
            await until(lambda: manager.ports["health"])
            base = f"http://127.0.0.1:{manager.ports['health']}"

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(base + path) as response:
                    return response.status, await response.text()

            assert (await ask("/healthz"))[0] == 200
            status, text = await ask("/readyz")
            assert status == 500
            assert "[-]manager failed: waiting for the API server" in text
            gate.set()
            await until(lambda: manager.cache.synced)
            assert "[-]webhook failed: webhook certificate" in (await ask("/readyz"))[1]
            missing[0] = ""
            assert await ask("/readyz") == (200, "ok")
            async with session.get(f"http://127.0.0.1:{manager.ports['metrics']}/metrics") as response:
                assert "rbgctrl_informer_synced" in await response.text()

    run(main())


def test_an_error_of_the_preflight_is_raised_and_nothing_was_started() -> None:
    async def preflight() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        link = cluster().link("m")
        manager = Manager(link.client(), preflight=preflight)
        manager.informer(ConfigMap)
        with pytest.raises(ZeroDivisionError):
            await manager.run()
        assert link.sent == []

    run(main())


def test_a_taken_address_is_raised_before_anything_is_started() -> None:
    import socket

    async def main() -> None:
        link = cluster().link("m")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            manager, _ = build(link, health_probe_bind_address=address)
            with pytest.raises(ListenError):
                await manager.run()
        assert link.sent == []

    run(main())


def test_plausible_mistakes_are_refused() -> None:
    async def main() -> None:
        link = cluster().link("m")
        with pytest.raises(ValueError, match="drain_timeout"):
            Manager(link.client(), elector=elector(link), options=ManagerOptions(drain_timeout=10))
        with pytest.raises(ValueError, match="not an address"):
            Manager(link.client(), options=ManagerOptions(metrics_bind_address="8080"))
        manager, patcher = build(link)
        with pytest.raises(ValueError, match="named patcher"):
            manager.add(Controller("patcher", patcher))
        async with running(manager):
            await until(lambda: patcher.finished)
            with pytest.raises(RuntimeError, match="before the manager runs"):
                manager.add(Seen())
        with pytest.raises(RuntimeError, match="once"):
            await manager.run()

    run(main())


def test_an_executor_reports_under_its_component_and_shares_cache_and_fence() -> None:
    async def main() -> None:
        server = cluster()
        manager = Manager(server.link("m").client())
        executor, barrier = manager.executor("instance-controller")
        controller = Controller("c", Patcher(manager), options=manager.controller_options(3), barrier=barrier)
        manager.add(controller)
        assert controller.options.workers == 3
        assert controller.options.drain == manager.options.drain_timeout
        assert executor is not manager.executor("other")[0]

    run(main())
