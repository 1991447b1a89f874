"""Taking control of what a RoleInstanceSet selects and nobody controls, and letting go of what it does not select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rbgctrl.api.core import ControllerRevision
from rbgctrl.api.instances import RoleInstance, RoleInstanceSet
from rbgctrl.api.meta import OwnerReference
from rbgctrl.api.selectors import matches
from rbgctrl.plan.model import Patch
from rbgctrl.plan.revision import owner_reference
from rbgctrl.plan.staleness import stamp_patch

__all__ = ["adopt", "adopt_revision", "release", "strayed"]


def strayed(found: RoleInstanceSet, item: RoleInstance) -> bool:
    """Whether the set does not select an instance of its any more; a set without selector keeps what it made."""
    selector = found.spec.selector if found.spec is not None else None
    if item.metadata.deleting or selector is None or not (selector.match_labels or selector.match_expressions):
        return False
    return not matches(selector, item.metadata.labels)


def adopt(found: RoleInstanceSet, item: RoleInstance) -> Patch:
    """Take control of an instance. Its stamp is renewed: the generations of another owner mean nothing."""
    return _claimed(found, item, stamp_patch(found.metadata))


def adopt_revision(found: RoleInstanceSet, item: ControllerRevision) -> Patch:
    """Take control of a revision that an earlier set of that name left behind."""
    return _claimed(found, item, {})


def release(found: RoleInstanceSet, item: RoleInstance) -> Patch:
    """Let go of an instance; it goes on without a controller."""
    return _owned_by(item, _others(found, item), {}, "the set does not select the instance any more")


def _claimed(found: RoleInstanceSet, item: RoleInstance | ControllerRevision, more: Mapping[str, Any]) -> Patch:
    why = "nobody controls what is the set's by its name"
    return _owned_by(item, [*_others(found, item), owner_reference(found)], more, why)


def _others(found: RoleInstanceSet, item: RoleInstance | ControllerRevision) -> list[dict[str, Any]]:
    return [_reference(owner) for owner in item.metadata.owner_references if owner.uid != found.uid]


def _reference(owner: OwnerReference) -> dict[str, Any]:
    told = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    flags = {"controller": owner.controller, "blockOwnerDeletion": owner.block_owner_deletion}
    return {**told, **{key: True for key, value in flags.items() if value}}


def _owned_by(
    item: RoleInstance | ControllerRevision, owners: list[dict[str, Any]], more: Mapping[str, Any], why: str
) -> Patch:
    """The list is replaced as a whole, so nothing may have changed since it was read."""
    metadata = {**more, "ownerReferences": owners, "resourceVersion": item.metadata.resource_version}
    return Patch(kind=type(item), key=item.key, uid=item.uid, body={"metadata": metadata}, why=why)
