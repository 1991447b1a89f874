"""What a pod asks of its node, compiled once for all pods that ask for the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from rbgctrl.sim.scheduling.amounts import CPU, MEMORY, scored_requests, total_requests
from rbgctrl.sim.scheduling.matching import (
    EXECUTE,
    NO_SCHEDULE,
    PREFER_NO_SCHEDULE,
    NodeTest,
    node_terms,
    tolerates,
    untolerated,
)
from rbgctrl.sim.scheduling.state import HostPort, NodeInfo, host_ports

__all__ = ["Demand", "Demands", "Reason", "Static", "Verdict", "helpless"]

Obj: TypeAlias = Mapping[str, Any]

_NAME_FIELD: Final = "metadata.name"
_UNSCHEDULABLE_TAINT: Final = {"key": "node.kubernetes.io/unschedulable", "effect": NO_SCHEDULE}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a node does not fit.

    Attributes:
        texts: as in the message; several resources may be short at once.
        helpless: no eviction of other pods would change it.
    """

    texts: tuple[str, ...]
    helpless: bool


def helpless(text: str) -> Reason:
    """A reason that no eviction would change."""
    return Reason((text,), helpless=True)


UNSCHEDULABLE: Final = helpless("node(s) were unschedulable")
TAINTED: Final = helpless("node(s) had untolerated taint(s)")
AFFINITY: Final = helpless("node(s) didn't match Pod's node affinity/selector")


@dataclass(frozen=True, slots=True)
class Static:
    """What a node is for a demand as long as the node itself does not change.

    Attributes:
        version: of the node.
        reason: why it can never fit, or None.
        preference: summed weights of the preferred terms that hold.
        dislikes: ``PreferNoSchedule`` taints that are not tolerated.
        selected: whether node selector and required node affinity hold.
        tainted: whether a taint that is not tolerated keeps the pod away.
    """

    version: int
    reason: Reason | None
    preference: int
    dislikes: int
    selected: bool
    tainted: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a node is for a demand as long as neither the node nor what runs on it changes.

    Attributes:
        node: the node; another one of the same name may come.
        stamp: of the node.
        static: what depends on the node alone.
        reason: why it does not fit, or None; rules about other pods are not looked at.
        room: the score of what is left of CPU and memory, and how evenly they are used.
    """

    node: NodeInfo
    stamp: int
    static: Static
    reason: Reason | None
    room: int


@dataclass(slots=True)
class Demand:
    """A pod's requests and rules about nodes.

    Attributes:
        requests: what must be free.
        cpu: milli-CPUs as scored.
        memory: bytes as scored.
        names: the only nodes by name it may go to; None for any.
        conflict: whether its rules about names exclude every node.
        ports: host ports it needs.
        known: verdicts on nodes by name.
        verdicts: on nodes with what runs on them, by name.
        domains: which nodes count for spreading and their domain, by rule; with the version of the nodes.
    """

    requests: dict[str, int]
    cpu: int
    memory: int
    selector: tuple[tuple[str, str], ...]
    required: NodeTest | None
    preferred: tuple[tuple[int, NodeTest], ...]
    tolerations: tuple[Obj, ...]
    names: frozenset[str] | None
    conflict: bool
    ports: tuple[HostPort, ...]
    known: dict[str, Static] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    domains: dict[Any, tuple[int, dict[str, str]]] = field(default_factory=dict)

    @property
    def best_effort(self) -> bool:
        """Whether it asks for neither CPU nor memory."""
        return not self.requests.get(CPU) and not self.requests.get(MEMORY)

    def selects(self, node: NodeInfo) -> bool:
        """Whether node selector and required node affinity hold."""
        labels = node.labels
        if not all(labels.get(key) == value for key, value in self.selector):
            return False
        return self.required is None or self.required(node.name, labels)

    def static(self, node: NodeInfo) -> Static:
        """The verdict on a node as such, whatever runs on it."""
        found = self.known.get(node.name)
        if found is None or found.version != node.version:
            found = self.known[node.name] = self._judge(node)
        return found

    def verdict(self, node: NodeInfo) -> Verdict:
        """What the node is now, for this demand alone."""
        found = self.verdicts.get(node.name)
        if found is None or found.stamp != node.stamp or found.node is not node:
            static = self.static(node)
            reason = static.reason or self.lacks(node)
            room = 0 if reason is not None else self._room(node)
            found = self.verdicts[node.name] = Verdict(node, node.stamp, static, reason, room)
        return found

    def _judge(self, node: NodeInfo) -> Static:
        tolerations = self.tolerations
        selected = self.selects(node)
        tainted = bool(node.taints) and bool(untolerated(node.taints, tolerations, (NO_SCHEDULE, EXECUTE)))
        reason = None
        if node.unschedulable and not any(tolerates(found, _UNSCHEDULABLE_TAINT) for found in tolerations):
            reason = UNSCHEDULABLE
        elif tainted:
            reason = TAINTED
        elif not selected:
            reason = AFFINITY
        return Static(
            version=node.version,
            reason=reason,
            preference=sum(weight for weight, test in self.preferred if test(node.name, node.labels)),
            dislikes=len(untolerated(node.taints, tolerations, (PREFER_NO_SCHEDULE,))) if node.taints else 0,
            selected=selected,
            tainted=tainted,
        )

    def lacks(self, node: NodeInfo) -> Reason | None:
        """Why the pod does not fit beside those that are there, or None."""
        if self.ports and _taken(self.ports, node):
            return Reason(("node(s) didn't have free ports for the requested pod ports",), helpless=False)
        allocatable, taken = node.allocatable, node.taken
        short = None
        if len(node.pods) >= node.limit:
            short = ["Too many pods"]
        for name, wanted in self.requests.items():
            if wanted > allocatable.get(name, 0) - taken.get(name, 0) and wanted:
                short = [*(short or ()), f"Insufficient {name}"]
        if short is None:
            return None
        never = any(wanted > allocatable.get(name, 0) for name, wanted in self.requests.items())
        return Reason(tuple(short), helpless=never)

    def _room(self, node: NodeInfo) -> int:
        cpu, memory = node.allocatable.get(CPU, 0), node.allocatable.get(MEMORY, 0)
        total = parts = 0
        for wanted, all_of in ((node.scored_cpu + self.cpu, cpu), (node.scored_memory + self.memory, memory)):
            if all_of:
                parts += 1
                total += (all_of - wanted) * 100 // all_of if wanted <= all_of else 0
        score = total // parts if parts else 0
        if not self.best_effort and parts == 2:
            used_cpu, used_memory = node.taken.get(CPU, 0), node.taken.get(MEMORY, 0)
            before = _balance(used_cpu / cpu, used_memory / memory)
            wanted_cpu, wanted_memory = self.requests.get(CPU, 0), self.requests.get(MEMORY, 0)
            after = _balance((used_cpu + wanted_cpu) / cpu, (used_memory + wanted_memory) / memory)
            score += 50 + int((50 + after - before) / 2)
        return score


def _balance(cpu: float, memory: float) -> int:
    return int((1 - abs(min(cpu, 1.0) - min(memory, 1.0)) / 2) * 100)


def _taken(ports: tuple[HostPort, ...], node: NodeInfo) -> bool:
    anywhere = "0.0.0.0"  # noqa: S104 - how Kubernetes says any address
    for protocol, number, address in ports:
        for (other_protocol, other, used), count in node.ports.items():
            same = count > 0 and (protocol, number) == (other_protocol, other)
            if same and (address == used or anywhere in (address, used)):
                return True
    return False


class Demands:
    """Compiles demands, each distinct one once.

    Args:
        limit: how many are remembered before all are forgotten.
    """

    def __init__(self, limit: int = 2048) -> None:
        self._limit = limit
        self._made: dict[bytes, Demand] = {}

    def of(self, pod: Obj) -> Demand:
        """The demand of a pod.

        Raises:
            ValueError: a quantity cannot be read.
        """
        spec = pod["spec"]
        affinity = (spec.get("affinity") or {}).get("nodeAffinity")
        parts = (
            [_costs(container) for container in spec.get("containers") or ()],
            [_costs(container) for container in spec.get("initContainers") or ()],
            spec.get("resources"),
            spec.get("overhead"),
            spec.get("nodeSelector"),
            affinity,
            spec.get("tolerations"),
            spec.get("hostNetwork"),
        )
        mark = orjson.dumps(parts)
        found = self._made.get(mark)
        if found is None:
            if len(self._made) >= self._limit:
                self._made.clear()
            found = self._made[mark] = _compile(pod, affinity or {})
        return found


def _costs(container: Obj) -> tuple[Any, ...]:
    return container.get("resources"), container.get("ports"), container.get("restartPolicy")


def _compile(pod: Obj, affinity: Obj) -> Demand:
    spec = pod["spec"]
    cpu, memory = scored_requests(pod)
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms") or ()
    names = _names(terms) if terms else None
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return Demand(
        requests=total_requests(pod),
        cpu=cpu,
        memory=memory,
        selector=tuple((spec.get("nodeSelector") or {}).items()),
        required=node_terms(terms) if required is not None else None,
        preferred=tuple((entry["weight"], node_terms([entry["preference"]])) for entry in preferred),
        tolerations=tuple(spec.get("tolerations") or ()),
        names=names,
        conflict=names is not None and not names,
        ports=host_ports(pod),
    )


def _names(terms: tuple[Obj, ...] | list[Obj]) -> frozenset[str] | None:
    """The nodes by name that the terms allow; None when one of them names none."""
    allowed: frozenset[str] = frozenset()
    for term in terms:
        own = [
            frozenset(found.get("values") or ())
            for found in term.get("matchFields") or ()
            if found["key"] == _NAME_FIELD and found["operator"] == "In"
        ]
        if not own:
            return None
        allowed |= frozenset.intersection(*own)
    return allowed
