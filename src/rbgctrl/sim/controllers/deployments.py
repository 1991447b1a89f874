"""Deployments: a ReplicaSet for each template, and pods moved from the old ones to the new one step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from rbgctrl.api import intstr
from rbgctrl.api.canonical import revision_hash
from rbgctrl.api.meta import Key, Kind
from rbgctrl.sim.controllers.clockwork import Agenda
from rbgctrl.sim.controllers.desk import Desk
from rbgctrl.sim.controllers.owned import Owned, key_of, owner_reference, with_status
from rbgctrl.sim.controllers.replicasets import REPLICA_SET
from rbgctrl.sim.storage import Obj, StoredEvent

__all__ = ["DEPLOYMENT", "Deployments"]

DEPLOYMENT: Final[Kind[Any]] = Kind("apps", "v1", "Deployment", "deployments")
_HASH: Final = "pod-template-hash"
_REVISION: Final = "deployment.kubernetes.io/revision"


class Deployments:
    """Rolls out Deployments.

    Args:
        desk: its access to the cluster.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agenda: Agenda[Key] = Agenda(desk.clockwork, self._look)
        desk.watch(DEPLOYMENT.resource, self._on)
        self._sets = Owned(desk, REPLICA_SET.resource, self._on_set)

    def _on(self, event: StoredEvent) -> None:
        if event.new is not None:
            self._agenda.add(event.key)

    def _on_set(self, owner: Mapping[str, Any], namespace: str) -> None:
        if owner["kind"] == DEPLOYMENT.kind:
            self._agenda.add(Key(namespace, owner["name"]))

    def _look(self, key: Key) -> None:
        found = self._desk.get(DEPLOYMENT.resource, key)
        if found is None:
            return
        digest = revision_hash(orjson.dumps(found["spec"]["template"], option=orjson.OPT_SORT_KEYS))
        if "deletionTimestamp" not in found["metadata"]:
            self._roll(found, digest)
        self._report(key, found, digest)

    # -- rolling out -------------------------------------------------------------------------------------------------

    def _roll(self, found: Obj, digest: str) -> None:
        spec = found["spec"]
        new, old = self._split(found, digest)
        if spec.get("paused"):
            self._scale_paused(spec["replicas"], new, old)
            return
        if new is None:
            self._new_set(found, digest)
            return
        if spec["strategy"]["type"] == "Recreate":
            self._recreate(spec["replicas"], new, old)
        else:
            self._rolling(spec, new, old)
        self._forget_old(found, old)

    def _split(self, found: Obj, digest: str) -> tuple[Obj | None, list[Obj]]:
        new, old = None, []
        for candidate in self._sets.of(found):
            if (candidate["metadata"].get("labels") or {}).get(_HASH) == digest:
                new = candidate
            else:
                old.append(candidate)
        return new, old

    def _new_set(self, found: Obj, digest: str) -> None:
        metadata, template = found["metadata"], found["spec"]["template"]
        own = template.get("metadata") or {}
        labels = {**(own.get("labels") or {}), _HASH: digest}
        selector = found["spec"]["selector"]
        number = max((_number(candidate) for candidate in self._sets.of(found)), default=0) + 1
        made = {
            "apiVersion": REPLICA_SET.api_version,
            "kind": REPLICA_SET.kind,
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {_REVISION: str(number)},
                "ownerReferences": [owner_reference(DEPLOYMENT, found)],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": found["spec"].get("minReadySeconds", 0),
                "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), _HASH: digest}},
                "template": {**template, "metadata": {**own, "labels": labels}},
            },
        }
        self._desk.create(REPLICA_SET.resource, metadata["namespace"], made)

    def _scale_paused(self, wanted: int, new: Obj | None, old: list[Obj]) -> None:
        """Only the number of pods follows; the newest set takes the difference."""
        sets = ([new] if new is not None else []) + sorted(old, key=_number, reverse=True)
        if sets:
            rest = sum(other["spec"]["replicas"] for other in sets[1:])
            self._scale(sets[0], max(wanted - rest, 0))

    def _recreate(self, wanted: int, new: Obj, old: list[Obj]) -> None:
        for candidate in old:
            self._scale(candidate, 0)
        if not any(
            (candidate.get("status") or {}).get("replicas") or candidate["spec"]["replicas"] for candidate in old
        ):
            self._scale(new, wanted)

    def _rolling(self, spec: Mapping[str, Any], new: Obj, old: list[Obj]) -> None:
        wanted = spec["replicas"]
        limits = spec["strategy"].get("rollingUpdate") or {}
        surge = intstr.ceil(limits.get("maxSurge", "25%"), wanted)
        unavailable = intstr.floor(limits.get("maxUnavailable", "25%"), wanted)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        total = sum(map(_replicas, (new, *old)))
        have = new["spec"]["replicas"]
        room = max(wanted + surge - total, 0)
        goal = min(have + room, wanted) if have < wanted else wanted
        if goal != have:
            self._scale(new, goal)
            return  # the set's own status brings us back
        total = sum(candidate["spec"]["replicas"] for candidate in (new, *old))
        # As many may go as leave enough available ones: first those that never were available, then the oldest.
        missing = max(have - _available(new), 0)
        spare = max(total - (wanted - unavailable) - missing, 0)
        left = {key_of(candidate): candidate["spec"]["replicas"] for candidate in old}
        ordered = sorted(old, key=_number)
        for candidate in ordered:
            gone = min(max(left[key_of(candidate)] - _available(candidate), 0), spare)
            left[key_of(candidate)] -= gone
            spare -= gone
        spare = min(spare, max(_available(new, *old) - (wanted - unavailable), 0))
        for candidate in ordered:
            gone = min(left[key_of(candidate)], spare)
            left[key_of(candidate)] -= gone
            spare -= gone
            self._scale(candidate, left[key_of(candidate)])

    def _scale(self, candidate: Obj, replicas: int) -> None:
        if candidate["spec"]["replicas"] == replicas:
            return
        uid = candidate["metadata"]["uid"]

        def change(live: Obj) -> Obj | None:
            if live["metadata"]["uid"] != uid:
                return None
            return {**live, "spec": {**live["spec"], "replicas": replicas}}

        self._desk.update(REPLICA_SET.resource, key_of(candidate), change)

    def _forget_old(self, found: Obj, old: list[Obj]) -> None:
        idle = [
            candidate
            for candidate in sorted(old, key=_number)
            if not candidate["spec"]["replicas"] and not (candidate.get("status") or {}).get("replicas")
        ]
        for candidate in idle[: max(len(idle) - found["spec"]["revisionHistoryLimit"], 0)]:
            self._desk.delete(REPLICA_SET.resource, key_of(candidate), uid=candidate["metadata"]["uid"])

    # -- reporting ---------------------------------------------------------------------------------------------------

    def _report(self, key: Key, found: Obj, digest: str) -> None:
        new, old = self._split(found, digest)
        sets = [*old, *([new] if new is not None else [])]
        wanted = found["spec"]["replicas"]

        def count(name: str, of: list[Obj]) -> int:
            return sum((candidate.get("status") or {}).get(name, 0) for candidate in of)

        updated, available = count("replicas", [new] if new is not None else []), count("availableReplicas", sets)
        status: dict[str, Any] = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": count("replicas", sets),
            "updatedReplicas": updated,
            "readyReplicas": count("readyReplicas", sets),
            "availableReplicas": available,
            "unavailableReplicas": max(sum(candidate["spec"]["replicas"] for candidate in sets) - available, 0),
        }
        unavailable = intstr.floor(
            (found["spec"]["strategy"].get("rollingUpdate") or {}).get("maxUnavailable", 0), wanted
        )
        conditions = (
            ("Available", available >= wanted - unavailable, "MinimumReplicasAvailable", "MinimumReplicasUnavailable"),
            (
                "Progressing",
                True,
                "NewReplicaSetAvailable"
                if updated == wanted == status["replicas"] == available
                else "ReplicaSetUpdated",
                "",
            ),
        )
        now = self._desk.stamp()

        def change(live: Obj) -> Obj | None:
            before = live.get("status") or {}
            made = [_condition(before, kind, holds, yes if holds else no, now) for kind, holds, yes, no in conditions]
            return with_status(live, {**status, "conditions": made})

        self._desk.update_status(DEPLOYMENT.resource, key, change)


def _replicas(candidate: Mapping[str, Any]) -> int:
    """Pods a set has or is about to have."""
    return max(int(candidate["spec"]["replicas"]), int((candidate.get("status") or {}).get("replicas", 0)))


def _available(*sets: Mapping[str, Any]) -> int:
    return sum((candidate.get("status") or {}).get("availableReplicas", 0) for candidate in sets)


def _number(candidate: Mapping[str, Any]) -> int:
    return int((candidate["metadata"].get("annotations") or {}).get(_REVISION, "0"))


def _condition(status: Mapping[str, Any], kind: str, holds: bool, reason: str, now: str) -> dict[str, Any]:
    old: dict[str, Any] = next((found for found in status.get("conditions") or () if found["type"] == kind), {})
    value = "True" if holds else "False"
    if old.get("status") == value and old.get("reason") == reason:
        return old
    moved = old.get("lastTransitionTime", now) if old.get("status") == value else now
    return {"type": kind, "status": value, "reason": reason, "lastUpdateTime": now, "lastTransitionTime": moved}
