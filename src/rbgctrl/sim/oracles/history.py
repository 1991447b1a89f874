"""What must have been true at each moment of a history, beside what :mod:`rbgctrl.sim.checks` promises of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.sim.checks import Moment, Timeline
from rbgctrl.sim.checks.timeline import deleting
from rbgctrl.sim.oracles.verdict import verdict
from rbgctrl.sim.storage import ADDED, Obj, StoredEvent

__all__ = ["births"]

_GROUPS, _SETS, _INSTANCES = (kind.KIND.resource for kind in (RoleBasedGroup, RoleInstanceSet, RoleInstance))
_OWN: Final = (labels.ROLE_INSTANCE_INDEX, labels.STATEFUL_POD_NAME)


@dataclass(slots=True)
class _Past:
    """Versions of objects by uid, with the moments from which they held."""

    slack: float
    versions: dict[str, list[tuple[float, Obj]]] = field(default_factory=dict)
    uids: dict[tuple[str, Key], str] = field(default_factory=dict)

    def learn(self, moment: Moment) -> None:
        event = moment.event
        uid = event.obj["metadata"]["uid"]
        self.versions.setdefault(uid, []).append((moment.at, event.obj))
        self.uids[event.resource, event.key] = uid

    def recent(self, uid: str, at: float) -> list[Obj]:
        """Versions of the last ``slack`` seconds; nobody can know the latest at once."""
        history = self.versions.get(uid, [])
        before = [obj for moment, obj in history if moment < at - self.slack]
        return before[-1:] + [obj for moment, obj in history if moment >= at - self.slack]

    def called(self, resource: str, key: Key, at: float) -> list[Obj]:
        """The same of an object by name."""
        return self.recent(self.uids.get((resource, key), ""), at)


def births(timeline: Timeline, *, slack: float = 5.0) -> list[str]:
    """Violations of what must hold when a child comes into being, one sentence each.

    * A workload is created only for a group that can be carried out, and when the roles it depends on are ready.
    * An instance is made from its set's template, and a pod from its instance's, as it is then; or from an earlier one
      where a partition holds some back.

    Args:
        timeline: the history.
        slack: seconds a controller may take to learn of a change.
    """
    past, found = _Past(slack), list[str]()
    for moment in timeline.moments:
        past.learn(moment)
        check = _CHECKS.get(moment.event.resource)
        if check is not None and moment.event.type == ADDED and not deleting(moment.event):
            found += [f"{line} at {moment.at:.3f} s" for line in check(past, moment.event, moment.at)]
    return found


def _set(past: _Past, event: StoredEvent, at: float) -> Iterator[str]:
    groups = past.recent(_owner(event.obj), at)
    role = event.obj["metadata"]["labels"][labels.ROLE_NAME]
    # The last version that may have been acted on wins; the group may have become anything meanwhile.
    reasons = [_held_back(past, group, role, at) for group in groups]
    if all(reasons):
        yield f"set {event.key} was created although {reasons[-1] if reasons else 'there is no group'}"


def _held_back(past: _Past, group: Obj, role: str, at: float) -> str:
    judged = verdict(group)
    if judged.fault:
        return f"the group cannot be carried out: {judged.fault}"
    if role in judged.faults:
        return judged.faults[role]
    spec = next((item for item in group["spec"]["roles"] if item["name"] == role), None)
    if spec is None:
        return f"the group has no role {role}"
    meta = group["metadata"]
    for needed in spec.get("dependencies") or ():
        versions = past.called(_SETS, Key(meta["namespace"], names.workload(meta["name"], needed)), at)
        if not any(_ready(version) for version in versions):
            return f"{needed}, which {role} depends on, is not ready"
    return ""


def _ready(live: Obj) -> bool:
    status = live.get("status") or {}
    return bool(status.get("readyReplicas", 0) >= live["spec"].get("replicas", 1))


def _instance(past: _Past, event: StoredEvent, at: float) -> Iterator[str]:
    made = [_anonymous(component) for component in event.obj["spec"]["components"]]
    owner = _owner(event.obj)
    versions = past.recent(owner, at)
    if any(_held_back_ones(version) for version in versions):
        # What a rollout leaves where it is, comes back as it was.
        versions = [version for _, version in past.versions.get(owner, ())]
    templates = [version["spec"]["roleInstanceTemplate"] for version in versions]
    if made not in [[_anonymous(component) for component in item["components"]] for item in templates]:
        yield f"instance {event.key} was not made from its set's template"


def _held_back_ones(live: Obj) -> bool:
    return (live["spec"].get("updateStrategy") or {}).get("partition") not in (None, 0, "0%")


def _anonymous(component: Obj) -> dict[str, Any]:
    """A component without what tells its instance from the others."""
    template = component.get("template") or {}
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in _OWN}
    return {**component, "template": {**template, "metadata": metadata}}


def _pod(past: _Past, event: StoredEvent, at: float) -> Iterator[str]:
    versions = past.recent(_owner(event.obj), at)
    wanted = [_images(component["template"]) for item in versions for component in (item["spec"]["components"])]
    if versions and _images(event.obj) not in wanted:
        yield f"pod {event.key} was not made from its instance's template"


def _images(pod: Obj) -> list[tuple[str, str]]:
    return [(item["name"], item.get("image", "")) for item in pod["spec"]["containers"]]


def _owner(obj: Obj) -> str:
    return next((owner["uid"] for owner in obj["metadata"].get("ownerReferences") or () if owner.get("controller")), "")


_CHECKS: Final[dict[str, Callable[[_Past, StoredEvent, float], Iterator[str]]]] = {
    _SETS: _set,
    _INSTANCES: _instance,
    "pods": _pod,
}
