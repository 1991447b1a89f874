"""The parts of the demo that need no cluster; the whole of it is played end to end elsewhere."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rbgctrl.cli import main
from rbgctrl.cli.demo import checkout, play, tied
from rbgctrl.cli.demo.board import PlainBoard, TerminalBoard
from rbgctrl.cli.demo.child import Daemon, health_port
from rbgctrl.cli.errors import CliError
from rbgctrl.cli.summary import summarize
from rbgctrl.cli.views import GroupView
from unit.cli.scene import graph

ROOT = Path(__file__).parents[3]
SERVING = b'{"event":"serving","what":"health","port":4711}\n'


# Where it can be played -----------------------------------------------------------------------------------------------


def test_the_checkout_is_found_from_anywhere_inside_it() -> None:
    assert checkout.find([ROOT / "tests" / "unit"]) == ROOT
    assert checkout.find() == ROOT


def test_an_installed_package_says_where_the_demo_is(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="make demo ARGS='--cluster real'") as caught:
        checkout.find([tmp_path])
    assert caught.value.code == 2


def test_a_cluster_that_does_not_exist_is_a_mistake_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--cluster", "imaginary"]) == 2
    assert "choose --cluster embedded or --cluster real" in capsys.readouterr().err


def test_the_example_is_one_group_with_prefill_decode_and_a_router() -> None:
    manifest = play._example(checkout.example())
    assert {role["name"] for role in manifest["spec"]["roles"]} == {"prefill", "decode", "router"}


@pytest.mark.parametrize("text", ["", "kind: Pod\n", "kind: RoleBasedGroup\n---\nkind: RoleBasedGroup\n"])
def test_an_example_that_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="must hold one RoleBasedGroup"):
        play._example(text)


def test_the_example_goes_into_the_package_where_it_is_looked_for() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    inside = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert inside == {str(checkout.EXAMPLE): f"rbgctrl/cli/demo/{checkout.EXAMPLE.name}"}


# The daemon's process -------------------------------------------------------------------------------------------------


def test_the_port_of_the_probes_is_read_from_the_log() -> None:
    assert health_port(b"") is None
    assert (
        health_port(b'Traceback\n{"event":"serving","what":"metrics","port":1}\n' + SERVING + b'{"event":"se') == 4711
    )


class _Fake(Daemon):
    """A daemon that is a few lines of shell."""

    def __init__(self, folder: Path, script: str) -> None:
        super().__init__(folder / "kubeconfig", folder / "daemon.log")
        self.command = ("/bin/sh", "-c", script)


def test_the_daemon_is_rbgctrl_run_by_this_interpreter(tmp_path: Path) -> None:
    command = Daemon(tmp_path / "config", tmp_path / "log").command
    assert command[:4] == (sys.executable, "-m", "rbgctrl", "run")
    assert "--leader-elect" in command


async def test_a_daemon_that_ends_is_reported_with_what_it_said_last(tmp_path: Path) -> None:
    (tmp_path / "daemon.log").write_bytes(b"of an earlier demo\n" + SERVING)
    daemon = _Fake(tmp_path, "echo cannot start; exit 2")
    await daemon.start()
    with pytest.raises(CliError, match="ended with exit code 2") as caught:
        await daemon.wait_ready(30)
    assert "cannot start" in str(caught.value)
    assert "earlier" not in str(caught.value)


async def test_a_daemon_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    daemon = _Fake(tmp_path, "exec sleep 60")
    await daemon.start()
    with pytest.raises(CliError, match=r"is not ready after 0\.01 s"):
        await daemon.wait_ready(0.01)
    assert daemon.pid is not None
    await daemon.stop()
    assert daemon.pid is None


async def test_the_end_of_the_daemon_ends_what_runs_beside_it(tmp_path: Path) -> None:
    daemon = _Fake(tmp_path, "exit 3")
    await daemon.start()
    with pytest.raises(CliError, match="ended with exit code 3"):
        async with play._alive(daemon):
            await asyncio.Event().wait()


async def test_what_runs_beside_the_daemon_may_end_first(tmp_path: Path) -> None:
    daemon = _Fake(tmp_path, "exec sleep 60")
    await daemon.start()
    async with play._alive(daemon):
        pass
    await daemon.stop()
    await daemon.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_a_program_ends_with_whoever_started_it() -> None:
    sleep = shutil.which("sleep") or "/bin/sleep"
    code = (
        "import subprocess, sys, os\n"
        f"child = subprocess.Popen([sys.executable, {tied.__file__!r}, str(os.getpid()), {sleep!r}, '60'])\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this interpreter
    with parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        poll = select.poll()
        poll.register(child, select.POLLIN)  # readable once it has ended
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert poll.poll(30_000)
        os.close(child)


def test_a_program_whose_parent_is_gone_already_never_starts(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = [sys.executable, tied.__file__, "1", shutil.which("touch") or "/bin/touch", str(touched)]
    if os.getppid() != 1:
        subprocess.run(command, check=True)  # noqa: S603 - this interpreter
        assert not touched.exists()


# What is shown --------------------------------------------------------------------------------------------------------


def _view() -> GroupView:
    return summarize(graph(), {})


def _clock() -> Any:
    return iter((10.0, 12.5)).__next__


def test_plain_progress_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainBoard(_clock()) as board:
        with board.step("CRDs"):
            pass
        board.roles(_view())
        board.roles(_view())
    assert board.times == {"CRDs": 2.5}
    assert capsys.readouterr().out.splitlines() == [
        "CRDs: 2.5 s",
        "  router: 1 of 1 pods ready, 1 of 1 instances",
        "  prefill: 2 of 4 pods ready, 1 of 2 instances",
        "  decode: waits for prefill",
    ]


def test_a_step_that_fails_is_not_shown_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    board = PlainBoard(_clock())
    with pytest.raises(CliError), board.step("CRDs"):
        raise CliError("no")
    assert capsys.readouterr().out == ""
    assert board.times == {}


def test_progress_on_a_terminal_shows_steps_and_bars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with TerminalBoard(_clock()) as board:
        with board.step("CRDs"):
            pass
        board.roles(_view())
    out = capsys.readouterr().out
    for text in ("CRDs", "2.5 s", "prefill", "waits for prefill", "2 of 4 pods ready"):
        assert text in out


# Ending ---------------------------------------------------------------------------------------------------------------


async def test_a_signal_cancels_the_demo_and_names_the_exit_code() -> None:
    async def play_on() -> int:
        with play._Ending() as ending:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return ending.code
        return 0

    assert await asyncio.create_task(play_on()) == 128 + signal.SIGTERM


async def test_a_signal_while_the_demo_is_kept_is_its_regular_end() -> None:
    with play._Ending() as ending:
        waiting = asyncio.ensure_future(ending.wait())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await waiting
        assert ending.number is signal.SIGINT
