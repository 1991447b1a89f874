"""The daemon's roles: exactly what was seen and what has a reason, in as few rules as that takes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hack import rbac
from hack.controlplane.audit import AuditEvent
from hack.rbac import Right

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
_RESOURCES = (
    "pods",
    "pods/status",
    "events",
    "leases.coordination.k8s.io",
    "deployments.apps",
    "deployments.apps/scale",
)
_RIGHTS = st.sets(
    st.builds(Right, st.sampled_from(_RESOURCES), st.sampled_from(_VERBS), st.sampled_from(("", "a", "b")))
)


def granted(rules: list[dict[str, Any]]) -> set[Right]:
    """What RBAC makes of rules."""
    found = set()
    for rule in rules:
        names = rule.get("resourceNames", [""])
        for group, resource, verb, name in itertools.product(
            rule["apiGroups"], rule["resources"], rule["verbs"], names
        ):
            plural, slash, subresource = resource.partition("/")
            found.add(Right((f"{plural}.{group}" if group else plural) + slash + subresource, verb, name))
    return found


@given(_RIGHTS)
def test_rules_grant_what_was_asked_for_and_nothing_else(rights: set[Right]) -> None:
    everywhere = {(right.resource, right.verb) for right in rights if not right.name}
    needed = {right for right in rights if not right.name or (right.resource, right.verb) not in everywhere}
    assert granted(rbac.rules(rights)) == needed


@given(_RIGHTS)
def test_what_is_written_down_is_read_back_and_only_ever_added_to(rights: set[Right]) -> None:
    for right in rights:
        assert Right.parse(str(right)) == right


def test_a_file_keeps_what_it_had(tmp_path: Path) -> None:
    file = tmp_path / "seen.txt"
    assert rbac.read(file) == set()
    rbac.add([Right("pods", "create")], file)
    rbac.add([Right("pods", "create"), Right("leases.coordination.k8s.io", "get", "a")], file)
    assert rbac.read(file) == {Right("pods", "create"), Right("leases.coordination.k8s.io", "get", "a")}
    assert file.read_text().splitlines()[1:] == ["get leases.coordination.k8s.io a", "create pods"]


def _event(verb: str, resource: str, *, code: int = 200, agent: str = rbac.AGENT, **ref: str) -> AuditEvent:
    body = {
        "verb": verb,
        "requestURI": "/",
        "stage": "ResponseComplete",
        "userAgent": agent,
        "objectRef": {"resource": resource, **ref},
        "responseStatus": {"code": code},
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=AuditEvent)


@pytest.mark.parametrize(
    ("event", "right"),
    [
        (_event("patch", "pods", subresource="status", name="p"), Right("pods/status", "patch")),
        (_event("get", "customresourcedefinitions", apiGroup="apiextensions.k8s.io", name="x"), None),
    ],
)
def test_a_request_is_a_right_with_a_name_only_where_names_are_known(event: AuditEvent, right: Right | None) -> None:
    assert rbac.seen_in([event]) == {right or Right("customresourcedefinitions.apiextensions.k8s.io", "get", "x")}


def test_what_was_refused_and_what_others_asked_for_is_no_need_of_the_daemon() -> None:
    refused = _event("get", "secrets", code=403)
    command = _event("list", "nodes", agent="rbgctrl/0.1")
    assert rbac.seen_in([refused, command, _event("get", "")]) == set()


def test_the_roles_in_the_checkout_are_the_ones_that_are_generated() -> None:
    assert rbac.main(["--check"]) == 0


def test_every_right_of_the_daemon_was_seen_or_has_a_reason() -> None:
    folder = rbac.SEEN.parents[1] / "config" / "rbac"
    rights: set[Right] = set()
    for file in ("role.yaml", "leader_election_role.yaml", "webhook_role.yaml"):
        for item in yaml.safe_load_all((folder / file).read_text()):
            rights |= granted(item.get("rules", []))
    assert rights <= rbac.known()
    assert not {
        right for right in rights if right.resource.split(".")[0].split("/")[0] in ("deployments", "statefulsets")
    }


def test_everything_that_was_seen_is_granted_by_one_of_the_roles() -> None:
    rights: set[Right] = set()
    for text in rbac.files(rbac.read()).values():
        for item in yaml.safe_load_all(text):
            rights |= granted(item.get("rules", []))
    everywhere = {Right(right.resource, right.verb) for right in rights if not right.name}
    missing = {right for right in rbac.read() - rights if Right(right.resource, right.verb) not in everywhere}
    assert not {right for right in missing if right.resource not in rbac.LOCAL}


def test_what_is_needed_beside_the_controller_only_is_granted_there_only() -> None:
    documents = {path.name: list(yaml.safe_load_all(text)) for path, text in rbac.files(rbac.read()).items()}
    cluster = granted(documents["role.yaml"][0]["rules"])
    assert not [right for right in cluster if right.resource in rbac.LOCAL]
    for name in ("leader_election_role.yaml", "webhook_role.yaml"):
        role, binding = documents[name]
        assert role["kind"], binding["kind"] == ("Role", "RoleBinding")
        assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "rbgs-system"
