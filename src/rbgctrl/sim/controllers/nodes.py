"""What becomes of nodes: their kubelets report them, and who is lost is tainted, emptied and cleaned up after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api.meta import Key
from rbgctrl.sim.controllers import podstatus
from rbgctrl.sim.controllers.clockwork import Agenda, Timer
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.controllers.kubelet import Kubelet
from rbgctrl.sim.scheduling.matching import EXECUTE, NO_SCHEDULE, toleration
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["DOWN", "NodeLifecycle", "NodeOptions", "NodeReporter"]

DOWN: Final = "fake-kubelet/down"
"""Node annotation, any value: its kubelet reports the node as not ready until it goes."""
NODES: Final = "nodes"
PODS: Final = "pods"
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_OURS: Final = (NOT_READY, UNREACHABLE, UNSCHEDULABLE)
_PLAIN: Final = {"cpu": "64", "memory": "512Gi", "pods": "110"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How patient the cluster is with its nodes.

    Attributes:
        grace: seconds without a word from a kubelet until its node is Unknown.
        collect: seconds after the deletion of a node until its pods are removed.
    """

    grace: float = 50.0
    collect: float = 40.0


def ready_status(node: Mapping[str, Any]) -> str:
    """``True``, ``False`` or ``Unknown``; ``""`` when nobody has reported the node yet."""
    found = podstatus.condition(node.get("status") or {}, "Ready")
    return found["status"] if found is not None else ""


class NodeReporter:
    """The part of every kubelet that reports its node.

    Args:
        desk: its access to the cluster.
        kubelet: knows which kubelets run.
    """

    def __init__(self, desk: Desk, kubelet: Kubelet) -> None:
        self._desk = desk
        self._kubelet = kubelet
        self._agenda: Agenda[str] = Agenda(desk.clockwork, self._look)
        self._reported = 0
        desk.watch(NODES, self._on_node)

    def look(self, name: str) -> None:
        """Report a node again, because its kubelet came back."""
        self._agenda.add(name)

    def _on_node(self, event: StoredEvent) -> None:
        if event.new is not None:
            self._agenda.add(event.key.name)

    def _look(self, name: str) -> None:
        node = self._desk.get(NODES, Key("", name))
        if node is None or name in self._kubelet.down:
            return
        wanted = "False" if DOWN in (node["metadata"].get("annotations") or {}) else "True"
        if ready_status(node) != wanted:
            now = self._desk.stamp()
            self._reported += 1
            number = self._reported
            self._desk.update_status(NODES, Key("", name), lambda live: _reported(live, wanted, now, number))


def _reported(node: Obj, wanted: str, now: str, number: int) -> Obj:
    status = node.get("status") or {}
    allocatable = status.get("allocatable") or _PLAIN
    why = ("KubeletReady", "kubelet is posting ready status")
    if wanted != "True":
        why = ("KubeletNotReady", "taken down by an annotation")
    address = f"172.16.{number >> 8 & 255}.{number & 255}"
    found = podstatus.with_condition(status, "Ready", wanted, now, reason=why[0], message=why[1])
    for condition in found["conditions"]:
        condition.pop("lastProbeTime", None)
        condition["lastHeartbeatTime"] = now
    return {
        **node,
        "status": {
            **found,
            "addresses": status.get("addresses") or [{"type": "InternalIP", "address": address}],
            "allocatable": allocatable,
            "capacity": status.get("capacity") or allocatable,
        },
    }


class NodeLifecycle:
    """Taints nodes by their condition, evicts pods that do not tolerate it, removes pods of nodes that are gone.

    Args:
        desk: its access to the cluster.
        kubelet: knows which kubelets run, and which pods are where.
        options: see :class:`NodeOptions`.
    """

    def __init__(self, desk: Desk, kubelet: Kubelet, options: NodeOptions | None = None) -> None:
        self.options = options or NodeOptions()
        self._desk = desk
        self._kubelet = kubelet
        self._agenda: Agenda[str] = Agenda(desk.clockwork, self._look)
        self._evictions: dict[str, tuple[str, float, Timer]] = {}  # by uid: node, moment, timer
        self._doomed: set[str] = set()  # nodes with a taint that evicts
        self._silent: dict[str, Timer] = {}
        desk.watch(NODES, self._on_node)
        desk.watch(PODS, self._on_pod)

    def silent(self, name: str) -> None:
        """A kubelet stopped: its node is lost unless it is heard again in time."""
        self.heard(name)
        self._silent[name] = self._desk.clockwork.later(self.options.grace, lambda: self._lose(name), background=True)

    def heard(self, name: str) -> None:
        """A kubelet is back."""
        timer = self._silent.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _on_node(self, event: StoredEvent) -> None:
        if event.new is None:
            self._desk.clockwork.later(self.options.collect, lambda: self._collect(event.key.name))
            return
        if event.old is not None and ready_status(event.old) == "True" and ready_status(event.new) != "True":
            self._mark_pods(event.key.name)
        self._agenda.add(event.key.name)

    def _on_pod(self, event: StoredEvent) -> None:
        if event.new is None:
            self._spare(event.obj["metadata"]["uid"])
        elif event.new["spec"].get("nodeName", "") in self._doomed:
            self._agenda.add(event.new["spec"]["nodeName"])

    def _lose(self, name: str) -> None:
        node = self._desk.get(NODES, Key("", name))
        if node is None or name not in self._kubelet.down or ready_status(node) == "Unknown":
            return
        now = self._desk.stamp()

        def change(live: Obj) -> Obj:
            status = podstatus.with_condition(
                live.get("status") or {},
                "Ready",
                "Unknown",
                now,
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
            )
            return {**live, "status": status}

        self._desk.update_status(NODES, Key("", name), change)

    def _mark_pods(self, name: str) -> None:
        """Pods of a node that is not ready are not ready either, whatever they last said."""
        now = self._desk.stamp()
        for pod in self._kubelet.pods_on(name):
            found = podstatus.condition(pod.get("status") or {}, "Ready")
            if found is not None and found["status"] == "True":
                key = Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
                self._desk.update_status(PODS, key, lambda live: _unready(live, now))

    # -- taints ------------------------------------------------------------------------------------------------------

    def _look(self, name: str) -> None:
        node = self._desk.get(NODES, Key("", name))
        if node is None:
            return
        spec = node.get("spec") or {}
        wanted, now = _taints(node), self._desk.stamp()
        have = [taint for taint in spec.get("taints") or () if taint["key"] in _OURS]
        if {_identity(taint) for taint in have} != {_identity(taint) for taint in wanted}:
            others = [taint for taint in spec.get("taints") or () if taint["key"] not in _OURS]
            kept = {_identity(taint): taint for taint in have}
            taints = [*others, *(kept.get(_identity(taint), {**taint, "timeAdded": now}) for taint in wanted)]
            rest = {field: value for field, value in spec.items() if field != "taints"}
            changed = {**rest, "taints": taints} if taints else rest
            self._desk.update(NODES, Key("", name), lambda live: {**live, "spec": changed})
            return  # its own write brings us back
        self._evict(name, [taint for taint in spec.get("taints") or () if taint.get("effect") == EXECUTE])

    def _evict(self, name: str, taints: list[Mapping[str, Any]]) -> None:
        if not taints and name not in self._doomed:
            return
        (self._doomed.add if taints else self._doomed.discard)(name)
        for pod in self._kubelet.pods_on(name):
            uid = pod["metadata"]["uid"]
            if "deletionTimestamp" in pod["metadata"]:
                continue
            wait = _patience(pod, taints)
            if wait is None:
                self._spare(uid)
                continue
            moment = self._desk.clockwork.loop.time() + wait
            if uid in self._evictions and self._evictions[uid][1] <= moment:
                continue
            self._spare(uid)
            key = Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
            timer = self._desk.clockwork.later(wait, self._evictor(key, uid), background=True)
            self._evictions[uid] = (name, moment, timer)

    def _evictor(self, key: Key, uid: str) -> Any:
        def evict() -> None:
            self._evictions.pop(uid, None)
            self._disrupt(key, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
            self._desk.delete(PODS, key, uid=uid)

        return evict

    def _spare(self, uid: str) -> None:
        found = self._evictions.pop(uid, None)
        if found is not None:
            found[2].cancel()

    # -- what is left behind -----------------------------------------------------------------------------------------

    def _collect(self, name: str) -> None:
        if self._desk.get(NODES, Key("", name)) is not None:
            return
        for pod in self._kubelet.pods_on(name):
            key = Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
            if not podstatus.is_terminal(pod):
                self._disrupt(key, "DeletionByPodGC", "PodGC: node no longer exists", phase="Failed")
            self._desk.delete(PODS, key, uid=pod["metadata"]["uid"], grace=0)

    def _disrupt(self, key: Key, reason: str, message: str, *, phase: str = "") -> None:
        now = self._desk.stamp()

        def change(live: Obj) -> Obj:
            status = live.get("status") or {}
            made = podstatus.with_condition(status, "DisruptionTarget", "True", now, reason=reason, message=message)
            return {**live, "status": {**made, "phase": phase or made.get("phase", "")}}

        self._desk.update_status(PODS, key, change)


def _unready(pod: Obj, now: str) -> Obj:
    return {**pod, "status": podstatus.with_condition(pod["status"], "Ready", "False", now)}


def _identity(taint: Mapping[str, Any]) -> tuple[str, str]:
    return taint["key"], taint.get("effect", "")


def _taints(node: Obj) -> list[dict[str, str]]:
    """The taints that a node's condition and its spec ask for."""
    key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready_status(node), "")
    taints = [{"key": key, "effect": effect} for effect in (NO_SCHEDULE, EXECUTE)] if key else []
    if (node.get("spec") or {}).get("unschedulable"):
        taints.append({"key": UNSCHEDULABLE, "effect": NO_SCHEDULE})
    return taints


def _patience(pod: Obj, taints: list[Mapping[str, Any]]) -> float | None:
    """How long a pod may stay on a node with these taints; None for ever."""
    tolerations = pod["spec"].get("tolerations") or ()
    shortest: float | None = None
    for taint in taints:
        found = toleration(tolerations, taint)
        if found is None:
            return 0.0
        seconds = found.get("tolerationSeconds")
        if seconds is not None:
            shortest = max(float(seconds), 0.0) if shortest is None else min(shortest, max(float(seconds), 0.0))
    return shortest
