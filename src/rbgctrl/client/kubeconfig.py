"""Kubeconfig files, merged and navigated by kubernetes_asyncio; importing this module imports that library.

What the library does with the result is done here instead, because it reads token files only once, never refreshes
exec plugins, lets the last file's current-context win, and fails on a context without a user.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config.config_exception import ConfigException
from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from rbgctrl.client.credentials import Anonymous, Credentials, FixedHeader, Reloaded, TokenFile, basic, bearer
from rbgctrl.client.errors import ConfigError
from rbgctrl.client.execplugin import ExecCredentials, ExecPlugin
from rbgctrl.client.proxy import proxy_for
from rbgctrl.client.target import Cluster
from rbgctrl.client.tls import Material, Tls
from rbgctrl.clock import Now, utcnow

__all__ = ["read"]

_BROKEN = (
    ConfigException,
    yaml.YAMLError,
    OSError,
    UnicodeDecodeError,
    TypeError,
    KeyError,
    AttributeError,
    AssertionError,
    ValueError,
)
"""What the library raises for files that are not what it expects."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cluster, user or context: its mapping, and the directory its relative paths start from."""

    value: Mapping[str, Any]
    base: Path

    def text(self, key: str) -> str:
        return str(self.value.get(key) or "")

    def material(self, key: str) -> Material | None:
        data = self.value.get(f"{key}-data")
        if data:
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError, TypeError) as error:
                raise ConfigError(f"{key}-data of the kubeconfig is not base64; correct it.") from error
        return self.base / self.text(key) if self.value.get(key) else None


async def read(paths: str, *, context: str | None = None, environ: Mapping[str, str], now: Now = utcnow) -> Cluster:
    """The cluster a context points to.

    Args:
        paths: one file, or several as in ``$KUBECONFIG``; the first to define something wins, missing ones are skipped.
        context: its name; None for the current one.
        environ: environment of exec plugins and proxies.
        now: the wall clock, for the expiry of plugin tokens.

    Raises:
        ConfigError: no file, no such context, or a part that cannot be used; the message says what to do.
    """
    merged = _merged(paths)
    name = context or _current(merged)
    source = f"context {name!r} of {', '.join(merged.paths)}"
    with _understood(source):
        chosen = _entry(merged, "contexts", name, "context")
        cluster = _entry(merged, "clusters", chosen.text("cluster"), "cluster")
        user = _user(merged, chosen.text("user"))
    server = cluster.text("server").rstrip("/")
    if urlsplit(server).scheme not in ("http", "https") or not urlsplit(server).hostname:
        raise ConfigError(f"The cluster of {source} has no usable server; set it to https://host:port.")
    with _understood(source):
        return Cluster(
            server=server,
            credentials=_credentials(merged, name, user, cluster, environ, now),
            tls=_tls(cluster, user),
            proxy=proxy_for(server, configured=cluster.text("proxy-url"), environ=environ),
            headers=_impersonation(user),
            namespace=chosen.text("namespace") or "default",
            source=source,
        )


@contextmanager
def _understood(source: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ConfigError(f"Cannot read {source} ({_harmless(error)}); correct the kubeconfig.") from None


def _harmless(error: Exception) -> str:
    """What is wrong, without the pieces of the file that both libraries quote: they may be secrets."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, line {error.problem_mark.line + 1}"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error).partition("{")[0] or type(error).__name__


def _merged(paths: str) -> KubeConfigMerger:
    with _understood(paths):
        merged = KubeConfigMerger(paths)
    if not merged.paths:
        raise ConfigError(
            f"No kubeconfig at {paths}; name one with --kubeconfig or $KUBECONFIG, or run inside a cluster."
        )
    return merged


def _current(merged: KubeConfigMerger) -> str:
    for content in merged.config_files.values():
        if content.get("current-context"):
            return str(content["current-context"])
    files = ", ".join(merged.paths)
    raise ConfigError(f"{files} has no current context; choose one with --context or kubectl config use-context.")


def _entry(merged: KubeConfigMerger, section: str, name: str, key: str) -> _Entry:
    entries = merged.config.value[section] if merged.config else []
    for entry in entries:  # one node per name, each knowing the file it came from
        if entry["name"] == name:
            value = entry.value[key] or {}
            if not isinstance(value, dict):
                raise ConfigError(f"The {key} {name!r} in {entry.path} is not a mapping; correct the kubeconfig.")
            return _Entry(value, Path(str(entry.path)).expanduser().absolute().parent)
    known = ", ".join(sorted(str(entry["name"]) for entry in entries)) or "none at all"
    raise ConfigError(f"{', '.join(merged.paths)} has no {key} {name!r}; it has {known}.")


def _user(merged: KubeConfigMerger, name: str) -> _Entry:
    return _entry(merged, "users", name, "user") if name else _Entry({}, Path())


def _tls(cluster: _Entry, user: _Entry) -> Tls:
    insecure = bool(cluster.value.get("insecure-skip-tls-verify"))
    ca = cluster.material("certificate-authority")
    if insecure and ca is not None:
        raise ConfigError("The cluster has both a certificate-authority and insecure-skip-tls-verify; remove one.")
    certificate, key = user.material("client-certificate"), user.material("client-key")
    if (certificate is None) != (key is None):
        raise ConfigError("The kubeconfig user has only one of client-certificate and client-key; add the other.")
    for material in (ca, certificate, key):
        if isinstance(material, Path) and not material.is_file():
            raise ConfigError(f"The kubeconfig names the file {material}, which does not exist; correct the path.")
    return Tls(
        ca=ca,
        certificate=certificate,
        key=key,
        server_name=cluster.text("tls-server-name") or None,
        verify=not insecure,
    )


def _credentials(
    merged: KubeConfigMerger,
    context: str,
    user: _Entry,
    cluster: _Entry,
    environ: Mapping[str, str],
    now: Now,
) -> Credentials:
    """In kubectl's order: a token (its file before a literal one), a password, a plugin."""
    if user.value.get("tokenFile"):
        return TokenFile(user.base / user.text("tokenFile"))
    if user.value.get("token"):
        return FixedHeader(bearer(user.text("token")))
    if user.value.get("username"):
        return FixedHeader(basic(user.text("username"), user.text("password")))
    if user.value.get("exec"):
        told = {key: value for key, value in cluster.value.items() if key != "extensions"}
        plugin = ExecPlugin.parse(user.value["exec"], base=user.base, cluster=told, environ=environ)
        return ExecCredentials(plugin, now=now)
    if user.value.get("auth-provider"):
        return Reloaded(lambda: _from_provider(merged, context))
    return Anonymous()


async def _from_provider(merged: KubeConfigMerger, context: str) -> str | None:
    """OpenID Connect and the like, as far as the library supports them; refreshed tokens are not written back."""
    loader = KubeConfigLoader(config_dict=merged.config, active_context=context, config_base_path=None)
    configuration = Configuration()
    try:
        await loader.load_and_set(configuration)
    except Exception as error:
        # Whatever the provider's libraries raise means one thing here; their words may quote a token.
        problem = type(error).__name__
        raise ConfigError(
            f"The auth-provider of context {context!r} gave no token ({problem}); log in again."
        ) from error
    value = configuration.api_key.get("BearerToken")
    return str(value).strip() if value else None


def _impersonation(user: _Entry) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for key, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid")):
        if user.value.get(key):
            headers.append((header, user.text(key)))
    headers += [("Impersonate-Group", str(group)) for group in user.value.get("as-groups") or ()]
    for key, values in (user.value.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return tuple(headers)
