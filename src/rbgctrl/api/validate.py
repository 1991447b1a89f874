"""What is wrong with an object, as values: nothing here raises, and nothing is decided about what happens next.

The schema and the models refuse malformed objects. What is left are rules that need more than one field, and limits
of the names that children will get.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rbgctrl.api import events, intstr, labels, names, roles
from rbgctrl.api.groups import LeaderWorkerPattern, RoleBasedGroup, RoleBasedGroupSpec, RoleSpec, StandalonePattern

__all__ = ["Finding", "Severity", "group_findings"]

_HASH_MAX = 10
_UPDATE_TYPES = ("", "RecreatePod", "InPlaceIfPossible", "InPlaceOnly")
_PATTERNS = ("", labels.PATTERN_STATEFUL, labels.PATTERN_STATELESS)


class Severity(StrEnum):
    """Whether a finding stops the role it is about."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: of the field, e.g. ``spec.roles[1].dependencies[0]``.
        value: what it holds.
        message: what is wrong with it and what would be right.
        severity: errors stop the role (or, without a role, the group); warnings do not.
        role: name of the role it is about, ``""`` for the whole group.
        reason: event reason that says the same to machines.
    """

    path: str
    value: Any
    message: str
    severity: Severity = Severity.ERROR
    role: str = ""
    reason: str = events.INVALID_SPEC

    @property
    def is_error(self) -> bool:
        """Whether it stops something."""
        return self.severity is Severity.ERROR

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def group_findings(group: RoleBasedGroup) -> tuple[Finding, ...]:
    """Everything wrong with a group that its own fields show, in order of the spec.

    Cycles among dependencies are not looked for; ordering the roles finds them.
    """
    return tuple(_group(group))


def _group(group: RoleBasedGroup) -> Iterator[Finding]:
    name, spec = group.metadata.name, group.spec
    if not names.is_dns_label(name):
        yield Finding(
            path="metadata.name", value=name, message="must be a DNS label: at most 63 lower-case letters, digits, '-'"
        )
    if spec is None:
        yield Finding(path="spec", value=None, message="is missing; a group needs at least one role")
        return
    yield from _role_templates(spec)
    taken: dict[str, str] = {}
    known = {role.name for role in spec.roles}
    for index, role in enumerate(spec.roles):
        check = _RoleCheck(group=name, spec=spec, role=role, path=f"spec.roles[{index}]")
        yield from check.naming(taken)
        yield from check.metadata()
        yield from check.dependencies(known)
        yield from check.workload()
        yield from check.pattern()
        yield from check.components()
        yield from check.rollout()


def _role_templates(spec: RoleBasedGroupSpec) -> Iterator[Finding]:
    for index, item in enumerate(spec.role_templates):
        if not _containers(item.template):
            yield Finding(
                path=f"spec.roleTemplates[{index}].template.spec.containers",
                value=[],
                message="is empty; a pod needs at least one container",
                reason=events.INVALID_ROLE_TEMPLATES,
            )


def _containers(template: Any) -> list[Any]:
    spec = template.get("spec") if isinstance(template, dict) else None
    found = spec.get("containers") if isinstance(spec, dict) else None
    return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleCheck:
    group: str
    spec: RoleBasedGroupSpec
    role: RoleSpec
    path: str

    def _error(self, field: str, value: Any, message: str, reason: str = events.INVALID_SPEC) -> Finding:
        return Finding(path=f"{self.path}{field}", value=value, message=message, role=self.role.name, reason=reason)

    def _warning(self, field: str, value: Any, message: str) -> Finding:
        return Finding(
            path=f"{self.path}{field}", value=value, message=message, role=self.role.name, severity=Severity.WARNING
        )

    # Names ------------------------------------------------------------------------------------------------------------

    def naming(self, taken: dict[str, str]) -> Iterator[Finding]:
        """Limits of everything named after the role; ``taken`` collects workload names and their roles."""
        name = self.role.name
        if len(name) > names.ROLE_NAME_MAX:
            message = (
                f"has {len(name)} characters; a role's name is part of a label key and may have {names.ROLE_NAME_MAX}"
            )
            yield self._error(".name", name, message)
        elif not names.is_dns_label(name):
            yield self._error(".name", name, "must be a DNS label: lower-case letters, digits, '-'")
        workload = names.workload(self.group, name)
        for text in (workload, names.service(self.group, name)):
            other = taken.setdefault(text, name)
            if other != name:
                yield self._error(".name", name, f"the children of role {other} are called {text} too; rename one role")
        limit = names.LABEL_VALUE_MAX - 1 - _HASH_MAX
        if roles.is_stateful(self.role) and len(workload) > limit:
            message = (
                f"workload {workload} has {len(workload)} characters; "
                f"the names of its revisions are label values, so it may have {limit}"
            )
            yield self._error(".name", name, message)
            return
        longest = max(self._pod_names(workload), key=len, default="")
        if len(longest) > names.NAME_MAX:
            yield self._error(
                ".name", name, f"pod {longest} would have {len(longest)} of at most {names.NAME_MAX} characters"
            )

    def _pod_names(self, workload: str) -> Iterator[str]:
        """The longest pod name of each component; surge instances count."""
        update = roles.rolling_update(self.role)
        last = max(self.role.replicas + (_resolved(update.max_surge, self.role.replicas) or 0) - 1, 0)
        stateful = roles.is_stateful(self.role)
        instance = names.instance(workload, last) if stateful else names.stateless_instance(workload, "x" * 5)
        for component, size in self._sizes():
            if size > 0:
                yield names.pod(instance, component, size - 1, roles.role_type(self.role))

    def _sizes(self) -> list[tuple[str, int]]:
        pattern = roles.pattern(self.role)
        if pattern is roles.Pattern.LEADER_WORKER and self.role.leader_worker_pattern is not None:
            workers = self.role.leader_worker_pattern.size - 1
            return [(labels.LEADER_COMPONENT, 1), (labels.WORKER_COMPONENT, workers)]
        if pattern is roles.Pattern.CUSTOM and self.role.custom_components_pattern is not None:
            components = self.role.custom_components_pattern.components
            return [(item.name, 1 if item.size is None else item.size) for item in components]
        return [(self.role.name, 1)]

    def metadata(self) -> Iterator[Finding]:
        """Labels and annotations that no object can carry; the workload would be refused, again and again."""
        key_rule = "is no key; write letters, digits, '-', '_' and '.', at most 63, after a domain and '/' if you like"
        for key, value in self.role.labels.items():
            if not names.is_qualified_name(key):
                yield self._error(f".labels[{key}]", key, key_rule)
            elif not names.is_label_value(value):
                message = "is no label value; write at most 63 letters, digits, '-', '_' and '.', or nothing"
                yield self._error(f".labels[{key}]", value, message)
        for key in self.role.annotations:
            if not names.is_qualified_name(key.lower()):
                yield self._error(f".annotations[{key}]", key, key_rule)

    # Relations --------------------------------------------------------------------------------------------------------

    def dependencies(self, known: set[str]) -> Iterator[Finding]:
        """Dependencies that are no roles."""
        for index, name in enumerate(self.role.dependencies):
            if name not in known:
                message = f"{name} is no role of this group; add the role or remove the dependency"
                yield self._error(f".dependencies[{index}]", name, message, events.INVALID_ROLE_DEPENDENCY)

    def workload(self) -> Iterator[Finding]:
        """Annotations that choose what stands behind the role."""
        kind = roles.workload_type(self.role)
        if kind not in roles.SUPPORTED_WORKLOAD_TYPES:
            message = (
                f"unsupported workload type: {kind}; known are {', '.join(sorted(roles.SUPPORTED_WORKLOAD_TYPES))}"
            )
            yield self._error(
                f".annotations[{labels.ROLE_WORKLOAD_TYPE}]", kind, message, events.FAILED_RECONCILE_WORKLOAD
            )
        pattern = self.role.annotations.get(labels.INSTANCE_PATTERN, "")
        if pattern not in _PATTERNS:
            message = f"{pattern} is neither {labels.PATTERN_STATEFUL} nor {labels.PATTERN_STATELESS}"
            yield self._error(
                f".annotations[{labels.INSTANCE_PATTERN}]", pattern, message, events.UNKNOWN_INSTANCE_PATTERN
            )

    # Pods -------------------------------------------------------------------------------------------------------------

    def pattern(self) -> Iterator[Finding]:
        """The pattern, and where its pod template comes from."""
        role, pattern = self.role, roles.pattern(self.role)
        if pattern is None:
            message = "declares no pattern; add standalonePattern, leaderWorkerPattern or customComponentsPattern"
            yield self._error("", None, message, events.FAILED_RECONCILE_WORKLOAD)
            return
        if role.custom_components_pattern is not None and pattern is not roles.Pattern.CUSTOM:
            yield self._warning(".customComponentsPattern", None, f"is ignored, because {pattern.value} is set too")
        source = role.standalone_pattern or role.leader_worker_pattern
        if source is not None:
            yield from self._template(f".{pattern.value}", source)
        if role.leader_worker_pattern is not None and role.leader_worker_pattern.size < 1:
            yield self._error(".leaderWorkerPattern.size", role.leader_worker_pattern.size, "must be at least 1")

    def _template(self, field: str, source: StandalonePattern | LeaderWorkerPattern) -> Iterator[Finding]:
        reference = source.template_ref
        if reference is None:
            if source.template is None:
                message = "has no template; set template or templateRef"
                yield self._error(field, None, message, events.FAILED_RECONCILE_WORKLOAD)
            elif not _containers(source.template):
                yield self._error(
                    f"{field}.template.spec.containers", [], "is empty; a pod needs at least one container"
                )
            return
        if self.spec.template(reference.name) is None:
            message = f"{reference.name} is no entry of spec.roleTemplates"
            yield self._error(f"{field}.templateRef.name", reference.name, message, events.INVALID_TEMPLATE_REF)
        if reference.patch is None:
            message = "is required; write {} to change nothing"
            yield self._error(f"{field}.templateRef.patch", None, message, events.INVALID_TEMPLATE_REF)
        if roles.workload_type(self.role) == labels.WORKLOAD_TYPE_LEADER_WORKER_SET:
            message = "is not supported for LeaderWorkerSet; write the template inline"
            yield self._error(f"{field}.templateRef", reference.name, message, events.INVALID_TEMPLATE_REF)

    def components(self) -> Iterator[Finding]:
        """Custom components."""
        custom = self.role.custom_components_pattern
        if custom is None or roles.pattern(self.role) is not roles.Pattern.CUSTOM:
            return
        field = ".customComponentsPattern.components"
        if not custom.components:
            yield self._error(field, [], "is empty; an instance needs at least one component")
        seen: set[str] = set()
        for index, component in enumerate(custom.components):
            if not names.is_dns_label(component.name):
                yield self._error(f"{field}[{index}].name", component.name, "must be a DNS label")
            elif component.name in seen:
                yield self._error(f"{field}[{index}].name", component.name, "is the name of another component too")
            seen.add(component.name)
            if not _containers(component.template):
                message = "is empty; a pod needs at least one container"
                yield self._error(f"{field}[{index}].template.spec.containers", [], message)
            if component.size is not None and component.size < 0:
                yield self._error(f"{field}[{index}].size", component.size, "must not be negative")

    # Rollout ----------------------------------------------------------------------------------------------------------

    def rollout(self) -> Iterator[Finding]:
        """Limits of the rolling update, resolved against the replicas."""
        update, replicas = roles.rolling_update(self.role), self.role.replicas
        field = ".rolloutStrategy.rollingUpdate"
        values = {"maxSurge": update.max_surge, "maxUnavailable": update.max_unavailable, "partition": update.partition}
        resolved = {name: _resolved(value, replicas) for name, value in values.items()}
        for name, number in resolved.items():
            if number is None:
                message = f"invalid value {values[name]!r}; write a number or a percentage such as 25%"
                yield self._error(f"{field}.{name}", values[name], message)
            elif number < 0:
                yield self._warning(f"{field}.{name}", values[name], "is negative and counts as 0")
        surge, unavailable, partition = resolved["maxSurge"], resolved["maxUnavailable"], resolved["partition"]
        if replicas > 0 and surge == 0 and unavailable == 0:
            message = "maxSurge and maxUnavailable cannot both be 0"
            yield self._error(field, None, message, events.FAILED_RECONCILE_WORKLOAD)
        if partition is not None and partition >= replicas > 0:
            yield self._warning(
                f"{field}.partition", values["partition"], f"leaves none of {replicas} replicas to update"
            )
        if update.type not in _UPDATE_TYPES:
            message = f"{update.type} is unknown and read as InPlaceIfPossible"
            yield self._warning(f"{field}.type", update.type, message)


def _resolved(value: int | str, total: int) -> int | None:
    """The number ``value`` stands for, percentages rounded up; None when it is neither."""
    try:
        return intstr.ceil(value, total)
    except intstr.IntOrStringError:
        return None
