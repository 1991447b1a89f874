"""``rbgctrl validate``."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from golden import SCENARIOS, scenario
from rbgctrl.api import labels
from rbgctrl.api.admission import AdmissionOptions
from rbgctrl.api.finding import Severity
from rbgctrl.cli import main
from rbgctrl.cli.validate.checks import check
from rbgctrl.cli.validate.report import Issue, Report, Source

_V2 = "workloads.x-k8s.io/v1alpha2"
_POD = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
_ROLE = {"name": "a", "standalonePattern": {"template": _POD}}


def _object(kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": _V2, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def _group(*roles: dict[str, Any], name: str = "llm", **metadata: Any) -> dict[str, Any]:
    return _object("RoleBasedGroup", name, {"roles": list(roles or (_ROLE,))}, **metadata)


def _check(*bodies: Any, strict: bool = False) -> Report:
    text = bodies[0] if isinstance(bodies[0], str) else yaml.safe_dump_all(bodies, sort_keys=False)
    return check([Source("f.yaml", text)], AdmissionOptions(), strict=strict)


def _only(*bodies: Any) -> Issue:
    report = _check(*bodies)
    assert len(report.issues) == 1, report.json()
    return report.issues[0]


# One object -----------------------------------------------------------------------------------------------------------


def test_a_sound_group_has_nothing_wrong() -> None:
    assert _check(_group()).json() == {
        "ok": True,
        "errors": 0,
        "warnings": 0,
        "checked": {"RoleBasedGroup": 1},
        "skipped": {},
        "issues": [],
    }


_WRONG = """apiVersion: workloads.x-k8s.io/v1alpha2
kind: RoleBasedGroup
metadata:
  name: a.b
spec:
  roles:
  - name: a
    replicas: {replicas}
    dependencies:
    - ghost
    standalonePattern:
      template:
        spec:
          containers:
          - {{name: c, image: i}}
    rolloutStrategy:
      surplus: 1
"""


def test_every_fault_has_its_line_path_and_remedy() -> None:
    found = {issue.path: issue for issue in _check(_WRONG.format(replicas=1)).issues}
    assert {path: issue.line for path, issue in found.items()} == {
        "metadata.name": 4,
        "spec.roles[0].dependencies[0]": 10,
        "spec.roles[0].rolloutStrategy.surplus": 17,
    }
    assert all(issue.severity is Severity.ERROR for issue in found.values())
    assert found["spec.roles[0].dependencies[0]"].object == "RoleBasedGroup a.b"
    assert "add the role or remove the dependency" in found["spec.roles[0].dependencies[0]"].message


def test_what_the_schema_refuses_is_told_once_and_does_not_hide_the_metadata() -> None:
    report = _check(_WRONG.format(replicas="many"))
    assert [issue.path for issue in report.issues if issue.line == 8] == ["spec.roles[0].replicas"]


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        (_group(replica=1), "metadata.replica", "unknown field"),
        ({**_group(), "metadata": {}}, "metadata.name", "is missing"),
        ({**_group(), "metadata": None}, "metadata", "must be an object"),
        (_group(labels={"a": 1}), "metadata.labels[a]", "put it in quotes"),
        (_group(labels={"a b": "x"}), "metadata.labels[a b]", "is no key"),
        (_group(namespace="A"), "metadata.namespace", "is no namespace"),
        (_object("RoleBasedGroups", "x", {}), "kind", "known are"),
        ({**_group(), "apiVersion": "workloads.x-k8s.io/v1"}, "apiVersion", "write workloads.x-k8s.io/v1alpha2 or"),
        ({"kind": "RoleBasedGroup", "metadata": {"name": "x"}}, "", "has no apiVersion"),
        (
            _group({"name": "a", "leaderWorkerPattern": {"restartPolicyConfig": {"baseDelaySeconds": 700}}}),
            "spec.roles[0].leaderWorkerPattern.restartPolicyConfig",
            "maxDelaySeconds must be greater",
        ),
        (_group({**_ROLE, "replicas": 2**31}), "spec.roles[0].replicas", "int32"),
    ],
)
def test_what_a_cluster_refuses_is_an_error_at_its_place(body: Any, path: str, words: str) -> None:
    found = [issue for issue in _check(body).issues if issue.severity is Severity.ERROR]
    assert [issue.path for issue in found] == [path], found
    assert words in found[0].message


def test_a_status_that_was_exported_along_is_left_alone() -> None:
    assert not _check({**_group(), "status": {"surplus": 1}}).issues


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_recorded_object_is_taken(name: str) -> None:
    """Of whatever version; upstream's API server stored them."""
    for kind in ("RoleBasedGroup", "RoleBasedGroupSet", "CoordinatedPolicy", "RoleBasedGroupWarmup"):
        for stored in scenario(name).of(kind):
            report = check([Source("f.json", json.dumps(stored))], AdmissionOptions())
            assert not report.errors, report.json()


# Both versions --------------------------------------------------------------------------------------------------------


def _old(**role: Any) -> dict[str, Any]:
    spec = {"roles": [{"name": "a", "template": _POD, **role}]}
    return {**_object("RoleBasedGroup", "llm", spec), "apiVersion": "workloads.x-k8s.io/v1alpha1"}


def test_v1alpha1_is_checked_by_its_own_schema_and_then_as_what_it_becomes() -> None:
    assert not _check(_old()).issues
    assert _only(_old(dependencies=["ghost"])).path == "spec.roles[0].dependencies[0]"
    assert _only(_old(replicas=-1)).path == "spec.roles[0].replicas"
    report = check([Source("f", json.dumps(_old()))], AdmissionOptions(deprecated_workload_types=False))
    assert "v1alpha1 means StatefulSet" in report.issues[0].message


# Silent no-ops --------------------------------------------------------------------------------------------------------


def _policy(name: str, *roles: str) -> dict[str, Any]:
    return _object("CoordinatedPolicy", name, {"policies": [{"name": "r", "roles": list(roles), "strategy": {}}]})


def _service(selector: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": selector}}


_SET = _object("RoleBasedGroupSet", "many", {"replicas": 2, "groupTemplate": {"spec": {"roles": [_ROLE]}}})
_LABELLED = {
    "name": "a",
    "leaderWorkerPattern": {"template": {**_POD, "metadata": {"labels": {"app": "x"}}}},
}
_NO_OPS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a policy named like no group": (
        [_group(), _policy("other", "a")],
        "metadata.name",
        "the policy applies to nobody",
    ),
    "a policy in another namespace": (
        [_group(namespace="x"), _policy("llm", "a")],
        "metadata.name",
        "there are no groups in the files without namespace",
    ),
    "a policy about an unknown role": ([_group(), _policy("llm", "a", "b")], "spec.policies[0].roles[1]", "has a"),
    "a policy about an unknown role of a set": (
        [_SET, _policy("many-1", "b")],
        "spec.policies[0].roles[0]",
        "b is no role of group many-1",
    ),
    "an adapter for an unknown role": (
        [_group(), _object("RoleBasedGroupScalingAdapter", "x", {"scaleTargetRef": {"name": "llm", "role": "b"}})],
        "spec.scaleTargetRef.role",
        "b is no role",
    ),
    "an adapter for an unknown group": (
        [_group(), _object("RoleBasedGroupScalingAdapter", "x", {"scaleTargetRef": {"name": "lm", "role": "a"}})],
        "spec.scaleTargetRef.name",
        "lm is no group of these files",
    ),
    "a placement of an unknown role": (
        [
            _group(),
            {
                **_object("PlacementPolicy", "x", {"groupNames": ["llm"], "roles": {"b": {}}}),
                "apiVersion": "placement.rbgctrl.io/v1alpha1",
            },
        ],
        "spec.roles.b",
        "b is no role",
    ),
    "a Service for a label of v1alpha1": (
        [_group(), _service({"rolebasedgroup.workloads.x-k8s.io/name": "llm"})],
        "spec.selector[rolebasedgroup.workloads.x-k8s.io/name]",
        f"write {labels.GROUP_NAME}",
    ),
    "a Service for an unknown group": (
        [_group(), _service({labels.GROUP_NAME: "lm"})],
        f"spec.selector[{labels.GROUP_NAME}]",
        "nobody is selected",
    ),
    "a Service for an unknown role": (
        [_group(), _service({labels.GROUP_NAME: "llm", labels.ROLE_NAME: "b"})],
        f"spec.selector[{labels.ROLE_NAME}]",
        "b is no role",
    ),
    "a Service for an unknown component": (
        [_group(_LABELLED), _service({labels.GROUP_NAME: "llm", labels.COMPONENT_NAME: "follower"})],
        f"spec.selector[{labels.COMPONENT_NAME}]",
        "no pod of group llm",
    ),
    "a Service for a label that no template has": (
        [_group(_LABELLED), _service({labels.GROUP_NAME: "llm", "app": "y"})],
        "spec.selector[app]",
        "no pod of group llm",
    ),
    "an annotation of v1alpha1": (
        [_group(annotations={"rolebasedgroup.workloads.x-k8s.io/exclusive-topology": "zone"})],
        "metadata.annotations[rolebasedgroup.workloads.x-k8s.io/exclusive-topology]",
        f"write {labels.GROUP_EXCLUSIVE_TOPOLOGY}",
    ),
    "a misspelt annotation": (
        [_group(annotations={"rbg.workloads.x-k8s.io/group-gang-schedulin": "true"})],
        "metadata.annotations[rbg.workloads.x-k8s.io/group-gang-schedulin]",
        f"do you mean {labels.GROUP_GANG_SCHEDULING}?",
    ),
    "an annotation of groups on a role": (
        [_group({**_ROLE, "annotations": {labels.GROUP_GANG_SCHEDULING: "true"}})],
        f"spec.roles[0].annotations[{labels.GROUP_GANG_SCHEDULING}]",
        "belongs to the annotations of the RoleBasedGroup",
    ),
    "an annotation of groups on a set": (
        [{**_SET, "metadata": {"name": "many", "annotations": {labels.GROUP_GANG_SCHEDULING: "true"}}}],
        f"metadata.annotations[{labels.GROUP_GANG_SCHEDULING}]",
        "belongs to the annotations of the RoleBasedGroup",
    ),
    "an annotation of templates on a role": (
        [_group({**_ROLE, "annotations": {labels.ROLE_DISABLE_EXCLUSIVE: "true"}})],
        f"spec.roles[0].annotations[{labels.ROLE_DISABLE_EXCLUSIVE}]",
        "belongs to the annotations of a pod template",
    ),
    "the template of v1alpha1 in a role": (
        [_group({**_ROLE, "template": _POD})],
        "spec.roles[0].template",
        "use standalonePattern.template",
    ),
    "the workload of v1alpha1 in a role": (
        [_group({**_ROLE, "workload": {"kind": "Deployment"}})],
        "spec.roles[0].workload",
        labels.ROLE_WORKLOAD_TYPE,
    ),
    "the same object twice": ([_group(), _group()], "metadata.name", "the last one wins"),
}


@pytest.mark.parametrize("case", _NO_OPS)
def test_what_silently_does_nothing_is_warned_about(case: str) -> None:
    bodies, path, words = _NO_OPS[case]
    issue = _only(*bodies)
    assert (issue.severity, issue.path) == (Severity.WARNING, path)
    assert words in issue.message


@pytest.mark.parametrize(
    "bodies",
    [
        [_policy("other", "a")],
        [_group(), _policy("llm", "a")],
        [_SET, _policy("many-0", "a")],
        [_group(), _service({labels.GROUP_NAME: "llm", labels.ROLE_NAME: "a", labels.COMPONENT_NAME: "a"})],
        [_group(_LABELLED), _service({labels.GROUP_NAME: "llm", labels.COMPONENT_NAME: "leader", "app": "x"})],
        [_service({labels.GROUP_NAME: "elsewhere"})],
        [_group(), _service({"app": "not-ours"})],
        [_group({**_ROLE, "annotations": {labels.PORT_ALLOCATOR: "{}"}})],
        [_group(), _group(namespace="other")],
    ],
)
def test_what_may_well_do_something_is_not(bodies: list[dict[str, Any]]) -> None:
    assert not _check(*bodies).issues


# Documents ------------------------------------------------------------------------------------------------------------


def test_lists_streams_and_other_kinds_are_told_apart() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [_group(), {"apiVersion": "v1", "kind": "ConfigMap"}]}
    typed = {"apiVersion": _V2, "kind": "RoleBasedGroupList", "items": [_group(name="b"), _group(name="c")]}
    report = _check(listed, typed, {"apiVersion": "apps/v1", "kind": "Deployment"}, ["no object"], {"a": 1})
    assert report.checked == {"RoleBasedGroup": 3}
    assert report.skipped == {"ConfigMap": 1, "Deployment": 1, "no kind": 2}
    assert not report.issues


def test_an_object_in_a_list_has_the_line_it_has_in_the_file() -> None:
    body = _group({**_ROLE, "dependencies": ["ghost"]})
    text = yaml.safe_dump({"kind": "List", "items": [_group(name="x"), body]}, sort_keys=False)
    assert text.splitlines()[_only(text).line - 1].strip() == "- ghost"


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(yaml.safe_dump(_group()))
    return path


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    folder = tmp_path / "odd" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(_group({**_ROLE, "workload": {}})))
    (folder / "notes.txt").write_text("not a manifest: [")
    return tmp_path / "odd"


def test_exit_codes_tell_sound_faulty_and_unreadable_apart(
    good: Path, odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "-f", str(good)]) == 0
    assert main(["validate", "-f", str(odd)]) == 0
    assert main(["validate", "-f", str(odd), "--strict"]) == 1
    bad = tmp_path / "bad.yaml"
    bad.write_text(_WRONG.format(replicas=1))
    assert main(["validate", "-f", str(good), "-f", str(bad)]) == 1
    assert f"{bad}:10: error: RoleBasedGroup a.b: spec.roles[0].dependencies[0]: " in capsys.readouterr().out
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\x00")
    (tmp_path / "empty").mkdir()
    for arguments in ([], ["-f", str(tmp_path / "nope")], ["-f", str(binary)], ["-f", str(tmp_path / "empty")]):
        assert main(["validate", *arguments]) == 2
        assert capsys.readouterr().err


def test_plain_output_ends_with_what_was_checked_and_what_was_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(yaml.safe_dump_all([_group(), {"apiVersion": "v1", "kind": "Secret"}]))
    assert main(["validate", "-f", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 object checked (RoleBasedGroup 1): 0 errors, 0 warnings",
        "1 document of other kinds not checked (Secret 1)",
    ]


def test_json_output_is_for_programs(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(odd), "-o", "json", "--strict"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["errors"], found["warnings"]) == (False, 0, 1)
    (issue,) = found["issues"]
    assert issue["file"] == str(odd / "deep" / "a.json")
    assert (issue["line"], issue["severity"], issue["rule"]) == (1, "warning", "unknown-field")


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(_WRONG.format(replicas=1).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["validate", "-f", "-"]) == 1
    assert "stdin:4: error: " in capsys.readouterr().out


def test_a_terminal_gets_a_table_and_nothing_that_moves_its_cursor(
    odd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    (odd / "evil.yaml").write_text('apiVersion: workloads.x-k8s.io/v1alpha2\nkind: "\\e[2J"')
    assert main(["validate", "-f", str(odd)]) == 1
    out = capsys.readouterr().out
    assert "Where" in out
    assert "\x1b[2J" not in out


def test_deprecated_workload_types_can_be_judged_as_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps(_old()))
    assert main(["validate", "-f", str(path)]) == 0
    assert main(["validate", "-f", str(path), "--no-deprecated"]) == 1
