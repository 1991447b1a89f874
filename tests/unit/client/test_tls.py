from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import Key
from rbgctrl.client import errors
from rbgctrl.client.client import Client
from rbgctrl.client.credentials import ClientCertificate
from rbgctrl.client.tls import Tls, TlsContext
from unit.client.servers import Authority, Pair, config_map, json_response, serve, transport_to, trusting

KEY = Key("ns", "a")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> Pair:
    return authority.issue()


async def who(request: web.BaseRequest) -> web.StreamResponse:
    """Answers with the common name of the client's certificate."""
    found = request.get_extra_info("peercert") or {}
    names = {key: value for group in found.get("subject", ()) for key, value in group}
    return json_response(config_map() | {"data": {"name": names.get("commonName", "")}})


async def ask(url: str, tls: Tls) -> str:
    async with transport_to(url, tls=tls) as transport:
        return (await Client(transport).get(ConfigMap, KEY)).data["name"]


async def test_a_server_is_trusted_by_its_authority(authority: Authority, server_pair: Pair) -> None:
    async with serve(who, tls=server_pair.server_context()) as url:
        assert await ask(url, trusting(authority)) == ""


async def test_another_authority_is_a_certificate_error_that_says_what_to_check(server_pair: Pair) -> None:
    async with serve(who, tls=server_pair.server_context()) as url:
        with pytest.raises(errors.CertificateError, match=r"is not trusted .*; check certificate-authority") as caught:
            await ask(url, trusting(Authority("other")))
    assert caught.value.reason == "tls"


async def test_any_server_is_accepted_only_if_asked_for(server_pair: Pair) -> None:
    async with serve(who, tls=server_pair.server_context()) as url:
        assert await ask(url, Tls(verify=False)) == ""


async def test_the_servers_name_can_differ_from_its_address(authority: Authority) -> None:
    elsewhere = authority.issue(names=("api.internal",))
    async with serve(who, tls=elsewhere.server_context()) as url:
        with pytest.raises(errors.CertificateError, match=r"check .*tls-server-name"):
            await ask(url, trusting(authority))
        assert await ask(url, trusting(authority, server_name="api.internal")) == ""


async def test_a_client_certificate_is_shown(authority: Authority, server_pair: Pair) -> None:
    context = server_pair.server_context(clients=authority.pem)
    async with serve(who, tls=context) as url:
        assert await ask(url, trusting(authority, authority.issue("jane"))) == "jane"


async def test_a_server_that_speaks_no_tls_is_told_apart(authority: Authority) -> None:
    async with serve(who) as url:
        with pytest.raises(errors.CertificateError, match="no TLS with 127"):
            await ask(url.replace("http:", "https:"), trusting(authority))


async def test_a_certificate_from_a_plugin_is_used_and_replaced(authority: Authority, server_pair: Pair) -> None:
    class Rotating:
        """Another certificate each time it is asked to renew."""

        def __init__(self) -> None:
            self.number = 0
            self.certificate: ClientCertificate | None = None

        async def header(self) -> str | None:
            if self.certificate is None:
                await self.renew(None)
            return None

        async def renew(self, rejected: str | None) -> bool:
            self.number += 1
            pair = authority.issue(f"user-{self.number}")
            self.certificate = ClientCertificate(pair.certificate, pair.key)
            return True

    refused: list[str] = []

    async def refuse_the_first(request: web.BaseRequest) -> web.StreamResponse:
        answer = await who(request)
        if b"user-1" in bytes(getattr(answer, "body", b"")):
            refused.append("user-1")
            return json_response({"kind": "Status", "code": 401}, 401)
        return answer

    context = server_pair.server_context(clients=authority.pem)
    async with (
        serve(refuse_the_first, tls=context) as url,
        transport_to(url, credentials=Rotating(), tls=trusting(authority)) as transport,
    ):
        found = await Client(transport).get(ConfigMap, KEY)
    assert (found.data["name"], refused) == ("user-2", ["user-1"])


async def test_certificate_files_are_read_again_when_the_server_refuses_us(
    authority: Authority, server_pair: Pair, tmp_path: Path
) -> None:
    def write(name: str) -> None:
        pair = authority.issue(name)
        (tmp_path / "crt").write_bytes(pair.certificate)
        (tmp_path / "key").write_bytes(pair.key)

    write("old")
    seen: list[str] = []

    async def refuse_the_old(request: web.BaseRequest) -> web.StreamResponse:
        answer = await who(request)
        old = b'"old"' in bytes(getattr(answer, "body", b""))
        seen.append("old" if old else "new")
        return json_response({"kind": "Status", "code": 401}, 401) if old else answer

    tls = Tls(ca=authority.pem, certificate=tmp_path / "crt", key=tmp_path / "key")
    async with (
        serve(refuse_the_old, tls=server_pair.server_context(clients=authority.pem)) as url,
        transport_to(url, tls=tls) as transport,
    ):
        client = Client(transport)
        with pytest.raises(errors.UnauthorizedError):
            await client.get(ConfigMap, KEY)
        write("new")
        assert (await client.get(ConfigMap, KEY)).data["name"] == "new"
    assert seen == ["old", "old", "new"]


async def test_a_context_is_kept_until_a_file_behind_it_changes(authority: Authority, tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    ca.write_bytes(authority.pem)
    context = TlsContext(Tls(ca=ca))
    first = context.get()
    context.look_again()
    assert context.get() is first
    ca.write_bytes(authority.pem + b"\n")
    assert context.get() is first  # looked at a moment ago
    context.look_again()
    second = context.get()
    assert second is not first
    ca.write_text("half written")
    context.look_again()
    assert context.get() is second
    ca.unlink()
    context.look_again()
    assert context.get() is second


def key_with_password(pair: Pair) -> bytes:
    key = serialization.load_pem_private_key(pair.key, None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


async def test_what_cannot_be_used_is_a_config_error(authority: Authority, tmp_path: Path) -> None:
    pair, other = authority.issue(), authority.issue()
    for tls, message in (
        (Tls(ca=b"no pem"), r"Cannot use the certificate authority \(inline\)"),
        (Tls(ca=b"\xff"), r"Cannot use the certificate authority \(inline\)"),
        (Tls(ca=tmp_path / "none"), "Cannot use the certificate authority .*none"),
        (Tls(certificate=pair.certificate, key=other.key), "Cannot use the client certificate or its key"),
        (Tls(certificate=pair.certificate, key=key_with_password(pair)), "the key is encrypted; decrypt it first"),
    ):
        with pytest.raises(errors.ConfigError, match=message):
            TlsContext(tls).get()


def test_inline_keys_leave_no_file_behind(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pair = authority.issue()
    seen: list[int] = []
    real = ssl.SSLContext.load_cert_chain

    def load(self: ssl.SSLContext, certfile: Path, keyfile: Path, password: object) -> None:
        seen.append(Path(keyfile).stat().st_mode & 0o777)
        real(self, certfile, keyfile)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)

    async def get() -> None:
        TlsContext(Tls(certificate=pair.certificate, key=pair.key)).get()

    asyncio.run(get())
    assert seen == [0o600]
    assert list(tmp_path.iterdir()) == []
