"""What a log line looks like, and what never gets into one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
import structlog

from rbgctrl.runtime.logs import REDACTED, LogOptions, configure, redact


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def now() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def fail(error: Exception) -> NoReturn:
    raise error


class Output(io.TextIOWrapper):
    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, write_through=True)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.bytes.getvalue().splitlines()]


def configured(**options: Any) -> Output:
    output = Output()
    configure(LogOptions(cache=False, **options), stream=output, now=now)
    return output


def test_a_json_line_begins_with_when_how_bad_and_what() -> None:
    output = configured()
    with structlog.contextvars.bound_contextvars(request="default/llm"):
        structlog.get_logger().info("applied", writes=3)
    assert output.lines == [
        {
            "ts": "2026-01-02T03:04:05.678901Z",
            "level": "info",
            "event": "applied",
            "writes": 3,
            "request": "default/llm",
        }
    ]
    assert list(output.lines[0])[:3] == ["ts", "level", "event"]


def test_levels_below_the_chosen_one_are_not_written() -> None:
    output = configured(level="warning")
    logger = structlog.get_logger()
    logger.info("no")
    logger.warning("yes")
    assert [line["event"] for line in output.lines] == ["yes"]


def test_exceptions_are_one_field_of_one_line() -> None:
    output = configured()
    try:
        fail(ValueError("boom"))
    except ValueError as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", exc_info=error)
    for line in output.lines:
        assert "ValueError: boom" in line["exception"]
        assert "Traceback" in line["exception"]


def test_what_json_cannot_say_becomes_text() -> None:
    output = configured()
    structlog.get_logger().info("odd", value=object, key={1: {2}}, path=now())
    assert output.lines[0]["value"] == "<class 'object'>"
    assert output.lines[0]["key"] == {"1": [2]}


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "Authorization",
        "bearerToken",
        "bearer_token",
        "password",
        "client-key-data",
        "clientKeyData",
        "api_key",
        "secret",
        "id-token",
        "Cookie",
        "private_key",
    ],
)
def test_values_under_telling_names_are_blanked_wherever_they_are(key: str) -> None:
    event = redact(None, "info", {"event": "x", key: "s3cret", "deep": {"a": [{key: "s3cret"}]}})
    assert event[key] == REDACTED
    assert "s3cret" not in str(event)


@pytest.mark.parametrize("key", ["tokens_seen", "secret_name", "keys", "author", "passing", "request"])
def test_names_that_only_sound_alike_are_kept(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "value"})[key] == "value"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh.ijklmnop",
        "sent basic dXNlcjpwYXNzd29yZA==",
        "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl back",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdefgh.ijklmnop\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_tokens_and_keys_inside_text_are_blanked(text: str) -> None:
    output = configured()
    structlog.get_logger().info(text, error=ValueError(text), words=[text])
    try:
        fail(RuntimeError(text))
    except RuntimeError:
        structlog.get_logger().exception("failed")
    written = output.bytes.getvalue().decode()
    for secret in ("abcdefgh.ijklmnop", "dXNlcjpwYXNzd29yZA", "eyJ", "MIIE"):
        assert secret not in written
    assert REDACTED in written


def test_a_structure_that_contains_itself_ends() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert "..." in str(redact(None, "info", {"event": "x", "loop": loop}))


def test_the_standard_library_logs_through_the_same_door() -> None:
    output = configured()
    logging.getLogger("aiohttp.server").error("handler broke: %s", "Bearer abcdefghijkl")
    logging.getLogger("aiohttp.access").info("GET /healthz")
    logging.getLogger("asyncio").warning("slow")
    logging.getLogger("anything").critical("bad")
    assert [(line["logger"], line["level"]) for line in output.lines] == [
        ("aiohttp.server", "error"),
        ("asyncio", "warning"),
        ("anything", "error"),
    ]
    assert "abcdefghijkl" not in output.bytes.getvalue().decode()


def test_standard_library_tracebacks_are_kept() -> None:
    output = configured()
    try:
        fail(KeyError("k"))
    except KeyError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    assert "KeyError: 'k'" in output.lines[0]["exception"]


def test_console_output_is_plain_when_nobody_watches_and_redacted() -> None:
    output = configured(format="console")
    try:
        fail(ValueError("Bearer abcdefghijklmnop"))
    except ValueError:
        structlog.get_logger().exception("failed", token="abcdefghijklmnop")
    text = output.bytes.getvalue().decode()
    assert "failed" in text
    assert "ValueError" in text
    assert "\x1b[" not in text
    assert "abcdefghijklmnop" not in text
