"""A whole small cluster in one process, for tests, trials and what-ifs: see ``docs/sim.md``.

Each name is imported when it is first used. Production code never imports this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbgctrl.sim.cluster import EPOCH, ClusterOptions, ControllerError, EmbeddedCluster
    from rbgctrl.sim.controllers import KubeletOptions, NodeOptions, SchedulerOptions
    from rbgctrl.sim.faults import NoSuchObjectError
    from rbgctrl.sim.loop import DeadlockError, VirtualLoop, run, virtual
    from rbgctrl.sim.nodes import domain_nodes, node
    from rbgctrl.sim.process import Process
    from rbgctrl.sim.server import ApiServer, ServerOptions
    from rbgctrl.sim.storage import Storage, StoredEvent

_HOMES = {
    "rbgctrl.sim.cluster": ("EPOCH", "ClusterOptions", "ControllerError", "EmbeddedCluster"),
    "rbgctrl.sim.controllers": ("KubeletOptions", "NodeOptions", "SchedulerOptions"),
    "rbgctrl.sim.faults": ("NoSuchObjectError",),
    "rbgctrl.sim.loop": ("DeadlockError", "VirtualLoop", "run", "virtual"),
    "rbgctrl.sim.nodes": ("domain_nodes", "node"),
    "rbgctrl.sim.process": ("Process",),
    "rbgctrl.sim.server": ("ApiServer", "ServerOptions"),
    "rbgctrl.sim.storage": ("Storage", "StoredEvent"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "EPOCH",
    "ApiServer",
    "ClusterOptions",
    "ControllerError",
    "DeadlockError",
    "EmbeddedCluster",
    "KubeletOptions",
    "NoSuchObjectError",
    "NodeOptions",
    "Process",
    "SchedulerOptions",
    "ServerOptions",
    "Storage",
    "StoredEvent",
    "VirtualLoop",
    "domain_nodes",
    "node",
    "run",
    "virtual",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
