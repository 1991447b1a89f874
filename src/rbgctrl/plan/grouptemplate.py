"""What the template of a group set makes of each of its groups, and whether a group is that already.

A group is written to by others, too: its own controller, scaling adapters, people. So only what the template says is
compared and applied. What the template no longer says goes away because it is ours: the hash on the group tells that
the template was another one.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import labels, names
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec
from rbgctrl.api.groupsets import GroupTemplate, RoleBasedGroupSet
from rbgctrl.plan.compare import contains
from rbgctrl.plan.model import Apply
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.staleness import stamped

__all__ = ["Rendered", "apply_group", "rendered"]

_REMEMBERED: Final = 4096
_LISTS: Final = ("roles", "roleTemplates")
_MODE: Final = ("metadata", "annotations", labels.DISCOVERY_MODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a template comes to.

    Attributes:
        template: what it was made from.
        spec: of the groups, as JSON values; shared, so never change it.
        scaled: roles whose replicas scaling adapters decide about.
        hash: of everything in it but those replicas.
    """

    template: GroupTemplate
    spec: Mapping[str, Any]
    scaled: frozenset[str]
    hash: str


# A set is looked at whenever one of its groups changes, and turning models into JSON values is what costs. Remembered
# by identity, so that the answer is always the one that would be computed.
_known: OrderedDict[str, Rendered] = OrderedDict()
_judged: OrderedDict[tuple[str, str], tuple[RoleBasedGroupSpec | None, bool, bool]] = OrderedDict()


def rendered(found: RoleBasedGroupSet) -> Rendered:
    """The rendering of a set that has a template."""
    assert found.spec is not None  # noqa: S101 - the caller's contract
    template = found.spec.group_template
    known = _known.get(found.uid)
    if known is None or known.template is not template:
        known = _known[found.uid] = _render(template)
    _trim(_known, found.uid)
    return known


def _trim(memory: OrderedDict[Any, Any], used: Any) -> None:
    memory.move_to_end(used)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)


def _render(template: GroupTemplate) -> Rendered:
    declared = template.spec.roles if template.spec is not None else ()
    scaled = frozenset(
        role.name for role in declared if role.scaling_adapter is not None and role.scaling_adapter.enable
    )
    spec = template.spec.wire() if template.spec is not None else {}
    hashed = {
        "labels": template.labels,
        "annotations": template.annotations,
        **{name: [entry for _, entry in sorted(_by_name(spec, name, scaled).items())] for name in _LISTS},
    }
    text = json.dumps(hashed, sort_keys=True)
    return Rendered(template=template, spec=spec, scaled=scaled, hash=hashlib.sha256(text.encode()).hexdigest()[:16])


def _by_name(spec: Mapping[str, Any], name: str, scaled: frozenset[str]) -> dict[str, dict[str, Any]]:
    """The entries of one of the lists, without the replicas that adapters decide about."""
    return {
        entry["name"]: {
            key: value
            for key, value in entry.items()
            if name != "roles" or key != "replicas" or entry["name"] not in scaled
        }
        for entry in spec.get(name) or ()
    }


# A group against its template -----------------------------------------------------------------------------------------


def apply_group(found: RoleBasedGroupSet, index: int, live: RoleBasedGroup | None) -> Apply | None:
    """The apply that makes a group what its set's template says, or None when it already is.

    Args:
        found: the set.
        index: of the group.
        live: the group, None while there is none.
    """
    made = rendered(found)
    key = found.key._replace(name=names.group_in_set(found.key.name, index))
    template = made.template
    carried = {**template.labels, labels.GROUPSET_NAME: found.key.name, labels.GROUPSET_INDEX: str(index)}
    if live is not None and _same(made, live, carried):
        return None
    body = {
        "apiVersion": RoleBasedGroup.KIND.api_version,
        "kind": RoleBasedGroup.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": carried,
            "annotations": {**template.annotations, labels.GROUPSET_TEMPLATE: made.hash},
            "ownerReferences": [owner_reference(found)],
        },
        "spec": _spec(made, live),
    }
    body = stamped(body, found.metadata)
    if live is None:
        return Apply(
            kind=RoleBasedGroup, key=key, body=body, manager=labels.GROUPSET_MANAGER, why="the set lacks a group"
        )
    # With its version: replicas that an adapter has changed meanwhile must not be set back.
    return Apply(
        kind=RoleBasedGroup,
        key=key,
        body=body,
        uid=live.uid,
        version=live.metadata.resource_version,
        inherit=_foreign_made(live),
        leave=(_MODE,),
        manager=labels.GROUPSET_MANAGER,
        why="a group differs from the template",
    )


def _spec(made: Rendered, live: RoleBasedGroup | None) -> dict[str, Any]:
    """The spec to apply. Replicas of a scaled role are those it has: left out, they would fall back to the default."""
    if live is None or live.spec is None or not made.scaled:
        return dict(made.spec)
    present = {role.name: role.replicas for role in live.spec.roles if role.name in made.scaled}
    return {
        **made.spec,
        "roles": [
            {**role, "replicas": present[role["name"]]} if role["name"] in present else role
            for role in made.spec["roles"]
        ],
    }


def _foreign_made(live: RoleBasedGroup) -> bool:
    """Whether the reference controller made it and we have never written it."""
    return labels.GROUPSET_TEMPLATE not in live.metadata.annotations


def _same(made: Rendered, live: RoleBasedGroup, carried: Mapping[str, str]) -> bool:
    """Whether applying would change nothing that matters.

    A group that we have never written has nothing that tells what was taken out of the template since; so it must be
    equal, but for what others are known to write there.
    """
    holds, equal = _judge(made, live)
    wanted = made.template.annotations
    own = live.metadata.annotations
    if _foreign_made(live):
        extra = {key for key in own.keys() - wanted.keys() if not _somebody_elses(key)}
        return equal and live.metadata.labels == carried and not extra and wanted.items() <= own.items()
    return (
        own[labels.GROUPSET_TEMPLATE] == made.hash
        and holds
        and carried.items() <= live.metadata.labels.items()
        and wanted.items() <= own.items()
    )


def _somebody_elses(annotation: str) -> bool:
    return annotation == labels.DISCOVERY_MODE or annotation.startswith(labels.PREFIX_OURS)


def _judge(made: Rendered, live: RoleBasedGroup) -> tuple[bool, bool]:
    """Whether the spec of a group holds all that the template says, and whether that is all it holds."""
    key = (live.uid, made.hash)
    known = _judged.get(key)
    if known is None or known[0] is not live.spec:
        spec = live.spec.wire() if live.spec is not None else {}
        pairs = [(_by_name(made.spec, name, made.scaled), _by_name(spec, name, made.scaled)) for name in _LISTS]
        holds = all(_held(wanted.items(), found) for wanted, found in pairs)
        equal = holds and all(_held(found.items(), wanted) for wanted, found in pairs)
        known = _judged[key] = (live.spec, holds, equal)
    _trim(_judged, key)
    return known[1], known[2]


def _held(wanted: Iterable[tuple[str, Any]], found: Mapping[str, Any]) -> bool:
    return all(name in found and contains(entry, found[name]) for name, entry in wanted)
