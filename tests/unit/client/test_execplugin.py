"""Real plugin processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from rbgctrl.client import errors
from rbgctrl.client.execplugin import ExecCredentials, ExecPlugin

Started: TypeAlias = "asyncio.Queue[asyncio.subprocess.Process]"

V1 = "client.authentication.k8s.io/v1"
CREDENTIAL = '{"apiVersion": "%s", "kind": "ExecCredential", "status": {"token": "tok"}}' % V1  # noqa: UP031 - JSON is full of braces


def plugin(code: str, *, base: Path = Path(), cluster: dict[str, Any] | None = None, **spec: Any) -> ExecPlugin:
    """A plugin that runs a piece of Python."""
    entry = {"command": sys.executable, "args": ["-c", code], "apiVersion": V1, "interactiveMode": "Never"} | spec
    return ExecPlugin.parse(entry, base=base, cluster=cluster or {}, environ=os.environ)


async def test_a_plugin_prints_a_token() -> None:
    assert await ExecCredentials(plugin(f"print('''{CREDENTIAL}''')")).header() == "Bearer tok"


async def test_a_plugin_gets_its_environment_and_is_told_about_the_cluster_only_if_it_wants() -> None:
    code = "import os; print(os.environ['EXTRA'], os.environ['PATH'], os.environ['KUBERNETES_EXEC_INFO'], sep='\\n')"
    cluster = {"server": "https://x:1"}
    env = [{"name": "EXTRA", "value": "e"}]
    for wants in (False, True):
        output = await plugin(code, cluster=cluster, env=env, provideClusterInfo=wants).run()
        extra, path, info = output.decode().splitlines()
        assert (extra, path) == ("e", os.environ["PATH"])
        spec = {"interactive": False} | ({"cluster": cluster} if wants else {})
        assert json.loads(info) == {"apiVersion": V1, "kind": "ExecCredential", "spec": spec}


async def test_a_failing_plugin_is_a_config_error_with_its_complaint() -> None:
    code = "import sys; print('s3cret'); print('please\\nlog in', file=sys.stderr); sys.exit(3)"
    with pytest.raises(errors.ConfigError, match="ended with status 3: please log in; run it by hand") as caught:
        await plugin(code).run()
    assert "s3cret" not in str(caught.value)


async def test_a_missing_plugin_shows_the_hint_to_install_it() -> None:
    with pytest.raises(errors.ConfigError, match=r"Cannot start the exec plugin no-such-program .* brew install it"):
        await plugin("", command="no-such-program", installHint="brew install it").run()
    with pytest.raises(errors.ConfigError, match="correct its path in the kubeconfig"):
        await plugin("", command="no-such-program").run()


async def test_a_plugin_with_a_relative_path_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "plug"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nprint('beside')\n")
    script.chmod(0o755)
    assert await plugin("", base=tmp_path, command="bin/plug", args=None).run() == b"beside\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The processes a test starts."""
    processes: Started = asyncio.Queue()
    real = asyncio.create_subprocess_exec

    async def start(*args: Any, **kwargs: Any) -> asyncio.subprocess.Process:
        process = await real(*args, **kwargs)
        processes.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    return processes


async def test_a_plugin_that_hangs_is_killed(started: Started) -> None:
    hanging = replace(plugin("import time; time.sleep(600)"), timeout=0.05)
    with pytest.raises(errors.ConfigError, match=r"did not answer within 0\.05 s"):
        await hanging.run()
    assert started.get_nowait().returncode == -signal.SIGKILL


async def test_a_plugin_nobody_waits_for_any_more_is_killed(started: Started) -> None:
    task = asyncio.create_task(plugin("import time; time.sleep(600)").run())
    process = await started.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "printed no ExecCredential"),
        ("tok-s3cret", "printed no ExecCredential"),
        ('{"kind": "ExecCredential"}', "printed no ExecCredential"),
        (CREDENTIAL.replace("/v1", "/v1beta1"), "answered client.authentication.k8s.io/v1beta1 ExecCredential"),
        (CREDENTIAL.replace('"ExecC', '"C'), "set the version it speaks"),
        (CREDENTIAL.replace('"token"', '"x"'), "neither a token nor a certificate"),
        (CREDENTIAL.replace('"token"', '"clientKeyData"'), "neither a token nor a certificate"),
        (CREDENTIAL.replace("}}", ', "expirationTimestamp": "2024-01-01T00:00:00"}}'), "without a time zone"),
    ],
)
async def test_an_answer_that_cannot_be_used_says_why_and_quotes_nothing(output: str, message: str) -> None:
    with pytest.raises(errors.ConfigError, match=message) as caught:
        await ExecCredentials(plugin(f"print({output!r})")).header()
    assert "s3cret" not in str(caught.value)


def test_a_plugin_that_insists_on_a_terminal_is_refused_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(errors.ConfigError, match="wants a terminal"):
        plugin("", interactiveMode="Always")


def test_secrets_of_a_plugin_are_not_in_its_repr() -> None:
    assert "s3cret" not in repr(plugin("", env=[{"name": "PASSWORD", "value": "s3cret"}]))
