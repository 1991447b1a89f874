"""Certificates that strict clients accept, tokens and kubeconfigs that name their user."""

from __future__ import annotations

import asyncio
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from hack.controlplane.credentials import (
    ADMIN,
    CONTROLLER,
    NOBODY,
    Authority,
    kubeconfig,
    new_tokens,
    service_account_keys,
    token_file,
)
from rbgctrl.clock import utcnow


async def _handshake(authority: Authority, files: tuple[Path, Path], name: str) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(*files)
    client_side = ssl.create_default_context(cadata=authority.pem.decode())
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of newer interpreters

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=server_side)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side, server_hostname=name)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "svc.ns.svc"])
async def test_a_strict_client_accepts_an_issued_certificate(tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path, utcnow())
    await _handshake(authority, authority.issue("server", [name]), name)


async def test_a_certificate_is_good_for_its_hosts_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path, utcnow())
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        await _handshake(authority, authority.issue("server", ["other.example"]), "localhost")


async def test_a_certificate_of_long_ago_has_expired(tmp_path: Path) -> None:
    authority = Authority(tmp_path, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await _handshake(authority, authority.issue("server", ["localhost"]), "localhost")


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    private, public = service_account_keys(tmp_path)
    _, key = Authority(tmp_path, utcnow()).issue("server", ["localhost"])
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, key)] == [0o600, 0o600]
    assert b"PUBLIC KEY" in public.read_bytes()


def test_the_token_file_names_user_and_groups() -> None:
    tokens = {"admin": "a", "nobody": "b", "controller": "c"}
    assert token_file([ADMIN, NOBODY, CONTROLLER], tokens) == (
        'a,admin,admin,"system:masters"\n'
        'b,nobody,nobody,""\n'
        "c,system:serviceaccount:rbgs-system:rbgs-controller-sa,controller,"
        '"system:serviceaccounts,system:serviceaccounts:rbgs-system"\n'
    )


def test_tokens_are_distinct_and_new_each_time() -> None:
    drawn = [*new_tokens([ADMIN, NOBODY]).values(), *new_tokens([ADMIN, NOBODY]).values()]
    assert len(set(drawn)) == 4


def test_a_kubeconfig_trusts_the_authority_and_nothing_less() -> None:
    made = yaml.safe_load(kubeconfig("https://127.0.0.1:1", b"pem", "secret", user="u", namespace="n"))
    assert made["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "cGVt",
    }
    assert made["users"] == [{"name": "u", "user": {"token": "secret"}}]
    assert made["contexts"][0]["context"]["namespace"] == "n"
