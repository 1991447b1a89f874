"""The command line as a user starts it: a process with its own environment."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Done", "command_lines", "rbgctrl", "started"]

_COMMAND = (sys.executable, "-m", "rbgctrl")
_UNSET = ("FORCE_COLOR", "NO_COLOR", "POD_NAMESPACE", "KUBECONFIG")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def _environment(kubeconfig: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    return kept | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig is not None else {})


async def rbgctrl(*arguments: str, kubeconfig: Path | None = None, program: tuple[str, ...] = _COMMAND) -> Done:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(kubeconfig),
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


class Running:
    """A command that is under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.out = ""

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    async def until(self, pattern: str) -> re.Match[str]:
        """Read its output until it matches; the test's own deadline is the deadline."""
        assert self._process.stdout is not None
        while (found := re.search(pattern, self.out, re.MULTILINE)) is None:
            line = await self._process.stdout.readline()
            assert line, f"it ended without saying {pattern!r}; it said:\n{self.out}"
            self.out += line.decode()
        return found

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def end(self, within: float = 60.0) -> int:
        """Read the rest of its output and wait for its end; the exit code, negative when a signal killed it.

        One that does not end is made to say where it stands: its threads' stacks are in the output.
        """
        try:
            async with asyncio.timeout(within):
                await self._read_on()
        except TimeoutError:
            self._process.send_signal(signal.SIGABRT)
            await self._read_on()
            raise AssertionError(f"it did not end within {within:g} s:\n{self.out}") from None
        return await self._process.wait()

    async def _read_on(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(65536):
            self.out += chunk.decode(errors="replace")


@asynccontextmanager
async def started(
    *arguments: str, kubeconfig: Path | None = None, program: tuple[str, ...] = _COMMAND
) -> AsyncIterator[Running]:
    """Start a command whose two outputs are one stream; it is killed if it still runs at the end."""
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # in a background job of a shell; the command would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = await asyncio.create_subprocess_exec(
        *program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(kubeconfig) | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
    )
    running = Running(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await running.end()


def command_lines(word: str) -> list[str]:
    """Command lines of the processes that name ``word``, this one's own excepted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if word in line:
                found.append(line)
    return found
