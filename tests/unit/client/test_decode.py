from __future__ import annotations

import gc
import json
from typing import Any, ClassVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod
from rbgctrl.api.meta import Kind, ObjectMeta, Resource, Value
from rbgctrl.client import errors
from rbgctrl.client.decode import Bookmark, ErrorStatus, Invalid, decode_event, decoder
from rbgctrl.client.raw import raw_copier


class Spec(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)

    replicas: int = pydantic.Field(default=1, ge=0)
    role_names: tuple[str, ...] = pydantic.Field(default=(), alias="roleNames")


class Authored(Resource, frozen=True):
    KIND: ClassVar[Kind[Authored]] = Kind("x.io", "v1", "Authored", "authoreds")

    spec: Spec = Spec()


class Part(Value, frozen=True, gc=False):
    template: msgspec.Raw = msgspec.Raw(b"null")
    more: tuple[msgspec.Raw, ...] = ()


class Nested(Resource, frozen=True):
    KIND: ClassVar[Kind[Nested]] = Kind("x.io", "v1", "Nested", "nesteds")

    parts: tuple[Part, ...] = ()
    named: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    child: Nested | None = None


def test_only_copying_releases_the_input() -> None:  # what the helper below relies on
    line = bytearray(b'{"a":{}}')
    kept = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    assert not released(line)
    del kept
    assert released(line)


def released(line: bytearray) -> bool:
    """Whether nothing points into the input any more: only then it can be resized."""
    try:
        line.append(0)
    except BufferError:
        return False
    return True


def event(kind: str, obj: Any) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


@pytest.mark.parametrize("change", ["ADDED", "MODIFIED", "DELETED"])
def test_a_change_carries_the_typed_object(change: str) -> None:
    found = decode_event(Pod, event(change, {"metadata": {"name": "a"}, "spec": {"nodeName": "n", "extra": [1]}}))
    assert found.type == change
    assert isinstance(found.object, Pod)
    assert found.object.spec.node_name == "n"


def test_an_object_that_does_not_fit_keeps_its_metadata() -> None:
    found = decode_event(Pod, event("ADDED", {"metadata": {"name": "a", "uid": "u"}, "spec": {"nodeName": 3}}))
    assert isinstance(found.object, Invalid)
    assert (found.object.key.name, found.object.uid) == ("a", "u")
    assert "$.spec.nodeName" in found.object.error


def test_a_bookmark_is_read_only_for_its_metadata() -> None:
    line = event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "9"}, "spec": {"containers": 5}})
    bookmark = decode_event(Pod, line).object
    assert bookmark == Bookmark(resource_version="9")
    assert not bookmark.initial_events_end


def test_the_end_of_the_initial_events_is_recognised() -> None:
    metadata = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
    bookmark = decode_event(ConfigMap, event("BOOKMARK", {"metadata": metadata})).object
    assert isinstance(bookmark, Bookmark)
    assert bookmark.initial_events_end


def test_an_error_event_is_never_taken_for_an_object_it_happens_to_fit() -> None:
    status = {"kind": "Status", "metadata": {}, "code": 410, "reason": "Expired", "message": "too old"}
    found = decode_event(ConfigMap, event("ERROR", status)).object
    assert isinstance(found, ErrorStatus)
    error = found.to_error("watch ConfigMap")
    assert isinstance(error, errors.GoneError)
    assert (error.reason, str(error)) == ("Expired", "watch ConfigMap: too old (HTTP 410)")


def test_an_error_event_says_how_long_to_wait_and_why() -> None:
    details = {"retryAfterSeconds": 3, "causes": [{"reason": "ResourceVersionTooLarge"}]}
    found = decode_event(Pod, event("ERROR", {"kind": "Status", "code": 504, "details": details})).object
    assert isinstance(found, ErrorStatus)
    assert found.to_error().retry_after == 3
    assert found.to_error().causes == ("ResourceVersionTooLarge",)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"<html>",
        b"\xff\xfe\n",
        b"[]",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":{"spec":{}}}',
        b'{"type":"ADDED","object":{"metadata":{"name":3}}}',
        b'{"type":"BOOKMARK","object":{}}',
        b'{"type":"ERROR","object":{"metadata":{}}}',
        event("RENAMED", {"metadata": {"name": "a"}}),
        b'{"type":"ADDED","object":' + b"[" * 5000 + b"}",
    ],
)
def test_garbage_is_a_response_error(line: bytes) -> None:
    with pytest.raises(errors.ResponseError):
        decode_event(Pod, line)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(line: bytes) -> None:
    with pytest.raises(errors.ResponseError):
        decode_event(Pod, line)


@given(st.integers(min_value=0))
def test_no_part_of_a_line_passes_for_an_event(cut: int) -> None:
    line = event("ADDED", {"metadata": {"name": "a", "labels": {"é": '"}'}}, "data": {"x": "1"}}).rstrip()
    with pytest.raises(errors.ResponseError):
        decode_event(ConfigMap, line[: cut % len(line)])


def test_a_list_with_a_bad_item_yields_the_others() -> None:
    items = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}, "spec": 5}, {"metadata": {"name": "c"}}]
    body = json.dumps({"metadata": {"resourceVersion": "5", "continue": "t"}, "items": items}).encode()
    page = decoder(Pod).list(body)
    assert [item.key.name for item in page.items] == ["a", "c"]
    assert [item.key.name for item in page.invalid] == ["b"]
    assert (page.resource_version, page.continue_token) == ("5", "t")


def test_a_list_may_be_null_but_not_missing() -> None:
    assert decoder(Pod).list(b'{"metadata":{"resourceVersion":"5"},"items":null}').items == ()
    for body in (b"{}", b'{"metadata":{}}', b'{"items":[]}', b'{"kind":"Status","metadata":{}}', b"<html>", b"\xff"):
        with pytest.raises(errors.ResponseError):
            decoder(Pod).list(body)


def test_an_item_without_metadata_fails_the_list() -> None:
    with pytest.raises(errors.ResponseError):
        decoder(Pod).list(b'{"metadata":{"resourceVersion":"5"},"items":[{"spec":{}}]}')


def test_a_pydantic_field_is_validated() -> None:
    good = decoder(Authored).one(b'{"metadata":{"name":"a"},"spec":{"replicas":3,"roleNames":["x"]}}')
    assert isinstance(good, Authored)
    assert good.spec == Spec(replicas=3, roleNames=("x",))


def test_a_pydantic_refusal_names_the_place_but_not_the_value() -> None:
    bad = decoder(Authored).one(b'{"metadata":{"name":"a"},"spec":{"replicas":"s3cret","roleNames":[1]}}')
    assert isinstance(bad, Invalid)
    assert "replicas: " in bad.error
    assert "roleNames.0: " in bad.error
    assert "s3cret" not in bad.error


def test_a_single_object_that_must_decode_raises_with_its_metadata() -> None:
    with pytest.raises(errors.UndecodableError, match=r"get Pod ns/a: .*nodeName") as caught:
        decoder(Pod).valid(b'{"metadata":{"name":"a","uid":"u"},"spec":{"nodeName":1}}', "get Pod ns/a")
    assert caught.value.metadata == ObjectMeta(name="a", uid="u")


def test_a_delete_answers_with_the_object_or_a_status() -> None:
    read = decoder(ConfigMap).object_or_status
    assert read(b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}') is None
    found = read(b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}')
    assert found is not None
    assert found.key.name == "a"
    with pytest.raises(errors.ResponseError):
        read(b"<html>")


def test_raw_fields_do_not_keep_their_line_alive() -> None:
    line = bytearray(event("ADDED", {"metadata": {"name": "a"}, "data": {"x": [1]}, "pad": "y" * 1000}))
    found = decode_event(ControllerRevision, line).object
    assert isinstance(found, ControllerRevision)
    assert bytes(found.data) == b'{"x": [1]}'
    assert released(line)


def test_raw_fields_are_detached_wherever_they_are() -> None:
    inner = {"metadata": {"name": "c"}, "parts": [{"template": {"c": 1}}]}
    obj = {"metadata": {"name": "a"}, "named": {"k": [2]}, "child": inner}
    body = bytearray(json.dumps(obj | {"parts": [{"template": {"t": 1}, "more": [1, "m"]}, {}]}).encode())
    found = decoder(Nested).one(body)
    assert isinstance(found, Nested)
    assert found.child is not None
    raws = [found.parts[0].template, *found.parts[0].more, found.named["k"], found.child.parts[0].template]
    assert [bytes(raw) for raw in raws] == [b'{"t": 1}', b"1", b'"m"', b"[2]", b'{"c": 1}']
    assert bytes(found.parts[1].template) == b"null"
    assert released(body)


@pytest.mark.parametrize("revision", [1, "no"])
def test_items_of_a_list_are_detached_too(revision: object) -> None:
    items = [{"metadata": {"name": "a"}, "data": {"x": 1}}, {"metadata": {"name": "b"}, "revision": revision}]
    body = bytearray(json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode())
    page = decoder(ControllerRevision).list(body)
    assert bytes(page.items[0].data) == b'{"x": 1}'
    assert released(body)


def test_types_without_raw_fields_cost_no_copying() -> None:
    assert raw_copier(Pod) is None
    assert raw_copier(ConfigMap) is None
    assert raw_copier(ControllerRevision) is not None


def test_a_decoder_is_built_once() -> None:
    assert decoder(Pod) is decoder(Pod)


def test_a_cached_pod_is_invisible_to_the_collector() -> None:
    found = decode_event(Pod, event("ADDED", {"metadata": {"name": "a", "labels": {"x": "y"}}})).object
    assert not gc.is_tracked(found)
