"""Which revision an object is at, whether a new one must be recorded, and which old ones may go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from rbgctrl.api import canonical, labels, names
from rbgctrl.api.core import ControllerRevision
from rbgctrl.api.instances import InstanceComponent
from rbgctrl.api.meta import Key, Resource
from rbgctrl.plan.model import Action, Create, Delete, Patch

__all__ = ["Revision", "expired", "instance_data", "owner_reference", "record", "record_group", "set_data", "short"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The revision that matches the current spec.

    Attributes:
        name: of its ControllerRevision.
        hash: short hash, the text after the name's last ``-``.
        number: ``revision`` field, from 1.
        actions: what must be written so that it is the newest one recorded; empty when it already is.
        collisions: collision count to store in the owner's status.
    """

    name: str
    hash: str
    number: int
    actions: tuple[Action, ...] = ()
    collisions: int = 0


def set_data(template: msgspec.Raw) -> bytes:
    """What a RoleInstanceSet's revision captures, from its ``roleInstanceTemplate`` as stored."""
    return _set_data(bytes(template))


def instance_data(components: tuple[InstanceComponent, ...]) -> bytes:
    """What a RoleInstance's revision captures, from its components."""
    return _instance_data(msgspec.json.encode(components))


# Every pass compares revisions, and few passes follow a changed spec; keyed by content, so never stale. When many
# groups start at once each of their instances is looked at a few times in turn: a cache for fewer would never be hit.
@lru_cache(maxsize=4096)
def _set_data(template: bytes) -> bytes:
    return canonical.set_revision_data(msgspec.json.decode(template))


@lru_cache(maxsize=16384)
def _instance_data(components: bytes) -> bytes:
    return canonical.instance_revision_data(msgspec.json.decode(components))


def owner_reference(owner: Resource, *, controller: bool = True) -> dict[str, Any]:
    """An ``ownerReferences`` entry that blocks the owner's foreground deletion."""
    kind = owner.KIND
    reference: dict[str, Any] = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner.metadata.name,
        "uid": owner.uid,
    }
    if controller:
        reference["controller"] = True
    reference["blockOwnerDeletion"] = True
    return reference


def record(
    *,
    namespace: str,
    owner: Mapping[str, Any],
    data: bytes,
    revisions: Sequence[ControllerRevision],
    name_of: Callable[[int], tuple[str, str]],
    labels_of: Callable[[str], Mapping[str, str]],
    collisions: int = 0,
) -> Revision:
    """Find the revision whose data equals ``data`` or plan to create it.

    An equal older revision is renumbered to be the newest instead of being stored twice. A different revision that
    already holds the wanted name raises the collision count, as StatefulSets do.

    Args:
        namespace: of the owner.
        owner: controller reference to put on a new revision.
        data: canonical JSON of what the revision captures.
        revisions: those the owner has, in any order.
        name_of: collision count to (name, short hash).
        labels_of: short hash to the labels of a new revision.
        collisions: collision count so far.
    """
    newest = max((revision.revision for revision in revisions), default=0)
    for revision in sorted(revisions, key=lambda item: item.revision, reverse=True):
        if not _equal(revision, data):
            continue
        name = revision.metadata.name
        if revision.revision == newest:
            return Revision(name=name, hash=short(name), number=newest, collisions=collisions)
        renumber = Patch(
            kind=ControllerRevision,
            key=revision.key,
            uid=revision.uid,
            body={"revision": newest + 1},
            why="an earlier revision is current again",
        )
        return Revision(name=name, hash=short(name), number=newest + 1, actions=(renumber,), collisions=collisions)
    taken = {revision.metadata.name for revision in revisions}
    name, digest = name_of(collisions)
    while name in taken:
        collisions += 1
        name, digest = name_of(collisions)
    create = _create(Key(namespace, name), owner, labels_of(digest), data, newest + 1)
    return Revision(name=name, hash=digest, number=newest + 1, actions=(create,), collisions=collisions)


def record_group(
    *,
    namespace: str,
    group: str,
    owner: Mapping[str, Any],
    data: bytes,
    digest: str,
    revisions: Sequence[ControllerRevision],
) -> Revision:
    """The revision of a group: only the newest one is compared, so a return to an older spec is a new revision.

    Args:
        namespace: of the group.
        group: its name.
        owner: controller reference to put on a new revision.
        data: canonical JSON of roles and role templates.
        digest: its hash.
        revisions: those the group has, in any order.
    """
    newest = max(revisions, key=lambda item: item.revision, default=None)
    if newest is not None and _equal(newest, data):
        return Revision(name=newest.metadata.name, hash=digest, number=newest.revision)
    number = newest.revision + 1 if newest is not None else 1
    name = names.group_revision(group, digest, number)
    create = _create(
        Key(namespace, name), owner, {labels.GROUP_NAME: group, labels.GROUP_REVISION: digest}, data, number
    )
    return Revision(name=name, hash=digest, number=number, actions=(create,))


def _equal(revision: ControllerRevision, data: bytes) -> bool:
    return bytes(revision.data) == data or msgspec.json.decode(revision.data) == msgspec.json.decode(data)


def _create(key: Key, owner: Mapping[str, Any], stamped: Mapping[str, str], data: bytes, number: int) -> Create:
    body = {
        "apiVersion": ControllerRevision.KIND.api_version,
        "kind": ControllerRevision.KIND.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": dict(stamped),
            "ownerReferences": [dict(owner)],
        },
        "data": msgspec.Raw(data),
        "revision": number,
    }
    return Create(
        kind=ControllerRevision,
        key=key,
        body=body,
        owner_uid=str(owner["uid"]),
        why="the spec has a revision that is not recorded yet",
    )


def short(name: str) -> str:
    """The hash at the end of a revision's name."""
    return name.rpartition("-")[2]


def expired(revisions: Sequence[ControllerRevision], live: Collection[str], limit: int) -> tuple[Delete, ...]:
    """Revisions beyond ``limit`` that nothing refers to, oldest first; ``live`` names those in use."""
    spare = sorted((item for item in revisions if item.metadata.name not in live), key=lambda item: item.revision)
    return tuple(
        Delete(kind=ControllerRevision, key=item.key, uid=item.uid, why="beyond the revision history limit")
        for item in spare[: max(len(spare) - limit, 0)]
        if not item.metadata.deleting
    )
