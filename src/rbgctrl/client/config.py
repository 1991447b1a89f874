"""Where the API server is and who we are there: in-cluster, or from kubeconfig files.

In-cluster is a handful of files and variables, read here; kubeconfig files are merged and read by kubernetes_asyncio
(see ``kubeconfig``), which is imported only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rbgctrl.client.credentials import TokenFile
from rbgctrl.client.errors import ConfigError
from rbgctrl.client.proxy import proxy_for
from rbgctrl.client.target import Cluster
from rbgctrl.client.tls import Tls
from rbgctrl.clock import Now, utcnow

__all__ = ["SERVICE_ACCOUNT", "in_cluster", "load"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts the service account's token, namespace and certificate authority."""


async def load(
    *, kubeconfig: str | None = None, context: str | None = None, environ: Mapping[str, str], now: Now = utcnow
) -> Cluster:
    """Find the configuration.

    The order: ``kubeconfig`` if given, ``$KUBECONFIG`` (a list of files, merged), the service account when running in a
    pod, ``~/.kube/config``. A ``context`` is always one of a kubeconfig.

    Raises:
        ConfigError: nothing usable was found; the message says what to do.
    """
    named = kubeconfig or environ.get("KUBECONFIG")
    if environ.get("KUBERNETES_SERVICE_HOST") and not named and not context:
        return in_cluster(environ)
    from rbgctrl.client.kubeconfig import read  # noqa: PLC0415 - imports kubernetes_asyncio: 0.5 s and 38 MB

    home = environ.get("HOME") or str(Path.home())
    return await read(named or str(Path(home, ".kube", "config")), context=context, environ=environ, now=now)


def in_cluster(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> Cluster:
    """The server of the cluster this process is a pod of.

    Raises:
        ConfigError: the pod has no service account token or certificate authority.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT") or "443"
    if not host:
        raise ConfigError("KUBERNETES_SERVICE_HOST is not set; run inside a cluster or name a kubeconfig.")
    ca = directory / "ca.crt"
    try:
        ca.read_bytes()
        credentials = TokenFile(directory / "token")
    except (OSError, ConfigError) as error:
        message = (
            f"Running in a pod without a usable service account ({error}); set automountServiceAccountToken: true."
        )
        raise ConfigError(message) from error
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Cluster(
        server=server,
        credentials=credentials,
        tls=Tls(ca=ca),
        proxy=proxy_for(server, environ=environ),
        namespace=_namespace(directory),
        source="the service account",
    )


def _namespace(directory: Path) -> str:
    try:
        return (directory / "namespace").read_text("utf-8").strip() or "default"
    except OSError:
        return "default"
