"""Logs of the libraries while a person looks at the output: none, unless asked for."""

from __future__ import annotations

import logging
import sys

import structlog

__all__ = ["configure"]


def configure(*, debug: bool) -> None:
    """Send logs to standard error: all with ``debug``, else none, since the command itself shows what matters."""
    level = logging.DEBUG if debug else logging.CRITICAL
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=level, force=True)
