"""One API server and how to talk to it: what every configuration comes down to."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rbgctrl.client.credentials import Credentials
from rbgctrl.client.proxy import Proxy
from rbgctrl.client.tls import Tls

__all__ = ["Cluster", "host_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One API server and how to talk to it.

    Attributes:
        server: URL, perhaps with a path, without a slash at the end.
        credentials: who we are.
        tls: how we know the server.
        proxy: on the way there.
        headers: sent with each request, for impersonation.
        namespace: default namespace.
        source: where this was found, for messages.
    """

    server: str
    credentials: Credentials
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = "default"
    source: str = ""


def host_of(server: str) -> str:
    """``host:port`` of a server's URL, as metrics and messages show it."""
    parts = urlsplit(server)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
