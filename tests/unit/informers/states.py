"""States, errors and outputs that the tests of the watcher share."""

from __future__ import annotations

from typing import Any

from rbgctrl.client.errors import (
    ConnectError,
    GoneError,
    ResponseError,
    ServerTimeoutError,
    TooManyRequestsError,
    UnavailableError,
)
from rbgctrl.informers import signals as s
from rbgctrl.informers.signals import Phase, State
from rbgctrl.informers.watcher import step

NOW, DRAW = 1000.0, 0.5
TIMEOUT = 450  # halfway between 300 and 600
OBJ = object()

STREAMING = State(phase=Phase.STREAMING)
PAGING = State(phase=Phase.PAGING)
LIVE = State(phase=Phase.LIVE, rv=50, fresh=False)
PROBING = State(phase=Phase.PROBING, rv=50, fresh=False)
RELISTING = State(phase=Phase.STREAMING, rv=50, fresh=False)

GONE = GoneError(410, "Expired")
LOST = ConnectError("reset", reason="reset")
BUSY = TooManyRequestsError(429, retry_after=7)
DOWN = UnavailableError(503)
GARBLED = ResponseError("what?")
TOO_LARGE = ServerTimeoutError(504, "Timeout", causes=("ResourceVersionTooLarge",))


def pause(attempt: int = 0) -> float:
    return min(30.0, 0.8 * 2.0**attempt) * 0.55


PAUSE: list[Any] = [s.Wait(pause())]
STREAM: list[Any] = [s.Begin(), s.OpenWatchList("", TIMEOUT)]
STREAM_SINCE: list[Any] = [s.Begin(), s.OpenWatchList("50", TIMEOUT)]
PAGES: list[Any] = [s.Begin(), s.ListPages("")]
WATCH: list[Any] = [s.OpenWatch(50, TIMEOUT)]


def after(state: State, signal: s.Input, now: float = NOW) -> tuple[State, list[Any]]:
    """The next state, and the outputs without reports."""
    new, outputs = step(state, signal, now=now, draw=DRAW)
    return new, [output for output in outputs if not isinstance(output, s.Report)]


def reports(state: State, signal: s.Input) -> list[tuple[str, str]]:
    _, outputs = step(state, signal, now=NOW, draw=DRAW)
    return [(output.event, output.reason) for output in outputs if isinstance(output, s.Report)]
