"""Create, update, patch and apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.api.strategic import StrategicError, strategic_merge
from rbgctrl.client.transport import ApiResponse
from rbgctrl.sim.apply import applied
from rbgctrl.sim.call import APPLY_TYPES, Call, body_of, typed
from rbgctrl.sim.metadata import OMITTED_WHEN_EMPTY
from rbgctrl.sim.patch import PatchError, json_patch, merge_patch
from rbgctrl.sim.pipeline import Outcome, change, create, record_or_404, uid_conflict
from rbgctrl.sim.status import (
    Refusal,
    UndecodableRefusal,
    bad_request,
    conflict,
    not_found,
    unknown_media,
    unsupported_media,
)
from rbgctrl.sim.storage import Obj
from rbgctrl.sim.typedconfig import check_configuration

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["answer", "apply_object", "create_object", "patch_object", "replace_object"]

_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_HEADERS: Final = {"Content-Type": "application/json"}


def answer(outcome: Outcome, status: int = 200) -> ApiResponse:
    """The object a write came to."""
    body = outcome.event.raw if outcome.event is not None else orjson.dumps(outcome.obj)
    headers = _HEADERS
    if outcome.warnings:
        listed = ", ".join(f'299 - "{text}"' for text in (orjson.dumps(w).decode()[1:-1] for w in outcome.warnings))
        headers = {**_HEADERS, "Warning": listed}
    return ApiResponse(status=status, body=body, headers=headers)


def create_object(server: ApiServer, call: Call) -> ApiResponse:
    """POST to a collection."""
    body = typed(call, body_of(call))
    return answer(create(server, call.row, call.key.namespace, body, call.write()), 201)


def replace_object(server: ApiServer, call: Call) -> ApiResponse:
    """PUT."""
    body = typed(call, body_of(call))
    old = server.storage.record(call.row.resource, call.key)
    if old is None and call.row.put_creates and not call.subresource:
        if body["metadata"].get("uid"):
            raise uid_conflict(call.row, call.key, body["metadata"]["uid"], "")
        body["metadata"].pop("resourceVersion", None)
        return answer(create(server, call.row, call.key.namespace, body, call.write()), 201)
    if old is None:
        raise not_found(call.row.resource, call.key.name)
    if call.row.versioned and not body["metadata"].get("resourceVersion"):
        raise _must_be_specified(call)
    return answer(change(server, call.row, call.key, old, body, call.write(), unconditional_uid=False))


def _must_be_specified(call: Call) -> Refusal:
    kind = call.row.kind
    message = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    details = {"name": call.key.name, "group": kind.group, "kind": kind.plural}
    cause = {"reason": "FieldValueInvalid", "message": message.partition(": ")[2], "field": "metadata.resourceVersion"}
    return Refusal(
        422,
        "Invalid",
        f'{kind.resource} "{call.key.name}" is invalid: {message}',
        details={**{name: value for name, value in details.items() if value}, "causes": [cause]},
    )


def patch_object(server: ApiServer, call: Call) -> ApiResponse:
    """PATCH, but for apply."""
    kind = call.request.content_type.partition(";")[0].strip()
    supported = (_JSON, _MERGE, *(() if call.row.custom else (_STRATEGIC,)), APPLY_TYPES[0])
    if kind not in (_JSON, _MERGE, _STRATEGIC):
        raise unknown_media()
    if kind not in supported:
        raise unsupported_media(supported)
    write = call.write()
    old = record_or_404(server, call.row, call.key)
    patched = _patched(call, kind, old.obj, body_of(call))
    if not isinstance(patched, dict):
        raise _rejected()
    try:
        return answer(change(server, call.row, call.key, old, typed(call, patched), write))
    except UndecodableRefusal as refusal:
        raise refusal.of_patch(orjson.dumps(patched).decode()) from None


def _rejected() -> Refusal:
    """422: a patch cannot be carried out; the server keeps to itself why."""
    message = "the server rejected our request due to an error in our request"
    return Refusal(422, "Invalid", message, details={})


def _patched(call: Call, kind: str, target: Obj, body: Any) -> Any:
    try:
        if kind == _JSON:
            if not isinstance(body, list):
                raise bad_request("a JSON patch is a list of operations")
            return json_patch(target, body)
        if not isinstance(body, dict):
            raise bad_request("a patch is a JSON object")
        if kind == _MERGE:
            return merge_patch(target, body)
        return strategic_merge(target, body, call.row.kind.kind)
    except StrategicError as error:
        raise Refusal(500, "", str(error)) from None
    except PatchError:
        raise _rejected() from None


def apply_object(server: ApiServer, call: Call) -> ApiResponse:
    """PATCH with an apply configuration."""
    write = call.write(apply=True)
    row, key = call.row, call.key
    config, named = _configuration(call)
    force = call.flag("force")
    old = server.storage.record(row.resource, key)
    if old is not None:
        _check_fences(call, config, old.obj["metadata"])
        obj, entries = applied(row, old.obj, config, write.manager, force=force, now=server.now_text())
        # For custom kinds the real one takes empty for different from absent here, but stores neither.
        always = row.custom and any(config["metadata"].get(name) in ({}, []) for name in OMITTED_WHEN_EMPTY)
        return answer(change(server, row, key, old, obj, write, entries=entries, always=always))
    if call.subresource:
        raise not_found(row.resource, key.name)
    metadata = config["metadata"]
    if not named:
        message = f"the name of the object ({key.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(message)
    if metadata.get("uid"):
        why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
        raise conflict(row.resource, key.name, why)
    metadata.pop("resourceVersion", None)
    _, entries = applied(row, {"metadata": {}}, config, write.manager, force=True, now=server.now_text())
    return answer(create(server, row, key.namespace, config, write, entries=entries), 201)


def _configuration(call: Call) -> tuple[Obj, bool]:
    """The configuration, and whether it says the object's name itself."""
    body = body_of(call)
    if not isinstance(body, dict):
        raise bad_request("an apply configuration is an object")
    if not body.get("apiVersion") or not body.get("kind"):
        group, _, version = str(body.get("apiVersion", "")).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={body.get('kind', '')}")
    config = typed(call, body)
    if config["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    metadata = body.get("metadata") or {}
    check_configuration(call.row, config, metadata)
    return config, bool(metadata.get("name"))


def _check_fences(call: Call, config: Obj, live: Obj) -> None:
    version = config["metadata"].get("resourceVersion")
    if version and not version.strip("0"):  # reads as no version at all
        if call.row.versioned:
            raise _must_be_specified(call)
        del config["metadata"]["resourceVersion"]
        return
    if version and version != live["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise conflict(call.row.resource, call.key.name, why)
