"""Our objects beside the recorded ones: a world for each scenario, and where the two differ."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import yaml

from golden import Revision, Scenario, scenario
from rbgctrl.api import labels
from rbgctrl.api.adapters import RoleBasedGroupScalingAdapter
from rbgctrl.api.core import ConfigMap, ControllerRevision, Pod, Service
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.groupsets import RoleBasedGroupSet
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key, Resource
from rbgctrl.api.podgroups import SchedulerPluginsPodGroup
from rbgctrl.api.profiles import ClusterEngineRuntimeProfile
from rbgctrl.api.workloads import Deployment, LeaderWorkerSet, StatefulSet
from rbgctrl.plan.model import Create

from .world import World

__all__ = ["KINDS", "NAMESPACE", "Case", "case"]

NAMESPACE: Final = "golden"
KINDS: Final[dict[str, type[Resource]]] = {
    kind.KIND.kind: kind
    for kind in (
        RoleBasedGroupSet,
        RoleBasedGroup,
        RoleInstanceSet,
        RoleInstance,
        Pod,
        Service,
        ConfigMap,
        Deployment,
        StatefulSet,
        LeaderWorkerSet,
        SchedulerPluginsPodGroup,
        RoleBasedGroupScalingAdapter,
    )
}
"""What a scenario is compared in; inputs are among them."""

_SET_BY_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation")


_FILLED_IN: Final[Mapping[str, Mapping[str, Any]]] = {
    "Pod": {
        "spec.containers[].env[].valueFrom.fieldRef.apiVersion": "v1",
        "spec.containers[].imagePullPolicy": "IfNotPresent",
        "spec.containers[].ports[].protocol": "TCP",
        "spec.containers[].readinessProbe.failureThreshold": 3,
        "spec.containers[].readinessProbe.httpGet.scheme": "HTTP",
        "spec.containers[].readinessProbe.successThreshold": 1,
        "spec.containers[].readinessProbe.timeoutSeconds": 1,
        "spec.containers[].terminationMessagePath": "/dev/termination-log",
        "spec.containers[].terminationMessagePolicy": "File",
        "spec.initContainers[].imagePullPolicy": "IfNotPresent",
        "spec.initContainers[].terminationMessagePath": "/dev/termination-log",
        "spec.initContainers[].terminationMessagePolicy": "File",
        "spec.restartPolicy": "Always",
        "spec.terminationGracePeriodSeconds": 30,
        "spec.dnsPolicy": "ClusterFirst",
        "spec.schedulerName": "default-scheduler",
        "spec.volumes[].configMap.defaultMode": 420,
    },
    "RoleInstanceSet": {"spec.revisionHistoryLimit": 10},
    "LeaderWorkerSet": {"spec.startupPolicy": "LeaderCreated", "spec.networkConfig.subdomainPolicy": "Shared"},
    "Deployment": {
        "spec.progressDeadlineSeconds": 600,
        "spec.revisionHistoryLimit": 10,
        "spec.strategy.type": "RollingUpdate",
        "spec.strategy.rollingUpdate.maxSurge": "25%",
        "spec.strategy.rollingUpdate.maxUnavailable": "25%",
    },
    "StatefulSet": {
        "spec.revisionHistoryLimit": 10,
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Retain",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
    },
}
"""What the API server fills in where nothing is said; the recording went through one."""

_WITH_TEMPLATE = ("Deployment", "StatefulSet")
_RUN_BY_OTHERS = (*_WITH_TEMPLATE, "LeaderWorkerSet", "Pod", "PodGroup")


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario as recorded, and as this controller plays it; random ids of the recording are renamed to ours."""

    world: World
    theirs: Mapping[str, Mapping[str, dict[str, Any]]]
    revisions: tuple[Revision, ...]

    def names(self, kind: str) -> list[str]:
        """Names of our objects of a kind."""
        return self.world.names(KINDS[kind])

    def ours(self, kind: str, name: str) -> dict[str, Any]:
        """Our object as the recording would show it: UIDs as whose they are, without times and versions."""
        body = self.raw(kind, name)
        body["metadata"] = {key: value for key, value in body["metadata"].items() if key not in _SET_BY_SERVER}
        found: dict[str, Any] = _renamed(body, self._uids())
        return _shown(kind, found)

    def raw(self, kind: str, name: str) -> dict[str, Any]:
        """A copy of our object as it is stored."""
        stored = self.world.shelves[KINDS[kind]].objects[Key(NAMESPACE, name)]
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(stored))
        return found

    def text(self, kind: str, name: str) -> dict[str, str]:
        """The data of a ConfigMap."""
        found: dict[str, str] = self.raw(kind, name)["data"]
        return found

    def our_revisions(self) -> dict[str, dict[str, Any]]:
        """Stored ControllerRevisions by name, UIDs as whose they are."""
        uids = self._uids()
        shelf = self.world.shelves[ControllerRevision].objects
        return {key.name: {**body, "metadata": _renamed(body["metadata"], uids)} for key, body in shelf.items()}

    def sent(self) -> dict[str, bytes]:
        """Data of each ControllerRevision as it was sent."""
        return {
            item.key.name: bytes(item.body["data"])
            for item in self.world.writes
            if isinstance(item, Create) and item.kind is ControllerRevision
        }

    def different(self, kind: str, name: str) -> set[str]:
        """Where ours differs from theirs, but for what an API server fills in."""
        defaults = dict(_FILLED_IN.get(kind, {}))
        if kind in _WITH_TEMPLATE:
            defaults |= {f"spec.template.{path}": text for path, text in _FILLED_IN["Pod"].items()}
        return set(_differences(self.theirs[kind][name], self.ours(kind, name), defaults))

    def _uids(self) -> dict[str, str]:
        return {
            body["metadata"]["uid"]: f"<uid of {kind.KIND.kind}/{key.name}>"
            for kind, shelf in self.world.shelves.items()
            for key, body in shelf.objects.items()
        }


# Playing a scenario ---------------------------------------------------------------------------------------------------


@functools.cache
def case(name: str, pending: frozenset[str] = frozenset()) -> Case:
    """The scenario of that name, settled; shared, so never change it.

    Args:
        name: of the scenario.
        pending: pods that never came up while it was recorded.
    """
    recorded = scenario(name)
    world = World()
    for kind, body in _inputs(recorded, world):
        world.put(kind, body, NAMESPACE if kind.KIND.namespaced else "")
    acted = True
    while acted:
        world.settle(kubelet=False)
        acted = world.run_pods(ready=lambda pod: pod not in pending) or _run_workloads(world)
    world.pass_time(60)
    world.settle(kubelet=False)
    ids = _ids_to_ours(recorded, world)
    theirs: dict[str, dict[str, dict[str, Any]]] = {}
    for item in _renamed(_of_upstream(recorded), ids, within=True):
        item["metadata"].pop("generation", None)
        theirs.setdefault(item["kind"], {})[item["metadata"]["name"]] = _shown(item["kind"], item)
    revisions = _renamed([dataclasses.asdict(item) for item in recorded.revisions], ids, within=True)
    return Case(world, theirs, tuple(Revision(**item) for item in revisions))


def _inputs(recorded: Scenario, world: World) -> Iterator[tuple[type[Resource], dict[str, Any]]]:
    """What users made, as the API server stored it."""
    for kind in (RoleBasedGroupSet, RoleBasedGroup):
        given = recorded.of(kind.KIND.kind) if kind in world.shelves else ()
        for item in given:
            yield kind, _bare(item)
        if given:
            break  # the groups of a set are the set's business
    for item in recorded.input:
        if item["kind"] == ClusterEngineRuntimeProfile.KIND.kind:
            yield ClusterEngineRuntimeProfile, item


def _bare(stored: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in stored["metadata"].items() if key in ("name", "labels", "annotations")}
    told = {key: value for key, value in metadata.pop("annotations", {}).items() if key != labels.DISCOVERY_MODE}
    return {"metadata": {**metadata, **({"annotations": told} if told else {})}, "spec": stored["spec"]}


def _run_workloads(world: World) -> bool:
    """Report every workload of another project's controller as running; whether one was not."""
    acted = False
    for kind in (Deployment, StatefulSet, LeaderWorkerSet):
        for key, body in world.shelves[kind].objects.items():
            counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), body["spec"]["replicas"])
            status = {"observedGeneration": body["metadata"]["generation"], **counts}
            if body.get("status") != status:
                world.shelves[kind].edit(key)["status"] = status
                acted = True
    return acted


# Making the two comparable --------------------------------------------------------------------------------------------


def _of_upstream(recorded: Scenario) -> list[dict[str, Any]]:
    """What upstream's controller made, or users did; not what a LeaderWorkerSet's controller made of that."""
    return [
        item
        for item in recorded.objects
        if item["kind"] in KINDS
        and not any(
            owner["kind"] in ("LeaderWorkerSet", "Pod") for owner in item["metadata"].get("ownerReferences", ())
        )
    ]


def _ids_to_ours(recorded: Scenario, world: World) -> dict[str, str]:
    """Recorded ids of stateless instances to ours, in order."""
    theirs = _ids(recorded.of("RoleInstance"))
    ours = _ids(world.shelves[RoleInstance].objects.values())
    return dict(zip(theirs, ours, strict=True))


def _ids(instances: Iterable[Mapping[str, Any]]) -> list[str]:
    told = (item["metadata"]["labels"].get(labels.ROLE_INSTANCE_ID) for item in instances)
    return sorted(found for found in told if found)


def _renamed(value: Any, texts: Mapping[str, str], *, within: bool = False) -> Any:
    """A JSON value with each text renamed; with ``within`` also inside of longer texts."""
    if isinstance(value, str):
        if not within:
            return texts.get(value, value)
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: _renamed(item, texts, within=within) for key, item in value.items()}
    return [_renamed(item, texts, within=within) for item in value] if isinstance(value, list) else value


def _shown(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """An object so that each difference has a path of its own: conditions by type, the discovery file as values."""
    if kind in _RUN_BY_OTHERS:
        body.pop("status", None)
    if kind == "Pod":
        body["spec"].pop("nodeName", None)
        for container in body["spec"]["containers"]:
            container["env"] = [item for item in container["env"] if item["name"] != labels.ENV_ROLE_ID]
            resources = container.get("resources", {})
            if "limits" in resources:  # where nothing is requested, a server takes the limit
                resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
    body.setdefault("kind", kind)
    body.setdefault("apiVersion", KINDS[kind].KIND.api_version)
    for condition in body.get("status", {}).get("conditions", ()):
        condition.pop("lastTransitionTime", None)
    if body.get("status", {}).get("conditions"):
        body["status"]["conditions"] = {item["type"]: item for item in body["status"]["conditions"]}
    if kind == "ConfigMap":
        body["data"] = {key: yaml.safe_load(text) for key, text in body["data"].items()}
    return body


def _differences(theirs: Any, ours: Any, defaults: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths at which the two differ, without list indexes; a zero value equals an absent field."""
    if theirs == ours or (not theirs and not ours) or (ours is None and theirs == defaults.get(path)):
        return
    if theirs is None and path.startswith("metadata."):
        theirs = {}  # of labels and annotations each is told
    if isinstance(theirs, dict) and isinstance({} if ours is None else ours, dict):
        ours = ours or {}
        for key in {*theirs, *ours}:
            yield from _differences(theirs.get(key), ours.get(key), defaults, f"{path}.{key}" if path else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for pair in zip(theirs, ours, strict=True):
            yield from _differences(*pair, defaults, f"{path}[]")
    else:
        yield path
