"""StatefulSets: pods with ordinals, started and updated in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rbgctrl.api import intstr
from rbgctrl.api.canonical import revision_hash
from rbgctrl.api.meta import Key, Kind
from rbgctrl.sim.controllers import podstatus
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

__all__ = ["STATEFUL_SET", "StatefulSets"]

STATEFUL_SET: Final[Kind[Any]] = Kind("apps", "v1", "StatefulSet", "statefulsets")
_REVISIONS: Final = "controllerrevisions.apps"
_PODS: Final = "pods"
_HASH: Final = "controller-revision-hash"


@dataclass(slots=True)
class _View:
    """A set and what belongs to it, as one pass sees it."""

    obj: Obj
    pods: dict[int, Obj]
    update: str
    current: str
    templates: dict[str, Mapping[str, Any]]

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.obj["spec"]
        return spec

    @property
    def first(self) -> int:
        return int((self.spec.get("ordinals") or {}).get("start", 0))

    @property
    def ordered(self) -> bool:
        return bool(self.spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    @property
    def ordinals(self) -> range:
        return range(self.first, self.first + self.spec["replicas"])

    @property
    def rolling(self) -> Mapping[str, Any] | None:
        strategy = self.spec["updateStrategy"]
        return (strategy.get("rollingUpdate") or {}) if strategy["type"] == "RollingUpdate" else None

    def revision_for(self, ordinal: int) -> str:
        """The revision a pod of that ordinal is made of."""
        rolling = self.rolling
        if rolling is not None and ordinal < self.first + (rolling.get("partition") or 0):
            return self.current
        return self.update


class StatefulSets:
    """Runs StatefulSets.

    Args:
        desk: its access to the cluster.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._look)
        desk.watch(STATEFUL_SET.resource, self._on)
        self._pods = Owned(desk, _PODS, self._on_owned)
        self._revisions = Owned(desk, _REVISIONS, self._on_owned)

    def _on(self, event: StoredEvent) -> None:
        if event.new is not None:
            self._agenda.add(event.key)

    def _on_owned(self, owner: Mapping[str, Any], namespace: str) -> None:
        if owner["kind"] == STATEFUL_SET.kind:
            self._agenda.add(Key(namespace, owner["name"]))

    def _look(self, key: Key) -> None:
        found = self._desk.get(STATEFUL_SET.resource, key)
        if found is None:
            return
        view = self._view(found)
        if "deletionTimestamp" not in found["metadata"]:
            self._act(key, view)
        self._report(key, self._view(found))

    # -- revisions ---------------------------------------------------------------------------------------------------

    def _view(self, found: Obj) -> _View:
        revisions = sorted(self._revisions.of(found), key=lambda revision: revision["revision"])
        update = self._revision(found, revisions)
        names = {revision["metadata"]["name"] for revision in revisions}
        current = (found.get("status") or {}).get("currentRevision", "")
        if current not in names:
            current = update
        templates: dict[str, Mapping[str, Any]] = {
            revision["metadata"]["name"]: revision["data"]["spec"]["template"] for revision in revisions
        }
        templates[update] = found["spec"]["template"]
        pods = {}
        for pod in self._pods.of(found):
            prefix, _, number = pod["metadata"]["name"].rpartition("-")
            if prefix == found["metadata"]["name"] and number.isdigit():
                pods[int(number)] = pod
        return _View(obj=found, pods=pods, update=update, current=current, templates=templates)

    def _revision(self, found: Obj, revisions: Sequence[Obj]) -> str:
        """The name of the revision of the set's template; makes one, or makes an older equal one the newest."""
        data = {"spec": {"template": {**found["spec"]["template"], "$patch": "replace"}}}
        newest = max((revision["revision"] for revision in revisions), default=0)
        namespace = found["metadata"]["namespace"]
        for revision in revisions:
            if revision["data"] == data:
                name: str = revision["metadata"]["name"]
                if revision["revision"] != newest:
                    self._desk.update(_REVISIONS, Key(namespace, name), lambda live: {**live, "revision": newest + 1})
                return name
        digest = revision_hash(orjson.dumps(data, option=orjson.OPT_SORT_KEYS))
        name = f"{found['metadata']['name']}-{digest}"
        labels = (found["spec"]["template"].get("metadata") or {}).get("labels") or {}
        made = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**labels, "controller.kubernetes.io/hash": digest},
                "ownerReferences": [owner_reference(STATEFUL_SET, found)],
            },
            "data": data,
            "revision": newest + 1,
        }
        self._desk.create(_REVISIONS, namespace, made)
        return name

    def _forget_old(self, view: _View) -> None:
        live = {view.current, view.update, *(_revision_of(pod) for pod in view.pods.values())}
        old = [
            revision
            for revision in sorted(self._revisions.of(view.obj), key=lambda revision: revision["revision"])
            if revision["metadata"]["name"] not in live
        ]
        for revision in old[: max(len(old) - view.spec["revisionHistoryLimit"], 0)]:
            self._desk.delete(_REVISIONS, key_of(revision), uid=revision["metadata"]["uid"])

    # -- pods --------------------------------------------------------------------------------------------------------

    def _act(self, key: Key, view: _View) -> None:
        if self._fill(key, view) and self._shrink(view):
            self._roll(key, view)
        self._forget_old(view)

    def _fill(self, key: Key, view: _View) -> bool:
        """Create what is missing; whether to go on in this pass."""
        for ordinal in view.ordinals:
            pod = view.pods.get(ordinal)
            if pod is not None and podstatus.is_terminal(pod) and "deletionTimestamp" not in pod["metadata"]:
                self._desk.delete(_PODS, key_of(pod), uid=pod["metadata"]["uid"])
                return False
            if pod is None:
                self._create(view, ordinal)
            if view.ordered and not self._healthy(key, view, pod):
                return False
        return True

    def _create(self, view: _View, ordinal: int) -> None:
        metadata, revision = view.obj["metadata"], view.revision_for(ordinal)
        template = view.templates[revision]
        name = f"{metadata['name']}-{ordinal}"
        labels = {
            "apps.kubernetes.io/pod-index": str(ordinal),
            _HASH: revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        pod = pod_of(template, owner_reference(STATEFUL_SET, view.obj), labels)
        pod["metadata"] |= {"name": name, "namespace": metadata["namespace"], "generateName": f"{metadata['name']}-"}
        pod["spec"] |= {"hostname": name}
        if view.spec.get("serviceName"):
            pod["spec"]["subdomain"] = view.spec["serviceName"]
        self._desk.create(_PODS, metadata["namespace"], pod)

    def _shrink(self, view: _View) -> bool:
        """Delete what is too much, from the highest ordinal down; whether to go on in this pass."""
        condemned = sorted((ordinal for ordinal in view.pods if ordinal not in view.ordinals), reverse=True)
        for ordinal in condemned:
            pod = view.pods[ordinal]
            if "deletionTimestamp" not in pod["metadata"]:
                self._desk.delete(_PODS, key_of(pod), uid=pod["metadata"]["uid"])
            if view.ordered:
                return False
        return True

    def _roll(self, key: Key, view: _View) -> None:
        """Replace pods of other revisions, from the highest ordinal down to the partition."""
        rolling = view.rolling
        if rolling is None:
            return
        lowest = view.first + (rolling.get("partition") or 0)
        ordinals = [ordinal for ordinal in reversed(view.ordinals) if ordinal >= lowest]
        room = max(intstr.floor(rolling.get("maxUnavailable") or 1, view.spec["replicas"]), 1)
        room -= sum(not self._healthy(key, view, view.pods.get(ordinal)) for ordinal in view.ordinals)
        for ordinal in ordinals:
            pod = view.pods.get(ordinal)
            if pod is None or _revision_of(pod) == view.update or "deletionTimestamp" in pod["metadata"]:
                continue
            healthy = self._healthy(key, view, pod)
            if healthy and room <= 0:
                return
            self._desk.delete(_PODS, key_of(pod), uid=pod["metadata"]["uid"])
            room -= healthy
            if not healthy and view.ordered:
                return

    def _healthy(self, key: Key, view: _View, pod: Obj | None) -> bool:
        if pod is None or not is_alive(pod):
            return False
        wait = available_in(pod, view.spec.get("minReadySeconds", 0), self._desk.now())
        if wait:
            self._agenda.add_after(key, wait)
        return wait == 0

    # -- reporting ---------------------------------------------------------------------------------------------------

    def _report(self, key: Key, view: _View) -> None:
        pods = [pod for pod in view.pods.values() if is_alive(pod)]
        ready = [pod for pod in pods if is_ready(pod)]
        updated = [pod for pod in pods if _revision_of(pod) == view.update]
        current = view.current
        everything = len(pods) == view.spec["replicas"]
        if view.rolling is not None and everything and len(updated) == len(pods) == len(ready):
            current = view.update  # the update is complete
        status = {
            "observedGeneration": view.obj["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": sum(self._healthy(key, view, pod) for pod in pods),
            "currentReplicas": sum(_revision_of(pod) == current for pod in pods),
            "updatedReplicas": len(updated),
            "currentRevision": current,
            "updateRevision": view.update,
            "collisionCount": 0,
        }
        self._desk.update_status(STATEFUL_SET.resource, key, lambda live: with_status(live, status))


def _revision_of(pod: Mapping[str, Any]) -> str:
    revision: str = (pod["metadata"].get("labels") or {}).get(_HASH, "")
    return revision
