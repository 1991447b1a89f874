"""A running part of the control plane: a process that can tell when it is ready."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from hack.controlplane.errors import DeadlineError
from hack.controlplane.process import Process

__all__ = ["Component", "http_ok"]

_POLL = 0.05


async def http_ok(url: str, *, ca_pem: bytes | None = None, token: str = "") -> bool:
    """Whether ``url`` answers 200 within two seconds; TLS is verified against ``ca_pem``."""
    tls = ssl.create_default_context(cadata=ca_pem.decode()) if ca_pem else True
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=2.0)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, ssl=tls, headers=headers) as got:
            return got.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


class Component:
    """One program of a cluster, with the faults that tests inject into it.

    Args:
        process: How to run it.
        ready: Tells whether it serves.
        prepare: Done before each start.
        within: Seconds until it must be ready.
    """

    def __init__(
        self,
        process: Process,
        ready: Callable[[], Awaitable[bool]],
        *,
        prepare: Callable[[], Awaitable[None]] | None = None,
        within: float = 120.0,
    ) -> None:
        self._process = process
        self._ready = ready
        self._prepare = prepare
        self._within = within

    @property
    def name(self) -> str:
        """Its name, as in ``components.NAMES``."""
        return self._process.name

    @property
    def log(self) -> Path:
        """The file it logs to, over all its runs."""
        return self._process.log

    @property
    def pid(self) -> int | None:
        """Its pid, None when it does not run."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs; a paused component does."""
        return self._process.running

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        return self._process.log_tail(lines)

    async def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            ComponentExitedError: it ended instead; ``PortTakenError`` when its port was taken.
            DeadlineError: it was not ready in time.
        """
        if self._prepare is not None:
            await self._prepare()
        self._process.start()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Waits until it is ready; raises as ``start`` does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within
        while True:
            self._process.check_running()
            if await self._ready():
                return
            if loop.time() > deadline:
                tail = self.log_tail()
                raise DeadlineError(f"{self.name} was not ready within {self._within:g} s; its log ends with:\n{tail}")
            await asyncio.sleep(_POLL)

    async def stop(self, *, grace: float = 10.0) -> None:
        """Ends it as an operator would: SIGTERM, and SIGKILL after ``grace`` seconds."""
        await self._process.stop(grace=grace)

    async def kill(self) -> None:
        """Ends it as a crash would: its connections break, nothing is said."""
        await self._process.kill()

    async def restart(self, *, crash: bool = False) -> None:
        """Ends it, by SIGKILL when ``crash``, and starts it anew on the same port with the same data."""
        await (self.kill() if crash else self.stop())
        await self.start()

    def pause(self) -> None:
        """Freezes it: connections stay open and hang, as with a machine that lost power or network."""
        self._process.pause()

    def resume(self) -> None:
        """Lets it go on after ``pause``."""
        self._process.resume()
