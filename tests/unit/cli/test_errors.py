"""Everything that goes wrong becomes one sentence on standard error and an exit code."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rbgctrl.cli import errors, main
from rbgctrl.cli.errors import CliError, explain
from unit.cli.apiserver import ApiServer, api_server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as running:
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "config")))
        yield running


def _one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in captured.err
    return lines[0]


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["tree"]) == 2
    sentence = _one_sentence(capsys)
    assert str(tmp_path) in sentence
    assert "--kubeconfig" in sentence


def test_a_kubeconfig_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", "--kubeconfig", str(tmp_path / "nope")]) == 2
    assert str(tmp_path / "nope") in _one_sentence(capsys)


def test_a_context_that_does_not_exist(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", "--context", "nope"]) == 2
    sentence = _one_sentence(capsys)
    assert "nope" in sentence
    assert "test" in sentence  # the one there is


def test_a_server_that_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        gone = ApiServer(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("KUBECONFIG", str(gone.kubeconfig(tmp_path / "config")))
        assert main(["tree", "llm"]) == 2
        sentence = _one_sentence(capsys)
    assert gone.url.removeprefix("http://") in sentence
    assert "check that it is up" in sentence


def test_a_wrong_token(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures["/"] = (401, "Unauthorized", "Unauthorized")
    assert main(["tree", "llm"]) == 2
    sentence = _one_sentence(capsys)
    assert "does not accept the credentials" in sentence
    assert "Log in again" in sentence
    assert "secret-token" not in sentence


def test_a_missing_right(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    message = 'rolebasedgroups.workloads.x-k8s.io is forbidden: User "nobody" cannot list resource'
    server.failures["/"] = (403, "Forbidden", message)
    assert main(["tree", "llm"]) == 2
    sentence = _one_sentence(capsys)
    assert 'User "nobody" cannot list' in sentence
    assert "Ask an administrator" in sentence


def test_missing_crds(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", "llm"]) == 2
    assert "rbgctrl crds --install" in _one_sentence(capsys)


def test_a_server_that_is_starting(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures["/"] = (503, "ServiceUnavailable", "starting")
    assert main(["tree", "llm"]) == 2
    assert "Try again in a moment" in _one_sentence(capsys)


def test_something_else_that_answers(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures["/"] = (200, "", "an answer, but not the one that was asked for")
    assert main(["tree"]) == 2
    assert "cannot be used" in _one_sentence(capsys)


def test_a_word_that_is_no_command_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["three"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_an_error_nobody_foresaw_is_one_line_and_asks_for_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.python_version", _fail)
    assert main(["version"]) == 1
    sentence = _one_sentence(capsys)
    assert "RuntimeError: first line second line" in sentence
    assert "rbgctrl --debug" in sentence


def test_debug_shows_where_it_came_from(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("platform.python_version", _fail)
    assert main(["--debug", "version"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "in _fail" in error


def _fail() -> str:
    raise RuntimeError("first line\nsecond line")


def test_ctrl_c_is_exit_code_130_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("platform.python_version", interrupt)
    assert main(["version"]) == 130
    assert capsys.readouterr().err == ""


def test_a_group_of_explained_errors_is_explained_by_its_first() -> None:
    found = explain(ExceptionGroup("", [CliError("first", code=1), ExceptionGroup("", [CliError("second")])]))
    assert found is not None
    assert (found.message, found.code) == ("first", 1)


def test_a_group_with_a_defect_in_it_is_a_defect() -> None:
    assert explain(ExceptionGroup("", [CliError("first"), ValueError()])) is None


def test_errors_of_the_daemon_are_explained() -> None:
    from rbgctrl.daemon.settings import SettingsError
    from rbgctrl.runtime.probes import ListenError

    listen = explain(ListenError("cannot listen on :8082: Address already in use"))
    settings = explain(SettingsError("--start-port: too large"))
    assert listen is not None
    assert settings is not None
    assert (listen.code, settings.code) == (errors.CONFIGURATION, errors.CONFIGURATION)
    assert "--health-probe-bind-address" in listen.message
    assert "rbgctrl run --help" in settings.message
