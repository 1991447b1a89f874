"""The truth about a run: every change and every request, with its moment, as the server itself saw them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiRequest
from rbgctrl.sim.server import ApiServer, Audited
from rbgctrl.sim.storage import ADDED, DELETED, Obj, StoredEvent

__all__ = ["EVENTS", "LEASES", "Asked", "Child", "Moment", "Timeline"]

EVENTS = "events"
LEASES = "leases.coordination.k8s.io"

Child = tuple[str, Key]
"""Resource and key."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A change and when it happened, in loop time."""

    at: float
    event: StoredEvent


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, its answer's code, when it was answered, and the storage's revision right after it."""

    at: float
    revision: int
    user: str
    request: ApiRequest
    code: int

    @property
    def resource(self) -> str:
        """``plural.group``; ``""`` for other paths."""
        return self.request.kind.resource if self.request.kind is not None else ""

    @property
    def counts(self) -> bool:
        """Whether it is a write that changes more than Leases and Events."""
        return self.request.verb.writes and self.resource not in (EVENTS, LEASES)

    def __str__(self) -> str:
        return f"{self.user}: {self.request} -> {self.code} at {self.at:.3f}"


class Timeline:
    """Records a server from now on.

    Args:
        server: whose changes and requests.

    Attributes:
        moments: the changes, oldest first.
        asked: the requests, oldest first.
    """

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.moments: list[Moment] = []
        self.asked: list[Asked] = []
        self._clock = asyncio.get_running_loop().time
        server.storage.subscribe(self._changed)
        server.audit = _Audit(server.audit, self)

    def _changed(self, event: StoredEvent) -> None:
        self.moments.append(Moment(self._clock(), event))

    def answered(self, entry: Audited) -> None:
        """Note a request; called in the step that carried it out."""
        revision = self.server.storage.revision
        self.asked.append(Asked(self._clock(), revision, entry.user, entry.request, entry.code))

    def writes(self, user: str = "", *, since: int = 0) -> list[Asked]:
        """Successful writes of a user, or of all; Leases and Events left out.

        Args:
            user: who; ``""`` for anybody.
            since: number of requests to pass over, usually an earlier ``len(timeline.asked)``.
        """
        return [
            found
            for found in self.asked[since:]
            if found.counts and found.code < 400 and (not user or found.user == user)
        ]

    def created(self) -> Counter[Child]:
        """How often each object came into being, in the name of an owner that existed."""
        return Counter(
            (event.resource, event.key)
            for event, alive in self._with_living()
            if event.type == ADDED and _wanted(owners(event.obj), alive)
        )

    def deleted(self) -> Counter[Child]:
        """How often the deletion of each object began, by its deletionTimestamp or at once, while an owner existed.

        Every owner counts that the object ever had: taking a child away from a living owner is as bad as deleting it.
        """
        found: Counter[Child] = Counter()
        ever: dict[str, set[str]] = {}
        for event, alive in self._with_living():
            uid = event.obj["metadata"]["uid"]
            ever.setdefault(uid, set()).update(owners(event.obj))
            before = event.old is not None and "deletionTimestamp" in event.old["metadata"]
            if deleting(event) and not before and _wanted(ever[uid], alive):
                found[event.resource, event.key] += 1
        return found

    def _with_living(self) -> Iterator[tuple[StoredEvent, set[str]]]:
        """Each change with the uids of what existed then and was not being deleted."""
        alive: set[str] = set()
        for moment in self.moments:
            event = moment.event
            uid = event.obj["metadata"]["uid"]
            alive.discard(uid) if deleting(event) else alive.add(uid)
            yield event, alive


def owners(obj: Obj) -> list[str]:
    """The uids of an object's owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def _wanted(uids: Collection[str], alive: set[str]) -> bool:
    return not uids or not alive.isdisjoint(uids)


def deleting(event: StoredEvent) -> bool:
    """Whether the object is gone or going after this change."""
    return event.type == DELETED or (event.new is not None and "deletionTimestamp" in event.new["metadata"])


class _Audit(deque[Audited]):
    """The server's audit log, which also tells a timeline."""

    def __init__(self, log: deque[Audited], timeline: Timeline) -> None:
        super().__init__(log, log.maxlen)
        self._timeline = timeline

    def append(self, entry: Audited, /) -> None:
        super().append(entry)
        self._timeline.answered(entry)
