"""What is wrong with a group, as values: nothing here raises, and nothing is decided about what happens next.

The schema and the models refuse malformed objects. What is left are rules that need more than one field, and limits
of the names that children will get. Planners and admission share them; each takes the severity that is meant for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rbgctrl.api import events, labels, names
from rbgctrl.api.finding import Finding, Severity
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec
from rbgctrl.api.ordering import order
from rbgctrl.api.rolechecks import RoleCheck, containers

__all__ = ["Finding", "Severity", "group_findings"]

_TRUE = "true"


def group_findings(group: RoleBasedGroup) -> tuple[Finding, ...]:
    """Everything wrong with a group that its own fields show, in order of the spec."""
    return tuple(_group(group))


def _group(group: RoleBasedGroup) -> Iterator[Finding]:
    name, spec = group.metadata.name, group.spec
    if not names.is_dns_label(name):
        yield Finding(
            path="metadata.name",
            value=name,
            message="must be a DNS label: at most 63 lower-case letters, digits, '-'",
            rule="name",
        )
    yield from _gang(group)
    if spec is None:
        message = "is missing; a group needs at least one role"
        yield Finding(path="spec", value=None, message=message, rule="no-spec", admission=Severity.WARNING)
        return
    yield from _role_templates(spec)
    yield from _cycle(spec)
    taken: dict[str, str] = {}
    known = frozenset(role.name for role in spec.roles)
    templates = {item.name: item.template for item in spec.role_templates}
    for index, role in enumerate(spec.roles):
        check = RoleCheck(group=name, templates=templates, role=role, path=f"spec.roles[{index}]")
        yield from check.all(known, taken)


def _gang(group: RoleBasedGroup) -> Iterator[Finding]:
    """Two ways of gang scheduling that exclude each other."""
    found = group.metadata.annotations
    if found.get(labels.GROUP_GANG_SCHEDULING) == found.get(labels.INSTANCE_GANG_SCHEDULING) == _TRUE:
        yield Finding(
            path=f"metadata.annotations[{labels.INSTANCE_GANG_SCHEDULING}]",
            value=_TRUE,
            message=f"cannot be true together with {labels.GROUP_GANG_SCHEDULING}; remove one of the two",
            reason=events.INVALID_GANG_ANNOTATIONS,
            rule="gang-conflict",
        )


def _role_templates(spec: RoleBasedGroupSpec) -> Iterator[Finding]:
    for index, item in enumerate(spec.role_templates):
        if not containers(item.template):
            yield Finding(
                path=f"spec.roleTemplates[{index}].template.spec.containers",
                value=[],
                message="is empty; a pod needs at least one container",
                reason=events.INVALID_ROLE_TEMPLATES,
                rule="role-template",
            )


def _cycle(spec: RoleBasedGroupSpec) -> Iterator[Finding]:
    """Roles that wait for each other; unknown dependencies are another rule's."""
    places = {role.name: index for index, role in enumerate(spec.roles)}
    found = order({role.name: [name for name in role.dependencies if name in places] for role in spec.roles})
    if found.cycle:
        first, second = found.cycle[:2]
        index = spec.roles[places[first]].dependencies.index(second)
        yield Finding(
            path=f"spec.roles[{places[first]}].dependencies[{index}]",
            value=second,
            message=found.fault,
            reason=events.INVALID_ROLE_DEPENDENCY,
            rule="dependency-cycle",
        )
