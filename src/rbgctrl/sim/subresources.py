"""Subresources other than ``status``: scale, binding, eviction, finalize."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from rbgctrl.api.meta import Key
from rbgctrl.client.transport import ApiResponse
from rbgctrl.sim.call import APPLY_TYPES, Call, body_of
from rbgctrl.sim.kinds import Row, Scale
from rbgctrl.sim.patch import PatchError, json_patch, merge_patch
from rbgctrl.sim.pipeline import change, record_or_404
from rbgctrl.sim.rules import selector_text
from rbgctrl.sim.status import Cause, Refusal, bad_request, conflict, invalid, not_allowed, not_implemented
from rbgctrl.sim.storage import Obj, StoredEvent
from rbgctrl.sim.verbs.delete import DeleteOptions, remove

if TYPE_CHECKING:
    from rbgctrl.sim.server import ApiServer

__all__ = ["SUBRESOURCES", "UNUSED", "bind"]

_HEADERS: Final = {"Content-Type": "application/json"}
_TOPOLOGY: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def _json(body: Any, status: int = 200) -> ApiResponse:
    return ApiResponse(status=status, body=orjson.dumps(body), headers=_HEADERS)


# Scale ----------------------------------------------------------------------------------------------------------------


def _scale(server: ApiServer, call: Call) -> ApiResponse:
    old = record_or_404(server, call.row, call.key)
    if call.row.custom and _at(old.obj, _paths(call.row).spec) is None:
        path = ".".join(("", *_paths(call.row).spec))
        raise Refusal(500, "", f'the spec replicas field "{path}" does not exist')
    if call.request.method == "GET":
        return _json(_scale_of(call.row, old.obj))
    scale = _scale_of(call.row, old.obj)
    body = body_of(call)
    if call.request.method == "PUT":
        wanted = body
    elif call.request.method == "PATCH":
        wanted = _patched(call, scale, body)
    else:
        raise not_allowed()
    replicas = _replicas(call, wanted)
    changed = _set(old.obj, _paths(call.row).spec, replicas)
    metadata = wanted.get("metadata") or {}
    version = metadata.get("resourceVersion")
    if version:
        changed = {**changed, "metadata": {**changed["metadata"], "resourceVersion": version}}
    outcome = change(server, call.row, call.key, old, changed, call.write())
    return _json(_scale_of(call.row, outcome.obj))


def _paths(row: Row) -> Scale:
    assert row.scale is not None  # noqa: S101 - the server routes here only then
    return row.scale


def _scale_of(row: Row, obj: Obj) -> Obj:
    paths, metadata = _paths(row), obj["metadata"]
    status: Obj = {"replicas": _at(obj, paths.status) or 0}
    selector = _at(obj, paths.selector) if paths.selector else None
    if isinstance(selector, dict):
        selector = selector_text(selector)
    if selector:
        status["selector"] = selector
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = _at(obj, paths.spec)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def _set(obj: Obj, path: tuple[str, ...], value: Any) -> Obj:
    if len(path) == 1:
        return {**obj, path[0]: value}
    return {**obj, path[0]: _set(obj.get(path[0]) or {}, path[1:], value)}


def _patched(call: Call, scale: Obj, body: Any) -> Obj:
    kind = call.request.content_type.partition(";")[0].strip()
    try:
        found = json_patch(scale, body) if kind == "application/json-patch+json" else merge_patch(scale, body)
    except PatchError as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise Refusal(422, "Invalid", message, details={}) from None
    if kind in APPLY_TYPES:
        raise not_implemented("apply on the scale subresource")
    if not isinstance(found, dict):
        raise bad_request("a scale is an object")
    return found


def _replicas(call: Call, scale: Any) -> int:
    if not isinstance(scale, dict):
        raise bad_request("a scale is an object")
    found = (scale.get("spec") or {}).get("replicas", 0)
    if type(found) is not int:
        raise bad_request("spec.replicas must be an integer")
    if found < 0:
        message = f"Invalid value: {found}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", call.key.name, [Cause("FieldValueInvalid", message, "spec.replicas")])
    return found


# Pods -----------------------------------------------------------------------------------------------------------------


def _binding(server: ApiServer, call: Call) -> ApiResponse:
    if call.request.method != "POST":
        raise not_allowed()
    body = body_of(call)
    node = ((body.get("target") or {}) if isinstance(body, dict) else {}).get("name")
    if not node:
        cause = Cause("FieldValueRequired", "Required value", "target.name")
        raise invalid("Binding", "", call.key.name, [cause])
    old = record_or_404(server, call.row, call.key)
    bind(server, call, old, node)
    return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def bind(server: ApiServer, call: Call, old: StoredEvent, node: str) -> None:
    """Put a pod on a node. Raises Refusal 409 when it has one already, is gated, or is going away."""
    spec, metadata = old.obj.get("spec") or {}, old.obj["metadata"]
    name = call.key.name
    if metadata.get("deletionTimestamp"):
        raise conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict("pods/binding", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict("pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
    status = old.obj.get("status") or {}
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": server.now_text(),
    }
    bound = {
        **old.obj,
        "metadata": _with_topology(metadata, server.storage.get("nodes", Key("", node))),
        "spec": {**spec, "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }
    server.storage.commit(call.row.resource, call.key, bound)


def _with_topology(metadata: Obj, node: Obj | None) -> Obj:
    """The pod's metadata with the labels that say where its node is, as admission adds them to a binding."""
    labels = (node["metadata"].get("labels") or {}) if node is not None else {}
    place = {name: labels[name] for name in _TOPOLOGY if name in labels}
    return {**metadata, "labels": {**(metadata.get("labels") or {}), **place}} if place else metadata


def _eviction(server: ApiServer, call: Call) -> ApiResponse:
    if call.request.method != "POST":
        raise not_allowed()
    body = body_of(call)
    options = (body.get("deleteOptions") or {}) if isinstance(body, dict) else {}
    old = record_or_404(server, call.row, call.key)
    preconditions = options.get("preconditions") or {}
    dry = "All" in (options.get("dryRun") or ()) or call.query.get("dryRun") == "All"
    remove(
        server,
        call.row,
        call.key,
        old,
        DeleteOptions(
            uid=preconditions.get("uid"),
            resource_version=preconditions.get("resourceVersion"),
            grace=options.get("gracePeriodSeconds"),
            dry_run=dry,
        ),
    )
    return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


# Namespaces -----------------------------------------------------------------------------------------------------------


def _finalize(server: ApiServer, call: Call) -> ApiResponse:
    if call.request.method != "PUT":
        raise not_allowed()
    body = body_of(call)
    old = record_or_404(server, call.row, call.key)
    finalizers = (body.get("spec") or {}).get("finalizers") if isinstance(body, dict) else None
    spec = {"finalizers": finalizers} if finalizers else {}
    changed = {**old.obj, "spec": spec}
    outcome = change(server, call.row, call.key, old, changed, call.write())
    return _json(outcome.obj)


Handler = Callable[["ApiServer", Call], ApiResponse]

SUBRESOURCES: Final[Mapping[tuple[str, str], Handler]] = {
    ("", "scale"): _scale,
    ("pods", "binding"): _binding,
    ("pods", "eviction"): _eviction,
    ("namespaces", "finalize"): _finalize,
}
"""Handlers by resource (``""`` for any) and subresource."""

UNUSED: Final = frozenset(
    (
        *(
            ("pods", name)
            for name in ("attach", "ephemeralcontainers", "exec", "log", "portforward", "proxy", "resize")
        ),
        ("services", "proxy"),
        ("nodes", "proxy"),
        ("serviceaccounts", "token"),
    )
)
"""Subresources that real servers have and nothing here needs."""
