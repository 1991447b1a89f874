"""The state file ends what it recorded and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hack.controlplane.errors import StateError
from hack.controlplane.state import Ledger, Record, boot_id, end, is_alive, start_ticks

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
OBEDIENT = "import signal; print('up', flush=True); signal.pause()"


class Sleeper:
    """A process of this test that waits for a signal."""

    def __init__(self, script: str = OBEDIENT) -> None:
        command = [sys.executable, "-I", "-S", "-c", script]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - this interpreter
        assert self._child.stdout is not None
        with self._child.stdout as output:
            assert output.readline() == b"up\n"
        self.pid = self._child.pid

    def status(self) -> int | None:
        return self._child.poll()

    def reap(self) -> None:
        self._child.kill()
        self._child.wait()


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    child = Sleeper()
    yield child
    child.reap()


def _record(pid: int) -> Record:
    started = start_ticks(pid)
    assert started is not None
    return Record(name="x", pid=pid, started=started, boot=boot_id())


def test_a_recorded_process_is_ended(tmp_path: Path, sleeper: Sleeper) -> None:
    ledger = Ledger(tmp_path)
    ledger.add("x", sleeper.pid)
    assert ledger.end_all() == ("x",)
    assert sleeper.status() == -signal.SIGTERM
    assert not ledger.path.exists()


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another boot"}])
def test_a_process_that_got_the_pid_later_is_spared(sleeper: Sleeper, change: dict[str, int | str]) -> None:
    stale = msgspec.structs.replace(_record(sleeper.pid), **change)
    assert not is_alive(stale)
    assert end(stale) is False
    assert sleeper.status() is None


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = Sleeper(STUBBORN)
    assert end(_record(stubborn.pid), grace=0.1)
    assert stubborn.status() == -signal.SIGKILL


def test_a_paused_process_is_ended(sleeper: Sleeper) -> None:
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert end(_record(sleeper.pid))
    assert sleeper.status() == -signal.SIGTERM


def test_a_process_that_has_ended_is_not_alive_even_before_it_is_reaped(sleeper: Sleeper) -> None:
    record = _record(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # ended, left as a zombie
    assert not is_alive(record)
    assert end(record) is False


def test_what_was_started_last_is_ended_first(tmp_path: Path) -> None:
    children = {name: Sleeper() for name in ("etcd", "kube-apiserver", "kwok")}
    ledger = Ledger(tmp_path)
    for name, child in children.items():
        ledger.add(name, child.pid)
    assert [record.name for record in ledger.alive()] == list(children)
    assert ledger.end_all() == ("kwok", "kube-apiserver", "etcd")
    for child in children.values():
        child.reap()


def test_a_restarted_component_replaces_its_record_only_when_the_old_one_ended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, second = Sleeper(), Sleeper()
    try:
        ledger.add("x", first.pid)
        with pytest.raises(StateError, match="already runs"):
            ledger.add("x", second.pid)
        first.reap()
        ledger.add("x", second.pid)
        assert [record.pid for record in ledger.records()] == [second.pid]
    finally:
        first.reap()
        second.reap()


def test_a_process_that_is_gone_cannot_be_recorded(tmp_path: Path, sleeper: Sleeper) -> None:
    sleeper.reap()
    with pytest.raises(StateError, match="ended before it was recorded"):
        Ledger(tmp_path).add("x", sleeper.pid)


def test_an_empty_folder_has_no_processes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none")
    assert ledger.records() == ()
    assert ledger.end_all() == ()
    assert ledger.kubeconfig() == ""


@pytest.mark.parametrize("text", ["", "[]", '{"processes": [{"pid": "seven"}]}'])
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    ledger = Ledger(tmp_path)
    ledger.path.write_text(text)
    with pytest.raises(StateError, match="no state file"):
        ledger.records()


def test_start_time_is_read_past_an_odd_program_name() -> None:
    own = start_ticks(os.getpid())
    assert own is not None
    assert own > 0
    assert start_ticks(2**22 + 1) is None
