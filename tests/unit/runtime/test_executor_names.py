"""What the executor does about objects that are there already."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from rbgctrl.api.core import Pod
from rbgctrl.client import (
    ApiRequest,
    ApiResponse,
    ConflictError,
    Verb,
)
from rbgctrl.plan.model import Apply
from rbgctrl.runtime.executor import ForeignObjectError
from unit.runtime.executing import (
    POD,
    Ledger,
    Server,
    apply_plan,
    one_step,
    pod_json,
)

# -- names that are taken ----------------------------------------------------------------------------------------------


def _service(*, adopt: bool = False) -> Apply:
    owner = {"kind": "RoleBasedGroup", "name": "g", "uid": "o1", "controller": True}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pod", "namespace": "ns", "ownerReferences": [owner]},
    }
    return Apply(kind=Pod, key=POD, body=body, adopt=adopt)


class Taken:
    """A server on which something has the name already; ``owner`` controls it."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.applied: list[Any] = []

    def __call__(self, request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.GET:
            return ApiResponse(status=200, body=pod_json(owner=self.owner))
        metadata = msgspec.json.decode(request.body or b"")["metadata"]
        self.applied.append((metadata.get("uid"), metadata.get("resourceVersion")))
        if "resourceVersion" in metadata:
            return ConflictError(409, "Conflict", "modified")
        return ApiResponse(status=200, body=pod_json(owner="o1"))


def test_an_apply_of_what_was_not_seen_creates_and_changes_nothing_that_is_there() -> None:
    server, ledger = Taken("another"), Ledger()
    with pytest.raises(ForeignObjectError, match="belongs to RoleInstance i"):
        apply_plan(one_step(_service(adopt=True)), Server(server), ledger)
    assert server.applied == [(None, "1")]
    assert ledger.names() == ["observe"], "the next look knows of it"


def test_an_apply_that_finds_the_owners_own_object_is_success() -> None:
    server, ledger = Taken("o1"), Ledger()
    apply_plan(one_step(_service()), Server(server), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_what_nobody_controls_is_taken_over_by_uid_and_only_when_the_plan_says_so() -> None:
    server, ledger = Taken(""), Ledger()
    with pytest.raises(ForeignObjectError, match="no controller"):
        apply_plan(one_step(_service()), Server(server), ledger)
    apply_plan(one_step(_service(adopt=True)), Server(server), ledger)
    assert server.applied == [(None, "1"), (None, "1"), ("u1", None)]


def test_an_object_of_the_owners_own_that_is_not_watched_is_applied_and_so_gets_its_label() -> None:
    server, ledger = Taken("o1"), Ledger()
    apply_plan(one_step(_service(adopt=True)), Server(server), ledger)
    assert server.applied == [(None, "1"), ("u1", None)]
    assert ledger.names() == ["observe", "wrote", "event"]


class Inherited:
    """A server on which the reference controller's binary owns fields, ``manager`` by name."""

    def __init__(self, manager: str, rv: str = "7") -> None:
        self.manager = manager
        self.rv = rv
        self.sent: list[Any] = []

    def __call__(self, request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.GET:
            entry = {"manager": self.manager, "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {}}}
            metadata = {"name": "pod", "namespace": "ns", "resourceVersion": self.rv, "managedFields": [entry]}
            return ApiResponse(status=200, body=msgspec.json.encode({"metadata": metadata}))
        self.sent.append(msgspec.json.decode(request.body or b""))
        return ApiResponse(status=200, body=pod_json(rv="8"))


def _inheriting(version: str = "7") -> Apply:
    return dataclasses.replace(_service(), uid="u1", version=version, inherit=True)


def test_what_the_reference_controller_owns_becomes_ours_before_it_is_applied_to() -> None:
    server = Inherited("manager")
    apply_plan(one_step(_inheriting()), Server(server), Ledger())
    (test, fields, version), applied = server.sent
    assert (test["op"], test["path"], test["value"]) == ("test", "/metadata/uid", "u1")
    assert [(item["manager"], item["operation"]) for item in fields["value"]] == [("rbg", "Apply")]
    assert (version["path"], version["value"]) == ("/metadata/resourceVersion", "7")
    assert applied["metadata"]["resourceVersion"] == "8", "the apply is fenced by what that made of it"


@pytest.mark.parametrize(("manager", "rv"), [("kubectl-edit", "7"), ("manager", "9")])
def test_nothing_is_inherited_from_anybody_else_or_from_an_object_that_changed_since(manager: str, rv: str) -> None:
    server = Inherited(manager, rv)
    apply_plan(one_step(_inheriting()), Server(server), Ledger())
    (applied,) = server.sent
    assert applied["metadata"]["resourceVersion"] == "7"


def test_an_apply_by_another_manager_is_sent_and_inherits_as_that_one() -> None:
    server = Server(Inherited("manager"))
    apply_plan(one_step(dataclasses.replace(_inheriting(), manager="rbg-groupset")), server, Ledger())
    managers = [dict(request.query).get("fieldManager") for request in server.requests if request.verb is Verb.APPLY]
    assert managers == ["rbg-groupset"]
    (fields,) = (
        operation["value"]
        for request in server.requests
        if request.verb is Verb.PATCH
        for operation in msgspec.json.decode(request.body or b"")
        if operation["path"] == "/metadata/managedFields"
    )
    assert [item["manager"] for item in fields] == ["rbg-groupset"]


def test_an_apply_without_a_manager_is_sent_as_the_clients() -> None:
    server = Server()
    apply_plan(one_step(_service()), server, Ledger())
    assert [dict(request.query)["fieldManager"] for request in server.requests] == ["rbg"]
