"""What admission says of an object that is about to be stored. Pure: what it must ask for is an argument.

A new object is refused for everything that can never run. An object that already has a fault is not refused for having
it still: nobody is locked out of a stored object, and a fault that is mended elsewhere first does not stand in the way.
Changes of metadata alone, and everything about an object that is being deleted, pass.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from rbgctrl.api import events, labels, names, roles
from rbgctrl.api.finding import Finding, Severity, shown
from rbgctrl.api.groups import RoleBasedGroup, RoleBasedGroupSpec, RoleSpec
from rbgctrl.api.meta import ObjectMeta
from rbgctrl.api.policies import CoordinatedPolicySpec
from rbgctrl.api.policychecks import policy_findings
from rbgctrl.api.rolechecks import ROLLOUT_ALLOWS_NOTHING, ROLLOUT_PARTITION
from rbgctrl.api.validate import group_findings

__all__ = ["KINDS", "AdmissionOptions", "Verdict", "review"]

M = TypeVar("M", bound=BaseModel)

Object: TypeAlias = Mapping[str, Any]
AdapterReplicas: TypeAlias = Callable[[str], int | None]
"""``spec.replicas`` of the scaling adapter of that name in the object's namespace; None when it has none."""

_SENTENCES_MAX: Final = 50
_SCHEMA: Final = "schema"
_DEPRECATED: Final = frozenset(
    (labels.WORKLOAD_TYPE_STATEFUL_SET, labels.WORKLOAD_TYPE_DEPLOYMENT, labels.WORKLOAD_TYPE_LEADER_WORKER_SET)
)
_BY_SCALING: Final = frozenset((ROLLOUT_PARTITION, ROLLOUT_ALLOWS_NOTHING))
"""Rules that scaling breaks, although nobody touched what they are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionOptions:
    """What the installation allows.

    Attributes:
        deprecated_workload_types: roles may be StatefulSets, Deployments and LeaderWorkerSets.
    """

    deprecated_workload_types: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of a review.

    Attributes:
        errors: why the object is refused; empty when it is accepted.
        warnings: what to tell whoever sent it.
    """

    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the object may be stored."""
        return not self.errors

    @property
    def message(self) -> str:
        """All errors in one line, the first 50 written out; ``""`` when there are none."""
        told = [finding.sentence for finding in self.errors[:_SENTENCES_MAX]]
        if rest := len(self.errors) - len(told):
            told.append(f"and {rest} more")
        return "; ".join(told)


def review(kind: str, new: Object, old: Object | None, options: AdmissionOptions, adapter: AdapterReplicas) -> Verdict:
    """Judge an object of the storage version. Never raises, whatever the object holds.

    Args:
        kind: e.g. ``RoleBasedGroup``; of others than ``KINDS`` everything is accepted.
        new: the object, as JSON values, to be created or to replace the old one.
        old: what is stored; None on creation.
        options: what the installation allows.
        adapter: tells how many replicas a scaling adapter wants; asked only about roles whose replicas change.
    """
    judge = KINDS.get(kind)
    if judge is None or _deleting(new):
        return Verdict()
    found = list(judge(_Subject(new, options)))
    if old is None:
        return _verdict(found)
    if _same(new.get("spec"), old.get("spec")):
        return _verdict(_softened(finding) for finding in found)
    known = _carried(found, judge(_Subject(old, options)))
    scaled = _Scaling(new, old)
    softened = [
        _softened(finding) if was or scaled.explains(finding) else finding
        for finding, was in zip(found, known, strict=True)
    ]
    if kind == RoleBasedGroup.KIND.kind:
        softened += _adapter_findings(new, old, adapter)
    return _verdict(softened)


def _verdict(findings: Iterable[Finding]) -> Verdict:
    found = tuple(findings)
    return Verdict(
        errors=tuple(finding for finding in found if finding.is_refused),
        warnings=tuple(finding for finding in found if not finding.is_refused),
    )


def _deleting(body: Object) -> bool:
    metadata = body.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("deletionTimestamp") is not None


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; what is nested too deeply to say counts as changed."""
    try:
        return bool(one == other)
    except RecursionError:
        return False


# Kinds ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Subject:
    body: Object
    options: AdmissionOptions

    @property
    def spec(self) -> Any:
        return self.body.get("spec")

    @property
    def metadata(self) -> ObjectMeta:
        """Name and annotations, as far as they are readable; a generated name is as long as it will be."""
        found = self.body.get("metadata")
        metadata = found if isinstance(found, Mapping) else {}
        name, prefix = metadata.get("name"), metadata.get("generateName")
        if not name and isinstance(prefix, str) and prefix:
            name = f"{prefix}{'x' * 5}"
        annotations = metadata.get("annotations")
        texts = {
            key: value
            for key, value in (annotations.items() if isinstance(annotations, Mapping) else ())
            if isinstance(key, str) and isinstance(value, str)
        }
        return ObjectMeta(name=name if isinstance(name, str) else "", annotations=texts)


def _group(subject: _Subject) -> Iterator[Finding]:
    spec, wrong = _decoded(RoleBasedGroupSpec, subject.spec, "spec")
    if wrong:
        yield from wrong
        return
    yield from group_findings(RoleBasedGroup(metadata=subject.metadata, spec=spec))
    yield from _deprecated(spec, "spec.roles", subject.options)


def _group_set(subject: _Subject) -> Iterator[Finding]:
    """The set itself, and its groups: judged as the one with the longest name."""
    body = subject.spec if isinstance(subject.spec, Mapping) else {}
    replicas = body.get("replicas")
    count = replicas if isinstance(replicas, int) and 0 <= replicas < 2**31 else 1
    if isinstance(replicas, int) and replicas < 0:
        yield Finding(
            path="spec.replicas",
            value=replicas,
            message="is negative and counts as 0",
            severity=Severity.WARNING,
            rule="negative-replicas",
        )
    template = body.get("groupTemplate")
    inner = template.get("spec") if isinstance(template, Mapping) else None
    path = "spec.groupTemplate.spec"
    if inner is None:
        return
    spec, wrong = _decoded(RoleBasedGroupSpec, inner, path)
    if wrong:
        yield from wrong
        return
    child = names.group_in_set(subject.metadata.name, max(count - 1, 0))
    group = RoleBasedGroup(metadata=ObjectMeta(name=child), spec=spec)
    for finding in group_findings(group):
        if finding.path == "metadata.name":
            message = f"names groups like {child}, which must be a DNS label: at most 63 of a-z, 0-9 and '-'"
            yield dataclasses.replace(finding, value=subject.metadata.name, message=message)
        else:
            yield dataclasses.replace(finding, path=f"{path}{finding.path.removeprefix('spec')}")
    yield from _deprecated(spec, f"{path}.roles", subject.options)


def _policy(subject: _Subject) -> Iterator[Finding]:
    spec, wrong = _decoded(CoordinatedPolicySpec, subject.spec, "spec")
    yield from wrong
    if spec is not None:
        yield from policy_findings(spec)


Judge: TypeAlias = Callable[[_Subject], Iterator[Finding]]
KINDS: Final[Mapping[str, Judge]] = {
    "RoleBasedGroup": _group,
    "RoleBasedGroupSet": _group_set,
    "CoordinatedPolicy": _policy,
}
"""Kinds with rules of their own, and who knows them."""


def _deprecated(spec: RoleBasedGroupSpec | None, path: str, options: AdmissionOptions) -> Iterator[Finding]:
    """Roles of workload types that this installation does not take."""
    if options.deprecated_workload_types or spec is None:
        return
    for index, role in enumerate(spec.roles):
        kind = roles.workload_type(role)
        if kind in _DEPRECATED:
            yield Finding(
                path=f"{path}[{index}].annotations[{labels.ROLE_WORKLOAD_TYPE}]",
                value=kind,
                message=(
                    f'role "{role.name}": workload type "{kind}" is deprecated and not enabled on this cluster; write '
                    f"{labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET} (v1alpha1 means StatefulSet where it says nothing)"
                ),
                role=role.name,
                rule="deprecated-workload-type",
            )


# Decoding -------------------------------------------------------------------------------------------------------------


def _decoded(model: type[M], value: Any, path: str) -> tuple[M | None, tuple[Finding, ...]]:
    """The spec, or why it is none; an absent one is None. The API server has mostly refused malformed ones before."""
    if value is None:
        return None, ()
    try:
        return model.model_validate(value), ()
    except ValidationError as error:
        return None, tuple(_malformed(error, path))
    except RecursionError:
        return None, (Finding(path=path, value=None, message="is nested too deeply to be read", rule=_SCHEMA),)


def _malformed(error: ValidationError, path: str) -> Iterator[Finding]:
    for item in error.errors(include_url=False, include_context=False):
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        yield Finding(path=f"{path}{place}", value=item["input"], message=message, rule=_SCHEMA)


# Against what is stored -----------------------------------------------------------------------------------------------

_INDEX: Final = re.compile(r"\[\d+\]")
_Identity: TypeAlias = tuple[str, str, str]


def _identity(finding: Finding) -> _Identity:
    """Rule and place. Items of lists move when others are added or removed, so only names say where."""
    return finding.rule, finding.role, _INDEX.sub("[]", finding.path)


def _carried(found: Iterable[Finding], before: Iterable[Finding]) -> list[bool]:
    """For each finding whether the stored object has the same fault.

    Faults of one identity are matched by value first, then by number: an object may keep as many as it had.
    """
    listed = list(found)
    exact = Counter((_identity(item), shown(item.value)) for item in before)
    known = []
    for item in listed:
        key = (_identity(item), shown(item.value))
        known.append(exact[key] > 0)
        exact[key] -= known[-1]
    left: Counter[_Identity] = Counter()
    for (identity, _), count in exact.items():
        left[identity] += count
    for index, item in enumerate(listed):
        identity = _identity(item)
        if not known[index] and left[identity] > 0:
            known[index] = True
            left[identity] -= 1
    return known


def _softened(finding: Finding) -> Finding:
    return dataclasses.replace(finding, admission=Severity.WARNING) if finding.is_refused else finding


class _Scaling:
    """What only scaling brought about. Autoscalers must not get stuck where the role runs nevertheless."""

    def __init__(self, new: Object, old: Object) -> None:
        self._new, self._old = _raw_roles(new), _raw_roles(old)

    def explains(self, finding: Finding) -> bool:
        """Whether the finding is about a rollout strategy that nobody touched."""
        if finding.rule not in _BY_SCALING or finding.is_error:
            return False
        one, other = self._new.get(finding.role), self._old.get(finding.role)
        if one is None or other is None:
            return False
        return _same(one.get("rolloutStrategy"), other.get("rolloutStrategy"))


def _raw_roles(body: Object) -> dict[str, Object]:
    """The roles of a group, or of the groups of a set, by name."""
    spec: Any = body.get("spec")
    template = spec.get("groupTemplate") if isinstance(spec, Mapping) else None
    if isinstance(template, Mapping):
        spec = template.get("spec")
    listed = spec.get("roles") if isinstance(spec, Mapping) else None
    found = (role for role in (listed if isinstance(listed, list) else ()) if isinstance(role, Mapping))
    return {role["name"]: role for role in found if isinstance(role.get("name"), str)}


def _adapter_findings(new: Object, old: Object, adapter: AdapterReplicas) -> Iterator[Finding]:
    """Replicas that a scaling adapter decides about, changed to something else."""
    options = AdmissionOptions()
    spec, _ = _decoded(RoleBasedGroupSpec, new.get("spec"), "spec")
    stored, _ = _decoded(RoleBasedGroupSpec, old.get("spec"), "spec")
    if spec is None or stored is None:
        return
    group = _Subject(new, options).metadata.name
    before: dict[str, RoleSpec] = {role.name: role for role in stored.roles}
    for index, role in enumerate(spec.roles):
        was = before.get(role.name)
        scaled = role.scaling_adapter is not None and role.scaling_adapter.enable
        if was is None or not scaled or was.replicas == role.replicas:
            continue
        name = names.adapter(group, role.name)
        wanted = adapter(name)
        if wanted is not None and wanted != role.replicas:
            yield Finding(
                path=f"spec.roles[{index}].replicas",
                value=role.replicas,
                message=(
                    f'role "{role.name}" cannot be changed to {role.replicas} while scalingAdapter.enable is true and '
                    f'ScalingAdapter "{name}" has spec.replicas {wanted}; scale the adapter, or disable it'
                ),
                role=role.name,
                reason=events.REPLICAS_OVERRIDDEN,
                rule="adapter-replicas",
            )
