"""From an HTTP status and its body to the one error class of that condition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from rbgctrl.client import errors
from rbgctrl.client.errors import ApiStatusError

__all__ = ["Status", "class_of", "decode_status", "error_for"]

_BY_STATUS: dict[int, type[ApiStatusError]] = {
    400: errors.BadRequestError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    409: errors.ConflictError,
    410: errors.GoneError,
    413: errors.RequestTooLargeError,
    415: errors.UnsupportedMediaTypeError,
    422: errors.InvalidError,
    429: errors.TooManyRequestsError,
    503: errors.UnavailableError,
    504: errors.ServerTimeoutError,
}
_LONGEST_WAIT = 3600.0
_TEXT_SHOWN = 200
_INVISIBLE = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<[^>]*>|[\x00-\x20\x7f-\x9f]+")
_TOKEN_LIKE = re.compile(r"(?i)\b(bearer|basic)\s+\S+|[A-Za-z0-9+/_=.~-]{24,}")


class _Cause(msgspec.Struct, frozen=True, gc=False):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    causes: tuple[_Cause, ...] | None = None
    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True, gc=False):
    """``metav1.Status``: how the server reports failures and some successes."""

    kind: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    code: int = 0
    details: _Details | None = None

    @property
    def causes(self) -> tuple[str, ...]:
        """Reasons of ``details.causes``."""
        causes = (self.details.causes if self.details else None) or ()
        return tuple(cause.reason for cause in causes if cause.reason)

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of ``details.causes``."""
        causes = (self.details.causes if self.details else None) or ()
        return tuple(cause.field for cause in causes if cause.field)

    @property
    def retry_after(self) -> float | None:
        """Seconds of ``details.retryAfterSeconds``; None when the server did not ask to wait."""
        seconds = self.details.retry_after_seconds if self.details else 0
        return min(seconds, _LONGEST_WAIT) if seconds > 0 else None


_decoder = msgspec.json.Decoder(Status)


def decode_status(body: bytes | bytearray | msgspec.Raw) -> Status | None:
    """``body`` as a ``Status`` object, or None when it is anything else."""
    try:
        status = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return status if status.kind == "Status" else None


def error_for(code: int, body: bytes, headers: Mapping[str, str], *, what: str = "") -> ApiStatusError:
    """The error for an answer with status ``code`` >= 400.

    Args:
        code: HTTP status.
        body: as received; a ``Status`` object, or whatever a proxy in between wrote.
        headers: of the answer; ``Retry-After`` in seconds or as a date is understood.
        what: the request in words, e.g. ``delete Pod ns/a``; starts the message.
    """
    wait = _retry_after(headers)
    status = decode_status(body)
    if status is None:
        return class_of(code)(code, "", _readable(body), retry_after=wait, what=what)
    wait = status.retry_after if wait is None else wait
    cls = class_of(code, status.reason)
    return cls(
        code, status.reason, status.message, causes=status.causes, fields=status.fields, retry_after=wait, what=what
    )


def class_of(code: int, reason: str = "") -> type[ApiStatusError]:
    """The error class of a status code; ``reason`` tells the two kinds of 409 apart."""
    if code == 409 and reason == "AlreadyExists":
        return errors.AlreadyExistsError
    if code >= 500:
        return _BY_STATUS.get(code, errors.InternalServerError)
    return _BY_STATUS.get(code, ApiStatusError)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        # A date is compared with the server's own, so that our clock does not matter.
        wait = float(text) if text[0].isdigit() else _between(headers["Date"], text)
    except (KeyError, ValueError, TypeError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _between(start: str, end: str) -> float:
    return (parsedate_to_datetime(end) - parsedate_to_datetime(start)).total_seconds()


def _readable(body: bytes) -> str:
    text = _INVISIBLE.sub(" ", body[:4096].decode("utf-8", "replace"))
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))
    text = _TOKEN_LIKE.sub("[removed]", text)
    return text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"
