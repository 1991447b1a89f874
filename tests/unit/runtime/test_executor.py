from __future__ import annotations

import asyncio
import dataclasses

import msgspec
import pytest

from rbgctrl.api.core import ConfigMap, Pod, Service
from rbgctrl.api.meta import Key
from rbgctrl.client import (
    AlreadyExistsError,
    ApiRequest,
    ApiResponse,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnknownOutcomeError,
    Verb,
)
from rbgctrl.plan.model import Action, Apply, Patch, PatchType, Plan
from rbgctrl.runtime.executor import ForeignObjectError, summary
from rbgctrl.sim.loop import run
from unit.runtime.executing import (
    POD,
    REQUEST,
    Ledger,
    Server,
    apply_plan,
    create,
    delete,
    executor,
    note,
    one_step,
    patch_status,
    pod_json,
)


def test_actions_of_one_step_are_sent_together_and_steps_one_after_the_other() -> None:
    server, ledger = Server(pause=1), Ledger()
    step = tuple(create(f"p{index}") for index in range(5))
    apply_plan(Plan(steps=((create("first"),), step)), server, ledger)
    assert server.most == 5
    assert len(server.requests) == 6


def test_no_more_than_the_limit_is_in_flight() -> None:
    server = Server(pause=1)
    apply_plan(Plan(steps=(tuple(create(f"p{index}") for index in range(40)),)), server, Ledger(), in_flight=8)
    assert server.most == 8


def test_a_step_starts_only_when_the_one_before_succeeded() -> None:
    server, ledger = Server(lambda _: ForbiddenError(403, "Forbidden", "quota")), Ledger()
    with pytest.raises(ForbiddenError):
        apply_plan(Plan(steps=((create("a"), create("b")), (create("c"),)), notes=(note(),)), server, ledger)
    assert len(server.requests) == 2
    assert "event" not in ledger.names(), "nothing is announced that did not happen"


def test_what_a_write_returns_goes_into_the_cache_at_once() -> None:
    ledger = Ledger()
    apply_plan(one_step(create()), Server(), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]
    ledger = Ledger()
    apply_plan(one_step(patch_status()), Server(), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_a_patch_and_an_apply_are_fenced_by_the_uid_they_were_decided_on() -> None:
    server = Server()
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}
    apply = Apply(kind=Service, key=Key("ns", "s"), body=body, uid="u9")
    patch = Patch(kind=Pod, key=POD, uid="u1", body={"metadata": {"labels": {"a": "b"}}}, why="label")
    apply_plan(Plan(steps=((patch, apply),)), server, Ledger())
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
    apply_plan(one_step(dataclasses.replace(patch_status(), whole=whole)), server, Ledger())
    assert server.requests[0].content_type == "application/json-patch+json"
    test, add = msgspec.json.decode(server.requests[0].body or b"")
    assert test == {"op": "test", "path": "/metadata/uid", "value": "u1"}
    assert add == {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize(
    "error",
    [
        InvalidError(422, "Invalid", "test failed"),
        InvalidError(422, "Invalid", "no", causes=("FieldValueInvalid",), fields=("metadata.uid",)),
        ConflictError(409, "Conflict"),
    ],
)
def test_where_a_fence_held_the_object_is_read_live_before_it_is_decided_on_again(error: Exception) -> None:
    ledger = Ledger()
    with pytest.raises(type(error)):
        apply_plan(one_step(patch_status()), Server(lambda _: error), ledger)
    assert ledger.told == [("unknown", (Pod, POD))]


def test_what_validation_refuses_is_not_looked_at_again() -> None:
    ledger = Ledger()
    error = InvalidError(422, "Invalid", "no", causes=("FieldValueInvalid",))
    with pytest.raises(InvalidError):
        apply_plan(one_step(patch_status()), Server(lambda _: error), ledger)
    assert ledger.told == []


def test_a_strategic_patch_is_sent_as_one() -> None:
    server = Server()
    patch = Patch(kind=Pod, key=POD, uid="u1", body={"status": {}}, type=PatchType.STRATEGIC, subresource="status")
    apply_plan(one_step(patch), server, Ledger())
    assert server.requests[0].content_type == "application/strategic-merge-patch+json"
    assert server.requests[0].path.endswith("/pods/pod/status")


def test_patching_what_is_gone_is_no_error_and_the_key_waits_until_the_cache_knows() -> None:
    ledger = Ledger()
    apply_plan(one_step(patch_status()), Server(lambda _: NotFoundError(404, "NotFound", "gone")), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


def test_creating_what_exists_already_and_is_ours_is_success() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.CREATE:
            return AlreadyExistsError(409, "AlreadyExists", "taken")
        return ApiResponse(status=200, body=pod_json(owner="o1"))

    ledger = Ledger()
    apply_plan(one_step(create(owner="o1")), Server(answer), ledger)
    assert ledger.names() == ["observe", "wrote", "event"]


def test_creating_what_belongs_to_somebody_else_is_told_with_the_holder() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        if request.verb is Verb.CREATE:
            return AlreadyExistsError(409, "AlreadyExists", "taken")
        return ApiResponse(status=200, body=pod_json(owner="another"))

    ledger = Ledger()
    with pytest.raises(ForeignObjectError, match="belongs to RoleInstance i"):
        apply_plan(one_step(create(owner="o1")), Server(answer), ledger)
    assert ledger.told == []


def test_a_delete_is_noted_before_it_is_sent_and_carries_its_uid() -> None:
    order: list[str] = []
    ledger = Ledger()

    def answer(request: ApiRequest) -> ApiResponse:
        order.extend(ledger.names())
        assert msgspec.json.decode(request.body or b"")["preconditions"] == {"uid": "u1"}
        return ApiResponse(status=200, body=pod_json(deleting=True))

    apply_plan(one_step(delete()), Server(answer), ledger)
    assert order == ["deleting"]
    assert ledger.names() == ["deleting", "observe", "deleted", "event"]


@pytest.mark.parametrize(("propagation", "sent"), [("", None), ("Foreground", "Foreground")])
def test_a_delete_may_ask_to_wait_for_what_the_object_owns(propagation: str, sent: str | None) -> None:
    server = Server(lambda _: ApiResponse(status=200, body=pod_json(deleting=True)))
    apply_plan(one_step(dataclasses.replace(delete(), propagation=propagation)), server, Ledger())
    (request,) = server.requests
    assert msgspec.json.decode(request.body or b"").get("propagationPolicy") == sent


def test_an_object_that_a_delete_removed_at_once_leaves_the_cache_at_once() -> None:
    ledger = Ledger()
    apply_plan(one_step(delete()), Server(lambda _: ApiResponse(status=200, body=pod_json())), ledger)
    assert ledger.names() == ["deleting", "observe_deleted", "deleted", "event"]


def test_a_delete_answered_with_a_status_leaves_the_key_waiting_for_the_watch() -> None:
    status = b'{"kind":"Status","apiVersion":"v1","status":"Success","details":{"uid":"u1"}}'
    ledger = Ledger()
    apply_plan(one_step(delete()), Server(lambda _: ApiResponse(status=200, body=status)), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


@pytest.mark.parametrize("error", [NotFoundError(404, "NotFound"), ConflictError(409, "Conflict")])
def test_deleting_what_is_gone_or_replaced_is_success(error: Exception) -> None:
    ledger = Ledger()
    apply_plan(one_step(delete()), Server(lambda _: error), ledger)
    assert ledger.names() == ["deleting", "deleted", "event"]


@pytest.mark.parametrize("action", [create(), patch_status(), delete()], ids=["create", "patch", "delete"])
def test_a_write_with_unknown_outcome_parks_the_key_and_fails(action: Action) -> None:
    ledger = Ledger()
    with pytest.raises(UnknownOutcomeError):
        apply_plan(one_step(action), Server(lambda _: UnknownOutcomeError("lost")), ledger)
    assert ("unknown", (Pod, POD)) in ledger.told
    assert "event" not in ledger.names()


def test_a_write_cancelled_on_its_way_parks_the_key() -> None:
    ledger = Ledger()

    async def main() -> None:
        async with asyncio.timeout(1):
            await executor(Server(pause=10), ledger).apply(one_step(create()), REQUEST)

    with pytest.raises(TimeoutError):
        run(main())
    assert ledger.told == [("unknown", (Pod, POD))]


def test_every_action_of_a_step_ends_before_its_failure_is_raised() -> None:
    def answer(request: ApiRequest) -> ApiResponse | Exception:
        body = msgspec.json.decode(request.body or b"{}")
        if body["metadata"]["name"] == "bad":
            return ForbiddenError(403, "Forbidden", "quota")
        return ApiResponse(status=201, body=pod_json(body["metadata"]["name"]))

    ledger = Ledger()
    with pytest.raises(ForbiddenError):
        apply_plan(Plan(steps=((create("bad"), create("good")),)), Server(answer, pause=1), ledger)
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
        apply_plan(Plan(steps=((create("other"), create("crash")),)), Crashing(), Ledger())


def test_an_empty_plan_sends_nothing_and_still_says_when_to_look_again() -> None:
    server, ledger = Server(), Ledger()
    result = apply_plan(Plan(requeue_after=3.0, because="waiting"), server, ledger)
    assert (result.requeue_after, server.requests, ledger.told) == (3.0, [], [])


def test_a_summary_counts_what_is_written() -> None:
    apply = Apply(kind=ConfigMap, key=Key("ns", "c"), body={})
    assert summary(Plan(steps=((create("a"), create("b")), (apply,)))) == "create Pod x2, apply ConfigMap"
