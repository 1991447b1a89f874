"""Two ways to one spec must end in one state: what is left of a history is compared with a fresh apply.

What depends on history by right is taken out of both sides first:

* generations, and the numbers of revisions; of revisions only those in use are compared;
* :class:`Held`: instances that run an earlier template because a partition or a pause keeps them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rbgctrl.api import intstr, labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.sim.oracles.steps import LONGEST_REST, rest
from rbgctrl.sim.oracles.verdict import verdict
from rbgctrl.sim.outcome import State, differences, state_of
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.world import World, WorldOptions

__all__ = ["Ending", "Held", "differential", "ending", "fresh", "holds"]

_GROUPS, _SETS, _INSTANCES = (kind.KIND.resource for kind in (RoleBasedGroup, RoleInstanceSet, RoleInstance))
_REVISIONS: Final = "controllerrevisions.apps"
_BY_HISTORY: Final = frozenset(("generation", "observedGeneration", "collisionCount", labels.OWNER_GENERATION))
_IDENTITY: Final = frozenset(
    (
        *(labels.GROUP_NAME, labels.ROLE_NAME, labels.GROUP_UID, labels.ROLE_TYPE, labels.ROLE_ID),
        *(labels.ROLE_INSTANCE_NAME, labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME),
        *(labels.COMPONENT_NAME, labels.COMPONENT_ID),
    )
)
"""Labels that no revision changes."""
_COUNTERS: Final = frozenset(("currentRevision", "currentReplicas", "updatedReplicas", "updatedReadyReplicas"))

Place: TypeAlias = str
"""``resource namespace/name``, as in :data:`rbgctrl.sim.outcome.State`."""


@dataclass(frozen=True, slots=True)
class Held:
    """Instances that a rollout has to leave where they are, and what else of theirs depends on history.

    Of these instances and their pods everything is compared but what came from the template: spec, labels that are not
    identity, annotations, revisions, images; and of their sets and groups everything but the counters of instances
    at the newest revision (whether those tell the truth, consistency says). Where the earlier template is that of
    another pattern, or has other components, the pods themselves are others, and so is where peers find them. All
    others are compared as a whole.

    Attributes:
        instances: places of RoleInstances whose template is an earlier one, and may be.
        labelled: those whose template is the newest, but whose metadata was copied from an earlier role.
        sets: places of their RoleInstanceSets, and of all others whose rollouts may not come to an end.
        roles: names of their roles.
    """

    instances: frozenset[Place] = frozenset()
    labelled: frozenset[Place] = frozenset()
    sets: frozenset[Place] = frozenset()
    roles: frozenset[str] = frozenset()

    def __or__(self, other: Held) -> Held:
        return Held(
            self.instances | other.instances,
            self.labelled | other.labelled,
            self.sets | other.sets,
            self.roles | other.roles,
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """What a world came to.

    Attributes:
        state: objects, without what depends on history by right; revisions under their owners' names.
        held: see :class:`Held`.
    """

    state: State
    held: Held


def ending(world: World) -> Ending:
    """What a world at rest came to."""
    storage = world.cluster.server.storage
    in_use = _revisions_in_use(world)
    plain = state_of(storage, only=lambda obj: obj["kind"] != "ControllerRevision")
    revisions = state_of(storage, only=lambda obj: obj["metadata"]["uid"] in in_use)
    state = {place: _timeless(obj) for place, obj in plain.items()}
    for obj in revisions.values():
        owner = obj["metadata"]["ownerReferences"][0]
        kept = {"labels": obj["metadata"].get("labels"), "data": obj["data"]}
        state[f"{_REVISIONS} of {owner['kind']} {obj['metadata']['namespace']}/{owner['name']}"] = kept
    return Ending(state, _held(world))


def differential(history: Ending, straight: Ending) -> list[str]:
    """Where a history and a fresh apply of its last spec differ, one sentence each."""
    seam = history.held | straight.held
    reshaped = frozenset(
        place for place in seam.instances if _shape(history.state, place) != _shape(straight.state, place)
    )
    return differences(_blinded(straight.state, seam, reshaped), _blinded(history.state, seam, reshaped))


async def fresh(body: Mapping[str, Any], options: WorldOptions | None = None) -> Ending:
    """What a world comes to in which nothing else was ever applied.

    Args:
        body: a group that this version can run.
        options: of the world.

    Raises:
        ValueError: it cannot run it in full: what becomes of the rest depends on what ran before.
    """
    judged = verdict(body)
    if not judged.runnable:
        raise ValueError(f"a group that cannot be run in full has no one ending: {judged}")
    async with World(options) as world:
        await world.start()
        await world.apply(body)
        await rest(world)
        return ending(world)


# What is taken out ----------------------------------------------------------------------------------------------------


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        found = {key: _timeless(item) for key, item in value.items() if key not in _BY_HISTORY}
        if isinstance(conditions := found.get("conditions"), list):
            found["conditions"] = sorted(conditions, key=lambda item: str(item.get("type")))
        return found
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _revisions_in_use(world: World) -> set[str]:
    """Uids: what sets and instances name as their newest, and the newest of each group."""
    found: set[str] = set()
    for owner in (obj for kind in (_GROUPS, _SETS, _INSTANCES) for obj in world.cluster.server.storage.list(kind)):
        mine = [
            item
            for item in world.objects(_REVISIONS, owner["metadata"]["namespace"])
            if owner["metadata"]["uid"] in [reference["uid"] for reference in item["metadata"]["ownerReferences"]]
        ]
        update = (owner.get("status") or {}).get("updateRevision")
        if update is None and mine:
            found.add(max(mine, key=lambda item: item["revision"])["metadata"]["uid"])
        found |= {item["metadata"]["uid"] for item in mine if item["metadata"]["name"] == update}
    return found


def _held(world: World) -> Held:
    storage = world.cluster.server.storage
    sets = {live["metadata"]["uid"]: live for live in storage.list(_SETS)}
    unfinished = (live for live in sets.values() if _paused(live) or _partition(live))
    seam = Held(sets=frozenset(_place(_SETS, live) for live in unfinished))
    for item in storage.list(_INSTANCES):
        live = sets.get(item["metadata"]["ownerReferences"][0]["uid"])
        if live is None:
            continue
        mine, role = item["metadata"]["labels"], live["metadata"]["labels"][labels.ROLE_NAME]
        if mine.get(labels.CONTROLLER_REVISION_HASH) != (live.get("status") or {}).get("updateRevision"):
            if not holds(live, item):
                continue
            places = frozenset((_place(_INSTANCES, item),))
            seam |= Held(places, frozenset(), frozenset((_place(_SETS, live),)), frozenset((role,)))
        elif mine.get(labels.role_revision(role)) != live["metadata"]["labels"].get(labels.role_revision(role)):
            seam |= Held(labelled=frozenset((_place(_INSTANCES, item),)))
    return seam


def holds(live: Obj, item: Obj) -> bool:
    """Whether a set has to leave one of its instances at an earlier template.

    By its partition, because it is paused, or because each replacement has to be ready for longer than anybody waits.
    """
    ordinal = names.instance_ordinal(live["metadata"]["name"], item["metadata"]["name"])
    waits = live["spec"].get("minReadySeconds", 0) > LONGEST_REST
    return _paused(live) or waits or (0 if ordinal is None else ordinal) < _partition(live)


def _paused(live: Obj) -> bool:
    return bool((live["spec"].get("updateStrategy") or {}).get("paused"))


def _partition(live: Obj) -> int:
    partition = (live["spec"].get("updateStrategy") or {}).get("partition", 0)
    return intstr.legacy_floor(partition, live["spec"].get("replicas", 1))


def _place(resource: str, obj: Obj) -> Place:
    return f"{resource} {obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _shape(state: State, place: Place) -> tuple[object, ...]:
    """What the names of an instance's pods depend on."""
    if place not in state:
        return ()
    found = state[place]
    components = [(item["name"], item.get("size", 1)) for item in found["spec"]["components"]]
    return found["metadata"]["labels"].get(labels.ROLE_TYPE), *components


def _blinded(state: State, seam: Held, reshaped: frozenset[Place]) -> State:
    """A state without what :class:`Held` leaves out."""
    found = dict(state)
    for place in reshaped:
        _without_pods(found, place)
    for place in seam.instances | seam.labelled:
        _identity_only(found, place)
    for place in seam.instances:
        pods = [made for made in found if made.startswith("pods ") and _instance_of(found[made]) == place]
        for made in (place, *pods):
            if made in found:
                found[made] = {key: value for key, value in found[made].items() if key != "spec"}
        for made in pods:
            _identity_only(found, made)
            _without_status(found, made, frozenset(("containerStatuses",)))
        found.pop(place.replace(_INSTANCES, f"{_REVISIONS} of {RoleInstance.KIND.kind}"), None)
        _without_status(found, place, frozenset(("currentRevision", "updateRevision")))
    for place in seam.sets:
        _without_status(found, place, _COUNTERS)
    for place in [place for place in found if place.startswith(f"{_GROUPS} ")]:
        found[place] = _without_updated(found[place], seam.roles)
    return found


def _without_pods(state: State, place: Place) -> None:
    """Leave out the pods of an instance, and what tells of them."""
    for made in [made for made in state if made.startswith("pods ") and _instance_of(state[made]) == place]:
        del state[made]
    _without_status(state, place, frozenset(("componentStatuses",)))
    if place in state:
        metadata = state[place]["metadata"]
        kept = {key: value for key, value in metadata["labels"].items() if key != labels.ROLE_TYPE}
        state[place] = {**state[place], "metadata": {**metadata, "labels": kept}}
    namespace, name = place.rpartition(" ")[2].split("/")
    for made in [made for made in state if made.startswith(f"configmaps {namespace}/")]:
        data = state[made].get("data") or {}
        lines = data.get(labels.CONFIG_FILE, "").splitlines(keepends=True)
        kept_lines = "".join(line for line in lines if not line.startswith(f'    - {{"name": "{name}",'))
        state[made] = {**state[made], "data": {**data, labels.CONFIG_FILE: kept_lines}}


def _instance_of(pod: Obj) -> Place:
    meta = pod["metadata"]
    return f"{_INSTANCES} {meta['namespace']}/{(meta.get('labels') or {}).get(labels.ROLE_INSTANCE_NAME)}"


def _identity_only(state: State, place: Place) -> None:
    if place in state:
        metadata = {key: value for key, value in state[place]["metadata"].items() if key != "annotations"}
        metadata["labels"] = {key: value for key, value in metadata["labels"].items() if key in _IDENTITY}
        state[place] = {**state[place], "metadata": metadata}


def _without_status(state: State, place: Place, fields: frozenset[str]) -> None:
    if place in state and "status" in state[place]:
        status = {key: value for key, value in state[place]["status"].items() if key not in fields}
        state[place] = {**state[place], "status": status}


def _without_updated(group: Obj, roles: frozenset[str]) -> Obj:
    status = group.get("status") or {}
    counts = [
        {key: value for key, value in item.items() if key != "updatedReplicas" or item["name"] not in roles}
        for item in status.get("roleStatuses") or ()
    ]
    return {**group, "status": {**status, "roleStatuses": counts}}
