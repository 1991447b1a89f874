from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client import errors
from rbgctrl.client.client import Client, PatchType
from rbgctrl.client.http import HttpOptions
from rbgctrl.client.limiter import RateLimit
from rbgctrl.client.observe import Exchange
from rbgctrl.client.transport import ApiRequest
from rbgctrl.client.wrappers import DryRun
from unit.client.servers import (
    config_map,
    json_response,
    serve,
    status_response,
    transport_to,
)

KEY = Key("ns", "a")
ONE = "/api/v1/namespaces/ns/configmaps/a"


class Seen:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.waits: list[float] = []

    def exchanged(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def retried(self, request: ApiRequest, host: str, code: str) -> None:
        raise AssertionError

    def limited(self, request: ApiRequest, host: str, seconds: float) -> None:
        self.waits.append(seconds)


async def every_verb(client: Client) -> dict[str, Exception | None]:
    """What each verb raises."""
    calls: dict[str, Any] = {
        "get": client.get(ConfigMap, KEY),
        "list": client.list(ConfigMap),
        "create": client.create(ConfigMap, config_map()),
        "apply": client.apply(ConfigMap, KEY, {"data": {}}),
        "patch": client.patch(ConfigMap, KEY, {"data": {}}),
        "replace": client.replace(ConfigMap, KEY, {"data": {}}),
        "delete": client.delete(ConfigMap, KEY),
        "raw": client.get_raw("/version"),
        "watch": _read_watch(client),
    }
    outcome: dict[str, Exception | None] = {}
    for name, call in calls.items():
        try:
            await call
            outcome[name] = None
        except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
            outcome[name] = error
    return outcome


async def _read_watch(client: Client) -> list[bytes]:
    async with client.watch(ConfigMap, timeout_seconds=1) as stream:
        return [line async for line in stream]


@pytest.mark.parametrize(
    ("code", "cls"),
    [(404, errors.NotFoundError), (409, errors.ConflictError), (500, errors.InternalServerError)],
)
async def test_a_status_of_400_or_more_is_an_error_on_every_path_streaming_too(code: int, cls: type[Exception]) -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return status_response(code, "Because", "no")

    async with serve(refuse) as url, transport_to(url) as transport:
        outcome = await every_verb(Client(transport))
    assert {name: type(error) for name, error in outcome.items()} == dict.fromkeys(outcome, cls)


async def test_html_from_a_proxy_is_the_error_of_its_status() -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=502, text="<html><title>Bad Gateway</title></html>", content_type="text/html")

    async with serve(refuse) as url, transport_to(url) as transport:
        outcome = await every_verb(Client(transport))
    assert {type(error) for error in outcome.values()} == {errors.InternalServerError}
    assert str(outcome["get"]) == "get ConfigMap ns/a: Bad Gateway (HTTP 502)"


async def test_a_success_that_is_not_json_is_a_response_error() -> None:
    async def login(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<html>please log in</html>", content_type="text/html")

    async with serve(login) as url, transport_to(url) as transport:
        outcome = await every_verb(Client(transport))
    assert outcome.pop("raw") is None  # /readyz answers in plain text
    assert {type(error) for error in outcome.values()} == {errors.ResponseError}


async def test_redirects_are_not_followed() -> None:
    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with serve(redirect) as url, transport_to(url) as transport:
        outcome = await every_verb(Client(transport))
    assert {type(error) for error in outcome.values()} == {errors.ResponseError}


async def test_each_verb_is_sent_as_the_api_wants_it() -> None:
    seen: list[tuple[str, str, str | None, Any]] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        content_type = request.headers.get("Content-Type")
        seen.append((request.method, request.path_qs.replace(ONE, "~"), content_type, body and json.loads(body)))
        return json_response(config_map())

    async with serve(note) as url, transport_to(url) as transport:
        client = Client(transport, field_manager="me")
        assert (await client.get(ConfigMap, KEY)).data == {"k": "v"}
        await client.get(ConfigMap, KEY, resource_version="0")
        await client.create(ConfigMap, {"metadata": {"name": "a"}, "data": {}}, "ns")
        await client.apply(ConfigMap, KEY, {"data": {}}, subresource="status")
        await client.apply(ConfigMap, KEY, {"data": {}}, force=False, field_manager="other")
        await client.patch(ConfigMap, KEY, {"data": {}}, subresource="status")
        await client.patch(ConfigMap, KEY, ({"op": "test"},), type=PatchType.JSON)
        await client.patch(ConfigMap, KEY, {"data": {}}, type=PatchType.STRATEGIC)
        await client.replace(ConfigMap, KEY, {"data": {}})
        await client.delete(ConfigMap, KEY, uid="u", resource_version="3", propagation="Background")
        await client.delete(ConfigMap, KEY, grace_period_seconds=0)
    full = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}, "data": {}}
    options = {"kind": "DeleteOptions", "apiVersion": "v1"}
    fenced: dict[str, Any] = {"preconditions": {"uid": "u", "resourceVersion": "3"}, "propagationPolicy": "Background"}
    assert seen == [
        ("GET", "~", None, b""),
        ("GET", "~?resourceVersion=0", None, b""),
        ("POST", "/api/v1/namespaces/ns/configmaps?fieldManager=me", "application/json", full),
        ("PATCH", "~/status?fieldManager=me&force=true", "application/apply-patch+yaml", full),
        ("PATCH", "~?fieldManager=other&force=false", "application/apply-patch+yaml", full),
        ("PATCH", "~/status?fieldManager=me", "application/merge-patch+json", {"data": {}}),
        ("PATCH", "~?fieldManager=me", "application/json-patch+json", [{"op": "test"}]),
        ("PATCH", "~?fieldManager=me", "application/strategic-merge-patch+json", {"data": {}}),
        ("PUT", "~?fieldManager=me", "application/json", full),
        ("DELETE", "~", "application/json", options | fenced),
        ("DELETE", "~", "application/json", options | {"gracePeriodSeconds": 0}),
    ]


async def test_a_watch_asks_for_bookmarks_and_for_no_compression() -> None:
    seen: list[web.BaseRequest] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request)
        return web.Response(body=b"{}\n", content_type="application/json")

    async with serve(note) as url, transport_to(url) as transport:
        client = Client(transport)
        async with client.watch(ConfigMap, "ns", label_selector="a in (b,c)", timeout_seconds=9) as stream:
            assert [line async for line in stream] == [b"{}\n"]
        async with client.watch(ConfigMap, resource_version="5", timeout_seconds=9, send_initial_events=True):
            pass
    first, second = (dict(request.query) for request in seen)
    assert first == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "9",
        "labelSelector": "a in (b,c)",
    }
    assert seen[0].path == "/api/v1/namespaces/ns/configmaps"
    assert second == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "9",
        "resourceVersion": "5",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    assert [request.headers["Accept-Encoding"] for request in seen] == ["identity", "identity"]


async def test_a_server_below_a_path_and_odd_characters_are_addressed_exactly() -> None:
    seen: list[str] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.raw_path if isinstance(request, web.Request) else request.path_qs)
        return json_response({})

    async with serve(note) as url, transport_to(f"{url}/k8s/c-1") as transport:
        await Client(transport).get_raw("/api/v1/x y/system:a", (("q", "a=b&c d"),))
    assert seen == ["/k8s/c-1/api/v1/x%20y/system:a?q=a%3Db%26c%20d"]


async def test_writes_in_flight_are_bounded_and_reads_pass_them() -> None:
    release = asyncio.Event()
    arrived: list[str] = []
    two_writes = asyncio.Event()

    async def hold(request: web.BaseRequest) -> web.StreamResponse:
        arrived.append(request.method)
        if request.method == "PATCH":
            if arrived.count("PATCH") == 2:
                two_writes.set()
            await release.wait()
        return json_response(config_map())

    async with serve(hold) as url, transport_to(url, HttpOptions(writes=2)) as transport:
        client = Client(transport)
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(client.patch(ConfigMap, KEY, {}))
            await two_writes.wait()
            await client.get(ConfigMap, KEY)
            assert arrived.count("PATCH") == 2
            release.set()
    assert arrived.count("PATCH") == 5


async def test_watches_do_not_use_up_the_connections_of_requests() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if "watch" not in request.query:
            return json_response(config_map())
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        await stream.write(b"{}\n")
        await asyncio.Event().wait()
        return stream

    async with serve(answer) as url, transport_to(url, HttpOptions(connections=1)) as transport:
        client = Client(transport)
        async with client.watch(ConfigMap, timeout_seconds=9) as one, client.watch(ConfigMap, timeout_seconds=9) as two:
            assert [await anext(aiter(one)), await anext(aiter(two))] == [b"{}\n", b"{}\n"]
            assert (await client.get(ConfigMap, KEY)).key == KEY


async def test_every_exchange_is_observed() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return json_response(config_map()) if request.method == "GET" else status_response(409, "Conflict")

    seen = Seen()
    async with serve(answer) as url, transport_to(url, observer=seen) as transport:
        await every_verb(Client(transport))
        host = url.removeprefix("http://")
    first = seen.exchanges[0]
    assert (first.host, first.code, first.request_bytes) == (host, "200", 0)
    assert first.response_bytes > 100
    assert first.seconds >= 0
    codes = [(exchange.request.verb.value, exchange.code) for exchange in seen.exchanges]
    assert codes[2:5] == [("create", "409"), ("apply", "409"), ("patch", "409")]
    assert codes[-1] == ("watch", "200")
    assert seen.waits == []


async def test_a_rate_limit_lets_requests_pass_one_by_one() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return json_response(config_map())

    seen = Seen()
    options = HttpOptions(rate=RateLimit(qps=20, burst=1))
    async with serve(answer) as url, transport_to(url, options, observer=seen) as transport:
        client = Client(transport)
        await asyncio.gather(*(client.get(ConfigMap, KEY) for _ in range(3)))
        assert seen.waits[0] == 0
        assert len([wait for wait in seen.waits if wait > 0]) == 2
        own = transport.dedicated(1)
        await own.close()
    assert own.options.rate is None  # a lease is never held up by the limiter


async def test_dry_run_reaches_the_server_as_a_query() -> None:
    seen: list[str] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.method + str(request.query.get("dryRun")))
        return json_response(config_map())

    async with serve(note) as url, transport_to(url) as transport:
        client = Client(transport)
        client = client.with_transport(DryRun(client.transport))
        await client.get(ConfigMap, KEY)
        await client.patch(ConfigMap, KEY, {})
        await client.delete(ConfigMap, KEY)
    assert seen == ["GETNone", "PATCHAll", "DELETEAll"]


async def test_the_environment_and_cookies_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen: list[web.BaseRequest] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request)
        return json_response(config_map(), Set_Cookie="sticky=1")

    async with serve(note) as url, transport_to(url) as transport:
        client = Client(transport)
        await client.get(ConfigMap, KEY)
        await client.get(ConfigMap, KEY)
    assert "Cookie" not in seen[1].headers
    assert seen[1].headers["User-Agent"].startswith("rbgctrl/")
    assert "Authorization" not in seen[1].headers
