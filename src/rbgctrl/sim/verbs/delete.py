"""Delete one object or a collection: preconditions, grace, finalizers, propagation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiResponse
from rbgctrl.clock import rfc3339
from rbgctrl.sim.call import Call
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.pipeline import Outcome, record_or_404
from rbgctrl.sim.status import Cause, Refusal, bad_request, conflict, success
from rbgctrl.sim.storage import Obj, StoredEvent
from rbgctrl.sim.verbs.read import list_body, selector

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["FOREGROUND", "ORPHAN", "DeleteOptions", "delete_collection", "delete_object", "remove"]

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_HEADERS: Final = {"Content-Type": "application/json"}
_POLICIES: Final = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """How to delete.

    Attributes:
        uid: only this very object.
        resource_version: only this version of it.
        grace: seconds; None for the object's own.
        propagation: ``Foreground``, ``Background``, ``Orphan``; None for the kind's default.
        dry_run: everything but deleting.
    """

    uid: str | None = None
    resource_version: str | None = None
    grace: int | None = None
    propagation: str | None = None
    dry_run: bool = False


def delete_object(server: ApiServer, call: Call) -> ApiResponse:
    """DELETE of one object."""
    row = call.row
    old = record_or_404(server, row, call.key)
    gone, outcome = remove(server, row, call.key, old, options_of(call))
    if gone and not row.returns_object:
        details = {
            "name": call.key.name,
            "group": row.kind.group,
            "kind": row.kind.plural,
            "uid": outcome.obj["metadata"]["uid"],
        }
        body = orjson.dumps(success({name: value for name, value in details.items() if value}))
    else:
        body = outcome.event.raw if outcome.event is not None else orjson.dumps(outcome.obj)
    return ApiResponse(status=200, body=body, headers=_HEADERS)


def delete_collection(server: ApiServer, call: Call) -> ApiResponse:
    """DELETE of all selected objects of a collection."""
    test, options = selector(call), options_of(call)
    events = [event for event in server.storage.records(call.row.resource, call.key.namespace) if test(event.obj)]
    for event in events:
        remove(server, call.row, event.key, event, options)
    metadata = {"resourceVersion": str(server.storage.revision)}
    return ApiResponse(status=200, body=list_body(call.row, metadata, events), headers=_HEADERS)


def options_of(call: Call) -> DeleteOptions:
    """Options from the body, or from the query when there is none.

    Raises:
        Refusal: 400 or 422, they make no sense.
    """
    body: Any = {}
    if call.request.body:
        try:
            body = orjson.loads(call.request.body)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("delete options are an object")
    if not body:  # options in the query count only when there are none in the body
        body = {name: value for name, value in call.query.items() if name in ("propagationPolicy", "dryRun")}
        if call.query.get("gracePeriodSeconds"):
            body["gracePeriodSeconds"] = int(call.query["gracePeriodSeconds"])
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    policy = body.get("propagationPolicy")
    orphan = body.get("orphanDependents")
    if policy is None and orphan is not None:
        policy = "Orphan" if orphan else "Background"
    if policy is not None and policy not in _POLICIES:
        listed = ", ".join(f'"{name}"' for name in (*_POLICIES, "nil"))
        cause = Cause(
            "FieldValueNotSupported", f'Unsupported value: "{policy}": supported values: {listed}', "propagationPolicy"
        )
        raise Refusal(
            422,
            "Invalid",
            f'DeleteOptions.meta.k8s.io "" is invalid: {cause}',
            details={"group": "meta.k8s.io", "kind": "DeleteOptions"},
            causes=[cause],
        )
    return DeleteOptions(
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        grace=grace,
        propagation=policy,
        dry_run="All" in (body.get("dryRun") or ()),
    )


def remove(server: ApiServer, row: Row, key: Key, old: StoredEvent, options: DeleteOptions) -> tuple[bool, Outcome]:
    """Delete an object, or mark it when something holds it back.

    Returns:
        Whether it is gone, and its last state.

    Raises:
        Refusal: 409, a precondition does not match.
    """
    metadata = old.obj["metadata"]
    _preconditions(row, key, metadata, options)
    grace = _grace(row, old.obj, options)
    finalizers = _finalizers(metadata.get("finalizers") or [], options.propagation)
    held = bool(finalizers) or _holds_itself(row, old.obj)
    marked = _marked(server, row, old.obj, grace, finalizers, held=held or row.graceful)
    if options.dry_run:
        return not held and not grace, Outcome(marked)
    if marked is not old.obj:
        old = server.storage.commit(row.resource, key, marked)
    if held or grace:
        return False, Outcome(old.obj, old)
    final = server.storage.remove(row.resource, key)
    return True, Outcome(final.obj, final)


def _preconditions(row: Row, key: Key, metadata: Obj, options: DeleteOptions) -> None:
    if options.uid is not None and options.uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). The "
            "object might have been deleted and then recreated"
        )
        raise _precondition(row, key, why)
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata['resourceVersion']}). The object might have been modified"
        )
        raise _precondition(row, key, why)


def _precondition(row: Row, key: Key, why: str) -> Refusal:
    kind = row.kind
    return conflict(f"{kind.kind}.{kind.group}" if kind.group else kind.kind, key.name, why)


def _grace(row: Row, obj: Obj, options: DeleteOptions) -> int:
    """Seconds the object still lives; only pods on a node have time to end."""
    if not row.graceful:
        return 0
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    current: int | None = metadata.get("deletionGracePeriodSeconds") if metadata.get("deletionTimestamp") else None
    wanted = options.grace
    if wanted is None:
        wanted = current if current is not None else spec.get("terminationGracePeriodSeconds", 30)
    wanted = max(int(wanted), 0) if int(wanted) >= 0 else 1
    return wanted if current is None else min(wanted, current)


def _finalizers(present: list[str], propagation: str | None) -> list[str]:
    if propagation is None:
        return present
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(propagation)
    if wanted is None:
        return kept
    return present if wanted in present and len(kept) == len(present) - 1 else [*kept, wanted]


def _holds_itself(row: Row, obj: Obj) -> bool:
    return row.kind.kind == "Namespace" and bool((obj.get("spec") or {}).get("finalizers"))


def _marked(server: ApiServer, row: Row, obj: Obj, grace: int, finalizers: list[str], *, held: bool) -> Obj:
    """The object as being deleted; itself when nothing changes or it goes away without a trace."""
    metadata = obj["metadata"]
    changes: Obj = {}
    if finalizers != (metadata.get("finalizers") or []):
        changes["finalizers"] = finalizers
    first = not metadata.get("deletionTimestamp")
    if held and (first or grace != metadata.get("deletionGracePeriodSeconds")):
        changes["deletionTimestamp"] = rfc3339(server.now() + timedelta(seconds=grace))
        changes["deletionGracePeriodSeconds"] = grace
        if not row.graceful and row.kind.kind == "Namespace":
            del changes["deletionGracePeriodSeconds"]
        if first and metadata.get("generation"):
            changes["generation"] = metadata["generation"] + 1
    if not changes or not (held or "finalizers" in changes):
        return obj
    marked = {**obj, "metadata": {**metadata, **changes}}
    if not finalizers:
        marked["metadata"].pop("finalizers", None)
    if row.kind.kind == "Namespace":
        marked["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return marked
