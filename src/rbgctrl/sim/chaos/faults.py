"""The faults one can order: values, each with a :class:`~rbgctrl.sim.chaos.match.Match` that says where it strikes.

They are plain data, written to the trace and read back from it. What carries them out is
:class:`~rbgctrl.sim.chaos.transport.Chaos` (around a client's transport) or
:mod:`rbgctrl.sim.chaos.proxy` (in front of any API server). Faults of bytes, not of events, only the proxy can do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, TypeAlias

import msgspec

from rbgctrl.sim.chaos.match import Match

__all__ = [
    "Answer",
    "AnyFault",
    "Bytewise",
    "Crash",
    "Delay",
    "Discard",
    "Drop",
    "Duplicate",
    "End",
    "Ending",
    "Fault",
    "Gzip",
    "Hold",
    "Lag",
    "Lump",
    "Pad",
    "Reorder",
    "Replay",
    "Retype",
    "Rewind",
    "Say",
    "Side",
    "Silence",
    "SimulatedCrash",
    "Swallow",
    "Truncate",
]


class SimulatedCrash(BaseException):
    """The process died here. No ``Exception``, so nothing in it can handle it."""


class Side(StrEnum):
    """When a fault strikes a request."""

    BEFORE = "before"
    """The server never sees the request."""
    AFTER = "after"
    """The server has carried it out; the answer is what suffers."""


class Ending(StrEnum):
    """How a watch ends."""

    CLEAN = "clean"
    """The server closed the stream."""
    RESET = "reset"
    """The connection broke."""


class Fault(msgspec.Struct, frozen=True, tag_field="fault", omit_defaults=True):
    """Base of all faults.

    Attributes:
        match: where it strikes.
    """

    match: Match

    per_frame: ClassVar[str] = ""
    """Pattern of the events it strikes when its match names none; ``""`` when it then strikes requests."""
    bytes_only: ClassVar[bool] = False
    """Whether only the proxy can do it."""

    @property
    def on_frames(self) -> bool:
        """Whether it strikes events of watches rather than requests."""
        return bool(self.match.event or self.per_frame)


# Requests -------------------------------------------------------------------------------------------------------------


class Drop(Fault, frozen=True, kw_only=True, tag="drop"):
    """The connection breaks: before the server has seen the request, or after it was carried out."""

    side: Side = Side.BEFORE


class Delay(Fault, frozen=True, kw_only=True, tag="delay"):
    """The request, or its answer, takes ``seconds`` longer."""

    seconds: float
    side: Side = Side.AFTER


class Answer(Fault, frozen=True, kw_only=True, tag="answer"):
    """Another answer than the server's.

    Attributes:
        status: HTTP status.
        reason: of the ``Status`` object, e.g. ``Conflict``.
        message: of the ``Status`` object.
        retry_after: the header, in seconds; 0 for none.
        causes: reasons in ``details.causes``.
        body: sent instead of a ``Status`` object.
        content_type: of the answer.
        side: with ``after`` the request has been carried out all the same.
    """

    status: int
    reason: str = ""
    message: str = "ordered by a test"
    retry_after: float = 0
    causes: tuple[str, ...] = ()
    body: str = ""
    content_type: str = "application/json"
    side: Side = Side.BEFORE

    def content(self) -> bytes:
        """The body to send."""
        if self.body:
            return self.body.encode()
        return msgspec.json.encode(status_object(self.status, self.reason, self.message, self.causes, self.retry_after))

    def headers(self) -> dict[str, str]:
        """The headers to send."""
        found = {"Content-Type": self.content_type}
        return {**found, "Retry-After": f"{self.retry_after:g}"} if self.retry_after else found


class Retype(Fault, frozen=True, kw_only=True, tag="retype"):
    """The server's answer with another content type, and, if given, another body, under status 200."""

    content_type: str = "text/html"
    body: str = ""


class Rewind(Fault, frozen=True, kw_only=True, tag="rewind"):
    """A list, or a watch that lists first, is answered with the state of an earlier moment.

    As from a server that lags behind. What happened since follows after ``lag`` seconds on a watch that lists first;
    for a list followed by a watch, order a :class:`Lag` for that watch.

    Attributes:
        to: resourceVersion of that moment; 0 to use ``back``.
        back: so many changes before the newest one that was seen on this carrier.
        lag: seconds.
    """

    to: int = 0
    back: int = 0
    lag: float = 0.0


class Crash(Fault, frozen=True, kw_only=True, tag="crash"):
    """The process that sends the request dies: before the server has seen it, or before it learns the answer."""

    side: Side = Side.BEFORE


# Watches: the whole stream --------------------------------------------------------------------------------------------


class Lag(Fault, frozen=True, kw_only=True, tag="lag"):
    """Every event of the watch arrives ``seconds`` late, in order."""

    seconds: float


class Bytewise(Fault, frozen=True, kw_only=True, tag="bytewise"):
    """Each byte of the watch arrives in a chunk of its own."""

    bytes_only: ClassVar[bool] = True


class Lump(Fault, frozen=True, kw_only=True, tag="lump"):
    """Up to ``lines`` events arrive in one chunk, collected for at most ``patience`` seconds."""

    bytes_only: ClassVar[bool] = True
    lines: int = 20
    patience: float = 0.2


class Gzip(Fault, frozen=True, kw_only=True, tag="gzip"):
    """The watch is compressed, each event as a gzip member of its own, as servers that flush after each event do."""

    bytes_only: ClassVar[bool] = True


# Watches: at the opening, or at an event ------------------------------------------------------------------------------


class Silence(Fault, frozen=True, kw_only=True, tag="silence"):
    """From here on nothing arrives, and nobody says that the connection is dead.

    At the opening (no event named) it looks like a watch from a resourceVersion the server has not reached.
    """


class End(Fault, frozen=True, kw_only=True, tag="end"):
    """The watch ends here, before the event."""

    how: Ending = Ending.CLEAN


class Say(Fault, frozen=True, kw_only=True, tag="say"):
    """The server says ERROR here instead of the event, and ends the watch. Arguments as of :class:`Answer`."""

    status: int
    reason: str = ""
    message: str = "ordered by a test"
    retry_after: float = 0
    causes: tuple[str, ...] = ()

    def line(self) -> bytes:
        """The line to send."""
        status = status_object(self.status, self.reason, self.message, self.causes, self.retry_after)
        return msgspec.json.encode({"type": "ERROR", "object": status}) + b"\n"


# Watches: single events -----------------------------------------------------------------------------------------------


class Duplicate(Fault, frozen=True, kw_only=True, tag="duplicate"):
    """The event arrives ``copies`` more times."""

    per_frame: ClassVar[str] = "change"
    copies: int = 1


class Replay(Fault, frozen=True, kw_only=True, tag="replay"):
    """After the event, the last ``events`` of this watch arrive again, in order."""

    per_frame: ClassVar[str] = "change"
    events: int = 50


class Reorder(Fault, frozen=True, kw_only=True, tag="reorder"):
    """The event arrives after the next one: of the same object, or of another.

    Attributes:
        same: of the same object.
        patience: seconds to wait for that next one; then the event arrives where it belongs.
    """

    per_frame: ClassVar[str] = "change"
    same: bool = False
    patience: float = 1.0


class Swallow(Fault, frozen=True, kw_only=True, tag="swallow"):
    """The event is lost; the next one of the same object makes up for it.

    Attributes:
        patience: seconds after which it arrives nevertheless when there is no next one, so that nothing is lost
            that no watch would lose.
    """

    per_frame: ClassVar[str] = "change"
    patience: float = 5.0


class Discard(Fault, frozen=True, kw_only=True, tag="discard"):
    """The event is lost for good. With ``event="END"`` a streamed list never ends."""

    per_frame: ClassVar[str] = "change"


class Hold(Fault, frozen=True, kw_only=True, tag="hold"):
    """The event, and all behind it, arrive ``seconds`` later."""

    per_frame: ClassVar[str] = "change"
    seconds: float


class Truncate(Fault, frozen=True, kw_only=True, tag="truncate"):
    """The watch ends in the middle of the line."""

    per_frame: ClassVar[str] = "change"
    how: Ending = Ending.CLEAN


class Pad(Fault, frozen=True, kw_only=True, tag="pad"):
    """The line is ``size`` bytes longer; what it says stays the same."""

    per_frame: ClassVar[str] = "change"
    size: int = 5_000_000


AnyFault: TypeAlias = (
    Drop
    | Delay
    | Answer
    | Retype
    | Rewind
    | Crash
    | Lag
    | Bytewise
    | Lump
    | Gzip
    | Silence
    | End
    | Say
    | Duplicate
    | Replay
    | Reorder
    | Swallow
    | Discard
    | Hold
    | Truncate
    | Pad
)


def status_object(
    status: int, reason: str, message: str, causes: tuple[str, ...], retry_after: float
) -> dict[str, object]:
    """A ``metav1.Status`` that reports a failure."""
    details: dict[str, object] = {"causes": [{"reason": cause, "message": message} for cause in causes]}
    if retry_after:
        details["retryAfterSeconds"] = max(1, round(retry_after))
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": status,
    }
