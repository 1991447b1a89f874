"""What end-to-end tests share: the cluster of the run, waiting with deadlines, and a hand on the fake kubelet."""

from __future__ import annotations

from e2e.support.pods import container, crash, fail, is_ready, pod, restart_container, set_node_down
from hack.controlplane.waiting import eventually

__all__ = ["container", "crash", "eventually", "fail", "is_ready", "pod", "restart_container", "set_node_down"]
