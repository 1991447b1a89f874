"""The real daemon as a separate process, with the things that can happen to it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from hack.controlplane.process import Process
from hack.controlplane.state import Ledger
from hack.controlplane.waiting import eventually

__all__ = ["Daemon", "daemon"]


class Daemon:
    """One ``rbgctrl run``.

    Args:
        kubeconfig: how it reaches the API server.
        folder: where its log and bookkeeping go; one for each daemon.
        namespace: the only namespace it looks into; ``""`` for all.
        flags: further flags.
        environment: variables set beside the test's.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        namespace: str = "",
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "rbgctrl", "run", "--kubeconfig", str(kubeconfig)]
        command += ["--health-probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0"]
        command += ["--namespaces", namespace] if namespace else []
        self.process = Process(
            "rbgctrl",
            [*command, *flags],
            log=folder / "rbgctrl.log",
            ledger=Ledger(folder),
            environment=environment,
        )

    async def start(self, *, ready: bool = True) -> None:
        """Start it; with ``ready`` wait until its readiness probe answers."""
        self.process.start()
        if ready:
            await self.wait_ready()

    async def wait_ready(self, within: float = 60.0) -> None:
        """Wait until ``/readyz`` answers 200."""

        async def probe() -> bool:
            self.process.check_running()
            return await self.ready()

        await eventually(probe, within, what="rbgctrl is ready")

    async def ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        return (await self._get("health", "/readyz"))[0] == 200

    async def alive(self) -> bool:
        """Whether ``/healthz`` answers 200."""
        return (await self._get("health", "/healthz"))[0] == 200

    async def metric(self, name: str, **wanted: str) -> float:
        """Sum of a metric's samples whose labels match."""
        _, text = await self._get("metrics", "/metrics")
        total = 0.0
        for line in text.splitlines():
            found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if found is not None:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
                if all(labels.get(key) == value for key, value in wanted.items()):
                    total += float(found[2])
        return total

    async def exit_code(self, within: float = 30.0) -> int | None:
        """Wait for its end."""
        await eventually(lambda: not self.process.running, within, what="rbgctrl ends")
        return self.process.returncode

    def log(self) -> str:
        """What it logged."""
        return self.process.log_tail(2000)

    async def _get(self, server: str, path: str) -> tuple[int, str]:
        port = self._port(server)
        if port is None:
            return 0, ""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    def _port(self, server: str) -> int | None:
        """The port it says it listens on, in the log of the current run."""
        for entry in self.entries(since_start=True):
            if entry.get("event") == "serving" and entry.get("what") == server:
                return int(entry["port"])
        return None

    def entries(self, *, since_start: bool = False) -> list[dict[str, Any]]:
        """Its log as values; lines that are no JSON are left out."""
        lines = self.process.log_tail(5000, since_start=since_start).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@asynccontextmanager
async def daemon(
    kubeconfig: Path, folder: Path, *, namespace: str = "", flags: tuple[str, ...] = (), ready: bool = True
) -> AsyncIterator[Daemon]:
    """A daemon that runs for the length of the context."""
    running = Daemon(kubeconfig, folder, namespace=namespace, flags=flags)
    try:
        await running.start(ready=ready)
        yield running
    finally:
        await asyncio.shield(running.process.stop(grace=15.0))
