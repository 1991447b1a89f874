"""How a watcher decides: a pure state machine around list and watch.

Flow::

    EMPTY -> STREAMING or PAGING (temporary store) -> LIVE -> clean end -> LIVE again, at once
                   ^                                   |
                   |  410, unreadable answers          |  any other error
                   +-----------------------------------+--> WAITING -> PROBING -> LIVE
                   ^                                                     |
                   +--- the server lacks our past for longer than patience

Guarantees: the resume resourceVersion never runs ahead of the store; nothing staged is visible before the swap; no
two snapshots are mixed; repeated failures are spaced out; no error ends the machine.

Assumptions: resourceVersions are numbers that grow over the whole kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from rbgctrl.client.errors import ApiError, ApiStatusError, ConnectError, ResponseError
from rbgctrl.informers.signals import (
    Answered,
    Begin,
    Bookmarked,
    Changed,
    Elapsed,
    Ended,
    Failed,
    InformerOptions,
    Input,
    ListPages,
    MarkMissing,
    NextPage,
    Opened,
    OpenWatch,
    OpenWatchList,
    Output,
    PageArrived,
    Phase,
    Probe,
    Progress,
    Put,
    Remove,
    Report,
    ResourceVersionError,
    Stage,
    Started,
    State,
    Swap,
    Unstage,
    Wait,
    WatchError,
)

__all__ = ["PUTS", "REMOVES", "live_event", "parse_rv", "step"]

Step: TypeAlias = tuple[State, tuple[Output, ...]]

PUTS: Final = frozenset(("ADDED", "MODIFIED"))
REMOVES: Final = "DELETED"

_DEFAULTS = InformerOptions()
_LEAST_PAUSE = 0.1  # share of the ceiling that full jitter never goes below, so that the rate of requests is bounded
_LONGEST_RETRY_AFTER = 300.0
_LAG_PAUSE = 1.0
_NO_STREAMED_LISTS = frozenset((400, 403, 405, 422))
_RV_REFUSED = frozenset((400, 422))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a step may use besides state and input."""

    now: float
    draw: float
    options: InformerOptions

    @property
    def watch_timeout(self) -> int:
        least, most = self.options.watch_timeout
        return least + int((most - least) * self.draw)


def step(state: State, signal: Input, *, now: float, draw: float, options: InformerOptions = _DEFAULTS) -> Step:
    """The state after ``signal``, and what to do, in order.

    Args:
        state: the present state.
        signal: what happened.
        now: time of the loop in seconds.
        draw: a number drawn uniformly from [0, 1).
        options: timing.

    Raises:
        TypeError: the signal cannot happen in this phase; a defect of the caller.
    """
    return _PHASES[state.phase](state, signal, _Turn(now, draw, options))


def live_event(rv: int, event_rv: int) -> int:
    """The progress after an event of ``event_rv`` in a live watch; replayed events do not set it back."""
    return event_rv if event_rv > rv else rv  # noqa: FURB136 - once per event; a call to max costs twice as much


def parse_rv(text: str) -> int:
    """A resourceVersion as a number.

    Raises:
        ResourceVersionError: it is not one.
    """
    if text.isdecimal() and text.isascii():
        return int(text)
    raise ResourceVersionError(f"resourceVersion {text[:40]!r} is not a number")


# Phases


def _empty(state: State, signal: Input, turn: _Turn) -> Step:
    if isinstance(signal, Started):
        return _enter(state, turn, _listing(state), Report("relist", "start"))
    raise _unexpected(state, signal)


def _waiting(state: State, signal: Input, turn: _Turn) -> Step:
    if isinstance(signal, Elapsed):
        return _enter(state, turn, state.then)
    raise _unexpected(state, signal)


def _streaming(state: State, signal: Input, turn: _Turn) -> Step:
    match signal:
        case Opened():
            return state, ()
        case Changed(type=kind, object=obj, rv=rv):
            # Initial events come in order of name: their resourceVersions say nothing about completeness.
            if kind in PUTS:
                return state, (Stage(((obj, rv),)),)
            if kind == REMOVES:
                return state, (Unstage(obj, rv),)
            return _streaming(state, Failed(_unknown_event(kind)), turn)
        case Bookmarked(rv=rv, end=True):
            return _swap(replace(state, healthy_since=turn.now), turn, rv)
        case Bookmarked() | MarkMissing():
            return _fall_back(state, turn, "no end mark")
        case Ended():
            # The server may be going down: page this once, stream the next time.
            return _enter(state, turn, Phase.PAGING, Report("fallback", "ended"))
        case Failed(error=error):
            if isinstance(error, ApiStatusError) and error.status in _NO_STREAMED_LISTS:
                return _fall_back(state, turn, "refused", error)
            if _unreadable(error):
                return _back_off(state, turn, Phase.PAGING, "retry", error)
            return _listing_failed(state, turn, error)
    raise _unexpected(state, signal)


def _paging(state: State, signal: Input, turn: _Turn) -> Step:
    match signal:
        case PageArrived(objects=objects, rv=rv, more=more):
            if state.snapshot not in (None, rv):
                error = WatchError(f"the list changed from resourceVersion {state.snapshot} to {rv} between pages")
                return _back_off(state, turn, Phase.PAGING, "retry", error)
            if more:
                return replace(state, snapshot=rv), (Stage(objects), NextPage())
            return _swap(state, turn, rv, Stage(objects))
        case Failed(error=error):
            return _listing_failed(state, turn, error)
    raise _unexpected(state, signal)


def _live(state: State, signal: Input, turn: _Turn) -> Step:
    match signal:
        case Opened():
            since = turn.now if state.healthy_since is None else state.healthy_since
            return replace(state, healthy_since=since), ()
        case Changed(type=kind, object=obj, rv=rv):
            progress = live_event(state.rv, rv)
            if kind in PUTS:
                return replace(state, rv=progress), (Put(obj, rv), Progress(progress))
            if kind == REMOVES:
                return replace(state, rv=progress), (Remove(obj, rv), Progress(progress))
            return _live_failed(state, turn, _unknown_event(kind))
        case Bookmarked(rv=rv):
            if rv >= state.rv:
                return replace(state, rv=rv), (Progress(rv),)
            error = WatchError(f"a bookmark of resourceVersion {rv} after {state.rv}")
            return _back_off(state, turn, Phase.PROBING, "restart", error, reason="bookmark")
        case Ended(lived=lived, advanced=advanced):
            if lived < turn.options.short_watch and not advanced:
                return _back_off(state, turn, Phase.LIVE, "restart", None, reason="short")
            return _enter(state, turn, Phase.LIVE, Report("restart", "ended"))
        case Failed(error=error):
            return _live_failed(state, turn, error)
    raise _unexpected(state, signal)


def _probing(state: State, signal: Input, turn: _Turn) -> Step:
    match signal:
        case Answered(rv=rv):
            if rv < state.rv:  # the answer broke its own promise, so ask for the present state
                return _relist(state, turn, "rewind", fresh=True)
            return _enter(replace(state, lagging_since=None), turn, Phase.LIVE)
        case Failed(error=error):
            if _too_large(error):
                return _lagging(state, turn, error)
            if _gone(error):
                return _relist(state, turn, "expired", fresh=True, error=error)
            return _back_off(replace(state, lagging_since=None), turn, Phase.PROBING, "retry", error)
    raise _unexpected(state, signal)


_PHASES: Final[dict[Phase, Callable[[State, Input, _Turn], Step]]] = {
    Phase.EMPTY: _empty,
    Phase.WAITING: _waiting,
    Phase.STREAMING: _streaming,
    Phase.PAGING: _paging,
    Phase.LIVE: _live,
    Phase.PROBING: _probing,
}


# Moves between phases


def _listing(state: State) -> Phase:
    return Phase.STREAMING if state.streaming else Phase.PAGING


def _enter(state: State, turn: _Turn, phase: Phase, *before: Output) -> Step:
    """Begin ``phase``: its first action, after ``before``."""
    state = replace(state, phase=phase, snapshot=None)
    since = "" if state.fresh or not state.rv else str(state.rv)
    match phase:
        case Phase.STREAMING:
            return state, (*before, Begin(), OpenWatchList(since, turn.watch_timeout))
        case Phase.PAGING:
            return state, (*before, Begin(), ListPages(since))
        case Phase.PROBING:
            return state, (*before, Probe(state.rv))
        case _:
            return state, (*before, OpenWatch(state.rv, turn.watch_timeout))


def _swap(state: State, turn: _Turn, rv: int, *before: Output) -> Step:
    """The list is complete. A streamed one goes on as the watch; a paged one needs a watch to be opened."""
    if rv < state.rv and not state.fresh:  # asked for something not older: ask for the present state instead
        return _relist(state, turn, "rewind", fresh=True)
    outputs = (*before, Swap(rv, rewind=rv < state.rv), Progress(rv))
    was = state.phase
    state = replace(state, phase=Phase.LIVE, rv=rv, fresh=False, lagging_since=None, snapshot=None)
    return (state, outputs) if was is Phase.STREAMING else _enter(state, turn, Phase.LIVE, *outputs)


def _back_off(
    state: State,
    turn: _Turn,
    then: Phase,
    event: str,
    error: Exception | None,
    *,
    reason: str = "",
) -> Step:
    """Pause, longer with each failure, at least as long as the server asked for; then go on as ``then``."""
    attempt = _attempt(state, turn)
    ceiling = min(turn.options.backoff_limit, turn.options.backoff * 2 ** min(attempt, 30))
    pause = ceiling * (_LEAST_PAUSE + (1 - _LEAST_PAUSE) * turn.draw)
    pause = max(pause, min(_retry_after(error), _LONGEST_RETRY_AFTER))
    state = replace(state, phase=Phase.WAITING, then=then, attempt=attempt + 1, healthy_since=None)
    return state, (Report(event, reason or _reason(error), error, pause), Wait(pause))


def _attempt(state: State, turn: _Turn) -> int:
    since = state.healthy_since
    return 0 if since is not None and turn.now - since >= turn.options.backoff_reset else state.attempt


def _relist(state: State, turn: _Turn, reason: str, *, fresh: bool, error: Exception | None = None) -> Step:
    """List again: at once when all was well, spaced out when that happens again and again."""
    state = replace(state, fresh=fresh, lagging_since=None)
    if _attempt(state, turn):
        return _back_off(state, turn, _listing(state), "relist", error, reason=reason)
    state = replace(state, attempt=1, healthy_since=None)
    return _enter(state, turn, _listing(state), Report("relist", reason, error))


def _live_failed(state: State, turn: _Turn, error: Exception) -> Step:
    status = error.status if isinstance(error, ApiStatusError) else 0
    if _gone(error):
        return _relist(state, turn, "expired", fresh=True, error=error)
    if status in _RV_REFUSED:
        return _relist(state, turn, "refused", fresh=True, error=error)
    if _unreadable(error):
        return _relist(state, turn, "unreadable", fresh=False, error=error)
    if _too_large(error):
        return _lagging(replace(state, phase=Phase.PROBING), turn, error)
    # Shedding load says nothing about the past the server knows; any other error may have led us to another server.
    then = Phase.LIVE if status == 429 else Phase.PROBING
    return _back_off(state, turn, then, "restart", error)


def _listing_failed(state: State, turn: _Turn, error: Exception) -> Step:
    """A list that failed is repeated from its first page. It never means that there are no objects."""
    if _too_large(error):
        return _lagging(state, turn, error)
    state = replace(state, fresh=state.fresh or _gone(error), lagging_since=None)
    return _back_off(state, turn, state.phase, "retry", error)


def _lagging(state: State, turn: _Turn, error: Exception) -> Step:
    """The server has not seen our resourceVersion: wait for a server that lags, but not for ever.

    Going back at once would mean acting on a past that the cluster has already left.
    """
    since = turn.now if state.lagging_since is None else state.lagging_since
    if turn.now - since > turn.options.lag_patience:
        state = replace(state, fresh=True, lagging_since=None)
        return _enter(state, turn, _listing(state), Report("relist", "rewind", error))
    pause = max(_LAG_PAUSE, min(_retry_after(error), _LONGEST_RETRY_AFTER))
    state = replace(state, phase=Phase.WAITING, then=state.phase, lagging_since=since, healthy_since=None)
    return state, (Report("lag", "ahead of the server", error, pause), Wait(pause))


def _fall_back(state: State, turn: _Turn, reason: str, error: Exception | None = None) -> Step:
    """The server cannot stream lists: page, and do not ask again."""
    return _enter(replace(state, streaming=False), turn, Phase.PAGING, Report("fallback", reason, error))


# Errors


def _gone(error: Exception) -> bool:
    return isinstance(error, ApiStatusError) and (error.status == 410 or error.reason in ("Expired", "Gone"))


def _too_large(error: Exception) -> bool:
    return isinstance(error, ApiStatusError) and error.status == 504 and "ResourceVersionTooLarge" in error.causes


def _unreadable(error: Exception) -> bool:
    """Whether something was said that we did not understand, so that only a list tells what is true."""
    return isinstance(error, ResponseError | WatchError) or not isinstance(error, ApiError | OSError)


def _retry_after(error: Exception | None) -> float:
    return (error.retry_after or 0.0) if isinstance(error, ApiStatusError) else 0.0


def _reason(error: Exception | None) -> str:
    """A word of a small vocabulary, for counters."""
    match error:
        case ApiStatusError(status=status):
            return str(status)
        case ConnectError(reason=reason):
            return reason
        case ApiError() | OSError() if not _unreadable(error):
            return "failed"
        case _:
            return "unreadable"


def _unknown_event(kind: str) -> WatchError:
    return WatchError(f"unknown event type {kind[:40]!r}")


def _unexpected(state: State, signal: Input) -> TypeError:
    return TypeError(f"{type(signal).__name__} cannot happen while {state.phase.value}")
