"""What is wrong with one role of a group. Pure; see ``validate.py`` for the whole group.

Each rule says how the planner takes a breach (errors stop the role) and how admission takes it in a new object, where
that is not the same: what upstream's admission accepts is accepted, with a warning, when it is merely incomplete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rbgctrl.api import events, intstr, labels, names, roles
from rbgctrl.api.componentchecks import component_findings
from rbgctrl.api.finding import Finding, Severity, shown
from rbgctrl.api.groups import LeaderWorkerPattern, RoleSpec, StandalonePattern
from rbgctrl.api.podshape import malformed
from rbgctrl.api.templates import TemplateError, base_template, leader_and_worker

__all__ = ["ROLLOUT_ALLOWS_NOTHING", "ROLLOUT_PARTITION", "RoleCheck", "containers"]

ROLLOUT_PARTITION: Final = "rollout-partition"
"""Rule: a partition leaves something to update. Scaling a role down can break it."""
ROLLOUT_ALLOWS_NOTHING: Final = "rollout-allows-nothing"
"""Rule: maxSurge and maxUnavailable are not both 0. Scaling a role down can break it, when they are percentages."""

_HASH_MAX = 10
_INT32 = 2**31
_UPDATE_TYPES = ("", "RecreatePod", "InPlaceIfPossible", "InPlaceOnly")
_PATTERNS = ("", labels.PATTERN_STATEFUL, labels.PATTERN_STATELESS)
_V1ALPHA1_KEYS: Final = {
    "template": "standalonePattern.template",
    "workload": f"the annotation {labels.ROLE_WORKLOAD_TYPE}",
    "leaderWorkerSet": "leaderWorkerPattern",
    "components": "customComponentsPattern.components",
    "restartPolicy": "restartPolicyConfig of the pattern",
}
_KEY_RULE = "is no key; write letters, digits, '-', '_' and '.', at most 63, after a domain and '/' if you like"
_NO_CONTAINERS = "is empty; a pod needs at least one container"


def containers(template: Any) -> list[Any]:
    """The regular containers of a pod template, ``[]`` when it has none; shared, never change them."""
    spec = template.get("spec") if isinstance(template, dict) else None
    found = spec.get("containers") if isinstance(spec, dict) else None
    return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCheck:
    """The rules for one role.

    Attributes:
        group: name of the group.
        templates: its role templates by name.
        role: the role.
        path: where it is, e.g. ``spec.roles[0]``.
    """

    group: str
    templates: Mapping[str, Mapping[str, Any]]
    role: RoleSpec
    path: str

    def _error(
        self, rule: str, field: str, value: Any, message: str, reason: str = events.INVALID_SPEC, *, taken: bool = False
    ) -> Finding:
        """An error; one that is ``taken`` is accepted by upstream's admission, so by ours with a warning."""
        return Finding(
            path=f"{self.path}{field}",
            value=value,
            message=message,
            role=self.role.name,
            reason=reason,
            rule=rule,
            admission=Severity.WARNING if taken else None,
        )

    def _warning(self, rule: str, field: str, value: Any, message: str, *, refused: bool = False) -> Finding:
        """A warning; one that is ``refused`` runs, but upstream's admission does not take it, nor does ours."""
        return Finding(
            path=f"{self.path}{field}",
            value=value,
            message=message,
            role=self.role.name,
            severity=Severity.WARNING,
            rule=rule,
            admission=Severity.ERROR if refused else None,
        )

    def all(self, known: frozenset[str], taken: dict[str, str]) -> Iterator[Finding]:
        """Everything wrong with the role.

        Args:
            known: names of all roles.
            taken: collects the names of workloads and Services, and their roles.
        """
        yield from self._naming(taken)
        yield from self._metadata()
        yield from self._dependencies(known)
        yield from self._workload()
        yield from self._pattern()
        yield from self._components()
        yield from self._rollout()
        yield from self._unknown()

    # Names ------------------------------------------------------------------------------------------------------------

    def _naming(self, taken: dict[str, str]) -> Iterator[Finding]:
        """Limits of everything named after the role."""
        name = self.role.name
        if len(name) > names.ROLE_NAME_MAX:
            message = (
                f"has {len(name)} characters; a role's name is part of a label key and may have {names.ROLE_NAME_MAX}"
            )
            yield self._error("role-name", ".name", name, message)
        elif not names.is_dns_label(name):
            yield self._error("role-name", ".name", name, "must be a DNS label: lower-case letters, digits, '-'")
        workload = names.workload(self.group, name)
        others = {text: taken.setdefault(text, name) for text in (workload, names.service(self.group, name))}
        for text, other in others.items():
            if other != name:
                message = f"the children of role {other} are called {text} too; rename one role"
                yield self._error("child-name-collision", ".name", name, message)
                break
        limit = names.LABEL_VALUE_MAX - 1 - _HASH_MAX
        if roles.is_stateful(self.role) and len(workload) > limit:
            message = (
                f"workload {workload} has {len(workload)} characters; "
                f"the names of its revisions are label values, so it may have {limit}"
            )
            yield self._error("child-name-length", ".name", name, message)
            return
        longest = max(self._pod_names(workload), key=len, default="")
        if len(longest) > names.NAME_MAX:
            message = f"pod {longest} would have {len(longest)} of at most {names.NAME_MAX} characters"
            yield self._error("child-name-length", ".name", name, message)

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

    def _metadata(self) -> Iterator[Finding]:
        """Labels and annotations that no object can carry; what is made of them would be refused, again and again."""
        yield from self._labels(".labels", self.role.labels)
        adapter = self.role.scaling_adapter
        if adapter is not None and adapter.enable:
            yield from self._labels(".scalingAdapter.labels", adapter.labels)
        for key in self.role.annotations:
            if not names.is_qualified_name(key.lower()):
                yield self._error("annotation", f".annotations[{key}]", key, _KEY_RULE)

    def _labels(self, field: str, found: Mapping[str, str]) -> Iterator[Finding]:
        for key, value in found.items():
            if not names.is_qualified_name(key):
                yield self._error("label", f"{field}[{key}]", key, _KEY_RULE)
            elif not names.is_label_value(value):
                message = "is no label value; write at most 63 letters, digits, '-', '_' and '.', or nothing"
                yield self._error("label", f"{field}[{key}]", value, message)

    # Relations --------------------------------------------------------------------------------------------------------

    def _dependencies(self, known: frozenset[str]) -> Iterator[Finding]:
        """Dependencies that are no roles."""
        for index, name in enumerate(self.role.dependencies):
            if name not in known:
                message = f"{name} is no role of this group; add the role or remove the dependency"
                yield self._error(
                    "dependency", f".dependencies[{index}]", name, message, events.INVALID_ROLE_DEPENDENCY
                )

    def _workload(self) -> Iterator[Finding]:
        """Annotations that choose what stands behind the role."""
        kind = roles.workload_type(self.role)
        if kind not in roles.SUPPORTED_WORKLOAD_TYPES:
            message = (
                f"unsupported workload type: {kind}; known are {', '.join(sorted(roles.SUPPORTED_WORKLOAD_TYPES))}"
            )
            yield self._error(
                "workload-type",
                f".annotations[{labels.ROLE_WORKLOAD_TYPE}]",
                kind,
                message,
                events.FAILED_RECONCILE_WORKLOAD,
                taken=True,
            )
        pattern = self.role.annotations.get(labels.INSTANCE_PATTERN, "")
        if pattern not in _PATTERNS:
            message = f"{pattern} is neither {labels.PATTERN_STATEFUL} nor {labels.PATTERN_STATELESS}"
            yield self._error(
                "instance-pattern",
                f".annotations[{labels.INSTANCE_PATTERN}]",
                pattern,
                message,
                events.UNKNOWN_INSTANCE_PATTERN,
            )

    # Pods -------------------------------------------------------------------------------------------------------------

    def _pattern(self) -> Iterator[Finding]:
        """The pattern, and where its pod template comes from."""
        role, pattern = self.role, roles.pattern(self.role)
        if pattern is None:
            message = "declares no pattern; add standalonePattern, leaderWorkerPattern or customComponentsPattern"
            yield self._error("no-pattern", "", None, message, events.FAILED_RECONCILE_WORKLOAD, taken=True)
            return
        if role.custom_components_pattern is not None and pattern is not roles.Pattern.CUSTOM:
            message = f"is ignored, because {pattern.value} is set too"
            yield self._warning("two-patterns", ".customComponentsPattern", None, message)
        source = role.standalone_pattern or role.leader_worker_pattern
        if source is not None:
            found = list(self._template(f".{pattern.value}", source))
            yield from found or self._merged(f".{pattern.value}", source)
        leader_worker = role.leader_worker_pattern
        if leader_worker is not None and leader_worker.size < 1:
            yield self._error("size", ".leaderWorkerPattern.size", leader_worker.size, "must be at least 1", taken=True)
        for field, restarting in (
            ("leaderWorkerPattern", leader_worker),
            ("customComponentsPattern", role.custom_components_pattern),
        ):
            config = restarting.restart_policy_config if restarting is not None else None
            if restarting is None or restarting.restart_policy is None or config is None or config.type is None:
                continue
            if config.type is not restarting.restart_policy:
                message = f"is ignored, because restartPolicyConfig.type says {config.type.value}; remove restartPolicy"
                value = restarting.restart_policy.value
                yield self._warning("restart-policy", f".{field}.restartPolicy", value, message)

    def _template(self, field: str, source: StandalonePattern | LeaderWorkerPattern) -> Iterator[Finding]:
        reference = source.template_ref
        if reference is None:
            if source.template is None:
                message = "has no template; set template or templateRef"
                reason = events.FAILED_RECONCILE_WORKLOAD
                yield self._error("no-template", field, None, message, reason, taken=True)
            elif not containers(source.template):
                place = f"{field}.template.spec.containers"
                yield self._error("no-containers", place, [], _NO_CONTAINERS, taken=True)
            return
        if reference.name not in self.templates:
            message = f"{reference.name} is no entry of spec.roleTemplates; add the entry or correct the name"
            yield self._error(
                "template-ref", f"{field}.templateRef.name", reference.name, message, events.INVALID_TEMPLATE_REF
            )
        if reference.patch is None:
            message = "is required; write {} to change nothing"
            place = f"{field}.templateRef.patch"
            yield self._error("no-patch", place, None, message, events.INVALID_TEMPLATE_REF, taken=True)
        if roles.workload_type(self.role) == labels.WORKLOAD_TYPE_LEADER_WORKER_SET:
            message = "is not supported for LeaderWorkerSet; write the template inline"
            yield self._error(
                "template-ref-workload",
                f"{field}.templateRef",
                reference.name,
                message,
                events.INVALID_TEMPLATE_REF,
            )

    def _merged(self, field: str, source: StandalonePattern | LeaderWorkerPattern) -> Iterator[Finding]:
        """Templates and patches that are all there and do not fit together."""
        try:
            if isinstance(source, LeaderWorkerPattern):
                leader_and_worker(self.templates, source)
            else:
                base_template(self.templates, source)
        except TemplateError as error:
            yield self._error("template", f"{field}.{error.where}", None, error.problem, error.reason, taken=True)

    def _components(self) -> Iterator[Finding]:
        """Custom components."""
        custom = self.role.custom_components_pattern
        if custom is None or roles.pattern(self.role) is not roles.Pattern.CUSTOM:
            return
        field = ".customComponentsPattern.components"
        if not custom.components:
            message = "is empty; an instance needs at least one component"
            yield self._error("no-components", field, [], message, taken=True)
        seen: set[str] = set()
        for index, component in enumerate(custom.components):
            place = f"{field}[{index}]"
            if not names.is_dns_label(component.name):
                message = "must be a DNS label: lower-case letters, digits, '-'"
                yield self._error("component-name", f"{place}.name", component.name, message)
            elif component.name in seen:
                message = "is the name of another component too; rename one"
                yield self._error("component-name", f"{place}.name", component.name, message)
            seen.add(component.name)
            if not containers(component.template):
                yield self._error("no-containers", f"{place}.template.spec.containers", [], _NO_CONTAINERS, taken=True)
            elif problem := malformed(component.template):
                yield self._error("template", f"{place}.template", None, problem, taken=True)
            if component.size is not None and component.size < 0:
                yield self._error("size", f"{place}.size", component.size, "must not be negative", taken=True)
        yield from component_findings(custom.components, f"{self.path}{field}", self.role.name)

    # Rollout ----------------------------------------------------------------------------------------------------------

    def _rollout(self) -> Iterator[Finding]:
        """Limits of the rolling update, resolved against the replicas."""
        update, replicas = roles.rolling_update(self.role), self.role.replicas
        field = ".rolloutStrategy.rollingUpdate"
        values = {"maxSurge": update.max_surge, "maxUnavailable": update.max_unavailable, "partition": update.partition}
        resolved = {name: _resolved(value, replicas) for name, value in values.items()}
        for name, number in resolved.items():
            if number is None:
                message = f"invalid value {_quoted(values[name])}; write a number or a percentage such as 25%"
                yield self._error("limit", f"{field}.{name}", values[name], message, taken=not replicas)
            elif number < 0:
                yield self._warning("negative-limit", f"{field}.{name}", values[name], "is negative and counts as 0")
        surge, unavailable, partition = resolved["maxSurge"], resolved["maxUnavailable"], resolved["partition"]
        if replicas > 0 and surge == 0 and unavailable == 0:
            message = "maxSurge and maxUnavailable cannot both be 0; write at least 1 for one of them"
            yield self._error(ROLLOUT_ALLOWS_NOTHING, field, None, message, events.FAILED_RECONCILE_WORKLOAD)
        elif replicas > 0 and surge == 0 and unavailable is not None and _floor(update.max_unavailable, replicas) == 0:
            message = f"is less than one of {replicas} replicas and maxSurge is 0; write at least 1 for one of them"
            place = f"{field}.maxUnavailable"
            yield self._warning(ROLLOUT_ALLOWS_NOTHING, place, update.max_unavailable, message, refused=True)
        if partition is not None and partition >= replicas > 0:
            message = f"leaves none of {replicas} replicas to update; it must be less than that"
            yield self._warning(ROLLOUT_PARTITION, f"{field}.partition", values["partition"], message, refused=True)
        if update.type not in _UPDATE_TYPES:
            message = f"{update.type} is unknown and read as InPlaceIfPossible"
            yield self._warning("update-type", f"{field}.type", update.type, message)

    # What nobody reads ------------------------------------------------------------------------------------------------

    def _unknown(self) -> Iterator[Finding]:
        """Keys that are kept and do nothing; those of v1alpha1 most of all."""
        for key in self.role.model_extra or ():
            instead = _V1ALPHA1_KEYS.get(key)
            message = (
                f"is a field of v1alpha1; use {instead}" if instead else "is no field of a role; check its spelling"
            )
            yield self._warning("unknown-field", f".{key}", None, f"{message}. It is stored and does nothing")


def _quoted(value: int | str) -> str:
    return shown(value) if isinstance(value, int) else repr(value)


def _resolved(value: int | str, total: int) -> int | None:
    """The number ``value`` stands for, percentages rounded up; None when it is neither, or has more than 32 bits."""
    try:
        number = intstr.ceil(value, total)
    except intstr.IntOrStringError:
        return None
    return number if isinstance(value, str) or -_INT32 <= number < _INT32 else None


def _floor(value: int | str, total: int) -> int:
    return intstr.floor(value, total)
