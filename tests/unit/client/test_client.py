from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import msgspec
import pydantic
import pytest

from rbgctrl.api.core import ConfigMap, Node, Pod
from rbgctrl.api.meta import Key, ObjectMeta
from rbgctrl.client import errors
from rbgctrl.client.client import Client
from rbgctrl.client.requests import encode
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream

KEY = Key("ns", "a")


class Fake:
    """A transport that answers from a function."""

    def __init__(self, answer: Callable[[ApiRequest], Any]) -> None:
        self.answer = answer
        self.requests: list[ApiRequest] = []
        self.closed = 0

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        answer = self.answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return ApiResponse(status=200, body=answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        raise NotImplementedError
        yield

    async def close(self) -> None:
        self.closed += 1


def page(names: str, continue_token: str = "", version: str = "5") -> dict[str, Any]:
    metadata = {"resourceVersion": version, "continue": continue_token}
    return {"metadata": metadata, "items": [{"metadata": {"name": name}} for name in names]}


def queries(fake: Fake) -> list[dict[str, str]]:
    return [dict(request.query) for request in fake.requests]


async def test_pages_follow_the_continue_token_and_name_a_version_only_once() -> None:
    fake = Fake(lambda request: page("c") if "continue" in dict(request.query) else page("ab", "t"))
    found = [
        [item.key.name for item in part.items]
        async for part in Client(fake).pages(
            ConfigMap,
            "ns",
            label_selector="x=y",
            field_selector="f=g",
            limit=2,
            resource_version="3",
            resource_version_match="NotOlderThan",
        )
    ]
    assert found == [["a", "b"], ["c"]]
    selectors = {"labelSelector": "x=y", "fieldSelector": "f=g", "limit": "2"}
    assert queries(fake) == [
        selectors | {"resourceVersion": "3", "resourceVersionMatch": "NotOlderThan"},
        selectors | {"continue": "t"},
    ]


async def test_a_list_joins_its_pages_with_the_bad_items_apart() -> None:
    bad = page("b") | {"items": [{"metadata": {"name": "b"}, "data": 3}]}
    fake = Fake(lambda request: bad if "continue" in dict(request.query) else page("a", "t"))
    found = await Client(fake).list(ConfigMap)
    assert [item.key.name for item in found.items] == ["a"]
    assert [item.key.name for item in found.invalid] == ["b"]
    assert (found.resource_version, found.continue_token) == ("5", "")


async def test_a_list_starts_again_when_its_snapshot_expires_and_never_mixes_two() -> None:
    answers: list[Any] = [page("ab", "t"), errors.GoneError(410), page("x", "u", "9"), page("y", version="9")]
    found = await Client(Fake(lambda _: answers.pop(0))).list(ConfigMap)
    assert [item.key.name for item in found.items] == ["x", "y"]
    assert found.resource_version == "9"


async def test_a_list_that_expires_again_and_again_gives_up() -> None:
    fake = Fake(lambda request: errors.GoneError(410) if "continue" in dict(request.query) else page("a", "t"))
    with pytest.raises(errors.GoneError):
        await Client(fake).list(ConfigMap)
    assert len(fake.requests) == 8


async def test_a_list_refused_at_its_first_page_is_not_repeated() -> None:
    fake = Fake(lambda _: errors.GoneError(410))
    with pytest.raises(errors.GoneError):
        await Client(fake).list(ConfigMap)
    assert len(fake.requests) == 1


async def test_an_expired_continue_token_is_the_callers_when_it_pages_itself() -> None:
    fake = Fake(lambda request: errors.GoneError(410) if "continue" in dict(request.query) else page("a", "t"))
    pages = Client(fake).pages(ConfigMap)
    assert (await anext(pages)).continue_token == "t"
    with pytest.raises(errors.GoneError):
        await anext(pages)


async def test_a_delete_tells_an_object_from_a_status() -> None:
    answers: list[Any] = [
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {"uid": "u"}},
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "deletionTimestamp": "2024-01-01T00:00:00Z"}},
    ]
    client = Client(Fake(lambda _: answers.pop(0)))
    assert await client.delete(Pod, KEY) is None
    terminating = await client.delete(Pod, KEY)
    assert terminating is not None
    assert terminating.metadata.deleting


async def test_an_object_that_does_not_decode_is_an_error_with_its_metadata() -> None:
    client = Client(Fake(lambda _: {"metadata": {"name": "a", "uid": "u"}, "data": 3}))
    with pytest.raises(errors.UndecodableError, match=r"get ConfigMap ns/a: the answer does not decode") as caught:
        await client.get(ConfigMap, KEY)
    assert caught.value.metadata.uid == "u"


@pytest.mark.parametrize(
    "key",
    [
        Key("ns", ""),
        Key("", "a"),
        Key("ns", ".."),
        Key("ns", "."),
        Key("ns", "a/b"),
        Key("n?s", "a"),
        Key("ns", "a%2fb"),
    ],
)
async def test_an_address_that_would_mean_something_else_is_refused(key: Key) -> None:
    fake = Fake(lambda _: {})
    client = Client(fake)
    for call in (
        client.get(ConfigMap, key),
        client.delete(ConfigMap, key),
        client.apply(ConfigMap, key, {}),
        client.patch(ConfigMap, key, {}),
        client.replace(ConfigMap, key, {}),
    ):
        with pytest.raises(ValueError, match="ConfigMap"):
            await call
    assert fake.requests == []


async def test_a_collection_below_a_crooked_namespace_is_refused() -> None:
    client = Client(Fake(lambda _: {}))
    with pytest.raises(ValueError, match="cannot be a name"):
        await client.list(ConfigMap, "../nodes")
    with pytest.raises(ValueError, match="cannot be a name"):
        client.watch(ConfigMap, "a/b", timeout_seconds=1)
    with pytest.raises(ValueError, match="none was given"):
        await client.create(ConfigMap, {"metadata": {"name": "a"}})


async def test_cluster_scoped_objects_need_no_namespace() -> None:
    fake = Fake(lambda _: {"metadata": {"name": "n"}})
    client = Client(fake)
    await client.get(Node, Key("", "n"))
    await client.create(Node, {"metadata": {"name": "n"}})
    await client.apply(Node, Key("", "n"), {})
    assert [request.path for request in fake.requests] == ["/api/v1/nodes/n", "/api/v1/nodes", "/api/v1/nodes/n"]
    assert json.loads(fake.requests[2].body or b"")["metadata"] == {"name": "n"}


async def test_what_a_body_says_already_is_kept() -> None:
    fake = Fake(lambda _: {"metadata": {"name": "a"}})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns", "uid": "u"}}
    await Client(fake).apply(ConfigMap, KEY, body)
    await Client(fake).create(ConfigMap, {"metadata": {"generateName": "a-", "namespace": "ns"}})
    assert json.loads(fake.requests[0].body or b"") == body
    created = json.loads(fake.requests[1].body or b"")
    assert created["metadata"] == {"generateName": "a-", "namespace": "ns"}
    assert fake.requests[1].path == "/api/v1/namespaces/ns/configmaps"


class Model(pydantic.BaseModel):
    role_name: str = pydantic.Field(default="r", alias="roleName")
    empty: str | None = None


def test_bodies_may_hold_raw_json_structs_models_and_read_only_mappings() -> None:
    body = {
        "raw": msgspec.Raw(b'{"z": 1}'),
        "model": Model(),
        "view": MappingProxyType({"a": (1, 2)}),
        "struct": Pod(metadata=ObjectMeta(name="p")),
    }
    assert json.loads(encode(body)) == {
        "raw": {"z": 1},
        "model": {"roleName": "r"},
        "view": {"a": [1, 2]},
        "struct": {"metadata": {"name": "p"}},
    }
    assert b'{"z": 1}' in encode(body)
    with pytest.raises(NotImplementedError, match="object cannot be sent"):
        encode({"x": object()})


async def test_a_request_says_in_words_what_it_does() -> None:
    fake = Fake(lambda _: page("a"))
    client = Client(fake)
    await client.list(ConfigMap)
    await client.list(ConfigMap, "ns")
    await client.get_raw("/version")
    fake.answer = lambda _: {"metadata": {"name": "a"}}
    await client.patch(ConfigMap, KEY, {}, subresource="status")
    await client.get(Node, Key("", "n"))
    assert [str(request) for request in fake.requests] == [
        "list ConfigMap",
        "list ConfigMap in ns",
        "get /version",
        "patch ConfigMap ns/a/status",
        "get Node n",
    ]


async def test_a_client_over_any_transport_shares_it_with_its_dedicated_client() -> None:
    fake = Fake(lambda _: b"ok")
    async with Client(fake) as client:
        own = client.dedicated()
        assert await own.get_raw("/readyz") == b"ok"
        await own.aclose()
        assert fake.closed == 0
        assert client.server == ""
        with pytest.raises(errors.ConfigError, match=r"connect\(\)"):
            client.api_client()
    assert fake.closed == 1


async def test_a_client_over_a_wrapper_keeps_its_settings() -> None:
    fake = Fake(lambda _: {"metadata": {"name": "a"}})
    client = Client(fake, field_manager="me", namespace="mine")
    other = client.with_transport(fake)
    await other.patch(ConfigMap, KEY, {})
    assert (other.namespace, dict(fake.requests[0].query)) == ("mine", {"fieldManager": "me"})
