"""The only writer: carries out a plan and makes its own writes visible to the next read.

**Flow.** Steps run in order; the actions of one step are sent together, at most ``in_flight`` at a time. The object in
a write's answer goes into the cache at once, so handlers run without waiting for the watch.

**Guarantees.** A delete carries the UID it was decided on, and so does an apply; one for an object that was not seen
creates, and changes nothing that exists already. A write with unknown outcome, or a delete whose object is
not gone yet, is entered in the barrier, which parks the key until the cache shows what happened. A step starts only
after every action of the one before succeeded.

**Errors.** The first failure of a step is raised after all its actions ended: an
:class:`~rbgctrl.client.errors.ApiError`, or :class:`ForeignObjectError` when a name is held by somebody else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import structlog

from rbgctrl.api.inheritance import inherited
from rbgctrl.api.meta import OwnerReference, Resource
from rbgctrl.client import (
    AlreadyExistsError,
    Client,
    ConflictError,
    NotFoundError,
    PatchType,
    fence_held,
    outcome_unknown,
)
from rbgctrl.informers import Cache
from rbgctrl.plan.model import Action, Apply, Create, Delete, Note, Patch, Plan
from rbgctrl.runtime.barrier import Barrier
from rbgctrl.runtime.result import Request, Result

__all__ = ["Executor", "ExecutorOptions", "ForeignObjectError", "NoteSink", "summary"]

log = structlog.get_logger(__name__)


class ForeignObjectError(Exception):
    """A child's name is held by an object that somebody else controls; it is never touched.

    Raised while creating. Rename the role or remove the other object; the create is retried with backoff.
    """


class NoteSink(Protocol):
    """Where notes go; an event recorder."""

    def event(self, note: Note) -> None:
        """Record one note; never blocks, never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOptions:
    """How the executor sends.

    Attributes:
        in_flight: most actions of one plan on the wire at once.
    """

    in_flight: int = 16


class Executor:
    """Applies plans for one controller.

    Args:
        client: where writes go.
        cache: what is told about their answers.
        barrier: the controller's ledger of writes the cache has not shown yet.
        notes: where events go.
        options: see :class:`ExecutorOptions`.
    """

    def __init__(
        self,
        client: Client,
        cache: Cache,
        barrier: Barrier,
        notes: NoteSink,
        options: ExecutorOptions | None = None,
    ) -> None:
        self._client = client
        self._cache = cache
        self._barrier = barrier
        self._notes = notes
        self._slots = asyncio.Semaphore((options or ExecutorOptions()).in_flight)
        self.writes: Counter[tuple[str, str]] = Counter()

    async def apply(self, plan: Plan, request: Request) -> Result:
        """Carry out ``plan`` for the object ``request`` names.

        Returns:
            When to look again, as the plan says.

        Raises:
            ApiError: the first failed action of a step.
            ForeignObjectError: a name is taken by somebody else's object.
        """
        for step in plan.steps:
            await self._step(step, request)
        for note in plan.notes:
            self._notes.event(note)
        if not plan.empty:
            log.info("applied", because=plan.because, writes=summary(plan))
        return Result(requeue_after=plan.requeue_after, because=plan.because)

    async def _step(self, step: tuple[Action, ...], request: Request) -> None:
        if len(step) == 1:
            await self._perform(step[0], request)
            return
        outcomes = await asyncio.gather(*(self._perform(action, request) for action in step), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        fatal = [failure for failure in failures if not isinstance(failure, Exception)]
        if failures:
            raise (fatal or failures)[0]

    async def _perform(self, action: Action, request: Request) -> None:
        async with self._slots:
            self.writes[type(action).__name__.lower(), action.kind.KIND.kind] += 1
            try:
                match action:
                    case Create():
                        await self._create(action, request)
                    case Apply():
                        await self._apply(action, request)
                    case Patch():
                        await self._patch(action, request)
                    case Delete():
                        await self._delete(action, request)
            except BaseException as error:
                # Cancelled on its way, unanswered, or a server that failed: read live before this key is looked at.
                # The same where a fence held: what was decided on is not what is there.
                if isinstance(error, asyncio.CancelledError) or outcome_unknown(error) or fence_held(error):
                    self._barrier.unknown(request, action.kind, action.key)
                raise

    def _seen(self, obj: Resource, request: Request) -> None:
        self._cache.observe(obj)
        self._barrier.wrote(request, obj)

    async def _create(self, action: Create, request: Request) -> None:
        try:
            obj = await self._client.create(action.kind, action.body, action.key.namespace)
        except AlreadyExistsError:
            obj = await self._client.get(action.kind, action.key)
            controller = obj.metadata.controller()
            if controller is None or controller.uid != action.owner_uid:
                raise _foreign(obj, controller) from None
        self._seen(obj, request)

    async def _apply(self, action: Apply, request: Request) -> None:
        uid, version = action.uid, action.version or ("" if action.uid else _NEVER)
        if action.inherit and uid:
            version = await self._inherit(action, uid, version)
        try:
            obj = await self._send(action, uid, version)
        except ConflictError:
            if action.uid:
                raise
            obj = await self._taken(action)
        self._seen(obj, request)

    async def _send(self, action: Apply, uid: str, version: str) -> Resource:
        body = _fenced(action.body, uid, version)
        return await self._client.apply(action.kind, action.key, body, field_manager=action.manager or None)

    async def _taken(self, action: Apply) -> Resource:
        """The object under a name that seemed free: another look decides about it when it is the owner's already.

        One to adopt may lack the label by which it is watched, so there would never be another look.
        """
        obj = await self._client.get(action.kind, action.key)
        controller = obj.metadata.controller()
        ours = controller is not None and controller.uid in _owners(action.body)
        if action.adopt and (ours or controller is None):
            version = await self._inherit(action, obj.uid, "") if ours else ""
            return await self._send(action, obj.uid, version)
        if not ours:
            self._cache.observe(obj)
            raise _foreign(obj, controller)
        return obj

    async def _inherit(self, action: Apply, uid: str, version: str) -> str:
        """Make what the reference controller's writers own ours; returns the version to apply on."""
        kind = action.kind.KIND
        path = kind.path(action.key.namespace, action.key.name)
        metadata = msgspec.json.decode(await self._client.get_raw(path))["metadata"]
        applier = action.manager or self._client.field_manager
        found = inherited(metadata.get("managedFields") or (), kind.api_version, applier, action.leave)
        if found is None or version not in ("", metadata["resourceVersion"]):
            return version  # the apply itself says that this was decided on a past
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/metadata/managedFields", "value": found},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        ]
        obj = await self._client.patch(action.kind, action.key, operations, type=PatchType.JSON)
        return obj.metadata.resource_version if version else ""

    async def _patch(self, action: Patch, request: Request) -> None:
        body, how = _patch_body(action)
        try:
            obj = await self._client.patch(action.kind, action.key, body, type=how, subresource=action.subresource)
        except NotFoundError:
            # The cache still shows an object that is no more. Acting on it again and again would make children that
            # garbage collection takes away at once, so the key waits until the cache knows, as after a delete.
            log.debug("gone before it could be patched", kind=action.kind.KIND.kind, object=str(action.key))
            self._barrier.deleted(self._barrier.deleting(request, action.kind, action.key, action.uid))
            return
        self._seen(obj, request)

    async def _delete(self, action: Delete, request: Request) -> None:
        token = self._barrier.deleting(request, action.kind, action.key, action.uid)
        try:
            obj = await self._client.delete(
                action.kind, action.key, uid=action.uid, propagation=action.propagation or None
            )
        except (NotFoundError, ConflictError):
            # Gone, or replaced by a namesake: either way that object is no more, which the cache may not show yet.
            self._barrier.deleted(token)
            return
        except BaseException:
            self._barrier.forget(token)
            raise
        if obj is not None:
            if obj.metadata.deleting:
                self._cache.observe(obj)
            else:
                self._cache.observe_deleted(obj)
        self._barrier.deleted(token, obj)


_NEVER: Final = "1"
"""A resourceVersion that no object ever has: an apply with it creates, or is a conflict."""


def _fenced(body: Any, uid: str, version: str) -> dict[str, Any]:
    fenced = _with_uid(body, uid)
    if version:
        fenced["metadata"] = {**fenced.get("metadata", {}), "resourceVersion": version}
    return fenced


def _owners(body: Any) -> set[str]:
    return {owner["uid"] for owner in body.get("metadata", {}).get("ownerReferences", ())}


def _foreign(obj: Resource, controller: OwnerReference | None) -> ForeignObjectError:
    holder = f"{controller.kind} {controller.name}" if controller else "no controller"
    kind = type(obj).KIND.kind
    return ForeignObjectError(
        f"{kind} {obj.key} exists already and belongs to {holder}; remove it or choose another name"
    )


def _patch_body(action: Patch) -> tuple[Any, PatchType]:
    """What to send, with the UID as a fence.

    The status of a custom resource is not fenced by a UID in a merge patch, so fields of it are set one by one behind a
    test of the UID.
    """
    how = PatchType(action.type.value)
    if isinstance(action.body, tuple):
        return action.body, how
    if how is not PatchType.MERGE or action.subresource != "status":
        return _with_uid(action.body, action.uid), how
    status: dict[str, Any] = action.body["status"]
    fields = {"/status": status} if action.whole else {f"/status/{name}": value for name, value in status.items()}
    operations = [{"op": "add", "path": path, "value": value} for path, value in fields.items()]
    return [{"op": "test", "path": "/metadata/uid", "value": action.uid}, *operations], PatchType.JSON


def _with_uid(body: Any, uid: str) -> dict[str, Any]:
    """The body with a UID precondition, so that a namesake created meanwhile is not touched."""
    fenced = dict(body)
    if uid:
        fenced["metadata"] = {**fenced.get("metadata", {}), "uid": uid}
    return fenced


def summary(plan: Plan) -> str:
    """What a plan writes, for a log line: ``create Pod x3, patch RoleInstance``."""
    counts = Counter(f"{type(action).__name__.lower()} {action.kind.KIND.kind}" for action in plan.actions)
    return ", ".join(f"{what} x{count}" if count > 1 else what for what, count in counts.items())
