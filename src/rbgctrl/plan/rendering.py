"""What follows from a group's spec alone: its revision, the hash of each role, the components of each workload.

A group is looked at many times between two changes of its spec, and this is what costs most, so it is remembered:
by identity, and only as long as the spec is equal to the one it was made from. Remembered or not, the answer is the
same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rbgctrl.api import canonical
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec

__all__ = ["Rendering", "rendering"]

T = TypeVar("T")

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a spec comes to.

    Attributes:
        spec: what it was made from.
        data: revision data of the group.
        digest: hash of that.
        hashes: role name to role hash.
    """

    spec: RoleBasedGroupSpec
    data: bytes
    digest: str
    hashes: Mapping[str, str]
    _made: dict[tuple[str, ...], tuple[object, Any]] = field(default_factory=dict)

    def once(self, key: tuple[str, ...], make: Callable[[], T], *, of: object = ()) -> T:
        """What ``make`` returns, made at the first call with ``key``; shared, so never change it.

        Args:
            key: names what is made.
            make: makes it of the spec and of ``of``.
            of: what it depends on besides the spec; a value other than last time's makes it anew.
        """
        found = self._made.get(key)
        if found is None or found[0] != of:
            found = self._made[key] = (of, make())
        made: T = found[1]
        return made


_known: OrderedDict[tuple[str, str, str], tuple[Rendering, RoleBasedGroupSpec]] = OrderedDict()
"""With the spec as it was last seen: a status that changes brings the same one as another object."""


def rendering(group: RoleBasedGroup) -> Rendering:
    """The rendering of a group that has a spec."""
    spec = group.spec
    assert spec is not None  # noqa: S101 - the caller's contract
    key = (group.uid, group.key.namespace, group.key.name)
    found, seen = _known.get(key, (None, None))
    if found is not None and seen is spec:
        return found
    if found is None or seen != spec:
        found = _render(spec)
    _known[key] = (found, spec)
    _known.move_to_end(key)
    if len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return found


def _render(spec: RoleBasedGroupSpec) -> Rendering:
    data = canonical.group_revision_data(spec)
    templates = {item.name: item.template for item in spec.role_templates}
    return Rendering(
        spec=spec,
        data=data,
        digest=canonical.group_hash(data),
        hashes={role.name: canonical.role_hash(role, templates) for role in spec.roles},
    )
