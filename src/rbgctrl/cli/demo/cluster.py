"""The clusters a demo can run on, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from rbgctrl.cli.demo import checkout
from rbgctrl.cli.errors import FAILED, CliError

__all__ = ["CLUSTERS", "NODES", "DemoCluster", "RealCluster", "cluster_of"]

CLUSTERS: Final = ("embedded", "real")
"""The kinds of clusters, the default first."""
NODES: Final = 8
"""GPU nodes, four to an NVLink domain."""


class DemoCluster(Protocol):
    """A cluster that lives as long as the demo."""

    title: str
    kubeconfig: Path

    def prepare(self) -> None:
        """Do what takes long the first time and shows its own progress; blocks."""
        ...

    async def start(self) -> None:
        """Start it; returns when its API server and scheduler answer. When it raises, nothing is left running."""
        ...

    async def add_nodes(self) -> None:
        """Add the GPU nodes and wait until pods can be bound to them."""
        ...

    async def stop(self) -> None:
        """Stop everything that was started."""
        ...


def cluster_of(kind: str) -> Callable[[Path], DemoCluster]:
    """Makes clusters of that kind, each in a folder for everything it writes.

    Args:
        kind: one of :data:`CLUSTERS`.

    Raises:
        CliError: there is no such kind, or not here.
    """
    if kind == "embedded":
        from rbgctrl.cli.demo.embedded import EmbeddedDemoCluster  # noqa: PLC0415 - the CLI's only use of the simulator

        return EmbeddedDemoCluster
    if kind == "real":
        return partial(RealCluster, checkout.find())
    raise CliError(f"There is no cluster {kind!r}; choose {' or '.join(f'--cluster {one}' for one in CLUSTERS)}")


class RealCluster:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with kwok as the kubelet of every node.

    Args:
        root: of the checkout.
        state: folder for everything it writes.
    """

    title = "etcd, API server, scheduler, controller-manager"

    def __init__(self, root: Path, state: Path) -> None:
        package = checkout.load(root, "")
        self._build = checkout.load(root, "build")
        self._nodes = checkout.load(root, "nodes")
        self._error: type[Exception] = checkout.load(root, "errors").ControlPlaneError
        # Its kinds and nodes come in steps of the demo's own.
        self._cluster: Any = package.Cluster(package.ClusterOptions(nodes=0, gang=False), state=state)
        self.kubeconfig: Path = self._cluster.kubeconfig

    def prepare(self) -> None:
        """Build the programs unless they are in the cache.

        Raises:
            CliError: that failed.
        """
        with self._understood():
            self._build.ensure_built()

    async def start(self) -> None:
        """Start every component.

        Raises:
            CliError: one does not start.
        """
        with self._understood():
            await self._cluster.start()

    async def add_nodes(self) -> None:
        """Add eight GPU nodes in two NVLink domains and two zones.

        Raises:
            CliError: they do not become ready.
        """
        with self._understood():
            await self._cluster.add_nodes(*self._nodes.domain_nodes(NODES))

    async def stop(self) -> None:
        """Stop every component; logs stay."""
        await self._cluster.stop()

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise CliError(f"The control plane failed: {error}", code=FAILED) from error
