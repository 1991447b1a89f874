"""Reads the API server's audit log: who asked for what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

__all__ = ["READS", "AuditEvent", "read_events", "size"]

READS = frozenset({"get", "list", "watch"})


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _ObjectRef(msgspec.Struct, frozen=True, rename="camel"):
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""


class _Status(msgspec.Struct, frozen=True):
    code: int = 0


class AuditEvent(msgspec.Struct, frozen=True, rename="camel"):
    """One finished request (or the beginning of the answer to a watch), in the order of the log."""

    verb: str
    request_uri: str = msgspec.field(name="requestURI")
    stage: str
    user: _User = _User()
    user_agent: str = ""
    object_ref: _ObjectRef = _ObjectRef()
    response_status: _Status = _Status()
    request_received_timestamp: str = ""
    """RFC 3339 with microseconds."""

    @property
    def username(self) -> str:
        """Who asked, as RBAC sees it."""
        return self.user.username

    @property
    def resource(self) -> str:
        """What was asked for: ``pods``, ``pods/status``, ``deployments.apps``; empty for paths without a resource."""
        ref = self.object_ref
        group = f".{ref.api_group}" if ref.api_group else ""
        return f"{ref.resource}{group}" + (f"/{ref.subresource}" if ref.subresource else "")

    @property
    def is_write(self) -> bool:
        """Whether it asked for a change."""
        return self.verb not in READS

    @property
    def code(self) -> int:
        """HTTP status of the answer."""
        return self.response_status.code


_decoder = msgspec.json.Decoder(AuditEvent)


def size(log: Path) -> int:
    """A mark for ``read_events``: everything logged until now lies before it."""
    return log.stat().st_size if log.exists() else 0


def read_events(log: Path, after: int = 0) -> Iterator[AuditEvent]:
    """The requests logged since mark ``after``.

    A watch is logged when it begins and when it ends; only its beginning is returned.
    """
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(after)
        for line in file:
            if not line.endswith(b"\n"):  # still being written
                return
            event = _decoder.decode(line)
            if event.verb == "watch" and event.stage != "ResponseStarted":
                continue
            if event.verb != "watch" and event.stage == "ResponseStarted":
                continue  # a streaming answer of another verb: its end is logged too
            yield event
