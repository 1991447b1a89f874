"""What every test on the embedded cluster gets: readable, cheap logs, and promises that are checked all along."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from rbgctrl.sim.checks import ride_along

E2E = Path(__file__).parents[1] / "e2e"

pytest.register_assert_rewrite("sim.support", *(f"e2e.{path.stem}" for path in E2E.glob("test_*.py")))


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _promises() -> Iterator[None]:
    """Event order, barrier, overlaps and numbers of children, whatever the test itself is about."""
    with ride_along() as riding:
        yield
    riding.verify()


@pytest.fixture
def quiet() -> None:
    """No logs at all, for tests of a hundred runs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the crash matrices consisted of."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == "matrix":
                terminalreporter.write_line(f"matrix: {value}")
