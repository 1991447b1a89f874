"""Who we are to the server: fixed headers, token files that rotate, and a plain protocol for everything else.

A credential hands out the value of the ``Authorization`` header for each request and is asked once for a new one when
the server answers 401. Token files are read again at most once a minute, so rotation needs no restart.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from rbgctrl.client.errors import ApiError, ConfigError

__all__ = ["Anonymous", "ClientCertificate", "Credentials", "FixedHeader", "Reloaded", "TokenFile", "basic", "bearer"]

log = structlog.get_logger(__name__)

_FILE_AGE = 60.0


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate chain and its key, both PEM. The key never appears in a repr."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"ClientCertificate({len(self.certificate)} bytes)"


class Credentials(Protocol):
    """Authenticates requests; shared by all transports of one connection."""

    async def header(self) -> str | None:
        """The present value of ``Authorization``, or None to send none.

        Raises:
            ConfigError: there is no usable credential now.
        """
        ...

    async def renew(self, rejected: str | None) -> bool:
        """The server refused ``rejected``: get another if possible. True when repeating the request may help."""
        ...

    @property
    def certificate(self) -> ClientCertificate | None:
        """A client certificate that came with the credential, if it is of that sort."""
        ...


class Anonymous:
    """Sends no header; the client certificate of the TLS settings, if any, says who we are."""

    certificate: ClientCertificate | None = None

    async def header(self) -> str | None:
        """None."""
        return None

    async def renew(self, rejected: str | None) -> bool:  # noqa: ARG002 - the protocol's
        """Never helps."""
        return False


class FixedHeader:
    """A token or password written in the configuration."""

    certificate: ClientCertificate | None = None

    def __init__(self, value: str) -> None:
        self._value = value

    async def header(self) -> str | None:
        """Always the same."""
        return self._value

    async def renew(self, rejected: str | None) -> bool:  # noqa: ARG002 - the protocol's
        """Never helps."""
        return False


class TokenFile:
    """A bearer token in a file that somebody else rewrites (kubelet does, about every 50 minutes).

    Guarantees: read again when older than a minute and on 401; when the file cannot be read any more, the last
    token stays in use and the failure is logged.

    Raises:
        ConfigError: the file cannot be read, or is empty, at construction.
    """

    certificate: ClientCertificate | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self._token = self._read()
        self._read_at: float | None = None

    async def header(self) -> str | None:
        """The token, at most a minute old."""
        now = asyncio.get_running_loop().time()
        if self._read_at is None:
            self._read_at = now
        elif now - self._read_at >= _FILE_AGE:
            self._reload(now)
        return self._token

    async def renew(self, rejected: str | None) -> bool:
        """Reads the file; True when it holds something else than what was rejected."""
        if self._token == rejected:
            self._reload(asyncio.get_running_loop().time())
        return self._token != rejected

    def _reload(self, now: float) -> None:
        self._read_at = now
        try:
            self._token = self._read()
        except ConfigError as error:
            log.warning("keeping the old token", error=str(error))

    def _read(self) -> str:
        try:
            token = self.path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the token file {self.path} ({error}); make it readable.") from error
        if not token:
            raise ConfigError(f"The token file {self.path} is empty; write a token into it.")
        return bearer(token)


class Reloaded:
    """A header got by a coroutine, once at the start and again on 401, at most every ten seconds.

    For ``auth-provider`` entries of a kubeconfig, whose tokens the configuration library knows how to refresh.
    """

    certificate: ClientCertificate | None = None

    def __init__(self, load: Callable[[], Awaitable[str | None]], *, pause: float = 10.0) -> None:
        self._load = load
        self._pause = pause
        self._value: str | None = None
        self._loaded_at: float | None = None
        self._lock = asyncio.Lock()

    async def header(self) -> str | None:
        """The header as loaded last."""
        if self._loaded_at is None:
            async with self._lock:
                if self._loaded_at is None:
                    await self._reload()
        return self._value

    async def renew(self, rejected: str | None) -> bool:
        """Loads again unless somebody just did."""
        async with self._lock:
            recent = self._loaded_at is not None and asyncio.get_running_loop().time() - self._loaded_at < self._pause
            if self._value == rejected and not recent:
                try:
                    await self._reload()
                except ApiError as error:
                    log.warning("cannot renew the credentials", error=str(error))
            return self._value != rejected

    async def _reload(self) -> None:
        self._value = await self._load()
        self._loaded_at = asyncio.get_running_loop().time()


def bearer(token: str) -> str:
    """The header value for a token. Raises ConfigError when it cannot be sent: a token is one word."""
    token = token.strip()  # a trailing newline, as every editor writes it, is not allowed in a header
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("The token is not one line without spaces; write only the token itself.")
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """The header value for a user name and password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
