"""Nodes, pods and decisions for tests of the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbgctrl.api.meta import Key
from rbgctrl.sim import domain_nodes, node
from rbgctrl.sim.scheduling import Decision, Demands, State, decide

__all__ = ["Lab", "affinity", "gpus", "on_label", "on_name", "pod", "together"]

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def pod(
    name: str, namespace: str = "default", *, labels: Mapping[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A pod as the server stores it."""
    containers = spec.pop("containers", None) or [
        {"name": "main", "image": "x:1", "resources": spec.pop("resources", {})}
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "labels": dict(labels or {})},
        "spec": {"containers": containers, **spec},
    }


def gpus(count: int) -> dict[str, Any]:
    """Resources of a container with GPUs."""
    return {"limits": {"nvidia.com/gpu": str(count)}}


def on_label(key: str, operator: str, *values: str) -> dict[str, Any]:
    """An affinity that requires a node label."""
    return affinity("nodeAffinity", {"nodeSelectorTerms": [{"matchExpressions": [_expression(key, operator, values)]}]})


def on_name(*names: str) -> dict[str, Any]:
    """An affinity that requires one of these nodes."""
    terms = [{"matchFields": [_expression("metadata.name", "In", (name,))]} for name in names]
    return affinity("nodeAffinity", {"nodeSelectorTerms": terms})


def together(app: str, key: str = HOST, *, anti: bool = False, **more: Any) -> dict[str, Any]:
    """An affinity to, or away from, pods with the label ``app``."""
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}
    return affinity("podAntiAffinity" if anti else "podAffinity", [term])


def affinity(kind: str, rules: Any) -> dict[str, Any]:
    """``spec.affinity`` with required rules."""
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": rules}}


def _expression(key: str, operator: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


class Lab:
    """A state, filled by hand."""

    def __init__(self, nodes: int = 0, *, draw: int = 0) -> None:
        self.state = State()
        self.demands = Demands()
        self.start = 0
        self.draw = draw
        for manifest in domain_nodes(nodes):
            self.state.set_node(manifest)

    def node(self, name: str, **more: Any) -> None:
        """Add a node."""
        unschedulable = more.pop("unschedulable", False)
        made = node(name, **more)
        made["spec"] |= {"unschedulable": True} if unschedulable else {}
        self.state.set_node(made)

    def bound(self, found: dict[str, Any], name: str) -> None:
        """Put a pod on a node."""
        self.state.set_pod({**found, "spec": {**found["spec"], "nodeName": name}})

    def service(self, name: str, **selector: str) -> None:
        """Add a Service of namespace default."""
        self.state.set_service(Key("default", name), selector)

    def decide(self, found: dict[str, Any], *, sampling: bool = True) -> Decision:
        """The decision about a pod; the next search begins where this one ended."""
        decision = decide(
            found, self.state, self.demands, self.start, lambda count: self.draw % count, sampling=sampling
        )
        self.start = decision.next_start
        return decision

    def place(self, found: dict[str, Any]) -> str:
        """Decide about a pod and bind it; where it went."""
        decision = self.decide(found)
        assert decision.node, decision.message
        self.bound(found, decision.node)
        return decision.node

    def why_not(self, found: dict[str, Any]) -> str:
        """The reasons why a pod fits nowhere, without what is said about preemption."""
        decision = self.decide(found)
        assert not decision.node
        return decision.message.partition(" no new claims")[0]
