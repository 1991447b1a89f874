"""From a configuration to a client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rbgctrl.client.client import Client
from rbgctrl.client.config import load
from rbgctrl.client.http import HttpOptions, HttpTransport
from rbgctrl.client.observe import ClientObserver
from rbgctrl.client.retry import Retrying, RetryPolicy

__all__ = ["ClientOptions", "connect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client behaves.

    Attributes:
        field_manager: name under which the server records what we wrote.
        http: connections, timeouts and limits.
        retry: how often and how long safe requests are repeated.
    """

    field_manager: str = "rbg"
    http: HttpOptions = field(default_factory=HttpOptions)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@asynccontextmanager
async def connect(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    options: ClientOptions | None = None,
    observer: ClientObserver | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Client]:
    """A client for the API server that the configuration names; closed when the context ends.

    In a pod that is the pod's cluster, unless a kubeconfig or context is named; else ``$KUBECONFIG``, else
    ``~/.kube/config``. Nothing is sent before the first request.

    Args:
        kubeconfig: path of a kubeconfig file.
        context: name of one of its contexts; None for the current one.
        options: how the client behaves.
        observer: told of every exchange; see :class:`~rbgctrl.client.observe.ClientObserver`.
        environ: instead of the process's environment.

    Raises:
        ConfigError: there is no usable configuration; the message says what to do.
    """
    options = options or ClientOptions()
    cluster = await load(kubeconfig=kubeconfig, context=context, environ=os.environ if environ is None else environ)
    transport = HttpTransport(cluster, options.http, observer=observer)
    try:
        yield Client(
            Retrying(transport, options.retry, host=transport.host, observer=observer),
            field_manager=options.field_manager,
            namespace=cluster.namespace,
            backend=transport,
        )
    finally:
        await transport.close()
