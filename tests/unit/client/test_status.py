from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rbgctrl.client import errors
from rbgctrl.client.status import error_for

CLASSES = {
    400: errors.BadRequestError,
    401: errors.UnauthorizedError,
    402: errors.ApiStatusError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    409: errors.ConflictError,
    410: errors.GoneError,
    413: errors.RequestTooLargeError,
    415: errors.UnsupportedMediaTypeError,
    418: errors.ApiStatusError,
    422: errors.InvalidError,
    429: errors.TooManyRequestsError,
    500: errors.InternalServerError,
    502: errors.InternalServerError,
    503: errors.UnavailableError,
    504: errors.ServerTimeoutError,
    599: errors.InternalServerError,
}


def status(**fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"} | fields).encode()


@pytest.mark.parametrize(("code", "cls"), CLASSES.items())
def test_each_status_has_its_class_with_and_without_a_body(code: int, cls: type[errors.ApiStatusError]) -> None:
    assert type(error_for(code, status(code=code), {})) is cls
    assert type(error_for(code, b"", {})) is cls
    assert error_for(code, b"", {}).status == code


def test_the_reason_tells_the_two_kinds_of_409_apart() -> None:
    assert type(error_for(409, status(reason="AlreadyExists"), {})) is errors.AlreadyExistsError
    assert type(error_for(409, status(reason="Conflict"), {})) is errors.ConflictError


def test_the_message_says_what_was_asked_and_what_the_server_said() -> None:
    error = error_for(404, status(reason="NotFound", message='pods "a" not found'), {}, what="get Pod ns/a")
    assert str(error) == 'get Pod ns/a: pods "a" not found (HTTP 404)'
    assert (error.reason, error.message) == ("NotFound", 'pods "a" not found')


def test_causes_are_kept() -> None:
    details = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "x"}, {"message": "none"}]}
    assert error_for(504, status(details=details), {}).causes == ("ResourceVersionTooLarge",)


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({}, None, None),
        ({}, {"retryAfterSeconds": 0}, None),
        ({}, {"retryAfterSeconds": 5}, 5),
        ({"Retry-After": "7"}, {"retryAfterSeconds": 5}, 7),
        ({"Retry-After": "0"}, None, 0),
        ({"Retry-After": "soon"}, None, None),
        ({"Retry-After": "-3"}, None, None),
        ({"Retry-After": "999999"}, None, 3600),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, 30),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}, None, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:50 GMT"}, None, 0),
    ],
)
def test_the_server_says_when_to_come_back(
    headers: dict[str, str], details: dict[str, int] | None, seconds: float | None
) -> None:
    assert error_for(429, status(details=details), headers).retry_after == seconds


def test_a_proxys_html_becomes_one_short_line() -> None:
    page = b"<html><head><style>b{}</style><title>502 Bad Gateway</title></head>\n<body><h1>nginx</h1>" + b"x y " * 200
    error = error_for(502, page, {})
    assert error.message.startswith("502 Bad Gateway nginx x y")
    assert len(error.message) == 200


@pytest.mark.parametrize(
    "secret",
    ["Bearer abc", "bearer  eyJhbGciOi.J9", "Basic dXNlcg==", "eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJpc3MiOiJr.c2ln"],
)
def test_a_foreign_body_shows_no_tokens(secret: str) -> None:
    message = error_for(400, f"denied: Authorization {secret} is bad".encode(), {}).message
    assert secret.rsplit(maxsplit=1)[-1] not in message
    assert message == "denied: Authorization [removed] is bad"


@example("\u0de0".encode(), 400)  # a character that is none yet
@given(st.binary(max_size=300), st.integers(min_value=400, max_value=599))
def test_any_body_makes_an_error_of_the_statuss_class(body: bytes, code: int) -> None:
    error = error_for(code, body, {})
    assert type(error) is CLASSES.get(code, errors.InternalServerError if code >= 500 else errors.ApiStatusError)
    assert error.message.isprintable()


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (errors.UnknownOutcomeError("lost"), True),
        (errors.InternalServerError(500), True),
        (errors.InternalServerError(502), True),
        (errors.ServerTimeoutError(504), True),
        (errors.UnavailableError(503), True),
        (errors.UnavailableError(503, retry_after=1), False),
        (errors.ConflictError(409), False),
        (errors.TooManyRequestsError(429), False),
        (errors.ConnectError("down"), False),
        (ValueError(), False),
    ],
)
def test_a_failed_write_says_whether_it_may_have_happened(error: Exception, unknown: bool) -> None:
    assert errors.outcome_unknown(error) is unknown


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (errors.ConflictError(409), True),
        (errors.InvalidError(422, "Invalid", "a test of a JSON patch failed"), True),
        (errors.InvalidError(422, causes=("FieldValueInvalid",), fields=("metadata.uid",)), True),
        (errors.InvalidError(422, causes=("FieldValueInvalid",), fields=("spec.replicas",)), False),
        (errors.AlreadyExistsError(409), False),
        (errors.NotFoundError(404), False),
        (ValueError(), False),
    ],
)
def test_a_failed_write_says_whether_it_was_decided_on_something_else(error: Exception, held: bool) -> None:
    assert errors.fence_held(error) is held
