"""Help teaches, start-up is light, and flags are the daemon's settings."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

import pytest

from rbgctrl.cli import main
from rbgctrl.cli.run import run
from rbgctrl.daemon.settings import Settings, parse_duration

COMMANDS = ("run", "tree", "crds", "demo", "version")
HEAVY = ("kubernetes_asyncio", "aiohttp", "uvloop", "structlog", "prometheus_client", "tenacity", "rich", "yaml")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["tree", "--help"], ["version"], ["-h"]])
def test_nothing_heavy_is_loaded_to_say_what_one_is(arguments: list[str]) -> None:
    code = f"import sys; from rbgctrl.cli import main; main({arguments!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - this interpreter
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "typer" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_lists_every_command_and_a_way_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Start here:" in out
    for command in COMMANDS:
        assert f"  {command} " in out


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    captured = capsys.readouterr()
    assert "Start here:" in captured.out + captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Usage: rbgctrl " + command in out
    assert out.isascii()


def test_examples_in_help_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tree", "--help"])
    assert "      rbgctrl tree llm -n inference       one of them, down to its nodes\n" in capsys.readouterr().out


def test_the_flags_of_run_come_in_sections(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])
    out = capsys.readouterr().out
    titles = [line.removesuffix(":") for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        *("Which cluster", "What is managed", "Metrics and health", "Webhooks", "Several replicas", "Pace"),
        *("Logs and process", "Options"),
    ]


def test_on_a_terminal_help_is_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["run", "--help"]) == 0
    assert "Which cluster" in capsys.readouterr().out


def test_run_has_one_flag_for_each_setting_with_the_same_default() -> None:
    flags = inspect.signature(run).parameters
    assert set(flags) == set(Settings.model_fields)
    written = {name: flag.default for name, flag in flags.items()}
    written["namespaces"] = tuple(written["namespaces"] or ())
    written["enable_webhooks"] = written["enable_webhooks"] or "none"  # outside a pod
    written["cache_sync_timeout"] = parse_duration(written["cache_sync_timeout"])
    assert written == {name: field.default for name, field in Settings.model_fields.items()}


def test_every_flag_of_run_has_help() -> None:
    for name, hint in typing.get_type_hints(run, include_extras=True).items():
        if name != "return":
            (option,) = hint.__metadata__
            assert option.help, name
