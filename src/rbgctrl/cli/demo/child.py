"""The daemon as a process of its own that never outlives the demo."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from rbgctrl.cli.demo import tied
from rbgctrl.cli.errors import FAILED, CliError

__all__ = ["Daemon", "health_port"]

_LOOK_AGAIN: Final = 0.05
_GRACE: Final = 10.0


class _Line(msgspec.Struct):
    """What is looked for in a line of the daemon's log."""

    event: str = ""
    what: str = ""
    port: int = 0


def health_port(log: bytes) -> int | None:
    """The port on which a daemon that logs JSON says it serves its probes; None until it has said so."""
    for line in log.splitlines():
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            continue  # a traceback, or a line half written
        if found.event == "serving" and found.what == "health":
            return found.port
    return None


class Daemon:
    """``rbgctrl run`` against a kubeconfig, with leader election and probes on a free port.

    Args:
        kubeconfig: whom to serve, and as who.
        log: file for its log, a JSON object a line.
        flags: further flags.
    """

    def __init__(self, kubeconfig: Path, log: Path, flags: Sequence[str] = ()) -> None:
        self.log = log
        self.command = (
            *(sys.executable, "-m", "rbgctrl", "run", "--kubeconfig", str(kubeconfig), "--leader-elect"),
            *("--health-probe-bind-address", "127.0.0.1:0", "--log-format", "json", *flags),
        )
        self._process: asyncio.subprocess.Process | None = None
        self._begins = 0

    @property
    def pid(self) -> int | None:
        """Its pid while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Start it; returns at once."""
        launcher = (sys.executable, "-I", "-S", str(Path(tied.__file__)), str(os.getpid()))
        with self.log.open("ab") as log:
            self._begins = log.tell()  # the log may be that of earlier demos, too
            self._process = await asyncio.create_subprocess_exec(
                *launcher,
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which ends the daemon in good order
            )

    async def wait_ready(self, within: float) -> None:
        """Return once it works: caches complete, and the lease held.

        Raises:
            CliError: it ended, or is not ready in time.
        """
        try:
            async with asyncio.timeout(within), aiohttp.ClientSession() as session:
                while not await self._ready(session):
                    self.check()
                    await asyncio.sleep(_LOOK_AGAIN)
        except TimeoutError:
            raise self._error(f"is not ready after {within:g} s") from None

    async def watch(self) -> None:
        """Return never, unless it ends.

        Raises:
            CliError: it ended.
        """
        if self._process is not None:
            await self._process.wait()
        self.check()

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            CliError: it does not.
        """
        if self.pid is None:
            code = None if self._process is None else self._process.returncode
            raise self._error(f"ended with exit code {code}")

    async def stop(self) -> None:
        """End it, in good order if it can; does nothing when it does not run."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_GRACE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it logged since it was started."""
        return "\n".join(self._logged().decode(errors="replace").splitlines()[-lines:])

    def _logged(self) -> bytes:
        if not self.log.exists():
            return b""
        with self.log.open("rb") as log:
            log.seek(self._begins)
            return log.read()

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        port = health_port(self._logged())
        if port is None:
            return False
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _error(self, what: str) -> CliError:
        return CliError(
            f"The daemon {what}; its log {self.log} ends with:\n{self.log_tail() or '(nothing)'}", code=FAILED
        )
