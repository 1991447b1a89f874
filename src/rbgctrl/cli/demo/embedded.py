"""The demo's cluster in the demo's own process: an API server on loopback, scheduler, kubelets, controllers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from rbgctrl.cli.demo.cluster import NODES
from rbgctrl.cli.errors import FAILED, CliError
from rbgctrl.sim import ClusterOptions, EmbeddedCluster, KubeletOptions, ServerOptions, domain_nodes

__all__ = ["EmbeddedDemoCluster"]

_START_SECONDS = 0.3
_START_JITTER = 0.5


class EmbeddedDemoCluster:
    """A small cluster that needs nothing but this package.

    Args:
        state: folder for the kubeconfig.
    """

    title = "embedded cluster: API server, scheduler, kubelets"

    def __init__(self, state: Path) -> None:
        self.kubeconfig = state / "kubeconfig"
        self._lock = state / "cluster.lock"
        self._held: int | None = None
        self._cluster = EmbeddedCluster(
            ClusterOptions(
                nodes=0,
                kubelet=KubeletOptions(start=_START_SECONDS, jitter=_START_JITTER),
                server=ServerOptions(install_crds=False, history=1000, audit=1000),
            )
        )

    def prepare(self) -> None:
        """Nothing takes long."""

    async def start(self) -> None:
        """Start it and write the kubeconfig.

        Raises:
            CliError: another demo uses the folder.
        """
        self._hold()
        try:
            await self._cluster.__aenter__()
            await self._cluster.serve(self.kubeconfig)
        except BaseException:
            await self.stop()
            raise

    async def add_nodes(self) -> None:
        """Add the GPU nodes, four to an NVLink domain, in two zones."""
        self._cluster.add_nodes(*domain_nodes(NODES))
        await self._cluster.settle(quiet=0.0)

    async def stop(self) -> None:
        """Stop it."""
        if self._held is None:
            return
        try:
            await self._cluster.__aexit__(None, None, None)
        finally:
            self.kubeconfig.unlink(missing_ok=True)
            self._lock.unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def _hold(self) -> None:
        held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it, however this process ends
        except OSError as error:
            os.close(held)
            folder = self._lock.parent
            message = f"Another demo runs a cluster already in {folder}; end it, or name another folder"
            raise CliError(message, code=FAILED) from error
        self._held = held
