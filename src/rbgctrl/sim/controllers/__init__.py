"""What runs beside the API server of a cluster: scheduler, kubelets, and the controllers of built-in kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rbgctrl.sim.controllers.clockwork import Clockwork
from rbgctrl.sim.controllers.deployments import Deployments
from rbgctrl.sim.controllers.desk import Desk, Watches
from rbgctrl.sim.controllers.endpointslices import EndpointSlices
from rbgctrl.sim.controllers.kubelet import Kubelet, KubeletOptions
from rbgctrl.sim.controllers.nodes import NodeLifecycle, NodeOptions, NodeReporter
from rbgctrl.sim.controllers.replicasets import ReplicaSets
from rbgctrl.sim.controllers.scheduler import Scheduler, SchedulerOptions
from rbgctrl.sim.controllers.statefulsets import StatefulSets
from rbgctrl.sim.server import ApiServer

__all__ = [
    "WORKLOADS",
    "Controllers",
    "KubeletOptions",
    "NodeOptions",
    "SchedulerOptions",
]

WORKLOADS: Final = ("deployments", "statefulsets", "endpointslices")
"""The controllers that can be left out."""

_MADE: Final[Mapping[str, tuple[tuple[str, Callable[[Desk], object]], ...]]] = {
    "deployments": (("system:replicaset", ReplicaSets), ("system:deployment", Deployments)),
    "statefulsets": (("system:statefulset", StatefulSets),),
    "endpointslices": (("system:endpointslice", EndpointSlices),),
}


class Controllers:
    """All controllers of one cluster; they work from the moment this is made, on the running loop.

    Args:
        server: the API server.
        seed: decides what is drawn.
        scheduler: how it schedules; None for no scheduler.
        kubelet: how long things take on nodes.
        nodes: how patient the cluster is with them.
        workloads: which of :data:`WORKLOADS` run.

    Attributes:
        clockwork: their callbacks, timers and errors.
        scheduler: None when there is none.
        kubelet: all kubelets.
        reporter: their reports about nodes.
        lifecycle: what becomes of nodes that are lost.

    Raises:
        ValueError: ``workloads`` names an unknown controller.
    """

    def __init__(
        self,
        server: ApiServer,
        *,
        seed: int = 0,
        scheduler: SchedulerOptions | None = None,
        kubelet: KubeletOptions | None = None,
        nodes: NodeOptions | None = None,
        workloads: Sequence[str] = WORKLOADS,
    ) -> None:
        self.clockwork = Clockwork(asyncio.get_running_loop())
        self._watches = Watches(server)

        def desk(user: str) -> Desk:
            return Desk(server, self._watches, self.clockwork, user=user, seed=seed)

        self.scheduler = Scheduler(desk("system:kube-scheduler"), scheduler) if scheduler is not None else None
        self.kubelet = Kubelet(desk("system:kubelet"), kubelet)
        self.reporter = NodeReporter(desk("system:node"), self.kubelet)
        self.lifecycle = NodeLifecycle(desk("system:node-controller"), self.kubelet, nodes)
        for name in workloads:
            if name not in _MADE:
                msg = f"no controller is named {name}; there are {', '.join(WORKLOADS)}"
                raise ValueError(msg)
            for user, make in _MADE[name]:
                make(desk(user))

    @property
    def busy(self) -> bool:
        """Whether one of them is about to do something."""
        return self.clockwork.busy

    @property
    def errors(self) -> list[Exception]:
        """What they raised."""
        return self.clockwork.errors

    def stop(self) -> None:
        """Stop all of them."""
        self._watches.stop()
        self.clockwork.stop()
