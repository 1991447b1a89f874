"""A world of plain JSON objects that plans act on: enough of an API server and a kubelet to test decisions.

It stores, merges and forgets; it has no watch, no validation and no time of its own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ConfigMap, ControllerRevision, Node, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.podgroups import SchedulerPluginsPodGroup
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.warmups import RoleBasedGroupWarmup
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet
from rbgctrl.client.decode import Invalid, decoder
from rbgctrl.graph import adapters, view
from rbgctrl.graph import groupsets as groupsets_view
from rbgctrl.graph import warmups as warmups_view
from rbgctrl.graph.indexes import indexes
from rbgctrl.graph.view import Sources
from rbgctrl.plan import adapter as adapter_plan
from rbgctrl.plan import group as group_plan
from rbgctrl.plan import groupset as groupset_plan
from rbgctrl.plan import instance as instance_plan
from rbgctrl.plan import role as role_plan
from rbgctrl.plan import warmup as warmup_plan
from rbgctrl.plan.model import Action, Apply, Create, Delete, Note, Patch, PatchType, Plan
from rbgctrl.plan.patience import PATIENCE

R = TypeVar("R", bound=Resource)

OWNED = (RoleBasedGroup, RoleInstanceSet, RoleInstance, Pod, Service, ConfigMap, ControllerRevision)
OTHERS = (
    Deployment,
    StatefulSet,
    LeaderWorkerSet,
    SchedulerPluginsPodGroup,
    RoleBasedGroupScalingAdapter,
    ClusterEngineRuntimeProfile,
    Node,
    RoleBasedGroupWarmup,
    RoleBasedGroupSet,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@dataclass
class Shelf(Generic[R]):
    """The objects of one kind; what planners read through."""

    kind: type[R]
    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    order: Callable[[Iterable[Key]], Sequence[Key]] = sorted
    decoded: dict[Key, R] = field(default_factory=dict)

    def get(self, key: Key) -> R | None:
        return self._decode(key) if key in self.objects else None

    def edit(self, key: Key) -> dict[str, Any]:
        """The object's JSON, to be changed in place."""
        self.decoded.pop(key, None)
        return self.objects[key]

    def owned(self, uid: str) -> Sequence[R]:
        found = [self._decode(key) for key in self.order(self.objects)]
        return [item for item in found if (owner := item.metadata.controller()) is not None and owner.uid == uid]

    def by(self, name: str, value: str) -> Sequence[R]:
        found = [self._decode(key) for key in self.order(self.objects)]
        return [item for item in found if value in indexes(self.kind)[name](item)]

    def all(self) -> list[R]:
        return [self._decode(key) for key in sorted(self.objects)]

    def _decode(self, key: Key) -> R:
        found = self.decoded.get(key)
        if found is None:
            obj = decoder(self.kind).one(msgspec.json.encode(self.objects[key]))
            assert not isinstance(obj, Invalid), obj
            found = self.decoded[key] = obj
        return found


class World:
    """Objects by kind, and the plans that were carried out on them."""

    def __init__(self) -> None:
        self.shelves: dict[type[Resource], Shelf[Any]] = {kind: Shelf(kind) for kind in (*OWNED, *OTHERS)}
        self.absent: set[type[Resource]] = set()
        self.now = NOW
        self.writes: list[Action] = []
        self.notes: list[Note] = []
        self._deleted: set[tuple[type[Resource], Key, str]] = set()
        self._ids = itertools.count(1)

    @property
    def sources(self) -> Sources:
        shelves = self.shelves
        return Sources(
            groups=shelves[RoleBasedGroup],
            sets=shelves[RoleInstanceSet],
            instances=shelves[RoleInstance],
            pods=shelves[Pod],
            services=shelves[Service],
            config_maps=shelves[ConfigMap],
            revisions=shelves[ControllerRevision],
            deployments=shelves[Deployment],
            stateful_sets=shelves[StatefulSet],
            leader_worker_sets=shelves[LeaderWorkerSet],
            pod_groups=shelves[SchedulerPluginsPodGroup],
            adapters=shelves[RoleBasedGroupScalingAdapter],
            profiles=shelves[ClusterEngineRuntimeProfile],
            nodes=shelves[Node],
            group_sets=shelves[RoleBasedGroupSet],
            warmups=shelves[RoleBasedGroupWarmup],
            warmup_pods=shelves[Pod],
            workload_pods=shelves[Pod],
            served=lambda kind: kind not in self.absent,
        )

    def all(self, kind: type[R]) -> list[R]:
        return self.shelves[kind].all()

    def names(self, kind: type[Resource]) -> list[str]:
        return [key.name for key in sorted(self.shelves[kind].objects)]

    def body(self, kind: type[Resource], name: str, namespace: str = "ml") -> dict[str, Any]:
        return self.shelves[kind].edit(Key(namespace, name))

    # Users ------------------------------------------------------------------------------------------------------------

    def put(self, kind: type[Resource], body: Mapping[str, Any], namespace: str = "ml") -> None:
        """Create an object, or replace its spec as a user would."""
        key = Key(namespace, body["metadata"]["name"])
        shelf = self.shelves[kind]
        stored = shelf.objects.get(key)
        if stored is None:
            self._store(kind, key, dict(body))
            return
        if stored.get("spec") != body.get("spec"):
            shelf.edit(key)
            stored["spec"] = body.get("spec")
            stored["metadata"]["generation"] += 1

    def remove(self, kind: type[Resource], name: str, namespace: str = "ml") -> None:
        self.shelves[kind].objects.pop(Key(namespace, name))
        self._collect()

    # Plans ------------------------------------------------------------------------------------------------------------

    def plan_all(self) -> list[Plan]:
        """What every reconciler would do now, in no particular order."""
        deciders: tuple[tuple[type[Resource], Any, Any], ...] = (
            (RoleBasedGroup, functools.partial(view.group, deep=True), group_plan.group),
            (RoleInstanceSet, view.role, role_plan.role),
            (RoleInstance, view.instance, instance_plan.instance),
            (RoleBasedGroupScalingAdapter, adapters.adapter, adapter_plan.adapter),
            (RoleBasedGroupWarmup, warmups_view.warmup, warmup_plan.warmup),
            (RoleBasedGroupSet, groupsets_view.group_set, groupset_plan.group_set),
        )
        return [
            decide(build(self.sources, key), self.now)
            for kind, build, decide in deciders
            for key in sorted(self.shelves[kind].objects)
        ]

    def settle(self, *, kubelet: bool = True, rounds: int = 50) -> int:
        """Carry out plans until nobody wants to write; returns how many rounds that took."""
        for done in range(rounds):
            plans = self.plan_all()
            acted = False
            for plan in plans:
                acted = self.carry_out(plan) or acted
            if kubelet:
                acted = self.run_pods() or acted
            if not acted and not self._soon(plans):
                return done
        raise AssertionError(f"still writing after {rounds} rounds: {[plan.because for plan in self.plan_all()]}")

    def _soon(self, plans: Iterable[Plan]) -> bool:
        """Let the time pass for which a status waits; longer timers are left to the test."""
        pauses = [plan.requeue_after for plan in plans if plan.requeue_after is not None]
        if not pauses or min(pauses) > PATIENCE:
            return False
        self.pass_time(min(pauses))
        return True

    def carry_out(self, plan: Plan) -> bool:
        for action in plan.actions:
            self.writes.append(action)
            self._act(action)
        self.notes.extend(plan.notes)
        self._collect()
        return not plan.empty

    def _act(self, action: Action) -> None:
        shelf = self.shelves[action.kind]
        shelf.decoded.pop(action.key, None)
        stored = shelf.objects.get(action.key)
        match action:
            case Create():
                assert stored is None, f"{action.key} exists"
                self._store(action.kind, action.key, _plain(action.body))
            case Apply() if stored is None:
                assert not action.uid, "an apply with a uid never creates"
                self._store(action.kind, action.key, _plain(action.body))
            case Patch() if stored is None:
                # Decided before another plan deleted it, which the executor takes for done.
                assert (action.kind, action.key, action.uid) in self._deleted
            case Apply() | Patch():
                assert stored is not None
                assert stored["metadata"]["uid"] == action.uid
                _change(stored, action)
            case Delete() if stored is not None:
                assert stored["metadata"]["uid"] == action.uid
                self._delete(shelf, action)

    def _delete(self, shelf: Shelf[Any], action: Delete) -> None:
        metadata = shelf.objects[action.key]["metadata"]
        if metadata.get("finalizers"):
            metadata.setdefault("deletionTimestamp", self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        else:
            del shelf.objects[action.key]
        self._deleted.add((action.kind, action.key, action.uid))

    def _store(self, kind: type[Resource], key: Key, body: dict[str, Any]) -> None:
        number = next(self._ids)
        body["metadata"] = {
            **body["metadata"],
            "namespace": key.namespace,
            "uid": f"uid-{number}",
            "generation": 1,
            "resourceVersion": str(number),
            "creationTimestamp": "2026-11-22T12:00:00Z",
        }
        if kind is RoleInstance:
            body["spec"].setdefault("readyPolicy", "AllPodReady")
        self.shelves[kind].objects[key] = body
        self.shelves[kind].decoded.pop(key, None)

    def _collect(self) -> None:
        """Garbage collection by owner references."""
        while True:
            alive = {body["metadata"]["uid"] for shelf in self.shelves.values() for body in shelf.objects.values()}
            orphans = [
                (shelf, key)
                for shelf in self.shelves.values()
                for key, body in shelf.objects.items()
                if (owners := body["metadata"].get("ownerReferences")) and not any(o["uid"] in alive for o in owners)
            ]
            if not orphans:
                return
            for shelf, key in orphans:
                self._deleted.add((shelf.kind, key, shelf.objects.pop(key)["metadata"]["uid"]))

    # Kubelet ----------------------------------------------------------------------------------------------------------

    def run_pods(self, *, ready: Callable[[str], bool] = lambda _: True) -> bool:
        """Schedule and run every pod that does not run yet; gates are left to the controller."""
        acted = False
        for key, body in self.shelves[Pod].objects.items():
            if body.get("status", {}).get("phase") or not ready(key.name):
                continue
            self.shelves[Pod].edit(key)["spec"]["nodeName"] = "node-1"
            body["status"] = {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "False"},
                    {"type": "ContainersReady", "status": "True"},
                ],
            }
            acted = True
        return acted

    def pod_fails(self, name: str, namespace: str = "ml") -> None:
        self.body(Pod, name, namespace)["status"] = {"phase": "Failed", "reason": "Evicted"}

    def containers_ready(self, name: str, ready: bool, namespace: str = "ml") -> None:
        conditions = [{"type": "ContainersReady", "status": str(ready)}, {"type": "Ready", "status": str(ready)}]
        _merge_conditions(self.body(Pod, name, namespace), conditions)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _change(stored: dict[str, Any], action: Apply | Patch) -> None:
    """Apply or patch; another spec is another generation."""
    body, before = _plain(action.body), msgspec.json.encode(stored.get("spec"))
    how = action.type if isinstance(action, Patch) else PatchType.MERGE
    if how is PatchType.STRATEGIC:
        _merge_conditions(stored, body["status"]["conditions"])
    elif how is PatchType.JSON:
        _operate(stored, body)
    else:
        _merge(stored, body)
    if msgspec.json.encode(stored.get("spec")) != before:
        stored["metadata"]["generation"] += 1


def _plain(body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body))


def _merge(stored: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for name, value in patch.items():
        if value is None:
            stored.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(stored.get(name), dict):
            _merge(stored[name], value)
        else:
            stored[name] = value


def _operate(stored: dict[str, Any], operations: Iterable[Mapping[str, Any]]) -> None:
    """A JSON patch of tests and additions."""
    for operation in operations:
        *parents, last = operation["path"].strip("/").split("/")
        at: Any = stored
        for name in parents:
            at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
        if operation["op"] == "test":
            assert at[last] == operation["value"], operation
        else:
            assert operation["op"] == "add"
            at[last] = operation["value"]


def _merge_conditions(stored: dict[str, Any], changed: Iterable[Mapping[str, Any]]) -> None:
    conditions = stored.setdefault("status", {}).setdefault("conditions", [])
    for new in changed:
        for index, old in enumerate(conditions):
            if old["type"] == new["type"]:
                conditions[index] = {**old, **new}
                break
        else:
            conditions.append(dict(new))


def group(name: str = "llm", *roles: Mapping[str, Any], namespace: str = "ml") -> dict[str, Any]:
    """A RoleBasedGroup manifest."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"roles": [dict(role) for role in roles]}}


def role(name: str, replicas: int = 1, *dependencies: str, image: str = "engine:1", **more: Any) -> dict[str, Any]:
    """A standalone role, as the API server stores it."""
    body: dict[str, Any] = {
        "name": name,
        "replicas": replicas,
        "standalonePattern": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}},
        **more,
    }
    if dependencies:
        body["dependencies"] = list(dependencies)
    return body
