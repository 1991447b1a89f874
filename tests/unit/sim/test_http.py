"""The server over a real socket: users, shapes, streams, compression."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any

import aiohttp
import orjson
import pytest

from rbgctrl.api.meta import Key
from rbgctrl.sim.http import serve
from rbgctrl.sim.server import ApiServer
from rbgctrl.sim.table import age
from unit.sim.servers import CONFIG_MAPS, GROUPS, START, Obj, config_map, group, pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@asynccontextmanager
async def front(**options: Any) -> AsyncIterator[tuple[ApiServer, aiohttp.ClientSession]]:
    server = ApiServer(now=lambda: START)
    async with serve(server, **options) as url, aiohttp.ClientSession(url) as session:
        yield server, session


def add(server: ApiServer, resource: str, obj: Obj) -> None:
    server.create(resource, {**obj, "metadata": {"namespace": "default", **obj["metadata"]}}, user="test")


async def test_objects_go_in_and_out() -> None:
    async with front() as (server, session):
        async with session.post(CONFIG_MAPS, json=config_map("a", {"x": "1"})) as response:
            assert response.status == 201
            made = await response.json()
        assert server.storage.get("configmaps", Key("default", "a")) == made
        async with session.get(f"{CONFIG_MAPS}/a") as response:
            assert await response.json() == made
        async with session.get(f"{CONFIG_MAPS}/b") as response:
            assert (response.status, (await response.json())["reason"]) == (404, "NotFound")


async def test_tokens_tell_users_apart_and_strangers_are_refused() -> None:
    async with front(tokens={"secret": "rbg"}) as (server, session):
        async with session.get(CONFIG_MAPS) as response:
            assert response.status == 401
        async with session.get("/readyz") as response:
            assert response.status == 200
        headers = {"Authorization": "Bearer secret"}
        async with session.get(CONFIG_MAPS, headers=headers) as response:
            assert response.status == 200
        assert server.audit[-1].user == "rbg"


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with front() as (_, session), session.post(CONFIG_MAPS, data=BytesIO(b" " * (3 * 2**20 + 1))) as response:
        assert response.status == 413
        assert (await response.json())["reason"] == "RequestEntityTooLarge"


async def test_a_watch_is_a_stream_of_lines_that_ends_when_the_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with front() as (server, session):
        async with session.get(CONFIG_MAPS, params={"watch": "true"}) as response:
            assert response.content_type == "application/json"
            add(server, "configmaps", config_map("a"))
            line = orjson.loads(await response.content.readline())
            assert (line["type"], line["object"]["metadata"]["name"]) == ("ADDED", "a")
            (watch,) = server.hub.watches()
            ended, end = asyncio.Event(), watch.end

            def ending() -> None:
                end()
                ended.set()

            monkeypatch.setattr(watch, "end", ending)
            response.close()
        async with asyncio.timeout(20):
            await ended.wait()
        assert len(server.hub) == 0


async def test_a_watch_ends_cleanly_or_breaks_as_the_server_wants() -> None:
    async with front() as (server, session):
        async with session.get(CONFIG_MAPS, params={"watch": "true"}) as response:
            server.disconnect()
            assert await response.read() == b""
        async with session.get(CONFIG_MAPS, params={"watch": "true"}) as response:
            server.disconnect(clean=False)
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_a_refused_watch_has_a_status_of_its_own() -> None:
    async with (
        front() as (_, session),
        session.get(CONFIG_MAPS, params={"watch": "true", "labelSelector": "="}) as response,
    ):
        assert response.status == 400


async def test_long_lists_are_compressed_for_those_who_ask() -> None:
    async with front() as (server, session):
        for number in range(40):
            add(server, "configmaps", config_map(f"a{number}", {"x": "y" * 5000}))
        async with session.get(CONFIG_MAPS, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert len((await response.json())["items"]) == 40
        async with session.get(CONFIG_MAPS, headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers


async def test_tables_show_the_columns_of_the_kind() -> None:
    async with front() as (server, session):
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        add(server, "rolebasedgroups.workloads.x-k8s.io", {**group("g"), "status": status})
        add(server, "pods", pod("p"))
        async with session.get(GROUPS, headers={"Accept": TABLE}) as response:
            table = await response.json()
        assert table["kind"] == "Table"
        shown = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
        assert shown == ["Name", "READY", "AGE"]
        assert table["rows"][0]["cells"][:3] == ["g", "", "0s"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        async with session.get("/api/v1/namespaces/default/pods/p", headers={"Accept": TABLE}) as response:
            table = await response.json()
        assert table["rows"][0]["cells"][:5] == ["p", "0/1", "Pending", "0", "0s"]
        pods, whole = "/api/v1/namespaces/default/pods", {"includeObject": "Object"}  # as kubectl asks to sort
        async with session.get(pods, headers={"Accept": TABLE}, params=whole) as response:
            shown = (await response.json())["rows"][0]["object"]
        assert (shown["kind"], shown["apiVersion"], shown["spec"]["containers"][0]["name"]) == ("Pod", "v1", "main")


async def test_metadata_alone_can_be_asked_for_and_other_formats_cannot() -> None:
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    async with front() as (server, session):
        add(server, "configmaps", config_map("a", {"x": "1"}))
        async with session.get(CONFIG_MAPS, headers={"Accept": partial}) as response:
            listed = await response.json()
        assert listed["kind"] == "PartialObjectMetadataList"
        assert "data" not in listed["items"][0]
        async with session.get(CONFIG_MAPS, headers={"Accept": "application/cbor"}) as response:
            assert response.status == 406


async def test_a_watched_table_has_headings_once() -> None:
    async with front() as (server, session):
        add(server, "configmaps", config_map("a"))
        add(server, "configmaps", config_map("b"))
        async with session.get(CONFIG_MAPS, params={"watch": "true"}, headers={"Accept": TABLE}) as response:
            lines = [orjson.loads(await response.content.readline()) for _ in range(2)]
            response.close()
        assert [bool(line["object"]["columnDefinitions"]) for line in lines] == [True, False]


async def test_discovery_names_every_kind_once_with_its_subresources() -> None:
    async with front() as (server, session):
        found = set()
        for group_name, versions in server.kinds.groups().items():
            for version in versions:
                path = f"/apis/{group_name}/{version}" if group_name else f"/api/{version}"
                async with session.get(path) as response:
                    listed = await response.json()
                names = [item["name"] for item in listed["resources"]]
                assert len(names) == len(set(names))
                found |= {f"{name}.{group_name}" if group_name else name for name in names}
        assert {"pods", "pods/status", "pods/binding", "deployments/scale.apps"} <= found
        assert {"rolebasedgroups.workloads.x-k8s.io", "rolebasedgroups/status.workloads.x-k8s.io"} <= found
        for path in ("/version", "/api", "/apis", "/apis/apps", "/openapi/v2", "/openapi/v3", "/"):
            async with session.get(path) as response:
                assert response.status == 200
        async with session.get("/openapi/v3/apis/workloads.x-k8s.io/v1alpha2") as response:
            schemas = (await response.json())["components"]["schemas"]
        assert any("RoleBasedGroup" in name for name in schemas)
        async with session.get("/openapi/v3/api/v1") as response:
            schemas = (await response.json())["components"]["schemas"]
        spec = schemas["io.k8s.api.core.v1.Pod"]["properties"]["spec"]
        container = spec["properties"]["containers"]["items"]
        assert container["properties"]["resources"]["properties"]["limits"]["additionalProperties"]["type"] == "string"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (150, "2m30s"),
        (300, "5m"),
        (3600, "60m"),
        (4 * 3600 + 60, "4h1m"),
        (30 * 3600, "30h"),
        (3 * 86400, "3d"),
        (3 * 86400 + 3600, "3d1h"),
        (300 * 86400, "300d"),
        (3 * 365 * 86400, "3y"),
    ],
)
def test_ages_are_said_as_kubectl_says_them(seconds: int, text: str) -> None:
    assert age("2026-01-01T00:00:00Z", START + timedelta(seconds=seconds)) == text
    assert age(None, START) == "<unknown>"
