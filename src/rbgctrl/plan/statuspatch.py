"""The one way in which planners write the status of an object of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rbgctrl.api import events
from rbgctrl.api.meta import Condition, ObjectMeta, Resource
from rbgctrl.plan.model import Note, Patch, Plan, Severity, Subject

__all__ = ["Report", "cannot_be_read", "cannot_be_read_plan", "new_warnings", "status_patch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an object says of itself, and what is told beside it.

    Attributes:
        status: the patch of the status, if anything is new.
        notes: Events, one for each thing that is new.
        pause: seconds after which a status that has to wait is written.
    """

    status: tuple[Patch, ...] = ()
    notes: tuple[Note, ...] = ()
    pause: float | None = None


def status_patch(
    kind: type[Resource],
    metadata: ObjectMeta,
    status: Mapping[str, Any],
    *,
    whole: bool,
    why: str = "the status changed",
) -> Patch:
    """The patch of a status.

    Args:
        kind: of the object.
        metadata: of the object.
        status: the fields that changed, or with ``whole`` all that there are.
        whole: whether there is no status yet.
        why: in one sentence, for the log.
    """
    return Patch(
        kind=kind,
        key=metadata.key,
        uid=metadata.uid,
        body={"status": dict(status)},
        subresource="status",
        whole=whole,
        why=why,
    )


def new_warnings(found: Resource, stored: Condition | None, faults: Iterable[tuple[str, str]]) -> tuple[Note, ...]:
    """One Event per fault, when it appears or changes; the condition that stands says which ones were told already.

    Args:
        found: what is at fault.
        stored: its condition that tells of faults, as it was written last.
        faults: reason and message of each.
    """
    told = stored.message if stored is not None else ""
    return tuple(
        Note(subject=Subject.of(found), severity=Severity.WARNING, reason=reason, message=message)
        for reason, message in faults
        if message not in told
    )


def cannot_be_read(error: str) -> str:
    """What to say about a stored object that does not decode.

    Args:
        error: what is wrong, with the path in the object.
    """
    return f"the stored object cannot be read: {error}; correct the field"


def cannot_be_read_plan(kind: type[Resource], metadata: ObjectMeta, error: str, status: Mapping[str, Any]) -> Plan:
    """A status and an Event about a stored object that does not decode; nothing else is touched.

    Args:
        kind: of the object.
        metadata: all that could be read of it.
        error: what is wrong, with the path in the object.
        status: all there is to be, with a condition that says :func:`cannot_be_read`.
    """
    message = cannot_be_read(error)
    patch = status_patch(kind, metadata, status, whole=True, why="the object cannot be read")
    subject = Subject(api_version=kind.KIND.api_version, kind=kind.KIND.kind, key=metadata.key, uid=metadata.uid)
    note = Note(subject=subject, severity=Severity.WARNING, reason=events.INVALID_SPEC, message=message)
    return Plan(steps=((patch,),), notes=(note,), because=message)
