"""The recorder writes little, never waits and never raises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from rbgctrl.client.errors import (
    ConnectError,
    ForbiddenError,
    InvalidError,
    TooManyRequestsError,
    UnavailableError,
    UnknownOutcomeError,
)
from rbgctrl.client.transport import ApiRequest, Verb
from rbgctrl.plan.model import Note, Severity
from rbgctrl.runtime.correlator import CorrelatorOptions
from rbgctrl.runtime.fence import NotLeaderError
from rbgctrl.runtime.recorder import Recorder, RecorderOptions
from rbgctrl.sim.loop import run
from unit.runtime.fake_events import FakeEvents, subject

NORMAL, WARNING = Severity.NORMAL, Severity.WARNING


@contextlib.asynccontextmanager
async def recording(server: FakeEvents, **options: Any) -> AsyncIterator[Recorder]:
    loop = asyncio.get_running_loop()
    recorder = Recorder(
        server.client(),
        "RoleBasedGroup",
        options=RecorderOptions(**options),
        now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=loop.time()),
    )
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def scenario(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(main())


def test_an_event_has_everything_kubectl_describe_shows() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(subject(), WARNING, "FailedCreate", "no quota")
            await asyncio.sleep(2)
        (event,) = server.events
        assert event.pop("metadata")["name"].startswith("llm.")
        assert event == {
            "apiVersion": "v1",
            "kind": "Event",
            "involvedObject": {
                "apiVersion": "workloads.x-k8s.io/v1alpha2",
                "kind": "RoleBasedGroup",
                "name": "llm",
                "namespace": "default",
                "uid": "u1",
            },
            "type": "Warning",
            "reason": "FailedCreate",
            "message": "no quota",
            "count": 1,
            "firstTimestamp": "2026-01-02T03:04:05Z",
            "lastTimestamp": "2026-01-02T03:04:05Z",
            "source": {"component": "RoleBasedGroup"},
            "reportingComponent": "RoleBasedGroup",
            "reportingInstance": "",
        }

    scenario(main)


def test_a_burst_of_equal_events_is_one_request_with_the_count() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            for _ in range(500):
                recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(2)
        assert server.verbs == ["create"]
        assert server.events[0]["count"] == 500

    scenario(main)


def test_a_repetition_within_ten_minutes_raises_the_count_of_the_same_event() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            for _ in range(3):
                recorder.event(subject(), NORMAL, "Succeed", "done")
                await asyncio.sleep(300)
            await asyncio.sleep(700)
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(2)
        assert server.verbs == ["create", "patch", "patch", "create"]

    scenario(main)


def test_an_event_that_expired_meanwhile_is_created_again() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(2)
            server.stored.clear()
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(2)
        assert server.verbs == ["create", "patch", "create"]
        assert server.events[0]["count"] == 2

    scenario(main)


def test_a_create_whose_answer_was_lost_does_not_make_a_second_event() -> None:
    async def main() -> None:
        server = FakeEvents()
        lost: list[Exception] = [UnknownOutcomeError("lost")]
        server.after = lambda _: lost.pop() if lost else None
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(1.5)
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(10)
        assert len(server.events) == 1
        assert server.events[0]["count"] == 2

    scenario(main)


@pytest.mark.parametrize(
    "error",
    [ConnectError("down"), UnavailableError(503), TooManyRequestsError(429)],
    ids=["unreachable", "503", "429"],
)
def test_events_survive_an_outage_and_are_written_with_true_counts(error: Exception) -> None:
    async def main() -> None:
        server = FakeEvents()
        server.before = lambda _: error
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(5)
            recorder.event(subject(), NORMAL, "Succeed", "done")
            server.before = lambda _: None
            await asyncio.sleep(60)
        assert server.events[0]["count"] == 2
        assert recorder.statistics().outcomes["failed"] == 0

    scenario(main)


def test_an_outage_is_not_answered_with_a_storm() -> None:
    async def main() -> None:
        server = FakeEvents()
        server.before = lambda _: ConnectError("down")
        async with recording(server) as recorder:
            for number in range(20):
                recorder.event(subject(uid=f"u{number}"), NORMAL, "Succeed", "done")
            await asyncio.sleep(600)
        assert len(server.requests) == 20 * 5  # five attempts each, then they are given up
        assert recorder.statistics().outcomes["failed"] == 20
        assert recorder.statistics().pending == 0

    scenario(main)


@pytest.mark.parametrize(
    "error",
    [ForbiddenError(403), InvalidError(422), NotLeaderError("fenced"), RuntimeError("a defect")],
    ids=["403", "422", "not leader", "defect"],
)
def test_a_refused_event_is_dropped_at_once_and_counted(error: Exception) -> None:
    async def main() -> None:
        server = FakeEvents()
        server.before = lambda _: error
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "Succeed", "done")
            await asyncio.sleep(60)
            assert len(server.requests) == 1
            assert recorder.statistics().outcomes["failed"] == 1
            server.before = lambda _: None
            recorder.event(subject(uid="u2"), NORMAL, "Succeed", "done")
            await asyncio.sleep(2)
        assert len(server.events) == 1  # it is still alive

    scenario(main)


def test_the_budget_of_one_object_leaves_others_alone_and_loses_no_count() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server, correlator=CorrelatorOptions(burst=3, refill=0.01)) as recorder:
            for _ in range(10):
                recorder.event(subject(), NORMAL, "Noisy", "again")
                await asyncio.sleep(2)
            recorder.event(subject(uid="u2"), NORMAL, "Quiet", "once")
            await asyncio.sleep(2)
            assert server.verbs == ["create", "patch", "patch", "create"]
            assert recorder.statistics().outcomes["over_budget"] == 7
            await asyncio.sleep(100)
            recorder.event(subject(), NORMAL, "Noisy", "again")
            await asyncio.sleep(2)
        assert {event["reason"]: event["count"] for event in server.events} == {"Noisy": 11, "Quiet": 1}

    scenario(main)


def test_what_does_not_fit_in_the_queue_is_dropped_and_counted() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server, pending=5) as recorder:
            for number in range(12):
                recorder.event(subject(uid=f"u{number}"), NORMAL, "Succeed", "done")
            assert recorder.statistics().pending == 5
            assert recorder.statistics().outcomes["overflow"] == 7
            await asyncio.sleep(2)
        assert len(server.events) == 5

    scenario(main)


def test_recording_never_raises_whatever_it_is_given() -> None:
    async def main() -> None:
        recorder = Recorder(FakeEvents().client())
        with capture_logs() as logs:
            recorder.event(None, NORMAL, "R", "m")  # type: ignore[call-overload]  # that is the test
            recorder.event(subject(), "Odd", "R", "m")  # type: ignore[call-overload]  # the same
        assert recorder.statistics().outcomes["broken"] == 2
        assert [entry["event"] for entry in logs] == ["event not understood"] * 2

    scenario(main)


def test_recording_outside_of_an_event_loop_is_counted_and_not_raised() -> None:
    recorder = Recorder(FakeEvents().client())
    with capture_logs():
        recorder.event(subject(), NORMAL, "R", "m")
    assert recorder.statistics().outcomes["broken"] == 1


def test_a_note_is_recorded_like_its_parts() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(Note(subject=subject(), severity=NORMAL, reason="R", message="m"))
            recorder.event(subject(), NORMAL, "R", "m")
            await asyncio.sleep(2)
        assert [event["count"] for event in server.events] == [2]

    scenario(main)


def test_components_share_the_queue_and_keep_their_names() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.named("instance-controller").event(subject(), NORMAL, "R", "m")
            recorder.event(subject(), NORMAL, "R", "m")
            await asyncio.sleep(2)
        assert sorted(event["source"]["component"] for event in server.events) == [
            "RoleBasedGroup",
            "instance-controller",
        ]

    scenario(main)


def test_an_event_about_a_cluster_scoped_object_lands_in_default() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(subject(name="node-1", namespace=""), NORMAL, "R", "m")
            await asyncio.sleep(2)
        (key,) = server.stored
        assert key.namespace == "default"

    scenario(main)


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_long_messages_are_cut_to_what_the_api_takes(letter: str) -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "R" * 200, letter * 2000)
            await asyncio.sleep(2)
        (event,) = server.events
        assert 1015 <= len(event["message"].encode()) <= 1024
        assert event["message"].endswith("...")
        assert len(event["reason"]) == 128

    scenario(main)


def test_flush_writes_what_is_pending_at_once() -> None:
    async def main() -> None:
        server = FakeEvents()
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "R", "m")
        started = asyncio.get_running_loop().time()
        assert await recorder.flush(3.0) == 0
        assert asyncio.get_running_loop().time() - started < 0.1
        assert len(server.events) == 1

    scenario(main)


def test_flush_gives_up_at_its_deadline_and_counts_what_is_lost() -> None:
    async def main() -> None:
        server = FakeEvents(latency=3600.0)
        recorder = Recorder(server.client())
        for number in range(7):
            recorder.event(subject(uid=f"u{number}"), NORMAL, "R", "m")
        assert await recorder.flush(3.0) == 7
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)
        assert recorder.statistics().pending == 0
        assert recorder.statistics().outcomes["failed"] == 7

    scenario(main)


def test_events_being_written_when_stopped_are_left_for_the_flush() -> None:
    async def main() -> None:
        server = FakeEvents(latency=0.5)
        async with recording(server) as recorder:
            recorder.event(subject(), NORMAL, "R", "m")
            await asyncio.sleep(1.2)  # the request is under way
            assert len(server.requests) == 1
        assert recorder.statistics().pending == 1
        assert await recorder.flush(3.0) == 0
        assert [event["count"] for event in server.events] == [1]

    scenario(main)


def test_a_hanging_write_does_not_keep_others_for_ever() -> None:
    async def main() -> None:
        server = FakeEvents()

        async def send(request: ApiRequest, original: Any = server.send) -> Any:
            if b"u-bad" in (request.body or b"") and request.verb is Verb.CREATE:
                await asyncio.Event().wait()
            return await original(request)

        server.send = send  # type: ignore[method-assign]  # one request that never ends
        async with recording(server, in_flight=1) as recorder:
            recorder.event(subject(uid="u-bad"), NORMAL, "R", "m")
            recorder.event(subject(uid="u-good"), NORMAL, "R", "m")
            await asyncio.sleep(15)
        assert [event["involvedObject"]["uid"] for event in server.events] == ["u-good"]

    scenario(main)


def test_writes_are_few_at_a_time() -> None:
    async def main() -> None:
        server = FakeEvents(latency=1.0)
        async with recording(server) as recorder:
            for number in range(12):
                recorder.event(subject(uid=f"u{number}"), NORMAL, "R", "m")
            await asyncio.sleep(1.5)
            assert len(server.requests) == 4
            await asyncio.sleep(3)
        assert len(server.events) == 12

    scenario(main)
