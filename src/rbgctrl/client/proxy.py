"""Which proxy to use, decided once: aiohttp's own look at the environment costs more than the request itself."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from rbgctrl.client.errors import ConfigError

__all__ = ["Proxy", "proxy_for"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        url: without user name and password.
        headers: authentication, if the URL had any.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_for(server: str, *, configured: str = "", environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to reach ``server`` through, or None.

    Args:
        server: URL of the API server.
        configured: ``proxy-url`` of the kubeconfig; wins, and then ``NO_PROXY`` does not count, as with kubectl.
        environ: where ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` (or in lower case) are looked up.

    Raises:
        ConfigError: the proxy's URL is not usable; SOCKS is not supported.
    """
    if configured:
        return _parsed(configured, "proxy-url of the kubeconfig")
    target = urlsplit(server)
    name = "HTTPS_PROXY" if target.scheme == "https" else "HTTP_PROXY"
    url = environ.get(name) or environ.get(name.lower()) or ""
    excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    port = target.port or (443 if target.scheme == "https" else 80)
    if not url or _excluded(target.hostname or "", port, excluded):
        return None
    return _parsed(url if "://" in url else f"http://{url}", name)


def _parsed(url: str, where: str) -> Proxy:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{where} is not the URL of an HTTP proxy; write http://host:port (SOCKS is not supported).")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    headers: dict[str, str] = {}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(user.encode()).decode("ascii")
    return Proxy(f"{parts.scheme}://{host}{port}", headers)


def _excluded(host: str, port: int, rules: str) -> bool:
    """Go's reading of NO_PROXY: a name covers its subdomains, ``.x`` only those; addresses, networks, ports; ``*``."""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(host, address, port, rule.strip().lower()) for rule in rules.split(",") if rule.strip())


def _matches(host: str, address: _Address | None, port: int, rule: str) -> bool:
    if rule == "*":
        return True
    if address is not None and "/" in rule:
        try:
            return address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and _address(rule) is None:
        if int(wanted) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return address == _address(rule)
    domain = rule.removeprefix("*")
    return host == domain or host.endswith(domain if domain.startswith(".") else f".{domain}")


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
