"""Get and list."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.client.transport import ApiResponse
from rbgctrl.sim.call import Call
from rbgctrl.sim.kinds import Row
from rbgctrl.sim.pipeline import record_or_404
from rbgctrl.sim.selectors import Test, everything, field_selector, label_selector
from rbgctrl.sim.status import Cause, Refusal, bad_request, expired, future_version
from rbgctrl.sim.storage import CompactedError, StoredEvent, path_of

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["get_object", "list_objects", "list_options", "number", "selector", "version_of"]

_HEADERS: Final = {"Content-Type": "application/json"}
_FUTURE_WAIT: Final = 3.0
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def version_of(call: Call) -> int:
    """The resourceVersion a read asks for, as a number; 0 for none.

    Raises:
        Refusal: it is no number.
    """
    text = call.query.get("resourceVersion", "")
    if not text:
        return 0
    if text.isdigit():
        return int(text)
    message = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    if call.key.name or call.flag("watch"):
        raise Refusal(500, "", message)
    raise bad_request(f"invalid resource version: {message}")


def number(call: Call, name: str) -> int:
    """An integer parameter; 0 when it is missing or negative. Raises Refusal 400 when it is none."""
    text = call.query.get(name, "")
    if not text:
        return 0
    try:
        return max(int(text), 0)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def selector(call: Call) -> Test:
    """The test for the call's selectors, of labels and fields both."""
    labels = label_selector(call.query.get("labelSelector", ""))
    fields = field_selector(call.query.get("fieldSelector", ""), call.row)
    if fields is everything:
        return labels
    if labels is everything:
        return fields
    return lambda obj: labels(obj) and fields(obj)


async def wait_for_version(server: ApiServer, version: int) -> None:
    """Wait a little for a version of the future. Raises Refusal 504 when it does not come."""
    if version <= server.storage.revision:
        return
    await asyncio.sleep(_FUTURE_WAIT)
    if version > server.storage.revision:
        raise future_version(version, server.storage.revision)


async def get_object(server: ApiServer, call: Call) -> ApiResponse:
    """GET of one object."""
    version = version_of(call)
    if version > server.storage.revision:
        await wait_for_version(server, version)
    record = record_or_404(server, call.row, call.key)
    return ApiResponse(status=200, body=record.raw, headers=_HEADERS)


async def list_objects(server: ApiServer, call: Call) -> ApiResponse:
    """GET of a collection."""
    list_options(call)
    test = selector(call)
    number(call, "timeoutSeconds")
    limit = number(call, "limit")
    token = call.query.get("continue", "")
    version = version_of(call)
    if version > server.storage.revision:
        await wait_for_version(server, version)
    revision, start = server.storage.revision, ""
    if token:
        revision, start = _decode(token)
    elif version and call.query.get("resourceVersionMatch") == "Exact":
        revision = version
    elif call.query.get("resourceVersion") == "0":
        limit = 0  # answered from the cache, which does not page
    name = _single_name(call)
    if name is not None and not token:
        test = _named(test, name)
    found = _snapshot(server, call, revision, start)
    if revision < 0:
        revision = server.storage.revision
    return _answer(call, found, test, limit, revision, start)


def _single_name(call: Call) -> str | None:
    return call.key.name or None


def _named(test: Test, name: str) -> Test:
    return lambda obj: obj["metadata"]["name"] == name and test(obj)


def _snapshot(server: ApiServer, call: Call, revision: int, start: str) -> list[StoredEvent]:
    storage, row, namespace = server.storage, call.row, call.key.namespace
    if revision < 0:
        return storage.records(row.resource, namespace)
    try:
        return storage.snapshot(row.resource, namespace, revision)
    except CompactedError:
        if start:
            raise expired(_TOO_OLD, token=_encode(-1, start)) from None
        raise expired("The resourceVersion for the provided list is too old.") from None


def _answer(call: Call, found: list[StoredEvent], test: Test, limit: int, revision: int, start: str) -> ApiResponse:
    if start:
        found = [event for event in found if path_of(event.key) >= start]
    selected = found if test is everything else [event for event in found if test(event.obj)]
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if call.row.custom:
        metadata = {"continue": "", **metadata}
    if limit and len(selected) > limit:
        rest = selected[limit:]
        selected = selected[:limit]
        # The next page starts right after the last name of this one, whatever is deleted until then.
        metadata["continue"] = _encode(revision, path_of(selected[-1].key) + "\0")
        if test is everything:
            metadata["remainingItemCount"] = len(rest)
    return ApiResponse(status=200, body=list_body(call.row, metadata, selected), headers=_HEADERS)


def list_body(row: Row, metadata: dict[str, Any], events: list[StoredEvent]) -> bytes:
    """A list as JSON; items of built-in kinds do not repeat their type."""
    head = orjson.dumps({"kind": row.list_kind, "apiVersion": row.kind.api_version, "metadata": metadata})
    items = b",".join([item_bytes(row, event) for event in events])
    return head[:-1] + b',"items":[' + items + b"]}"


def item_bytes(row: Row, event: StoredEvent) -> bytes:
    """An object as an item of a list."""
    if row.custom:
        return event.raw
    prefix = row.type_prefix
    if event.raw.startswith(prefix):
        return b"{" + event.raw[len(prefix) :]
    return orjson.dumps({name: item for name, item in event.obj.items() if name not in ("kind", "apiVersion")})


def _encode(revision: int, start: str) -> str:
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _decode(token: str) -> tuple[int, str]:
    try:
        body = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(body["rv"]), str(body["start"])
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None


def list_options(call: Call) -> None:
    """Refuse options that contradict each other. Raises Refusal 422 (400 for continue with a version)."""
    query = call.query
    causes = _watch_options(query) if call.flag("watch") else _list_options(query)
    if causes:
        raise list_options_refusal(causes)
    if query.get("continue") and query.get("resourceVersion", "") not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")


def _forbidden(message: str, field: str = "resourceVersionMatch") -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {message}", field)


def _watch_options(query: Mapping[str, str]) -> list[Cause]:
    found: list[Cause] = []
    initial, match = query.get("sendInitialEvents"), query.get("resourceVersionMatch", "")
    if initial is not None and match != "NotOlderThan":
        found.append(_forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
        if match:
            message = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
            found.append(Cause("FieldValueNotSupported", message, "resourceVersionMatch"))
    if initial is None and match:
        found.append(_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
    if query.get("continue"):
        found.append(_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    return found


def _list_options(query: Mapping[str, str]) -> list[Cause]:
    found: list[Cause] = []
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if "sendInitialEvents" in query:
        found.append(_forbidden("sendInitialEvents is forbidden for list", "sendInitialEvents"))
    if not match:
        return found
    if not version:
        found.append(_forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if query.get("continue"):
        found.append(_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("Exact", "NotOlderThan"):
        message = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        found.append(Cause("FieldValueNotSupported", message, "resourceVersionMatch"))
    if match == "Exact" and version == "0":
        found.append(_forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    return found


def list_options_refusal(causes: list[Cause]) -> Refusal:
    """422 about ``ListOptions``."""
    listed = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    return Refusal(
        422,
        "Invalid",
        f'ListOptions.meta.k8s.io "" is invalid: {listed}',
        details={"group": "meta.k8s.io", "kind": "ListOptions"},
        causes=causes,
    )
