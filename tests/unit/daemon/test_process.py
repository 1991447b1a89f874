"""The daemon as a process: exit codes, signals, one sentence for what nobody else can mend."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from rbgctrl.api.podgroups import GangScheduler
from rbgctrl.client import connect
from rbgctrl.daemon import process
from rbgctrl.daemon.reconcilers import reconciler_options
from rbgctrl.daemon.settings import Settings
from rbgctrl.plan.ports import PortRange
from rbgctrl.reconcilers import ReconcilerOptions
from unit.daemon.api_server import ApiServer, serving


@pytest.fixture(autouse=True)
def _no_cluster_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBERNETES_SERVICE_HOST", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def settings(server: ApiServer, directory: Path, **more: Any) -> Settings:
    path = server.kubeconfig(directory, more.pop("token", None))
    flags = {"health_probe_bind_address": "0", "tune_gc": False, "kubeconfig": path}
    return Settings.of(**flags | more)


async def complaint_of(chosen: Settings) -> tuple[int, str]:
    """Exit code and the last error line."""
    with capture_logs() as logs:
        code = await process._main(chosen)
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert len(errors) == 1
    return code, errors[0]["error"]


async def test_no_kubeconfig_is_exit_2_and_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code, sentence = await complaint_of(Settings(health_probe_bind_address="0"))
    assert code == process.EXIT_CONFIGURATION
    assert ".kube/config" in sentence


async def test_a_wrong_token_is_exit_2_and_says_so(tmp_path: Path) -> None:
    async with serving(ApiServer()) as server:
        code, sentence = await complaint_of(settings(server, tmp_path, token="wrong"))
    assert code == process.EXIT_CONFIGURATION
    assert "does not accept our credentials" in sentence
    assert "wrong" not in sentence


async def test_missing_crds_are_exit_2_and_named(tmp_path: Path) -> None:
    async with serving(ApiServer(crds={})) as server:
        code, sentence = await complaint_of(settings(server, tmp_path))
    assert code == process.EXIT_CONFIGURATION
    assert "rolebasedgroups.workloads.x-k8s.io" in sentence
    assert "rbgctrl crds" in sentence


async def test_a_taken_port_is_exit_2_and_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with serving(ApiServer()) as server:
            code, sentence = await complaint_of(settings(server, tmp_path, health_probe_bind_address=address))
    assert code == process.EXIT_CONFIGURATION
    assert address in sentence


async def test_an_unforeseen_error_is_exit_1_with_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(process, "build", broken)
    async with serving(ApiServer()) as server:
        with capture_logs() as logs:
            assert await process._main(settings(server, tmp_path)) == process.EXIT_FAILURE
    assert logs[-1]["exc_info"] is True


async def test_flags_reach_what_they_are_about(tmp_path: Path) -> None:
    async with serving(ApiServer()) as server:
        chosen = settings(
            server,
            tmp_path,
            leader_elect=True,
            namespaces=("a", "b"),
            max_concurrent_reconciles=3,
            metrics_bind_address="127.0.0.1:0",
            cache_sync_timeout="7s",
        )
        async with connect(kubeconfig=chosen.kubeconfig) as client:
            manager = process.build(client, chosen)
            assert manager.elector is not None
            assert str(manager.elector.key) == "rbgs-system/rbg-controller"  # the namespace of the context
            assert manager.cache.namespaces == ("a", "b")
            assert manager.options.cache_sync_timeout == 7
            assert {controller.options.workers for controller in manager._controllers} == {3}
            other = process.build(client, chosen.model_copy(update={"leader_election_namespace": "mine"}))
            assert other.elector is not None
            assert other.elector.key.namespace == "mine"
            assert process.build(client, chosen.model_copy(update={"leader_elect": False})).elector is None


@pytest.mark.parametrize(
    ("qps", "burst", "expected"),
    [(0, 0, None), (0, 5, None), (20, 30, (20, 30)), (20, 0, (20, 30)), (0.1, 0, (0.1, 1))],
)
def test_client_side_limits_are_off_unless_asked_for(
    qps: float, burst: int, expected: tuple[float, int] | None
) -> None:
    rate = process._http_options(Settings(kube_api_qps=qps, kube_api_burst=burst)).rate
    assert (None if rate is None else (rate.qps, rate.burst)) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ("info", "json")),
        ({"development": True}, ("debug", "console")),
        ({"development": True, "log_level": "error", "log_format": "json"}, ("error", "json")),
    ],
)
def test_development_is_a_default_for_people(flags: dict[str, Any], expected: tuple[str, str]) -> None:
    options = process._log_options(Settings.of(**flags))
    assert (options.level, options.format) == expected


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
def test_run_returns_the_exit_code_on_either_loop(
    event_loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    chosen = Settings.of(event_loop=event_loop, health_probe_bind_address="0")
    monkeypatch.setattr(process, "configure", lambda _: None)
    assert process.run(chosen) == process.EXIT_CONFIGURATION
    assert signal.getsignal(signal.SIGTERM) == before
    capfd.readouterr()


PROGRAM = """
import sys
from rbgctrl.daemon import Settings, run
sys.exit(run(Settings.of(kubeconfig=sys.argv[1], health_probe_bind_address=sys.argv[2], leader_elect=True)))
"""


async def start(server: ApiServer, directory: Path, address: str) -> asyncio.subprocess.Process:
    arguments = ("-c", PROGRAM, server.kubeconfig(directory), address)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stderr=asyncio.subprocess.PIPE, env=environment
    )


async def readiness(address: str) -> int:
    """Status of /readyz; 0 when nobody listens."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/readyz") as response:
            return response.status
    except aiohttp.ClientConnectionError:
        return 0


async def until_ready(address: str, wanted: int) -> None:
    deadline = asyncio.get_running_loop().time() + 40
    while True:
        if await readiness(address) == wanted:
            return
        assert asyncio.get_running_loop().time() < deadline, f"readiness never became {wanted}"
        await asyncio.sleep(0.05)


async def test_a_real_daemon_waits_for_its_server_leads_and_ends_in_good_order_at_sigterm(tmp_path: Path) -> None:
    port, address = free_port(), f"127.0.0.1:{free_port()}"
    server = ApiServer(url=f"http://127.0.0.1:{port}")
    daemon = await start(server, tmp_path, address)
    try:
        await until_ready(address, 500)  # alive, and not ready: nobody answers at the server's address
        async with serving(server, port):
            await until_ready(address, 200)
            await asyncio.wait_for(server.led.wait(), 20)
            daemon.send_signal(signal.SIGTERM)
            _, errors = await asyncio.wait_for(daemon.communicate(), 20)
    finally:
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()
    assert daemon.returncode == process.EXIT_OK, errors.decode()
    assert server.holder() == ""  # released
    assert b'"event":"stopped"' in errors
    assert b"Traceback" not in errors


async def test_the_first_signal_cancels_and_the_second_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    cancelled, ended = asyncio.Event(), asyncio.Event()

    async def main() -> bool:
        with process._Signals() as signals:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                await ended.wait()
            return signals.received

    task = asyncio.create_task(main())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        signal.raise_signal(signal.SIGTERM)
        await cancelled.wait()
        assert left == []
        signal.raise_signal(signal.SIGINT)
        async with asyncio.timeout(5):
            while not left:  # noqa: ASYNC110 - the handler has no event to wait for
                await asyncio.sleep(0)
    ended.set()
    assert await task
    assert left == [process.EXIT_FAILURE]
    assert [entry["signal"] for entry in logs] == ["SIGTERM", "SIGINT"]


def test_flags_reach_the_reconcilers() -> None:
    told = reconciler_options(
        Settings(
            max_concurrent_reconciles=3,
            scheduler_name="volcano",
            enable_deprecated_workload_types=False,
            enable_port_allocator=True,
            start_port=40000,
            port_range=10,
        )
    )
    assert told == ReconcilerOptions(
        workers=3, scheduler=GangScheduler.VOLCANO, deprecated_workload_types=False, ports=PortRange(40000, 10)
    )
    assert reconciler_options(Settings()) == ReconcilerOptions(), "off unless asked for"
