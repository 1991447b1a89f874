"""The state file of a cluster: which processes belong to it, told apart from later ones with the same pid.

A process is named by pid, start time and boot: pids come back, start times within one boot do not. Signals go
through a pidfd opened before the check, so a process that ends in between cannot be mistaken for another.
"""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

import msgspec

from hack.controlplane.errors import StateError, UnsupportedError

__all__ = ["Ledger", "Record", "boot_id", "end", "is_alive", "start_ticks"]

_FILE = "state.json"
_PROC = Path("/proc")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One started process. ``started`` is its start time in clock ticks since boot."""

    name: str
    pid: int
    started: int
    boot: str


class _State(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    kubeconfig: str = ""
    processes: tuple[Record, ...] = ()


def boot_id() -> str:
    """The identity of this boot of the machine.

    Raises:
        UnsupportedError: the system has no ``/proc``.
    """
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError as error:
        raise UnsupportedError("the control plane needs Linux with /proc") from error


def start_ticks(pid: int) -> int | None:
    """Start time of ``pid`` in clock ticks since boot; None when there is no such process or it is a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name, in parentheses, may itself hold blanks and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def is_alive(record: Record) -> bool:
    """Whether the very process of ``record`` still runs."""
    return record.boot == boot_id() and start_ticks(record.pid) == record.started


def end(record: Record, *, grace: float = 10.0) -> bool:
    """Ends the process of ``record``, and no other that has got its pid since.

    Args:
        record: The process.
        grace: Seconds between SIGTERM and SIGKILL.

    Returns:
        False when it had already ended.
    """
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(record):
            return False
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 30.0)):
            signal.pidfd_send_signal(handle, number)
            signal.pidfd_send_signal(handle, signal.SIGCONT)  # a stopped process would not act on SIGTERM
            if _ended(handle, record, patience):
                return True
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)
    raise StateError(f"{record.name} (pid {record.pid}) does not end")


def _ended(handle: int, record: Record, patience: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)  # readable once the process has ended, also when it is not our child
    deadline = time.monotonic() + patience
    while is_alive(record):
        rest = deadline - time.monotonic()
        if rest <= 0:
            return False
        poll.poll(rest * 1000)
    return True


class Ledger:
    """The state file in ``folder``, rewritten as a whole on each change.

    Raises:
        StateError: (every method that reads) the file is there but is not ours.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE

    def kubeconfig(self) -> str:
        """The admin's kubeconfig of the cluster; empty until its API server was ready."""
        return self._read().kubeconfig

    def set_kubeconfig(self, path: Path) -> None:
        """Marks the cluster as up."""
        self._write(msgspec.structs.replace(self._read(), kubeconfig=str(path)))

    def records(self) -> tuple[Record, ...]:
        """The processes, in the order they were started."""
        return self._read().processes

    def alive(self) -> tuple[Record, ...]:
        """The processes that still run."""
        return tuple(record for record in self.records() if is_alive(record))

    def add(self, name: str, pid: int) -> Record:
        """Records a process just started; one of the same name that has ended is replaced.

        Raises:
            StateError: there is no process ``pid``, or the earlier one of that name still runs.
        """
        started = start_ticks(pid)
        if started is None:
            raise StateError(f"{name} (pid {pid}) ended before it was recorded")
        state = self._read()
        if any(r.name == name and is_alive(r) for r in state.processes):
            raise StateError(f"{name} already runs in {self.path.parent}")
        record = Record(name=name, pid=pid, started=started, boot=boot_id())
        rest = tuple(r for r in state.processes if r.name != name)
        self._write(msgspec.structs.replace(state, processes=(*rest, record)))
        return record

    def end_all(self, *, grace: float = 10.0) -> tuple[str, ...]:
        """Ends the recorded processes, last started first, and forgets them. Returns the names of those that ran."""
        ended = tuple(record.name for record in reversed(self.records()) if end(record, grace=grace))
        self.path.unlink(missing_ok=True)
        return ended

    def _read(self) -> _State:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_State)
        except FileNotFoundError:
            return _State()
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise StateError(f"{self.path} is no state file of a control plane: {error}") from error

    def _write(self, state: _State) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2))
        fresh.rename(self.path)
