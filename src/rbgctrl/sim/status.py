"""Refusals as the API server words them: ``metav1.Status`` objects with reason, details and causes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from rbgctrl.client.transport import ApiResponse

__all__ = [
    "Cause",
    "PageNotFound",
    "Refusal",
    "UndecodableRefusal",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "gone_version",
    "invalid",
    "no_such_path",
    "not_allowed",
    "not_found",
    "not_implemented",
    "success",
    "unknown_media",
    "unsupported_media",
]

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of ``details.causes``: a broken rule and the field it is about."""

    reason: str
    message: str
    field: str = ""

    def body(self) -> dict[str, str]:
        """As JSON."""
        return {"reason": self.reason, "message": self.message, **({"field": self.field} if self.field else {})}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class Refusal(Exception):  # noqa: N818 - an answer of the server, not a failure of ours
    """An answer with a status of 400 or more. Raised inside the server, turned into an answer at its edge.

    Args:
        code: HTTP status.
        reason: of the ``Status``.
        message: its sentence.
        details: its ``details``, without causes.
        causes: its ``details.causes``.
        retry_after: seconds after which the client may come back.
        extra: more ``metadata`` of the ``Status``.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Iterable[Cause] = (),
        retry_after: int = 0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self._details = details
        self._extra = extra or {}

    def body(self) -> dict[str, Any]:
        """The ``Status`` object."""
        details: dict[str, Any] | None = None
        if self._details is not None or self.causes or self.retry_after:
            details = dict(self._details or {})
            if self.causes:
                details["causes"] = [cause.body() for cause in self.causes]
            if self.retry_after:
                details["retryAfterSeconds"] = self.retry_after
        found = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self._extra,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }
        return {name: value for name, value in found.items() if value is not None and value != ""}

    def response(self) -> ApiResponse:
        """As an answer."""
        headers = {**_JSON, "Retry-After": str(self.retry_after)} if self.retry_after else _JSON
        return ApiResponse(status=self.code, body=orjson.dumps(self.body()), headers=headers)


def success(details: dict[str, Any]) -> dict[str, Any]:
    """The ``Status`` of a delete that removed an object at once."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _of(resource: str, name: str, *, kind: str = "", uid: str = "") -> dict[str, Any]:
    """``details``; their ``kind`` is the plural for most errors, the real kind for validation."""
    plural, _, group = resource.partition(".")
    found = {"name": name, "group": group, "kind": kind or plural, "uid": uid}
    return {field: value for field, value in found.items() if value}


def not_found(resource: str, name: str) -> Refusal:
    """404: no such object."""
    return Refusal(404, "NotFound", f'{resource} "{name}" not found', details=_of(resource, name))


class PageNotFound(Refusal):
    """404 for a path nobody knows at all; not even a ``Status``."""

    def __init__(self) -> None:
        super().__init__(404, "", "404 page not found")

    def response(self) -> ApiResponse:
        """As an answer."""
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return ApiResponse(status=404, body=b"404 page not found\n", headers=headers)


def no_such_path() -> Refusal:
    """404: the group is known, the resource is not."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: str, name: str, *, deleting: bool = False) -> Refusal:
    """409 of a create; the name is held even by an object that goes away."""
    start = "object is being deleted: " if deleting else ""
    return Refusal(409, "AlreadyExists", f'{start}{resource} "{name}" already exists', details=_of(resource, name))


def conflict(resource: str, name: str, why: str) -> Refusal:
    """409: a precondition or version does not match."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, details=_of(resource, name))


def forbidden(resource: str, name: str, why: str, causes: Iterable[Cause] = ()) -> Refusal:
    """403."""
    message = f'{resource} "{name}" is forbidden: {why}'
    return Refusal(403, "Forbidden", message, details=_of(resource, name), causes=causes)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Refusal:
    """422: rules of the object are broken."""
    different = list(dict.fromkeys(map(str, causes)))
    listed = different[0] if len(different) == 1 else f"[{', '.join(different)}]"
    qualified = f"{kind}.{group}" if group else kind
    details = {field: value for field, value in {"name": name, "group": group, "kind": kind}.items() if value}
    return Refusal(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details=details, causes=causes)


class UndecodableRefusal(Refusal):
    """400: the body cannot be read as the kind it says it is. A patch that makes such a body is 422 instead."""

    def __init__(self, kind: str, version: str, why: str) -> None:
        super().__init__(400, "BadRequest", f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
        self.why = why

    def of_patch(self, patched: str) -> Refusal:
        """The same about a patch; ``patched`` is what it made."""
        cause = Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(patched).decode()}: {self.why}", "patch")
        return Refusal(422, "Invalid", f' "" is invalid: {cause}', details={}, causes=[cause])


def bad_request(message: str, *, retry_after: int = 0) -> Refusal:
    """400: the request makes no sense."""
    return Refusal(400, "BadRequest", message, retry_after=retry_after)


def expired(message: str, *, token: str = "") -> Refusal:
    """410: what was asked for is too old. ``token`` is a continue token that still works."""
    return Refusal(410, "Expired", message, extra={"continue": token} if token else None)


def gone_version(asked: int, oldest: int) -> Refusal:
    """410 of a watch: the version is before the kept history."""
    return expired(f"too old resource version: {asked} ({oldest})")


def future_version(asked: int, current: int) -> Refusal:
    """504 of a read: the server has not come so far."""
    message = f"Too large resource version: {asked}, current: {current}"
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    return Refusal(504, "Timeout", f"Timeout: {message}", details={}, causes=[cause], retry_after=1)


def unsupported_media(supported: Sequence[str]) -> Refusal:
    """415: the body's content type is known, but not for this kind."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(supported)
    return Refusal(415, "UnsupportedMediaType", message)


def unknown_media() -> Refusal:
    """415: nobody knows the body's content type."""
    return Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})


def not_allowed() -> Refusal:
    """405: the resource has no such verb."""
    return Refusal(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        details={},
    )


def not_implemented(what: str) -> Refusal:
    """501: real servers do this; nothing here needs it."""
    return Refusal(501, "NotImplemented", f"the embedded API server does not implement {what}")
