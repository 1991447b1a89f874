"""A program starts only once it is recorded, logs to its file, and cannot outlive its driver."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hack.controlplane.errors import ComponentExitedError, ControlPlaneError, PortTakenError
from hack.controlplane.process import Process
from hack.controlplane.state import Ledger, end, is_alive
from hack.controlplane.waiting import eventually

LAUNCH = Path(__file__).parents[3] / "hack" / "controlplane" / "launch.py"
PYTHON = (sys.executable, "-I", "-S", "-c")
FOREVER = "import signal; print('up', flush=True); signal.pause()"
CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
async def forever(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process("forever", [*PYTHON, FOREVER], log=tmp_path / "log", ledger=Ledger(tmp_path))
    process.start()
    await eventually(lambda: "up" in process.log_tail())
    yield process
    await process.stop(grace=0.0)


async def test_a_started_program_is_recorded_and_its_output_is_in_the_log(forever: Process, tmp_path: Path) -> None:
    [record] = Ledger(tmp_path).alive()
    assert (record.name, record.pid) == ("forever", forever.pid)
    assert forever.log_tail() == "up"


async def test_a_program_is_not_started_twice_and_can_be_started_again(forever: Process) -> None:
    with pytest.raises(ControlPlaneError, match="already runs"):
        forever.start()
    first = forever.pid
    await forever.kill()
    assert forever.pid is None
    forever.start()
    assert forever.pid not in {None, first}


async def test_a_paused_program_is_stopped_all_the_same(forever: Process) -> None:
    forever.pause()
    await forever.stop()
    assert not forever.running


@pytest.mark.parametrize(
    ("says", "error"),
    [("listen tcp 127.0.0.1:1: bind: address already in use", PortTakenError), ("no", ComponentExitedError)],
)
async def test_the_end_of_a_program_tells_its_reason(tmp_path: Path, says: str, error: type[Exception]) -> None:
    script = f"raise SystemExit({says!r})"
    process = Process("short", [*PYTHON, script], log=tmp_path / "log", ledger=Ledger(tmp_path))
    process.start()
    await eventually(lambda: not process.running)
    with pytest.raises(ComponentExitedError, match=says) as raised:
        process.check_running()
    assert type(raised.value) is error


async def test_the_reason_is_taken_from_the_last_run_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("address already in use\n")
    process = Process("short", [*PYTHON, "raise SystemExit(3)"], log=tmp_path / "log", ledger=Ledger(tmp_path))
    process.start()
    await eventually(lambda: not process.running)
    with pytest.raises(ComponentExitedError, match="status 3") as raised:
        process.check_running()
    assert type(raised.value) is ComponentExitedError


def test_a_program_never_begins_when_its_driver_dies_before_recording_it(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    command = [sys.executable, "-I", "-S", str(LAUNCH), "free", "0", sys.executable, "-c", f"open({str(mark)!r}, 'w')"]
    done = subprocess.run(command, input=b"", check=True)  # noqa: S603 - a closed pipe, as a dead driver leaves it
    assert done.returncode == 0
    assert not mark.exists()


def _driver(tmp_path: Path, *, tied: bool) -> subprocess.Popen[bytes]:
    script = (
        "import signal, sys, pathlib\n"
        "from hack.controlplane.process import Process\n"
        "from hack.controlplane.state import Ledger\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        f"Process('p', {[*PYTHON, FOREVER]!r}, log=folder / 'log', ledger=Ledger(folder), tied={tied}).start()\n"
        "signal.pause()\n"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=CHECKOUT)  # noqa: S603 - this interpreter


async def _kill_driver(tmp_path: Path, *, tied: bool) -> None:
    driver = _driver(tmp_path, tied=tied)
    log = tmp_path / "log"
    await eventually(lambda: log.exists() and "up" in log.read_text())
    driver.kill()
    driver.wait()


async def test_a_tied_program_dies_with_its_driver(tmp_path: Path) -> None:
    await _kill_driver(tmp_path, tied=True)
    [record] = Ledger(tmp_path).records()
    await eventually(lambda: not is_alive(record), 10.0)


async def test_a_free_program_outlives_its_driver_and_can_still_be_ended(tmp_path: Path) -> None:
    await _kill_driver(tmp_path, tied=False)
    [record] = Ledger(tmp_path).alive()
    assert end(record)
    assert not is_alive(record)
