"""The cluster as the scheduler sees it: nodes with what is left of them, and the pods bound to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from rbgctrl.api.meta import Key
from rbgctrl.sim.scheduling.amounts import PODS, resource_list, scored_requests, total_requests
from rbgctrl.sim.scheduling.matching import Labels
from rbgctrl.sim.scheduling.terms import AffinityTerm, PodSubject, affinity_terms

__all__ = ["HOSTNAME", "ZONE", "BoundPod", "NodeInfo", "State", "host_ports"]

Obj: TypeAlias = Mapping[str, Any]
HostPort: TypeAlias = tuple[str, int, str]

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
_REGION: Final = "topology.kubernetes.io/region"


def host_ports(pod: Obj) -> tuple[HostPort, ...]:
    """Protocol, port and address of every host port of a pod."""
    spec = pod["spec"]
    containers = spec.get("containers") or ()
    if not any(container.get("ports") for container in containers):
        return ()
    shared = spec.get("hostNetwork", False)
    return tuple(
        (port.get("protocol", "TCP"), number, port.get("hostIP") or "0.0.0.0")  # noqa: S104 - how Kubernetes says any
        for container in containers
        for port in container.get("ports") or ()
        if (number := port.get("hostPort") or (port["containerPort"] if shared else 0))
    )


class BoundPod:
    """What of a bound pod matters for placing others."""

    __slots__ = (
        "affinity",
        "anti_affinity",
        "labels",
        "namespace",
        "node",
        "ports",
        "preferred",
        "preferred_anti",
        "requests",
        "scored",
        "subject",
        "terminating",
        "uid",
    )

    def __init__(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        self.uid: str = metadata["uid"]
        self.namespace: str = metadata.get("namespace", "")
        self.labels: Labels = metadata.get("labels") or {}
        self.node: str = pod["spec"]["nodeName"]
        self.terminating = "deletionTimestamp" in metadata
        self.requests = total_requests(pod)
        self.scored = scored_requests(pod)
        self.ports = host_ports(pod)
        self.subject: PodSubject = (self.namespace, self.labels)
        rules = pod["spec"].get("affinity") or {}
        with_pods = "podAffinity" in rules or "podAntiAffinity" in rules
        self.affinity = _terms(pod, "podAffinity", preferred=False) if with_pods else ()
        self.anti_affinity = _terms(pod, "podAntiAffinity", preferred=False) if with_pods else ()
        self.preferred = _terms(pod, "podAffinity", preferred=True) if with_pods else ()
        self.preferred_anti = _terms(pod, "podAntiAffinity", preferred=True) if with_pods else ()

    @property
    def picky(self) -> bool:
        """Whether it has rules about other pods."""
        return bool(self.affinity or self.anti_affinity or self.preferred or self.preferred_anti)


def _terms(pod: Obj, kind: str, *, preferred: bool) -> tuple[AffinityTerm, ...]:
    return affinity_terms(pod, kind, preferred=preferred)


class NodeInfo:
    """A node and what its pods take of it.

    Attributes:
        version: of the node itself; another one of its name has another.
        stamp: grows when the node or what runs on it changes.
        limit: how many pods it takes.
        taken: requests of its pods, summed.
        scored_cpu: their milli-CPUs as scored; likewise ``scored_memory``, in bytes.
    """

    __slots__ = (
        "allocatable",
        "labels",
        "limit",
        "name",
        "pods",
        "ports",
        "scored_cpu",
        "scored_memory",
        "stamp",
        "taints",
        "taken",
        "unschedulable",
        "version",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 0
        self.stamp = 0
        self.labels: Labels = {}
        self.taints: tuple[Mapping[str, Any], ...] = ()
        self.unschedulable = False
        self.allocatable: dict[str, int] = {}
        self.limit = 0
        self.taken: dict[str, int] = {}
        self.scored_cpu = 0
        self.scored_memory = 0
        self.ports: Counter[HostPort] = Counter()
        self.pods: dict[str, BoundPod] = {}

    def update(self, node: Obj, version: int) -> None:
        """Take over the node as it is now, under a version no node of its name had before."""
        spec = node.get("spec") or {}
        self.version = version
        self.stamp += 1
        self.labels = node["metadata"].get("labels") or {}
        self.taints = tuple(spec.get("taints") or ())
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = resource_list((node.get("status") or {}).get("allocatable"))
        self.limit = self.allocatable.get(PODS, 0)

    def add(self, pod: BoundPod, sign: int = 1) -> None:
        """Count a pod in, or with ``sign`` -1 out."""
        self.stamp += 1
        for name, value in pod.requests.items():
            self.taken[name] = self.taken.get(name, 0) + sign * value
        self.scored_cpu += sign * pod.scored[0]
        self.scored_memory += sign * pod.scored[1]
        for port in pod.ports:
            self.ports[port] += sign
        if sign > 0:
            self.pods[pod.uid] = pod
        else:
            del self.pods[pod.uid]


class State:
    """Nodes, bound pods, and the Services and namespaces that rules refer to."""

    def __init__(self) -> None:
        self.version = 0  # of the nodes as such
        self.nodes: dict[str, NodeInfo] = {}
        self.pods: dict[str, BoundPod] = {}
        self.picky: dict[str, BoundPod] = {}
        self._known: dict[str, None] = {}  # nodes whose object exists, in order of appearance
        self._order: list[NodeInfo] | None = None
        self._by_label: dict[tuple[str, str, str], dict[str, BoundPod]] = {}
        self._by_namespace: dict[str, dict[str, BoundPod]] = {}
        self._services: dict[tuple[str, str, str], dict[str, Labels]] = {}
        self._service_at: dict[Key, tuple[str, str, str]] = {}
        self._namespaces: dict[str, Labels] = {}

    # -- nodes -------------------------------------------------------------------------------------------------------

    @property
    def order(self) -> list[NodeInfo]:
        """The nodes in the order the scheduler looks at them: one of each zone in turn."""
        if self._order is None:
            zones: dict[tuple[str, str], list[NodeInfo]] = {}
            for name in self._known:
                node = self.nodes[name]
                zones.setdefault((node.labels.get(_REGION, ""), node.labels.get(ZONE, "")), []).append(node)
            longest = max((len(found) for found in zones.values()), default=0)
            self._order = [found[turn] for turn in range(longest) for found in zones.values() if turn < len(found)]
        return self._order

    def known(self, name: str) -> NodeInfo | None:
        """The node of that name, unless its object is gone."""
        return self.nodes.get(name) if name in self._known else None

    def set_node(self, node: Obj) -> None:
        """Add or update a node."""
        name = node["metadata"]["name"]
        info = self.nodes.get(name)
        if info is None:
            info = self.nodes[name] = NodeInfo(name)
        self.version += 1
        info.update(node, self.version)
        self._known[name] = None
        self._order = None

    def remove_node(self, name: str) -> None:
        """Forget a node; its pods stay known until they are removed themselves."""
        self._known.pop(name, None)
        self.version += 1
        self._order = None
        info = self.nodes.get(name)
        if info is not None and not info.pods:
            del self.nodes[name]

    # -- pods --------------------------------------------------------------------------------------------------------

    def set_pod(self, pod: Obj) -> None:
        """Add or update a bound pod that has not ended."""
        bound = BoundPod(pod)
        self.remove_pod(bound.uid)
        self.pods[bound.uid] = bound
        info = self.nodes.get(bound.node)
        if info is None:
            info = self.nodes[bound.node] = NodeInfo(bound.node)
        info.add(bound)
        self._by_namespace.setdefault(bound.namespace, {})[bound.uid] = bound
        for place in _places(bound):
            self._by_label.setdefault(place, {})[bound.uid] = bound
        if bound.picky:
            self.picky[bound.uid] = bound

    def remove_pod(self, uid: str) -> bool:
        """Forget a pod; whether it was known."""
        bound = self.pods.pop(uid, None)
        if bound is None:
            return False
        self.picky.pop(uid, None)
        info = self.nodes[bound.node]
        info.add(bound, -1)
        if not info.pods and bound.node not in self._known:
            del self.nodes[bound.node]
        _discard(self._by_namespace, bound.namespace, uid)
        for place in _places(bound):
            _discard(self._by_label, place, uid)
        return True

    def pods_in(self, namespace: str, hints: Iterable[tuple[str, str]]) -> Iterable[BoundPod]:
        """Bound pods of a namespace that may have all these labels: a superset, as small as is known at once."""
        best = self._by_namespace.get(namespace)
        for key, value in hints:
            found = self._by_label.get((namespace, key, value))
            if found is None:
                return ()
            if best is None or len(found) < len(best):
                best = found
        return best.values() if best else ()

    def namespaces(self) -> Iterator[str]:
        """Namespaces that have bound pods."""
        return iter(self._by_namespace)

    # -- what rules refer to -----------------------------------------------------------------------------------------

    def set_namespace(self, name: str, labels: Labels | None) -> None:
        """The labels of a namespace; None when it is gone."""
        if labels is None:
            self._namespaces.pop(name, None)
        else:
            self._namespaces[name] = labels

    def namespace_labels(self, name: str) -> Labels:
        """The labels of a namespace."""
        return self._namespaces.get(name, {})

    def set_service(self, key: Key, selector: Labels | None) -> None:
        """The selector of a Service; None when it has none or is gone."""
        before = self._service_at.pop(key, None)
        if before is not None:
            _discard(self._services, before, key.name)
        if selector:
            place = (key.namespace, *min(selector.items()))
            self._services.setdefault(place, {})[key.name] = selector
            self._service_at[key] = place

    def service_labels(self, subject: PodSubject) -> dict[str, str]:
        """The selectors of all Services that select a pod, merged."""
        namespace, labels = subject
        merged: dict[str, str] = {}
        for key, value in labels.items():
            for selector in self._services.get((namespace, key, value), {}).values():
                if all(labels.get(name) == wanted for name, wanted in selector.items()):
                    merged.update(selector)
        return merged


def _places(pod: BoundPod) -> Iterator[tuple[str, str, str]]:
    return ((pod.namespace, key, value) for key, value in pod.labels.items())


def _discard(index: dict[Any, dict[str, Any]], place: Any, name: str) -> None:
    found = index.get(place)
    if found is not None:
        found.pop(name, None)
        if not found:
            del index[place]
