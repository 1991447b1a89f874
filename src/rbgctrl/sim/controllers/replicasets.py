"""ReplicaSets: as many pods of one template as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rbgctrl.api.meta import Key, Kind
from rbgctrl.sim.controllers.clockwork import Agenda
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.controllers.owned import (
    Owned,
    available_in,
    is_alive,
    is_ready,
    key_of,
    owner_reference,
    pod_of,
    with_status,
)
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["REPLICA_SET", "ReplicaSets"]

REPLICA_SET: Final[Kind[Any]] = Kind("apps", "v1", "ReplicaSet", "replicasets")
_PODS: Final = "pods"


class ReplicaSets:
    """Keeps ReplicaSets at their number of pods.

    Args:
        desk: its access to the cluster.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._look)
        desk.watch(REPLICA_SET.resource, self._on)
        self._pods = Owned(desk, _PODS, self._on_pod)

    def _on(self, event: StoredEvent) -> None:
        if event.new is not None:
            self._agenda.add(event.key)

    def _on_pod(self, owner: Mapping[str, Any], namespace: str) -> None:
        if owner["kind"] == REPLICA_SET.kind:
            self._agenda.add(Key(namespace, owner["name"]))

    def _look(self, key: Key) -> None:
        found = self._desk.get(REPLICA_SET.resource, key)
        if found is None:
            return
        pods = [pod for pod in self._pods.of(found) if is_alive(pod)]
        missing = found["spec"]["replicas"] - len(pods)
        if "deletionTimestamp" not in found["metadata"]:
            if missing > 0:
                self._create(found, missing)
            for pod in sorted(pods, key=_dispensable)[: max(-missing, 0)]:
                self._desk.delete(_PODS, key_of(pod), uid=pod["metadata"]["uid"])
        self._report(key, found)

    def _create(self, found: Obj, count: int) -> None:
        template = found["spec"]["template"]
        for _ in range(count):
            pod = pod_of(template, owner_reference(REPLICA_SET, found), {})
            pod["metadata"]["generateName"] = f"{found['metadata']['name']}-"
            self._desk.create(_PODS, found["metadata"]["namespace"], pod)

    def _report(self, key: Key, found: Obj) -> None:
        pods = [pod for pod in self._pods.of(found) if is_alive(pod)]
        least = found["spec"].get("minReadySeconds", 0)
        waits = [available_in(pod, least, self._desk.now()) for pod in pods]
        soon = [wait for wait in waits if wait]
        if soon:
            self._agenda.add_after(key, min(soon))
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": sum(map(is_ready, pods)),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "observedGeneration": found["metadata"].get("generation", 0),
        }
        self._desk.update_status(REPLICA_SET.resource, key, lambda live: with_status(live, status))


def _dispensable(pod: Obj) -> tuple[bool, bool, bool, str]:
    """Whom to delete first: not bound, not running, not ready, the youngest."""
    phase = (pod.get("status") or {}).get("phase")
    bound, running = bool(pod["spec"].get("nodeName")), phase == "Running"
    return bound, running, is_ready(pod), _descending(pod["metadata"]["creationTimestamp"])


def _descending(time: str) -> str:
    return "".join(chr(0x7F - ord(sign)) for sign in time)
