"""What every test on the embedded cluster gets: readable, cheap logs, and promises that are checked all along."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from rbgctrl.sim.checks import ride_along

pytest.register_assert_rewrite(
    "e2e.test_group", "e2e.test_groupset", "e2e.test_instances", "e2e.test_roles", "e2e.test_warmup", "sim.support"
)


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
