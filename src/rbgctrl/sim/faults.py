"""What goes wrong in a cluster, on demand: containers, pods, nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbgctrl.api.meta import Key
from rbgctrl.sim.controllers.owned import key_of
from rbgctrl.sim.verbs.delete import DeleteOptions

if TYPE_CHECKING:
    from rbgctrl.sim.controllers import Controllers
    from rbgctrl.sim.server import ApiServer

__all__ = ["Faults", "NoSuchObjectError"]


class NoSuchObjectError(LookupError):
    """There is no such pod, container or node."""


class Faults:
    """The faults of an embedded cluster. Pods are given as ``"namespace/name"``, or as a name in ``default``."""

    server: ApiServer
    controllers: Controllers

    # -- containers and pods -----------------------------------------------------------------------------------------

    def crash_container(
        self, pod: str | Key, container: str = "", *, wait: float | None = 10.0, exit_code: int = 1
    ) -> None:
        """A container ends with an error: the pod is not ready until it runs again.

        Args:
            pod: which pod.
            container: which container; all of them when empty.
            wait: seconds until it is started again; None for never.
            exit_code: how it ended.

        Raises:
            NoSuchObjectError: there is no such container that was started.
        """
        key, names = self._containers(pod, container)
        self.controllers.kubelet.crash(key, names, code=exit_code, wait=wait)

    def restart_container(self, pod: str | Key, container: str = "") -> None:
        """A container ends and runs again at once: its restart count grows, the pod stays ready.

        Raises:
            NoSuchObjectError: there is no such container that was started.
        """
        self.controllers.kubelet.restart(*self._containers(pod, container))

    def set_ready(self, pod: str | Key, *, ready: bool, container: str = "") -> None:
        """The readiness probe of a running container fails from now on, or passes again.

        Raises:
            NoSuchObjectError: there is no such container that was started.
        """
        self.controllers.kubelet.set_unready(*self._containers(pod, container), unready=not ready)

    def end_pod(self, pod: str | Key, phase: str = "Failed") -> None:
        """A pod ends for good, ``phase`` being ``Failed`` or ``Succeeded``.

        Raises:
            NoSuchObjectError: there is no such pod.
        """
        self.controllers.kubelet.finish(self._pod_key(pod), phase)

    def evict(self, pod: str | Key, message: str = "The node was low on resource: memory.") -> None:
        """A kubelet ends a pod because its node runs short of something: ``Failed``, reason ``Evicted``.

        Raises:
            NoSuchObjectError: there is no such pod.
        """
        self.controllers.kubelet.evict(self._pod_key(pod), message)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def kill_node(self, name: str) -> None:
        """A node stops without a word, its pods with it.

        After the grace period it is Unknown and tainted, after that its pods are deleted as their tolerations say; they
        stay Terminating until the node is back or deleted.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self._node(name)
        self.controllers.kubelet.down.add(name)
        self.controllers.lifecycle.silent(name)

    def revive_node(self, name: str) -> None:
        """A node is back: it is Ready, what was to be deleted there is gone, every other container runs again.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self._node(name)
        if name not in self.controllers.kubelet.down:
            return
        kubelet = self.controllers.kubelet
        kubelet.down.discard(name)
        self.controllers.lifecycle.heard(name)
        self.controllers.reporter.look(name)
        for pod in kubelet.pods_on(name):
            if "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") == "Running":
                kubelet.restart(*self._containers(key_of(pod), ""))
        kubelet.look_at_node(name)

    def restart_kubelet(self, name: str, *, seconds: float = 5.0) -> None:
        """A kubelet is away for a while: what happens to its pods meanwhile happens when it is back; they keep running.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self._node(name)
        kubelet, lifecycle = self.controllers.kubelet, self.controllers.lifecycle
        kubelet.down.add(name)
        lifecycle.silent(name)

        def back() -> None:
            kubelet.down.discard(name)
            lifecycle.heard(name)
            self.controllers.reporter.look(name)
            kubelet.look_at_node(name)

        self.controllers.clockwork.later(seconds, back)

    def remove_node(self, name: str) -> None:
        """A node is deleted; its pods are removed some time later.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self._node(name)
        self.server.delete("nodes", Key("", name), user="admin")

    def cordon(self, name: str, *, unschedulable: bool = True) -> None:
        """No new pods on a node, or again.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self._node(name)
        self.server.update(
            "nodes",
            Key("", name),
            lambda node: {**node, "spec": {**(node.get("spec") or {}), "unschedulable": unschedulable}},
            user="admin",
        )

    def drain(self, name: str) -> None:
        """Cordon a node and delete its pods, with grace.

        Raises:
            NoSuchObjectError: there is no such node.
        """
        self.cordon(name)
        for pod in self.controllers.kubelet.pods_on(name):
            options = DeleteOptions(uid=pod["metadata"]["uid"])
            self.server.delete("pods", key_of(pod), user="admin", options=options)

    # -- finding -----------------------------------------------------------------------------------------------------

    def _pod_key(self, pod: str | Key) -> Key:
        key = pod if isinstance(pod, Key) else Key.parse(pod)
        key = key if key.namespace else Key("default", key.name)
        if self.server.storage.get("pods", key) is None:
            raise NoSuchObjectError(f"there is no pod {key}")
        return key

    def _containers(self, pod: str | Key, container: str) -> tuple[Key, list[str]]:
        key = self._pod_key(pod)
        status = (self.server.storage.get("pods", key) or {}).get("status") or {}
        started = [found["name"] for found in status.get("containerStatuses") or ()]
        names = [name for name in started if container in ("", name)]
        if not names:
            raise NoSuchObjectError(f"no container {container or '(any)'} of pod {key} was started")
        return key, names

    def _node(self, name: str) -> None:
        if self.server.storage.get("nodes", Key("", name)) is None:
            raise NoSuchObjectError(f"there is no node {name}")
