"""From a kubeconfig on disk to requests on the wire, and what embedders get."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import rbgctrl.client
from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client import ClientOptions, HttpOptions, Recording, connect, errors
from rbgctrl.client.client import Client
from rbgctrl.client.credentials import FixedHeader, TokenFile
from rbgctrl.client.proxy import Proxy
from unit.client.servers import (
    Authority,
    config_map,
    json_response,
    serve,
    serve_raw,
    status_response,
    transport_to,
    trusting,
    write_kubeconfig,
)

KEY = Key("ns", "a")
V1 = "client.authentication.k8s.io/v1"


class Tokens:
    """A server that knows some tokens and remembers what it was shown."""

    def __init__(self, *known: str) -> None:
        self.known = {f"Bearer {token}" for token in known}
        self.seen: list[str | None] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        shown = request.headers.get("Authorization")
        self.seen.append(shown)
        if shown not in self.known:
            return status_response(401, "Unauthorized")
        if "watch" in request.query:
            return web.Response(body=b"{}\n", content_type="application/json")
        return json_response(config_map())


def counting_plugin(tmp_path: Path) -> dict[str, Any]:
    """An exec plugin whose tokens are t1, t2, … and never expire."""
    code = (
        "import json, pathlib, sys\n"
        "log = pathlib.Path(sys.argv[1]); log.open('a').write('x'); n = len(log.read_text())\n"
        f"print(json.dumps({{'apiVersion': {V1!r}, 'kind': 'ExecCredential', 'status': {{'token': f't{{n}}'}}}}))\n"
    )
    return {"apiVersion": V1, "command": sys.executable, "args": ["-c", code, str(tmp_path / "runs")]}


async def test_a_kubeconfig_with_inline_certificates_and_a_plugin_gives_a_working_client(tmp_path: Path) -> None:
    authority = Authority()
    context = authority.issue().server_context()
    server = Tokens("t1")
    async with serve(server, tls=context) as url:
        path = write_kubeconfig(
            tmp_path / "config",
            server=url,
            cluster={"certificate-authority-data": base64.b64encode(authority.pem).decode()},
            user={"exec": counting_plugin(tmp_path)},
            context={"namespace": "team"},
        )
        async with connect(kubeconfig=path) as client:
            assert (client.namespace, client.server) == ("team", url)
            assert (await client.get(ConfigMap, KEY)).key == KEY
            own = client.dedicated(limit=1)
            assert (await own.get(ConfigMap, KEY)).key == KEY
            await own.aclose()
            assert (await client.get(ConfigMap, KEY)).key == KEY
    assert server.seen == ["Bearer t1"] * 3


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_401_is_answered_with_one_renewal_and_one_repetition(tmp_path: Path, streaming: bool) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")
    server = Tokens("old")
    async with serve(server) as url, transport_to(url, credentials=TokenFile(path)) as transport:
        client = Client(transport)

        async def use() -> None:
            if streaming:
                async with client.watch(ConfigMap, timeout_seconds=1):
                    pass
            else:
                await client.patch(ConfigMap, KEY, {})

        await use()
        server.known = {"Bearer new"}
        path.write_text("new\n")
        await use()
        server.known = set()
        with pytest.raises(errors.UnauthorizedError):
            await use()
    assert server.seen == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]


async def test_a_credential_that_is_still_refused_after_renewal_is_not_tried_a_third_time() -> None:
    class Endless(FixedHeader):
        async def renew(self, rejected: str | None) -> bool:
            return True

    server = Tokens()
    async with serve(server) as url, transport_to(url, credentials=Endless("Bearer x")) as transport:
        with pytest.raises(errors.UnauthorizedError):
            await Client(transport).get(ConfigMap, KEY)
    assert server.seen == ["Bearer x", "Bearer x"]


async def test_a_connected_client_repeats_reads_and_keeps_dedicated_ones_plain(tmp_path: Path) -> None:
    failures = [status_response(503, Retry_After="0"), status_response(503, Retry_After="0")]

    async def unwell(request: web.BaseRequest) -> web.StreamResponse:
        return failures.pop() if failures else json_response(config_map())

    async with serve(unwell) as url, connect(kubeconfig=write_kubeconfig(tmp_path / "c", server=url)) as client:
        own = client.dedicated()
        with pytest.raises(errors.UnavailableError):
            await own.get(ConfigMap, KEY)
        await own.aclose()
        assert (await client.get(ConfigMap, KEY)).key == KEY
        recording = Recording(client.transport)
        wrapped = client.with_transport(recording)
        await wrapped.dedicated().get(ConfigMap, KEY)
        assert len(recording.requests) == 1
        assert wrapped.server == url


async def test_connecting_to_nothing_works_and_the_first_request_says_where(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", server="http://127.0.0.1:1")
    options = ClientOptions(http=HttpOptions(connect_timeout=1), field_manager="me")
    async with connect(kubeconfig=path, options=options) as client:
        assert client.field_manager == "me"
        with pytest.raises(errors.ConnectError, match=rf"127\.0\.0\.1:1 .*context 'here' of {path}"):
            async with client.dedicated() as own:
                await own.get(ConfigMap, KEY)


async def test_a_proxy_is_gone_through_with_its_password() -> None:
    asked: list[tuple[str, str | None]] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        secret = next((line[21:] for line in head.split("\r\n") if line.startswith("Proxy-Authorization: ")), None)
        asked.append((head.split("\r\n")[0], secret))
        host, port = head.split()[1].split(":")
        upstream_reader, upstream = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, upstream), copy(upstream_reader, writer), return_exceptions=True)

    authority = Authority()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return json_response(config_map())

    async with serve(answer, tls=authority.issue().server_context()) as url, serve_raw(tunnel) as proxy:
        settings = Proxy(proxy, {"Proxy-Authorization": "Basic eA=="})
        async with transport_to(url, tls=trusting(authority), proxy=settings) as transport:
            assert (await Client(transport).get(ConfigMap, KEY)).key == KEY
    assert asked == [(f"CONNECT {url.removeprefix('https://')} HTTP/1.1", "Basic eA==")]


async def test_a_proxy_that_refuses_is_named() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with (
        serve_raw(refuse) as proxy,
        transport_to("https://api.internal:6443", proxy=Proxy(proxy)) as transport,
    ):
        with pytest.raises(errors.ConnectError, match=f"the proxy {proxy} does not let us through") as caught:
            await Client(transport).patch(ConfigMap, KEY, {})
    assert caught.value.reason == "proxy"


async def test_impersonation_headers_are_sent_all() -> None:
    seen: list[list[str]] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers.getall("Impersonate-Group"))
        return json_response(config_map())

    headers = (("Impersonate-Group", "a"), ("Impersonate-Group", "b"))
    async with serve(note) as url, transport_to(url, headers=headers) as transport:
        await Client(transport).get(ConfigMap, KEY)
    assert seen == [["a", "b"]]


async def test_the_generated_api_shares_server_tls_and_changing_tokens(tmp_path: Path) -> None:
    from kubernetes_asyncio.client import CoreV1Api

    authority = Authority()
    token = tmp_path / "token"
    token.write_text("one")
    server = Tokens("one")
    (tmp_path / "ca").write_bytes(authority.pem)
    async with serve(server, tls=authority.issue().server_context()) as url:
        path = write_kubeconfig(
            tmp_path / "c", server=url, user={"tokenFile": "token"}, cluster={"certificate-authority": "ca"}
        )
        async with connect(kubeconfig=path) as client, client.api_client() as api:
            found = await CoreV1Api(api).read_namespaced_config_map("a", "ns")
            assert found.data == {"k": "v"}
            server.known = {"Bearer two"}
            token.write_text("two")
            await client.get(ConfigMap, KEY)  # notices the new token
            await CoreV1Api(api).read_namespaced_config_map("a", "ns")
    assert server.seen == ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]


async def test_the_generated_api_works_without_a_token(tmp_path: Path) -> None:
    from kubernetes_asyncio.client import CoreV1Api

    seen: list[str | None] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return json_response(config_map())

    async with (
        serve(note) as url,
        connect(kubeconfig=write_kubeconfig(tmp_path / "c", server=url)) as client,
        client.api_client() as api,
    ):
        await CoreV1Api(api).read_namespaced_config_map("a", "ns")
    assert seen == [None]


def test_importing_the_client_does_not_import_the_generated_library() -> None:
    code = "import rbgctrl.client, sys; sys.exit('kubernetes_asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - this interpreter


def test_the_public_names_exist_and_are_sorted() -> None:
    names = rbgctrl.client.__all__
    assert names == sorted(names)
    assert all(hasattr(rbgctrl.client, name) for name in names)
