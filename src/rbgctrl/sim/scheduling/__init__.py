"""The scheduler's decisions as pure functions: a cluster's state and a pod in, a node or the reason why not out."""

from __future__ import annotations

from rbgctrl.sim.scheduling.decide import Decision, decide, nodes_to_find, rank
from rbgctrl.sim.scheduling.demand import Demands
from rbgctrl.sim.scheduling.state import State

__all__ = ["Decision", "Demands", "State", "decide", "nodes_to_find", "rank"]
