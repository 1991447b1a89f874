"""Every case runs on every server: two forms of the embedded one, and the real one (marked ``e2e``)."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from contract.support.api import Api
from contract.support.backends import Backend, Embedded, EmbeddedHttp, Real
from contract.support.cases import Together

_REAL = (pytest.mark.e2e, pytest.mark.timeout(240.0, func_only=True))  # the first one waits for the cluster's start
_OUTCOMES = "contract"


@pytest.fixture(scope="session", params=["embedded", "embedded-http", pytest.param("real", marks=_REAL)])
def server(request: pytest.FixtureRequest) -> str:
    """Which server."""
    return str(request.param)


@pytest.fixture
def backend(server: str, request: pytest.FixtureRequest) -> Backend:
    """The server to run a case on. Only a real one asks for the control plane."""
    if server == "real":
        return Real(request.getfixturevalue("cluster"))
    return EmbeddedHttp() if server == "embedded-http" else Embedded()


@pytest.fixture
def outcomes(server: str, backend: Backend, request: pytest.FixtureRequest) -> Together:
    """What became of all cases of the module that were selected and share their waiting."""
    cache: dict[tuple[str, str], Together] = request.session.stash.setdefault(_TOGETHER, {})
    key = (server, request.path.name)
    if key not in cache:
        cache[key] = Together(backend, _cases(request.session.items, request.path, server))
    return cache[key]


_TOGETHER = pytest.StashKey[dict[tuple[str, str], Together]]()


def _cases(items: list[pytest.Item], path: Any, server: str) -> dict[str, Callable[[Api], Any]]:
    return {
        item.function.__name__: inspect.unwrap(item.function)
        for item in items
        if isinstance(item, pytest.Function)
        and item.path == path
        and "outcomes" in item.fixturenames
        and item.callspec.params["server"] == server
    }


# -- the count at the end ----------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which case on which server this is, for the count at the end."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "server" in callspec.params:
        where = callspec.params["server"]
        name = item.nodeid.removesuffix(f"[{callspec.id}]") + callspec.id.removeprefix(where)
        item.user_properties.append((_OUTCOMES, (name, where)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases ran, and where they differ."""
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, where in (value for key, value in getattr(report, "user_properties", ()) if key == _OUTCOMES):
                seen[name][where] = outcome
    servers = sorted({server for outcomes in seen.values() for server in outcomes})
    differing = sorted(name for name, outcomes in seen.items() if set(outcomes.values()) != {"passed"})
    same = f"same on {len(servers)} backends ({', '.join(servers)})"
    verdict = f"{len(differing)} differ on {len(servers)} backends ({', '.join(servers)})" if differing else same
    if seen:
        terminalreporter.write_line(f"contract: {len(seen)} cases, {verdict}")
    for name in differing:
        terminalreporter.write_line(f"  {name}: {dict(sorted(seen[name].items()))}")
