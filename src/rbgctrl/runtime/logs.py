"""Logging: structlog, one JSON object a line or coloured text, with everything that looks like a secret taken out.

Configured once, by whoever owns the process. A library user who configures structlog himself calls nothing here.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

from rbgctrl.clock import Now, rfc3339_micro, utcnow

__all__ = ["LogOptions", "configure", "redact"]

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:token|authorization|password|passwd|secret|cookie|credentials?|private_?key|client_?key(?:_?data)?|"
    r"api_?key|bearer)$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_TEXT = re.compile(
    r"(?i:(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,})"  # an Authorization header's value
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"  # a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """How the process logs.

    Attributes:
        level: least level written. Default ``info``.
        format: ``json``, or ``console`` for people. Default ``json``.
        cache: remember each logger's configuration at its first use: faster, and final. Default True.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"
    cache: bool = True


def configure(options: LogOptions | None = None, *, stream: TextIO | None = None, now: Now = utcnow) -> None:
    """Set up structlog and send the standard library's logging through it.

    Args:
        options: level and format.
        stream: where to; default standard error.
        now: wall clock for ``ts``.
    """
    options = options or LogOptions()
    stream = stream if stream is not None else sys.stderr
    level = _LEVELS[options.level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _Timestamp(now),
        structlog.processors.format_exc_info,  # before redact: tracebacks quote messages
        redact,
    ]
    factory: Any
    rest: list[Processor]
    if options.format == "json":
        rest = [_ordered, structlog.processors.JSONRenderer(serializer=_dumps)]
        factory = structlog.BytesLoggerFactory(stream.buffer)
    else:
        show = structlog.dev.plain_traceback  # a fancier one would print local variables
        rest = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=show, timestamp_key="ts")]
        factory = structlog.WriteLoggerFactory(stream)
    structlog.configure(
        processors=[*shared, *rest],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        context_class=dict,
        cache_logger_on_first_use=options.cache,
    )
    _adopt_stdlib(level)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor that blanks values under telling names, and tokens and keys inside any text."""
    for key, value in event.items():
        event[key] = REDACTED if _telling(key) and value else _clean(value)
    return event


def _telling(key: object) -> bool:
    if not isinstance(key, str):
        return False
    return _SECRET_KEY.search(_CAMEL.sub("_", key).lower().replace("-", "_")) is not None


def _clean(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(lambda found: (found["scheme"] or "") + REDACTED, value)
    if depth >= 8:  # deeper than anything we log; a loop, perhaps
        return "..."
    if isinstance(value, Mapping):
        return {key: REDACTED if _telling(key) and item else _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, BaseException):
        return _clean(f"{type(value).__name__}: {value}")
    return value


class _Timestamp:
    def __init__(self, now: Now) -> None:
        self._now = now

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["ts"] = rfc3339_micro(self._now())
        return event


def _ordered(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """When, how bad, what; then the rest: lines are read by people, too."""
    first = {name: event.pop(name) for name in ("ts", "level", "event") if name in event}
    return {**first, **event}


def _dumps(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


class _Forward(logging.Handler):
    """Hands records of the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = structlog.get_logger(record.name)
            level = max(logging.DEBUG, min(record.levelno, logging.ERROR))
            level -= level % 10  # structlog knows the named levels only
            logger.log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)
        except Exception:  # noqa: BLE001 - as every handler: logging must not raise
            self.handleError(record)


def _adopt_stdlib(level: int) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_Forward())
    root.setLevel(level)
    # One line for each request belongs to an access log, and we keep none.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(max(level, logging.INFO))
