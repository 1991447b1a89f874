from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
import pytest

from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.meta import Key
from rbgctrl.client import errors
from rbgctrl.client.client import Client
from rbgctrl.client.transport import ApiRequest, ApiResponse, ApiStream, Verb
from rbgctrl.client.wrappers import DryRun, Intercept, Recording

KEY = Key("ns", "a")
BODY = b'{"metadata":{"name":"a"}}'


class SimulatedCrash(BaseException):
    """What a simulation raises to stop the program at a write."""


class Lines:
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{}\n"


class Server:
    """Accepts everything except what is called ``taken``."""

    def __init__(self) -> None:
        self.requests: list[ApiRequest] = []
        self.closed = False

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        if request.key.name == "taken":
            raise errors.AlreadyExistsError(409)
        return ApiResponse(status=200, body=BODY)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        self.requests.append(request)
        yield Lines()

    async def close(self) -> None:
        self.closed = True


async def use(client: Client) -> None:
    await client.get(ConfigMap, KEY)
    await client.create(ConfigMap, {"metadata": {"name": "a"}}, "ns")
    await client.apply(ConfigMap, KEY, {})
    await client.patch(ConfigMap, KEY, {})
    await client.replace(ConfigMap, KEY, {})
    await client.delete(ConfigMap, KEY)


async def test_a_dry_run_marks_every_write_and_no_read() -> None:
    server = Server()
    await use(Client(DryRun(DryRun(server))))
    marked = [request.query.count(("dryRun", "All")) for request in server.requests]
    assert marked == [0, 1, 1, 1, 1, 1]


async def test_a_dry_run_marks_the_options_of_a_delete_because_with_options_the_query_is_ignored() -> None:
    server = Server()
    await Client(DryRun(server)).delete(ConfigMap, KEY, uid="u")
    options = msgspec.json.decode(server.requests[0].body or b"{}")
    assert options == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": "u"},
        "dryRun": ["All"],
    }


async def test_a_recording_keeps_requests_and_outcomes_in_order() -> None:
    server = Server()
    recording = Recording(server)
    client = Client(recording)
    await use(client)
    await client.get_raw("/version")
    async with client.watch(Pod, timeout_seconds=1) as stream:
        assert [line async for line in stream] == [b"{}\n"]
    with pytest.raises(errors.AlreadyExistsError):
        await client.create(ConfigMap, {"metadata": {"name": "taken"}}, "ns")
    counts = recording.counts()
    assert counts[Verb.CREATE, "ConfigMap"] == 2
    assert counts[Verb.GET, "/version"] == counts[Verb.WATCH, "Pod"] == counts[Verb.DELETE, "ConfigMap"] == 1
    assert [request.verb for request in recording.writes()].count(Verb.APPLY) == 1
    assert isinstance(recording.requests[0].outcome, ApiResponse)
    assert isinstance(recording.requests[-1].outcome, errors.AlreadyExistsError)
    assert [entry.request for entry in recording.requests] == server.requests


async def test_a_recording_notes_a_watch_that_broke() -> None:
    recording = Recording(Server())
    with pytest.raises(errors.ConnectError):
        async with Client(recording).watch(Pod, timeout_seconds=1):
            raise errors.ConnectError("reset")
    assert isinstance(recording.requests[0].outcome, errors.ConnectError)


@pytest.mark.parametrize("fault", [errors.ConnectError("down"), SimulatedCrash()])
async def test_what_is_raised_before_a_request_reaches_the_caller_and_nothing_is_sent(fault: BaseException) -> None:
    server = Server()

    def before(request: ApiRequest) -> None:
        if request.verb is Verb.PATCH:
            raise fault

    client = Client(Intercept(server, before=before))
    await client.get(ConfigMap, KEY)
    with pytest.raises(type(fault)):
        await client.patch(ConfigMap, KEY, {})
    assert [request.verb for request in server.requests] == [Verb.GET]


async def test_what_is_raised_after_a_request_hides_what_has_happened() -> None:
    server = Server()

    def after(request: ApiRequest, response: ApiResponse) -> None:
        raise errors.UnknownOutcomeError("lost")

    with pytest.raises(errors.UnknownOutcomeError):
        await Client(Intercept(server, after=after)).patch(ConfigMap, KEY, {})
    assert len(server.requests) == 1


async def test_requests_and_answers_can_be_replaced() -> None:
    server = Server()
    client = Client(
        Intercept(
            server,
            before=lambda request: replace(request, path="/other"),
            after=lambda _, response: replace(response, body=BODY.replace(b"a", b"b", 1).replace(b'"a"', b'"c"')),
        )
    )
    with pytest.raises(errors.ResponseError):  # the answer's metadata was renamed
        await client.get(ConfigMap, KEY)
    assert server.requests[0].path == "/other"


async def test_a_watch_can_be_intercepted_too() -> None:
    server = Server()

    def before(request: ApiRequest) -> ApiRequest | None:
        return replace(request, query=()) if request.verb is Verb.WATCH else None

    async with Client(Intercept(server, before=before)).watch(Pod, timeout_seconds=1) as stream:
        assert [line async for line in stream] == [b"{}\n"]
    assert server.requests[0].query == ()


async def test_closing_a_wrapper_closes_what_it_wraps() -> None:
    server = Server()
    await Client(DryRun(Recording(Intercept(server)))).aclose()
    assert server.closed
