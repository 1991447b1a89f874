"""What the real transport makes of a bad connection: the proxy's faults, bytes included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from rbgctrl.client import connect
from rbgctrl.client.errors import ApiError, ConnectError, TooManyRequestsError, UnknownOutcomeError
from rbgctrl.client.http import HttpOptions, HttpTransport
from rbgctrl.client.transport import Verb
from rbgctrl.sim.chaos import (
    Answer,
    AnyFault,
    Bytewise,
    Crash,
    Drop,
    Duplicate,
    End,
    Ending,
    Gzip,
    Lag,
    Lump,
    Match,
    Pad,
    Retype,
    Rewind,
    Silence,
    Truncate,
)
from rbgctrl.sim.chaos.faults import Side
from rbgctrl.sim.chaos.proxy import ChaosProxy, chaos_proxy
from sim.scripted import Scripted, end_mark, line, request
from unit.client.servers import serve, transport_to

LINES = [line("a", 1), line("b", 2), end_mark(2), line("a", 3, labels={"städte": "köln"})]
WATCH = request(Verb.WATCH, query=(("watch", "true"),))
CREATE = request(Verb.CREATE, body={"metadata": {"name": "a"}})


class Server:
    """Answers as :class:`Scripted`, over HTTP."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.chunks: list[bytes] = []

    async def handle(self, asked: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(f"{asked.method} {asked.path_qs} {asked.headers.get('Authorization', '')}".rstrip())
        if "watch" not in asked.query:
            verb = Verb.LIST if asked.method == "GET" else Verb.CREATE
            answer = await Scripted().send(request(verb))
            return web.Response(body=answer.body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(asked)
        for text in LINES:
            await response.write(text)
        await response.write_eof()
        return response


@asynccontextmanager
async def proxied(*faults: AnyFault, silence: float = 5.0) -> AsyncIterator[tuple[HttpTransport, ChaosProxy, Server]]:
    server = Server()
    async with (
        serve(server.handle) as url,
        chaos_proxy(url, faults) as proxy,
        transport_to(proxy.url, HttpOptions(silence=silence)) as transport,
    ):
        yield transport, proxy, server
        proxy.rules.check()


async def watched(*faults: AnyFault, silence: float = 5.0) -> list[bytes | str]:
    found: list[bytes | str] = []
    async with proxied(*faults, silence=silence) as (transport, _, _):
        try:
            async with transport.stream(WATCH) as stream:
                async for text in stream:
                    found.append(text)  # noqa: PERF401 - what arrived before an error counts
        except ApiError as error:
            found.append(error.reason if isinstance(error, ConnectError) else type(error).__name__)
        else:
            found.append("end")
    return found


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (Bytewise(Match("watch")),),
        (Lump(Match("watch"), lines=3),),
        (Lump(Match("watch"), lines=100),),
        (Gzip(Match("watch")),),
        (Gzip(Match("watch")), Lump(Match("watch"), lines=2)),
        (Gzip(Match("watch")), Bytewise(Match("watch"))),
        (Lag(Match("watch"), seconds=0.05),),
    ],
    ids=["untouched", "bytewise", "lumps of 3", "one lump", "gzip", "gzip in lumps", "gzip bytewise", "late"],
)
async def test_however_the_bytes_arrive_the_lines_are_the_same(faults: tuple[AnyFault, ...]) -> None:
    assert await watched(*faults) == [*LINES, "end"]


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (Truncate(Match(nth=2)), "end"),
        (Truncate(Match(nth=2), how=Ending.RESET), "reset"),
        (End(Match(event="change", nth=2), how=Ending.RESET), "reset"),
    ],
)
async def test_of_a_cut_stream_only_whole_lines_are_delivered(fault: AnyFault, end: str) -> None:
    assert await watched(fault) == [LINES[0], end]


async def test_a_line_of_5_megabytes_arrives_whole() -> None:
    found = await watched(Pad(Match(nth=2), size=5_000_000))
    assert len(found) == len(LINES) + 1
    assert isinstance(found[1], bytes)
    assert len(found[1]) == len(LINES[1]) + 5_000_000
    assert json.loads(found[1]) == json.loads(LINES[1])


async def test_a_line_above_the_cap_is_an_error_and_not_a_hang() -> None:
    assert await watched(Pad(Match(nth=1), size=17_000_000)) == ["ResponseError"]


async def test_events_can_be_repeated_on_the_way() -> None:
    assert await watched(Duplicate(Match(nth=1))) == [LINES[0], *LINES, "end"]


async def test_silence_is_noticed_by_the_transport_itself() -> None:
    assert await watched(Silence(Match(event="END")), silence=0.2) == [*LINES[:2], "timeout"]


async def test_a_watch_that_is_no_json_is_refused() -> None:
    assert await watched(Retype(Match("watch"))) == ["ResponseError"]


@pytest.mark.parametrize(("side", "seen"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
async def test_a_dropped_write_has_an_unknown_outcome(side: Side, seen: int) -> None:
    async with proxied(Drop(Match("create", "pods", name="a"), side=side)) as (transport, _, server):
        with pytest.raises(UnknownOutcomeError):
            await transport.send(CREATE)
        assert len(server.seen) == seen


async def test_a_dropped_read_is_a_broken_connection() -> None:
    async with proxied(Drop(Match("list", times=2))) as (transport, _, _):
        with pytest.raises(ConnectError):
            await transport.send(request(Verb.LIST))


async def test_a_refusal_carries_its_wait() -> None:
    async with proxied(Answer(Match("create"), status=429, retry_after=3)) as (transport, _, server):
        with pytest.raises(TooManyRequestsError) as caught:
            await transport.send(CREATE)
        assert caught.value.retry_after == 3.0
        assert server.seen == []


async def test_an_html_page_instead_of_an_object_is_told_apart() -> None:
    page = Answer(Match("create"), status=502, body="<html>Bad Gateway</html>", content_type="text/html")
    async with proxied(page) as (transport, _, _):
        with pytest.raises(ApiError, match="Bad Gateway"):
            await transport.send(CREATE)


@pytest.mark.parametrize(("side", "seen"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
async def test_a_crash_is_left_to_whoever_owns_the_process(side: Side, seen: int) -> None:
    async with proxied(Crash(Match("create"), side=side)) as (transport, proxy, server):
        killed: list[int] = []

        async def kill() -> None:
            killed.append(len(server.seen))

        proxy.on_crash = kill
        with pytest.raises(UnknownOutcomeError):
            await transport.send(CREATE)
        assert killed == [seen]
        assert proxy.writes == ["POST /api/v1/namespaces/ns/pods"]


async def test_a_rewind_asks_the_server_what_it_looked_like() -> None:
    query = (("watch", "true"), ("sendInitialEvents", "true"), ("labelSelector", "a=b,c"))
    async with proxied(Rewind(Match("watch", form="initial"), to=7)) as (transport, _, server):
        async with transport.stream(request(Verb.WATCH, query=query)) as stream:
            found = [json.loads(text)["type"] async for text in stream]
        assert found == ["ADDED", "BOOKMARK", "MODIFIED", "MODIFIED", "BOOKMARK", "MODIFIED"]
        path = "/api/v1/namespaces/ns/pods"
        assert server.seen == [
            f"GET {path}?labelSelector=a%3Db,c&resourceVersion=7&resourceVersionMatch=Exact",
            f"GET {path}?watch=true&labelSelector=a%3Db,c&resourceVersion=7",
        ]


async def test_credentials_pass_and_a_refused_one_is_renewed_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    async with proxied(Answer(Match("list", nth=2), status=401)) as (_, proxy, server):
        kubeconfig = proxy.write_kubeconfig(tmp_path, token_file=token)
        async with connect(kubeconfig=str(kubeconfig)) as client:
            await client.transport.send(request(Verb.LIST))
            token.write_text("new")
            await client.transport.send(request(Verb.LIST))
        assert server.seen == [f"GET /api/v1/namespaces/ns/pods Bearer {word}" for word in ("old", "new")]
        assert [call.verb for _, call in proxy.at] == ["list"] * 3


async def test_leaving_the_proxy_ends_watches_that_hang() -> None:
    async with proxied(Silence(Match("watch"))) as (transport, _, _):

        async def read() -> None:
            async with transport.stream(WATCH) as stream:
                async for _ in stream:
                    pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.1)
