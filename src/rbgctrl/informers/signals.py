"""The vocabulary of the watcher: its state, what it is told, and what it asks for. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from rbgctrl.client.errors import ApiError

__all__ = [
    "Action",
    "Answered",
    "Begin",
    "Bookmarked",
    "Changed",
    "Elapsed",
    "Ended",
    "Failed",
    "InformerOptions",
    "Input",
    "ListPages",
    "MarkMissing",
    "NextPage",
    "OpenWatch",
    "OpenWatchList",
    "Opened",
    "Output",
    "PageArrived",
    "Phase",
    "Probe",
    "Progress",
    "Put",
    "Remove",
    "Report",
    "ResourceVersionError",
    "Stage",
    "Started",
    "State",
    "StoreOperation",
    "Swap",
    "Unstage",
    "Wait",
    "WatchError",
]


class WatchError(ApiError):
    """The answers of a list or watch do not add up: what was said cannot be trusted, so the kind is listed again."""


class ResourceVersionError(WatchError):
    """A resourceVersion is not a decimal number, so newer cannot be told from older. The informer does not sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InformerOptions:
    """Timing and sizes of one informer.

    Attributes:
        backoff: seconds before the first repetition after a failure; doubles with each further one.
        backoff_limit: the longest such pause, in seconds.
        backoff_reset: seconds of health after which the doubling starts over.
        watch_timeout: range of seconds after which the server ends a watch; drawn, so that not all end together.
        short_watch: a watch that ends within so many seconds without telling anything counts as a failure.
        lag_patience: seconds a server may lag behind what we have seen before that counts as a rewind of the cluster.
        end_mark_timeout: seconds without a line before a streamed list without its end mark is given up.
        page_size: objects per page when listing without streaming.
        stream_lists: ask for the initial list as a stream first.
        remember_deleted: seconds for which deletions are remembered, so that late events do not resurrect objects.
    """

    backoff: float = 0.8
    backoff_limit: float = 30.0
    backoff_reset: float = 120.0
    watch_timeout: tuple[int, int] = (300, 600)
    short_watch: float = 1.0
    lag_patience: float = 30.0
    end_mark_timeout: float = 30.0
    page_size: int = 500
    stream_lists: bool = True
    remember_deleted: float = 600.0


class Phase(Enum):
    """Where a watcher stands."""

    EMPTY = "empty"
    """Nothing has been asked yet."""
    STREAMING = "streaming"
    """Filling a temporary store from a watch that begins with a list."""
    PAGING = "paging"
    """Filling a temporary store from pages of a list."""
    LIVE = "live"
    """Following the changes since the resume resourceVersion."""
    PROBING = "probing"
    """Asking, after an error, whether the server has seen what we have seen."""
    WAITING = "waiting"
    """Backing off; then goes on as ``then`` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a watcher remembers.

    Attributes:
        phase: where it stands.
        rv: resourceVersion the store is complete up to; 0 before the first list.
        then: the phase after a pause.
        streaming: whether the server may still be asked for a streamed list.
        fresh: whether the next list must be the server's present state, instead of any not older than ``rv``.
        snapshot: resourceVersion of the list being paged.
        attempt: failures since the last long spell of health.
        healthy_since: time of the loop at which the present spell of health began.
        lagging_since: time of the loop at which the server first did not know ``rv`` yet.
    """

    phase: Phase = Phase.EMPTY
    rv: int = 0
    then: Phase = Phase.EMPTY
    streaming: bool = True
    fresh: bool = True
    snapshot: int | None = None
    attempt: int = 0
    healthy_since: float | None = None
    lagging_since: float | None = None


# What the watcher is told


@dataclass(frozen=True, slots=True)
class Started:
    """Begin."""


@dataclass(frozen=True, slots=True)
class PageArrived:
    """One page of a list: pairs of object and resourceVersion, the resourceVersion of the list, whether more follow."""

    objects: tuple[tuple[Any, int], ...]
    rv: int
    more: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The watch was accepted."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An event that carries an object, and the resourceVersion of that object."""

    type: str
    object: Any
    rv: int


@dataclass(frozen=True, slots=True)
class Bookmarked:
    """A bookmark; ``end`` when it marks the end of a streamed list."""

    rv: int
    end: bool = False


@dataclass(frozen=True, slots=True)
class MarkMissing:
    """The streamed list fell silent without its end mark."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The watch ended cleanly after ``lived`` seconds; ``advanced`` when the resourceVersion moved on meanwhile."""

    lived: float
    advanced: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A list, a watch, a probe or a line of a watch failed, or the watch itself reported an error."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Elapsed:
    """The pause is over."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The probe was answered by a list of this resourceVersion."""

    rv: int


Input: TypeAlias = (
    Started | PageArrived | Opened | Changed | Bookmarked | MarkMissing | Ended | Failed | Elapsed | Answered
)

# What the watcher asks for: at most one action a step, it comes last


@dataclass(frozen=True, slots=True)
class OpenWatchList:
    """Open a watch that begins with a list. ``rv`` "" means the present state, else any state not older."""

    rv: str
    timeout: int


@dataclass(frozen=True, slots=True)
class ListPages:
    """Fetch the first page of a list. ``rv`` as of :class:`OpenWatchList`."""

    rv: str


@dataclass(frozen=True, slots=True)
class NextPage:
    """Fetch the page that follows."""


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """Open a watch of what happens after ``rv``."""

    rv: int
    timeout: int


@dataclass(frozen=True, slots=True)
class Probe:
    """List one object, not older than ``rv``."""

    rv: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


Action: TypeAlias = OpenWatchList | ListPages | NextPage | OpenWatch | Probe | Wait


@dataclass(frozen=True, slots=True)
class Begin:
    """Start an empty temporary store."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Add pairs of object and resourceVersion to the temporary store."""

    objects: tuple[tuple[Any, int], ...]


@dataclass(frozen=True, slots=True)
class Unstage:
    """Take an object that was deleted meanwhile out of the temporary store."""

    object: Any
    rv: int


@dataclass(frozen=True, slots=True)
class Swap:
    """Make the temporary store, complete up to ``rv``, the store. ``rewind``: the cluster went back in time."""

    rv: int
    rewind: bool


@dataclass(frozen=True, slots=True)
class Put:
    """An object was created or changed."""

    object: Any
    rv: int


@dataclass(frozen=True, slots=True)
class Remove:
    """An object was deleted, or left the selector."""

    object: Any
    rv: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The store is complete up to ``rv``."""

    rv: int


StoreOperation: TypeAlias = Begin | Stage | Unstage | Swap | Put | Remove | Progress


@dataclass(frozen=True, slots=True)
class Report:
    """For logs and counters: ``relist``, ``restart`` (of the watch), ``retry``, ``fallback`` or ``lag``, and why."""

    event: str
    reason: str
    error: Exception | None = None
    wait: float = 0.0


Output: TypeAlias = StoreOperation | Action | Report
