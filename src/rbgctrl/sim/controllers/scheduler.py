"""The scheduler: binds pods to nodes as kube-scheduler does, with its messages, its sampling and its patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from rbgctrl.api.meta import Key
from rbgctrl.sim.controllers.clockwork import Agenda
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.controllers.podstatus import condition, is_terminal, with_condition
from rbgctrl.sim.scheduling import Demands, State, decide
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["Scheduler", "SchedulerOptions"]

PODS: Final = "pods"
NODES: Final = "nodes"
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 10.0
_LEFTOVERS: Final = 300.0

PodUid: TypeAlias = str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """How the scheduler behaves.

    Attributes:
        names: pods with one of these ``schedulerName`` are its own; others wait for somebody else.
        sampling: look at a part of the nodes in clusters of 100 and more, as the real one does.
    """

    names: tuple[str, ...] = ("default-scheduler",)
    sampling: bool = True


@dataclass(slots=True)
class _Waiting:
    """A pod that fits nowhere, for now."""

    key: Key
    attempts: int
    since: float


class Scheduler:
    """Binds pods.

    Args:
        desk: its access to the cluster.
        options: see :class:`SchedulerOptions`.
    """

    def __init__(self, desk: Desk, options: SchedulerOptions | None = None) -> None:
        self.options = options or SchedulerOptions()
        self.state = State()
        self._desk = desk
        self._demands = Demands()
        self._start = 0
        self._waiting: dict[PodUid, _Waiting] = {}
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._place)
        for resource, react in (
            ("namespaces", self._on_namespace),
            ("services", self._on_service),
            (NODES, self._on_node),
            (PODS, self._on_pod),
        ):
            desk.watch(resource, react)

    # -- what happens in the cluster ---------------------------------------------------------------------------------

    def _on_namespace(self, event: StoredEvent) -> None:
        labels = None if event.new is None else event.new["metadata"].get("labels") or {}
        self.state.set_namespace(event.key.name, labels)

    def _on_service(self, event: StoredEvent) -> None:
        self.state.set_service(event.key, None if event.new is None else event.new["spec"].get("selector"))

    def _on_node(self, event: StoredEvent) -> None:
        if event.new is None:
            self.state.remove_node(event.key.name)
            return
        if event.old is not None and _same_node(event.old, event.new):
            return
        self.state.set_node(event.new)
        self._retry()

    def _on_pod(self, event: StoredEvent) -> None:
        new, old = event.new, event.old
        if new is None or is_terminal(new):
            self._forget(event.obj["metadata"]["uid"])
            return
        if not new["spec"].get("nodeName"):
            self._on_unbound(event.key, new, old)
            return
        if old is None or not old["spec"].get("nodeName") or not _same_pod(old, new):
            self._waiting.pop(new["metadata"]["uid"], None)
            self.state.set_pod(new)
            # Others may want to be where it is, or may now be where it was allowed to be.
            if self._waiting:
                self._retry()

    def _forget(self, uid: PodUid) -> None:
        self._waiting.pop(uid, None)
        if self.state.remove_pod(uid):
            self._retry()

    def _on_unbound(self, key: Key, new: Obj, old: Obj | None) -> None:
        spec = new["spec"]
        if spec.get("schedulerName", self.options.names[0]) not in self.options.names:
            return
        if "deletionTimestamp" in new["metadata"]:
            self._waiting.pop(new["metadata"]["uid"], None)
            return
        if old is not None and spec == old["spec"] and new["metadata"].get("labels") == old["metadata"].get("labels"):
            return  # only its status changed, most likely by us
        waiting = self._waiting.pop(new["metadata"]["uid"], None)
        if waiting is None or waiting.attempts == 0:
            self._agenda.add(key)
        else:
            self._later(waiting)

    # -- placing -----------------------------------------------------------------------------------------------------

    def _place(self, key: Key) -> None:
        pod = self._desk.get(PODS, key)
        if pod is None or pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"] or is_terminal(pod):
            return
        if pod["spec"].get("schedulingGates"):
            self._say(key, pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
            return
        decision = decide(
            pod, self.state, self._demands, self._start, self._desk.random.randrange, sampling=self.options.sampling
        )
        self._start = decision.next_start
        if decision.node:
            self._waiting.pop(pod["metadata"]["uid"], None)
            self._desk.bind(key, pod["metadata"]["uid"], decision.node)
            return
        uid = pod["metadata"]["uid"]
        before = self._waiting.get(uid)
        attempts = before.attempts + 1 if before is not None else 1
        self._waiting[uid] = waiting = _Waiting(key, attempts, self._desk.clockwork.loop.time())
        self._say(key, pod, "Unschedulable", decision.message)
        self._agenda.add_after(waiting.key, _LEFTOVERS, background=True)

    def _say(self, key: Key, pod: Obj, reason: str, message: str) -> None:
        said = condition(pod.get("status") or {}, "PodScheduled")
        if said is not None and (said.get("reason"), said.get("message")) == (reason, message):
            return
        generation = pod["metadata"].get("generation") if reason == "Unschedulable" else None
        now = self._desk.stamp()

        def change(live: Obj) -> Obj | None:
            if live["metadata"]["uid"] != pod["metadata"]["uid"]:
                return None
            status = with_condition(
                live.get("status") or {},
                "PodScheduled",
                "False",
                now,
                reason=reason,
                message=message,
                generation=generation,
            )
            return {**live, "status": status}

        self._desk.update_status(PODS, key, change)
        if reason == "Unschedulable":
            self._desk.event(pod, "Warning", "FailedScheduling", message)

    # -- trying again ------------------------------------------------------------------------------------------------

    def _retry(self) -> None:
        """Something changed: whoever waits is tried again, each after a while that grows with its attempts."""
        for waiting in self._waiting.values():
            self._later(waiting)

    def _later(self, waiting: _Waiting) -> None:
        wait = min(_FIRST_WAIT * 2.0 ** (waiting.attempts - 1), _LONGEST_WAIT)
        left = waiting.since + wait - self._desk.clockwork.loop.time()
        if left > 0:
            self._agenda.add_after(waiting.key, left)
        else:
            self._agenda.add(waiting.key)


def _same_node(old: Obj, new: Obj) -> bool:
    """Whether nothing changed that scheduling looks at."""
    return (
        old.get("spec") == new.get("spec")
        and old["metadata"].get("labels") == new["metadata"].get("labels")
        and (old.get("status") or {}).get("allocatable") == (new.get("status") or {}).get("allocatable")
    )


def _same_pod(old: Obj, new: Obj) -> bool:
    return (
        old["metadata"].get("labels") == new["metadata"].get("labels")
        and ("deletionTimestamp" in old["metadata"]) == ("deletionTimestamp" in new["metadata"])
        and (old["spec"] is new["spec"] or old["spec"] == new["spec"])
    )
