"""One exception class per condition of talking to the API server.

Every class says who raises it and what the caller can do. Messages never contain request bodies or tokens; of an
answer that is not a ``Status`` object they show at most 200 characters, without what looks like a token.
"""

from __future__ import annotations

from rbgctrl.api.meta import ObjectMeta

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "ApiStatusError",
    "BadRequestError",
    "CertificateError",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ForbiddenError",
    "GoneError",
    "InternalServerError",
    "InvalidError",
    "MethodNotAllowedError",
    "NotFoundError",
    "RequestTooLargeError",
    "ResponseError",
    "ServerTimeoutError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "UndecodableError",
    "UnknownOutcomeError",
    "UnsupportedMediaTypeError",
    "fence_held",
    "outcome_unknown",
]


class ApiError(Exception):
    """Base of everything the client raises."""


class ConfigError(ApiError):
    """No usable configuration was found or it could not be read. Raised while connecting; mend the configuration."""


class ConnectError(ApiError):
    """The server could not be reached, so nothing was written. Safe to repeat any verb.

    Raised before a write was sent, by a read whose answer was lost, and by a watch that broke.

    Attributes:
        reason: a word for logs and metrics: ``dns``, ``refused``, ``connect``, ``proxy``, ``tls``, ``timeout``
            (silence), ``reset`` (the connection broke) or ``closed`` (this client was closed).
    """

    def __init__(self, message: str, *, reason: str = "connect") -> None:
        super().__init__(message)
        self.reason = reason


class CertificateError(ConnectError):
    """TLS failed: the server's certificate is not trusted, or it refused ours. Repeating does not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="tls")


class UnknownOutcomeError(ApiError):
    """A write was sent and its answer was lost: it may or may not have been committed.

    Raised for POST, PATCH, PUT and DELETE when the connection broke or timed out after the request left.
    Read the object before deciding again; the executor does so.
    """


class ResponseError(ApiError):
    """The answer is not what the API promises (HTML from a proxy, truncated JSON, a wrong content type)."""


class UndecodableError(ResponseError):
    """The one object asked for does not decode as its kind; raised by get and by writes (which then were committed).

    Attributes:
        metadata: of the object.
        error: what is wrong and where.
    """

    def __init__(self, message: str, *, metadata: ObjectMeta, error: str) -> None:
        super().__init__(message)
        self.metadata = metadata
        self.error = error


class ApiStatusError(ApiError):
    """The server answered with an HTTP status of 400 or more.

    Attributes:
        status: HTTP status code.
        reason: machine-readable reason of the ``Status`` object, e.g. ``Conflict``; ``""`` when there was none.
        message: the server's sentence, at most 1,000 characters.
        causes: reasons inside ``details.causes``, e.g. ``ResourceVersionTooLarge``.
        fields: the fields that ``details.causes`` are about, e.g. ``spec.replicas``.
        retry_after: seconds the server asked us to wait, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        causes: tuple[str, ...] = (),
        fields: tuple[str, ...] = (),
        retry_after: float | None = None,
        what: str = "",
    ) -> None:
        text = message[:1000] or reason or "no reason given"
        super().__init__(f"{what}: {text} (HTTP {status})" if what else f"{text} (HTTP {status})")
        self.status = status
        self.reason = reason
        self.message = message[:1000]
        self.causes = causes
        self.fields = fields
        self.retry_after = retry_after


class BadRequestError(ApiStatusError):
    """400: the request itself is malformed; a defect of the caller."""


class UnauthorizedError(ApiStatusError):
    """401: the credentials are missing, wrong or expired, and one refresh did not help."""


class ForbiddenError(ApiStatusError):
    """403: RBAC or an admission plugin (a quota, for one) refuses; changing the request or the rights helps."""


class NotFoundError(ApiStatusError):
    """404: no such object, or no such resource (then the CRD is missing)."""


class MethodNotAllowedError(ApiStatusError):
    """405: the resource does not support this verb (an API without watch, for one)."""


class ConflictError(ApiStatusError):
    """409 Conflict: a precondition or resourceVersion did not match; read again and decide again."""


class AlreadyExistsError(ApiStatusError):
    """409 AlreadyExists: a create found the name taken."""


class GoneError(ApiStatusError):
    """410: the resourceVersion or continue token is too old; list again."""


class RequestTooLargeError(ApiStatusError):
    """413: the object is too large to store; make it smaller."""


class UnsupportedMediaTypeError(ApiStatusError):
    """415: the patch type is not supported for this kind (strategic merge on a custom resource)."""


class InvalidError(ApiStatusError):
    """422: the object was refused by validation; it will be refused again until the spec changes."""


class TooManyRequestsError(ApiStatusError):
    """429: the server is shedding load or an eviction is blocked; wait ``retry_after``."""


class InternalServerError(ApiStatusError):
    """500 and other 5xx without a class of their own: the server failed; may have committed a write."""


class UnavailableError(ApiStatusError):
    """503: starting up, shutting down or overloaded."""


class ServerTimeoutError(ApiStatusError):
    """504: the server gave up waiting (also: a list from a resourceVersion that is in its future)."""


def fence_held(error: BaseException) -> bool:
    """Whether a write was turned away because what is there is not what it was decided on: read it and decide again.

    True for a conflict, for a test in a JSON patch that failed (the server gives no cause for that), and for a patch
    with the UID of another object: to the server, an attempt to change it. Nobody refused what was asked for.
    """
    if isinstance(error, InvalidError):
        return not error.causes or "metadata.uid" in error.fields
    return isinstance(error, ConflictError)


def outcome_unknown(error: BaseException) -> bool:
    """Whether a write that failed with ``error`` may nevertheless have been committed: read before deciding again.

    True for :class:`UnknownOutcomeError` and for server failures (5xx) that do not say the request was turned away.
    """
    if isinstance(error, ApiStatusError):
        turned_away = isinstance(error, UnavailableError) and error.retry_after is not None
        return error.status >= 500 and not turned_away
    return isinstance(error, UnknownOutcomeError)
