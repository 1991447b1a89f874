from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rbgctrl.api.core import ConfigMap, Pod, Service
from rbgctrl.api.meta import Key
from rbgctrl.client import (
    AlreadyExistsError,
    ApiRequest,
    ApiResponse,
    Client,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnknownOutcomeError,
    Verb,
)
from rbgctrl.plan.model import Action, Apply, Create, Delete, Note, Patch, PatchType, Plan, Severity, Subject
from rbgctrl.runtime.executor import Executor, ExecutorOptions, ForeignObjectError, summary
from rbgctrl.sim.loop import run

REQUEST = Key("ns", "owner")
POD = Key("ns", "pod")
Answer = Callable[[ApiRequest], ApiResponse | Exception]


def _body(name: str = "pod", *, uid: str = "u1", rv: str = "7", owner: str = "", deleting: bool = False) -> bytes:
    metadata: dict[str, Any] = {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": rv}
    if owner:
        metadata["ownerReferences"] = [{"kind": "RoleInstance", "name": "i", "uid": owner, "controller": True}]
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


def _ok(request: ApiRequest) -> ApiResponse:
    return ApiResponse(status=200, body=_body(request.key.name or "pod"))


class Server:
    """A transport that answers from a function, and remembers what was asked and how much at once."""

    def __init__(self, answer: Answer = _ok, *, pause: float = 0.0) -> None:
        self.answer = answer
        self.requests: list[ApiRequest] = []
        self.in_flight = 0
        self.most = 0
        self._pause = pause

    async def send(self, request: ApiRequest) -> ApiResponse:
        self.requests.append(request)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self._pause:
                await asyncio.sleep(self._pause)
            answer = self.answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stream(self, request: ApiRequest) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        return None


class Ledger:
    """Remembers what cache, barrier and recorder were told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def observe(self, obj: Any) -> None:
        self.told.append(("observe", obj.key.name))

    def observe_deleted(self, obj: Any) -> None:
        self.told.append(("observe_deleted", obj.key.name))

    def wrote(self, _: Key, obj: Any) -> None:
        self.told.append(("wrote", obj.key.name))

    def unknown(self, _: Key, kind: type[Any], key: Key) -> None:
        self.told.append(("unknown", (kind, key)))

    def deleting(self, _: Key, __: type[Any], ___: Key, uid: str) -> str:
        self.told.append(("deleting", uid))
        return uid

    def deleted(self, token: str, _: Any = None) -> None:
        self.told.append(("deleted", token))

    def forget(self, token: str) -> None:
        self.told.append(("forget", token))

    def event(self, note: Note) -> None:
        self.told.append(("event", note.reason))


def _executor(server: Server, ledger: Ledger, in_flight: int = 16) -> Executor:
    options = ExecutorOptions(in_flight=in_flight)
    return Executor(Client(server), ledger, ledger, ledger, options)  # type: ignore[arg-type]  # a stand-in for three


def _create(name: str = "pod", owner: str = "o1") -> Create:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns"}}
    return Create(kind=Pod, key=Key("ns", name), body=body, owner_uid=owner, why="missing")


def _delete() -> Delete:
    return Delete(kind=Pod, key=POD, uid="u1", why="extra")


def _patch(uid: str = "u1") -> Patch:
    return Patch(kind=Pod, key=POD, uid=uid, body={"status": {"phase": "x"}}, subresource="status", why="status")


def _note() -> Note:
    subject = Subject(api_version="v1", kind="Pod", key=POD, uid="u1")
    return Note(subject=subject, severity=Severity.NORMAL, reason="Told", message="m")


def _apply_plan(plan: Plan, server: Server, ledger: Ledger, in_flight: int = 16) -> Any:
    async def main() -> Any:
        return await _executor(server, ledger, in_flight).apply(plan, REQUEST)

    return run(main())


def _one(action: Action) -> Plan:
    return Plan(steps=((action,),), notes=(_note(),))


def test_actions_of_one_step_are_sent_together_and_steps_one_after_the_other() -> None:
    server, ledger = Server(pause=1), Ledger()
    step = tuple(_create(f"p{index}") for index in range(5))
    _apply_plan(Plan(steps=((_create("first"),), step)), server, ledger)
    assert server.most == 5
    assert len(server.requests) == 6


def test_no_more_than_the_limit_is_in_flight() -> None:
    server = Server(pause=1)
    _apply_plan(Plan(steps=(tuple(_create(f"p{index}") for index in range(40)),)), server, Ledger(), in_flight=8)
    assert server.most == 8


def test_a_step_starts_only_when_the_one_before_succeeded() -> None:
    server, ledger = Server(lambda _: ForbiddenError(403, "Forbidden", "quota")), Ledger()
    with pytest.raises(ForbiddenError):
        _apply_plan(Plan(steps=((_create("a"), _create("b")), (_create("c"),)), notes=(_note(),)), server, ledger)
    assert len(server.requests) == 2
    assert "event" not in ledger.names(), "nothing is announced that did not happen"


def test_what_a_write_returns_goes_into_the_cache_at_once() -> None:
    ledger = Ledger()
    _apply_plan(_one(_create()), Server(), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]
    ledger = Ledger()
    _apply_plan(_one(_patch()), Server(), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_a_patch_and_an_apply_are_fenced_by_the_uid_they_were_decided_on() -> None:
    server = Server()
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}
    apply = Apply(kind=Service, key=Key("ns", "s"), body=body, uid="u9")
    patch = Patch(kind=Pod, key=POD, uid="u1", body={"metadata": {"labels": {"a": "b"}}}, why="label")
    _apply_plan(Plan(steps=((patch, apply),)), server, Ledger())
    sent = [msgspec.json.decode(request.body or b"") for request in server.requests]
    assert sorted(item["metadata"]["uid"] for item in sent) == ["u1", "u9"]
    assert not any("resourceVersion" in item["metadata"] for item in sent)


@pytest.mark.parametrize(
    ("whole", "path", "value"),
    [(False, "/status/phase", "x"), (True, "/status", {"phase": "x"})],
    ids=["more", "first"],
)
def test_a_status_is_written_behind_a_test_of_the_uid(whole: bool, path: str, value: object) -> None:
    """A merge patch of a custom resource's status is carried out whatever UID it names."""
    server = Server()
    _apply_plan(_one(dataclasses.replace(_patch(), whole=whole)), server, Ledger())
    assert server.requests[0].content_type == "application/json-patch+json"
    test, add = msgspec.json.decode(server.requests[0].body or b"")
    assert test == {"op": "test", "path": "/metadata/uid", "value": "u1"}
    assert add == {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize("error", [InvalidError(422, "Invalid", "test failed"), ConflictError(409, "Conflict")])
def test_where_a_fence_held_the_object_is_read_live_before_it_is_decided_on_again(error: Exception) -> None:
    ledger = Ledger()
    with pytest.raises(type(error)):
        _apply_plan(_one(_patch()), Server(lambda _: error), ledger)
    assert ledger.told == [("unknown", (Pod, POD))]


def test_what_validation_refuses_is_not_looked_at_again() -> None:
    ledger = Ledger()
    error = InvalidError(422, "Invalid", "no", causes=("FieldValueInvalid",))
    with pytest.raises(InvalidError):
        _apply_plan(_one(_patch()), Server(lambda _: error), ledger)
    assert ledger.told == []


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
            return ApiResponse(status=200, body=_body(owner=self.owner))
        metadata = msgspec.json.decode(request.body or b"")["metadata"]
        self.applied.append((metadata.get("uid"), metadata.get("resourceVersion")))
        if "resourceVersion" in metadata:
            return ConflictError(409, "Conflict", "modified")
        return ApiResponse(status=200, body=_body(owner="o1"))


def test_an_apply_of_what_was_not_seen_creates_and_changes_nothing_that_is_there() -> None:
    server, ledger = Taken("another"), Ledger()
    with pytest.raises(ForeignObjectError, match="belongs to RoleInstance i"):
        _apply_plan(_one(_service(adopt=True)), Server(server), ledger)
    assert server.applied == [(None, "1")]
    assert ledger.names() == ["observe"], "the next look knows of it"


def test_an_apply_that_finds_the_owners_own_object_is_success() -> None:
    server, ledger = Taken("o1"), Ledger()
    _apply_plan(_one(_service()), Server(server), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_what_nobody_controls_is_taken_over_by_uid_and_only_when_the_plan_says_so() -> None:
    server, ledger = Taken(""), Ledger()
    with pytest.raises(ForeignObjectError, match="no controller"):
        _apply_plan(_one(_service()), Server(server), ledger)
    _apply_plan(_one(_service(adopt=True)), Server(server), ledger)
    assert server.applied == [(None, "1"), (None, "1"), ("u1", None)]


def test_an_object_of_the_owners_own_that_is_not_watched_is_applied_and_so_gets_its_label() -> None:
    server, ledger = Taken("o1"), Ledger()
    _apply_plan(_one(_service(adopt=True)), Server(server), ledger)
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
        return ApiResponse(status=200, body=_body(rv="8"))


def _inheriting(version: str = "7") -> Apply:
    return dataclasses.replace(_service(), uid="u1", version=version, inherit=True)


def test_what_the_reference_controller_owns_becomes_ours_before_it_is_applied_to() -> None:
    server = Inherited("manager")
    _apply_plan(_one(_inheriting()), Server(server), Ledger())
    (test, fields, version), applied = server.sent
    assert (test["op"], test["path"], test["value"]) == ("test", "/metadata/uid", "u1")
    assert [(item["manager"], item["operation"]) for item in fields["value"]] == [("rbg", "Apply")]
    assert (version["path"], version["value"]) == ("/metadata/resourceVersion", "7")
    assert applied["metadata"]["resourceVersion"] == "8", "the apply is fenced by what that made of it"


@pytest.mark.parametrize(("manager", "rv"), [("kubectl-edit", "7"), ("manager", "9")])
def test_nothing_is_inherited_from_anybody_else_or_from_an_object_that_changed_since(manager: str, rv: str) -> None:
    server = Inherited(manager, rv)
    _apply_plan(_one(_inheriting()), Server(server), Ledger())
    (applied,) = server.sent
    assert applied["metadata"]["resourceVersion"] == "7"


def test_a_strategic_patch_is_sent_as_one() -> None:
    server = Server()
    patch = Patch(kind=Pod, key=POD, uid="u1", body={"status": {}}, type=PatchType.STRATEGIC, subresource="status")
    _apply_plan(_one(patch), server, Ledger())
    assert server.requests[0].content_type == "application/strategic-merge-patch+json"
    assert server.requests[0].path.endswith("/pods/pod/status")


def test_patching_what_is_gone_is_no_error_and_the_key_waits_until_the_cache_knows() -> None:
    ledger = Ledger()
    _apply_plan(_one(_patch()), Server(lambda _: NotFoundError(404, "NotFound", "gone")), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


def test_creating_what_exists_already_and_is_ours_is_success() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.CREATE:
            return AlreadyExistsError(409, "AlreadyExists", "taken")
        return ApiResponse(status=200, body=_body(owner="o1"))

    ledger = Ledger()
    _apply_plan(_one(_create(owner="o1")), Server(answer), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_creating_what_belongs_to_somebody_else_is_told_with_the_holder() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.CREATE:
            return AlreadyExistsError(409, "AlreadyExists", "taken")
        return ApiResponse(status=200, body=_body(owner="another"))

    ledger = Ledger()
    with pytest.raises(ForeignObjectError, match="belongs to RoleInstance i"):
        _apply_plan(_one(_create(owner="o1")), Server(answer), ledger)
    assert ledger.told == []


def test_a_delete_is_noted_before_it_is_sent_and_carries_its_uid() -> None:
    order: list[str] = []
    ledger = Ledger()

    def answer(request: ApiRequest) -> ApiResponse:
        order.extend(ledger.names())
        assert msgspec.json.decode(request.body or b"")["preconditions"] == {"uid": "u1"}
        return ApiResponse(status=200, body=_body(deleting=True))

    _apply_plan(_one(_delete()), Server(answer), ledger)
    assert order == ["deleting"]
    assert ledger.names() == ["deleting", "observe", "deleted", "event"]


def test_an_object_that_a_delete_removed_at_once_leaves_the_cache_at_once() -> None:
    ledger = Ledger()
    _apply_plan(_one(_delete()), Server(lambda _: ApiResponse(status=200, body=_body())), ledger)
    assert ledger.names() == ["deleting", "observe_deleted", "deleted", "event"]


def test_a_delete_answered_with_a_status_leaves_the_key_waiting_for_the_watch() -> None:
    status = b'{"kind":"Status","apiVersion":"v1","status":"Success","details":{"uid":"u1"}}'
    ledger = Ledger()
    _apply_plan(_one(_delete()), Server(lambda _: ApiResponse(status=200, body=status)), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


@pytest.mark.parametrize("error", [NotFoundError(404, "NotFound"), ConflictError(409, "Conflict")])
def test_deleting_what_is_gone_or_replaced_is_success(error: Exception) -> None:
    ledger = Ledger()
    _apply_plan(_one(_delete()), Server(lambda _: error), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


@pytest.mark.parametrize("action", [_create(), _patch(), _delete()], ids=["create", "patch", "delete"])
def test_a_write_with_unknown_outcome_parks_the_key_and_fails(action: Action) -> None:
    ledger = Ledger()
    with pytest.raises(UnknownOutcomeError):
        _apply_plan(_one(action), Server(lambda _: UnknownOutcomeError("lost")), ledger)
    assert ("unknown", (Pod, POD)) in ledger.told
    assert "event" not in ledger.names()


def test_a_write_cancelled_on_its_way_parks_the_key() -> None:
    ledger = Ledger()

    async def main() -> None:
        async with asyncio.timeout(1):
            await _executor(Server(pause=10), ledger).apply(_one(_create()), REQUEST)

    with pytest.raises(TimeoutError):
        run(main())
    assert ledger.told == [("unknown", (Pod, POD))]


def test_every_action_of_a_step_ends_before_its_failure_is_raised() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        body = msgspec.json.decode(request.body or b"{}")
        if body["metadata"]["name"] == "bad":
            return ForbiddenError(403, "Forbidden", "quota")
        return ApiResponse(status=201, body=_body(body["metadata"]["name"]))

    ledger = Ledger()
    with pytest.raises(ForbiddenError):
        _apply_plan(Plan(steps=((_create("bad"), _create("good")),)), Server(answer, pause=1), ledger)
    assert ledger.told == [("observe", "good"), ("wrote", "good")]


def test_a_simulated_crash_passes_through_whatever_else_failed() -> None:
    class Crash(BaseException):
        pass

    class Crashing(Server):
        async def send(self, request: ApiRequest) -> ApiResponse:
            if b'"crash"' in (request.body or b""):
                raise Crash
            raise ForbiddenError(403, "Forbidden", "quota")

    with pytest.raises(Crash):
        _apply_plan(Plan(steps=((_create("other"), _create("crash")),)), Crashing(), Ledger())


def test_an_empty_plan_sends_nothing_and_still_says_when_to_look_again() -> None:
    server, ledger = Server(), Ledger()
    result = _apply_plan(Plan(requeue_after=3.0, because="waiting"), server, ledger)
    assert (result.requeue_after, server.requests, ledger.told) == (3.0, [], [])


def test_a_summary_counts_what_is_written() -> None:
    create = Apply(kind=ConfigMap, key=Key("ns", "c"), body={})
    assert summary(Plan(steps=((_create("a"), _create("b")), (create,)))) == "create Pod x2, apply ConfigMap"
