"""A plan is a value: what to write, what to tell, and when to look again.

Planners return plans; the executor is the only one that carries them out. Dry run, preview, simulation and crash
tests therefore all see the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from rbgctrl.api.meta import Key, Resource

__all__ = [
    "Action",
    "Apply",
    "Create",
    "Delete",
    "Note",
    "Patch",
    "PatchType",
    "Plan",
    "Severity",
    "Subject",
]

Body: TypeAlias = Mapping[str, Any]


class PatchType(Enum):
    """How a patch body is read by the server; the value is its content type."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """POST a new object. ``body`` carries apiVersion, kind and metadata with a deterministic name.

    An existing object of that name is success if ``owner_uid`` controls it, otherwise a conflict that is reported.
    """

    kind: type[Resource]
    key: Key
    body: Body
    owner_uid: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply, forced; the field manager is ``rbg`` unless ``manager`` names another.

    ``uid`` (when the object exists) fences against re-creation; ``version``, its resourceVersion when this was decided,
    against deciding on a past that the cluster has left: an object that changed since is not touched. Without ``uid``
    it creates: what exists already under that name is touched only with ``adopt``, and only if nobody else controls it.
    ``inherit`` is for what the reference controller made: what it owns under other names becomes ours first, so that
    fields left out of the body go away; but not the fields ``leave``, each a path of names, which others decide about.
    """

    kind: type[Resource]
    key: Key
    body: Body
    uid: str = ""
    version: str = ""
    adopt: bool = False
    inherit: bool = False
    leave: tuple[tuple[str, ...], ...] = ()
    manager: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Patch an existing object or one of its subresources (``status``); ``uid`` fences against re-creation.

    A merge patch of a status names whole fields; with ``whole`` it is all the status there is to be, as it must when
    there is none yet.
    """

    kind: type[Resource]
    key: Key
    body: Body | tuple[Body, ...]
    uid: str
    type: PatchType = PatchType.MERGE
    subresource: str = ""
    whole: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete with a UID precondition; gone already is success.

    ``propagation`` is ``Foreground`` where the object must stay until everything it owns is gone; ``""`` for the
    kind's default.
    """

    kind: type[Resource]
    key: Key
    uid: str
    propagation: str = ""
    why: str = ""


Action: TypeAlias = Create | Apply | Patch | Delete


class Severity(Enum):
    """Type of an Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The object an Event is about."""

    api_version: str
    kind: str
    key: Key
    uid: str

    @classmethod
    def of(cls, obj: Resource) -> Subject:
        """The subject for a cached object."""
        kind = type(obj).KIND
        return cls(api_version=kind.api_version, kind=kind.kind, key=obj.key, uid=obj.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An Event to record: what happened, why, and what to do now."""

    subject: Subject
    severity: Severity
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one reconcile decided.

    Attributes:
        steps: actions in order; those inside one step are independent and sent together. A step starts only when the
            previous one succeeded.
        notes: events to record once the steps succeeded.
        requeue_after: seconds after which to look again even if nothing changes, or None.
        because: one sentence on why this is the plan; logged when it writes something.
    """

    steps: tuple[tuple[Action, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    requeue_after: float | None = None
    because: str = ""

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions in order."""
        return tuple(action for step in self.steps for action in step)

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not any(self.steps)
