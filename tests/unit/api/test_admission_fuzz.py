"""No object makes admission fail, and what it accepts a planner does not reject."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from hack.fuzz.manifests import one
from rbgctrl.api import labels
from rbgctrl.api.admission import KINDS, AdmissionOptions, review
from rbgctrl.api.groups import RoleBasedGroup
from rbgctrl.api.hooks import dec_hook
from rbgctrl.cli.validate.checks import check
from rbgctrl.cli.validate.report import Source
from rbgctrl.crds import documents
from rbgctrl.graph.nodes import GroupNode, RoleNode
from rbgctrl.plan.group import group as plan_group
from rbgctrl.sim.crds import rows_of
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.mutation.groups import groups, pod_templates
from rbgctrl.sim.mutation.schemas import from_crd, spoiled
from rbgctrl.sim.schema import Found, admit

Obj = dict[str, Any]
_SLOW = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = st.sampled_from(("a", "b", "c", "r" * 48, "R", "r" * 60))
_LIMITS = st.sampled_from((0, 1, 3, -1, "0%", "10%", "100%", "x", "5", "9" * 5000 + "%", 2**31, 2**62))
_WORKLOADS = st.sampled_from(
    ("", "Job", labels.WORKLOAD_TYPE_ROLE_INSTANCE_SET, labels.WORKLOAD_TYPE_LEADER_WORKER_SET)
)
_ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        labels.ROLE_WORKLOAD_TYPE: _WORKLOADS,
        labels.INSTANCE_PATTERN: st.sampled_from(("Stateful", "Stateless", "Odd")),
        "no key!": st.just(""),
    },
)
_TEMPLATE = pod_templates()
_ROLE = "spec.roles[]"
_UPDATE = f"{_ROLE}.rolloutStrategy.rollingUpdate"
_OVERRIDES: dict[str, st.SearchStrategy[Any]] = {
    f"{_ROLE}.name": _NAMES,
    f"{_ROLE}.replicas": st.integers(0, 5),
    f"{_ROLE}.annotations": _ANNOTATIONS,
    f"{_ROLE}.dependencies": st.lists(_NAMES, max_size=2),
    f"{_UPDATE}.partition": _LIMITS,
    f"{_UPDATE}.maxSurge": _LIMITS,
    f"{_UPDATE}.maxUnavailable": _LIMITS,
    f"{_ROLE}.standalonePattern.template": _TEMPLATE,
    f"{_ROLE}.leaderWorkerPattern.template": _TEMPLATE,
    f"{_ROLE}.engineRuntimes": st.just([]),
    "spec.roleTemplates[].template": _TEMPLATE,
}


@cache
def _crd(kind: str) -> Obj:
    return next(crd for crd in documents() if crd["spec"]["names"]["kind"] == kind)


@cache
def _row(kind: str) -> Row:
    return next(row for row in rows_of(_crd(kind)) if row.kind.version == "v1alpha2")


@cache
def _drawn(kind: str) -> st.SearchStrategy[Obj]:
    overrides = {
        **_OVERRIDES,
        **{place.replace("spec.", "spec.groupTemplate.spec.", 1): drawn for place, drawn in _OVERRIDES.items()},
    }
    metadata = st.fixed_dictionaries({"name": st.sampled_from(("g", "a.b", "g" * 40))})
    drawn = from_crd(_crd(kind), overrides=overrides, most=2)
    return st.builds(lambda body, found: {**body, "metadata": found}, drawn, metadata)


_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((2**31, 2**63))
    | st.sampled_from((1, -1)).map(lambda sign: sign * 10**6000)  # which Python refuses to write out
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(("\ud800", "spec", "roles", "9" * 6000 + "%")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("spec", "roles", "name", "metadata", "groupTemplate", "policies")), inner)
    ),
    max_leaves=12,
)


def _review(kind: str, new: Obj, old: Obj | None = None) -> Any:
    verdict = review(kind, new, old, AdmissionOptions(deprecated_workload_types=False), lambda _: 1)
    for finding in (*verdict.errors, *verdict.warnings):
        assert finding.sentence
        assert finding.path
        assert finding.rule
    assert bool(verdict.message) is not verdict.allowed
    return verdict


@pytest.mark.parametrize("kind", KINDS)
@_SLOW
@given(data=st.data())
def test_whatever_a_schema_allows_or_almost_allows_is_judged(kind: str, data: st.DataObject) -> None:
    drawn = _drawn(kind)
    old = data.draw(drawn)
    new = data.draw(spoiled(st.just(old)) if data.draw(st.booleans()) else drawn)
    _review(kind, old)
    _review(kind, new)
    _review(kind, new, old)
    assert _review(kind, old, old).allowed


@pytest.mark.parametrize("kind", KINDS)
@_SLOW
@given(new=st.dictionaries(st.text(max_size=3), _ANYTHING, max_size=2), spec=_ANYTHING, old=_ANYTHING)
def test_whatever_is_no_object_of_ours_at_all_is_judged(kind: str, new: Obj, spec: Any, old: Any) -> None:
    _review(kind, {**new, "spec": spec})
    _review(kind, {**new, "spec": spec}, {**new, "spec": old})


@pytest.mark.parametrize("kind", KINDS)
def test_deep_nesting_is_judged(kind: str) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    deeper: Any = {}
    for _ in range(100_000):
        deeper = {"spec": deeper}
    role = {"name": "a", "standalonePattern": {"template": {"spec": {"containers": [{"name": "c"}], "x": deep}}}}
    for spec in (deep, deeper, {"roles": deep}, {"roles": [role]}, {"groupTemplate": {"spec": {"roles": [role]}}}):
        body = {"metadata": {"name": "g"}, "spec": spec}
        _review(kind, body)
        _review(kind, body, {"metadata": {"name": "g"}, "spec": {"roles": [{"name": "a"}]}})
        assert _review(kind, body, body).allowed


@_SLOW
@given(body=_drawn("RoleBasedGroup") | groups() | spoiled(groups()))
def test_a_planner_rejects_nothing_that_is_accepted_without_a_warning(body: Obj) -> None:
    found = Found()
    drawn = body.get("metadata")
    name = drawn.get("name") if isinstance(drawn, dict) else None
    metadata = {"name": name if isinstance(name, str) else "g", "namespace": "default", "uid": "u", "generation": 1}
    stored = admit(_row("RoleBasedGroup").schema, {**body, "metadata": metadata}, found)
    verdict = review("RoleBasedGroup", stored, None, AdmissionOptions(), lambda _: None)
    if found.causes or not verdict.allowed:
        event("refused")
        return
    event("accepted with warnings" if verdict.warnings else "accepted")
    decoded = msgspec.convert(stored, RoleBasedGroup, dec_hook=dec_hook)
    roles = decoded.spec.roles if decoded.spec is not None else ()
    plan = plan_group(GroupNode(group=decoded, roles=tuple(RoleNode(name=r.name, spec=r) for r in roles)), _NOW)
    warned = {str(finding) for finding in verdict.warnings}
    for note in plan.notes:
        message = note.message.partition(": ")[2] if note.message.startswith("role ") else note.message
        elsewhere = "has no roles" in message or message.startswith("engine runtime profile ")
        assert message in warned or elsewhere, note.message


@_SLOW
@given(
    body=st.sampled_from(sorted(KINDS)).flatmap(lambda kind: spoiled(_drawn(kind).map(lambda b: {"kind": kind, **b})))
)
def test_whatever_is_written_in_a_manifest_is_checked(body: Obj) -> None:
    for version in ("workloads.x-k8s.io/v1alpha2", "workloads.x-k8s.io/v1alpha1"):
        text = json.dumps({**body, "apiVersion": version})
        report = check([Source("f", text), Source("g", text)], AdmissionOptions())
        assert report.checked.total() + report.skipped.total() == 2 or report.errors


# Size -----------------------------------------------------------------------------------------------------------------


def _calls(work: Callable[[], object]) -> int:
    """Python functions called; the same on every machine."""
    count = 0

    def profile(frame: object, kind: str, argument: object) -> None:
        nonlocal count
        count += kind == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _large(roles: int) -> Obj:
    """About 500 bytes a role, with everything that could make a check quadratic."""
    template = {"spec": {"containers": [{"name": "c", "image": "i" * 100}]}}
    listed = [
        {
            "name": f"role-{index}",
            "dependencies": [f"role-{index - 1}", f"ghost-{index}"] if index else [],
            "labels": {f"key-{number}": "x" for number in range(5)},
            "standalonePattern": {"templateRef": {"name": f"template-{index}", "patch": {}}},
            "rolloutStrategy": {"rollingUpdate": {"partition": 1}},
        }
        for index in range(roles)
    ]
    templates = [{"name": f"template-{index}", "template": template} for index in range(roles)]
    return {"metadata": {"name": "g"}, "spec": {"roles": listed, "roleTemplates": templates}}


def test_the_work_of_a_review_grows_with_the_object_and_not_with_its_square() -> None:
    small, large = _large(275), _large(2200)
    assert len(json.dumps(large)) > 1_000_000

    def judge(body: Obj) -> int:
        changed = {**body, "spec": {**body["spec"], "roles": list(reversed(body["spec"]["roles"]))}}
        return _calls(lambda: _review("RoleBasedGroup", changed, body))

    judge(small)  # whatever is cached on first use
    assert judge(large) < 10 * judge(small)


def test_a_thousand_faults_of_one_place_are_compared_in_one_pass() -> None:
    def body(number: int, word: str) -> Obj:
        role = {"name": "a", "dependencies": [f"{word}-{index}" for index in range(number)]}
        return {"metadata": {"name": "g"}, "spec": {"roles": [role]}}

    def judge(number: int) -> int:
        return _calls(lambda: _review("RoleBasedGroup", body(number, "new"), body(number, "old")))

    judge(10)
    assert judge(8000) < 10 * judge(1000)


@given(st.binary(max_size=80) | st.text("{}[]:,&*-\n kindRoleBasedGroup", max_size=80).map(str.encode))
def test_the_fuzzer_has_a_target_that_holds(data: bytes) -> None:
    one(data)
