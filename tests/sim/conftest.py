"""Logs of tests on the embedded cluster: readable, and cheap enough for a simulated day."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

pytest.register_assert_rewrite("e2e.test_group", "sim.support")


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield
    structlog.reset_defaults()
