"""Credentials from an exec plugin of a kubeconfig (``client.authentication.k8s.io``).

Flow: the plugin runs at the first request; its token or certificate is kept until shortly before it expires, or, when
it names no expiry, until the server answers 401. Whoever finds it about to expire runs the plugin; the others go on
with the old one. Nothing runs in the background.

Guarantees: one plugin process at a time; it is killed when it hangs or when nobody waits any more; a plugin is not
started more than once in ten seconds because of 401s or failures. Its output is never logged.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from rbgctrl.client.credentials import ClientCertificate, bearer
from rbgctrl.client.errors import ConfigError
from rbgctrl.clock import Now, utcnow

__all__ = ["ExecCredentials", "ExecPlugin"]

log = structlog.get_logger(__name__)

_GROUP = "client.authentication.k8s.io/"
_PAUSE = 10.0
_AHEAD = 300.0
_SHORT_LIFE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """How to run the plugin.

    Attributes:
        command: program and arguments; the environment may hold secrets, so it is not part of the repr.
        api_version: version of the protocol the kubeconfig asks for.
        env: the whole environment.
        interactive: whether it may talk to the user on the terminal.
        cluster: the cluster's entry of the kubeconfig, if the plugin is to be told.
        install_hint: shown when the program is missing.
        timeout: seconds until it is killed.
    """

    command: tuple[str, ...]
    api_version: str
    env: Mapping[str, str] = field(repr=False)
    interactive: bool = False
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)
    install_hint: str = ""
    timeout: float = 60.0

    @classmethod
    def parse(
        cls, spec: Mapping[str, Any], *, base: Path, cluster: Mapping[str, Any], environ: Mapping[str, str]
    ) -> ExecPlugin:
        """The ``exec`` entry of a kubeconfig user; ``base`` is the directory its relative paths start from.

        Raises:
            ConfigError: the entry is incomplete, or wants a terminal and there is none.
        """
        command, version = spec.get("command"), spec.get("apiVersion")
        if not command or not isinstance(version, str) or not version.startswith(_GROUP):
            raise ConfigError("The exec entry of the kubeconfig user needs a command and an apiVersion; add them.")
        mode = spec.get("interactiveMode", "IfAvailable")
        terminal = sys.stdin is not None and sys.stdin.isatty()
        if mode == "Always" and not terminal:
            raise ConfigError(f"The exec plugin {command} wants a terminal; run it by hand, or use a token file.")
        program = str(command)
        if os.sep in program:
            program = str(base / program)
        extra = {str(item["name"]): str(item["value"]) for item in spec.get("env") or ()}
        return cls(
            command=(program, *(str(argument) for argument in spec.get("args") or ())),
            api_version=version,
            env={**environ, **extra},
            interactive=terminal and mode != "Never",
            cluster=cluster if spec.get("provideClusterInfo") else None,
            install_hint=str(spec.get("installHint") or ""),
        )

    async def run(self) -> bytes:
        """What it printed.

        Raises:
            ConfigError: it is missing, failed, or took too long; the message says how to find out more.
        """
        info: dict[str, Any] = {"interactive": self.interactive}
        if self.cluster is not None:
            info["cluster"] = self.cluster
        request = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": info}
        env = {**self.env, "KUBERNETES_EXEC_INFO": json.dumps(request)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                env=env,
                stdin=None if self.interactive else DEVNULL,
                stdout=PIPE,
                stderr=None if self.interactive else PIPE,
            )
        except OSError as error:
            hint = self.install_hint or "Install it, or correct its path in the kubeconfig."
            raise ConfigError(f"Cannot start the exec plugin {self.command[0]} ({error}). {hint}") from error
        try:
            async with asyncio.timeout(self.timeout):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise self._failure(f"did not answer within {self.timeout:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            text = " ".join((complaint or b"").decode("utf-8", "replace").split())
            raise self._failure(f"ended with status {process.returncode}: {text[:300] or 'it said nothing'}")
        return output

    def _failure(self, what: str) -> ConfigError:
        return ConfigError(f"The exec plugin {self.command[0]} {what}; run it by hand to see why.")


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    status: _Status


class ExecCredentials:
    """Credentials that an exec plugin makes. See the module for the guarantees."""

    def __init__(self, plugin: ExecPlugin, *, now: Now = utcnow) -> None:
        self.plugin = plugin
        self._now = now
        self._lock = asyncio.Lock()
        self._header: str | None = None
        self._certificate: ClientCertificate | None = None
        self._loaded = False
        self._renew_at: float | None = None
        self._expires_at: float | None = None
        self._next_run: float | None = None
        self._failure: ConfigError | None = None

    @property
    def certificate(self) -> ClientCertificate | None:
        """The certificate it made, if it makes certificates."""
        return self._certificate

    async def header(self) -> str | None:
        """The token, valid now; runs the plugin when there is none or it expires soon."""
        if self._fresh():
            return self._header
        alive = self._expires_at is not None and asyncio.get_running_loop().time() < self._expires_at
        if alive and self._lock.locked():
            return self._header
        async with self._lock:
            if not self._fresh():
                await self._run(keep=alive)
        return self._header

    async def renew(self, rejected: str | None) -> bool:
        """Runs the plugin unless somebody just did."""
        before = self._certificate
        async with self._lock:
            if self._header == rejected and self._certificate is before and not self._pausing():
                await self._run(keep=True)
            return self._header != rejected or self._certificate != before

    def _fresh(self) -> bool:
        """Whether what we have should be used without asking the plugin."""
        if not self._loaded:
            if self._failure is not None and self._pausing():
                raise self._failure
            return False
        # What was made a moment ago is used even if it looks expired: it is our clock that may be wrong.
        return self._renew_at is None or self._pausing() or asyncio.get_running_loop().time() < self._renew_at

    def _pausing(self) -> bool:
        return self._next_run is not None and asyncio.get_running_loop().time() < self._next_run

    async def _run(self, *, keep: bool) -> None:
        """Run the plugin, holding the lock. With ``keep`` a failure is logged and the old credentials stay."""
        try:
            self._take(self._parsed(await self.plugin.run()))
            self._failure = None
        except ConfigError as error:
            self._failure = error
            if not keep:
                raise
            log.warning("keeping the old credentials", error=str(error))
        finally:
            self._next_run = asyncio.get_running_loop().time() + _PAUSE

    def _take(self, status: _Status) -> None:
        self._header = bearer(status.token) if status.token else None
        certificate = ClientCertificate(status.client_certificate_data.encode(), status.client_key_data.encode())
        self._certificate = certificate if certificate.certificate else None
        self._loaded = True
        self._renew_at = self._expires_at = None
        if status.expiration_timestamp is not None:
            left = max(0.0, (status.expiration_timestamp - self._now()).total_seconds())
            self._expires_at = asyncio.get_running_loop().time() + left
            self._renew_at = self._expires_at - min(_AHEAD, left * _SHORT_LIFE)

    def _parsed(self, output: bytes) -> _Status:
        name = self.plugin.command[0]
        try:
            found = msgspec.json.decode(output, type=_ExecCredential)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # The cause could quote the token, so it is not shown.
            raise ConfigError(
                f"The exec plugin {name} printed no ExecCredential; run it by hand to see why."
            ) from error
        status = found.status
        if found.kind != "ExecCredential" or found.api_version != self.plugin.api_version:
            raise ConfigError(
                f"The exec plugin {name} answered {found.api_version} {found.kind}, but the kubeconfig asks for"
                f" {self.plugin.api_version}; set the version it speaks."
            )
        if not status.token and not (status.client_certificate_data and status.client_key_data):
            raise ConfigError(f"The exec plugin {name} printed neither a token nor a certificate with its key.")
        if status.expiration_timestamp is not None and status.expiration_timestamp.tzinfo is None:
            raise ConfigError(f"The exec plugin {name} printed an expiry without a time zone.")
        return status
