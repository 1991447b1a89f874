"""TLS settings as values, and the context made from them, made anew when a file behind it changes.

The context is given to each request, so a new certificate takes effect with the next connection, while watches that
are open live on.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from rbgctrl.client.credentials import ClientCertificate
from rbgctrl.client.errors import ConfigError

__all__ = ["Material", "Tls", "TlsContext"]

Material: TypeAlias = Path | bytes
"""PEM in a file, read again when it changes, or PEM itself."""

log = structlog.get_logger(__name__)

_FILE_AGE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to know the server, and how to show who we are.

    Attributes:
        ca: trusted certificates; None for the system's.
        certificate: our certificate chain; needs ``key``.
        key: our key.
        server_name: name expected in the server's certificate, when it is not the host of the URL.
        verify: False accepts any server.
    """

    ca: Material | None = None
    certificate: Material | None = None
    key: Material | None = None
    server_name: str | None = None
    verify: bool = True

    def __repr__(self) -> str:  # keys given inline stay out of logs
        return f"Tls(ca={_shown(self.ca)}, certificate={_shown(self.certificate)}, verify={self.verify})"


class TlsContext:
    """Keeps the ``ssl.SSLContext`` of one set of settings up to date.

    Files are looked at once a minute (by modification time) and when the server refuses us. A certificate from an exec
    plugin replaces the configured one. When new files are unusable, the last context stays and the failure is logged.
    """

    def __init__(self, tls: Tls) -> None:
        self.tls = tls
        self._context: ssl.SSLContext | None = None
        self._made_of: object = None
        self._looked_at: float | None = None
        self._stamps: tuple[object, ...] = ()

    def get(self, issued: ClientCertificate | None = None) -> ssl.SSLContext:
        """The context to connect with now.

        Raises:
            ConfigError: a file cannot be read or is not PEM, and there is no earlier context to go on with.
        """
        now = asyncio.get_running_loop().time()
        if self._looked_at is None or now - self._looked_at >= _FILE_AGE:
            self._looked_at = now
            self._stamps = tuple(_stamp(item) for item in (self.tls.ca, self.tls.certificate, self.tls.key))
        wanted = (self._stamps, issued)
        if self._context is None or self._made_of != wanted:
            try:
                self._context = self._make(issued)
            except ConfigError as error:
                if self._context is None:
                    raise
                log.warning("keeping the old certificates", error=str(error))
            self._made_of = wanted  # also after a failure: a half-written file will change its stamp again
        return self._context

    def look_again(self) -> None:
        """Check the files at the next :meth:`get`, however recently that was done."""
        self._looked_at = None

    def _make(self, issued: ClientCertificate | None) -> ssl.SSLContext:
        try:
            context = _trusting(self.tls)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise _unusable("the certificate authority", self.tls.ca, error) from error
        certificate: Material | None = issued.certificate if issued else self.tls.certificate
        key: Material | None = issued.key if issued else self.tls.key
        if certificate is not None and key is not None:
            try:
                _show_who_we_are(context, certificate, key)
            except (OSError, ValueError, ssl.SSLError) as error:
                raise _unusable("the client certificate or its key", self.tls.certificate, error) from error
        return context


def _trusting(tls: Tls) -> ssl.SSLContext:
    cafile = os.fspath(tls.ca) if isinstance(tls.ca, Path) else None
    cadata = tls.ca.decode("ascii") if isinstance(tls.ca, bytes) else None
    if tls.verify:
        context = ssl.create_default_context(cafile=cafile, cadata=cadata)
        # Cluster authorities often lack the extensions that Python 3.13 began to insist on.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _show_who_we_are(context: ssl.SSLContext, certificate: Material, key: Material) -> None:
    """OpenSSL takes certificates only from files; inline ones exist, readable by us alone, while it reads them."""
    with tempfile.TemporaryDirectory(prefix="rbgctrl-") as directory:
        context.load_cert_chain(
            _as_file(certificate, Path(directory, "tls.crt")), _as_file(key, Path(directory, "tls.key")), _no_password
        )


def _as_file(material: Material, path: Path) -> Path:
    if isinstance(material, Path):
        return material
    path.touch(mode=0o600)
    path.write_bytes(material)
    return path


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal and wait for ever.
    raise ValueError("the key is encrypted; decrypt it first")


def _stamp(material: Material | None) -> object:
    if not isinstance(material, Path):
        return None
    try:
        found = material.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _unusable(what: str, material: Material | None, error: Exception) -> ConfigError:
    return ConfigError(f"Cannot use {what} ({_shown(material)}): {error}; correct it in the configuration.")


def _shown(material: Material | None) -> str:
    return "inline" if isinstance(material, bytes) else str(material)
