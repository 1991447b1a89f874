"""One exception class per condition of talking to the API server.

Every class says who raises it and what the caller can do. Messages never contain request bodies, tokens
or responses that are not a ``Status`` object.
"""

from __future__ import annotations

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "ApiStatusError",
    "BadRequestError",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ForbiddenError",
    "GoneError",
    "InternalServerError",
    "InvalidError",
    "NotFoundError",
    "ResponseError",
    "ServerTimeoutError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownOutcomeError",
    "UnsupportedMediaTypeError",
]


class ApiError(Exception):
    """Base of everything the client raises."""


class ConfigError(ApiError):
    """No usable configuration was found or it could not be read. Raised while connecting; mend the configuration."""


class ConnectError(ApiError):
    """The server could not be reached, so nothing was sent. Safe to repeat any verb."""


class UnknownOutcomeError(ApiError):
    """A write was sent and its answer was lost: it may or may not have been committed.

    Raised for POST, PATCH, PUT and DELETE when the connection broke or timed out after the request left.
    Read the object before deciding again; the executor does so.
    """


class ResponseError(ApiError):
    """The answer is not what the API promises (HTML from a proxy, truncated JSON, a wrong content type)."""


class ApiStatusError(ApiError):
    """The server answered with an HTTP status of 400 or more.

    Attributes:
        status: HTTP status code.
        reason: machine-readable reason of the ``Status`` object, e.g. ``Conflict``; ``""`` when there was none.
        message: the server's sentence, at most 1,000 characters.
        causes: reasons inside ``details.causes``, e.g. ``ResourceVersionTooLarge``.
        retry_after: seconds the server asked us to wait, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
        what: str = "",
    ) -> None:
        text = message[:1000] or reason or "no reason given"
        super().__init__(f"{what}: {text} (HTTP {status})" if what else f"{text} (HTTP {status})")
        self.status = status
        self.reason = reason
        self.message = message[:1000]
        self.causes = causes
        self.retry_after = retry_after


class BadRequestError(ApiStatusError):
    """400: the request itself is malformed; a defect of the caller."""


class UnauthorizedError(ApiStatusError):
    """401: the credentials are missing, wrong or expired, and one refresh did not help."""


class ForbiddenError(ApiStatusError):
    """403: RBAC or an admission plugin (a quota, for one) refuses; changing the request or the rights helps."""


class NotFoundError(ApiStatusError):
    """404: no such object, or no such resource (then the CRD is missing)."""


class ConflictError(ApiStatusError):
    """409 Conflict: a precondition or resourceVersion did not match; read again and decide again."""


class AlreadyExistsError(ApiStatusError):
    """409 AlreadyExists: a create found the name taken."""


class GoneError(ApiStatusError):
    """410: the resourceVersion or continue token is too old; list again."""


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
