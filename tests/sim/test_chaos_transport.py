"""What a client sees of each fault, on the transport."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rbgctrl.client.errors import (
    ApiError,
    ConflictError,
    ConnectError,
    GoneError,
    ResponseError,
    ServerTimeoutError,
    TooManyRequestsError,
    UnknownOutcomeError,
)
from rbgctrl.client.transport import ApiStream, Verb
from rbgctrl.sim.chaos import (
    Answer,
    AnyFault,
    Bytewise,
    Chaos,
    Crash,
    Delay,
    Discard,
    Drop,
    Duplicate,
    End,
    Ending,
    Hold,
    Lag,
    Match,
    Pad,
    Reorder,
    Replay,
    Retype,
    Rewind,
    Say,
    Side,
    Silence,
    SimulatedCrash,
    Swallow,
    Truncate,
)
from rbgctrl.sim.loop import run
from sim.scripted import Scripted, end_mark, line, request

CREATE = request(Verb.CREATE, body={"metadata": {"name": "a"}})
WATCH = request(Verb.WATCH, query=(("watch", "true"), ("resourceVersion", "1")))
LISTING = request(Verb.WATCH, query=(("watch", "true"), ("sendInitialEvents", "true"), ("timeoutSeconds", "300")))

Timed = list[tuple[float, bytes | str]]


def watched(*lines: bytes, faults: tuple[AnyFault, ...], chaos: Chaos | None = None) -> Timed:
    """What arrives, when, and how it ends."""

    async def watch() -> Timed:
        transport = chaos or Chaos(Scripted(*lines), faults)
        found: Timed = []
        clock = asyncio.get_running_loop().time
        try:
            async with transport.stream(WATCH) as stream:
                async for item in stream:
                    found.append((clock(), item))
        except ApiError as error:
            found.append((clock(), error.reason if isinstance(error, ConnectError) else type(error).__name__))
        else:
            found.append((clock(), "end"))
        transport.rules.check()
        return found

    return run(watch())


def what(found: Timed) -> list[bytes | str]:
    return [item for _, item in found]


def sent(fault: AnyFault, *, of: Any = CREATE) -> tuple[Any, int]:
    """What comes of one request, and how many the server saw."""

    async def send() -> tuple[Any, int]:
        inner = Scripted()
        chaos = Chaos(inner, [fault])
        try:
            outcome: Any = await chaos.send(of)
        except ApiError as error:
            outcome = error
        chaos.rules.check()
        return outcome, len(inner.sent)

    return run(send())


A, B, C, A2 = line("a", 1), line("b", 2), line("c", 3), line("a", 4)


@pytest.mark.parametrize(("side", "seen"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
def test_a_dropped_write_has_an_unknown_outcome_whether_or_not_the_server_saw_it(side: Side, seen: int) -> None:
    outcome, count = sent(Drop(Match("create", "pods"), side=side))
    assert isinstance(outcome, UnknownOutcomeError)
    assert count == seen


def test_a_dropped_read_is_a_broken_connection() -> None:
    outcome, _ = sent(Drop(Match("get")), of=request(Verb.GET, "a"))
    assert isinstance(outcome, ConnectError)
    assert outcome.reason == "reset"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(Match(), status=409, reason="Conflict"), ConflictError),
        (Answer(Match(), status=410, reason="Expired"), GoneError),
        (Answer(Match(), status=504, causes=("ResourceVersionTooLarge",)), ServerTimeoutError),
        (Answer(Match(), status=302), ResponseError),
    ],
)
def test_an_answer_is_the_error_the_real_transport_makes_of_it(answer: Answer, error: type[ApiError]) -> None:
    outcome, count = sent(answer)
    assert type(outcome) is error
    assert count == 0
    if isinstance(outcome, ServerTimeoutError):
        assert outcome.causes == ("ResourceVersionTooLarge",)


def test_an_answer_may_come_after_the_commit_and_may_ask_for_patience() -> None:
    outcome, count = sent(Answer(Match(), status=429, retry_after=7, side=Side.AFTER))
    assert isinstance(outcome, TooManyRequestsError)
    assert (outcome.retry_after, count) == (7.0, 1)


def test_a_proxys_page_instead_of_an_answer_is_shown_as_text() -> None:
    outcome, _ = sent(Answer(Match(), status=502, body="<html>Bad <b>Gateway</b></html>", content_type="text/html"))
    assert outcome.message == "Bad Gateway"


def test_a_retyped_answer_keeps_its_body_or_takes_another() -> None:
    outcome, _ = sent(Retype(Match(), content_type="text/plain"))
    assert (outcome.headers["Content-Type"], outcome.body) == ("text/plain", b"{}")
    outcome, _ = sent(Retype(Match(), body="<html>"))
    assert outcome.body == b"<html>"
    assert what(watched(A, faults=(Retype(Match("watch")),))) == ["ResponseError"]


@pytest.mark.parametrize("side", list(Side))
def test_a_delay_costs_its_time_on_either_side(side: Side) -> None:
    async def send() -> float:
        await Chaos(Scripted(), [Delay(Match(), seconds=3, side=side)]).send(CREATE)
        return asyncio.get_running_loop().time()

    assert run(send()) == 3


@pytest.mark.parametrize(("side", "seen"), [(Side.BEFORE, 0), (Side.AFTER, 1)])
def test_after_a_crash_nothing_passes(side: Side, seen: int) -> None:
    async def crash() -> None:
        inner = Scripted(A, B)
        noticed: list[bool] = []
        chaos = Chaos(inner, [Crash(Match("create"), side=side)], on_crash=lambda: noticed.append(True))
        lines: list[bytes] = []

        async def read() -> None:
            async with chaos.stream(WATCH) as stream:
                async for item in stream:
                    lines.append(item)  # noqa: PERF401 - what arrived before the crash counts

        reading = asyncio.create_task(read())
        await asyncio.sleep(1.5)
        with pytest.raises(SimulatedCrash):
            await chaos.send(CREATE)
        assert chaos.dead
        assert noticed == [True]
        assert len(inner.sent) == 1 + seen
        for dead in (chaos.send(request(Verb.GET, "a")), _opened(chaos)):
            with pytest.raises(SimulatedCrash):
                await dead
        with pytest.raises(SimulatedCrash):
            await reading
        assert lines == [A]

    run(crash())


async def _opened(chaos: Chaos) -> None:
    async with chaos.stream(WATCH):
        pass


def test_a_watch_without_faults_is_what_the_server_says() -> None:
    found = watched(A, B, faults=())
    assert found == [(1, A), (2, B), (2, "end")]


def test_a_duplicate_follows_its_original() -> None:
    assert what(watched(A, B, faults=(Duplicate(Match(nth=1), copies=2),))) == [A, A, A, B, "end"]


def test_a_replay_repeats_the_last_events_in_order() -> None:
    assert what(watched(A, B, C, faults=(Replay(Match(nth=3), events=2),))) == [A, B, C, B, C, "end"]


def test_an_event_overtaken_by_another_object_arrives_after_it() -> None:
    assert what(watched(A, A2, B, C, faults=(Reorder(Match(nth=1), patience=9),))) == [A2, B, A, C, "end"]


def test_an_event_overtaken_by_its_successor_arrives_after_it() -> None:
    found = what(watched(A, B, A2, C, faults=(Reorder(Match(nth=1), same=True, patience=9),)))
    assert found == [B, A2, A, C, "end"]


def test_an_event_that_nothing_overtakes_arrives_late_and_none_is_lost_at_the_end() -> None:
    found = watched(A, B, faults=(Reorder(Match(nth=1), same=True, patience=0.5),))
    assert found == [(1.5, A), (2, B), (2, "end")]
    assert what(watched(A, B, faults=(Reorder(Match(nth=2), patience=9),))) == [A, B, "end"]


def test_a_swallowed_event_is_replaced_by_its_successor_or_comes_late() -> None:
    assert what(watched(A, B, A2, faults=(Swallow(Match(nth=1)),))) == [B, A2, "end"]
    assert watched(A, B, faults=(Swallow(Match(nth=1), patience=0.5),)) == [(1.5, A), (2, B), (2, "end")]


def test_a_discarded_event_is_lost() -> None:
    assert what(watched(A, end_mark(5), B, faults=(Discard(Match(event="END")),))) == [A, B, "end"]


def test_an_end_mark_can_come_late_or_twice() -> None:
    mark = end_mark(5)
    late = watched(A, mark, B, faults=(Hold(Match(event="END"), seconds=30),))
    assert late == [(1, A), (32, mark), (32, B), (32, "end")]
    assert what(watched(A, mark, faults=(Duplicate(Match(event="END")),))) == [A, mark, mark, "end"]


def test_one_watch_lags_and_keeps_its_order() -> None:
    found = watched(A, B, faults=(Lag(Match("watch"), seconds=20),))
    assert found == [(21, A), (22, B), (22, "end")]


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (End(Match(event="change", nth=2)), "end"),
        (End(Match(event="change", nth=2), how=Ending.RESET), "reset"),
        (Truncate(Match(nth=2)), "end"),
        (Truncate(Match(nth=2), how=Ending.RESET), "reset"),
    ],
)
def test_a_watch_that_ends_or_is_cut_delivers_whole_lines_only(fault: AnyFault, end: str) -> None:
    assert watched(A, B, C, faults=(fault,)) == [(1, A), (2, end)]


def test_a_silent_watch_is_given_up_as_the_real_transport_does() -> None:
    assert watched(A, B, C, faults=(Silence(Match(event="change", nth=2)),)) == [(1, A), (152, "timeout")]
    assert watched(A, faults=(Silence(Match("watch")),)) == [(150, "timeout")]


def test_the_server_can_say_that_the_past_is_gone() -> None:
    first, error, end = what(watched(A, B, faults=(Say(Match(event="change", nth=2), status=410, reason="Expired"),)))
    assert (first, end) == (A, "end")
    assert json.loads(error)["object"]["code"] == 410


def test_a_padded_line_says_the_same_at_greater_length() -> None:
    (padded, _) = what(watched(A, faults=(Pad(Match(), size=5_000_000),)))
    assert len(padded) == len(A) + 5_000_000
    assert json.loads(padded) == json.loads(A)


def test_a_rewound_watch_lists_an_earlier_moment_and_tells_the_rest_later() -> None:
    async def watch() -> None:
        inner = Scripted(A, B)
        chaos = Chaos(inner, [Rewind(Match("watch", form="initial"), to=7, lag=60)])
        clock = asyncio.get_running_loop().time
        async with chaos.stream(LISTING) as stream:
            found = [(clock(), json.loads(item)) async for item in stream]
        asked, followed = inner.sent
        assert asked.verb is Verb.LIST
        assert asked.query == (("resourceVersion", "7"), ("resourceVersionMatch", "Exact"))
        assert followed.query == (("watch", "true"), ("timeoutSeconds", "300"), ("resourceVersion", "7"))
        assert [(at, obj["type"]) for at, obj in found] == [
            (0, "ADDED"),
            (0, "BOOKMARK"),
            (61, "MODIFIED"),
            (62, "MODIFIED"),
        ]
        assert found[0][1]["object"]["kind"] == "Pod"
        assert found[1][1]["object"]["metadata"]["resourceVersion"] == "7"

    run(watch())


def test_a_rewind_may_go_back_a_number_of_changes_seen_so_far() -> None:
    async def listed() -> None:
        inner = Scripted(A, B, C, A2)
        chaos = Chaos(inner)
        async with chaos.stream(WATCH) as stream:
            assert len([item async for item in stream]) == 4
        chaos.rules.add(Rewind(Match("list", times=1), back=2), Rewind(Match("list", skip=1), back=9))
        await chaos.send(request(Verb.LIST, query=(("limit", "500"),)))
        assert inner.sent[-1].query == (("resourceVersion", "2"), ("resourceVersionMatch", "Exact"))
        with pytest.raises(LookupError, match="only 5 were seen"):
            await chaos.send(request(Verb.LIST))

    run(listed())


def test_faults_of_bytes_are_refused_here() -> None:
    with pytest.raises(ValueError, match="proxy"):
        Chaos(Scripted(), [Bytewise(Match("watch"))])


@pytest.mark.parametrize("fault", [Lag(Match("watch"), seconds=50), Silence(Match(event="change"))])
def test_leaving_a_watch_leaves_nothing_running(fault: AnyFault) -> None:
    async def leave() -> None:
        inner = Scripted(A, B)
        chaos = Chaos(inner, [fault])
        async with chaos.stream(WATCH) as stream:
            await _gives_up(stream)
        assert inner.open == 0
        await chaos.close()
        assert inner.closed
        assert len(asyncio.all_tasks()) == 1

    run(leave())


async def _gives_up(stream: ApiStream) -> None:
    async def read() -> None:
        async for _ in stream:
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 5)
