"""The kubelets of all nodes: they start what is bound to their node, keep its status, and end what is to be deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rbgctrl.api.meta import Key
from rbgctrl.sim.controllers import podstatus
from rbgctrl.sim.controllers.clockwork import Agenda, Timer
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["HOLD", "Kubelet", "KubeletOptions", "Seconds"]

PODS: Final = "pods"
HOLD: Final = "fake-kubelet/hold"
"""Pod annotation, any value: the pod is not started until it goes."""
_NEVER_ENDS: Final = "never-ends"
_FAILS: Final = "fails"

_Act: TypeAlias = Callable[[Key, Obj], None]
Seconds: TypeAlias = float | Callable[[Mapping[str, Any]], float]
"""A time in seconds, or a function from the pod to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletOptions:
    """How long things take on a node, each in seconds or as a function of the pod.

    Attributes:
        start: from being bound until every container runs.
        jitter: up to this much more, drawn for each pod.
        probe: from running until the readiness probes pass.
        stop: from deletion until the pod is gone; never longer than the pod's grace period.
        restart: from the end of a container until it runs again, unless it crashed.
        run: until a pod with restart policy ``Never`` ends by itself: with success, or as failed when an image of it is
            named ``…fails…``; never when one is named ``…never-ends…``.
    """

    start: Seconds = 1.0
    jitter: float = 0.0
    probe: Seconds = 0.0
    stop: Seconds = 0.5
    restart: Seconds = 0.5
    run: Seconds = 1.0


@dataclass(frozen=True, slots=True)
class _Step:
    """Something a kubelet is about to do with a pod."""

    name: str
    after: float
    act: _Act


class Kubelet:
    """Kubelets of every node of the cluster.

    Args:
        desk: their access to the cluster.
        options: see :class:`KubeletOptions`.

    Attributes:
        down: nodes whose kubelet does not run: nothing happens to their pods.
        unready: containers, by uid of the pod and name, whose readiness probes fail.
    """

    def __init__(self, desk: Desk, options: KubeletOptions | None = None) -> None:
        self.options = options or KubeletOptions()
        self.down: set[str] = set()
        self.unready: set[tuple[str, str]] = set()
        self._desk = desk
        self._addresses = 0
        self._timers: dict[str, dict[str, Timer]] = {}
        self._waits: dict[tuple[str, str], float] = {}  # containers that wait after a crash, and until when
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._look)
        desk.watch(PODS, self._on_pod)

    def _on_pod(self, event: StoredEvent) -> None:
        if event.new is None:
            self._drop(event.obj["metadata"]["uid"])
        elif event.new["spec"].get("nodeName"):
            self._agenda.add(event.key)

    def look_at_node(self, name: str) -> None:
        """Look at all pods of a node again, because its kubelet came or went."""
        for pod in self.pods_on(name):
            self._agenda.add(Key(pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def pods_on(self, name: str) -> list[Obj]:
        """The pods bound to a node."""
        return [pod for pod in self._desk.list(PODS) if pod["spec"].get("nodeName") == name]

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _look(self, key: Key) -> None:
        pod = self._desk.get(PODS, key)
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        steps = {step.name: step for step in self._steps(pod)} if self._alive(pod) else {}
        timers = self._timers.setdefault(uid, {})
        for name in [name for name in timers if name not in steps]:
            timers.pop(name).cancel()
        for step in steps.values():
            if step.name in timers:
                continue  # it is on its way; what else changed does not delay it
            if step.after <= 0:
                step.act(key, pod)
                return  # its write wakes us again
            timers[step.name] = self._desk.clockwork.later(step.after, self._bell(key, uid, step))
        if not timers:
            del self._timers[uid]

    def _bell(self, key: Key, uid: str, step: _Step) -> Callable[[], None]:
        def ring() -> None:
            self._timers.get(uid, {}).pop(step.name, None)
            pod = self._desk.get(PODS, key)
            if pod is None or pod["metadata"]["uid"] != uid or not self._alive(pod):
                return
            if any(other.name == step.name for other in self._steps(pod)):
                step.act(key, pod)

        return ring

    def _alive(self, pod: Obj) -> bool:
        node = pod["spec"].get("nodeName", "")
        return node not in self.down and self._desk.get("nodes", Key("", node)) is not None

    def _steps(self, pod: Obj) -> Iterator[_Step]:
        status = pod.get("status") or {}
        if "deletionTimestamp" in pod["metadata"]:
            running = bool(status.get("podIP")) and not podstatus.is_terminal(pod)
            grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
            yield _Step("stop", min(_seconds(self.options.stop, pod), grace) if running else 0.0, self._remove)
        elif podstatus.is_terminal(pod):
            return
        elif not status.get("podIP"):
            if HOLD not in (pod["metadata"].get("annotations") or {}):
                yield _Step("start", self._start_seconds(pod), self._start)
        else:
            yield from self._container_steps(pod, status)
            if podstatus.settled(pod, status, "") != status:
                yield _Step("settle", 0.0, self._settle)
            if pod["spec"].get("restartPolicy") == "Never" and not _has_image(pod, _NEVER_ENDS):
                yield _Step("end", _seconds(self.options.run, pod), self._end)

    def _container_steps(self, pod: Obj, status: Obj) -> Iterator[_Step]:
        uid, outdated = pod["metadata"]["uid"], podstatus.outdated_containers(pod)
        restart = _seconds(self.options.restart, pod)
        for found in status.get("containerStatuses") or ():
            name, state = found["name"], found.get("state") or {}
            if "running" in state:
                if name in outdated:
                    yield _Step(f"replace {name}", 0.0, self._on_container(name, podstatus.replaced))
                elif not found["ready"] and (uid, name) not in self.unready:
                    yield _Step(
                        f"probe {name}", _seconds(self.options.probe, pod), self._on_container(name, podstatus.ready)
                    )
            elif "terminated" in state:
                if pod["spec"].get("restartPolicy", "Always") == "Always":
                    yield _Step(f"restart {name}", restart, self._restarter(name))
            elif name in outdated:
                yield _Step(f"restart {name}", restart, self._restarter(name))
            elif (uid, name) in self._waits:
                left = self._waits[uid, name] - self._desk.clockwork.loop.time()
                yield _Step(f"back off {name}", max(left, 0.0), self._restarter(name))

    def _start_seconds(self, pod: Obj) -> float:
        jitter = self._desk.random.random() * self.options.jitter if self.options.jitter else 0.0
        return _seconds(self.options.start, pod) + jitter

    # -- acting ------------------------------------------------------------------------------------------------------

    def crash(self, key: Key, names: Sequence[str], *, code: int, wait: float | None) -> bool:
        """End containers with an error; they start again after ``wait`` seconds, with None never.

        Returns:
            Whether there was such a pod.
        """

        def change(pod: Obj, now: str) -> Obj:
            return podstatus.crashed(pod, now, names, code=code, wait=wait or 300.0)

        pod = self._write(key, None, change)
        if pod is None:
            return False
        for name in names:
            if wait is not None:
                self._waits[pod["metadata"]["uid"], name] = self._desk.clockwork.loop.time() + wait
        return True

    def evict(self, key: Key, message: str) -> bool:
        """End a pod because its node ran short of something; whether there was such a pod."""
        return self._write(key, None, lambda pod, now: podstatus.evicted(pod, now, message=message)) is not None

    def finish(self, key: Key, phase: str) -> bool:
        """End a pod, ``phase`` being ``Succeeded`` or ``Failed``; whether there was such a pod."""
        return self._write(key, None, lambda pod, now: podstatus.ended(pod, now, phase=phase)) is not None

    def set_unready(self, key: Key, names: Sequence[str], *, unready: bool) -> bool:
        """Let the readiness probes of containers fail, or pass again; whether there was such a pod."""
        pod = self._desk.get(PODS, key)
        if pod is None:
            return False
        for name in names:
            (self.unready.add if unready else self.unready.discard)((pod["metadata"]["uid"], name))
        if unready:
            self._write(key, None, lambda pod, now: podstatus.unready(pod, now, names))
        else:
            self._agenda.add(key)
        return True

    def restart(self, key: Key, names: Sequence[str]) -> bool:
        """Containers end and run again at once: their restart counts grow; whether there was such a pod."""
        return self._write(key, None, lambda pod, now: podstatus.restarted(pod, now, names, is_ready=True)) is not None

    def _start(self, key: Key, pod: Obj) -> None:
        self._addresses += 1
        number = self._addresses
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        node = self._desk.get("nodes", Key("", pod["spec"]["nodeName"])) or {}
        given = (node.get("status") or {}).get("addresses") or ()
        host = next((entry["address"] for entry in given if entry["type"] == "InternalIP"), "127.0.0.1")
        probes = any(container.get("readinessProbe") for container in pod["spec"]["containers"])
        is_ready = not probes or _seconds(self.options.probe, pod) <= 0
        self._write(
            key,
            pod,
            lambda live, now: podstatus.started(live, now, host=host, address=address, is_ready=is_ready),
        )

    def _settle(self, key: Key, pod: Obj) -> None:
        self._write(key, pod, lambda live, now: podstatus.settled(live, live.get("status") or {}, now))

    def _end(self, key: Key, pod: Obj) -> None:
        phase = "Failed" if _has_image(pod, _FAILS) else "Succeeded"
        self._write(key, pod, lambda live, now: podstatus.ended(live, now, phase=phase))

    def _remove(self, key: Key, pod: Obj) -> None:
        self._desk.delete(PODS, key, uid=pod["metadata"]["uid"], grace=0)

    def _restarter(self, name: str) -> _Act:
        def act(key: Key, pod: Obj) -> None:
            self._waits.pop((pod["metadata"]["uid"], name), None)
            self.unready.discard((pod["metadata"]["uid"], name))
            is_ready = _seconds(self.options.probe, pod) <= 0
            self._write(key, pod, lambda live, now: podstatus.restarted(live, now, [name], is_ready=is_ready))

        return act

    def _on_container(self, name: str, change: Callable[[Obj, str, list[str]], Obj]) -> _Act:
        def act(key: Key, pod: Obj) -> None:
            self._write(key, pod, lambda live, now: change(live, now, [name]))

        return act

    def _write(self, key: Key, pod: Obj | None, change: Callable[[Obj, str], Obj]) -> Obj | None:
        """Change the status of a pod; of this very one, if it is given."""
        now = self._desk.stamp()

        def changed(live: Obj) -> Obj | None:
            if pod is not None and live["metadata"]["uid"] != pod["metadata"]["uid"]:
                return None
            return {**live, "status": change(live, now)}

        return self._desk.update_status(PODS, key, changed)

    def _drop(self, uid: str) -> None:
        for timer in self._timers.pop(uid, {}).values():
            timer.cancel()
        for place in [place for place in self._waits if place[0] == uid]:
            del self._waits[place]
        self.unready = {place for place in self.unready if place[0] != uid} if self.unready else self.unready


def _seconds(given: Seconds, pod: Obj) -> float:
    return given(pod) if callable(given) else given


def _has_image(pod: Obj, part: str) -> bool:
    return any(part in container.get("image", "") for container in pod["spec"]["containers"])
