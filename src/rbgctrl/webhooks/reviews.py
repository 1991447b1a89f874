"""Questions of the API server as bytes, and answers as bytes: conversion and admission reviews.

Whatever the bytes are, there is an answer that says what is wrong; nothing here raises. ``convert`` is pure and may
run in a thread; ``admit`` asks for scaling adapters where a group's replicas depend on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
import structlog

from rbgctrl.api.admission import KINDS, AdmissionOptions, Verdict, review
from rbgctrl.api.conversion import V1ALPHA2, ConversionError, convert, written

__all__ = ["VALIDATED", "AdapterLookup", "Answer", "admit", "answer_conversion"]

log = structlog.get_logger(__name__)

AdapterLookup: TypeAlias = Callable[[str, str], Awaitable[int | None]]
"""``(namespace, name) -> spec.replicas`` of a scaling adapter, None for none; what it raises refuses the request."""

VALIDATED: Final = tuple(KINDS)
"""Kinds that admission knows rules for."""

_THREAD_BYTES: Final = 256 * 1024  # parsing more than this at once would hold up the event loop
_JSON_PROBLEM: Final = "the request is no review that can be read"
_DENIED: Final = (403, "Forbidden")
_UPDATES: Final = ("CREATE", "UPDATE")


class Answer(NamedTuple):
    """What to send back.

    Attributes:
        status: HTTP status: 200 for every question that could be read, 400 for others.
        body: the review.
        code: for metrics: 200, or the code in the answer.
    """

    status: int
    body: bytes
    code: int


class _Malformed(Exception):  # noqa: N818 - a condition of the question, turned into an answer below
    def __init__(self, message: str, head: dict[str, Any], uid: str = "") -> None:
        super().__init__(message)
        self.head = head
        self.uid = uid


# Reading --------------------------------------------------------------------------------------------------------------


class _Question(NamedTuple):
    head: dict[str, Any]
    uid: str
    request: dict[str, Any]


def _question(body: bytes, kind: str, group: str) -> _Question:
    head: dict[str, Any] = {"apiVersion": f"{group}/v1", "kind": kind}
    try:
        found = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise _Malformed(f"{_JSON_PROBLEM}: {error}", head) from error
    if not isinstance(found, dict) or found.get("kind") != kind:
        raise _Malformed(f"{_JSON_PROBLEM}: it has to be of kind {kind}", head)
    version = found.get("apiVersion")
    if not isinstance(version, str) or version.partition("/")[0] != group:
        raise _Malformed(f"{_JSON_PROBLEM}: its apiVersion has to be {group}/v1", head)
    head["apiVersion"] = version
    request = found.get("request")
    if not isinstance(request, dict):
        raise _Malformed(f"{_JSON_PROBLEM}: it has no request", head)
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise _Malformed(f"{_JSON_PROBLEM}: its request has no uid", head)
    return _Question(head, uid, request)


# Conversion -----------------------------------------------------------------------------------------------------------


def answer_conversion(body: bytes) -> Answer:
    """Convert all objects of a ConversionReview, or say which of them cannot be converted and why."""
    try:
        question = _question(body, "ConversionReview", "apiextensions.k8s.io")
    except _Malformed as error:
        return _conversion(error.head, error.uid, [], str(error), 400)
    try:
        return _conversion(question.head, question.uid, _converted(question), "", 200)
    except _Malformed as error:
        return _conversion(question.head, question.uid, [], str(error), 400)
    except ConversionError as error:
        return _conversion(question.head, question.uid, [], str(error), 422)
    except Exception as error:
        log.exception("converting failed")
        return _conversion(question.head, question.uid, [], _defect(error), 500)


def _converted(question: _Question) -> list[Any]:
    objects, target = question.request.get("objects"), question.request.get("desiredAPIVersion")
    if not isinstance(objects, list):
        raise _Malformed(f"{_JSON_PROBLEM}: request.objects has to be a list", question.head, question.uid)
    if not isinstance(target, str):
        raise _Malformed(f"{_JSON_PROBLEM}: request.desiredAPIVersion has to be text", question.head, question.uid)
    made = []
    for obj in objects:
        try:
            made.append(convert(obj, target))
        except ConversionError as error:
            raise ConversionError("", f"{_named(obj)} cannot be converted to {target}: {error}") from error
    return made


def _named(obj: Any) -> str:
    if not isinstance(obj, dict):
        return "an object"
    metadata = obj.get("metadata")
    found = [metadata.get(part) for part in ("namespace", "name")] if isinstance(metadata, dict) else []
    return f"{obj.get('kind', 'an object')} {'/'.join(part for part in found if isinstance(part, str))}".rstrip()


def _conversion(head: dict[str, Any], uid: str, objects: list[Any], problem: str, code: int) -> Answer:
    result = {"status": "Failure", "message": problem} if problem else {"status": "Success"}
    response = {"uid": uid, "convertedObjects": objects, "result": result}
    return Answer(400 if code == 400 else 200, written({**head, "response": response}), code)


# Admission ------------------------------------------------------------------------------------------------------------


async def admit(kind: str, body: bytes, options: AdmissionOptions, adapters: AdapterLookup) -> Answer:
    """Judge the object of an AdmissionReview.

    Args:
        kind: what is validated here.
        body: the review.
        options: what the installation allows.
        adapters: see :data:`AdapterLookup`; asked only for roles that a scaling adapter may decide about.
    """
    try:
        question = _question(body, "AdmissionReview", "admission.k8s.io")
    except _Malformed as error:
        return _admission(error.head, error.uid, error=(400, "BadRequest", str(error)))
    try:
        subject = _subject(question, kind)
    except _Malformed as error:
        return _admission(error.head, error.uid, error=(400, "BadRequest", str(error)))
    except ConversionError as error:
        return _admission(question.head, question.uid, error=(422, "Invalid", str(error)))
    if subject is None:
        return _admission(question.head, question.uid)
    try:
        verdict = await _verdict(kind, subject, options, adapters, large=len(body) > _THREAD_BYTES)
    except _UnknownAdapterError as error:
        return _admission(question.head, question.uid, error=(503, "ServiceUnavailable", str(error)))
    except Exception as error:
        log.exception("validating failed", kind=kind)
        return _admission(question.head, question.uid, error=(500, "InternalError", _defect(error)))
    warnings = [finding.sentence for finding in verdict.warnings]
    if verdict.errors:
        return _admission(question.head, question.uid, error=(*_DENIED, verdict.message), warnings=warnings)
    return _admission(question.head, question.uid, warnings=warnings)


class _Subject(NamedTuple):
    namespace: str
    new: dict[str, Any]
    old: dict[str, Any] | None


class _UnknownAdapterError(Exception):
    pass


def _subject(question: _Question, kind: str) -> _Subject | None:
    """What is to be judged; None when there is nothing to say."""
    request = question.request
    if request.get("operation") not in _UPDATES or request.get("subResource"):
        return None
    new, old = (_object(question, name) for name in ("object", "oldObject"))
    if new is None:
        raise _Malformed(f"{_JSON_PROBLEM}: request.object has to be an object", question.head, question.uid)
    if new.get("kind") != kind:
        raise _Malformed(f"a {new.get('kind')!r} is not validated here, only {kind}", question.head, question.uid)
    written([[[new]]])  # one that could be stored and not be converted would spoil every list it is in
    namespace = request.get("namespace")
    namespace = namespace if isinstance(namespace, str) else ""
    return _Subject(namespace, convert(new, V1ALPHA2), None if old is None else convert(old, V1ALPHA2))


def _object(question: _Question, name: str) -> dict[str, Any] | None:
    found = question.request.get(name)
    if found is None or isinstance(found, dict):
        return found
    raise _Malformed(f"{_JSON_PROBLEM}: request.{name} has to be an object", question.head, question.uid)


async def _verdict(
    kind: str, subject: _Subject, options: AdmissionOptions, adapters: AdapterLookup, *, large: bool
) -> Verdict:
    asked: dict[str, int | None] = {}

    def judge() -> Verdict:
        return review(kind, subject.new, subject.old, options, lambda name: asked.setdefault(name, None))

    verdict = await asyncio.to_thread(judge) if large else judge()
    if not asked:
        return verdict
    # Read where it is decided, not from a cache: an autoscaler may have moved the adapter a moment ago.
    for name in sorted(asked):
        try:
            asked[name] = await adapters(subject.namespace, name)
        except Exception as error:
            text = f"the scaling adapter {name} cannot be read ({error}); try again"
            raise _UnknownAdapterError(text) from error
    return await asyncio.to_thread(judge) if large else judge()


def _admission(
    head: dict[str, Any], uid: str, *, error: tuple[int, str, str] | None = None, warnings: list[str] | None = None
) -> Answer:
    response: dict[str, Any] = {"uid": uid, "allowed": error is None}
    code = 200
    if error is not None:
        code, reason, message = error
        response["status"] = {"status": "Failure", "code": code, "reason": reason, "message": message}
    if warnings:
        response["warnings"] = warnings
    return Answer(400 if code == 400 else 200, written({**head, "response": response}), code)


def _defect(error: Exception) -> str:
    return f"a defect of the webhook ({type(error).__name__}); its log says more"
