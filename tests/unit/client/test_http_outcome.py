"""What a lost connection means for a write, and that no write is ever sent twice by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client import errors
from rbgctrl.client.client import Client
from rbgctrl.client.http import HttpOptions
from rbgctrl.client.requests import named
from rbgctrl.client.transport import Verb
from unit.client.servers import read_request, serve_raw, transport_to

KEY = Key("ns", "a")
BODY = b'{"metadata":{"name":"a"}}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)

Call = Callable[[Client], Awaitable[object]]
Misdeed = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WRITES: dict[str, Call] = {
    "create": lambda client: client.create(ConfigMap, {"metadata": {"name": "a"}}, "ns"),
    "apply": lambda client: client.apply(ConfigMap, KEY, {}),
    "patch": lambda client: client.patch(ConfigMap, KEY, {}),
    "replace": lambda client: client.replace(ConfigMap, KEY, {}),
    "delete": lambda client: client.delete(ConfigMap, KEY, uid="u"),
}


class Server:
    """Answers ``well`` requests, then does ``misdeed``."""

    def __init__(self, misdeed: Misdeed, *, well: int = 1) -> None:
        self.misdeed = misdeed
        self.well = well
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                request = await read_request(reader)
            except asyncio.IncompleteReadError:
                return
            self.requests.append(request.split(b" ")[0])
            if len(self.requests) > self.well:
                await self.misdeed(reader, writer)
                return
            writer.write(OK)


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-10])


async def half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:20])


async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


MISDEEDS = [close, reset, half_an_answer, half_a_head, noise]


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.__name__)
@pytest.mark.parametrize("verb", WRITES)
async def test_a_lost_answer_to_a_write_is_unknown_and_the_write_is_sent_once(verb: str, misdeed: Misdeed) -> None:
    server = Server(misdeed)
    async with serve_raw(server) as url, transport_to(url) as transport:
        client = Client(transport)
        await client.get(ConfigMap, KEY)  # so that the write finds a connection kept alive
        with pytest.raises(errors.UnknownOutcomeError, match="may have been committed") as caught:
            await WRITES[verb](client)
    assert caught.value.__cause__ is not None
    assert len(server.requests) == 2


@pytest.mark.parametrize("verb", WRITES)
async def test_a_write_that_gets_no_answer_in_time_is_unknown(verb: str) -> None:
    server = Server(silence, well=0)
    async with serve_raw(server) as url, transport_to(url, HttpOptions(timeout=0.2)) as transport:
        with pytest.raises(errors.UnknownOutcomeError, match="may have been committed"):
            await WRITES[verb](Client(transport))
    assert len(server.requests) == 1


@pytest.mark.parametrize("misdeed", [close, reset, half_an_answer], ids=lambda misdeed: misdeed.__name__)
async def test_a_lost_answer_to_a_read_may_be_asked_for_again(misdeed: Misdeed) -> None:
    server = Server(misdeed)
    async with serve_raw(server) as url, transport_to(url) as transport:
        client = Client(transport)
        await client.get(ConfigMap, KEY)
        with pytest.raises(errors.ConnectError) as caught:
            await client.get(ConfigMap, KEY)
    assert caught.value.reason == "reset"


async def test_a_read_that_gets_no_answer_in_time_is_a_timeout() -> None:
    async with serve_raw(Server(silence, well=0)) as url, transport_to(url, HttpOptions(timeout=0.1)) as transport:
        with pytest.raises(errors.ConnectError) as caught:
            await Client(transport).get(ConfigMap, KEY)
    assert caught.value.reason == "timeout"


async def test_a_server_that_does_not_speak_http_is_named() -> None:
    async with serve_raw(Server(noise, well=0)) as url, transport_to(url) as transport:
        with pytest.raises(errors.ResponseError, match=r"127\.0\.0\.1:\d+ does not answer in HTTP"):
            await Client(transport).get(ConfigMap, KEY)


async def test_a_guard_is_asked_when_the_body_is_about_to_leave_and_may_keep_it_back() -> None:
    class StopError(errors.ApiError):
        pass

    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        assert await reader.read() == b""

    def refuse() -> None:
        raise StopError

    async with serve_raw(count) as url, transport_to(url) as transport:
        request = named(ConfigMap, KEY, Verb.DELETE, "DELETE", body=b"{}")
        with pytest.raises(StopError):
            await transport.send(replace(request, guard=refuse))
    assert connections == 1


async def free_port() -> int:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@pytest.mark.parametrize("verb", WRITES)
async def test_a_write_that_never_left_is_a_connect_error_that_says_what_to_check(verb: str) -> None:
    port = await free_port()
    async with transport_to(f"http://127.0.0.1:{port}") as transport:
        with pytest.raises(errors.ConnectError) as caught:
            await WRITES[verb](Client(transport))
    assert caught.value.reason == "refused"
    assert f"cannot connect to 127.0.0.1:{port} (" in str(caught.value)
    assert "check that it is up and that the test names it" in str(caught.value)


async def test_a_name_that_does_not_resolve_is_told_apart() -> None:
    async with transport_to("http://does-not-exist.invalid:6443") as transport:
        with pytest.raises(errors.ConnectError, match=r"does-not-exist\.invalid:6443 does not resolve") as caught:
            await Client(transport).get(ConfigMap, KEY)
    assert caught.value.reason == "dns"


async def test_a_connection_nobody_accepts_times_out_as_not_sent() -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    # The server accepts TCP and then never speaks TLS.
    async with serve_raw(nothing) as url:
        options = HttpOptions(connect_timeout=0.05)
        async with transport_to(url.replace("http://", "https://"), options) as transport:
            with pytest.raises(errors.ConnectError, match="did not accept a connection in time") as caught:
                await Client(transport).patch(ConfigMap, KEY, {})
    assert caught.value.reason == "connect"


async def test_an_error_status_counts_even_if_its_body_is_cut_short() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: 50\r\n\r\nhalf")

    server = Server(refuse)
    async with serve_raw(server) as url, transport_to(url) as transport:
        client = Client(transport)
        await client.get(ConfigMap, KEY)
        with pytest.raises(errors.ConflictError):
            await client.patch(ConfigMap, KEY, {})


async def test_a_server_that_is_silent_while_a_watch_opens_is_a_timeout() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve_raw(never) as url, transport_to(url, HttpOptions(timeout=0.05)) as transport:
        with pytest.raises(errors.ConnectError) as caught:
            async with Client(transport).watch(ConfigMap, timeout_seconds=1):
                pass
    assert caught.value.reason == "timeout"


async def test_a_closed_client_refuses_and_close_may_be_called_twice() -> None:
    async with transport_to("http://127.0.0.1:1") as transport:
        client = Client(transport)
        await client.aclose()
        await client.aclose()
        for call in (client.get(ConfigMap, KEY), client.patch(ConfigMap, KEY, {})):
            with pytest.raises(errors.ConnectError) as caught:
                await call
            assert caught.value.reason == "closed"


async def test_closing_ends_what_is_under_way() -> None:
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    async with serve_raw(never) as url, transport_to(url) as transport:
        client = Client(transport)
        read = asyncio.create_task(client.get(ConfigMap, KEY))
        await asked.wait()
        await client.aclose()
        with pytest.raises(errors.ConnectError) as caught:
            await read
    assert caught.value.reason == "closed"
