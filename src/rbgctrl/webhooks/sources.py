"""Where certificates come from: a Secret that we keep, or a directory that somebody else fills."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from rbgctrl.api.meta import Key
from rbgctrl.client import AlreadyExistsError, Client, ConflictError, NotFoundError, UnknownOutcomeError
from rbgctrl.clock import Now
from rbgctrl.webhooks.certificates import CertificateOptions, Material, renewed
from rbgctrl.webhooks.kinds import Secret

__all__ = ["CertificateSource", "ContendedError", "DirectorySource", "MissingFileError", "SecretSource"]

log = structlog.get_logger(__name__)

_ATTEMPTS: Final = 10


class ContendedError(Exception):
    """The Secret was changed by others each time we tried to renew it."""


class MissingFileError(Exception):
    """The certificate directory has no certificate yet; the message says which file is looked for."""


class CertificateSource(Protocol):
    """Where certificates come from."""

    async def current(self, *, trusted: bool) -> Material:
        """The material to use now.

        Args:
            trusted: whether callers trust all authorities of the material last returned.
        """
        ...


class SecretSource:
    """A Secret that all replicas share: whoever comes first makes it, whoever notices first renews it.

    Args:
        client: to read and write with.
        key: of the Secret.
        hosts: names the certificate is for.
        now: the wall clock.
        options: lifetimes.
    """

    def __init__(
        self,
        client: Client,
        key: Key,
        hosts: Sequence[str],
        *,
        now: Now,
        options: CertificateOptions | None = None,
    ) -> None:
        self._client = client
        self._key = key
        self._hosts = tuple(hosts)
        self._now = now
        self._options = options or CertificateOptions()

    async def current(self, *, trusted: bool) -> Material:
        """What the Secret holds, made or renewed when it is time.

        Raises:
            ApiError: the Secret cannot be read or written.
            ContendedError: others change it again and again.
        """
        for _ in range(_ATTEMPTS):
            secret = await self._read()
            found = Material.of_secret((secret.data or {}) if secret is not None else {})
            wanted = renewed(found, self._hosts, self._now(), self._options, trusted=trusted)
            if wanted is found:
                return found
            try:
                await self._write(secret, wanted)
            except (AlreadyExistsError, ConflictError, NotFoundError, UnknownOutcomeError):
                continue  # another replica was faster: take what it wrote
            log.info("webhook certificates written", secret=str(self._key), new=secret is None)
            return wanted
        msg = f"the Secret {self._key} changes all the time; find out who else writes to it, and stop that"
        raise ContendedError(msg)

    async def _read(self) -> Secret | None:
        try:
            return await self._client.get(Secret, self._key)
        except NotFoundError:
            return None

    async def _write(self, secret: Secret | None, material: Material) -> None:
        data = material.secret()
        if secret is None:
            body = {"metadata": {"name": self._key.name}, "type": "Opaque", "data": data}
            await self._client.create(Secret, body, self._key.namespace)
            return
        fence = {"resourceVersion": secret.metadata.resource_version, "uid": secret.uid}
        await self._client.patch(Secret, self._key, {"metadata": fence, "data": data})


class DirectorySource:
    """A directory with ``tls.crt``, ``tls.key`` and perhaps ``ca.crt``, as cert-manager's Secrets are mounted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def current(self, *, trusted: bool) -> Material:  # noqa: ARG002 - whoever fills it knows
        """What the files hold now.

        Raises:
            MissingFileError: certificate or key is not there yet, or cannot be read.
        """
        return await asyncio.to_thread(self._read)

    def _read(self) -> Material:
        authority = self._directory / "ca.crt"
        try:
            return Material(
                ca=authority.read_bytes() if authority.exists() else b"",
                cert=(self._directory / "tls.crt").read_bytes(),
                key=(self._directory / "tls.key").read_bytes(),
            )
        except OSError as error:
            msg = f"{error.filename} cannot be read ({error.strerror}); --webhook-cert-dir needs tls.crt and tls.key"
            raise MissingFileError(msg) from error
