"""The instances a set makes: their names, labels and templates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from rbgctrl.api import labels, names
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import Key
from rbgctrl.api.portkeys import is_port_key
from rbgctrl.graph.nodes import SetNode
from rbgctrl.plan.conditions import stamp
from rbgctrl.plan.identity import instance_role_id
from rbgctrl.plan.model import Apply
from rbgctrl.plan.revision import Revision, owner_reference, short
from rbgctrl.plan.staleness import stamped

__all__ = ["Source", "fresh_ids", "newest", "recorded", "stateful_birth", "stateless_birth"]

_COPIED_ANNOTATIONS: Final = (
    labels.INSTANCE_GANG_SCHEDULING,
    labels.INPLACE_SCHEDULING,
    labels.INPLACE_SCHEDULING_GRANULARITY,
    labels.INPLACE_SCHEDULING_AVOID,
    labels.INPLACE_GRACE_SECONDS,
)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is made from.

    Attributes:
        revision: name of the ControllerRevision.
        template: spec of the instance, as JSON.
    """

    revision: str
    template: bytes


def newest(found: RoleInstanceSet, revision: Revision) -> Source:
    """The template of the set's spec."""
    assert found.spec is not None  # noqa: S101 - checked by the callers
    return Source(revision=revision.name, template=bytes(found.spec.role_instance_template))


def recorded(node: SetNode, revision: str) -> Source | None:
    """The template that a ControllerRevision keeps; None when there is none of that name or hash any more."""
    for item in node.revisions:
        if short(item.metadata.name) == short(revision):
            template = msgspec.json.decode(item.data).get("spec", {}).get("roleInstanceTemplate")
            if isinstance(template, dict):
                template.pop("$patch", None)
                return Source(revision=item.metadata.name, template=msgspec.json.encode(template))
    return None


def stateful_birth(found: RoleInstanceSet, ordinal: int, source: Source) -> Apply:
    """The instance of an ordinal. Its pods carry its ordinal, too; so every instance has a template of its own."""
    name = names.instance(found.metadata.name, ordinal)
    identity = {labels.ROLE_INSTANCE_INDEX: str(ordinal), labels.STATEFUL_POD_NAME: name}
    own = {
        **identity,
        labels.CONTROLLER_REVISION_HASH: source.revision,
        labels.ROLE_ID: instance_role_id(found, ordinal),
    }
    return _birth(found, name, source, own, identity, {})


def stateless_birth(found: RoleInstanceSet, instance_id: str, source: Source, now: datetime) -> Apply:
    """The instance of an id."""
    own = {
        labels.ROLE_INSTANCE_OWNER: found.uid,
        labels.ROLE_INSTANCE_ID: instance_id,
        labels.CONTROLLER_REVISION_HASH: short(source.revision),
        labels.INSTANCE_LIFECYCLE_STATE: labels.LIFECYCLE_NORMAL,
        labels.ROLE_ID: instance_role_id(found, instance_id),
    }
    name = names.stateless_instance(found.metadata.name, instance_id)
    return _birth(found, name, source, own, {}, {labels.INSTANCE_LIFECYCLE_TIMESTAMP: stamp(now)})


def fresh_ids(node: SetNode, revisions: Sequence[str]) -> tuple[str, ...]:
    """An id for a new instance at each of these revisions: not in use, nor used before as far as that is known.

    They follow from the set, the revision and a count, so a write that is repeated because nobody knows what became of
    it makes no second instance.
    """
    taken = {_id_of(item.instance) for item in node.instances} | node.spent
    found = []
    for revision in revisions:
        seeds = (names.instance_id(node.set.uid, short(revision), str(number)) for number in itertools.count())
        made = next(seed for seed in seeds if seed not in taken)
        taken.add(made)
        found.append(made)
    return tuple(found)


def _id_of(item: RoleInstance) -> str:
    return item.metadata.labels.get(labels.ROLE_INSTANCE_ID) or item.metadata.name.rpartition("-")[2]


def _birth(
    found: RoleInstanceSet,
    name: str,
    source: Source,
    own: Mapping[str, str],
    of_pods: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Apply:
    spec = msgspec.json.decode(source.template)
    declared: Sequence[dict[str, Any]] = spec.get("components") or ()
    selected = found.spec.selector.match_labels if found.spec is not None and found.spec.selector is not None else {}
    spec["components"] = [_labelled(component, selected, of_pods) for component in declared]
    components = frozenset(component.get("name", "") for component in declared)
    body = {
        "apiVersion": RoleInstance.KIND.api_version,
        "kind": RoleInstance.KIND.kind,
        "metadata": {
            "name": name,
            "namespace": found.key.namespace,
            "labels": {**found.metadata.labels, **selected, **own},
            "annotations": {**_copied(found, components), **annotations},
            "ownerReferences": [owner_reference(found)],
        },
        "spec": spec,
    }
    body = stamped(body, found.metadata)
    return Apply(kind=RoleInstance, key=Key(found.key.namespace, name), body=body, why="instances are missing")


def _labelled(component: dict[str, Any], selected: Mapping[str, str], identity: Mapping[str, str]) -> dict[str, Any]:
    """A component whose pods the set's selector finds and, in a stateful set, whose pods know their ordinal."""
    template = dict(component.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    labelled = {**selected, **(metadata.get("labels") or {}), **identity}
    if labelled:
        metadata["labels"] = labelled
        template["metadata"] = metadata
    return {**component, "template": template}


def _copied(found: RoleInstanceSet, components: frozenset[str]) -> dict[str, str]:
    """Annotations of the set that its instances are born with; ports of a component are ``<component>.<port>``."""
    return {
        key: value
        for key, value in found.metadata.annotations.items()
        if key in _COPIED_ANNOTATIONS or (is_port_key(key) and key.partition(".")[0] in components)
    }
