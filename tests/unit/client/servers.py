"""Small real servers on 127.0.0.1, certificates made on the fly, and kubeconfig files."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rbgctrl.client.credentials import Anonymous, Credentials
from rbgctrl.client.http import HttpOptions, HttpTransport
from rbgctrl.client.target import Cluster
from rbgctrl.client.tls import Tls

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_START = datetime(2020, 1, 1, tzinfo=UTC)
_END = datetime(2100, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def serve(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers with ``handler``; yields its URL."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_raw(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A TCP server for answers no HTTP library would give; yields an http URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Headers and body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def transport_to(
    server: str,
    options: HttpOptions | None = None,
    *,
    credentials: Credentials | None = None,
    observer: Any = None,
    **cluster: Any,
) -> AsyncIterator[HttpTransport]:
    """An HTTP transport to ``server``; ``cluster`` are further fields of the configuration."""
    config = Cluster(server=server, credentials=credentials or Anonymous(), source="the test", **cluster)
    transport = HttpTransport(config, options, observer=observer)
    try:
        yield transport
    finally:
        await transport.close()


def json_response(body: Any, status: int = 200, **headers: str) -> web.Response:
    """A JSON answer; header names with underscores become dashes."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def status_response(code: int, reason: str = "", message: str = "", **headers: str) -> web.Response:
    """A ``Status`` answer."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    return json_response(status | {"reason": reason, "message": message}, code, **headers)


def config_map(name: str = "a", **metadata: Any) -> dict[str, Any]:
    """A small object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "7"} | metadata,
        "data": {"k": "v"},
    }


@dataclass
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    def server_context(self, *, clients: bytes | None = None) -> ssl.SSLContext:
        """A server's TLS context; with ``clients`` it accepts only certificates of that authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load(context, self)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients.decode())
        return context


class Authority:
    """A certificate authority."""

    def __init__(self, name: str = "test-ca") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, common_name: str = "server", *, names: tuple[str, ...] = ("127.0.0.1",)) -> Pair:
        """A certificate for a server (``names`` are addresses or host names) or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(subject, self._name, key).add_extension(usage, False)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), False)
        return Pair(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_END)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def load(context: ssl.SSLContext, pair: Pair) -> None:
    """Give a context a certificate."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory, "c"), Path(directory, "k")
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificate, key)


def trusting(authority: Authority, pair: Pair | None = None, **more: Any) -> Tls:
    """TLS settings that trust an authority and show a certificate."""
    shown: dict[str, Any] = {"certificate": pair.certificate, "key": pair.key} if pair else {}
    return Tls(ca=authority.pem, **shown, **more)


def write_kubeconfig(
    path: Path,
    *,
    server: str = "https://127.0.0.1:6443",
    user: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    name: str = "here",
    current: str | None = None,
) -> str:
    """A kubeconfig with one context; returns its path."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name if current is None else current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name} | (context or {})}],
        "clusters": [{"name": name, "cluster": {"server": server} | (cluster or {})}],
        "users": [{"name": name, "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)
