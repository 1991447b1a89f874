"""kubernetes_asyncio's generated API, over our server, TLS settings and credentials; importing this imports it all.

Caveats: certificates that rotate later are not noticed, so a plugin that issues certificates must have run before (any
request of ours makes it run), and the library's defects stay: ``_preload_content=False`` does not raise HTTP errors,
``Watch`` has no read timeout.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration

from rbgctrl.client.credentials import Anonymous
from rbgctrl.client.target import Cluster
from rbgctrl.client.tls import TlsContext

__all__ = ["api_client"]


def api_client(cluster: Cluster, tls: TlsContext | None, user_agent: str) -> Any:
    """An ``ApiClient`` that authenticates as we do: it asks our credentials before each request."""
    configuration = Configuration(host=cluster.server)
    configuration.verify_ssl = cluster.tls.verify
    configuration.tls_server_name = cluster.tls.server_name
    if cluster.proxy is not None:
        configuration.proxy = cluster.proxy.url
        configuration.proxy_headers = dict(cluster.proxy.headers)

    async def refresh(present: Any) -> None:
        present.api_key["BearerToken"] = await cluster.credentials.header()

    if not isinstance(cluster.credentials, Anonymous) and cluster.credentials.certificate is None:
        configuration.api_key["BearerToken"] = ""  # without an entry the library never asks for the present one
        configuration.refresh_api_key_hook = refresh
    client = ApiClient(configuration)
    client.user_agent = user_agent
    for name, value in cluster.headers:
        client.set_default_header(name, value)
    _replace_session(client, cluster, tls)
    return client


def _replace_session(client: Any, cluster: Cluster, tls: TlsContext | None) -> None:
    """Our TLS context, and no look at the environment, which costs the library more than the request itself."""
    context = tls.get(cluster.credentials.certificate) if tls else True
    client.rest_client.pool_manager.detach()
    client.rest_client.pool_manager = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=client.configuration.connection_pool_maxsize, ssl=context),
        trust_env=False,
        read_bufsize=2**21,
    )
