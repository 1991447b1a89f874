"""How the watcher remembers: pauses, lag, fallbacks and reasons over several steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rbgctrl.client.errors import (
    BadRequestError,
    ConnectError,
    ForbiddenError,
    InvalidError,
    MethodNotAllowedError,
    NotFoundError,
    ServerTimeoutError,
    UnavailableError,
)
from rbgctrl.informers import signals as s
from rbgctrl.informers.signals import Phase, State
from rbgctrl.informers.watcher import live_event, parse_rv, step
from unit.informers.states import (
    BUSY,
    DOWN,
    DRAW,
    GARBLED,
    GONE,
    LIVE,
    LOST,
    NOW,
    PAGES,
    PAGING,
    PAUSE,
    PROBING,
    RELISTING,
    STREAM,
    STREAMING,
    TOO_LARGE,
    after,
    pause,
    reports,
)

MIDWAY = replace(PAGING, snapshot=60)
REFUSALS = [BadRequestError(400), ForbiddenError(403), MethodNotAllowedError(405), InvalidError(422)]
TROUBLE = [s.Failed(BUSY), s.Failed(DOWN), s.Failed(LOST), s.Ended(9, advanced=True), s.Bookmarked(49)]

# Where a pause leads, by what went wrong
THEN: list[tuple[State, Exception, Phase]] = [
    (STREAMING, DOWN, Phase.STREAMING),
    (STREAMING, LOST, Phase.STREAMING),
    (STREAMING, BUSY, Phase.STREAMING),
    (STREAMING, GARBLED, Phase.PAGING),
    (PAGING, DOWN, Phase.PAGING),
    (PAGING, GARBLED, Phase.PAGING),
    (LIVE, BUSY, Phase.LIVE),
    (LIVE, LOST, Phase.PROBING),
    (LIVE, DOWN, Phase.PROBING),
    (LIVE, NotFoundError(404), Phase.PROBING),
    (LIVE, TOO_LARGE, Phase.PROBING),
    (PROBING, DOWN, Phase.PROBING),
    (PROBING, TOO_LARGE, Phase.PROBING),
]


@pytest.mark.parametrize(("state", "error", "then"), THEN)
def test_after_a_pause_the_interrupted_work_goes_on_and_errors_of_a_watch_are_followed_by_a_probe(
    state: State, error: Exception, then: Phase
) -> None:
    new, _ = after(state, s.Failed(error))
    assert (new.phase, new.then) == (Phase.WAITING, then)


@pytest.mark.parametrize("error", REFUSALS)
def test_a_server_that_refuses_streamed_lists_is_paged_at_once_and_never_asked_again(error: Exception) -> None:
    paging, outputs = after(STREAMING, s.Failed(error))
    assert (paging.phase, paging.streaming, outputs) == (Phase.PAGING, False, PAGES)
    live, _ = after(paging, s.PageArrived((), 60, more=False))
    again, outputs = after(live, s.Failed(GONE))
    assert (again.phase, outputs) == (Phase.PAGING, PAGES)


def test_a_stream_that_merely_broke_is_tried_again_at_the_next_list() -> None:
    paging, _ = after(STREAMING, s.Ended(5, advanced=False))
    live, _ = after(paging, s.PageArrived((), 60, more=False))
    again, _ = after(live, s.Failed(GONE))
    assert again.phase is Phase.STREAMING


@pytest.mark.parametrize("signal", TROUBLE)
def test_whatever_fails_the_resume_version_is_kept(signal: s.Input) -> None:
    new, _ = after(LIVE, signal)
    assert (new.rv, new.fresh) == (50, False)


def test_pauses_double_up_to_their_limit_and_start_over_after_two_minutes_of_health() -> None:
    state, pauses = PROBING, []
    for _ in range(8):
        state, (wait,) = after(replace(state, phase=Phase.PROBING), s.Failed(DOWN))
        pauses.append(wait.seconds)
    assert pauses == pytest.approx([pause(attempt) for attempt in range(8)])
    assert pauses[-1] == pytest.approx(30 * 0.55)
    healthy = replace(LIVE, attempt=8, healthy_since=NOW - 119)
    assert after(healthy, s.Failed(DOWN))[1] == [s.Wait(pause(8))]
    healthy = replace(LIVE, attempt=8, healthy_since=NOW - 120)
    assert after(healthy, s.Failed(DOWN))[1] == PAUSE


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_full_jitter_spreads_pauses_below_the_ceiling_but_never_down_to_nothing(draw: float) -> None:
    _, outputs = step(LIVE, s.Failed(DOWN), now=NOW, draw=draw)
    (wait,) = [output for output in outputs if isinstance(output, s.Wait)]
    assert 0.08 <= wait.seconds < 0.8


def test_retry_after_is_the_least_pause_but_an_absurd_one_is_cut() -> None:
    assert after(LIVE, s.Failed(UnavailableError(503, retry_after=12)))[1] == [s.Wait(12)]
    assert after(LIVE, s.Failed(UnavailableError(503, retry_after=0.1)))[1] == PAUSE
    assert after(LIVE, s.Failed(UnavailableError(503, retry_after=3600)))[1] == [s.Wait(300)]
    assert after(PROBING, s.Failed(ServerTimeoutError(504, causes=TOO_LARGE.causes, retry_after=4)))[1] == [s.Wait(4)]


def test_a_second_relist_soon_after_the_first_waits() -> None:
    first, outputs = after(LIVE, s.Failed(GONE))
    assert isinstance(outputs[-1], s.OpenWatchList)
    live, _ = after(first, s.Bookmarked(60, end=True))
    second, outputs = after(live, s.Failed(GONE), now=NOW + 10)
    assert (second.phase, second.then, outputs) == (Phase.WAITING, Phase.STREAMING, [s.Wait(pause(1))])
    much_later, outputs = after(live, s.Failed(GONE), now=NOW + 500)
    assert isinstance(outputs[-1], s.OpenWatchList)
    assert much_later.attempt == 1


def test_health_is_counted_from_the_first_watch_and_not_from_the_last() -> None:
    live, _ = after(LIVE, s.Opened(), now=10)
    again, _ = after(live, s.Ended(300, advanced=True), now=310)
    assert after(again, s.Opened(), now=310)[0].healthy_since == 10


def test_lag_is_measured_from_its_beginning_and_forgotten_when_something_else_happens() -> None:
    waiting, _ = after(PROBING, s.Failed(TOO_LARGE), now=100)
    probing, _ = after(waiting, s.Elapsed(), now=104)
    waiting, outputs = after(probing, s.Failed(TOO_LARGE), now=130)
    assert outputs == [s.Wait(1.0)]  # 30 s are not yet more than 30 s
    probing, _ = after(waiting, s.Elapsed(), now=131)
    assert after(probing, s.Failed(TOO_LARGE), now=131)[0].phase is Phase.STREAMING
    restarted, _ = after(probing, s.Failed(LOST), now=131)
    probing, _ = after(restarted, s.Elapsed(), now=140)
    assert after(probing, s.Failed(TOO_LARGE), now=140)[1] == [s.Wait(1.0)]


def test_a_list_that_broke_in_the_middle_starts_over_from_its_first_page() -> None:
    waiting, _ = after(MIDWAY, s.Failed(GONE))
    again, outputs = after(waiting, s.Elapsed())
    assert (again.snapshot, outputs) == (None, PAGES)


def test_an_expired_list_of_any_state_not_older_is_repeated_for_the_present_state() -> None:
    waiting, _ = after(RELISTING, s.Failed(GONE))
    assert after(waiting, s.Elapsed())[1] == STREAM


@pytest.mark.parametrize(
    ("state", "signal", "found"),
    [
        (State(), s.Started(), ("relist", "start")),
        (LIVE, s.Failed(GONE), ("relist", "expired")),
        (LIVE, s.Failed(GARBLED), ("relist", "unreadable")),
        (LIVE, s.Failed(RuntimeError("a defect of ours")), ("relist", "unreadable")),
        (LIVE, s.Failed(InvalidError(422)), ("relist", "refused")),
        (PROBING, s.Answered(49), ("relist", "rewind")),
        (replace(PROBING, lagging_since=0.0), s.Failed(TOO_LARGE), ("relist", "rewind")),
        (PROBING, s.Failed(TOO_LARGE), ("lag", "ahead of the server")),
        (LIVE, s.Ended(300, advanced=True), ("restart", "ended")),
        (LIVE, s.Ended(0.1, advanced=False), ("restart", "short")),
        (LIVE, s.Bookmarked(49), ("restart", "bookmark")),
        (LIVE, s.Failed(ConnectError("silent", reason="timeout")), ("restart", "timeout")),
        (LIVE, s.Failed(LOST), ("restart", "reset")),
        (LIVE, s.Failed(OSError("no route")), ("restart", "failed")),
        (LIVE, s.Failed(BUSY), ("restart", "429")),
        (STREAMING, s.Failed(ForbiddenError(403)), ("fallback", "refused")),
        (STREAMING, s.MarkMissing(), ("fallback", "no end mark")),
        (PAGING, s.Failed(DOWN), ("retry", "503")),
    ],
)
def test_every_turn_is_reported_with_its_reason(state: State, signal: s.Input, found: tuple[str, str]) -> None:
    assert reports(state, signal) == [found]


def test_the_server_is_asked_to_end_watches_between_five_and_ten_minutes() -> None:
    timeouts = []
    for draw in (0.0, 0.5, 0.999):
        _, outputs = step(LIVE, s.Ended(300, advanced=True), now=NOW, draw=draw)
        timeouts += [output.timeout for output in outputs if isinstance(output, s.OpenWatch)]
    assert timeouts == [300, 450, 599]


@pytest.mark.parametrize("phase", Phase)
def test_an_impossible_input_is_refused_in_every_phase(phase: Phase) -> None:
    impossible = s.Elapsed() if phase is not Phase.WAITING else s.Opened()
    with pytest.raises(TypeError, match=r"cannot happen while"):
        step(State(phase=phase), impossible, now=NOW, draw=DRAW)


@pytest.mark.parametrize("text", ["", "abc", "1.5", "-1", "+1", " 1", "1_0", "٣", "0x10"])
def test_a_resource_version_that_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(s.ResourceVersionError):
        parse_rv(text)


def test_resource_versions_are_compared_as_numbers_of_any_size() -> None:
    assert parse_rv("9") < parse_rv("10") < parse_rv(str(2**70))
    assert live_event(10, 9) == 10
    assert live_event(9, 10) == 10
