"""Is what the spec says in the system, and is what the system says true? Judged on a world at rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import yaml

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.plan.ignored import ignored
from rbgctrl.sim.oracles.differential import holds
from rbgctrl.sim.oracles.verdict import Verdict, admitted, verdict
from rbgctrl.sim.outcome import differences
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.world import GROUPS, World

__all__ = ["consistency"]

SETS: Final = RoleInstanceSet.KIND.resource
INSTANCES: Final = RoleInstance.KIND.resource
_REVISIONS: Final = "controllerrevisions.apps"
_OURS: Final = (SETS, INSTANCES, "pods", "services", "configmaps", _REVISIONS)
_KEPT_REVISIONS: Final = 5


def consistency(world: World, key: Key, body: Mapping[str, Any] | None) -> list[str]:
    """What is not as the spec says, or not as a status says, one sentence each.

    Every pod must be up: nothing may hold pods back when this is asked.

    Args:
        world: at rest.
        key: of a group.
        body: as last applied; None when it was deleted.
    """
    found = [*_ownerless(world, key)]
    group = world.get(GROUPS, key.name, key.namespace)
    if body is None:
        left = [f"{kind} {obj['metadata']['name']}" for kind in _OURS for obj in _of_group(world, kind, key)]
        return [*found, *(f"left of the deleted group: {name}" for name in left), *(["still there"] if group else [])]
    if group is None:
        return [*found, f"there is no group {key}"]
    wanted, _ = admitted(body)
    found += [f"stored group: {line}" for line in differences(wanted["spec"], group["spec"])]
    look = _Look(world, key, group, verdict(group))
    found += [line for live in look.sets.values() for line in look.inside(live)]
    if not look.verdict.fault:
        found += look.children()
    return [*found, *look.status()]


@dataclass(slots=True)
class _Look:
    """One group and what it owns."""

    world: World
    key: Key
    group: Obj
    verdict: Verdict

    @property
    def roles(self) -> list[Obj]:
        return list(self.group["spec"]["roles"])

    @property
    def sets(self) -> dict[str, Obj]:
        """By name."""
        return {live["metadata"]["name"]: live for live in self.owned(SETS, self.group)}

    def owned(self, resource: str, owner: Obj) -> list[Obj]:
        uid = owner["metadata"]["uid"]
        return [obj for obj in self.world.objects(resource, self.key.namespace) if _controller(obj) == uid]

    # What the spec asks for

    def children(self) -> Iterator[str]:
        """Of every role that can be run, its workload and Service; no other workloads; the discovery file."""
        expected = {names.workload(self.key.name, role["name"]) for role in self.roles}
        yield from (f"set {name} belongs to no role" for name in sorted(self.sets.keys() - expected))
        for role in self.roles:
            if role["name"] in self.verdict.faults:
                continue
            live = self.sets.get(names.workload(self.key.name, role["name"]))
            if live is not None:
                yield from self._set(role, live)
                yield from self._service(role, live)
            elif all(self._up(name) for name in role.get("dependencies") or ()):
                yield f"role {role['name']} has no set, although all it depends on is ready"
        yield from self._discovery()

    def _up(self, name: str) -> bool:
        live = self.sets.get(names.workload(self.key.name, name))
        return live is not None and sum(map(_instance_ready, self.owned(INSTANCES, live))) >= live["spec"]["replicas"]

    def _set(self, role: Obj, live: Obj) -> Iterator[str]:
        spec, where = live["spec"], f"set {live['metadata']['name']}"
        for name in ("replicas", "minReadySeconds", "podManagementPolicy"):
            if spec.get(name, 0) != role[name]:
                yield f"{where}: {name} is {spec.get(name)}, the role says {role[name]}"
        update = (role.get("rolloutStrategy") or {}).get("rollingUpdate") or {}
        assumed = {"partition": 0, "maxUnavailable": 1, "maxSurge": 0, "paused": False}
        for name, default in assumed.items():
            if spec["updateStrategy"].get(name, default) != update.get(name, default):
                yield f"{where}: {name} is {spec['updateStrategy'].get(name)}, the role says {update.get(name)}"
        built = {item["name"]: _images(item["template"]) for item in spec["roleInstanceTemplate"]["components"]}
        for name, images in _declared(role).items():
            if not images.items() <= built.get(name, {}).items():
                yield f"{where}: its template has images {built.get(name)}"
        missing = (role.get("labels") or {}).items() - (live["metadata"].get("labels") or {}).items()
        mine = {labels.GROUP_NAME, labels.ROLE_NAME, labels.GROUP_UID, labels.ROLE_TYPE}
        yield from (f"{where}: has no label {key}={value}" for key, value in sorted(missing) if key not in mine)
        ready = sum(map(_instance_ready, self.owned(INSTANCES, live)))
        if ready != role["replicas"]:
            yield f"{where}: {ready} of {role['replicas']} instances are ready"

    def _service(self, role: Obj, live: Obj) -> Iterator[str]:
        name = names.service(self.key.name, role["name"])
        service = self.world.get("services", name, self.key.namespace)
        selector = {labels.GROUP_NAME: self.key.name, labels.ROLE_NAME: role["name"]}
        if service is None:
            yield f"service {name} is missing"
        elif not selector.items() <= (service["spec"].get("selector") or {}).items() or not service["spec"].get(
            "publishNotReadyAddresses"
        ):
            yield f"service {name} selects {service['spec'].get('selector')}"
        elif live["metadata"]["uid"] not in _owners(service):
            yield f"service {name} is not owned by its set"

    def _discovery(self) -> Iterator[str]:
        stateful = [
            role
            for role in self.roles
            if (role.get("annotations") or {}).get(labels.INSTANCE_PATTERN) != labels.PATTERN_STATELESS
            and (role.get("annotations") or {}).get(labels.ROLE_WORKLOAD_TYPE) != labels.WORKLOAD_TYPE_DEPLOYMENT
        ]
        config = self.world.get("configmaps", names.discovery_config_map(self.key.name), self.key.namespace)
        if config is None:
            if stateful:
                yield "there is no discovery file"
            return
        told = yaml.safe_load(config["data"][labels.CONFIG_FILE])
        sizes = {name: (role["size"], len(role["instances"])) for name, role in told["roles"].items()}
        wanted = {role["name"]: (role["replicas"], role["replicas"]) for role in stateful}
        if sizes != wanted or told["group"]["roles"] != [role["name"] for role in stateful]:
            yield f"the discovery file says {sizes}, the group {wanted}"

    # What a set asks for, whatever its group says

    def inside(self, live: Obj) -> Iterator[str]:
        """A set's instances and pods in number and identity, and the truth of their statuses."""
        name, count = live["metadata"]["name"], live["spec"].get("replicas", 1)
        instances = self.owned(INSTANCES, live)
        found, wanted = sorted(map(_name, instances)), sorted(names.instance(name, number) for number in range(count))
        if found != wanted:
            yield f"set {name} has instances {found} instead of {wanted}"
        for item in instances:
            yield from self._pods(item)
        status = live.get("status") or {}
        update = status.get("updateRevision", "")
        for item in instances:
            if _revision(item) != update and not holds(live, item):
                yield f"instance {_name(item)} of set {name} is at revision {_revision(item)}, {update} is the newest"
        fresh = [item for item in instances if _revision(item) == update]
        ready = [item for item in instances if _instance_ready(item)]
        true = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": len(instances),
            "readyReplicas": len(ready),
            "updatedReplicas": len(fresh),
            "updatedReadyReplicas": len([item for item in fresh if item in ready]),
        }
        if live["spec"].get("minReadySeconds", 0) <= 0:
            true["availableReplicas"] = len(ready)
        wrong = {field: status.get(field, 0) for field, value in true.items() if status.get(field, 0) != value}
        if wrong:
            yield f"status of set {name} says {wrong}, true is {true}"
        if update not in map(_name, self.owned(_REVISIONS, live)):
            yield f"set {name} has no revision {update}"

    def _pods(self, item: Obj) -> Iterator[str]:
        kind = item["metadata"]["labels"].get(labels.ROLE_TYPE, labels.ROLE_TYPE_COMPONENTS)
        wanted = {
            names.pod(_name(item), component["name"], index, kind): component
            for component in item["spec"]["components"]
            for index in range(component.get("size", 1))
        }
        pods = self.owned("pods", item)
        if sorted(map(_name, pods)) != sorted(wanted):
            yield f"instance {_name(item)} has pods {list(map(_name, pods))}"
        for pod in pods:
            declared = _images(wanted[_name(pod)]["template"]) if _name(pod) in wanted else {}
            if _images(pod) != declared:
                yield f"pod {_name(pod)} has images {_images(pod)}, its instance says {declared}"
        up = bool(pods) and all(_condition(pod, "Ready") for pod in pods)
        if _instance_ready(item) != up:
            yield f"instance {_name(item)} says ready {_instance_ready(item)}, its pods say {up}"

    # What the group says

    def status(self) -> Iterator[str]:
        """Whether the group's status tells the truth."""
        status, generation = self.group.get("status") or {}, self.group["metadata"]["generation"]
        conditions = {item["type"]: item for item in status.get("conditions") or ()}
        seen = {status.get("observedGeneration"), *(item.get("observedGeneration") for item in conditions.values())}
        if seen != {generation}:
            yield f"status has seen generations {seen} of {generation}"
        true = [self._counts(role) for role in self.roles]
        told = [{"replicas": 0, "readyReplicas": 0, "updatedReplicas": 0, **item} for item in status["roleStatuses"]]
        if told != true:
            yield f"roleStatuses say {told}, true is {true}"
        complete = all(
            role["replicas"] == counts["replicas"] == counts["readyReplicas"]
            for role, counts in zip(self.roles, true, strict=True)
        )
        ready = conditions.get("Ready") or {"status": "", "message": ""}
        expected = complete and self.verdict.runnable
        if ready["status"] != str(expected):
            yield f"Ready is {ready}, expected {expected}; {self.verdict}"
        yield from (f"Ready does not name role {name}" for name in self.verdict.faults if name not in ready["message"])
        typed = msgspec.convert(self.group, RoleBasedGroup, dec_hook=dec_hook, strict=False)
        degraded = conditions.get("Degraded") or {"status": ""}
        if degraded["status"] != str(bool(ignored(typed)) or not self.verdict.runnable):
            yield f"Degraded is {degraded}, not acted on: {ignored(typed)}; {self.verdict}"
        if len(kept := self.owned(_REVISIONS, self.group)) > _KEPT_REVISIONS:
            yield f"{len(kept)} revisions are kept"

    def _counts(self, role: Obj) -> Obj:
        live = self.sets.get(names.workload(self.key.name, role["name"]))
        instances = self.owned(INSTANCES, live) if live is not None else []
        update = ((live or {}).get("status") or {}).get("updateRevision", "")
        return {
            "name": role["name"],
            "replicas": len(instances),
            "readyReplicas": sum(map(_instance_ready, instances)),
            "updatedReplicas": sum(_revision(item) == update for item in instances),
        }


def _ownerless(world: World, key: Key) -> Iterator[str]:
    everything = {obj["metadata"]["uid"] for kind in (GROUPS, *_OURS) for obj in world.objects(kind, key.namespace)}
    for kind in _OURS:
        for obj in world.objects(kind, key.namespace):
            if (owners := _owners(obj)) and everything.isdisjoint(owners):
                yield f"{kind} {_name(obj)} outlived its owners"
            if "deletionTimestamp" in obj["metadata"]:
                yield f"{kind} {_name(obj)} is still being deleted"


def _of_group(world: World, resource: str, key: Key) -> list[Obj]:
    found = world.objects(resource, key.namespace)
    return [obj for obj in found if (obj["metadata"].get("labels") or {}).get(labels.GROUP_NAME) == key.name]


def _owners(obj: Obj) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}


def _controller(obj: Obj) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _revision(item: Obj) -> str:
    return str(item["metadata"]["labels"].get(labels.CONTROLLER_REVISION_HASH, ""))


def _images(pod: Obj) -> dict[str, str]:
    return {item["name"]: item.get("image", "") for item in pod["spec"]["containers"]}


def _declared(role: Obj) -> dict[str, dict[str, str]]:
    """Images of each component as far as the role itself says them, without patches or other templates."""
    if (alone := role.get("standalonePattern")) is not None:
        parts = {role["name"]: alone}
    elif (many := role.get("leaderWorkerPattern")) is not None:
        patched = many.get("leaderTemplatePatch") or many.get("workerTemplatePatch")
        parts = {} if patched else dict.fromkeys(("leader", "worker")[: many.get("size", 1)], many)
    else:
        parts = {part["name"]: part for part in (role.get("customComponentsPattern") or {}).get("components") or ()}
    return {name: _images(part["template"]) for name, part in parts.items() if part.get("template")}


def _condition(obj: Obj, kind: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == kind and item["status"] == "True" for item in conditions)


def _instance_ready(item: Obj) -> bool:
    return _condition(item, "RoleInstanceReady")
