"""Every row of the watcher's transition table. Nothing here waits, lists or watches: states and inputs are values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rbgctrl.client.errors import (
    BadRequestError,
    ConfigError,
    ForbiddenError,
    InternalServerError,
    NotFoundError,
    UnauthorizedError,
)
from rbgctrl.informers import signals as s
from rbgctrl.informers.signals import Phase, State
from unit.informers.states import (
    BUSY,
    DOWN,
    GARBLED,
    GONE,
    LIVE,
    LOST,
    NOW,
    OBJ,
    PAGES,
    PAGING,
    PAUSE,
    PROBING,
    RELISTING,
    STREAM,
    STREAM_SINCE,
    STREAMING,
    TIMEOUT,
    TOO_LARGE,
    WATCH,
    after,
)

MIDWAY = replace(PAGING, snapshot=60)
REPAGING = replace(PAGING, rv=50, fresh=False)
PAGE = ((OBJ, 9),)


def waiting(then: Phase) -> State:
    return State(phase=Phase.WAITING, then=then, rv=50)


ROWS: list[tuple[str, State, s.Input, Phase, list[Any]]] = [
    # name, state, input, next phase, outputs
    ("start", State(), s.Started(), Phase.STREAMING, STREAM),
    ("start without streaming", State(streaming=False), s.Started(), Phase.PAGING, PAGES),
    # the list as a stream
    ("stream opened", STREAMING, s.Opened(), Phase.STREAMING, []),
    ("initial event", STREAMING, s.Changed("ADDED", OBJ, 9), Phase.STREAMING, [s.Stage(PAGE)]),
    ("change before the end", STREAMING, s.Changed("MODIFIED", OBJ, 9), Phase.STREAMING, [s.Stage(PAGE)]),
    ("deletion before the end", STREAMING, s.Changed("DELETED", OBJ, 9), Phase.STREAMING, [s.Unstage(OBJ, 9)]),
    ("end mark", STREAMING, s.Bookmarked(60, end=True), Phase.LIVE, [s.Swap(60, rewind=False), s.Progress(60)]),
    ("bookmark instead of end mark", STREAMING, s.Bookmarked(60), Phase.PAGING, PAGES),
    ("end mark missing", STREAMING, s.MarkMissing(), Phase.PAGING, PAGES),
    ("end before the end mark", STREAMING, s.Ended(5, advanced=False), Phase.PAGING, PAGES),
    ("unknown event in a list", STREAMING, s.Changed("ODD", OBJ, 9), Phase.WAITING, PAUSE),
    ("stream 429", STREAMING, s.Failed(BUSY), Phase.WAITING, [s.Wait(7)]),
    ("stream 503", STREAMING, s.Failed(DOWN), Phase.WAITING, PAUSE),
    ("stream 404", STREAMING, s.Failed(NotFoundError(404)), Phase.WAITING, PAUSE),
    ("stream lost", STREAMING, s.Failed(LOST), Phase.WAITING, PAUSE),
    ("stream expired", RELISTING, s.Failed(GONE), Phase.WAITING, PAUSE),
    ("stream unreadable", STREAMING, s.Failed(GARBLED), Phase.WAITING, PAUSE),
    ("older list than asked for", RELISTING, s.Bookmarked(40, end=True), Phase.STREAMING, STREAM),
    (
        "present state is older",
        replace(RELISTING, fresh=True),
        s.Bookmarked(40, end=True),
        Phase.LIVE,
        [s.Swap(40, rewind=True), s.Progress(40)],
    ),
    # the list as pages
    ("first page", PAGING, s.PageArrived(PAGE, 60, more=True), Phase.PAGING, [s.Stage(PAGE), s.NextPage()]),
    (
        "last page",
        MIDWAY,
        s.PageArrived(PAGE, 60, more=False),
        Phase.LIVE,
        [s.Stage(PAGE), s.Swap(60, rewind=False), s.Progress(60), s.OpenWatch(60, TIMEOUT)],
    ),
    ("page of another list", MIDWAY, s.PageArrived((), 61, more=False), Phase.WAITING, PAUSE),
    ("page expired", MIDWAY, s.Failed(GONE), Phase.WAITING, PAUSE),
    ("page 503", PAGING, s.Failed(DOWN), Phase.WAITING, PAUSE),
    ("page 403", PAGING, s.Failed(ForbiddenError(403)), Phase.WAITING, PAUSE),
    ("page 404", PAGING, s.Failed(NotFoundError(404)), Phase.WAITING, PAUSE),
    ("page ahead of the server", REPAGING, s.Failed(TOO_LARGE), Phase.WAITING, [s.Wait(1.0)]),
    # following
    ("watch opened", LIVE, s.Opened(), Phase.LIVE, []),
    ("added", LIVE, s.Changed("ADDED", OBJ, 51), Phase.LIVE, [s.Put(OBJ, 51), s.Progress(51)]),
    ("modified", LIVE, s.Changed("MODIFIED", OBJ, 51), Phase.LIVE, [s.Put(OBJ, 51), s.Progress(51)]),
    ("deleted", LIVE, s.Changed("DELETED", OBJ, 51), Phase.LIVE, [s.Remove(OBJ, 51), s.Progress(51)]),
    ("replayed", LIVE, s.Changed("MODIFIED", OBJ, 49), Phase.LIVE, [s.Put(OBJ, 49), s.Progress(50)]),
    ("bookmark", LIVE, s.Bookmarked(55), Phase.LIVE, [s.Progress(55)]),
    ("same bookmark", LIVE, s.Bookmarked(50), Phase.LIVE, [s.Progress(50)]),
    ("second end mark", LIVE, s.Bookmarked(50, end=True), Phase.LIVE, [s.Progress(50)]),
    ("lower bookmark", LIVE, s.Bookmarked(49), Phase.WAITING, PAUSE),
    ("unknown event", LIVE, s.Changed("ODD", OBJ, 51), Phase.STREAMING, STREAM_SINCE),
    ("clean end", LIVE, s.Ended(300, advanced=True), Phase.LIVE, WATCH),
    ("clean end of a quiet watch", LIVE, s.Ended(300, advanced=False), Phase.LIVE, WATCH),
    ("short but useful watch", LIVE, s.Ended(0.1, advanced=True), Phase.LIVE, WATCH),
    ("very short watch", LIVE, s.Ended(0.1, advanced=False), Phase.WAITING, PAUSE),
    ("watch expired", LIVE, s.Failed(GONE), Phase.STREAMING, STREAM),
    ("watch rv refused", LIVE, s.Failed(BadRequestError(400)), Phase.STREAMING, STREAM),
    ("watch unreadable", LIVE, s.Failed(GARBLED), Phase.STREAMING, STREAM_SINCE),
    ("watch ahead of the server", LIVE, s.Failed(TOO_LARGE), Phase.WAITING, [s.Wait(1.0)]),
    ("watch 429", LIVE, s.Failed(BUSY), Phase.WAITING, [s.Wait(7)]),
    ("watch 500", LIVE, s.Failed(InternalServerError(500)), Phase.WAITING, PAUSE),
    ("watch 401", LIVE, s.Failed(UnauthorizedError(401)), Phase.WAITING, PAUSE),
    ("watch 404", LIVE, s.Failed(NotFoundError(404)), Phase.WAITING, PAUSE),
    ("watch lost", LIVE, s.Failed(LOST), Phase.WAITING, PAUSE),
    ("no credentials", LIVE, s.Failed(ConfigError("no token")), Phase.WAITING, PAUSE),
    # asking whether the server knows our past
    ("server knows", PROBING, s.Answered(50), Phase.LIVE, WATCH),
    ("server is older", PROBING, s.Answered(49), Phase.STREAMING, STREAM),
    ("server lags", PROBING, s.Failed(TOO_LARGE), Phase.WAITING, [s.Wait(1.0)]),
    (
        "server has lagged for too long",
        replace(PROBING, lagging_since=NOW - 31),
        s.Failed(TOO_LARGE),
        Phase.STREAMING,
        STREAM,
    ),
    ("probe expired", PROBING, s.Failed(GONE), Phase.STREAMING, STREAM),
    ("probe 429", PROBING, s.Failed(BUSY), Phase.WAITING, [s.Wait(7)]),
    ("probe lost", PROBING, s.Failed(LOST), Phase.WAITING, PAUSE),
    # after a pause
    ("then stream", waiting(Phase.STREAMING), s.Elapsed(), Phase.STREAMING, STREAM),
    ("then page", waiting(Phase.PAGING), s.Elapsed(), Phase.PAGING, PAGES),
    ("then watch", waiting(Phase.LIVE), s.Elapsed(), Phase.LIVE, WATCH),
    ("then probe", waiting(Phase.PROBING), s.Elapsed(), Phase.PROBING, [s.Probe(50)]),
]


@pytest.mark.parametrize(("name", "state", "signal", "phase", "outputs"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_table_leads_where_it_says(
    name: str, state: State, signal: s.Input, phase: Phase, outputs: list[Any]
) -> None:
    new, found = after(state, signal)
    assert (new.phase, found) == (phase, outputs)
