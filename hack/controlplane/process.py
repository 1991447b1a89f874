"""One program of the control plane: started, watched, stopped, killed, frozen and restarted by pid."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.controlplane.errors import ComponentExitedError, ControlPlaneError, PortTakenError
from hack.controlplane.state import Ledger

__all__ = ["Process"]

_LAUNCH = Path(__file__).with_name("launch.py")
_TAKEN = ("address already in use",)
_POLL = 0.02


class Process:
    """A program and its log.

    It runs in a session of its own, so Ctrl-C on the driver's terminal does not reach it before the driver's own
    clean-up does. Not bound to an event loop: the same object may be used from one loop after another.

    Args:
        name: Name in messages and in the state file.
        command: The program by absolute path, and its arguments.
        log: File that standard output and error are appended to.
        ledger: Where each start is recorded before the program begins.
        environment: Variables set beside the driver's.
        tied: Whether the kernel kills the program when the thread that called ``start`` ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        ledger: Ledger,
        environment: Mapping[str, str] | None = None,
        tied: bool = True,
    ) -> None:
        self.name = name
        self.command = tuple(str(part) for part in command)
        self.log = log
        self._ledger = ledger
        self._environment = dict(environment or {})
        self._tied = tied
        self._child: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def pid(self) -> int | None:
        """Its pid, None when it does not run."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended. A paused program runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status of its last run, None while it runs or before it ever did; negative when a signal ended it."""
        return self._child.poll() if self._child is not None else None

    def start(self) -> None:
        """Starts the program; returns once it is recorded, not once it is ready.

        Raises:
            ControlPlaneError: it already runs.
        """
        if self.running:
            raise ControlPlaneError(f"{self.name} already runs")
        mode = "tied" if self._tied else "free"
        launcher = [sys.executable, "-I", "-S", str(_LAUNCH), mode, str(os.getpid())]
        with self.log.open("ab") as log:
            self._log_offset = log.tell()
            child = subprocess.Popen(
                [*launcher, *self.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        assert child.stdin is not None  # noqa: S101 - asked for above
        self._child = child
        with child.stdin:
            self._ledger.add(self.name, child.pid)
            child.stdin.write(b"g")

    async def stop(self, *, grace: float = 10.0) -> None:
        """Ends the program: SIGTERM, then SIGKILL after ``grace`` seconds. Does nothing when it does not run."""
        if not self.running:
            return
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a paused program would not act on SIGTERM
        if not await self._ended(grace):
            await self.kill()

    async def kill(self) -> None:
        """Ends the program with SIGKILL, without any chance to say goodbye to its clients."""
        self._signal(signal.SIGKILL)
        if not await self._ended(30.0):
            raise ControlPlaneError(f"{self.name} survives SIGKILL")

    def pause(self) -> None:
        """Freezes the program: its sockets stay open and nothing answers on them."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undoes ``pause``."""
        self._signal(signal.SIGCONT)

    def check_running(self) -> None:
        """Raises when the program has ended.

        Raises:
            PortTakenError: its log says that the address was in use.
            ComponentExitedError: any other end.
        """
        if self.running:
            return
        status = None if self._child is None else self._child.returncode
        tail = self.log_tail(since_start=True)
        kind = PortTakenError if any(sign in tail for sign in _TAKEN) else ComponentExitedError
        raise kind(f"{self.name} ended with status {status}; its log {self.log} ends with:\n{tail}")

    def log_tail(self, lines: int = 40, *, since_start: bool = False) -> str:
        """The last ``lines`` lines of the log; with ``since_start`` only of the run begun last."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(size - 400 * lines, self._log_offset if since_start else 0))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)  # polls first: never reaches a process that inherited the pid

    async def _ended(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self.running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL)
        return True
