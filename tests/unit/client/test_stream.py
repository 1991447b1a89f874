from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbgctrl.api.core import ConfigMap
from rbgctrl.client import errors
from rbgctrl.client.http import HttpOptions
from rbgctrl.client.requests import collection
from rbgctrl.client.stream import LineStream
from rbgctrl.client.transport import Verb
from unit.client.servers import read_request, serve_raw, transport_to

WATCH = collection(ConfigMap, "ns", Verb.WATCH, ())
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 2**20


class Chunks:
    """An ``aiohttp.StreamReader`` that gives out prepared pieces, then ends or breaks."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._error = error

    async def readchunk(self) -> tuple[bytes, bool]:
        if self._pieces:
            return self._pieces.pop(0), True
        if self._error:
            raise self._error
        return b"", False


def lines_of(pieces: list[bytes], *, limit: int = 100, error: Exception | None = None) -> list[bytes]:
    """All lines; a failure is appended by its class name."""

    async def collect() -> list[bytes]:
        content: object = Chunks(pieces, error)
        broken = errors.ConnectError("broken", reason="reset")
        stream = LineStream(content, limit=limit, what="w", broken=lambda _: broken)  # type: ignore[arg-type]  # a fake
        found: list[bytes] = []
        try:
            async for line in stream:
                found.append(line)  # noqa: PERF401 - lines before a failure count
        except errors.ApiError as failure:
            found.append(type(failure).__name__.encode())
        return found

    return asyncio.run(collect())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def answering(*parts: bytes, abort: bool = False, hang: bool = False) -> AsyncIterator[str]:
    """A server that answers any request with these bytes and closes, resets or goes silent."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if hang:
            await reader.read()
        if abort:
            writer.transport.abort()

    async with serve_raw(handle) as url:
        yield url


async def watch(url: str, options: HttpOptions | None = None) -> list[bytes]:
    async with transport_to(url, options) as transport, transport.stream(WATCH) as stream:
        return [line async for line in stream]


@given(st.lists(st.binary(max_size=6)), st.data())
def test_lines_do_not_depend_on_how_the_bytes_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    lines = [line.replace(b"\n", b"") + b"\n" for line in lines]
    text = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert lines_of(pieces) == lines


def test_a_partial_last_line_is_never_delivered_wherever_it_is_cut() -> None:
    line = b'{"type":"ADDED","object":{}}\n'
    for cut in range(len(line)):
        assert lines_of([line + line[:cut]]) == [line]
        assert lines_of([line, line[:cut]], error=OSError("reset")) == [line, b"ConnectError"]


@pytest.mark.parametrize("size", [99, 100, 101])
def test_the_cap_counts_whole_lines_and_what_came_before_is_delivered(size: int) -> None:
    long = b"x" * (size - 1) + b"\n"
    expected = [b"a\n", long] if size <= 100 else [b"a\n", b"ResponseError"]
    assert lines_of([b"a\n" + long]) == expected
    assert lines_of([b"a\n", *(bytes([c]) for c in long)]) == expected
    assert lines_of([b"a\n", long]) == expected


def test_a_line_over_the_cap_names_its_object() -> None:
    start = b'{"type":"ADDED","object":{"kind":"ConfigMap","metadata":{"name":"big","namespace":"ns"'
    content: object = Chunks([start, b"x" * 100])

    async def read() -> None:
        stream = LineStream(content, limit=100, what="watch ConfigMap", broken=RuntimeError)  # type: ignore[arg-type]  # a fake
        await anext(stream)

    with pytest.raises(errors.ResponseError, match="watch ConfigMap: ConfigMap ns big is longer than 100 bytes"):
        asyncio.run(read())


async def test_lines_arrive_over_http_however_they_are_chunked() -> None:
    parts = (HEAD, chunk(b"1\n2\n3"), chunk(b"4"), chunk(b"\n5\n"), b"0\r\n\r\n")
    async with answering(*parts) as url:
        assert await watch(url) == [b"1\n", b"2\n", b"34\n", b"5\n"]


@pytest.mark.parametrize("size", [5 * MIB, 15 * MIB])
async def test_a_line_of_many_megabytes_is_accepted_and_the_next_one_too(size: int) -> None:
    line = b'"' + b"y" * size + b'"\n'
    async with answering(HEAD, chunk(b"1\n"), chunk(line), chunk(b"2\n"), b"0\r\n\r\n") as url:
        found = await watch(url)
    assert [len(line) for line in found] == [2, size + 3, 2]
    assert found[1] == line


async def test_a_line_of_more_than_16_mib_is_refused() -> None:
    parts = (HEAD, chunk(b"1\n"), chunk(b"y" * (16 * MIB + 1) + b"\n"))
    async with (
        answering(*parts, hang=True) as url,
        transport_to(url) as transport,
        transport.stream(WATCH) as stream,
    ):
        lines = aiter(stream)
        assert await anext(lines) == b"1\n"
        with pytest.raises(errors.ResponseError, match="raise the line limit"):
            await anext(lines)


async def test_a_clean_end_drops_a_partial_line_and_ends_the_iteration() -> None:
    async with answering(HEAD, chunk(b"1\n"), chunk(b'{"type":'), b"0\r\n\r\n") as url:
        assert await watch(url) == [b"1\n"]


@pytest.mark.parametrize("tail", [b"", chunk(b'{"type":'), b"5\r\n1"])
@pytest.mark.parametrize("abort", [False, True])
async def test_a_connection_that_breaks_is_a_connect_error(tail: bytes, abort: bool) -> None:
    async with answering(HEAD, chunk(b"1\n"), tail, abort=abort) as url:
        with pytest.raises(errors.ConnectError) as caught:
            await watch(url)
    assert caught.value.reason == "reset"
    assert caught.value.__cause__ is not None


async def test_silence_is_told_from_a_reset() -> None:
    async with (
        answering(HEAD, chunk(b"1\n"), hang=True) as url,
        transport_to(url, HttpOptions(silence=0.3)) as transport,
        transport.stream(WATCH) as stream,
    ):
        lines = aiter(stream)
        assert await anext(lines) == b"1\n"
        with pytest.raises(errors.ConnectError, match="silent") as caught:
            await anext(lines)
    assert caught.value.reason == "timeout"


@settings(max_examples=20)
@given(st.integers(min_value=1, max_value=40))
def test_an_answer_without_chunks_is_cut_into_lines_too(size: int) -> None:
    body = b"".join(b"%d\n" % number for number in range(size))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def run() -> list[bytes]:
        async with answering(head, body) as url:
            return await watch(url)

    assert b"".join(asyncio.run(run())) == body
