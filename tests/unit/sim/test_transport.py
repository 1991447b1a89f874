"""The server as a client's transport: the real client on it, errors, streams, cancelling, closing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rbgctrl.api.core import ConfigMap, Pod
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.meta import Key
from rbgctrl.client import (
    AlreadyExistsError,
    BadRequestError,
    Client,
    ConflictError,
    ConnectError,
    GoneError,
    InvalidError,
    NotFoundError,
    PatchType,
    ServerTimeoutError,
    UnsupportedMediaTypeError,
)
from rbgctrl.client.observe import Exchange
from rbgctrl.client.requests import named
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.sim.loop import run
from unit.sim.servers import config_map, group, pod, server

KEY = Key("default", "a")


def test_errors_are_those_of_the_http_transport() -> None:
    async def main() -> None:
        client = Client(server().transport())
        with pytest.raises(NotFoundError, match='get ConfigMap default/a: configmaps "a" not found'):
            await client.get(ConfigMap, KEY)
        await client.create(ConfigMap, config_map("a"), "default")
        with pytest.raises(AlreadyExistsError):
            await client.create(ConfigMap, config_map("a"), "default")
        with pytest.raises(ConflictError):
            await client.delete(ConfigMap, KEY, uid="another")
        with pytest.raises(InvalidError) as raised:
            await client.create(RoleBasedGroup, group("a", {"name": "x", "replicas": -1}), "default")
        assert raised.value.causes == ("FieldValueInvalid",)
        with pytest.raises(UnsupportedMediaTypeError):
            await client.patch(RoleBasedGroup, KEY, {}, type=PatchType.STRATEGIC)
        with pytest.raises(BadRequestError):
            await client.list(ConfigMap, label_selector="=")
        with pytest.raises(ServerTimeoutError) as late:
            await client.get(ConfigMap, KEY, resource_version="999")
        assert late.value.retry_after == 1
        assert late.value.causes == ("ResourceVersionTooLarge",)

    run(main())


def test_a_deleted_object_or_its_status_comes_back_as_the_client_wants_it() -> None:
    async def main() -> None:
        client = Client(server().transport())
        await client.create(ConfigMap, config_map("a"), "default")
        assert await client.delete(ConfigMap, KEY) is None
        await client.create(Pod, pod("a"), "default")
        gone = await client.delete(Pod, KEY)
        assert gone is not None
        assert gone.metadata.deleting

    run(main())


def test_pages_are_joined_and_started_again_when_they_expire() -> None:
    async def main() -> None:
        api = server()
        client = Client(api.transport())
        for number in range(5):
            await client.create(ConfigMap, config_map(f"a{number}"), "default")
        pages = client.pages(ConfigMap, "default", limit=2)
        assert len((await anext(pages)).items) == 2
        await client.create(ConfigMap, config_map("b"), "default")
        api.storage.compact(api.storage.revision)
        with pytest.raises(GoneError):
            await anext(pages)
        assert len((await client.list(ConfigMap, "default")).items) == 6

    run(main())


def test_a_request_is_handled_some_time_after_it_was_sent_and_not_at_all_when_it_is_cancelled_before() -> None:
    async def main() -> None:
        api = server()
        client = Client(api.transport())
        sending = asyncio.create_task(client.create(ConfigMap, config_map("a"), "default"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert api.storage.get("configmaps", KEY) is None

    run(main())


def test_a_request_cancelled_after_it_was_handled_is_committed_and_nobody_learns_it() -> None:
    async def main() -> None:
        api = server()
        client = Client(api.transport())
        sending = asyncio.create_task(client.create(ConfigMap, config_map("a"), "default"))
        committed = asyncio.Event()
        api.storage.subscribe(lambda event: committed.set())
        await committed.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert api.storage.get("configmaps", KEY) is not None

    run(main())


def test_a_guard_is_asked_right_before_and_stops_the_write() -> None:
    class StopError(Exception):
        pass

    def guard() -> None:
        raise StopError

    async def main() -> None:
        api = server()
        client = Client(api.transport())
        await client.create(ConfigMap, config_map("a"), "default")
        request = named(ConfigMap, KEY, Verb.DELETE, "DELETE")
        with pytest.raises(StopError):
            await api.transport().send(replace(request, guard=guard))
        assert api.storage.get("configmaps", KEY) is not None

    run(main())


def test_a_watch_yields_lines_until_it_is_left_and_costs_the_server_nothing_then() -> None:
    async def main() -> None:
        api = server()
        client = Client(api.transport())
        async with client.watch(ConfigMap, timeout_seconds=60) as lines:
            await client.create(ConfigMap, config_map("a"), "default")
            line = await anext(aiter(lines))
            assert line.endswith(b"\n")
            assert line.startswith(b'{"type":"ADDED"')
            assert len(api.hub) == 1
        assert len(api.hub) == 0

    run(main())


def test_a_watch_ends_cleanly_in_time_and_with_an_error_when_the_connection_breaks() -> None:
    async def main() -> None:
        api = server()
        client = Client(api.transport())
        async with client.watch(ConfigMap, timeout_seconds=10, resource_version="1") as lines:
            assert [line async for line in lines if b"BOOKMARK" not in line] == []
        assert asyncio.get_running_loop().time() == 10.0
        async with client.watch(ConfigMap, timeout_seconds=10, resource_version="1") as lines:
            api.disconnect(clean=False)
            with pytest.raises(ConnectError) as raised:
                await anext(aiter(lines))
            assert raised.value.reason == "reset"

    run(main())


def test_a_refused_watch_is_raised_when_it_is_opened() -> None:
    async def main() -> None:
        client = Client(server().transport())
        with pytest.raises(BadRequestError):
            async with client.watch(ConfigMap, timeout_seconds=10, label_selector="="):
                pass

    run(main())


def test_closing_ends_watches_and_refuses_what_comes_after_but_not_for_others() -> None:
    async def main() -> None:
        api = server()
        client, other = Client(api.transport()), Client(api.transport())
        async with client.watch(ConfigMap, timeout_seconds=10) as lines:
            await client.aclose()
            with pytest.raises(ConnectError) as raised:
                await anext(aiter(lines))
            assert raised.value.reason == "closed"
        with pytest.raises(ConnectError):
            await client.list(ConfigMap)
        await client.aclose()
        assert (await other.list(ConfigMap)).items == ()

    run(main())


def test_users_and_exchanges_are_on_record() -> None:
    class Watching:
        def __init__(self) -> None:
            self.codes: list[str] = []

        def exchanged(self, exchange: Exchange) -> None:
            self.codes.append(exchange.code)

        def retried(self, request: ApiRequest, host: str, code: str) -> None: ...

        def limited(self, request: ApiRequest, host: str, seconds: float) -> None: ...

    async def main() -> None:
        api, observer = server(), Watching()
        client = Client(api.transport(user="rbg", observer=observer))
        await client.create(ConfigMap, config_map("a"), "default")
        with pytest.raises(NotFoundError):
            await client.get(ConfigMap, Key("default", "b"))
        assert observer.codes == ["201", "404"]
        assert [(entry.user, entry.code) for entry in list(api.audit)[-2:]] == [("rbg", 201), ("rbg", 404)]

    run(main())
